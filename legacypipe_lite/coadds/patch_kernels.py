"""Kernels: filling of masked pixels next to good ones, and city-block dilation of masks."""

import math

import numpy as np
from numba import njit

#: City-block radius around good pixels within which masked pixels are filled.
PATCH_RADIUS = 3


@njit(cache=True, nogil=True)
def needed_pixels(good, radius, ys, xs):
    """List the bad pixels within a city-block distance of a good one.

    Parameters
    ----------
    good : bool (h, w)
    radius : int
    ys, xs : int32 (number of bad pixels,)
        Out: their indices, in C order.

    Returns
    -------
    int
        How many there are.
    """
    h, w = good.shape
    n = 0
    for y in range(h):
        for x in range(w):
            if good[y, x]:
                continue
            found = False
            for yy in range(max(0, y - radius), min(h, y + radius + 1)):
                reach = radius - abs(yy - y)
                for xx in range(max(0, x - reach), min(w, x + reach + 1)):
                    if good[yy, xx]:
                        found = True
                        break
                if found:
                    break
            if found:
                ys[n] = y
                xs[n] = x
                n += 1
    return n


@njit(cache=True, nogil=True)
def patch_pixels(image, good, ys, xs, n):
    """Fill listed bad pixels with the mean of their good neighbours, in passes, in place.

    Each pass sees the state that the previous one left; a pixel filled in one pass counts as good in the next.
    Pixels without a usable neighbour become 0. `good` is changed, too; `ys`, `xs` are overwritten.
    """
    h, w = image.shape
    value = np.empty(n, np.float32)
    count = np.empty(n, np.int32)
    while n > 0:
        for i in range(n):
            y = ys[i]
            x = xs[i]
            total = np.float32(0.0)
            k = 0
            if y > 0 and good[y - 1, x] and math.isfinite(image[y - 1, x]):
                total += image[y - 1, x]
                k += 1
            if x > 0 and good[y, x - 1] and math.isfinite(image[y, x - 1]):
                total += image[y, x - 1]
                k += 1
            if y < h - 1 and good[y + 1, x] and math.isfinite(image[y + 1, x]):
                total += image[y + 1, x]
                k += 1
            if x < w - 1 and good[y, x + 1] and math.isfinite(image[y, x + 1]):
                total += image[y, x + 1]
                k += 1
            value[i] = total / np.float32(max(k, 1))
            count[i] = k
        left = 0
        for i in range(n):
            image[ys[i], xs[i]] = value[i]
            if count[i] > 0:
                good[ys[i], xs[i]] = True
            else:
                ys[left] = ys[i]
                xs[left] = xs[i]
                left += 1
        if left == n:
            break
        n = left


@njit(cache=True, nogil=True)
def dilate_cross(mask, radius, out):
    """Pixels within a city-block distance `radius` of a true pixel: two passes of the exact distance transform.

    Parameters
    ----------
    mask : bool (h, w)
    radius : int
        At most 250.
    out : uint8 (h, w)
        Out: 1 within the radius, else 0.
    """
    h, w = mask.shape
    far = np.uint8(radius + 1)
    one = np.uint8(1)
    for y in range(h):
        for x in range(w):
            d = far
            if mask[y, x]:
                d = np.uint8(0)
            else:
                if y > 0 and out[y - 1, x] < d:
                    d = out[y - 1, x] + one
                if x > 0 and out[y, x - 1] < d:
                    d = out[y, x - 1] + one
            out[y, x] = d
    for y in range(h - 1, -1, -1):
        for x in range(w - 1, -1, -1):
            d = out[y, x]
            if y < h - 1 and out[y + 1, x] < d:
                d = min(d, out[y + 1, x] + one)
            if x < w - 1 and out[y, x + 1] < d:
                d = min(d, out[y, x + 1] + one)
            out[y, x] = d
    for y in range(h):
        for x in range(w):
            out[y, x] = one if out[y, x] <= radius else np.uint8(0)
