"""Kernel: add the halos of stars to an image."""

import math

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def add_halos(image, x, y, flux, reach, on_image, profiles, inner, step, taper_steps):
    """Add the radial profile of each star to `image`; returns the number of stars that touch it.

    Parameters
    ----------
    image : float32 (h, w)
    x, y, flux : float64 (n,)
        Pixel position and flux of the stars.
    reach : float64 (n,)
        Outer radius of the halo [pixel]; it fades out linearly over the outer half.
    on_image : bool (n,)
        Selects the profile: 1 for stars on the image, 0 for others.
    profiles : float64 (2, m)
        Profile per pixel for unit flux at the radii ``inner + i * step`` [pixel], to be interpolated linearly.
    inner, step : float
    taper_steps : int
        The halo fades in linearly over this many steps outside of radius `inner` [pixel].
    """
    height, width = image.shape
    per_step = 1.0 / step
    touched = 0
    for k in range(x.size):
        outer = reach[k]
        if not outer > inner:
            continue
        profile = profiles[1 if on_image[k] else 0]
        per_half = 2.0 / outer
        y0 = int(math.ceil(max(y[k] - outer, 0.0)))
        y1 = int(math.floor(min(y[k] + outer, height - 1.0)))
        hit = False
        for iy in range(y0, y1 + 1):
            dy2 = (iy - y[k]) ** 2
            half = math.sqrt(max(outer * outer - dy2, 0.0))
            x0 = int(math.ceil(max(x[k] - half, 0.0)))
            x1 = int(math.floor(min(x[k] + half, width - 1.0)))
            for ix in range(x0, x1 + 1):
                dx = ix - x[k]
                r = math.sqrt(dx * dx + dy2)
                t = (r - inner) * per_step
                if t <= 0.0 or r >= outer:
                    continue
                i = int(t)
                value = profile[i] + (profile[i + 1] - profile[i]) * (t - i)
                if i < taper_steps:
                    value *= t / taper_steps
                image[iy, ix] += np.float32(flux[k] * value * min((outer - r) * per_half, 1.0))
                hit = True
        if hit:
            touched += 1
    return touched
