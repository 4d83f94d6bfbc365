"""Kernel: position of a star with proper motion and parallax."""

import math

from numba import njit

_OBLIQUITY = math.radians(23.44)
_ARCSEC_PER_RADIAN = 206264.806


@njit(cache=True)
def moved_position(ra, dec, pmra, pmdec, parallax, years, theta):
    """RA, Dec [deg] after `years` of proper motion, at Earth orbit longitude `theta` [rad]."""
    dec1 = dec + years * pmdec / 3.6e6
    ra1 = ra + years * pmra / 3.6e6 / math.cos(math.radians(dec))
    if parallax == 0.0:
        return ra1, dec1
    a, d = math.radians(ra1), math.radians(dec1)
    s = parallax / 1000.0 / _ARCSEC_PER_RADIAN
    x = math.cos(d) * math.cos(a) + s * math.cos(theta)
    y = math.cos(d) * math.sin(a) + s * math.sin(theta) * math.cos(_OBLIQUITY)
    z = math.sin(d) + s * math.sin(theta) * math.sin(_OBLIQUITY)
    ra2 = math.degrees(math.atan2(y, x)) % 360.0
    return ra2, math.degrees(math.atan2(z, math.hypot(x, y)))
