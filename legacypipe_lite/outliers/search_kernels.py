"""Kernels of the outlier search: statistics of blurred images on the target grid, and comparison with them."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..wcs.grid_kernels import BLOCK, nearest_of_row, new_positions, row_positions
from ..wcs.resample_kernels import lanczos_row, lanczos_scratch, lanczos_setup
from ..wcs.tile_kernels import cut_tile, gather, tile_of_block, to_tile

__all__ = [
    "BandSums",
    "BlurredImage",
    "Compared",
    "add_blurred_rows",
    "clip_extremes",
    "find_candidates",
    "select_seeds",
    "significance",
]

SEED_SIGMA = 5.0
SEED_RELATIVE = 2.0
_NO_WEIGHT = 1e-16
#: Below this fraction of an image's own weight, the weight of the others is rounding noise.
_ROUNDING = 1e-6
#: Squared significance from which on a pixel is looked at exactly; below SEED_SIGMA**2, because values are rounded.
_CANDIDATE2 = 20.0
#: Pixels of the Lanczos stencil beyond the nearest pixel.
_STENCIL = 3


class BandSums(NamedTuple):
    """Sums of the blurred images of a band on the target.

    Attributes
    ----------
    total, weight : numpy.ndarray of float32, shape (H, W)
        Sums of weight * value, and of weight.
    count : numpy.ndarray of int16, shape (H, W)
        Number of images.
    clip_count : int
        From so many images on, the smallest and the largest value are left out.
    extremes : numpy.ndarray of float32, shape (4, H, W) or (0, H, W)
        Smallest value and its weight, largest value and its weight; only if there is room for them.
    who : numpy.ndarray of int16, shape (2, H, W) or (0, H, W)
        Number of the image with the smallest and with the largest value, likewise. With it, an image whose value was
        left out is not subtracted a second time when it is compared.
    any_mask : numpy.ndarray of int16, shape (H, W)
        Data-quality bits that any image has.
    """

    total: NDArray[np.float32]
    weight: NDArray[np.float32]
    count: NDArray[np.int16]  # type: ignore[assignment]  # not the method of a tuple
    clip_count: int
    extremes: NDArray[np.float32]
    who: NDArray[np.int16]
    any_mask: NDArray[np.int16]


class BlurredImage(NamedTuple):
    """One image, blurred to the width that all are blurred to.

    Attributes
    ----------
    index : int
        Number of the image.
    image, inverr : numpy.ndarray of float32, shape (h, w)
    dq : numpy.ndarray of uint16, shape (h, w)
    weight_factor : float
        Weight of a blurred pixel / inverse variance of an image pixel.
    """

    index: int  # type: ignore[assignment]  # not the method of a tuple
    image: NDArray[np.float32]
    inverr: NDArray[np.float32]
    dq: NDArray[np.uint16]
    weight_factor: float


class Compared(NamedTuple):
    """One image on the target, which is compared with the others.

    Attributes
    ----------
    index : int
        Number of the image.
    x0, y0 : int
        Origin of its map's box in the target.
    values : numpy.ndarray of float32, shape of the box
        Blurred and resampled, 0 off the image.
    weights : numpy.ndarray of float32, shape of the box
        From `find_candidates`, 0 off the image.
    """

    index: int  # type: ignore[assignment]  # not the method of a tuple
    x0: int
    y0: int
    values: NDArray[np.float32]
    weights: NDArray[np.float32]


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
def add_blurred_rows(row0, row1, grid, table, image, sums, blurred):
    """Resample rows of a blurred image, and add them to the statistics of its band.

    Parameters
    ----------
    row0, row1 : int
        Rows of the map's box; different rows can be added by different threads at a time.
    grid : GridArrays
    table : float32, 1-d
        `LANCZOS_TABLE`, flat.
    image : BlurredImage
    sums : BandSums
        Changed.
    blurred : float32 (box)
        Out: the resampled values.
    """
    total, weight, count, _, extremes, who, any_mask = sums
    positions = new_positions(grid, BLOCK)
    ix, iy = positions.ix, positions.iy
    scratch = lanczos_scratch(BLOCK)
    own = np.empty(BLOCK, np.float32)
    here, quality = np.empty(BLOCK, np.int16), np.empty(BLOCK, np.int16)
    box = np.empty(4, np.int64)
    tile, tile_inverr, tile_dq = np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.uint16)
    for left in range(0, grid.index_x.size, BLOCK):
        right = min(left + BLOCK, grid.index_x.size)
        n = right - left
        if not tile_of_block(grid, row0, row1, left, right, _STENCIL, positions, box):
            blurred[row0:row1, left:right] = 0.0
            continue
        w, h = box[1] - box[0], box[3] - box[2]
        if tile.size < w * h:
            tile, tile_inverr = np.empty(w * h, np.float32), np.empty(w * h, np.float32)
            tile_dq = np.empty(w * h, np.uint16)
        cut_tile(image.image, box, tile)
        cut_tile(image.inverr, box, tile_inverr)
        cut_tile(image.dq, box, tile_dq)
        tx = slice(grid.x0 + left, grid.x0 + right)
        for i in range(row0, row1):
            ty = grid.y0 + i
            value = blurred[i, left:right]
            row_positions(grid, i, left, right, positions)
            if nearest_of_row(grid, n, positions) == 0:
                value[:] = 0.0
                continue
            lanczos_setup(n, positions.x, positions.y, ix, iy, table, scratch)
            to_tile(n, box, ix, iy)
            lanczos_row(n, tile, w, h, ix, iy, scratch, value)
            gather(n, tile_inverr, w, ix, iy, own)
            gather(n, tile_dq, w, ix, iy, quality)
            for j in range(n):
                here[j] = ix[j] >= 0
                own[j] = np.float32(own[j] * own[j] * image.weight_factor)
            _add_sums(n, here, value, own, quality, total[ty, tx], weight[ty, tx], any_mask[ty, tx], count[ty, tx])
            for k in range(extremes.shape[0] // 2):
                sign = np.float32(1.0) if k == 0 else np.float32(-1.0)
                if who.shape[0] > 0:
                    _note_extreme(n, here, value, sign, extremes[2 * k, ty, tx], image.index, who[k, ty, tx])
                _update_extreme(n, here, value, own, sign, extremes[2 * k, ty, tx], extremes[2 * k + 1, ty, tx])


@njit(cache=True, nogil=True)
def clip_extremes(row0, row1, sums):
    """Take the smallest and the largest value out of the sums of rows where enough images are."""
    total, weight, count, clip_count, extremes, _, _ = sums
    w = total.shape[1]
    for y in range(row0, row1):
        for x in range(w):
            if count[y, x] < clip_count:
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
def _times(index, clip_count, count, low, high):
    """How often an image is in the sums with which it is compared: not at all where it was clipped."""
    times = 1
    if count >= clip_count:
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
def find_candidates(grid, inverr, weight_factor, compared, sums, found):
    """Weights of the blurred pixels of one image, and the pixels that may be seeds of outliers.

    Parameters
    ----------
    grid : GridArrays
    inverr : float32 (h, w)
    weight_factor : float64
        See `BlurredImage`.
    compared : Compared
        Out: weights.
    sums : BandSums
    found : bool (box)
        Out: pixels to be looked at.

    Returns
    -------
    int
        Number of these.
    """
    blurred, own = compared.values, compared.weights
    total, weight, who = sums.total, sums.weight, sums.who
    h, w = blurred.shape
    positions = new_positions(grid, BLOCK)
    ix, iy = positions.ix, positions.iy
    box, tile = np.empty(4, np.int64), np.empty(0, np.float32)
    strip = 64
    number = 0
    for row0 in range(0, h, strip):
        row1 = min(row0 + strip, h)
        for left in range(0, w, BLOCK):
            right = min(left + BLOCK, w)
            n = right - left
            if not tile_of_block(grid, row0, row1, left, right, 0, positions, box):
                own[row0:row1, left:right] = 0.0
                found[row0:row1, left:right] = False
                continue
            width = box[1] - box[0]
            if tile.size < width * (box[3] - box[2]):
                tile = np.empty(width * (box[3] - box[2]), np.float32)
            cut_tile(inverr, box, tile)
            for i in range(row0, row1):
                row_positions(grid, i, left, right, positions)
                nearest_of_row(grid, n, positions)
                to_tile(n, box, ix, iy)
                weights, here = own[i, left:right], found[i, left:right]
                gather(n, tile, width, ix, iy, weights)
                for j in range(n):
                    weights[j] = np.float32(weights[j] * weights[j] * weight_factor)
                ty, tx = grid.y0 + i, slice(grid.x0 + left, grid.x0 + right)
                if who.shape[0] == 0:
                    _may_differ(n, blurred[i, left:right], weights, total[ty, tx], weight[ty, tx], here)
                else:
                    for j in range(n):
                        here[j] = weights[j] > 0
                for j in range(n):
                    number += here[j]
    return number


@njit(cache=True, nogil=True)
def significance(i, j, compared, sums):
    """Difference of a pixel of the box from the mean of the others [sigma], and this mean; (0, 0) if not defined."""
    v = compared.weights[i, j]
    if not v > 0:
        return 0.0, 0.0
    y, x = compared.y0 + i, compared.x0 + j
    times, who = 1, sums.who
    if who.shape[0] > 0:
        times = _times(compared.index, sums.clip_count, sums.count[y, x], who[0, y, x], who[1, y, x])
    others = sums.weight[y, x] - times * v
    if others <= _NO_WEIGHT or others < _ROUNDING * v:
        return 0.0, 0.0
    g = compared.values[i, j]
    mean = (sums.total[y, x] - times * (g * v)) / others
    return (g - mean) / math.sqrt(1.0 / v + 1.0 / others), mean


@njit(cache=True, nogil=True)
def select_seeds(compared, sums, veto, floor, found, seeds, signs):
    """The seeds of outliers among the candidates.

    Parameters
    ----------
    compared : Compared
    sums : BandSums
    veto : bool (H, W)
        Where no outlier may start.
    floor : float64
        Typical sigma of the blurred image, the smallest denominator of the relative difference.
    found : bool (box)
        From `find_candidates`.
    seeds : int64
        Out: their places in the box, flat.
    signs : int8
        Out: +1 for those that are brighter than the others, -1 for fainter ones.

    Returns
    -------
    int
        Number of seeds.
    """
    blurred, x0, y0 = compared.values, compared.x0, compared.y0
    h, w = blurred.shape
    n = 0
    for i in range(h):
        for j in range(w):
            if not found[i, j] or veto[y0 + i, x0 + j]:
                continue
            s, mean = significance(i, j, compared, sums)
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
