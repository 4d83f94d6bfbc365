"""Kernels: products of residual and model derivatives, normal equations with fluxes and skies eliminated, box solver.

The columns of an image's product matrix ("gram") are: 0 residual, 1 model of unit flux, then (if the position is
free) d/dpx, d/dpy, then the shape derivatives [ln r_e [, eps1, eps2 [, n]]], then (if the background is fitted) a
constant; all multiplied by the inverse errors. Derivatives are those of the unit-flux model.
"""

import math

import numpy as np
from numba import njit

from ..models.render_kernels import BORDER, point_source

_FAST = {"reassoc", "contract", "nsz", "arcp"}
#: Pixels whose products are summed in float32 before they go to float64.
_BLOCK = 512
_C1 = np.float32(3.0 / 4.0)
_C2 = np.float32(-3.0 / 20.0)
_C3 = np.float32(1.0 / 60.0)


@njit(cache=True, fastmath=_FAST)
def _dot(a, b, n):
    total = np.float32(0.0)
    for k in range(n):
        total += a[k] * b[k]
    return total


@njit(cache=True, fastmath=_FAST)
def _flush(columns, n, ncol, gram):
    """Add the products of `n` pixels to the lower triangle of `gram`."""
    for a in range(ncol):
        ca = columns[a, :n]
        for b in range(a + 1):
            gram[a, b] += _dot(ca, columns[b, :n], n)


@njit(cache=True)
def _symmetrise(gram, ncol):
    for a in range(ncol):
        for b in range(a):
            gram[b, a] = gram[a, b]


@njit(cache=True, fastmath=_FAST)
def _common_columns(g, data, ie, flux, n, residual, model):
    """Residual and model columns of a row; returns the sum of the model over good pixels."""
    inside = np.float32(0.0)
    for x in range(n):
        residual[x] = (data[x] - flux * g[x]) * ie[x]
        model[x] = g[x] * ie[x]
        if ie[x] > np.float32(0.0):
            inside += g[x]
    return inside


@njit(cache=True, fastmath=_FAST)
def _scaled(source, ie, n, out):
    for x in range(n):
        out[x] = source[x] * ie[x]


@njit(cache=True, fastmath=_FAST)
def _negative_slope(m3, m2, m1, p1, p2, p3, ie, n, out):
    """Minus the 7-point derivative (the derivative with respect to the source's position), times `ie`."""
    for x in range(n):
        out[x] = -(_C1 * (p1[x] - m1[x]) + _C2 * (p2[x] - m2[x]) + _C3 * (p3[x] - m3[x])) * ie[x]


