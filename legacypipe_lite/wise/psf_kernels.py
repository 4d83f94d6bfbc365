"""Kernels: WISE PSF images turned to the direction of the scans, and smeared over the range of their angles.

Images are sampled by spline interpolation of order 4; `coefficients` are what `scipy.ndimage.spline_filter` makes
of them. A point at distance r and angle t (from the row axis towards the column axis) of the centre of the turned
image is the mean of the points at angles t + angles[k] of the original one, with weights `weights`.
"""

import math

import numpy as np
from numba import njit

_FAST = {"contract", "reassoc", "nsz", "arcp"}


@njit(cache=True, inline="always")
def _weights(u):
    """Quartic B-spline at -2 - u ... 2 - u, for |u| <= 0.5."""
    a2 = (0.5 - u) * (0.5 - u)
    b2 = (0.5 + u) * (0.5 + u)
    u2 = u * u
    w0 = a2 * a2 / 24.0
    w4 = b2 * b2 / 24.0
    w2 = 115.0 / 192.0 - 0.625 * u2 + 0.25 * u2 * u2
    # The weights add up to 1, and their first moment is u.
    half = 0.5 * (1.0 - w0 - w4 - w2)
    slope = 0.5 * u - (w4 - w0)
    return w0, half - slope, w2, half + slope, w4


@njit(cache=True, inline="always")
def _sample(coefficients, y, x):
    """Spline value at (y, x), at least 2.5 pixels inside."""
    iy = int(math.floor(y + 0.5))
    ix = int(math.floor(x + 0.5))
    v0, v1, v2, v3, v4 = _weights(y - iy)
    w0, w1, w2, w3, w4 = _weights(x - ix)
    total = 0.0
    k = iy - 2
    for v in (v0, v1, v2, v3, v4):
        r = coefficients[k]
        total += v * (w0 * r[ix - 2] + w1 * r[ix - 1] + w2 * r[ix] + w3 * r[ix + 1] + w4 * r[ix + 2])
        k += 1
    return total


@njit(cache=True, fastmath=_FAST)
def polar_samples(coefficients, centre, radii, cosines, sines, weights, out):
    """The turned image at polar positions.

    Parameters
    ----------
    coefficients : float64 (n, n)
    centre : int
        Row and column of the image's centre.
    radii : float64 (nr,)
        Pixels; may be negative.
    cosines, sines : float64 (nt, number of angles)
        Of the angle of each node plus each angle.
    weights : float64 (number of angles,)
    out : float64 (nr, nt)
    """
    for i in range(radii.size):
        for j in range(cosines.shape[0]):
            total = 0.0
            for k in range(weights.size):
                y = centre + radii[i] * cosines[j, k]
                x = centre + radii[i] * sines[j, k]
                total += weights[k] * _sample(coefficients, y, x)
            out[i, j] = total


@njit(cache=True, fastmath=_FAST)
def turned_image(coefficients, margin, angles, weights, polar, steps, core, out):
    """A point-symmetric image, turned and smeared: its core from polar samples, the rest from the image itself.

    Parameters
    ----------
    coefficients : float64 (n + 2 margin, n + 2 margin)
        Of the image with `margin` replicated pixels on each side (at least 3).
    angles, weights : float64 (number of angles,)
        Radians.
    polar : float64 (nr, nt + 6)
        Spline coefficients of polar samples over half a turn, with 3 replicated columns on each side.
    steps : (float, float, float)
        First radius and step of the rows of `polar`, step of its columns [pixel, radians].
    core : float
        Radius of the core.
    out : float64 (n, n)
        Out; n is odd.
    """
    first_radius, radius_step, angle_step = steps
    n = out.shape[0]
    h = n // 2
    cosines = np.cos(angles)
    sines = np.sin(angles)
    for i in range(h + 1):
        for j in range(n):
            row = float(i - h)
            column = float(j - h)
            radius = math.sqrt(row * row + column * column)
            total = 0.0
            if radius < core:
                angle = math.atan2(column, row) % math.pi
                total = _sample(polar, (radius - first_radius) / radius_step, angle / angle_step + 3.0)
            else:
                for k in range(weights.size):
                    y = h + row * cosines[k] - column * sines[k]
                    x = h + row * sines[k] + column * cosines[k]
                    y = min(max(y, 0.0), n - 1.0) + margin
                    x = min(max(x, 0.0), n - 1.0) + margin
                    total += weights[k] * _sample(coefficients, y, x)
            out[i, j] = total
            out[n - 1 - i, n - 1 - j] = total
