"""Kernel: dilation of masks by a city-block distance, in two sweeps."""

import numpy as np
from numba import njit

__all__ = ["dilate"]


@njit(cache=True, nogil=True)
def _grow(mask, n, distance):
    """City-block distance to the nearest True pixel, capped at n + 1, in two sweeps; then the test <= n."""
    h, w = mask.shape
    far = n + 1
    for y in range(h):
        left = far
        for x in range(w):
            if mask[y, x]:
                left = 0
            else:
                left = min(left + 1, far)
                if y > 0:
                    left = min(left, distance[y - 1, x] + 1)
            distance[y, x] = left
    out = np.empty((h, w), np.bool_)
    for y in range(h - 1, -1, -1):
        right = far
        for x in range(w - 1, -1, -1):
            d = min(np.int64(distance[y, x]), right + 1)
            if y < h - 1:
                d = min(d, distance[y + 1, x] + 1)
            right = d
            distance[y, x] = d
            out[y, x] = d <= n
    return out


@njit(cache=True, nogil=True)
def dilate(mask, n):
    """Pixels within city-block distance `n` of a True pixel (a new array); n <= 0 changes nothing."""
    if n <= 0:
        return mask.copy()
    if n < 255:
        return _grow(mask, n, np.empty(mask.shape, np.uint8))
    return _grow(mask, n, np.empty(mask.shape, np.int32))