@njit(cache=True)
def gram_galaxy(
    chunk, planes, nderiv, window, offset, row_offset, spans, data, inverr, flux, position, background, gram, inside
):
    """Product matrices of one galaxy in the images of a chunk.

    Parameters
    ----------
    chunk : int64 (m,)
        Image numbers.
    planes : float32 (m, 1 + nderiv, size, size)
        Frames of unit-flux model and shape derivatives; the window starts at (BORDER, BORDER).
    window : int32 (n, 4)
    offset, row_offset : int64 (n,)
        Where each window's pixels, and its rows' spans, start.
    spans : int32 (rows, 2)
        Half-open range of window columns that have good pixels.
    data, inverr : float32
        Window pixels of all images.
    flux : float64 (n,)
        Current flux per image.
    position, background : bool
        Which columns to make.
    gram : float64 (n, ncol, ncol)
        Out.
    inside : float64 (n,)
        Out: sum of the unit-flux model over good pixels.
    """
    ncol = 2 + (2 if position else 0) + nderiv + (1 if background else 0)
    width = 0
    for k in range(chunk.size):
        width = max(width, window[chunk[k], 2])
    capacity = max(_BLOCK, width)
    columns = np.empty((ncol, capacity), np.float32)
    for k in range(chunk.size):
        i = chunk[k]
        w, h = window[i, 2], window[i, 3]
        m = gram[i]
        for a in range(ncol):
            for b in range(ncol):
                m[a, b] = 0.0
        total = 0.0
        used = 0
        f = np.float32(flux[i])
        g = planes[k, 0]
        for y in range(h):
            lo = spans[row_offset[i] + y, 0]
            hi = spans[row_offset[i] + y, 1]
            n = hi - lo
            if n <= 0:
                continue
            if used + n > capacity:
                _flush(columns, used, ncol, m)
                used = 0
            start = offset[i] + y * w + lo
            ie = inverr[start : start + n]
            fy = y + BORDER
            fx = lo + BORDER
            row = g[fy, fx : fx + n]
            total += _common_columns(
                row, data[start : start + n], ie, f, n, columns[0, used : used + n], columns[1, used : used + n]
            )
            c = 2
            if position:
                _negative_slope(
                    g[fy, fx - 3 : fx - 3 + n], g[fy, fx - 2 : fx - 2 + n], g[fy, fx - 1 : fx - 1 + n],
                    g[fy, fx + 1 : fx + 1 + n], g[fy, fx + 2 : fx + 2 + n], g[fy, fx + 3 : fx + 3 + n],
                    ie, n, columns[2, used : used + n],
                )  # fmt: skip
                _negative_slope(
                    g[fy - 3, fx : fx + n], g[fy - 2, fx : fx + n], g[fy - 1, fx : fx + n],
                    g[fy + 1, fx : fx + n], g[fy + 2, fx : fx + n], g[fy + 3, fx : fx + n],
                    ie, n, columns[3, used : used + n],
                )  # fmt: skip
                c = 4
            for d in range(nderiv):
                _scaled(planes[k, 1 + d, fy, fx : fx + n], ie, n, columns[c + d, used : used + n])
            if background:
                columns[c + nderiv, used : used + n] = ie
            used += n
        _flush(columns, used, ncol, m)
        _symmetrise(m, ncol)
        inside[i] = total


@njit(cache=True)
def gram_point_source(
    index,
    stamps,
    ph,
    pw,
    px,
    py,
    window,
    offset,
    row_offset,
    spans,
    data,
    inverr,
    flux,
    position,
    background,
    gram,
    inside,
):
    """Product matrices of one point source in the images of `index`; parameters as `gram_galaxy`."""
    ncol = 2 + (2 if position else 0) + (1 if background else 0)
    width = 0
    height = 0
    for k in range(index.size):
        width = max(width, window[index[k], 2])
        height = max(height, window[index[k], 3])
    capacity = max(_BLOCK, width)
    columns = np.empty((ncol, capacity), np.float32)
    scratch = np.empty((2, stamps.shape[1], width), np.float32)
    planes = np.empty((3, height, width), np.float32)
    for k in range(index.size):
        i = index[k]
        w, h = window[i, 2], window[i, 3]
        point_source(stamps[i], ph[i], pw[i], px[i], py[i], window[i, 0], window[i, 1], w, h, position, scratch, planes)
        m = gram[i]
        for a in range(ncol):
            for b in range(ncol):
                m[a, b] = 0.0
        total = 0.0
        used = 0
        f = np.float32(flux[i])
        for y in range(h):
            lo = spans[row_offset[i] + y, 0]
            hi = spans[row_offset[i] + y, 1]
            n = hi - lo
            if n <= 0:
                continue
            if used + n > capacity:
                _flush(columns, used, ncol, m)
                used = 0
            start = offset[i] + y * w + lo
            ie = inverr[start : start + n]
            total += _common_columns(
                planes[0, y, lo:hi], data[start : start + n], ie, f, n, columns[0, used : used + n],
                columns[1, used : used + n],
            )  # fmt: skip
            c = 2
            if position:
                _scaled(planes[1, y, lo:hi], ie, n, columns[2, used : used + n])
                _scaled(planes[2, y, lo:hi], ie, n, columns[3, used : used + n])
                c = 4
            if background:
                columns[c, used : used + n] = ie
            used += n
        _flush(columns, used, ncol, m)
        _symmetrise(m, ncol)
        inside[i] = total


