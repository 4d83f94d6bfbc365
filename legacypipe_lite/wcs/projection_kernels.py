"""Kernels: sky <-> pixel of a packed WCS (TAN, TPV or SIP).

A packed WCS is a float64 array of length `PACKED_SIZE`, made by `legacypipe_lite.wcs.ImageWcs.pack`:

====== =======================================================================
index  content
====== =======================================================================
0      kind: 0 TAN, 1 TPV, 2 SIP
1-2    CRVAL [deg]
3-4    CRPIX, 0-based
5-8    CD matrix, row by row [deg/pixel]
9-12   inverse CD matrix [pixel/deg]
13     number of coefficients in use (TPV: highest index + 1; SIP: order + 1)
16-71  PV1_i (TPV) or A_pq (SIP) at 16 + `sip_index(p, q)`
72-127 PV2_i (TPV) or B_pq (SIP), likewise
====== =======================================================================

Formulas: the TPV convention as registered with the FITS standard; SIP: Shupe et al. 2005 (ASPC 347, 491);
gnomonic projection: Calabretta & Greisen 2002 (A&A 395, 1077).
"""

import math

import numpy as np
from numba import njit

PACKED_SIZE = 128
TAN, TPV, SIP = 0, 1, 2
_FIRST = 16
_SECOND = 72
_DEG = math.pi / 180.0
_MAX_NEWTON = 20
#: Pixels from the origin beyond which no image reaches.
FARTHEST = 1e8

# Exponents (a, b) of xi^a eta^b for each TPV coefficient; (-c, 0) stands for r^c.
TPV_EXPONENTS = np.array(
    [(0, 0), (1, 0), (0, 1), (-1, 0), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3), (-3, 0)]
    + [(4 - k, k) for k in range(5)]
    + [(5 - k, k) for k in range(6)]
    + [(-5, 0)]
    + [(6 - k, k) for k in range(7)]
    + [(7 - k, k) for k in range(8)]
    + [(-7, 0)],
    dtype=np.int64,
)


def sip_index(p, q):
    """Position of the SIP coefficient A_p_q within its block: terms ordered by total order, then by q."""
    order = p + q
    return order * (order + 1) // 2 + q


@njit(cache=True, inline="always")
def _tpv_polynomial(packed, first, n, u, v):
    """One TPV polynomial and its derivatives with respect to its own first (u) and second (v) argument."""
    value = 0.0
    du = 0.0
    dv = 0.0
    r = math.sqrt(u * u + v * v)
    for i in range(n):
        c = packed[first + i]
        if c == 0.0:
            continue
        a = TPV_EXPONENTS[i, 0]
        b = TPV_EXPONENTS[i, 1]
        if a < 0:
            k = -a
            rk = r ** (k - 2) if r > 0.0 else 0.0
            value += c * rk * r * r
            du += c * k * rk * u
            dv += c * k * rk * v
        else:
            ua = u ** (a - 1) if a > 0 else 0.0
            vb = v ** (b - 1) if b > 0 else 0.0
            ufull = ua * u if a > 0 else 1.0
            vfull = vb * v if b > 0 else 1.0
            value += c * ufull * vfull
            du += c * a * ua * vfull
            dv += c * b * ufull * vb
    return value, du, dv


@njit(cache=True, inline="always")
def _sip_polynomial(packed, first, n, u, v):
    """One SIP polynomial sum A_pq u^p v^q and its derivatives."""
    value = 0.0
    du = 0.0
    dv = 0.0
    k = 0
    for order in range(n):
        for q in range(order + 1):
            c = packed[first + k]
            k += 1
            if c == 0.0:
                continue
            p = order - q
            up = u ** (p - 1) if p > 0 else 0.0
            vq = v ** (q - 1) if q > 0 else 0.0
            ufull = up * u if p > 0 else 1.0
            vfull = vq * v if q > 0 else 1.0
            value += c * ufull * vfull
            du += c * p * up * vfull
            dv += c * q * ufull * vq
    return value, du, dv


@njit(cache=True)
def _pixel_to_plane(packed, x, y):
    """Pixel (0-based) to the gnomonic plane [deg] with the 2x2 Jacobian d(xi, eta)/d(x, y)."""
    kind = int(packed[0])
    n = int(packed[13])
    u = x - packed[3]
    v = y - packed[4]
    j00, j01, j10, j11 = 1.0, 0.0, 0.0, 1.0
    if kind == SIP:
        f, fu, fv = _sip_polynomial(packed, _FIRST, n, u, v)
        g, gu, gv = _sip_polynomial(packed, _SECOND, n, u, v)
        u += f
        v += g
        j00, j01, j10, j11 = 1.0 + fu, fv, gu, 1.0 + gv
    xi = packed[5] * u + packed[6] * v
    eta = packed[7] * u + packed[8] * v
    a00 = packed[5] * j00 + packed[6] * j10
    a01 = packed[5] * j01 + packed[6] * j11
    a10 = packed[7] * j00 + packed[8] * j10
    a11 = packed[7] * j01 + packed[8] * j11
    if kind == TPV:
        f, fx, fy = _tpv_polynomial(packed, _FIRST, n, xi, eta)
        g, gy, gx = _tpv_polynomial(packed, _SECOND, n, eta, xi)
        b00 = fx * a00 + fy * a10
        b01 = fx * a01 + fy * a11
        b10 = gx * a00 + gy * a10
        b11 = gx * a01 + gy * a11
        return f, g, b00, b01, b10, b11
    return xi, eta, a00, a01, a10, a11


