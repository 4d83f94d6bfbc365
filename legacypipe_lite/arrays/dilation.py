"""Dilation of masks."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import dilation_kernels as kernels

__all__ = ["dilate"]


def dilate(mask: ArrayLike, radius: int) -> NDArray[np.bool_]:
    """Pixels within a city-block distance of a true pixel, i.e. `radius` dilations with the 3 x 3 cross.

    Parameters
    ----------
    mask : array_like of bool, shape (h, w)
    radius : int
        0 or less changes nothing.

    Returns
    -------
    numpy.ndarray of bool
        A new array.
    """
    return kernels.dilate(np.ascontiguousarray(mask, dtype=bool), radius)
