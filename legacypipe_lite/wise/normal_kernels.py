"""Kernels: normal equations of the fluxes of many overlapping sources, and how well the solution fits."""

import math

import numpy as np
from numba import njit

_FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True, inline="always")
def _whiten(i, stamps, image, inverr, white):
    """Divide a stamp by the noise; returns sum (stamp / noise)^2 and sum stamp image / noise^2."""
    rectangles, values = stamps.rectangles, stamps.values
    x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
    a = 0.0
    b = 0.0
    for y in range(h):
        start = stamps.offset[i] + y * w
        for x in range(w):
            weight = inverr[y0 + y, x0 + x]
            u = values[start + x] * weight
            white[start + x] = u
            a += np.float64(u) * u
            b += np.float64(u) * (weight * image[y0 + y, x0 + x])
    return a, b


@njit(cache=True, inline="always")
def _overlap(rectangles, i, j):
    """Rectangle (x0, x1, y0, y1) that two stamps have in common; empty if x0 >= x1 or y0 >= y1."""
    x0 = max(rectangles[i, 0], rectangles[j, 0])
    y0 = max(rectangles[i, 1], rectangles[j, 1])
    x1 = min(rectangles[i, 0] + rectangles[i, 2], rectangles[j, 0] + rectangles[j, 2])
    y1 = min(rectangles[i, 1] + rectangles[i, 3], rectangles[j, 1] + rectangles[j, 3])
    return x0, x1, y0, y1


@njit(cache=True, inline="always")
def _product(stamps, white, i, j, common):
    """sum white_i white_j over a rectangle (x0, x1, y0, y1)."""
    rectangles, offset = stamps.rectangles, stamps.offset
    x0, x1, y0, y1 = common
    total = 0.0
    for y in range(y0, y1):
        a = offset[i] + (y - rectangles[i, 1]) * rectangles[i, 2] + (x0 - rectangles[i, 0])
        b = offset[j] + (y - rectangles[j, 1]) * rectangles[j, 2] + (x0 - rectangles[j, 0])
        u = white[a : a + x1 - x0]
        v = white[b : b + x1 - x0]
        for k in range(u.size):
            total += np.float64(u[k]) * np.float64(v[k])
    return total


@njit(cache=True, fastmath=_FAST)
def normal_equations(order, stamps, image, inverr, diagonal, right):
    """Normal equations of the fluxes on one image.

    Parameters
    ----------
    order : int64 (m,)
        Sources with a stamp, sorted by y0.
    stamps : Patches
        At unit flux.
    image, inverr : float32 (h, w)
    diagonal, right : float64 (n,)
        Diagonal of the matrix, sum (stamp / noise)^2, and right-hand side, sum stamp image / noise^2, are added.

    Returns
    -------
    pairs : int32 (number of pairs of overlapping stamps, 2)
    products : float64 (number of pairs,)
        Elements of the matrix for these pairs.
    """
    rectangles = stamps.rectangles
    white = np.empty_like(stamps.values)
    for i in order:
        a, b = _whiten(i, stamps, image, inverr, white)
        diagonal[i] += a
        right[i] += b
    pairs = np.empty((0, 2), np.int32)
    products = np.empty(0)
    # First round: count.
    for fill in range(2):
        count = 0
        for first in range(order.size):
            i = order[first]
            top = rectangles[i, 1] + rectangles[i, 3]
            for second in range(first + 1, order.size):
                j = order[second]
                if rectangles[j, 1] >= top:
                    break
                common = _overlap(rectangles, i, j)
                if common[0] >= common[1]:
                    continue
                if fill:
                    pairs[count, 0] = i
                    pairs[count, 1] = j
                    products[count] = _product(stamps, white, i, j, common)
                count += 1
        if not fill:
            pairs = np.empty((count, 2), np.int32)
            products = np.empty(count)
    return pairs, products


@njit(cache=True)
def fit_sums(stamps, flux, image, inverr, model, chi2, contamination, weight):
    """Sums over one image for the fit statistics of each source.

    With the unit-flux stamp p, the model M of all sources and the pixels G of the stamp with p != 0 that are not
    masked; sources with zero flux or without such pixels are skipped.

    Parameters
    ----------
    stamps : Patches
        At unit flux.
    flux : float64 (n,)
    image, inverr : float32 (h, w)
    model : float32 (h, w)
        Sum of all sources.
    chi2 : float64 (n,)
        sum_G |p| chi^2 is added.
    contamination : float64 (n,)
        sum_G |M / flux - p| |p| / sum_G p^2 is added.
    weight : float64 (n,)
        sum_G |p| / |flux| is added.
    """
    rectangles, values = stamps.rectangles, stamps.values
    for i in range(stamps.offset.size):
        if flux[i] == 0.0:
            continue
        x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        total, squares, chi, other = 0.0, 0.0, 0.0, 0.0
        for y in range(h):
            start = stamps.offset[i] + y * w
            for x in range(w):
                p = np.float64(values[start + x])
                e = np.float64(inverr[y0 + y, x0 + x])
                if p == 0.0 or e <= 0.0:
                    continue
                m = np.float64(model[y0 + y, x0 + x])
                residual = (image[y0 + y, x0 + x] - m) * e
                a = abs(p)
                total += a
                squares += p * p
                chi += a * residual * residual
                other += a * abs(m / flux[i] - p)
        if squares > 0.0 and math.isfinite(other):
            chi2[i] += chi
            contamination[i] += other / squares
            weight[i] += total / abs(flux[i])