@njit(cache=True)
def plane_to_sky(crval1, crval2, xi, eta):
    """Inverse gnomonic projection; all arguments and results in degrees, RA in [0, 360)."""
    x = xi * _DEG
    y = eta * _DEG
    sin0 = math.sin(crval2 * _DEG)
    cos0 = math.cos(crval2 * _DEG)
    denominator = cos0 - y * sin0
    ra = crval1 + math.atan2(x, denominator) / _DEG
    dec = math.atan2(sin0 + y * cos0, math.hypot(x, denominator)) / _DEG
    ra = ra % 360.0
    return ra, dec


@njit(cache=True)
def sky_to_plane(crval1, crval2, ra, dec):
    """Gnomonic projection (degrees); NaN for a point at or beyond 90 degrees from the tangent point."""
    dra = (ra - crval1) * _DEG
    sin0 = math.sin(crval2 * _DEG)
    cos0 = math.cos(crval2 * _DEG)
    sind = math.sin(dec * _DEG)
    cosd = math.cos(dec * _DEG)
    cosr = math.cos(dra)
    c = sin0 * sind + cos0 * cosd * cosr
    if c <= 0.0:
        return np.nan, np.nan
    xi = cosd * math.sin(dra) / c
    eta = (cos0 * sind - sin0 * cosd * cosr) / c
    return xi / _DEG, eta / _DEG


@njit(cache=True)
def packed_pixel_to_sky(packed, x, y):
    """RA, Dec [deg] of a 0-based pixel position."""
    xi, eta, _, _, _, _ = _pixel_to_plane(packed, x, y)
    return plane_to_sky(packed[1], packed[2], xi, eta)


@njit(cache=True)
def packed_sky_to_pixel(packed, ra, dec):
    """0-based pixel position of a sky position; NaN if it does not project or Newton's method fails.

    All pixel positions of things on the sky come from here: they are finite and within `FARTHEST`, so that they can be
    turned into integers, or NaN.
    """
    xi, eta = sky_to_plane(packed[1], packed[2], ra, dec)
    x = packed[3] + packed[9] * xi + packed[10] * eta
    y = packed[4] + packed[11] * xi + packed[12] * eta
    # Comparisons with NaN are false.
    if not (abs(x) < FARTHEST and abs(y) < FARTHEST):
        return np.nan, np.nan
    if int(packed[0]) == TAN:
        return x, y
    for _ in range(_MAX_NEWTON):
        f, g, j00, j01, j10, j11 = _pixel_to_plane(packed, x, y)
        det = j00 * j11 - j01 * j10
        if det == 0.0 or math.isnan(det):
            return np.nan, np.nan
        df = xi - f
        dg = eta - g
        dx = (j11 * df - j01 * dg) / det
        dy = (j00 * dg - j10 * df) / det
        x += dx
        y += dy
        if abs(dx) + abs(dy) < 1e-9 and abs(x) < FARTHEST and abs(y) < FARTHEST:
            return x, y
    return np.nan, np.nan


@njit(cache=True)
def packed_local_jacobian(packed, x, y):
    """Local d(East, North)/d(x, y) [deg/pixel] on the sky at a 0-based pixel, as (e_x, e_y, n_x, n_y)."""
    xi, eta, j00, j01, j10, j11 = _pixel_to_plane(packed, x, y)
    ra, dec = plane_to_sky(packed[1], packed[2], xi, eta)
    a = xi * _DEG
    b = eta * _DEG
    sin0 = math.sin(packed[2] * _DEG)
    cos0 = math.cos(packed[2] * _DEG)
    dra = (ra - packed[1]) * _DEG
    sina, cosa = math.sin(dra), math.cos(dra)
    sind, cosd = math.sin(dec * _DEG), math.cos(dec * _DEG)
    # Unit vectors in a frame whose x axis points to the tangent point's meridian:
    # the plane's East is (0, 1, 0), its North (-sin0, 0, cos0).
    norm = math.sqrt(1.0 + a * a + b * b)
    # local East (-sina, cosa, 0) and North (-sind cosa, -sind sina, cosd)
    ee = cosa
    en = sina * sin0
    ne = -sind * sina
    nn = sind * cosa * sin0 + cosd * cos0
    # d(direction) = d(vector)/norm minus its radial part; the local axes are tangential, so that part drops.
    e_xi, e_eta = ee / norm, en / norm
    n_xi, n_eta = ne / norm, nn / norm
    return (
        e_xi * j00 + e_eta * j10,
        e_xi * j01 + e_eta * j11,
        n_xi * j00 + n_eta * j10,
        n_xi * j01 + n_eta * j11,
    )


@njit(cache=True)
def pixels_to_sky(packed, x, y, ra, dec):
    """Fill `ra`, `dec` for 1-d arrays of 0-based pixel positions."""
    for i in range(x.size):
        ra[i], dec[i] = packed_pixel_to_sky(packed, x[i], y[i])


@njit(cache=True)
def sky_to_pixels(packed, ra, dec, x, y):
    """Fill `x`, `y` (0-based) for 1-d arrays of sky positions."""
    for i in range(ra.size):
        x[i], y[i] = packed_sky_to_pixel(packed, ra[i], dec[i])


@njit(cache=True)
def pixels_to_pixels(packed_from, packed_to, x, y, xout, yout):
    """Map 1-d arrays of 0-based pixel positions of one image to those of another via the sky."""
    for i in range(x.size):
        ra, dec = packed_pixel_to_sky(packed_from, x[i], y[i])
        xout[i], yout[i] = packed_sky_to_pixel(packed_to, ra, dec)
