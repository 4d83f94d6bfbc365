"""Kernel: add the halos of stars to an image."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Stars", "RadialProfiles", "add_halos"]


class Stars(NamedTuple):
    """Stars with halos, for `add_halos`.

    Attributes
    ----------
    x, y, flux : numpy.ndarray of float64, shape (n,)
        Pixel position and flux.
    reach : numpy.ndarray of float64, shape (n,)
        Outer radius of the halo [pixel]; it fades out linearly over the outer half.
    on_image : numpy.ndarray of bool, shape (n,)
        Selects the profile: 1 for stars on the image, 0 for others.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux: NDArray[np.float64]
    reach: NDArray[np.float64]
    on_image: NDArray[np.bool_]


class RadialProfiles(NamedTuple):
    """Profiles of halos, for `add_halos`.

    Attributes
    ----------
    values : numpy.ndarray of float64, shape (2, m)
        Profile per pixel for unit flux at the radii ``inner + i * step`` [pixel], to be interpolated linearly; of
        stars off and on the image.
    inner, step : float
    taper_steps : int
        The halo fades in linearly over this many steps outside of radius `inner` [pixel].
    """

    values: NDArray[np.float64]
    inner: float
    step: float
    taper_steps: int


@njit(cache=True, nogil=True, error_model="numpy")
def _radii(n, x0, centre, dy2, inner, outer, per_step, steps, weights):
    """Radii of a row's pixels in steps of the profile's table, and the factor that fades the halo out.

    Pixels that the halo does not reach have weight 0.
    """
    per_half = 2.0 / outer
    for j in range(n):
        dx = (x0 + j) - centre
        r = math.sqrt(dx * dx + dy2)
        t = (r - inner) * per_step
        inside = (t > 0.0) & (r < outer)
        steps[j] = t if inside else 0.0
        weights[j] = min((outer - r) * per_half, 1.0) if inside else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _interpolated(n, profile, steps, values):
    """Profile at radii in steps of its table."""
    for j in range(n):
        i = np.uintp(steps[j])
        low = profile[i]
        values[j] = low + (profile[i + np.uintp(1)] - low) * (steps[j] - i)


@njit(cache=True, nogil=True, error_model="numpy")
def _faded_in(n, steps, taper_steps, values):
    """Let the halo fade in over the first steps."""
    for j in range(n):
        values[j] *= steps[j] / taper_steps if math.floor(steps[j]) < taper_steps else 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _add(n, flux, values, weights, row):
    for j in range(n):
        row[j] += np.float32(flux * values[j] * weights[j])


@njit(cache=True, nogil=True, error_model="numpy")
def add_halos(image, stars, profiles):
    """Add the radial profile of each star to `image`; returns the number of stars that touch it.

    Parameters
    ----------
    image : float32 (h, w)
    stars : Stars
    profiles : RadialProfiles
    """
    x, y, reach = stars.x, stars.y, stars.reach
    inner, step, taper_steps = profiles.inner, profiles.step, profiles.taper_steps
    height, width = image.shape
    per_step = 1.0 / step
    faded_in = inner + (taper_steps + 1) * step
    steps, weights, values = np.empty(width), np.empty(width), np.empty(width)
    touched = 0
    for k in range(x.size):
        outer = reach[k]
        if not outer > inner:
            continue
        profile = profiles.values[1 if stars.on_image[k] else 0]
        y0 = int(math.ceil(max(y[k] - outer, 0.0)))
        y1 = int(math.floor(min(y[k] + outer, height - 1.0)))
        hit = False
        for iy in range(y0, y1 + 1):
            dy = iy - y[k]
            half = math.sqrt(max(outer * outer - dy**2, 0.0))
            x0 = int(math.ceil(max(x[k] - half, 0.0)))
            x1 = int(math.floor(min(x[k] + half, width - 1.0)))
            n = x1 + 1 - x0
            if n <= 0:
                continue
            _radii(n, x0, x[k], dy**2, inner, outer, per_step, steps, weights)
            _interpolated(n, profile, steps, values)
            if abs(dy) < faded_in:
                _faded_in(n, steps, taper_steps, values)
            _add(n, stars.flux[k], values, weights, image[iy, x0 : x1 + 1])
            if not hit:
                hit = weights[:n].max() > 0
        if hit:
            touched += 1
    return touched
