"""Kernels: exact overlap of circles with pixels, and sums over circular apertures."""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _circle_integral(r2, r, x):
    """Integral of sqrt(r^2 - x^2) from 0 to x, for 0 <= x <= r."""
    return 0.5 * (x * math.sqrt(max(r2 - x * x, 0.0)) + r2 * math.asin(min(x / r, 1.0)))


@njit(cache=True, nogil=True)
def _quadrant_overlap(r, a, b, c, d):
    """Area of the rectangle [a, b] x [c, d] (all >= 0) inside the circle of radius r around the origin."""
    r2 = r * r
    if a * a + c * c >= r2 or a >= b or c >= d:
        return 0.0
    if b * b + d * d <= r2:
        return (b - a) * (d - c)
    # Up to x = full the circle is above the rectangle's top, beyond x = end it is below its bottom.
    full = math.sqrt(r2 - d * d) if d < r else 0.0
    end = math.sqrt(r2 - c * c) if c < r else 0.0
    full = min(max(full, a), b)
    end = min(max(end, full), b)
    area = (full - a) * (d - c)
    if end > full:
        area += _circle_integral(r2, r, end) - _circle_integral(r2, r, full) - c * (end - full)
    return area


@njit(cache=True, nogil=True)
def pixel_overlap(r, x, y):
    """Area of the unit pixel centred on (x, y) inside the circle of radius r around the origin."""
    x = abs(x)
    y = abs(y)
    a, b, c, d = x - 0.5, x + 0.5, y - 0.5, y + 0.5
    area = _quadrant_overlap(r, max(a, 0.0), b, max(c, 0.0), d)
    # What of the pixel lies across an axis is reflected into the first quadrant.
    if a < 0:
        area += _quadrant_overlap(r, 0.0, -a, max(c, 0.0), d)
    if c < 0:
        area += _quadrant_overlap(r, max(a, 0.0), b, 0.0, -c)
    if a < 0 and c < 0:
        area += _quadrant_overlap(r, 0.0, -a, 0.0, -c)
    return area


@njit(cache=True, nogil=True)
def aperture_sums(first, last, image, invvar, residuals, x, y, radii, out):
    """Sums over concentric apertures around many positions, on several maps at a time.

    Parameters
    ----------
    first, last : int
        Positions to be measured, half-open.
    image, invvar : float32 (H, W)
        Pixels with invvar == 0 are masked.
    residuals : tuple of float32 (H, W)
        Summed without mask.
    x, y : float64 (n,)
    radii : float64 (number of radii,), increasing
        Pixels.
    out : float64 (n, 4 + number of residual maps, number of radii)
        Out: overlap * image, and overlap / invvar, over unmasked pixels; overlap over masked pixels, over all
        pixels of the image; overlap * residual.
    """
    height, width = image.shape
    n_radii = len(radii)
    n_sums = out.shape[1]
    largest = radii[n_radii - 1]
    values = np.zeros(n_sums)
    rings = np.empty((n_sums, n_radii))
    for i in range(first, last):
        out[i] = 0.0
        if not (math.isfinite(x[i]) and math.isfinite(y[i])):
            continue
        rings[:] = 0.0
        x0 = int(max(math.floor(x[i] - largest - 0.5), 0.0))
        x1 = int(min(math.ceil(x[i] + largest + 0.5), width - 1.0))
        y0 = int(max(math.floor(y[i] - largest - 0.5), 0.0))
        y1 = int(min(math.ceil(y[i] + largest + 0.5), height - 1.0))
        for py in range(y0, y1 + 1):
            dy = abs(py - y[i])
            for px in range(x0, x1 + 1):
                dx = abs(px - x[i])
                near = max(dx - 0.5, 0.0) ** 2 + max(dy - 0.5, 0.0) ** 2
                if near >= largest * largest:
                    continue
                weight = invvar[py, px]
                good = weight != 0
                values[0] = image[py, px] if good else 0.0
                values[1] = 1.0 / weight if good else 0.0
                values[2] = 0.0 if good else 1.0
                values[3] = 1.0
                m = 4
                for residual in residuals:
                    values[m] = residual[py, px]
                    m += 1
                far = (dx + 0.5) ** 2 + (dy + 0.5) ** 2
                for k in range(n_radii):
                    r = radii[k]
                    if r * r <= near:
                        continue
                    if r * r >= far:
                        # Wholly inside this and all wider circles.
                        for m in range(n_sums):
                            rings[m, k] += values[m]
                        break
                    area = pixel_overlap(r, dx, dy)
                    for m in range(n_sums):
                        out[i, m, k] += area * values[m]
        for m in range(n_sums):
            total = 0.0
            for k in range(n_radii):
                total += rings[m, k]
                out[i, m, k] += total


@njit(cache=True, nogil=True)
def single_aperture(image, x0, y0, x, y, radius):
    """Sum of an image with origin (x0, y0) over one aperture; 0 where it does not overlap."""
    height, width = image.shape
    total = 0.0
    xlo = int(max(math.floor(x - radius - 0.5) - x0, 0.0))
    xhi = int(min(math.ceil(x + radius + 0.5) - x0, width - 1.0))
    ylo = int(max(math.floor(y - radius - 0.5) - y0, 0.0))
    yhi = int(min(math.ceil(y + radius + 0.5) - y0, height - 1.0))
    for py in range(ylo, yhi + 1):
        for px in range(xlo, xhi + 1):
            area = pixel_overlap(radius, px + x0 - x, py + y0 - y)
            if area > 0:
                total += area * image[py, px]
    return total
