"""Kernels: values for masked pixels, from good ones next to them or from a stack; listed pixels in tiles."""

import math

import numpy as np
from numba import njit

from ..wcs.projection_kernels import packed_pixel_to_sky, packed_sky_to_pixel

#: City-block radius around good pixels within which masked pixels are filled.
PATCH_RADIUS = 3
#: The value of a filled pixel depends on nothing farther away than this, wherever the image is finite. It also holds
#: the Lanczos stencil of the pixels around.
PATCH_MARGIN = 8


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
def patch_tile(image, inverr, width, height):
    """Fill the masked pixels of a flat tile, see `patch_pixels`.

    Parameters
    ----------
    image, inverr : float32, 1-d
        Rows of `width` pixels; masked ones have no inverse error. `image` is changed.
    width, height : int
    """
    size = width * height
    n_bad = 0
    for k in range(size):
        n_bad += not inverr[k] > 0
    if n_bad == 0 or n_bad == size:
        return
    good = np.empty((height, width), np.bool_)
    for y in range(height):
        row = inverr[y * width : (y + 1) * width]
        for x in range(width):
            good[y, x] = row[x] > 0
    ys, xs = np.empty(n_bad, np.int32), np.empty(n_bad, np.int32)
    n = needed_pixels(good, PATCH_RADIUS, ys, xs)
    patch_pixels(image[:size].reshape((height, width)), good, ys, xs, n)


@njit(cache=True, nogil=True)
def values_from_stack(places, image, packed_image, packed_target, stack, values):
    """Values of a stack at pixels of an image; the image's own values off the stack.

    Parameters
    ----------
    places : int32
        Pixels of the image, flat.
    image : float32 (h, w)
    packed_image, packed_target : float64
        Packed WCS of image and stack.
    stack : float32 (H, W)
    values : float32
        Out.
    """
    w = image.shape[1]
    height, width = stack.shape
    for k in range(places.size):
        y, x = places[k] // w, places[k] % w
        values[k] = image[y, x]
        ra, dec = packed_pixel_to_sky(packed_image, float(x), float(y))
        tx, ty = packed_sky_to_pixel(packed_target, ra, dec)
        # Truncation toward zero: positions down to -1.5 (exclusive) count as pixel 0. NaN fails the comparisons.
        if -1.5 < tx < width and -1.5 < ty < height:
            ix, iy = int(tx + 0.5), int(ty + 0.5)
            if ix < width and iy < height:
                values[k] = stack[iy, ix]


@njit(cache=True, nogil=True)
def replace_in_tile(tile, box, width, places, values):
    """Set the listed pixels of an image in a tile of it.

    Parameters
    ----------
    tile : float32, 1-d
        Changed.
    box : int64 (4,)
        x0, x1, y0, y1 of the tile in the image.
    width : int
        Of the image.
    places : int32
        Pixels of the image, flat, increasing.
    values : float32
    """
    x0, x1, y0, y1 = box
    first, last = np.searchsorted(places, y0 * width + x0), np.searchsorted(places, (y1 - 1) * width + x1)
    for k in range(first, last):
        y, x = places[k] // width, places[k] % width
        if x0 <= x < x1:
            tile[(y - y0) * (x1 - x0) + x - x0] = values[k]


@njit(cache=True, nogil=True)
def mask_in_tile(inverr, dq, box, width, places, bit):
    """Take away the weight of the listed pixels of an image in a tile of it, and flag them; see `replace_in_tile`."""
    x0, x1, y0, y1 = box
    first, last = np.searchsorted(places, y0 * width + x0), np.searchsorted(places, (y1 - 1) * width + x1)
    for k in range(first, last):
        y, x = places[k] // width, places[k] % width
        if x0 <= x < x1:
            at = (y - y0) * (x1 - x0) + x - x0
            inverr[at] = 0.0
            dq[at] |= bit
