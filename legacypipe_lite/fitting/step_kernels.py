"""Kernels: a step of the fitting parameters within their bounds, and what it means in pixels and in the catalogue."""

import math

import numpy as np
from numba import njit

from ..models.ellipse_kernels import hard_jacobian


@njit(cache=True)
def move(px, py, cinv, east, north, moved_x, moved_y):
    """Pixel positions after a step on the sky [arcsec].

    Parameters
    ----------
    px, py : float64 (n,)
    cinv : float64 (n, 4)
        d(x, y)/d(East, North) [pixel/arcsec].
    east, north : float
        The step [arcsec].
    moved_x, moved_y : float64 (n,)
        Out.
    """
    for i in range(px.size):
        moved_x[i] = px[i] + cinv[i, 0] * east + cinv[i, 1] * north
        moved_y[i] = py[i] + cinv[i, 2] * east + cinv[i, 3] * north


@njit(cache=True)
def size_steps(log_re, blur, least, most, cap):
    """Smallest and largest step of a size; see `moved_size`.

    Parameters
    ----------
    log_re : float
        ln r_e.
    blur : float
        Variance of the PSF [arcsec^2].
    least, most : float
        Bounds of ln r_e.
    cap : float
        Largest step of the logarithm of the size as it is seen.

    Returns
    -------
    lower, upper : float
    """
    variance = math.exp(2.0 * log_re)
    scale = 0.5 * (variance + blur) / variance
    size = math.log(variance + blur)
    lower = max(math.log(math.exp(2.0 * least) + blur) - size, -2.0 * cap)
    upper = min(math.log(math.exp(2.0 * most) + blur) - size, 2.0 * cap)
    return scale * min(lower, 0.0), scale * max(upper, 0.0)


@njit(cache=True)
def moved_size(log_re, step, blur, least, most):
    """ln r_e after a step.

    Gradients are those of ln r_e, but the step is one of ln(r_e^2 + blur), the size as it is seen through the PSF
    (times a factor that makes its derivative that of ln r_e). Where a galaxy is large both are the same; where it is
    smaller than the PSF the image is linear in r_e^2, and a step of ln r_e would have to be repeated over and over on
    the way to zero.

    Parameters are as `size_steps`.

    Returns
    -------
    log_re : float
    growth : float
        By what the simultaneous step of the ellipticity is to be divided: where the galaxy is small, the image depends
        on the product of ellipticity and r_e^2, so that it would do too much once r_e^2 has grown; at least 1.
    """
    variance = math.exp(2.0 * log_re)
    moved = (variance + blur) * math.exp(2.0 * step * variance / (variance + blur)) - blur
    result = least
    if moved > 0.0:
        result = min(max(0.5 * math.log(moved), least), most)
    growth = math.exp(2.0 * (result - log_re))
    return result, 1.0 + max(growth - 1.0, 0.0) * blur / (variance + blur)


@njit(cache=True)
def allowed_steps(p, least, most, caps, npos, nshape, blur, lower, upper):
    """Box of allowed steps at a parameter vector.

    Parameters
    ----------
    p, least, most, caps : float64 (n,)
        Fitting parameters, their bounds, and the largest steps.
    npos, nshape : int
        Number of free position and shape parameters.
    blur : float
        See `size_steps`.
    lower, upper : float64 (n,)
        Out.
    """
    for a in range(p.size):
        lower[a] = max(least[a] - p[a], -caps[a])
        upper[a] = min(most[a] - p[a], caps[a])
    if nshape > 0:
        lower[npos], upper[npos] = size_steps(p[npos], blur, least[npos], most[npos], caps[npos])


@njit(cache=True)
def make_step(p, step, least, most, npos, nshape, blur, trial):
    """Parameter vector after a step; parameters are as `allowed_steps`."""
    for a in range(p.size):
        trial[a] = p[a] + step[a]
    if nshape > 0:
        trial[npos], growth = moved_size(p[npos], step[npos], blur, least[npos], most[npos])
        for a in range(npos + 1, npos + nshape):
            trial[a] = p[a] + step[a] / growth


@njit(cache=True)
def catalogue_diagonal(matrix, p, npos, nshape, inverse, out):
    """Diagonal of an information (`inverse`) or covariance matrix in catalogue instead of fitting parameters.

    Fitting parameters are East, North [arcsec], ln r_e, soft ellipticity, Sersic index; those of the catalogue East,
    North [deg], r_e [arcsec], hard ellipticity, Sersic index.

    Parameters
    ----------
    matrix : float64 (n, n)
    p : float64 (n,)
        Fitting parameters.
    npos, nshape : int
        Number of free position and shape parameters.
    inverse : bool
    out : float64 (n,)
        Out.
    """
    n = matrix.shape[0]
    for a in range(n):
        scale = 1.0
        if a < npos:
            scale = 1.0 / 3600.0
        elif a == npos and nshape > 0:
            scale = math.exp(p[a])
        if inverse:
            scale = 1.0 / scale
        out[a] = scale * scale * matrix[a, a]
    if nshape == 3:
        k = npos + 1
        a11, a12, a21, a22 = hard_jacobian(p[k], p[k + 1])
        if inverse:
            # transposed inverse
            det = a11 * a22 - a12 * a21
            a11, a12, a21, a22 = a22 / det, -a21 / det, -a12 / det, a11 / det
        m11, m12, m22 = matrix[k, k], matrix[k, k + 1], matrix[k + 1, k + 1]
        out[k] = a11 * a11 * m11 + 2.0 * a11 * a12 * m12 + a12 * a12 * m22
        out[k + 1] = a21 * a21 * m11 + 2.0 * a21 * a22 * m12 + a22 * a22 * m22


