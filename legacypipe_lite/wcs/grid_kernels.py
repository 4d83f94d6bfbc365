"""Kernels: the positions of a rectangle of output pixels on an input image, row by row, from a grid of exact ones."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from .projection_kernels import packed_pixel_to_sky, packed_sky_to_pixel

__all__ = [
    "GridArrays",
    "RowPositions",
    "new_positions",
    "plan_box",
    "make_grid",
    "exact_nodes",
    "lagrange_weights",
    "row_positions",
    "nearest_of_row",
    "fill_maps",
    "fill_nearest",
]

#: Spacing of the grid, and margin around the corners of the input image [pixel of the output image].
GRID_STEP = 25
GRID_MARGIN = 12

#: Columns that are done together, so that what they need of a turned image stays in the processor's cache.
BLOCK = 256


class GridArrays(NamedTuple):
    """What the kernels need of a `wcs.MapGrid`.

    Attributes
    ----------
    x0, y0 : int
        Origin of the rectangle in the output image.
    node_x, node_y : numpy.ndarray of float64, shape (nodes along y, nodes along x)
        Exact positions on the input image.
    index_x, index_y : numpy.ndarray of int64, shape (w,), (h,)
        First of the four nodes for every column and row of the rectangle.
    weights_x, weights_y : numpy.ndarray of float64, shape (4, w), (4, h)
        Weights of these nodes.
    segments : numpy.ndarray of int64
        Columns at which `index_x` changes, 0 and w included.
    rounded : bool
        Positions are rounded to float32.
    in_width, in_height : int
        Of the input image.
    """

    x0: int
    y0: int
    node_x: np.ndarray
    node_y: np.ndarray
    index_x: np.ndarray
    index_y: np.ndarray
    weights_x: np.ndarray
    weights_y: np.ndarray
    segments: np.ndarray
    rounded: bool
    in_width: int
    in_height: int


class RowPositions(NamedTuple):
    """Where columns of one row of the rectangle lie on the input image; from `new_positions`.

    Attributes
    ----------
    x, y : numpy.ndarray of float64
        Positions, from `row_positions`.
    ix, iy : numpy.ndarray of int64
        Their nearest pixels, from `nearest_of_row`; -1 where there is none.
    nodes : numpy.ndarray of float64, shape (nodes along x,)
        Scratch.
    """

    x: np.ndarray
    y: np.ndarray
    ix: np.ndarray
    iy: np.ndarray
    nodes: np.ndarray


@njit(cache=True, nogil=True)
def new_positions(grid, n):
    """`RowPositions` with room for n columns of a grid."""
    return RowPositions(
        np.empty(n), np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(grid.node_x.shape[1])
    )


@njit(cache=True, nogil=True)
def plan_box(out_packed, in_packed, out_width, out_height, in_width, in_height):
    """The part of an output image that an input image covers.

    Parameters
    ----------
    out_packed, in_packed : float64
        Packed WCS of output and input image.
    out_width, out_height, in_width, in_height : int

    Returns
    -------
    overlap : bool
    rounded : bool
        See `GridArrays`.
    xlo, xhi, ylo, yhi : int
        First and last column and row of the rectangle.
    """
    nothing = (False, False, 0, -1, 0, -1)
    left, right, bottom, top = np.inf, -np.inf, np.inf, -np.inf
    for k in range(4):
        x = in_width - 1.0 if k >= 2 else 0.0
        y = in_height - 1.0 if k == 1 or k == 2 else 0.0
        ra, dec = packed_pixel_to_sky(in_packed, x, y)
        a, b = packed_sky_to_pixel(out_packed, ra, dec)
        if not (math.isfinite(a) and math.isfinite(b)):
            return nothing
        left, right, bottom, top = min(left, a), max(right, a), min(bottom, b), max(top, b)
    x0, x1, y0, y1 = int(np.rint(left)), int(np.rint(right)), int(np.rint(bottom)), int(np.rint(top))
    xlo, xhi = max(0, x0 - GRID_MARGIN), min(out_width - 1, x1 + GRID_MARGIN)
    ylo, yhi = max(0, y0 - GRID_MARGIN), min(out_height - 1, y1 + GRID_MARGIN)
    if xlo > xhi or ylo > yhi:
        return nothing
    rounded = math.ceil((xhi - xlo) / GRID_STEP) + 1 > 3 and math.ceil((yhi - ylo) / GRID_STEP) + 1 > 3
    if not rounded:
        # Small boxes have no margin, and positions are not rounded to float32. A grid, padded so that it has an
        # extent, gives them to 1e-9 pixel.
        xlo, xhi = max(0, x0), min(out_width - 1, x1)
        ylo, yhi = max(0, y0), min(out_height - 1, y1)
        if xlo > xhi or ylo > yhi:
            return nothing
    return True, rounded, xlo, xhi, ylo, yhi


@njit(cache=True, nogil=True)
def _nodes(lo, hi, rounded):
    """First node, spacing and number of nodes of a grid over the pixels lo ... hi."""
    first, last = float(lo), float(hi)
    if not rounded:
        first, last = first - 2.0, last + 2.0
    n = max(int(math.ceil((last - first) / GRID_STEP)) + 1, 4)
    return first, (last - first) / (n - 1), n


@njit(cache=True, nogil=True)
def make_grid(out_packed, in_packed, in_width, in_height, rounded, xlo, xhi, ylo, yhi):
    """`GridArrays` of the rectangle that `plan_box` found; parameters are as there."""
    lo_x, step_x, nx = _nodes(xlo, xhi, rounded)
    lo_y, step_y, ny = _nodes(ylo, yhi, rounded)
    w, h = xhi - xlo + 1, yhi - ylo + 1
    node_x, node_y = np.empty((ny, nx)), np.empty((ny, nx))
    exact_nodes(out_packed, in_packed, lo_x, step_x, lo_y, step_y, node_x, node_y)
    index_x, index_y = np.empty(w, np.int64), np.empty(h, np.int64)
    weights_x, weights_y = np.empty((4, w)), np.empty((4, h))
    lagrange_weights(w, lo_x, step_x, xlo, nx, index_x, weights_x)
    lagrange_weights(h, lo_y, step_y, ylo, ny, index_y, weights_y)
    segments = np.empty(nx + 1, np.int64)
    segments[0] = 0
    n = 1
    for j in range(1, w):
        if index_x[j] != index_x[j - 1]:
            segments[n] = j
            n += 1
    segments[n] = w
    return GridArrays(
        xlo,
        ylo,
        node_x,
        node_y,
        index_x,
        index_y,
        weights_x,
        weights_y,
        segments[: n + 1],
        rounded,
        in_width,
        in_height,
    )


@njit(cache=True, nogil=True)
def exact_nodes(packed_out, packed_in, lo_x, step_x, lo_y, step_y, node_x, node_y):
    """Positions on the input image of a grid of points on the output image.

    Parameters
    ----------
    packed_out, packed_in : float64
        Packed WCS of output and input image.
    lo_x, step_x, lo_y, step_y : float
        First node and spacing on the output image.
    node_x, node_y : float64 (ny, nx)
        Out.
    """
    ny, nx = node_x.shape
    for i in range(ny):
        for j in range(nx):
            ra, dec = packed_pixel_to_sky(packed_out, lo_x + j * step_x, lo_y + i * step_y)
            node_x[i, j], node_y[i, j] = packed_sky_to_pixel(packed_in, ra, dec)


@njit(cache=True, nogil=True)
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
    weights : float64 (4, n_out)
        Out: their weights.
    """
    for i in range(n_out):
        t = (first + i - lo) / step
        k = int(math.floor(t)) - 1
        k = min(max(k, 0), n_nodes - 4)
        u = t - k
        index[i] = k
        weights[0, i] = -(u - 1.0) * (u - 2.0) * (u - 3.0) / 6.0
        weights[1, i] = u * (u - 2.0) * (u - 3.0) / 2.0
        weights[2, i] = -u * (u - 1.0) * (u - 3.0) / 2.0
        weights[3, i] = u * (u - 1.0) * (u - 2.0) / 6.0


