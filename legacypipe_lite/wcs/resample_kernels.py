"""Kernels: Lanczos-3 resampling, row by row."""

import numpy as np
from numba import njit

from .grid_kernels import BLOCK, nearest_of_row, new_positions, row_positions
from .vector_kernels import LANES, TAPS, blend, stencil_sum

__all__ = [
    "LANCZOS_TABLE",
    "lanczos_image",
    "lanczos_row",
    "lanczos_scratch",
    "lanczos_setup",
    "nearest_maps",
    "nearest_values",
]

LANCZOS_BINS = 1024


def _lanczos_table():
    """Weights of the 7 taps for 1024 bins per pixel of the fractional offset; float32 (1025, 8), last column 0."""
    t = -3.5 + np.arange(LANCZOS_BINS + 1)[:, None] / LANCZOS_BINS + np.arange(7)[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        k = 3 * np.sin(np.pi * t) * np.sin(np.pi * t / 3) / (np.pi * t) ** 2
    k[t == 0] = 1.0
    k[np.abs(t) >= 3] = 0.0
    table = np.zeros((LANCZOS_BINS + 1, LANES), np.float32)
    table[:, :7] = k
    return table


LANCZOS_TABLE = _lanczos_table()

#: Products may be fused with the sums that they go into; nothing is reordered.
_FUSED = {"contract"}


@njit(cache=True, nogil=True)
def lanczos_scratch(n):
    """Scratch of `lanczos_setup` and `lanczos_row` for up to n pixels: float32 (2, 8 n), float32 (3, n), int64 (n,)."""
    return np.zeros((2, LANES * n), np.float32), np.zeros((3, n), np.float32), np.zeros(n, np.int64)


@njit(cache=True, nogil=True)
def _bins(n, x, ix, table_row, fraction):
    """Row of the table and fraction of a bin for each of n positions.

    The table is linear between bins; offsets beyond half a pixel extrapolate its last bin.
    """
    for j in range(n):
        q = (0.5 - (x[j] - ix[j])) * LANCZOS_BINS
        t = int(min(max(q, 0.0), LANCZOS_BINS - 1.0))
        table_row[j] = LANES * t
        fraction[j] = np.float32(q - t)


@njit(cache=True, nogil=True)
def _sums_of_eight(n, weights, out):
    """Sum of each group of eight weights. (All eight are named so that the loop becomes vector operations.)"""
    for j in range(n):
        k = LANES * j
        out[j] = (
            (weights[k] + weights[k + 1])
            + (weights[k + 2] + weights[k + 3])
            + (weights[k + 4] + weights[k + 5])
            + (weights[k + 6] + weights[k + 7])
        )


@njit(cache=True, nogil=True)
def lanczos_setup(n, x, y, ix, iy, table, scratch):
    """Weights of n positions.

    Parameters
    ----------
    n : int
    x, y : float64
        Positions; those without a pixel may be anything.
    ix, iy : int64
        Their nearest pixels.
    table : float32, 1-d
        `LANCZOS_TABLE`, flat.
    scratch
        From `lanczos_scratch`, for at least n pixels. Out: weights along x and along y for each position (eight of
        them, the last one 0), and the product of their sums.
    """
    weights, sums, table_row = scratch
    fraction = sums[2]
    for axis in range(2):
        _bins(n, x if axis == 0 else y, ix if axis == 0 else iy, table_row, fraction)
        out = weights[axis]
        for j in range(n):
            blend(table, np.uintp(table_row[j]), fraction[j], out, np.uintp(LANES * j))
        _sums_of_eight(n, out, sums[axis])
    norm, other = sums[0], sums[1]
    for j in range(n):
        norm[j] *= other[j]


@njit(cache=True, nogil=True, fastmath=_FUSED)
def _sum_at_edge(image, width, height, x, y, wx, wy, first):
    """Weighted sum of the 7 x 7 pixels around (x, y); edge pixels are replicated."""
    total = np.float32(0.0)
    for m in range(TAPS):
        row = min(max(y - 3 + m, 0), height - 1) * width
        partial = np.float32(0.0)
        for k in range(TAPS):
            partial += wx[first + k] * image[row + min(max(x - 3 + k, 0), width - 1)]
        total += wy[first + m] * partial
    return total


@njit(cache=True, nogil=True, fastmath=_FUSED)
def _sum_in_corner(image, start, width, wx, wy, first):
    """As `vector_kernels.stencil_sum`, where the image has no eighth column any more: in its last corner."""
    total = np.float32(0.0)
    for k in (1, 0, 2, 3, 4, 5, 6):
        column = np.float32(0.0)
        for m in range(TAPS):
            column += wy[first + m] * image[start + m * width + k]
        total += column * wx[first + k]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def lanczos_row(n, image, width, height, ix, iy, scratch, out):
    """Lanczos-3 values at n positions.

    Parameters
    ----------
    n : int
    image : float32, 1-d
        Flat image of `height` rows of `width` pixels.
    ix, iy : int64
        Nearest pixels of the positions; -1 for none.
    scratch
        After `lanczos_setup`; serves for several images.
    out : float32
        Out: 0 where there is no pixel.
    """
    weights, sums, _ = scratch
    wx, wy = weights[0], weights[1]
    last = image.size - (TAPS - 1) * width - LANES
    for j in range(n):
        x, y = ix[j], iy[j]
        if 3 <= x < width - 3 and 3 <= y < height - 3:
            start = (y - 3) * width + x - 3
            if start <= last:
                out[j] = stencil_sum(image, np.uintp(start), np.uintp(width), wx, wy, np.uintp(LANES * j))
            else:
                out[j] = _sum_in_corner(image, start, width, wx, wy, LANES * j)
        elif x < 0:
            out[j] = 0.0
        else:
            out[j] = _sum_at_edge(image, width, height, x, y, wx, wy, LANES * j)
    norm = sums[0]
    for j in range(n):
        out[j] /= norm[j]


@njit(cache=True, nogil=True)
def nearest_maps(fx, fy, half, width, height, ix, iy):
    """Nearest input pixel of every output pixel, see `grid_kernels.nearest_of_row`; -1 in both maps if there is none.

    Parameters
    ----------
    fx, fy : float32 or float64 (h, w)
    half : of the same type
        0.5.
    width, height : int
        Of the input image.
    ix, iy : int32 (h, w)
        Out.
    """
    h, w = fx.shape
    for i in range(h):
        for j in range(w):
            x = fx[i, j]
            y = fy[i, j]
            inside = x > -1.5 and y > -1.5 and x + half < width and y + half < height
            ix[i, j] = int(x + half) if inside else -1
            iy[i, j] = int(y + half) if inside else -1


@njit(cache=True, nogil=True)
def nearest_values(grid, row0, row1, image, out):
    """Values of the nearest pixels in rows row0 ... row1 - 1 of a map's box; `out` is left alone where there are none.

    Parameters
    ----------
    grid : GridArrays
    row0, row1 : int
    image : (height, width)
    out : (h, w)
    """
    w = out.shape[1]
    positions = new_positions(grid, BLOCK)
    ix, iy = positions.ix, positions.iy
    for first in range(0, w, BLOCK):
        last = min(first + BLOCK, w)
        for i in range(row0, row1):
            row_positions(grid, i, first, last, positions)
            if nearest_of_row(grid, last - first, positions) == 0:
                continue
            for j in range(last - first):
                if ix[j] >= 0:
                    out[i, first + j] = image[iy[j], ix[j]]


@njit(cache=True, nogil=True)
def lanczos_image(image, fx, fy, ix, iy, table, out):
    """Lanczos-3 value of `image` at every position of a map; 0 where the map has no pixel.

    Parameters
    ----------
    image : float32 (height, width)
    fx, fy : float32 or float64 (h, w)
    ix, iy : int32 (h, w)
    table : float32, 1-d
    out : float32 (h, w)
    """
    h, w = fx.shape
    height, width = image.shape
    flat = image.ravel()
    scratch = lanczos_scratch(BLOCK)
    x, y = np.empty(BLOCK), np.empty(BLOCK)
    nx, ny = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    for first in range(0, w, BLOCK):
        n = min(BLOCK, w - first)
        for i in range(h):
            for j in range(n):
                x[j], y[j] = fx[i, first + j], fy[i, first + j]
                nx[j], ny[j] = ix[i, first + j], iy[i, first + j]
            lanczos_setup(n, x, y, nx, ny, table, scratch)
            lanczos_row(n, flat, width, height, nx, ny, scratch, out[i, first : first + n])
