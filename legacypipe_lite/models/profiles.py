"""Galaxy profiles as mixtures of Gaussians.

Every profile is ``sum_k a_k N(0, v_k I)`` in units of r_e, with ``sum a_k = 1``. The mixtures approximate truncated
profiles: EXP tapers to zero between 3 and 4 r_e, DEV between 7 and 8 r_e and is softened in its core; r_e is the
half-light radius of the *untruncated* profile. A component of zero variance is a central point source.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from . import profile_tables as tables
from .sources import SOURCE_TYPES

__all__ = ["mixture", "sersic_mixture_with_derivative", "SERSIC_MIN", "SERSIC_MAX"]

#: Bounds of the Sersic index in fits.
SERSIC_MIN, SERSIC_MAX = 0.5, 6.0

_TABLE_MIN, _TABLE_MAX = 0.29, 6.3


def mixture(source_type: str, sersic: float | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mixture of a source type.

    Parameters
    ----------
    source_type : str
        See `sources.SOURCE_TYPES`.
    sersic : float, optional
        Sersic index, if it is a free parameter of the type.

    Returns
    -------
    amplitudes, variances : numpy.ndarray of float64
        Sum 1; variances [r_e^2] in increasing order. A PSF is one component of zero variance.
    """
    kind = SOURCE_TYPES[source_type]
    if kind.has_index:
        assert sersic is not None, "a free Sersic index is needed"
        amp, var, _, _ = sersic_mixture_with_derivative(float(sersic))
        return amp, var
    return _FIXED[kind.sersic]


def _exponential():
    amp = np.array(tables.EXP_AMPLITUDES)
    return amp / amp.sum(), np.array(tables.EXP_VARIANCES)


def _de_vaucouleurs():
    amp = np.array(tables.DEV_AMPLITUDES)
    amp *= (1 - tables.DEV_CORE) / amp.sum()
    return np.append(tables.DEV_CORE, amp), np.append(0.0, tables.DEV_VARIANCES)


#: Mixtures of fixed profiles by `SourceType.sersic`.
_FIXED = {
    0.0: (np.ones(1), np.zeros(1)),
    1.0: _exponential(),
    4.0: _de_vaucouleurs(),
}


@lru_cache(maxsize=1)
def _sersic_splines():
    """Per range of n: (lo, hi, spline of [amplitudes, ln variances]), and the spline of the core fraction."""
    ranges = []
    for line in tables.SERSIC_RANGES.split("\n"):
        if line.startswith("range"):
            lo, hi = line.split()[1:]
            ranges.append((float(lo), float(hi), []))
        elif line:
            n, amp, var = line.split(";")
            ranges[-1][2].append((float(n), [float(a) for a in amp.split()], [float(v) for v in var.split()]))
    splines = []
    for lo, hi, rows in ranges:
        n = np.array([r[0] for r in rows])
        values = np.array([r[1] + list(np.log(r[2])) for r in rows])
        splines.append((lo, hi, CubicSpline(n, values, bc_type="not-a-knot")))
    core = np.array([[float(x) for x in item.split(":")] for item in tables.SERSIC_CORE.split()])
    return splines, CubicSpline(core[:, 0], core[:, 1], bc_type="not-a-knot")


def sersic_mixture_with_derivative(
    n: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mixture of a Sersic profile and its derivative with respect to the index.

    Parameters
    ----------
    n : float
        Sersic index; clipped to [0.29, 6.3].

    Returns
    -------
    amp, var, damp, dvar : numpy.ndarray of float64
        Amplitudes (sum 1), variances [r_e^2] in increasing order, and their derivatives d/dn within the range of
        the table that holds n (the number of components may change between ranges).
    """
    n = min(max(n, _TABLE_MIN), _TABLE_MAX)
    splines, core_spline = _sersic_splines()
    spline = next((s for lo, hi, s in splines if lo <= n < hi), splines[-1][2])
    values, slopes = spline(n), spline(n, 1)
    k = len(values) // 2
    amp, damp = values[:k], slopes[:k]
    var = np.exp(values[k:])
    dvar = var * slopes[k:]
    total = amp.sum()
    amp = amp / total
    damp = (damp - amp * damp.sum()) / total
    if n > 1:
        core, dcore = float(core_spline(n)), float(core_spline(n, 1))
        damp = np.append((1 - core) * damp - dcore * amp, dcore)
        amp = np.append((1 - core) * amp, core)
        var, dvar = np.append(var, 0.0), np.append(dvar, 0.0)
    order = np.argsort(var, kind="stable")
    return amp[order], var[order], damp[order], dvar[order]