@njit(cache=True, nogil=True)
def _along_row(row, weights, segments, index, first, last, rounded, out):
    """Interpolate the nodes of one row to the columns first ... last - 1."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    s = np.searchsorted(segments, first, side="right") - 1
    a = first
    while a < last:
        b = min(segments[s + 1], last)
        k = index[a]
        r0, r1, r2, r3 = row[k], row[k + 1], row[k + 2], row[k + 3]
        part, v0, v1, v2, v3 = out[a - first : b - first], w0[a:b], w1[a:b], w2[a:b], w3[a:b]
        for j in range(b - a):
            part[j] = v0[j] * r0 + v1[j] * r1 + v2[j] * r2 + v3[j] * r3
        a = b
        s += 1
    if rounded:
        for j in range(last - first):
            out[j] = np.float32(out[j])


@njit(cache=True, nogil=True)
def row_positions(grid, i, first, last, positions):
    """Positions on the input image of the columns first ... last - 1 of row i of the rectangle.

    Parameters
    ----------
    grid : GridArrays
    i, first, last : int
    positions : RowPositions
        Out: x, y, from index 0 on.
    """
    row = positions.nodes
    k = grid.index_y[i]
    node_first, node_last = grid.index_x[first], grid.index_x[last - 1] + 4
    weights = grid.weights_y
    for axis in range(2):
        nodes = grid.node_x if axis == 0 else grid.node_y
        for j in range(node_first, node_last):
            total = 0.0
            for m in range(4):
                total += weights[m, i] * nodes[k + m, j]
            row[j] = total
        out = positions.x if axis == 0 else positions.y
        _along_row(row, grid.weights_x, grid.segments, grid.index_x, first, last, grid.rounded, out)


@njit(cache=True, nogil=True)
def nearest_of_row(grid, n, positions):
    """Nearest input pixel of n positions; -1 where there is none.

    Nearest means truncation toward zero of the position + 0.5, in the precision of the positions: those down to -1.5
    (exclusive) count as pixel 0.

    Parameters
    ----------
    grid : GridArrays
    n : int
    positions : RowPositions
        Out: ix, iy of its first n positions.

    Returns
    -------
    int
        Number of positions that have a pixel.
    """
    x, y, ix, iy = positions.x, positions.y, positions.ix, positions.iy
    width, height = grid.in_width, grid.in_height
    valid = 0
    for j in range(n):
        a = x[j] + 0.5
        b = y[j] + 0.5
        if grid.rounded:
            a = np.float64(np.float32(a))
            b = np.float64(np.float32(b))
        # A comparison with NaN is false.
        inside = (x[j] > -1.5) & (y[j] > -1.5) & (a < width) & (b < height)
        ix[j] = int(a) if inside else -1
        iy[j] = int(b) if inside else -1
        valid += inside
    return valid


@njit(cache=True, nogil=True)
def fill_maps(grid, x, y, ix, iy):
    """Positions and nearest pixels of the whole rectangle.

    Parameters
    ----------
    grid : GridArrays
    x, y : float32 or float64 (h, w)
    ix, iy : int32 (h, w)
        Out.
    """
    h, w = x.shape
    positions = new_positions(grid, w)
    for i in range(h):
        row_positions(grid, i, 0, w, positions)
        nearest_of_row(grid, w, positions)
        x[i], y[i] = positions.x, positions.y
        ix[i], iy[i] = positions.ix, positions.iy


@njit(cache=True, nogil=True)
def fill_nearest(out_packed, in_packed, out_width, out_height, in_width, in_height, rim, out):
    """For every pixel of an output image, its nearest pixel on an input image.

    Parameters
    ----------
    out_packed, in_packed, out_width, out_height, in_width, in_height
        As of `plan_box`.
    rim : bool
        Positions between -1.5 and -0.5 count as pixel 0, as in all maps of the coadds (see `nearest_of_row`).
    out : int32 (out_height * out_width,)
        Out: flat index of the input pixel, -1 where there is none.
    """
    out[:] = -1
    overlap, rounded, xlo, xhi, ylo, yhi = plan_box(out_packed, in_packed, out_width, out_height, in_width, in_height)
    if not overlap:
        return
    grid = make_grid(out_packed, in_packed, in_width, in_height, rounded, xlo, xhi, ylo, yhi)
    w = xhi - xlo + 1
    least = -1.5 if rim else -0.5
    positions = new_positions(grid, w)
    x, y, ix, iy = positions.x, positions.y, positions.ix, positions.iy
    for i in range(yhi - ylo + 1):
        row_positions(grid, i, 0, w, positions)
        nearest_of_row(grid, w, positions)
        start = (ylo + i) * out_width + xlo
        part = out[start : start + w]
        for j in range(w):
            inside = (ix[j] >= 0) & (x[j] >= least) & (y[j] >= least)
            part[j] = iy[j] * in_width + ix[j] if inside else -1
