"""Kernels: matched filtering of one image and its accumulation on the target grid."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..arrays.smooth_kernels import smooth
from ..wcs.grid_kernels import BLOCK, nearest_of_row, new_positions, row_positions
from ..wcs.tile_kernels import cut_tile, gather, tile_of_block, to_tile

__all__ = [
    "FilteredImage",
    "BandSums",
    "masked_copies",
    "taper_edges",
    "filter_image",
    "add_filtered",
    "add_filtered_rows",
    "normalize_rows",
]


class FilteredImage(NamedTuple):
    """One image after the matched filter; its arrays are flat for `add_filtered`, images for `add_filtered_rows`.

    Attributes
    ----------
    flux, weight : numpy.ndarray of float32
        From `filter_image`.
    dq : numpy.ndarray of uint16
        Data-quality bits; without pixels if the image has none.
    saturated_bits : int
        Those of saturated pixels.
    """

    flux: NDArray[np.float32]
    weight: NDArray[np.float32]
    dq: NDArray[np.uint16]
    saturated_bits: int


class BandSums(NamedTuple):
    """Sums of the filtered images of a band on the target grid.

    Attributes
    ----------
    numerator, weight : numpy.ndarray of float32, shape (H, W)
        Sum of weight x flux, and of weight.
    saturated, total : numpy.ndarray of int16, shape (H, W)
        Number of images that are saturated, and of images; `total` may be (0, 0).
    """

    numerator: NDArray[np.float32]
    weight: NDArray[np.float32]
    saturated: NDArray[np.int16]
    total: NDArray[np.int16]


@njit(cache=True)
def masked_copies(image, inverr, variance_weight, data, weight):
    """`data` = image with masked pixels 0; `weight` = `variance_weight` at good pixels, 0 at masked ones."""
    h, w = image.shape
    for y in range(h):
        for x in range(w):
            if inverr[y, x] == 0:
                data[y, x] = 0.0
                weight[y, x] = 0.0
            else:
                data[y, x] = image[y, x]
                weight[y, x] = variance_weight


@njit(cache=True)
def taper_edges(weight, ramp):
    """Multiply the outermost rows and columns by `ramp` (outermost first); corners by the product."""
    h, w = weight.shape
    for i in range(min(ramp.size, h)):
        for x in range(w):
            weight[i, x] *= ramp[i]
            weight[h - 1 - i, x] *= ramp[i]
    for y in range(h):
        for i in range(min(ramp.size, w)):
            weight[y, i] *= ramp[i]
            weight[y, w - 1 - i] *= ramp[i]


@njit(cache=True, nogil=True)
def filter_image(image, inverr, sig1, sigma, weights, ramp):
    """Matched-filter one image with a Gaussian PSF.

    Parameters
    ----------
    image, inverr : float32 (h, w)
    sig1 : float
        Typical sigma per pixel.
    sigma : float
        Of the PSF [pixel].
    weights : float64 (radius + 1,)
        Half of the PSF, as of `arrays.gaussian_weights`.
    ramp : float32
        Edge taper of the weights, outermost pixel first; may be empty.

    Returns
    -------
    flux, weight : float32 (h, w)
        Maximum-likelihood flux of a point source at each pixel, and its inverse variance.
    """
    psfnorm2 = (1.0 / (2.0 * math.sqrt(math.pi) * sigma)) ** 2
    flux = np.empty(image.shape, np.float32)
    weight = np.empty(image.shape, np.float32)
    data = np.empty(image.shape, np.float32)
    masked_copies(image, inverr, np.float32(psfnorm2 / sig1**2), data, weight)
    smooth(data, weights, flux)
    smooth(weight, weights, data)
    taper_edges(data, ramp)
    norm = np.float32(psfnorm2)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            flux[y, x] /= norm
    return flux, data


@njit(cache=True)
def add_filtered(image, nearest, sums):
    """Add a filtered image to its band's sums on a small target grid, and count saturated pixels.

    Parameters
    ----------
    image : FilteredImage
    nearest : int32 (H, W)
        Image pixel of each pixel of the target, -1 = none.
    sums : BandSums
        Changed.
    """
    flux, weight, dq = image.flux, image.weight, image.dq
    numerator, weight_sum, saturated, total = sums
    for i in range(nearest.shape[0]):
        for j in range(nearest.shape[1]):
            k = nearest[i, j]
            if k < 0:
                continue
            numerator[i, j] += weight[k] * flux[k]
            weight_sum[i, j] += weight[k]
            if dq.size > 0 and (dq[k] & image.saturated_bits) != 0:
                saturated[i, j] += 1
            if total.size > 0:
                total[i, j] += 1


@njit(cache=True, nogil=True)
def _add_row(n, flux, weight, numerator, weight_sum):
    for j in range(n):
        numerator[j] += weight[j] * flux[j]
        weight_sum[j] += weight[j]


@njit(cache=True, nogil=True)
def add_filtered_rows(row0, row1, grid, image, sums):
    """Add a filtered image to its band's sums, and count saturated pixels, in rows row0 ... row1 - 1 of its map's box.

    Parameters
    ----------
    row0, row1 : int
        Different rows can be added by different threads at a time.
    grid : GridArrays
    image : FilteredImage
    sums : BandSums
        Changed.
    """
    flux, weight, dq, bits = image
    numerator, weight_sum, saturated, total = sums
    positions = new_positions(grid, BLOCK)
    ix, iy = positions.ix, positions.iy
    own_flux, own_weight = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    quality, box = np.empty(BLOCK, np.int16), np.empty(4, np.int64)
    tile_flux, tile_weight, tile_dq = np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.uint16)
    for left in range(0, grid.index_x.size, BLOCK):
        right = min(left + BLOCK, grid.index_x.size)
        n = right - left
        if not tile_of_block(grid, row0, row1, left, right, 0, positions, box):
            continue
        w, size = box[1] - box[0], (box[1] - box[0]) * (box[3] - box[2])
        if tile_flux.size < size:
            tile_flux, tile_weight = np.empty(size, np.float32), np.empty(size, np.float32)
            tile_dq = np.empty(size, np.uint16)
        cut_tile(flux, box, tile_flux)
        cut_tile(weight, box, tile_weight)
        if dq.size > 0:
            cut_tile(dq, box, tile_dq)
        tx = slice(grid.x0 + left, grid.x0 + right)
        for i in range(row0, row1):
            ty = grid.y0 + i
            row_positions(grid, i, left, right, positions)
            if nearest_of_row(grid, n, positions) == 0:
                continue
            to_tile(n, box, ix, iy)
            gather(n, tile_flux, w, ix, iy, own_flux)
            gather(n, tile_weight, w, ix, iy, own_weight)
            _add_row(n, own_flux, own_weight, numerator[ty, tx], weight_sum[ty, tx])
            if dq.size == 0:
                continue
            gather(n, tile_dq, w, ix, iy, quality)
            count = saturated[ty, tx]
            for j in range(n):
                count[j] += (quality[j] & bits) != 0
            if total.size > 0:
                number = total[ty, tx]
                for j in range(n):
                    number[j] += ix[j] >= 0


@njit(cache=True, nogil=True, error_model="numpy")
def normalize_rows(row0, row1, numerator, weight_sum):
    """Divide rows of the sums of weight x flux by those of the weights, in place."""
    tiny = np.float32(1e-16)
    w = numerator.shape[1]
    for y in range(row0, row1):
        values, weights = numerator[y], weight_sum[y]
        for x in range(w):
            values[x] /= max(weights[x], tiny)
