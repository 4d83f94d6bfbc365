"""Kernel: which sources may reach into an image."""

import math

from numba import njit

from ..wcs.projection_kernels import packed_local_jacobian, packed_sky_to_pixel


@njit(cache=True, nogil=True)
def may_touch(packed, ra, dec, extent, reach, width, height, near):
    """Find the sources that lie on an image or not far off it.

    Parameters
    ----------
    packed : float64
        Packed WCS of the image.
    ra, dec : float64 (n,)
        Degrees.
    extent : float64 (n,)
        Reach of the sources [arcsec].
    reach : float64
        Further reach, the same for all [pixel].
    width, height : int
    near : bool (n,)
        Out.
    """
    for i in range(ra.size):
        near[i] = False
        if math.isnan(ra[i]):
            continue
        x, y = packed_sky_to_pixel(packed, ra[i], dec[i])
        if math.isnan(x):
            continue
        ex, ey, nx, ny = packed_local_jacobian(packed, x, y)
        scale = 3600.0 * math.sqrt(abs(ex * ny - ey * nx))
        r = reach + extent[i] / scale
        near[i] = x + r >= 0.0 and y + r >= 0.0 and x - r <= width and y - r <= height
