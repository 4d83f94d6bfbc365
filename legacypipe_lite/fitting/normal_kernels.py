"""Kernels: products of residual and model derivatives, normal equations with fluxes and skies eliminated.

The columns of an image's product matrix ("gram") are: 0 residual, 1 model of unit flux, then (if the position is
free) d/dpx, d/dpy, then the shape derivatives [ln r_e [, eps1, eps2 [, n]]], then (if the background is fitted) a
constant; all multiplied by the inverse errors. Derivatives are those of the unit-flux model.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from ..models.render_kernels import BORDER, STENCIL, point_source


class NormalEquations(NamedTuple):
    """What `assemble` makes.

    Attributes
    ----------
    flux : numpy.ndarray of float64, shape (nband,)
        In: fluxes of the residual; out: optimal fluxes. A band without any model light keeps its flux.
    chi2, flux_ivar : numpy.ndarray of float64, shape (nband,)
        chi-squared at the optimal fluxes; sum (G ie)^2.
    hessian, gradient : numpy.ndarray of float64, shapes (npar, npar), (npar,)
        Of -ln L and ln L with respect to East, North [arcsec], shape parameters.
    response : numpy.ndarray of float64, shape (nband, npar)
        Change of the optimal fluxes per unit parameter step, to first order.
    information : numpy.ndarray of float64, shape (npar, npar)
        Sum over pixels of the products of the derivatives (nothing eliminated).
    """

    flux: NDArray[np.float64]
    chi2: NDArray[np.float64]
    flux_ivar: NDArray[np.float64]
    hessian: NDArray[np.float64]
    gradient: NDArray[np.float64]
    response: NDArray[np.float64]
    information: NDArray[np.float64]

    @classmethod
    def empty(cls, flux: NDArray[np.float64], npar: int) -> "NormalEquations":
        """Room for `npar` parameters; a copy of the fluxes."""
        n = len(flux)
        square = np.empty((2, npar, npar))
        return cls(flux.copy(), np.empty(n), np.empty(n), square[0], np.empty(npar), np.empty((n, npar)), square[1])


_FAST = {"reassoc", "contract", "nsz", "arcp"}
#: Pixels whose products are summed in float32 before they go to float64.
_BLOCK = 512
_C1, _C2, _C3 = (np.float32(c) for c in STENCIL)
# Weights of the pixels 0 ... 6 to both sides in the second derivative.
_TAPS = np.array([-c for c in STENCIL[::-1]] + [0.0, *STENCIL])
_D0, _D1, _D2, _D3, _D4, _D5, _D6 = (np.float32(d) for d in np.convolve(_TAPS, _TAPS)[6:])


@njit(cache=True, fastmath=_FAST)
def _dot(columns, a, b, n):
    total = np.float32(0.0)
    for k in range(n):
        total += columns[a + k] * columns[b + k]
    return total


@njit(cache=True, fastmath=_FAST)
def _four_dots(columns, a, b, step, n):
    """Products of one column with four others: it is read once for all."""
    c = b + step
    d = c + step
    e = d + step
    p = q = r = s = np.float32(0.0)
    for k in range(n):
        x = columns[a + k]
        p += x * columns[b + k]
        q += x * columns[c + k]
        r += x * columns[d + k]
        s += x * columns[e + k]
    return p, q, r, s


@njit(cache=True)
def _flush(columns, step, n, ncol, gram):
    """Add the products of `n` pixels to the lower triangle of `gram`; column c starts at ``c * step``."""
    a = uint64(0)
    for i in range(ncol):
        b = uint64(0)
        j = 0
        while j + 4 <= i + 1:
            p, q, r, s = _four_dots(columns, a, b, step, n)
            gram[i, j] += p
            gram[i, j + 1] += q
            gram[i, j + 2] += r
            gram[i, j + 3] += s
            b += uint64(4) * step
            j += 4
        while j <= i:
            gram[i, j] += _dot(columns, a, b, n)
            b += step
            j += 1
        a += step


@njit(cache=True)
def _symmetrise(gram, ncol):
    for a in range(ncol):
        for b in range(a):
            gram[b, a] = gram[a, b]


@njit(cache=True, fastmath=_FAST)
def _common_columns(g, start, pixels, pixel, flux, n, columns, step, to):
    """Residual and model columns of a row; returns the sum of the model over good pixels."""
    data, inverr = pixels
    for k in range(n):
        columns[to + k] = (data[pixel + k] - flux * g[start + k]) * inverr[pixel + k]
    inside = np.float32(0.0)
    second = to + step
    for k in range(n):
        e = inverr[pixel + k]
        columns[second + k] = g[start + k] * e
        if e > np.float32(0.0):
            inside += g[start + k]
    return inside


@njit(cache=True, fastmath=_FAST)
def _scaled(source, start, inverr, pixel, n, columns, to):
    for k in range(n):
        columns[to + k] = source[start + k] * inverr[pixel + k]


@njit(cache=True, fastmath=_FAST)
def _constant(inverr, pixel, n, columns, to):
    for k in range(n):
        columns[to + k] = inverr[pixel + k]


@njit(cache=True, fastmath=_FAST)
def _negative_slope(g, start, step, inverr, pixel, n, columns, to):
    """Minus the derivative along `step` (the derivative with respect to the source's position)."""
    a, b = start + step, start - step
    c, d = a + step, b - step
    e, f = c + step, d - step
    for k in range(n):
        slope = _C1 * (g[a + k] - g[b + k]) + _C2 * (g[c + k] - g[d + k]) + _C3 * (g[e + k] - g[f + k])
        columns[to + k] = -slope * inverr[pixel + k]


@njit(cache=True, fastmath=_FAST)
def _first_derivative(g, start, step, n, out):
    a, b = start + step, start - step
    c, d = a + step, b - step
    e, f = c + step, d - step
    for k in range(n):
        out[k] = _C1 * (g[a + k] - g[b + k]) + _C2 * (g[c + k] - g[d + k]) + _C3 * (g[e + k] - g[f + k])


@njit(cache=True, fastmath=_FAST)
def _second_derivative(g, start, step, n, out):
    two, three = step + step, step + step + step
    four, five, six = two + two, two + three, three + three
    for k in range(n):
        x = start + k
        out[k] = (
            _D0 * g[x] + _D1 * (g[x + step] + g[x - step]) + _D2 * (g[x + two] + g[x - two])
            + _D3 * (g[x + three] + g[x - three]) + _D4 * (g[x + four] + g[x - four])
            + _D5 * (g[x + five] + g[x - five]) + _D6 * (g[x + six] + g[x - six])
        )  # fmt: skip


@njit(cache=True, fastmath=_FAST)
def _shape_column(change, second, inverr, pixel, n, columns, to):
    dxx, dxy, dyy = change
    xx, xy, yy = second
    for k in range(n):
        columns[to + k] = (dxx * xx[k] + dxy * xy[k] + dyy * yy[k]) * inverr[pixel + k]


@njit(cache=True)
def gram_galaxy(chunk, planes, shapes, windows, flux, free, gram, inside):
    """Product matrices of one galaxy in the images of a chunk.

    Parameters
    ----------
    chunk : int64 (m,)
        Image numbers.
    planes : float32 (m, nplanes, ny, nx)
        The planes of `spectra_kernels.galaxy_spectra`; the window starts at (BORDER, BORDER).
    shapes : models.render_kernels.Shapes
    windows : windows_kernels.WindowArrays
    flux : float64 (n,)
        Current flux per image.
    free : (bool, bool)
        Whether there are columns of the position, and of the background.
    gram : float64 (n, ncol, ncol)
        Out.
    inside : float64 (n,)
        Out: sum of the unit-flux model over good pixels.
    """
    # Flat arrays and unsigned indices: slices would cost more than the short loops over a row, and signed indices
    # would be checked.
    _, dv, nshape, exact = shapes
    window, offset, row_offset, spans, data, inverr = windows
    position, background = free
    with_n = planes.shape[1] > 1 + (nshape if exact else 1)
    ncol = 2 + (2 if position else 0) + nshape + (1 if with_n else 0) + (1 if background else 0)
    step = uint64(_BLOCK + planes.shape[3])
    columns = np.empty(ncol * (_BLOCK + planes.shape[3]), np.float32)
    flat = planes.ravel()
    stride, size = uint64(planes.shape[3]), uint64(planes.shape[2] * planes.shape[3])
    rows = np.empty((4, planes.shape[3]), np.float32)
    slope, xx, xy, yy = rows[0], rows[1], rows[2], rows[3]
    one, three, six = uint64(1), uint64(3), uint64(6)
    for k in range(chunk.size):
        i = chunk[k]
        m = gram[i]
        m[:] = 0.0
        total = 0.0
        used = uint64(0)
        f = np.float32(flux[i])
        for y in range(window[i, 3]):
            lo = spans[row_offset[i] + y, 0]
            hi = spans[row_offset[i] + y, 1]
            if hi <= lo:
                continue
            n = uint64(hi - lo)
            pixel = uint64(offset[i] + y * window[i, 2] + lo)
            start = uint64(k * planes.shape[1]) * size + uint64(y + BORDER) * stride + uint64(lo + BORDER)
            total += _common_columns(flat, start, (data, inverr), pixel, f, n, columns, step, used)
            to = used + step + step
            if position:
                _negative_slope(flat, start, one, inverr, pixel, n, columns, to)
                to += step
                _negative_slope(flat, start, stride, inverr, pixel, n, columns, to)
                to += step
            start += size
            if exact:
                for _ in range(nshape):
                    _scaled(flat, start, inverr, pixel, n, columns, to)
                    start += size
                    to += step
            else:
                _second_derivative(flat, start, one, n, xx)
                _second_derivative(flat, start, stride, n, yy)
                _first_derivative(flat, start - three, stride, n + six, slope)
                _first_derivative(slope, three, one, n, xy)
                start += size
                for d in range(nshape):
                    change = np.float32(dv[i, d, 0]), np.float32(2.0 * dv[i, d, 1]), np.float32(dv[i, d, 2])
                    _shape_column(change, (xx, xy, yy), inverr, pixel, n, columns, to)
                    to += step
            if with_n:
                _scaled(flat, start, inverr, pixel, n, columns, to)
                to += step
            if background:
                _constant(inverr, pixel, n, columns, to)
            used += n
            if used >= uint64(_BLOCK):
                _flush(columns, step, used, ncol, m)
                used = uint64(0)
        _flush(columns, step, used, ncol, m)
        _symmetrise(m, ncol)
        inside[i] = total


@njit(cache=True)
def gram_point_source(index, psf, px, py, windows, flux, free, gram, inside):
    """Product matrices of one point source in the images of `index`.

    Parameters
    ----------
    index : int64 (m,)
    psf : (float32 (n, ny, nx), int64 (n,), int64 (n,))
        Padded stamps, and their heights and widths.
    px, py : float64 (n,)
        Position of the source.
    windows, flux, free, gram, inside
        As `gram_galaxy`.
    """
    stamps, ph, pw = psf
    window, offset, row_offset, spans, data, inverr = windows
    position, background = free
    ncol = 2 + (2 if position else 0) + (1 if background else 0)
    width = 0
    height = 0
    for k in range(index.size):
        width = max(width, window[index[k], 2])
        height = max(height, window[index[k], 3])
    step = uint64(_BLOCK + width)
    columns = np.empty(ncol * (_BLOCK + width), np.float32)
    scratch = np.empty(2 * stamps.shape[1] * stamps.shape[2], np.float32)
    planes = np.empty(3 * height * width, np.float32)
    for k in range(index.size):
        i = index[k]
        w, h = window[i, 2], window[i, 3]
        point_source(stamps[i], ph[i], pw[i], px[i], py[i], window[i], position, scratch, planes)
        m = gram[i]
        m[:] = 0.0
        total = 0.0
        used = uint64(0)
        f = np.float32(flux[i])
        plane = uint64(w * h)
        for y in range(h):
            lo = spans[row_offset[i] + y, 0]
            hi = spans[row_offset[i] + y, 1]
            if hi <= lo:
                continue
            n = uint64(hi - lo)
            start = uint64(y * w + lo)
            pixel = uint64(offset[i]) + start
            total += _common_columns(planes, start, (data, inverr), pixel, f, n, columns, step, used)
            to = used + step + step
            if position:
                _scaled(planes, plane + start, inverr, pixel, n, columns, to)
                to += step
                _scaled(planes, plane + plane + start, inverr, pixel, n, columns, to)
                to += step
            if background:
                _constant(inverr, pixel, n, columns, to)
            used += n
            if used >= uint64(_BLOCK):
                _flush(columns, step, used, ncol, m)
                used = uint64(0)
        _flush(columns, step, used, ncol, m)
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
def assemble(index, gram, band, cinv, free, equations, solve_flux):
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
    free : (bool, bool)
        Whether there are columns of the position, and of the background.
    equations : NormalEquations
        Out.
    solve_flux : bool
        False: keep the fluxes as given (then hessian and gradient are not those of a maximum).

    Returns
    -------
    float
        chi-squared of all bands.
    """
    position, background = free
    flux, chi2, flux_ivar, hessian, gradient, response, information = equations
    ncol = gram.shape[1]
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
    chi2_sum = 0.0
    for b in range(nband):
        t = total[b]
        gg = t[1, 1]
        chi2[b] = t[0, 0]
        flux_ivar[b] = gg
        for a in range(npar):
            response[b, a] = 0.0
        step = t[0, 1] / gg if solve_flux and gg > 0.0 else 0.0
        flux[b] += step
        chi2[b] -= step * t[0, 1]
        chi2_sum += chi2[b]
        if gg <= 0.0:
            continue
        f = flux[b]
        for a in range(npar):
            gradient[a] += f * (t[2 + a, 0] - step * t[2 + a, 1])
            response[b, a] = -f * t[2 + a, 1] / gg
            for c in range(npar):
                information[a, c] += f * f * raw[b, a, c]
                hessian[a, c] += f * f * (t[2 + a, 2 + c] - t[2 + a, 1] * t[2 + c, 1] / gg)
    return chi2_sum
