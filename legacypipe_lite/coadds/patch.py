"""Dilation of masks."""

import numpy as np

from . import patch_kernels as kernels

__all__ = ["dilate_cross"]


def dilate_cross(mask, radius):
    """Pixels within a city-block distance of a true pixel, i.e. `radius` dilations with the 3 x 3 cross.

    Parameters
    ----------
    mask : array_like of bool, shape (h, w)
    radius : int

    Returns
    -------
    numpy.ndarray of bool
    """
    mask = np.ascontiguousarray(mask, dtype=bool)
    out = np.empty(mask.shape, np.uint8)
    kernels.dilate_cross(mask, radius, out)
    return out.view(bool)
