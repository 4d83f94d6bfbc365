"""Kernels of the outlier search: statistics of blurred images on the target grid, and comparison with them."""

import math

import numpy as np
from numba import njit

from ..wcs.grid_kernels import BLOCK, nearest_of_row, row_positions
from ..wcs.resample_kernels import lanczos_row, lanczos_scratch, lanczos_setup
from ..wcs.tile_kernels import cut_tile, gather, tile_of_block, to_tile

SEED_SIGMA = 5.0
SEED_RELATIVE = 2.0
_NO_WEIGHT = 1e-16
#: Below this fraction of an image's own weight, the weight of the others is rounding noise.
_ROUNDING = 1e-6
#: Squared significance from which on a pixel is looked at exactly; below SEED_SIGMA**2, because values are rounded.
_CANDIDATE2 = 20.0
#: Pixels of the Lanczos stencil beyond the nearest pixel.
_STENCIL = 3


@njit(cache=True, nogil=True)
def _add_sums(n, here, value, weight, quality, total, total_weight, any_mask, count):
    for j in range(n):
        total[j] += value[j] * weight[j]
        total_weight[j] += weight[j]
    for j in range(n):
        any_mask[j] |= quality[j]
        count[j] += here[j]


@njit(cache=True, nogil=True)
def _update_extreme(n, here, value, weight, sign, extreme, extreme_weight):
    """Keep the smallest (sign 1) or largest (sign -1) value and its weight."""
    for j in range(n):
        first = here[j] != 0 and sign * value[j] < sign * extreme[j]
        extreme[j] = value[j] if first else extreme[j]
        extreme_weight[j] = weight[j] if first else extreme_weight[j]


@njit(cache=True, nogil=True)
def _note_extreme(n, here, value, sign, extreme, index, who):
    """Note which image is the smallest or largest so far; to be called before the value is kept."""
    for j in range(n):
        if here[j] != 0 and sign * value[j] < sign * extreme[j]:
            who[j] = index


