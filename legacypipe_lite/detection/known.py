"""Known sources: where the detection need not look."""

from collections.abc import Iterable

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..models import Motion, moved_position
from ..wcs import ImageWcs

__all__ = ["omitted_pixels"]

_MOTION_COLUMNS = ("pmra", "pmdec", "parallax", "ref_epoch")


def omitted_pixels(refs: Table, mjds: Iterable[float], target_wcs: ImageWcs) -> NDArray[np.int64]:
    """Pixels of the reference sources inside the brick, which are sources already.

    Stars are entered at their positions at the time of every image, which may lie a little off the brick; all
    others at their catalogue positions. Sources that take no part in the fit (duplicates, clusters) count, too.

    Parameters
    ----------
    refs : astropy.table.Table
        Reference objects with `ra`, `dec`, `ibx`, `iby`, `in_bounds`, `islargegalaxy`, and for stars `ref_epoch`,
        `pmra`, `pmdec`, `parallax`.
    mjds : iterable of float
        Dates of the images (TAI).
    target_wcs : ImageWcs

    Returns
    -------
    numpy.ndarray of int64, shape (n, 2)
        Distinct pixels (x, y).
    """
    if len(refs) == 0:
        return np.zeros((0, 2), np.int64)
    inside = np.asarray(refs["in_bounds"], bool)
    stars = inside & (np.asarray(refs["ref_epoch"]) > 0) & ~np.asarray(refs["islargegalaxy"], bool)
    others = inside & ~stars
    pixels = [np.stack([refs["ibx"][others], refs["iby"][others]], axis=1).astype(np.int64)]
    dates = sorted(set(mjds))
    positions = [position for row in refs[stars] for position in _positions(row, dates)]
    if positions:
        ra, dec = np.array(positions).T
        x, y = target_wcs.sky_to_pixel(ra, dec)
        known = np.isfinite(x) & np.isfinite(y)
        pixels.append(np.stack([np.rint(x[known]), np.rint(y[known])], axis=1).astype(np.int64))
    return np.unique(np.concatenate(pixels), axis=0)


def _positions(row, dates):
    """Positions (RA, Dec) of a star at the given dates."""
    motion = Motion(*(float(row[name]) for name in _MOTION_COLUMNS))
    return [moved_position(float(row["ra"]), float(row["dec"]), motion, mjd) for mjd in dates]
