"""Map of the pixels that reference objects cover."""

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..bits import REFMAP
from ..wcs import ImageWcs
from . import mask_map_kernels as kernels

__all__ = ["mask_map"]

_DISCS = (("BRIGHT", "isbright"), ("MEDIUM", "ismedium"))
_ELLIPSES = (
    ("CLUSTER", "iscluster"),
    ("GALAXY", "set_galaxy_maskbit"),
    ("RESOLVED", "isresolved"),
    ("MCLOUDS", "ismcloud"),
)


def mask_map(refs: Table, target_wcs: ImageWcs, rows: ArrayLike | None = None) -> NDArray[np.uint8]:
    """Which reference objects cover each pixel.

    Stars are discs (the BRIGHT bit has half the radius of MEDIUM), all others ellipses. Duplicates (`dup`) count.

    Parameters
    ----------
    refs : Table
        From `reference_sources`.
    target_wcs : ImageWcs
    rows : array_like of bool or int, optional
        Paint only these rows.

    Returns
    -------
    numpy.ndarray of uint8, shape (H, W)
        Bits of `bits.REFMAP`.
    """
    mask = np.zeros((target_wcs.height, target_wcs.width), np.uint8)
    if rows is not None:
        refs = refs[np.asarray(rows)]
    refs = refs[np.asarray(refs["radius"]) > 0]
    if len(refs) == 0:
        return mask
    x, y = target_wcs.sky_to_pixel(refs["ra"], refs["dec"])
    radius = np.ceil(np.asarray(refs["radius"], float) * 3600.0 / target_wcs.pixel_scale).astype(np.int64)
    for name, column in _DISCS:
        for i in np.flatnonzero(refs[column] & np.isfinite(x)):
            r = (radius[i] + 1) // 2 if name == "BRIGHT" else radius[i]
            kernels.paint_disc(mask, x[i], y[i], r, REFMAP[name])
    cd = target_wcs.cd * (3600.0 / target_wcs.pixel_scale)
    for name, column in _ELLIPSES:
        for i in np.flatnonzero(refs[column] & np.isfinite(x)):
            pa = float(refs["pa"][i])
            pa = pa if np.isfinite(pa) else 0.0
            kernels.paint_ellipse(mask, x[i], y[i], radius[i], float(refs["ba"][i]), pa, cd, REFMAP[name])
    return mask
