"""Kernels: matched filtering of one image and its accumulation on the target grid."""

import math

import numpy as np
from numba import njit

__all__ = [
    "gaussian_weights",
    "smooth",
    "masked_copies",
    "taper_edges",
    "filter_image",
    "add_filtered",
    "add_saturation",
]


@njit(cache=True)
def gaussian_weights(sigma):
    """Half of a normalised Gaussian kernel: weights at distance 0 ... int(4 sigma + 0.5); float64."""
    radius = int(4.0 * sigma + 0.5)
    weights = np.empty(radius + 1)
    for i in range(radius + 1):
        weights[i] = math.exp(-0.5 / (sigma * sigma) * (i * i))
    return weights / (weights[0] + 2.0 * weights[1:].sum())


@njit(cache=True, inline="always")
def _mirrored(i, n):
    """Index within 0 ... n - 1 that mirrors `i` at the array's outer edges (d c b a | a b c d | d c b a)."""
    i = i % (2 * n)
    return i if i < n else 2 * n - 1 - i


@njit(cache=True)
def smooth(image, weights, out):
    """Separable convolution with a symmetric kernel, mirrored edges; columns first, then rows.

    Products are summed in float64 from the kernel's rim to its centre; the result of each direction is
    rounded to float32, as `scipy.ndimage.gaussian_filter` does.

    Parameters
    ----------
    image : float32 (h, w)
    weights : float64 (radius + 1,)
        From the centre outwards.
    out : float32 (h, w)
        Not `image`.
    """
    h, w = image.shape
    radius = weights.size - 1
    total = np.empty(w)
    line = np.empty(w + 2 * radius)
    for y in range(h):
        centre = image[y]
        for x in range(w):
            total[x] = centre[x] * weights[0]
        for j in range(radius, 0, -1):
            weight = weights[j]
            above = image[_mirrored(y - j, h)]
            below = image[_mirrored(y + j, h)]
            for x in range(w):
                total[x] += (np.float64(above[x]) + np.float64(below[x])) * weight
        for x in range(w):
            line[radius + x] = np.float32(total[x])
        for x in range(radius):
            line[radius - 1 - x] = line[radius + _mirrored(-1 - x, w)]
            line[radius + w + x] = line[radius + _mirrored(w + x, w)]
        for x in range(w):
            total[x] = line[radius + x] * weights[0]
        for j in range(radius, 0, -1):
            weight = weights[j]
            left = line[radius - j :]
            right = line[radius + j :]
            for x in range(w):
                total[x] += (left[x] + right[x]) * weight
        for x in range(w):
            out[y, x] = total[x]


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
def filter_image(image, inverr, sig1, sigma, ramp):
    """Matched-filter one image with a Gaussian PSF.

    Parameters
    ----------
    image, inverr : float32 (h, w)
    sig1 : float
        Typical sigma per pixel.
    sigma : float
        Of the PSF [pixel].
    ramp : float32
        Edge taper of the weights, outermost pixel first; may be empty.

    Returns
    -------
    flux, weight : float32 (h, w)
        Maximum-likelihood flux of a point source at each pixel, and its inverse variance.
    """
    psfnorm2 = (1.0 / (2.0 * math.sqrt(math.pi) * sigma)) ** 2
    weights = gaussian_weights(sigma)
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
def add_filtered(flux, weight, ix, iy, y0, x0, numerator, weight_sum):
    """Add a filtered image to its band's sums on the target grid.

    Parameters
    ----------
    flux, weight : float32 (h, w)
    ix, iy : int32
        Image pixel of each pixel of a box of the target, -1 = none.
    y0, x0 : int
        Origin of the box in the target.
    numerator, weight_sum : float32 (H, W)
        Changed: sum of weight x flux, and of weight.
    """
    for i in range(ix.shape[0]):
        for j in range(ix.shape[1]):
            x = ix[i, j]
            if x >= 0:
                y = iy[i, j]
                numerator[y0 + i, x0 + j] += weight[y, x] * flux[y, x]
                weight_sum[y0 + i, x0 + j] += weight[y, x]


@njit(cache=True)
def add_saturation(dq, bits, ix, iy, y0, x0, saturated, total):
    """Count the images, and those whose nearest pixel has one of `bits` set, per target pixel."""
    for i in range(ix.shape[0]):
        for j in range(ix.shape[1]):
            if ix[i, j] >= 0:
                total[y0 + i, x0 + j] += 1
                if dq[iy[i, j], ix[i, j]] & bits:
                    saturated[y0 + i, x0 + j] += 1
