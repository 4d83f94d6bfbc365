"""Kernels: normal equations of the fluxes of many overlapping sources, and how well the solution fits."""

import math

import numpy as np
from numba import njit

_FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True)
def whiten(rectangles, offset, values, image, inverr, white, diagonal, right):
    """Divide stamps by the noise; diagonal and right-hand side of the normal equations.

    Parameters
    ----------
    rectangles : int32 (n, 4)
    offset : int64 (n,)
    values : float32
        Stamps, see `stamps_kernels`.
    image, inverr : float32 (h, w)
    white : float32, like `values`
        Out: stamp / noise.
    diagonal, right : float64 (n,)
        sum (stamp / noise)^2 and sum stamp image / noise^2 are added.
    """
    for i in range(offset.size):
        x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        a = 0.0
        b = 0.0
        for y in range(h):
            start = offset[i] + y * w
            for x in range(w):
                weight = inverr[y0 + y, x0 + x]
                u = values[start + x] * weight
                white[start + x] = u
                a += np.float64(u) * u
                b += np.float64(u) * (weight * image[y0 + y, x0 + x])
        diagonal[i] += a
        right[i] += b


@njit(cache=True)
def overlapping_pairs(order, rectangles, pairs):
    """Pairs of sources whose stamps overlap.

    Parameters
    ----------
    order : int64 (m,)
        Sources with a stamp, sorted by y0.
    rectangles : int32 (n, 4)
    pairs : int32 (number of pairs, 2), or (0, 2) to count them only

    Returns
    -------
    int
        Number of pairs.
    """
    count = 0
    fill = pairs.shape[0] > 0
    for a in range(order.size):
        i = order[a]
        x0, x1 = rectangles[i, 0], rectangles[i, 0] + rectangles[i, 2]
        y1 = rectangles[i, 1] + rectangles[i, 3]
        for b in range(a + 1, order.size):
            j = order[b]
            if rectangles[j, 1] >= y1:
                break
            if rectangles[j, 0] < x1 and x0 < rectangles[j, 0] + rectangles[j, 2]:
                if fill:
                    pairs[count, 0] = i
                    pairs[count, 1] = j
                count += 1
    return count


@njit(cache=True, fastmath=_FAST)
def _row_product(a, b):
    total = 0.0
    for k in range(a.size):
        total += np.float64(a[k]) * np.float64(b[k])
    return total


@njit(cache=True)
def pair_products(pairs, rectangles, offset, white, products):
    """sum white_i white_j over the overlap of each pair of stamps.

    Parameters
    ----------
    pairs : int32 (m, 2)
    rectangles, offset, white
        As in `whiten`.
    products : float64 (m,)
        Out.
    """
    for k in range(pairs.shape[0]):
        i, j = pairs[k, 0], pairs[k, 1]
        xi, yi, wi, hi = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        xj, yj, wj, hj = rectangles[j, 0], rectangles[j, 1], rectangles[j, 2], rectangles[j, 3]
        x0, x1 = max(xi, xj), min(xi + wi, xj + wj)
        y0, y1 = max(yi, yj), min(yi + hi, yj + hj)
        total = 0.0
        for y in range(y0, y1):
            a = offset[i] + (y - yi) * wi + (x0 - xi)
            b = offset[j] + (y - yj) * wj + (x0 - xj)
            total += _row_product(white[a : a + x1 - x0], white[b : b + x1 - x0])
        products[k] = total


@njit(cache=True)
def add_model(rectangles, offset, values, flux, model):
    """Add stamps times fluxes to an image (float32)."""
    for i in range(offset.size):
        x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        f = np.float32(flux[i])
        for y in range(h):
            start = offset[i] + y * w
            for x in range(w):
                model[y0 + y, x0 + x] += f * values[start + x]


@njit(cache=True)
def fit_sums(rectangles, offset, values, flux, image, inverr, model, chi2, contamination, weight):
    """Sums over one image for the fit statistics of each source.

    With the unit-flux stamp p, the model M of all sources and the pixels G of the stamp with p != 0 that are not
    masked; sources with zero flux or without such pixels are skipped.

    Parameters
    ----------
    flux : float64 (n,)
    image, inverr, model : float32 (h, w)
    chi2 : float64 (n,)
        sum_G |p| chi^2 is added.
    contamination : float64 (n,)
        sum_G |M / flux - p| |p| / sum_G p^2 is added.
    weight : float64 (n,)
        sum_G |p| / |flux| is added.
    """
    for i in range(offset.size):
        if flux[i] == 0.0:
            continue
        x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        total, squares, chi, other = 0.0, 0.0, 0.0, 0.0
        for y in range(h):
            start = offset[i] + y * w
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
