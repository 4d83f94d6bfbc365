"""Ellipses of galaxies: catalogue ("hard") and fitting ("soft") parameters, and their shape tensors.

Hard ellipticity: ``e = (1 - b/a) / (1 + b/a)``, ``e1 = e cos 2 phi``, ``e2 = e sin 2 phi``, phi the position angle
from North towards East. Soft ellipticity: the same angle with ``|eps| = -ln(1 - e)``, which is unbounded.
The shape tensor W is the second-moment tensor [arcsec^2] in (East, North) of a component of unit variance:
``W = r_e^2 [q^2 I + (1 - q^2) m m^T]`` with q = b/a and m = (sin phi, cos phi) along the major axis.
"""

import math

import numpy as np
from numba import njit

__all__ = ["soft_from_hard", "hard_from_soft", "hard_from_axis_ratio", "shape_tensor", "MIN_AXIS_RATIO"]

#: Axis ratios below this are rendered as this.
MIN_AXIS_RATIO = 1e-3
_MAX_ELLIPTICITY = 0.999999
#: Below this the soft ellipticity counts as zero for derivatives (r_e is the semi-major axis: a cusp).
_CUSP = 1e-6


def soft_from_hard(e1, e2):
    """Soft ellipticity (eps1, eps2) of a hard one; |e| is capped at 0.999999."""
    e = math.hypot(e1, e2)
    if e == 0.0:
        return 0.0, 0.0
    s = -math.log1p(-min(e, _MAX_ELLIPTICITY)) / e
    return s * e1, s * e2


def hard_from_soft(eps1, eps2):
    """Hard ellipticity (e1, e2) of a soft one."""
    eps = math.hypot(eps1, eps2)
    if eps == 0.0:
        return 0.0, 0.0
    e = min(-math.expm1(-eps), _MAX_ELLIPTICITY)
    return e * eps1 / eps, e * eps2 / eps


def hard_from_axis_ratio(axis_ratio, position_angle):
    """Hard ellipticity of an axis ratio b/a and an astronomical position angle [deg, East of North]."""
    e = (1 - axis_ratio) / (1 + axis_ratio)
    phi = math.radians(position_angle)
    return e * math.cos(2 * phi), e * math.sin(2 * phi)


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


def shape_tensor(shape_r, e1, e2):
    """Shape tensor of hard parameters.

    Parameters
    ----------
    shape_r : float
        Half-light radius along the major axis [arcsec].
    e1, e2 : float
        Hard ellipticity.

    Returns
    -------
    numpy.ndarray of float64, shape (3,)
        W_EE, W_EN, W_NN [arcsec^2].
    """
    tensor, derivatives = np.empty(3), np.empty((3, 3))
    eps1, eps2 = soft_from_hard(e1, e2)
    soft_shape_tensor(math.log(max(shape_r, 1e-12)), eps1, eps2, tensor, derivatives)
    return tensor
