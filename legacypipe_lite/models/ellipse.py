"""Ellipses of galaxies: catalogue ("hard") and fitting ("soft") parameters, and their shape tensors.

Hard ellipticity: ``e = (1 - b/a) / (1 + b/a)``, ``e1 = e cos 2 phi``, ``e2 = e sin 2 phi``, phi the position angle
from North towards East. Soft ellipticity: the same angle with ``|eps| = -ln(1 - e)``, which is unbounded.
The shape tensor W is the second-moment tensor [arcsec^2] in (East, North) of a component of unit variance:
``W = r_e^2 [q^2 I + (1 - q^2) m m^T]`` with q = b/a and m = (sin phi, cos phi) along the major axis.
"""

import math

import numpy as np
from numpy.typing import NDArray

from .ellipse_kernels import MIN_AXIS_RATIO, hard_jacobian, soft_shape_tensor

__all__ = [
    "soft_from_hard",
    "hard_from_soft",
    "shape_tensor",
    "soft_shape_tensor",
    "hard_jacobian",
    "MIN_AXIS_RATIO",
]

_MAX_ELLIPTICITY = 0.999999


def soft_from_hard(e1: float, e2: float) -> tuple[float, float]:
    """Soft ellipticity (eps1, eps2) of a hard one; |e| is capped at 0.999999."""
    e = math.hypot(e1, e2)
    if e == 0.0:
        return 0.0, 0.0
    s = -math.log1p(-min(e, _MAX_ELLIPTICITY)) / e
    return s * e1, s * e2


def hard_from_soft(eps1: float, eps2: float) -> tuple[float, float]:
    """Hard ellipticity (e1, e2) of a soft one."""
    eps = math.hypot(eps1, eps2)
    if eps == 0.0:
        return 0.0, 0.0
    e = min(-math.expm1(-eps), _MAX_ELLIPTICITY)
    return e * eps1 / eps, e * eps2 / eps


def shape_tensor(shape_r: float, e1: float, e2: float) -> NDArray[np.float64]:
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
