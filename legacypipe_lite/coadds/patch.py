"""Filling of masked pixels, so that they do not ring when an image is resampled; dilation of masks."""

import numpy as np

from . import patch_kernels as kernels

__all__ = ["patch_masked", "dilate_cross"]


def patch_masked(image, good):
    """Copy of an image in which masked pixels next to good ones hold the mean of their neighbours.

    Pixels within a city-block distance of 3 of a good pixel are filled, from the inside out. That diamond does not
    reach the corners of the 7 x 7 Lanczos stencil, so beside a convex corner of the good area a masked value may
    still enter with a weight of about 2 %; the published coadds have the same property.

    Parameters
    ----------
    image : numpy.ndarray of float32, shape (h, w)
    good : numpy.ndarray of bool, shape (h, w)

    Returns
    -------
    numpy.ndarray of float32
        A copy, also if there was nothing to fill.
    """
    image = np.array(image, dtype=np.float32, order="C")
    good = np.array(good, dtype=bool, order="C")
    n_bad = good.size - np.count_nonzero(good)
    if 0 < n_bad < good.size:
        ys, xs = np.empty(n_bad, np.int32), np.empty(n_bad, np.int32)
        n = kernels.needed_pixels(good, kernels.PATCH_RADIUS, ys, xs)
        kernels.patch_pixels(image, good, ys, xs, n)
    return image


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
