"""Kernel: add the halos of stars to an image."""

import math

import numpy as np
from numba import njit


@njit(cache=True)
def add_halos(image, x, y, flux, reach, on_image, profiles, inner, step, taper_width):
    """Add the tapered radial profile of each star to `image`; returns the number of stars that touch it.

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
    inner, taper_width : float
        The halo fades in linearly over `taper_width` outside of radius `inner` [pixel].
    """
    height, width = image.shape
    touched = 0
    for k in range(x.size):
        outer = reach[k]
        if not outer > inner:
            continue
        y0 = max(int(math.ceil(max(y[k] - outer, 0.0))), 0)
        y1 = int(math.floor(min(y[k] + outer, height - 1.0)))
        hit = False
        profile = profiles[1 if on_image[k] else 0]
        for iy in range(y0, y1 + 1):
            dy2 = (iy - y[k]) ** 2
            if dy2 > outer * outer:
                continue
            half = math.sqrt(outer * outer - dy2)
            x0 = int(math.ceil(max(x[k] - half, 0.0)))
            x1 = int(math.floor(min(x[k] + half, width - 1.0)))
            for ix in range(x0, x1 + 1):
                r = math.sqrt((ix - x[k]) ** 2 + dy2)
                if r <= inner or r >= outer:
                    continue
                t = (r - inner) / step
                i = int(t)
                t -= i
                value = profile[i] * (1.0 - t) + profile[i + 1] * t
                fade_out = min((outer - r) / (0.5 * outer), 1.0)
                fade_in = min((r - inner) / taper_width, 1.0)
                image[iy, ix] += np.float32(flux[k] * value * fade_out * fade_in)
                hit = True
        if hit:
            touched += 1
    return touched
