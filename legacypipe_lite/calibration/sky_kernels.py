"""Kernels: evaluation of tensor-product splines on all pixels of an image.

The sums are those of FITPACK's `bispev`, in the same order, so that the sky comes out equal to the last bit.
"""

import numpy as np
from numba import njit

__all__ = ["basis_functions", "spline_image"]


@njit(cache=True, nogil=True)
def basis_functions(knots, degree, points, first, weights):
    """B-splines that are not zero at each point (de Boor and Cox).

    Parameters
    ----------
    knots : float64
    degree : int
    points : float64 (n,)
        Increasing; those outside the knots are moved to their ends.
    first : int64 (n,)
        Out: number of the first of the ``degree + 1`` B-splines.
    weights : float64 (degree + 1, n)
        Out: their values.
    """
    low, high = knots[degree], knots[knots.size - degree - 1]
    last = knots.size - degree - 2
    left = degree
    h, before = np.empty(degree + 1), np.empty(degree + 1)
    for i in range(points.size):
        x = min(max(points[i], low), high)
        while x >= knots[left + 1] and left != last:
            left += 1
        h[0] = 1.0
        for j in range(1, degree + 1):
            before[:j] = h[:j]
            h[0] = 0.0
            for k in range(j):
                a, b = knots[left + k + 1], knots[left + k + 1 - j]
                if a == b:
                    h[k + 1] = 0.0
                    continue
                f = before[k] / (a - b)
                h[k] = h[k] + f * (a - x)
                h[k + 1] = f * (x - b)
        first[i] = left - degree
        for k in range(degree + 1):
            weights[k, i] = h[k]


@njit(cache=True, nogil=True)
def _add_term(total, weights, c, wy):
    for i in range(total.size):
        total[i] += c * weights[i] * wy


@njit(cache=True, nogil=True)
def _add_cubic_terms(total, weights, c, wy):
    """Four times `_add_term`; `c` and `wy` are tuples of four."""
    c0, c1, c2, c3 = c
    w0, w1, w2, w3 = wy
    for i in range(total.size):
        w = weights[i]
        t = total[i] + c0 * w * w0
        t += c1 * w * w1
        t += c2 * w * w2
        total[i] = t + c3 * w * w3


@njit(cache=True, nogil=True)
def spline_image(coefficients, first_x, weights_x, first_y, weights_y, out):
    """Values of a spline on a grid of pixels.

    Parameters
    ----------
    coefficients : float64 (number along x, number along y)
    first_x, weights_x, first_y, weights_y
        From `basis_functions`, for the columns and the rows.
    out : float32 (rows, columns)
        Out.
    """
    height, width = out.shape
    nx, ny = weights_x.shape[0], weights_y.shape[0]
    total = np.empty(width)
    for y in range(height):
        total[:] = 0.0
        ky = first_y[y]
        left = 0
        while left < width:
            # Columns between two knots have the same coefficients.
            kx = first_x[left]
            right = left + np.searchsorted(first_x[left:], kx, side="right")
            part = total[left:right]
            for i in range(nx):
                c, w = coefficients[kx + i], weights_x[i, left:right]
                if ny == 4:
                    _add_cubic_terms(
                        part,
                        w,
                        (c[ky], c[ky + 1], c[ky + 2], c[ky + 3]),
                        (weights_y[0, y], weights_y[1, y], weights_y[2, y], weights_y[3, y]),
                    )
                else:
                    for j in range(ny):
                        _add_term(part, w, c[ky + j], weights_y[j, y])
            left = right
        row = out[y]
        for x in range(width):
            row[x] = np.float32(total[x])
