"""Kernels: interpolation of the pixel map between two images, and Lanczos-3 resampling."""

import math

import numpy as np
from numba import njit

from .projection_kernels import packed_pixel_to_sky, packed_sky_to_pixel

LANCZOS_BINS = 1024


def _lanczos_table():
    """Weights of the 7 taps for 1024 bins per pixel of the fractional offset; float32 (1025, 7)."""
    t = -3.5 + np.arange(LANCZOS_BINS + 1)[:, None] / LANCZOS_BINS + np.arange(7)[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        k = 3 * np.sin(np.pi * t) * np.sin(np.pi * t / 3) / (np.pi * t) ** 2
    k[t == 0] = 1.0
    k[np.abs(t) >= 3] = 0.0
    return k.astype(np.float32)


LANCZOS_TABLE = _lanczos_table()

#: Columns that are done together, so that what they need of a turned image stays in the processor's cache.
BLOCK = 256

#: The compiler may fuse and reorder the sums of the taps; nothing else of its "fast" arithmetic.
_SUMS = {"contract", "reassoc"}


@njit(cache=True)
def lagrange_weights(n_out, lo, step, first, n_nodes, index, weights):
    """4-point Lagrange interpolation from equally spaced nodes to consecutive integers.

    Parameters
    ----------
    n_out : int
        Number of integer positions.
    lo, step : float
        Position of node 0 and node spacing.
    first : int
        First integer position.
    n_nodes : int
        Number of nodes (>= 4).
    index : int64 (n_out,)
        Out: first of the four nodes.
    weights : float64 (n_out, 4)
        Out: their weights.
    """
    for i in range(n_out):
        t = (first + i - lo) / step
        k = int(math.floor(t)) - 1
        k = min(max(k, 0), n_nodes - 4)
        u = t - k
        index[i] = k
        weights[i, 0] = -(u - 1.0) * (u - 2.0) * (u - 3.0) / 6.0
        weights[i, 1] = u * (u - 2.0) * (u - 3.0) / 2.0
        weights[i, 2] = -u * (u - 1.0) * (u - 3.0) / 2.0
        weights[i, 3] = u * (u - 1.0) * (u - 2.0) / 6.0


@njit(cache=True)
def interpolated_positions(packed_out, packed_in, lo_x, step_x, nx, lo_y, step_y, ny, first_x, first_y, out_x, out_y):
    """Positions on the input image of a rectangle of output pixels, by interpolation of a grid of exact ones.

    Parameters
    ----------
    packed_out, packed_in : float64
        Packed WCS of output and input image.
    lo_x, step_x, nx, lo_y, step_y, ny
        Grid nodes on the output image; at least 4 along each axis.
    first_x, first_y : int
        First pixel of the rectangle.
    out_x, out_y : float32 or float64 (h, w)
        Out.
    """
    h, w = out_x.shape
    node_x = np.empty((ny, nx))
    node_y = np.empty((ny, nx))
    for i in range(ny):
        for j in range(nx):
            ra, dec = packed_pixel_to_sky(packed_out, lo_x + j * step_x, lo_y + i * step_y)
            node_x[i, j], node_y[i, j] = packed_sky_to_pixel(packed_in, ra, dec)
    ix = np.empty(w, np.int64)
    wx = np.empty((w, 4))
    iy = np.empty(h, np.int64)
    wy = np.empty((h, 4))
    lagrange_weights(w, lo_x, step_x, first_x, nx, ix, wx)
    lagrange_weights(h, lo_y, step_y, first_y, ny, iy, wy)
    row_x = np.empty(nx)
    row_y = np.empty(nx)
    for i in range(h):
        k = iy[i]
        for j in range(nx):
            a = 0.0
            b = 0.0
            for m in range(4):
                a += wy[i, m] * node_x[k + m, j]
                b += wy[i, m] * node_y[k + m, j]
            row_x[j] = a
            row_y[j] = b
        for j in range(w):
            k2 = ix[j]
            w0, w1, w2, w3 = wx[j, 0], wx[j, 1], wx[j, 2], wx[j, 3]
            out_x[i, j] = w0 * row_x[k2] + w1 * row_x[k2 + 1] + w2 * row_x[k2 + 2] + w3 * row_x[k2 + 3]
            out_y[i, j] = w0 * row_y[k2] + w1 * row_y[k2 + 1] + w2 * row_y[k2 + 2] + w3 * row_y[k2 + 3]


@njit(cache=True, inline="always")
def nearest_index(f, half):
    """Nearest pixel of a position: truncation toward zero of f + 0.5, in the precision of `f`."""
    return int(f + half)


@njit(cache=True, nogil=True, fastmath=_SUMS)
def lanczos_weights(d, table):
    """The 7 Lanczos-3 weights for the fractional offset `d`, as a tuple, and their sum.

    The table is linear between bins; beyond |d| = 0.5 its last bin is extrapolated.
    """
    q = (0.5 - d) * LANCZOS_BINS
    t = int(q)
    t = min(max(t, 0), LANCZOS_BINS - 1)
    r = np.float32(q - t)
    low = table[t]
    high = table[t + 1]
    w0 = low[0] + (high[0] - low[0]) * r
    w1 = low[1] + (high[1] - low[1]) * r
    w2 = low[2] + (high[2] - low[2]) * r
    w3 = low[3] + (high[3] - low[3]) * r
    w4 = low[4] + (high[4] - low[4]) * r
    w5 = low[5] + (high[5] - low[5]) * r
    w6 = low[6] + (high[6] - low[6]) * r
    return (w0, w1, w2, w3, w4, w5, w6), (w0 + w1) + (w2 + w3) + (w4 + w5) + w6


@njit(cache=True)
def nearest_maps(fx, fy, half, width, height, ix, iy):
    """Nearest input pixel of every output pixel; -1 in both maps where there is none."""
    h, w = fx.shape
    for i in range(h):
        for j in range(w):
            x = fx[i, j]
            y = fy[i, j]
            if not (x > -2.0 and y > -2.0):
                ix[i, j] = -1
                iy[i, j] = -1
                continue
            a = nearest_index(x, half)
            b = nearest_index(y, half)
            if 0 <= a < width and 0 <= b < height and x > -1.5 and y > -1.5:
                ix[i, j] = a
                iy[i, j] = b
            else:
                ix[i, j] = -1
                iy[i, j] = -1


@njit(cache=True, nogil=True, fastmath=_SUMS)
def lanczos_sum(image, x, y, wx, wy):
    """Sum of the 7 x 7 pixels of `image` around (x, y), weighted with `wx`, `wy`; edge pixels are replicated."""
    height, width = image.shape
    total = np.float32(0.0)
    if 3 <= x < width - 3 and 3 <= y < height - 3:
        # Columns first: seven independent sums keep the processor busier than one long chain.
        x0 = x - 3
        y0 = y - 3
        a0 = a1 = a2 = a3 = a4 = a5 = a6 = np.float32(0.0)
        for m in range(7):
            w = wy[m]
            row = image[y0 + m]
            a0 += w * row[x0]
            a1 += w * row[x0 + 1]
            a2 += w * row[x0 + 2]
            a3 += w * row[x0 + 3]
            a4 += w * row[x0 + 4]
            a5 += w * row[x0 + 5]
            a6 += w * row[x0 + 6]
        total = a0 * wx[0] + a1 * wx[1] + a2 * wx[2] + a3 * wx[3] + a4 * wx[4] + a5 * wx[5] + a6 * wx[6]
    else:
        for m in range(7):
            yy = min(max(y - 3 + m, 0), height - 1)
            partial = np.float32(0.0)
            for k in range(7):
                xx = min(max(x - 3 + k, 0), width - 1)
                partial += wx[k] * image[yy, xx]
            total += wy[m] * partial
    return total


@njit(cache=True, nogil=True)
def lanczos_image(image, fx, fy, ix, iy, table, out):
    """Lanczos-3 value of `image` at every position of the map; 0 where the map has no pixel."""
    h, w = fx.shape
    for block in range(0, w, BLOCK):
        end = min(block + BLOCK, w)
        for i in range(h):
            for j in range(block, end):
                x = ix[i, j]
                y = iy[i, j]
                if x < 0:
                    out[i, j] = 0.0
                    continue
                wx, sum_x = lanczos_weights(fx[i, j] - x, table)
                wy, sum_y = lanczos_weights(fy[i, j] - y, table)
                out[i, j] = lanczos_sum(image, x, y, wx, wy) / (sum_x * sum_y)