@njit(cache=True)
def _sky_position(m, ncol, cinv):
    """Turn the columns d/dpx, d/dpy (2 and 3) of a product matrix into d/dEast, d/dNorth [arcsec]."""
    xe, xn, ye, yn = cinv[0], cinv[1], cinv[2], cinv[3]
    for a in range(ncol):
        x, y = m[a, 2], m[a, 3]
        m[a, 2] = xe * x + ye * y
        m[a, 3] = xn * x + yn * y
    for a in range(ncol):
        x, y = m[2, a], m[3, a]
        m[2, a] = xe * x + ye * y
        m[3, a] = xn * x + yn * y


@njit(cache=True)
def assemble(
    index,
    gram,
    ncol,
    band,
    cinv,
    position,
    background,
    flux,
    chi2,
    flux_ivar,
    hessian,
    gradient,
    response,
    information,
    solve_flux=True,
):
    """Normal equations of the non-linear parameters, with the fluxes (and skies) at their optimum.

    Fluxes are linear: they are replaced by their least-squares values for the current model, and the derivatives are
    projected on the space orthogonal to the models (variable projection, Kaufman's approximation). A sky per image is
    eliminated in the same way.

    Parameters
    ----------
    index : int64 (m,)
        Images.
    gram : float64 (n, ncol, ncol)
        Product matrices, made with the fluxes `flux`. Not changed.
    band : int64 (n,)
        Band number of each image.
    cinv : float64 (n, 4)
        d(x, y)/d(East, North) [pixel/arcsec].
    position, background : bool
        Which columns there are.
    flux : float64 (nband,)
        In: fluxes of the residual; out: optimal fluxes. A band without any model light keeps its flux.
    chi2, flux_ivar : float64 (nband,)
        Out: chi-squared at the optimal fluxes; sum (G ie)^2.
    hessian : float64 (npar, npar); gradient : float64 (npar,)
        Out: of -ln L and ln L with respect to East, North [arcsec], shape parameters.
    response : float64 (nband, npar)
        Out: change of the optimal fluxes per unit parameter step, to first order.
    solve_flux : bool
        False: keep the fluxes as given (then hessian and gradient are not those of a maximum).
    information : float64 (npar, npar)
        Out: sum over pixels of the products of the derivatives (nothing eliminated).
    """
    nband = flux.size
    npar = hessian.shape[0]
    nc = ncol - (1 if background else 0)
    total = np.zeros((nband, nc, nc))
    raw = np.zeros((nband, npar, npar))
    work = np.empty((ncol, ncol))
    for k in range(index.size):
        i = index[k]
        for a in range(ncol):
            for c in range(ncol):
                work[a, c] = gram[i, a, c]
        if position:
            _sky_position(work, ncol, cinv[i])
        b = band[i]
        for a in range(npar):
            for c in range(npar):
                raw[b, a, c] += work[2 + a, 2 + c]
        if background and work[ncol - 1, ncol - 1] > 0.0:
            s = work[ncol - 1, ncol - 1]
            for a in range(nc):
                for c in range(nc):
                    total[b, a, c] += work[a, c] - work[a, ncol - 1] * work[c, ncol - 1] / s
        else:
            for a in range(nc):
                for c in range(nc):
                    total[b, a, c] += work[a, c]
    for a in range(npar):
        gradient[a] = 0.0
        for c in range(npar):
            hessian[a, c] = 0.0
            information[a, c] = 0.0
    for b in range(nband):
        t = total[b]
        gg = t[1, 1]
        chi2[b] = t[0, 0]
        flux_ivar[b] = gg
        for a in range(npar):
            response[b, a] = 0.0
        if gg <= 0.0:
            continue
        step = t[0, 1] / gg if solve_flux else 0.0
        flux[b] += step
        chi2[b] -= step * t[0, 1]
        f = flux[b]
        for a in range(npar):
            gradient[a] += f * (t[2 + a, 0] - step * t[2 + a, 1])
            response[b, a] = -f * t[2 + a, 1] / gg
            for c in range(npar):
                information[a, c] += f * f * raw[b, a, c]
                hessian[a, c] += f * f * (t[2 + a, 2 + c] - t[2 + a, 1] * t[2 + c, 1] / gg)


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