@njit(cache=True, nogil=True)
def add_blurred_rows(
    row0, row1, x0, y0, grid, table, image, inverr, dq, weight_factor, index,
    total, weight, any_mask, count, extremes, who, blurred,
):  # fmt: skip
    """Resample rows of a blurred image, and add them to the statistics of its band.

    Parameters
    ----------
    row0, row1 : int
        Rows of the map's box; different rows can be added by different threads at a time.
    x0, y0 : int
        Origin of the box in the target.
    grid : GridArrays
    table : float32, 1-d
        `LANCZOS_TABLE`, flat.
    image : float32 (h, w)
        Blurred.
    inverr : float32 (h, w)
    dq : uint16 (h, w)
    weight_factor : float64
        Weight of a blurred pixel / inverse variance of an image pixel.
    index : int
    total, weight : float32 (H, W)
        Sums of weight * value, and of weight.
    any_mask, count : int16 (H, W)
        Data-quality bits that any image has; number of images.
    extremes : float32 (4, H, W) or (0, H, W)
        Smallest value and its weight, largest value and its weight; only if there is room for them.
    who : int16 (2, H, W) or (0, H, W)
        Number of the image with the smallest and with the largest value, likewise.
    blurred : float32 (box)
        Out: the resampled values.
    """
    row, x, y = np.empty(grid.node_x.shape[1]), np.empty(BLOCK), np.empty(BLOCK)
    ix, iy = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    scratch = lanczos_scratch(BLOCK)
    own = np.empty(BLOCK, np.float32)
    here, quality = np.empty(BLOCK, np.int16), np.empty(BLOCK, np.int16)
    box = np.empty(4, np.int64)
    tile, tile_inverr, tile_dq = np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.uint16)
    for left in range(0, grid.index_x.size, BLOCK):
        right = min(left + BLOCK, grid.index_x.size)
        n = right - left
        if not tile_of_block(grid, row0, row1, left, right, _STENCIL, row, x, y, box):
            blurred[row0:row1, left:right] = 0.0
            continue
        w, h = box[1] - box[0], box[3] - box[2]
        if tile.size < w * h:
            tile, tile_inverr = np.empty(w * h, np.float32), np.empty(w * h, np.float32)
            tile_dq = np.empty(w * h, np.uint16)
        cut_tile(image, box, tile)
        cut_tile(inverr, box, tile_inverr)
        cut_tile(dq, box, tile_dq)
        tx = slice(x0 + left, x0 + right)
        for i in range(row0, row1):
            ty = y0 + i
            value = blurred[i, left:right]
            row_positions(grid, i, left, right, row, x, y)
            if nearest_of_row(grid, n, x, y, ix, iy) == 0:
                value[:] = 0.0
                continue
            lanczos_setup(n, x, y, ix, iy, table, scratch)
            to_tile(n, box, ix, iy)
            lanczos_row(n, tile, w, h, ix, iy, scratch, value)
            gather(n, tile_inverr, w, ix, iy, own)
            gather(n, tile_dq, w, ix, iy, quality)
            for j in range(n):
                here[j] = ix[j] >= 0
                own[j] = np.float32(own[j] * own[j] * weight_factor)
            _add_sums(n, here, value, own, quality, total[ty, tx], weight[ty, tx], any_mask[ty, tx], count[ty, tx])
            for k in range(extremes.shape[0] // 2):
                sign = np.float32(1.0) if k == 0 else np.float32(-1.0)
                if who.shape[0] > 0:
                    _note_extreme(n, here, value, sign, extremes[2 * k, ty, tx], index, who[k, ty, tx])
                _update_extreme(n, here, value, own, sign, extremes[2 * k, ty, tx], extremes[2 * k + 1, ty, tx])


@njit(cache=True, nogil=True)
def clip_extremes(row0, row1, total, weight, count, extremes, minimum_count):
    """Take the smallest and the largest value out of the sums of rows where enough images are."""
    w = total.shape[1]
    for y in range(row0, row1):
        for x in range(w):
            if count[y, x] < minimum_count:
                continue
            low = extremes[1, y, x]
            high = extremes[3, y, x]
            left = weight[y, x] - (low + high)
            if abs(left) < _ROUNDING * (low + high):
                weight[y, x] = 0.0
                total[y, x] = 0.0
            else:
                weight[y, x] = left
                total[y, x] -= low * extremes[0, y, x] + high * extremes[2, y, x]


@njit(cache=True, nogil=True)
def _times(index, minimum_count, count, low, high):
    """How often an image is in the sums with which it is compared: not at all where it was clipped."""
    times = 1
    if count >= minimum_count:
        times -= low == index
        times -= high == index
    return times


@njit(cache=True, nogil=True)
def _may_differ(n, value, own, total, weight, found):
    """Mark the pixels whose value may differ from the mean of the others by `_CANDIDATE2`, without any division."""
    for j in range(n):
        v, g = np.float64(own[j]), np.float64(value[j])
        others = weight[j] - v
        difference = g * others - (total[j] - g * v)
        found[j] = (difference * difference * v > _CANDIDATE2 * others * (others + v)) & (others > 0.0) & (v > 0.0)


@njit(cache=True, nogil=True)
def find_candidates(
    x0, y0, grid, blurred, inverr, weight_factor, index, total, weight, who, count, minimum_count, own, found
):
    """Weights of the blurred pixels of one image, and the pixels that may be seeds of outliers.

    Parameters
    ----------
    x0, y0, grid, blurred, inverr, weight_factor, index, total, weight, count
        As for `add_blurred_rows`.
    who : int16 (2, H, W) or (0, H, W)
        If given, an image whose value was clipped as smallest or largest is not taken out a second time.
    minimum_count : int
        From so many images on, values were clipped.
    own : float32 (box)
        Out: weights, 0 off the image.
    found : bool (box)
        Out: pixels to be looked at.

    Returns
    -------
    int
        Number of these.
    """
    h, w = blurred.shape
    row, x, y = np.empty(grid.node_x.shape[1]), np.empty(BLOCK), np.empty(BLOCK)
    ix, iy = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    box, tile = np.empty(4, np.int64), np.empty(0, np.float32)
    strip = 64
    number = 0
    for row0 in range(0, h, strip):
        row1 = min(row0 + strip, h)
        for left in range(0, w, BLOCK):
            right = min(left + BLOCK, w)
            n = right - left
            if not tile_of_block(grid, row0, row1, left, right, 0, row, x, y, box):
                own[row0:row1, left:right] = 0.0
                found[row0:row1, left:right] = False
                continue
            width = box[1] - box[0]
            if tile.size < width * (box[3] - box[2]):
                tile = np.empty(width * (box[3] - box[2]), np.float32)
            cut_tile(inverr, box, tile)
            for i in range(row0, row1):
                row_positions(grid, i, left, right, row, x, y)
                nearest_of_row(grid, n, x, y, ix, iy)
                to_tile(n, box, ix, iy)
                weights, here = own[i, left:right], found[i, left:right]
                gather(n, tile, width, ix, iy, weights)
                for j in range(n):
                    weights[j] = np.float32(weights[j] * weights[j] * weight_factor)
                ty, tx = y0 + i, slice(x0 + left, x0 + right)
                if who.shape[0] == 0:
                    _may_differ(n, blurred[i, left:right], weights, total[ty, tx], weight[ty, tx], here)
                else:
                    for j in range(n):
                        here[j] = weights[j] > 0
                for j in range(n):
                    number += here[j]
    return number


@njit(cache=True, nogil=True)
def _significance(i, j, x0, y0, blurred, own, index, total, weight, who, count, minimum_count):
    """Difference of a pixel from the mean of the others [sigma], and this mean; (0, 0) where it is not defined."""
    v = own[i, j]
    if not v > 0:
        return 0.0, 0.0
    y, x = y0 + i, x0 + j
    times = 1
    if who.shape[0] > 0:
        times = _times(index, minimum_count, count[y, x], who[0, y, x], who[1, y, x])
    others = weight[y, x] - times * v
    if others <= _NO_WEIGHT or others < _ROUNDING * v:
        return 0.0, 0.0
    g = blurred[i, j]
    mean = (total[y, x] - times * (g * v)) / others
    return (g - mean) / math.sqrt(1.0 / v + 1.0 / others), mean


@njit(cache=True, nogil=True)
def select_seeds(
    x0, y0, blurred, own, index, total, weight, who, count, minimum_count, veto, floor, found, seeds, signs
):
    """The seeds of outliers among the candidates.

    Parameters
    ----------
    x0, y0, blurred, own, index, total, weight, who, count, minimum_count, found
        As for `find_candidates`.
    veto : bool (H, W)
        Where no outlier may start.
    floor : float64
        Typical sigma of the blurred image, the smallest denominator of the relative difference.
    seeds : int64
        Out: their places in the box, flat.
    signs : int8
        Out: +1 for those that are brighter than the others, -1 for fainter ones.

    Returns
    -------
    int
        Number of seeds.
    """
    h, w = blurred.shape
    n = 0
    for i in range(h):
        for j in range(w):
            if not found[i, j] or veto[y0 + i, x0 + j]:
                continue
            s, mean = _significance(i, j, x0, y0, blurred, own, index, total, weight, who, count, minimum_count)
            relative = (blurred[i, j] - mean) / max(mean, floor)
            sign = 0
            if s > SEED_SIGMA and relative > SEED_RELATIVE:
                sign = 1
            elif s < -SEED_SIGMA and relative < -SEED_RELATIVE:
                sign = -1
            if sign != 0:
                seeds[n], signs[n] = i * w + j, sign
                n += 1
    return n


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
def grow(seeds, sign, threshold1, threshold2, x0, y0, blurred, own, index, total, weight, who, count, minimum_count):
    """Grow seeds into the significant pixels around them, and by a margin.

    Twice the region grows by 1 pixel, then by the pixels within 5 that exceed a threshold; finally by 3 pixels. All
    distances are city-block ones.

    Parameters
    ----------
    seeds : int64
        Places in the box, flat.
    sign : int
        +1 if brighter pixels are significant, -1 if fainter ones are.
    threshold1, threshold2 : float
        [sigma].
    x0, y0, blurred, own, index, total, weight, who, count, minimum_count
        As for `find_candidates`.

    Returns
    -------
    int64
        Places of the region's pixels.
    """
    h, w = blurred.shape
    # Codes: 1 in the region, 2 new in it, 3 found not to be significant.
    region = np.zeros(h * w, np.uint8)
    pixels = seeds.copy()
    n = pixels.size
    for m in range(n):
        region[pixels[m]] = 1
    for step in range(2):
        threshold = np.float32(threshold1 if step == 0 else threshold2)
        pixels, n = _dilated(pixels, n, 1, region, h, w)
        pixels, n = _grown(
            pixels, n, 5, sign, threshold, region, x0, y0, blurred, own, index, total, weight, who, count, minimum_count
        )
    pixels, n = _dilated(pixels, n, 3, region, h, w)
    return pixels[:n]


@njit(cache=True, nogil=True)
def _grown(
    pixels, n, radius, sign, threshold, region, x0, y0, blurred, own, index, total, weight, who, count, minimum_count
):
    """Add the pixels within a city-block distance of the region that exceed a threshold."""
    h, w = blurred.shape
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
                s, _ = _significance(ii, jj, x0, y0, blurred, own, index, total, weight, who, count, minimum_count)
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
def pixels_in_regions(grid, x0, y0, w_image, left0, top0, regions, places, bits):
    """Carry regions of the target to the pixels of an image.

    Parameters
    ----------
    grid : GridArrays
        From the image to the target.
    x0, y0 : int
        Origin of that map's box in the image.
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
    row, x, y = np.empty(grid.node_x.shape[1]), np.empty(w), np.empty(w)
    ix, iy = np.empty(w, np.int64), np.empty(w, np.int64)
    n = 0
    for i in range(grid.index_y.size):
        row_positions(grid, i, 0, w, row, x, y)
        if nearest_of_row(grid, w, x, y, ix, iy) == 0:
            continue
        for j in range(w):
            a, b = ix[j] - left0, iy[j] - top0
            if ix[j] < 0 or not (0 <= a < width and 0 <= b < height) or regions[b, a] == 0:
                continue
            if n < places.size:
                places[n] = (y0 + i) * w_image + x0 + j
                bits[n] = regions[b, a]
            n += 1
    return n


@njit(cache=True, nogil=True)
def nearest_of_places(grid, places, ix, iy):
    """Nearest image pixel of listed places of a map's box; -1 where there is none."""
    w = grid.index_x.size
    row, x, y = np.empty(grid.node_x.shape[1]), np.empty(1), np.empty(1)
    for m in range(places.size):
        i, j = places[m] // w, places[m] % w
        row_positions(grid, i, j, j + 1, row, x, y)
        nearest_of_row(grid, 1, x, y, ix[m : m + 1], iy[m : m + 1])
