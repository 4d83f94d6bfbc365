"""Kernels: smoothing of images with a Gaussian, as `scipy.ndimage.gaussian_filter` does it, but faster."""

import numpy as np
from numba import njit

__all__ = ["smooth"]


@njit(cache=True, inline="always")
def _mirrored(i, n):
    """Index within 0 ... n - 1 that mirrors `i` at the array's outer edges (d c b a | a b c d | d c b a)."""
    i = i % (2 * n)
    return i if i < n else 2 * n - 1 - i


@njit(cache=True, nogil=True)
def _add_pair(total, a, b, weight):
    for x in range(total.size):
        total[x] += (np.float64(a[x]) + np.float64(b[x])) * weight


@njit(cache=True, nogil=True)
def _add_four_pairs(total, before, after, weights):
    """Four times `_add_pair`, which reads and writes the sums only once; all but the sums are tuples of four."""
    a1, a2, a3, a4 = before
    b1, b2, b3, b4 = after
    w1, w2, w3, w4 = weights
    for x in range(total.size):
        t = total[x] + (np.float64(a1[x]) + np.float64(b1[x])) * w1
        t += (np.float64(a2[x]) + np.float64(b2[x])) * w2
        t += (np.float64(a3[x]) + np.float64(b3[x])) * w3
        t += (np.float64(a4[x]) + np.float64(b4[x])) * w4
        total[x] = t


@njit(cache=True, nogil=True)
def _along_column(image, y, weights, total):
    """Weighted sum over the rows around row y."""
    h = image.shape[0]
    centre = image[y]
    for x in range(total.size):
        total[x] = centre[x] * weights[0]
    j = weights.size - 1
    while j >= 4:
        _add_four_pairs(
            total,
            (
                image[_mirrored(y - j, h)],
                image[_mirrored(y - j + 1, h)],
                image[_mirrored(y - j + 2, h)],
                image[_mirrored(y - j + 3, h)],
            ),
            (
                image[_mirrored(y + j, h)],
                image[_mirrored(y + j - 1, h)],
                image[_mirrored(y + j - 2, h)],
                image[_mirrored(y + j - 3, h)],
            ),
            (weights[j], weights[j - 1], weights[j - 2], weights[j - 3]),
        )
        j -= 4
    while j >= 1:
        _add_pair(total, image[_mirrored(y - j, h)], image[_mirrored(y + j, h)], weights[j])
        j -= 1


@njit(cache=True, nogil=True)
def _along_row(line, weights, total):
    """Weighted sum over the neighbours in a row; `line` has room for them before and after it."""
    w = total.size
    r = weights.size - 1
    centre = line[r : r + w]
    for x in range(w):
        total[x] = centre[x] * weights[0]
    j = r
    while j >= 4:
        _add_four_pairs(
            total,
            (
                line[r - j : r - j + w],
                line[r - j + 1 : r - j + 1 + w],
                line[r - j + 2 : r - j + 2 + w],
                line[r - j + 3 : r - j + 3 + w],
            ),
            (
                line[r + j : r + j + w],
                line[r + j - 1 : r + j - 1 + w],
                line[r + j - 2 : r + j - 2 + w],
                line[r + j - 3 : r + j - 3 + w],
            ),
            (weights[j], weights[j - 1], weights[j - 2], weights[j - 3]),
        )
        j -= 4
    while j >= 1:
        _add_pair(total, line[r - j : r - j + w], line[r + j : r + j + w], weights[j])
        j -= 1


@njit(cache=True, nogil=True)
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
    total, line = np.empty(w), np.empty(w + 2 * radius, np.float32)
    centre = line[radius : radius + w]
    for y in range(h):
        _along_column(image, y, weights, total)
        for x in range(w):
            centre[x] = np.float32(total[x])
        for x in range(radius):
            line[radius - 1 - x] = line[radius + _mirrored(-1 - x, w)]
            line[radius + w + x] = line[radius + _mirrored(w + x, w)]
        _along_row(line, weights, total)
        row = out[y]
        for x in range(w):
            row[x] = np.float32(total[x])
