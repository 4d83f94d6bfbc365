"""Kernels: where the tims see a blob, and where a source's boxes lie in it."""

import math

import numpy as np
from numba import njit

from ..wcs.projection_kernels import packed_pixel_to_sky, packed_sky_to_pixel


@njit(cache=True)
def footprints(packed, shapes, ra, dec, boxes):
    """Part of each image that covers a polygon on the sky.

    Parameters
    ----------
    packed : float64 (n, PACKED_SIZE)
        Packed WCS of the images.
    shapes : int64 (n, 2)
        Heights and widths.
    ra, dec : float64 (m,)
        Corners [deg].
    boxes : int64 (n, 4)
        Out: x0, y0, w, h; w = 0 where an image sees nothing of it.
    """
    for i in range(packed.shape[0]):
        boxes[i] = 0
        xlo, xhi, ylo, yhi = np.inf, -np.inf, np.inf, -np.inf
        projects = True
        for k in range(ra.size):
            x, y = packed_sky_to_pixel(packed[i], ra[k], dec[k])
            if not (math.isfinite(x) and math.isfinite(y)):
                projects = False
                break
            xlo, xhi = min(xlo, x), max(xhi, x)
            ylo, yhi = min(ylo, y), max(yhi, y)
        height, width = shapes[i, 0], shapes[i, 1]
        if not projects or xhi < 0 or yhi < 0 or xlo > width or ylo > height:
            continue
        xa, xb = _clipped(math.floor(xlo), width), _clipped(math.ceil(xhi), width)
        ya, yb = _clipped(math.floor(ylo), height), _clipped(math.ceil(yhi), height)
        boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = xa, ya, xb + 1 - xa, yb + 1 - ya


@njit(cache=True, inline="always")
def _clipped(value, size):
    return int(min(max(value, 0.0), size - 1.0))


@njit(cache=True)
def boxes_with_data(rectangles, offset, width, inverr, boxes):
    """Copy rectangles (n, 4) to `boxes`, with w = 0 for those without an unmasked pixel; returns how many have one."""
    found = 0
    for i in range(rectangles.shape[0]):
        x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        good = False
        for y in range(h if w > 0 else 0):
            start = offset[i] + (y0 + y) * width[i] + x0
            for x in range(w):
                if inverr[start + x] > np.float32(0.0):
                    good = True
                    break
            if good:
                break
        for k in range(4):
            boxes[i, k] = rectangles[i, k] if good else 0
        if good:
            found += 1
    return found


@njit(cache=True)
def extent_in_blob(boxes, packed, packed_blob):
    """Bounding rectangle (xlo, xhi, ylo, yhi), in blob pixels, of the boxes' corner pixels in all images."""
    xlo, xhi, ylo, yhi = np.inf, -np.inf, np.inf, -np.inf
    for i in range(boxes.shape[0]):
        if boxes[i, 2] == 0:
            continue
        for k in range(4):
            x = boxes[i, 0] + (boxes[i, 2] - 1) * (k % 2)
            y = boxes[i, 1] + (boxes[i, 3] - 1) * (k // 2)
            ra, dec = packed_pixel_to_sky(packed[i], float(x), float(y))
            bx, by = packed_sky_to_pixel(packed_blob, ra, dec)
            xlo, xhi = min(xlo, bx), max(xhi, bx)
            ylo, yhi = min(ylo, by), max(yhi, by)
    return xlo, xhi, ylo, yhi


@njit(cache=True)
def position_in_mask(packed_blob, ra, dec, x0, x1, y0, y1, mask):
    """True if the pixel of a sky position (truncated) is in a rectangle of the blob, and in its mask."""
    x, y = packed_sky_to_pixel(packed_blob, ra, dec)
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    ix, iy = int(x), int(y)
    return x0 <= ix < x1 and y0 <= iy < y1 and mask[iy, ix]
