"""Kernels: paint discs and ellipses of mask bits."""

import math

import numpy as np
from numba import njit


@njit(cache=True)
def _clipped(value, size):
    return int(min(max(value, 0.0), float(size)))


@njit(cache=True)
def paint_disc(mask, x, y, radius, bit):
    """Set `bit` where the distance to (x, y) is at most `radius` [pixel]."""
    height, width = mask.shape
    x0, x1 = _clipped(math.floor(x - radius), width), _clipped(math.ceil(x + 1 + radius), width)
    y0, y1 = _clipped(math.floor(y - radius), height), _clipped(math.ceil(y + 1 + radius), height)
    limit = float(radius * radius)
    value = np.uint8(bit)
    for iy in range(y0, y1):
        dy2 = (iy - y) * (iy - y)
        for ix in range(x0, x1):
            if (ix - x) * (ix - x) + dy2 <= limit:
                mask[iy, ix] |= value


@njit(cache=True)
def paint_ellipse(mask, x, y, radius, ba, pa, cd, bit):
    """Set `bit` inside an ellipse.

    `radius` is the semi-major axis [pixel], `ba` the axis ratio, `pa` the position angle [deg, East of North]; `cd` is
    the CD matrix scaled to unit determinant.
    """
    height, width = mask.shape
    x0, x1 = _clipped(math.floor(x - radius), width), _clipped(math.ceil(x + 1 + radius), width)
    y0, y1 = _clipped(math.floor(y - radius), height), _clipped(math.ceil(y + 1 + radius), height)
    angle = math.radians(90.0 + pa)
    c, s = math.cos(angle), math.sin(angle)
    a2 = float(radius * radius)
    b2 = (radius * ba) ** 2
    value = np.uint8(bit)
    if b2 == 0.0:
        return
    for iy in range(y0, y1):
        dy = iy - y
        for ix in range(x0, x1):
            dx = ix - x
            u = cd[0, 0] * dx + cd[0, 1] * dy
            v = cd[1, 0] * dx + cd[1, 1] * dy
            along = u * c - v * s
            across = u * s + v * c
            if along * along / a2 + across * across / b2 < 1.0:
                mask[iy, ix] |= value