@njit(cache=True)
def solve_in_box(hessian, gradient, damping, lower, upper, step):
    """Damped Newton step within a box.

    Maximises ``g.s - s.(H + damping diag(H)).s / 2`` with lower <= s <= upper by fixing, one after the other, the
    coordinates that leave the box at its wall, and releasing those whose gradient points inside again.

    Parameters
    ----------
    hessian : float64 (n, n); gradient : float64 (n,)
    damping : float
    lower, upper : float64 (n,)
        Allowed steps; lower <= 0 <= upper.
    step : float64 (n,)
        Out.

    Returns
    -------
    float
        Predicted gain of the undamped model, ``g.s - s.H.s / 2``.
    """
    n = gradient.size
    fixed = np.zeros(n, np.bool_)
    for a in range(n):
        step[a] = 0.0
        if hessian[a, a] <= 0.0 or not (lower[a] < upper[a]):
            fixed[a] = True
    a_matrix = np.empty((n, n))
    rhs = np.empty(n)
    free = np.empty(n, np.int64)
    for _ in range(3 * n + 3):
        m = 0
        for a in range(n):
            if not fixed[a]:
                free[m] = a
                m += 1
        if m > 0:
            for p in range(m):
                a = free[p]
                rhs[p] = gradient[a]
                for c in range(n):
                    if fixed[c]:
                        rhs[p] -= hessian[a, c] * step[c]
                for r in range(m):
                    a_matrix[p, r] = hessian[a, free[r]]
                a_matrix[p, p] += damping * hessian[a, a]
            if not _cholesky_solve(a_matrix, rhs, m):
                for p in range(m):
                    a = free[p]
                    rhs[p] = gradient[a] / (hessian[a, a] * (1.0 + damping))
            worst = -1
            excess = 0.0
            for p in range(m):
                a = free[p]
                if rhs[p] > upper[a]:
                    e = (rhs[p] - upper[a]) * math.sqrt(hessian[a, a])
                elif rhs[p] < lower[a]:
                    e = (lower[a] - rhs[p]) * math.sqrt(hessian[a, a])
                else:
                    continue
                if e >= excess:
                    excess = e
                    worst = a
            for p in range(m):
                step[free[p]] = rhs[p]
            if worst >= 0:
                step[worst] = upper[worst] if step[worst] > upper[worst] else lower[worst]
                fixed[worst] = True
                continue
        # all free coordinates are inside: release a fixed one that wants back in
        released = False
        for a in range(n):
            if not fixed[a] or hessian[a, a] <= 0.0 or not (lower[a] < upper[a]):
                continue
            slope = gradient[a] - damping * hessian[a, a] * step[a]
            for c in range(n):
                slope -= hessian[a, c] * step[c]
            if (step[a] >= upper[a] and slope < -1e-12) or (step[a] <= lower[a] and slope > 1e-12):
                fixed[a] = False
                released = True
                break
        if not released:
            break
    gain = 0.0
    for a in range(n):
        step[a] = min(max(step[a], lower[a]), upper[a])
    for a in range(n):
        gain += gradient[a] * step[a]
        for c in range(n):
            gain -= 0.5 * step[a] * hessian[a, c] * step[c]
    return gain


@njit(cache=True)
def _cholesky_solve(a, b, n):
    """Solve a x = b in place for the leading n x n block; False if it is not positive definite."""
    for j in range(n):
        d = a[j, j]
        for k in range(j):
            d -= a[j, k] * a[j, k]
        if not d > 1e-14 * abs(a[j, j]):
            return False
        d = math.sqrt(d)
        a[j, j] = d
        for i in range(j + 1, n):
            s = a[i, j]
            for k in range(j):
                s -= a[i, k] * a[j, k]
            a[i, j] = s / d
    for i in range(n):
        s = b[i]
        for k in range(i):
            s -= a[i, k] * b[k]
        b[i] = s / a[i, i]
    for i in range(n - 1, -1, -1):
        s = b[i]
        for k in range(i + 1, n):
            s -= a[k, i] * b[k]
        b[i] = s / a[i, i]
    return True
