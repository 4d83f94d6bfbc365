"""Kernels: shape tensors of soft ellipses, with derivatives."""

import math

from numba import njit

#: Axis ratios below this are rendered as this.
MIN_AXIS_RATIO = 1e-3
#: Below this the soft ellipticity counts as zero for derivatives (r_e is the semi-major axis: a cusp).
_CUSP = 1e-6


@njit(cache=True)
def hard_jacobian(eps1, eps2):
    """d(e1, e2)/d(eps1, eps2) as (a11, a12, a21, a22)."""
    eps = math.hypot(eps1, eps2)
    if eps < _CUSP:
        return 1.0, 0.0, 0.0, 1.0
    ratio = -math.expm1(-eps) / eps
    slope = (math.exp(-eps) - ratio) / eps
    c, s = eps1 / eps, eps2 / eps
    return ratio + slope * eps * c * c, slope * eps * c * s, slope * eps * c * s, ratio + slope * eps * s * s


@njit(cache=True)
def soft_shape_tensor(log_re, eps1, eps2, tensor, derivatives):
    """Shape tensor and its derivatives with respect to ln r_e, eps1, eps2.

    Parameters
    ----------
    log_re, eps1, eps2 : float
    tensor : float64 (3,)
        Out: W_EE, W_EN, W_NN [arcsec^2].
    derivatives : float64 (3, 3)
        Out: rows ln r_e, eps1, eps2; columns as `tensor`.
    """
    r2 = math.exp(2.0 * log_re)
    eps = math.hypot(eps1, eps2)
    e = -math.expm1(-eps)
    q = (1.0 - e) / (1.0 + e)
    dq = -2.0 * math.exp(-eps) / (1.0 + e) ** 2
    if q < MIN_AXIS_RATIO:
        q = MIN_AXIS_RATIO
        dq = 0.0
    a = 0.5 * (1.0 + q * q)
    da = q * dq
    if eps < _CUSP:
        # b = (1 - q^2) / (2 eps) -> 2, and the (cuspy) derivative of `a` is left out
        b, db, da = 2.0, 0.0, 0.0
        c, s = 0.0, 0.0
    else:
        b = 0.5 * (1.0 - q * q) / eps
        db = (-q * dq - b) / eps
        c, s = eps1 / eps, eps2 / eps
    tensor[0] = r2 * (a - b * eps1)
    tensor[1] = r2 * b * eps2
    tensor[2] = r2 * (a + b * eps1)
    for k in range(3):
        derivatives[0, k] = 2.0 * tensor[k]
    derivatives[1, 0] = r2 * (da * c - db * c * eps1 - b)
    derivatives[1, 1] = r2 * db * c * eps2
    derivatives[1, 2] = r2 * (da * c + db * c * eps1 + b)
    derivatives[2, 0] = r2 * (da * s - db * s * eps1)
    derivatives[2, 1] = r2 * (db * s * eps2 + b)
    derivatives[2, 2] = r2 * (da * s + db * s * eps1)
