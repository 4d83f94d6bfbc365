"""Static mask of 90Prime: bad regions that the image processing does not flag."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .data_tables import packaged_table
from .extent import Region
from .files import FitsImage

__all__ = ["static_mask", "STATIC_MASK_FILE"]

#: Name of the Legacy Surveys' mask in the data directory.
STATIC_MASK_FILE = "ksb_staticmask_ood_v1.fits.fz"


def static_mask(hdu: int, region: Region, path: Path | None = None) -> NDArray[np.bool_]:
    """Bad pixels in a region of a CCD.

    Parameters
    ----------
    hdu : int
        HDU number of the CCD.
    region : extent.Region
    path : Path, optional
        The Legacy Surveys' mask; None: the built-in list of regions, which holds nearly the same pixels.

    Returns
    -------
    numpy.ndarray of bool, shape (region.height, region.width)

    Raises
    ------
    InputError
        If the file is damaged, or does not reach as far as the region.
    """
    if path is not None:
        with FitsImage(path, hdu) as image:
            return image.read(region) == 1
    mask = np.zeros((region.height, region.width), bool)
    x = np.arange(region.x0, region.x1)[np.newaxis, :]
    y = np.arange(region.y0, region.y1)[:, np.newaxis]
    table = _bad_regions()
    for row in table[table["hdu"] == hdu]:
        x0, x1, y0, y1 = (int(row[c]) for c in ("x0", "x1", "y0", "y1"))
        if row["shape"] == "box":
            mask |= (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
        else:
            dx = (x - (x0 + x1 - 1) / 2.0) / ((x1 - x0) / 2.0)
            dy = (y - (y0 + y1 - 1) / 2.0) / ((y1 - y0) / 2.0)
            mask |= dx**2 + dy**2 <= 1.0
    return mask


@functools.cache
def _bad_regions() -> NDArray[np.void]:
    return packaged_table("bok_static_mask.csv")
