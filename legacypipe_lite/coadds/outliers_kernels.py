"""Kernels of the outlier search: statistics of blurred images on the target grid, and comparison with them."""

import math

import numpy as np
from numba import njit

SEED_SIGMA = 5.0
SEED_RELATIVE = 2.0
_NO_WEIGHT = 1e-16
#: Below this fraction of an image's own weight, the weight of the others is rounding noise.
_ROUNDING = 1e-6


@njit(cache=True, nogil=True)
def add_blurred(x0, y0, blurred, ix, iy, inverr, dq, weight_factor, index, total, weight, ormask, count, extremes, who):
    """Add one blurred, resampled image to the statistics of its band.

    Parameters
    ----------
    x0, y0 : int
        Origin of the map's box in the target.
    blurred : float32 (box)
    ix, iy : int32 (box)
    inverr, dq : (h, w) of the image
    weight_factor : float64
        Weight of a blurred pixel / inverse variance of an image pixel.
    index : int
    total, weight : float32 (H, W)
        Sums of weight * value, and of weight.
    ormask, count : int16 (H, W)
    extremes : float32 (4, H, W) or (0, H, W)
        Smallest value and its weight, largest value and its weight; only if there is room for them.
    who : int16 (2, H, W)
        Number of the image with the smallest and with the largest value.
    """
    h, w = blurred.shape
    with_extremes = extremes.shape[0] > 0
    for i in range(h):
        y = y0 + i
        for j in range(w):
            if ix[i, j] < 0:
                continue
            x = x0 + j
            g = blurred[i, j]
            e = inverr[iy[i, j], ix[i, j]]
            v = np.float32(e * e * weight_factor)
            total[y, x] += g * v
            weight[y, x] += v
            ormask[y, x] |= int(dq[iy[i, j], ix[i, j]])
            count[y, x] += 1
            if not with_extremes:
                continue
            if g < extremes[0, y, x]:
                extremes[0, y, x] = g
                extremes[1, y, x] = v
                who[0, y, x] = index
            if g > extremes[2, y, x]:
                extremes[2, y, x] = g
                extremes[3, y, x] = v
                who[1, y, x] = index


@njit(cache=True, nogil=True)
def clip_extremes(total, weight, count, extremes, minimum_count):
    """Take the smallest and the largest value out of the sums where enough images are."""
    h, w = total.shape
    for y in range(h):
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
def image_weights(ix, iy, inverr, weight_factor, out):
    """Positive weights of the blurred pixels of one image in a flat array; returns their number."""
    h, w = ix.shape
    n = 0
    for i in range(h):
        for j in range(w):
            if ix[i, j] >= 0:
                e = inverr[iy[i, j], ix[i, j]]
                v = np.float32(e * e * weight_factor)
                if v > 0:
                    out[n] = v
                    n += 1
    return n


@njit(cache=True, nogil=True)
def compare_image(
    x0,
    y0,
    blurred,
    ix,
    iy,
    inverr,
    weight_factor,
    floor,
    index,
    total,
    weight,
    who,
    count,
    minimum_count,
    veto,
    sn,
    seed,
):
    """Compare one image with the others of its band.

    Parameters
    ----------
    floor : float64
        Typical sigma of the blurred image, the smallest denominator of the relative difference.
    who : int16 (2, H, W) or (0, H, W)
        If given, an image whose value was clipped as smallest or largest is not taken out a second time.
    count, minimum_count
        Where values were clipped.
    veto : bool (H, W)
    sn : float32 (box)
        Out: significance of the difference, 0 where it is not defined.
    seed : int8 (box)
        Out: +1, -1 for positive, negative seeds of an outlier, else 0.

    Returns
    -------
    int
        Number of seeds.
    """
    h, w = blurred.shape
    leave_one_out = who.shape[0] > 0
    found = 0
    for i in range(h):
        y = y0 + i
        for j in range(w):
            sn[i, j] = 0.0
            seed[i, j] = 0
            if ix[i, j] < 0:
                continue
            x = x0 + j
            e = inverr[iy[i, j], ix[i, j]]
            v = np.float32(e * e * weight_factor)
            if not v > 0:
                continue
            g = blurred[i, j]
            times = 1
            if leave_one_out and count[y, x] >= minimum_count:
                for k in range(2):
                    if who[k, y, x] == index:
                        times -= 1
            others = weight[y, x] - times * v
            if others <= _NO_WEIGHT or others < _ROUNDING * v:
                continue
            mean = (total[y, x] - times * (g * v)) / others
            s = (g - mean) / math.sqrt(1.0 / v + 1.0 / others)
            sn[i, j] = s
            if veto[y, x]:
                continue
            relative = (g - mean) / max(mean, floor)
            if s > SEED_SIGMA and relative > SEED_RELATIVE:
                seed[i, j] = 1
                found += 1
            elif s < -SEED_SIGMA and relative < -SEED_RELATIVE:
                seed[i, j] = -1
                found += 1
    return found


@njit(cache=True, nogil=True)
def mask_on_image(x0, y0, ix, iy, hot, cold, hot_bit, cold_bit, out):
    """Carry regions of the target to the pixels of an image.

    Parameters
    ----------
    x0, y0 : int
        Origin of the regions in the target.
    ix, iy : int32 (h, w)
        Nearest target pixel of each image pixel, -1 for none.
    hot, cold : bool
        Regions; the second one prevails.
    hot_bit, cold_bit : int
    out : uint8 (h, w)
        Out: a bit, or unchanged outside the regions.
    """
    height, width = hot.shape
    for i in range(ix.shape[0]):
        for j in range(ix.shape[1]):
            y = iy[i, j] - y0
            x = ix[i, j] - x0
            if ix[i, j] < 0 or not (0 <= y < height and 0 <= x < width):
                continue
            if cold[y, x]:
                out[i, j] = cold_bit
            elif hot[y, x]:
                out[i, j] = hot_bit
