"""Kernels of the outlier search: growth of outliers around their seeds, and their pixels on the image."""

import numpy as np
from numba import njit

from ..wcs.grid_kernels import nearest_of_row, new_positions, row_positions
from .search_kernels import significance

__all__ = ["grow", "nearest_of_places", "pixels_in_regions"]


@njit(cache=True, nogil=True)
def _on_rim(region, h, w, i, j):
    """True if a pixel of the region (code 1) has a neighbour outside of it."""
    k = i * w + j
    return (
        (i > 0 and region[k - w] != 1)
        or (i < h - 1 and region[k + w] != 1)
        or (j > 0 and region[k - 1] != 1)
        or (j < w - 1 and region[k + 1] != 1)
    )


@njit(cache=True, nogil=True)
def _appended(pixels, n, pixel):
    """A list of n pixels, in an array with room for more, and one more."""
    if n == pixels.size:
        longer = np.empty(2 * n + 64, pixels.dtype)
        longer[:n] = pixels
        pixels = longer
    pixels[n] = pixel
    return pixels


@njit(cache=True, nogil=True)
def _dilated(pixels, n, radius, region, h, w):
    """Add all pixels within a city-block distance of the region; the list, and its length."""
    before = n
    for m in range(before):
        i, j = pixels[m] // w, pixels[m] % w
        # What lies near an inner pixel of the region lies at least as near to one at its rim.
        if not _on_rim(region, h, w, i, j):
            continue
        for ii in range(max(i - radius, 0), min(i + radius + 1, h)):
            reach = radius - abs(ii - i)
            for k in range(ii * w + max(j - reach, 0), ii * w + min(j + reach + 1, w)):
                if region[k] == 0:
                    region[k] = 2
                    pixels = _appended(pixels, n, k)
                    n += 1
    for m in range(before, n):
        region[pixels[m]] = 1
    return pixels, n


@njit(cache=True, nogil=True)
def grow(seeds, sign, thresholds, compared, sums):
    """Grow seeds into the significant pixels around them, and by a margin.

    Twice the region grows by 1 pixel, then by the pixels within 5 that exceed a threshold; finally by 3 pixels. All
    distances are city-block ones.

    Parameters
    ----------
    seeds : int64
        Places in the box, flat.
    sign : int
        +1 if brighter pixels are significant, -1 if fainter ones are.
    thresholds : (float, float)
        Of the two steps [sigma].
    compared : Compared
    sums : BandSums

    Returns
    -------
    int64
        Places of the region's pixels.
    """
    h, w = compared.values.shape
    # Codes: 1 in the region, 2 new in it, 3 found not to be significant.
    region = np.zeros(h * w, np.uint8)
    pixels = seeds.copy()
    n = pixels.size
    for m in range(n):
        region[pixels[m]] = 1
    for step in range(2):
        threshold = np.float32(thresholds[step])
        pixels, n = _dilated(pixels, n, 1, region, h, w)
        pixels, n = _grown(pixels, n, 5, sign, threshold, region, compared, sums)
    pixels, n = _dilated(pixels, n, 3, region, h, w)
    return pixels[:n]


@njit(cache=True, nogil=True)
def _grown(pixels, n, radius, sign, threshold, region, compared, sums):
    """Add the pixels within a city-block distance of the region that exceed a threshold."""
    h, w = compared.values.shape
    before = n
    tested, n_tested = np.empty(64, np.int64), 0
    for m in range(before):
        i, j = pixels[m] // w, pixels[m] % w
        if not _on_rim(region, h, w, i, j):
            continue
        for ii in range(max(i - radius, 0), min(i + radius + 1, h)):
            reach = radius - abs(ii - i)
            for jj in range(max(j - reach, 0), min(j + reach + 1, w)):
                k = ii * w + jj
                if region[k] != 0:
                    continue
                s, _ = significance(ii, jj, compared, sums)
                if sign * np.float32(s) > threshold:
                    region[k] = 2
                    pixels = _appended(pixels, n, k)
                    n += 1
                else:
                    region[k] = 3
                    tested = _appended(tested, n_tested, k)
                    n_tested += 1
    for m in range(before, n):
        region[pixels[m]] = 1
    for m in range(n_tested):
        region[tested[m]] = 0
    return pixels, n


@njit(cache=True, nogil=True)
def pixels_in_regions(grid, w_image, left0, top0, regions, places, bits):
    """Carry regions of the target to the pixels of an image.

    Parameters
    ----------
    grid : GridArrays
        From the image to the target.
    w_image : int
        Width of the image.
    left0, top0 : int
        Origin of the regions in the target.
    regions : uint8 (h, w)
        Bits of each target pixel.
    places : int64
        Out: pixels of the image whose nearest target pixel has bits, flat, in order; as many as there is room for.
    bits : uint8
        Out: these bits.

    Returns
    -------
    int
        Number of these pixels.
    """
    height, width = regions.shape
    w = grid.index_x.size
    positions = new_positions(grid, w)
    ix, iy = positions.ix, positions.iy
    n = 0
    for i in range(grid.index_y.size):
        row_positions(grid, i, 0, w, positions)
        if nearest_of_row(grid, w, positions) == 0:
            continue
        for j in range(w):
            a, b = ix[j] - left0, iy[j] - top0
            if ix[j] < 0 or not (0 <= a < width and 0 <= b < height) or regions[b, a] == 0:
                continue
            if n < places.size:
                places[n] = (grid.y0 + i) * w_image + grid.x0 + j
                bits[n] = regions[b, a]
            n += 1
    return n


@njit(cache=True, nogil=True)
def nearest_of_places(grid, places, ix, iy):
    """Nearest image pixel of listed places of a map's box; -1 where there is none."""
    w = grid.index_x.size
    positions = new_positions(grid, 1)
    for m in range(places.size):
        i, j = places[m] // w, places[m] % w
        row_positions(grid, i, j, j + 1, positions)
        nearest_of_row(grid, 1, positions)
        ix[m], iy[m] = positions.ix[0], positions.iy[0]
