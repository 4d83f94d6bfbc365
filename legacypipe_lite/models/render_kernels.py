"""Kernels of the renderer: Lanczos taps, point sources, analytic Gaussian wings, patches.

Conventions
-----------
* A *window* is a rectangle (x0, y0, w, h) of an image in which a model is wanted.
* A *frame* is a periodic array of S x S pixels whose pixel (0, 0) is the window's first pixel. It must be so large
  that what wraps around does not reach the window.
* A padded stamp has PAD zeros on each side.
* What travels together is one record, a NamedTuple. Python hands over records as plain tuples in the order of the
  fields, which numba takes several times as fast; kernels that Python calls unpack them first.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

#: Weights of the pixels 1, 2, 3 to the right, and minus those to the left, in the first derivative of an image. Second
#: derivatives are first derivatives twice: so those along a thin galaxy do not see its thickness.
STENCIL = (3 / 4, -3 / 20, 1 / 60)
#: Pixels around a window that second derivatives need.
BORDER = 6
#: Zeros around a padded stamp: Lanczos taps reach 3 pixels beyond the stamp, and need 3 more to read.
PAD = 6
#: Half size [pixel] that defines which mixture components are rendered as analytic Gaussians.
SPLIT_HALF_SIZE = 64.0


class Mixture(NamedTuple):
    """A profile as a mixture of K Gaussians; arrays of float64 (K,).

    Attributes
    ----------
    amp, var : numpy.ndarray
        Amplitudes, and variances [r_e^2].
    damp, dvar : numpy.ndarray
        Their derivatives with respect to the Sersic index.
    """

    amp: NDArray[np.float64]
    var: NDArray[np.float64]
    damp: NDArray[np.float64]
    dvar: NDArray[np.float64]


class Shapes(NamedTuple):
    """Shape of a galaxy in n images, or in one (then without the first axis), and its derivatives.

    Attributes
    ----------
    v : numpy.ndarray of float64, shape (n, 3)
        Shape tensor [pixel^2] of a component of unit variance: V_xx, V_xy, V_yy.
    dv : numpy.ndarray of float64, shape (n, 3, 3)
        Its derivatives with respect to ln r_e, eps1, eps2.
    nshape : int
        Number of free shape parameters: 0, 1 (ln r_e) or 3.
    exact : bool
        Whether shape derivatives are rendered themselves, or the second moment density
        (see `spectra_kernels.galaxy_spectra`).
    """

    v: NDArray[np.float64]
    dv: NDArray[np.float64]
    nshape: int
    exact: bool


class Places(NamedTuple):
    """Where a source and its windows are in n images.

    Attributes
    ----------
    px, py : numpy.ndarray of float64, shape (n,)
        Position of the source.
    window : numpy.ndarray of int32, shape (n, 4)
        x0, y0, w, h.
    """

    px: NDArray[np.float64]
    py: NDArray[np.float64]
    window: NDArray[np.int32]


_FAST = {"reassoc", "contract", "nsz", "arcp"}
_TWO_PI = 2.0 * math.pi


@njit(cache=True)
def lanczos_taps(mu, taps, slopes):
    """Lanczos-3 taps that shift by `mu` pixels, and their derivatives with respect to `mu`.

    ``out[x] = sum_m taps[m + 3] in[x + m]``, m = -3 ... 3, with ``sum taps = 1``.

    Parameters
    ----------
    mu : float
        Shift, |mu| <= 0.5.
    taps, slopes : float64 (7,)
        Out.
    """
    total = 0.0
    slope_total = 0.0
    for m in range(7):
        x = m - 3 + mu
        if abs(x) >= 3.0:
            value = 0.0
            slope = 0.0
        elif abs(x) < 1e-6:
            value = 1.0
            slope = 0.0
        else:
            a = math.pi * x
            b = a / 3.0
            sa = math.sin(a) / a
            sb = math.sin(b) / b
            value = sa * sb
            slope = (math.cos(a) - sa) / x * sb + sa * (math.cos(b) - sb) / x
        taps[m] = value
        slopes[m] = slope
        total += value
        slope_total += slope
    for m in range(7):
        taps[m] /= total
        slopes[m] = (slopes[m] - taps[m] * slope_total) / total


@njit(cache=True, inline="always")
def _round_half_even(x):
    r = math.floor(x + 0.5)
    if r - x == 0.5 and r % 2.0 != 0.0:
        r -= 1.0
    return int(r)


@njit(cache=True)
def round_half_even(x):
    """Nearest integer, ties to even."""
    return _round_half_even(x)


@njit(cache=True, fastmath=_FAST)
def _filter7(source, start, step, taps, n, out, to):
    """out[to + k] = sum_m taps[m] source[start + m step + k] for k < n.

    Arrays are flat; start, step, to and n are unsigned, which spares the check for negative indices, and lets the
    compiler make vector code.
    """
    t0, t1, t2, t3 = taps[0], taps[1], taps[2], taps[3]
    t4, t5, t6 = taps[4], taps[5], taps[6]
    s1 = start + step
    s2 = s1 + step
    s3 = s2 + step
    s4 = s3 + step
    s5 = s4 + step
    s6 = s5 + step
    for k in range(n):
        out[to + k] = (
            t0 * source[start + k] + t1 * source[s1 + k] + t2 * source[s2 + k] + t3 * source[s3 + k]
            + t4 * source[s4 + k] + t5 * source[s5 + k] + t6 * source[s6 + k]
        )  # fmt: skip


@njit(cache=True)
def point_source(stamp, ph, pw, px, py, window, derivatives, scratch, planes):
    """Point source in a window: the stamp shifted by Lanczos-3, with its position derivatives.

    Parameters
    ----------
    stamp : float32 (ny >= ph + 2 PAD, nx >= pw + 2 PAD)
        Padded stamp; the PSF centre is stamp pixel (ph // 2, pw // 2).
    px, py : float
        Position in the image.
    window : int (4,)
        x0, y0, w, h.
    derivatives : bool
        Also make d/dpx and d/dpy.
    scratch : float32 (>= 2 ny nx,)
    planes : float32 (>= 3 w h,)
        Out: model of unit flux, d/dpx, d/dpy (only if `derivatives`), each of h rows of w pixels.
    """
    x0, y0, w, h = window[0], window[1], window[2], window[3]
    ix = _round_half_even(px)
    iy = _round_half_even(py)
    taps = np.empty((2, 7))
    lanczos_taps(px - ix, taps[0], taps[1])
    across = taps.astype(np.float32)
    lanczos_taps(py - iy, taps[0], taps[1])
    upright = taps.astype(np.float32)
    fx, dfx, fy, dfy = across[0], across[1], upright[0], upright[1]
    size = w * h
    planes[: (3 if derivatives else 1) * size] = np.float32(0.0)
    ox = ix - pw // 2
    oy = iy - ph // 2
    # window columns and rows that the widened stamp reaches
    xa = max(x0, ox - 3)
    xb = min(x0 + w, ox + pw + 3)
    ya = max(y0, oy - 3)
    yb = min(y0 + h, oy + ph + 3)
    if xa >= xb or ya >= yb:
        return
    flat = stamp.ravel()
    n = uint64(xb - xa)
    one = uint64(1)
    stride = uint64(stamp.shape[1])
    rows = yb - ya + 6
    second = uint64(rows) * n
    # stamp pixel of tap 0 for the first of these columns and rows
    start = uint64(ya - oy + 3) * stride + uint64(xa - ox + 3)
    to = uint64(0)
    for _ in range(rows):
        _filter7(flat, start, one, fx, n, scratch, to)
        if derivatives:
            _filter7(flat, start, one, dfx, n, scratch, second + to)
        start += stride
        to += n
    start = uint64(0)
    to = uint64((ya - y0) * w + xa - x0)
    plane = uint64(size)
    for _ in range(yb - ya):
        _filter7(scratch, start, n, fy, n, planes, to)
        if derivatives:
            _filter7(scratch, second + start, n, fy, n, planes, plane + to)
            _filter7(scratch, start, n, dfy, n, planes, plane + plane + to)
        start += n
        to += uint64(w)


@njit(cache=True)
def split_weights(var, trace, half_size, w_fft, w_gauss):
    """Share of each component that goes through the FFT frame, and that is rendered as a Gaussian.

    A component goes entirely through the FFT if the frame edge is 4 sigma or more away, entirely through Gaussians
    at 3 sigma or less, with a linear ramp between. Returns True if any component needs the Gaussian part.
    """
    any_gauss = False
    for k in range(var.size):
        n = half_size / math.sqrt(max(var[k] * trace, 1e-12))
        w_fft[k] = min(max(n - 3.0, 0.0), 1.0)
        w_gauss[k] = min(max(4.0 - n, 0.0), 1.0)
        if w_gauss[k] > 0.0:
            any_gauss = True
    return any_gauss


@njit(cache=True)
def _gaussian_row(amplitude, a, b, c, dy, x_first, px, n, out):
    """Gaussian along a row by recurrence: amplitude exp(-(a dx^2 + 2 b dx dy + c dy^2) / 2), float64 out."""
    dx = x_first - px
    exponent = -0.5 * (a * dx * dx + 2.0 * b * dx * dy + c * dy * dy)
    # ratio of successive values: exp(-(a (2 dx + 1) + 2 b dy) / 2)
    ratio = -0.5 * (a * (2.0 * dx + 1.0) + 2.0 * b * dy)
    if exponent < -600.0 or ratio > 600.0 or ratio < -600.0:
        for k in range(n):
            d = dx + k
            out[k] = amplitude * math.exp(-0.5 * (a * d * d + 2.0 * b * d * dy + c * dy * dy))
        return
    value = amplitude * math.exp(exponent)
    r = math.exp(ratio)
    rr = math.exp(-a)
    for k in range(n):
        out[k] = value
        value *= r
        r *= rr


@njit(cache=True)
def add_gaussian_part(mixture, w_gauss, shape, sigma2, place, border, max_mahalanobis2, planes):
    """Add the wide components, convolved with the companion Gaussian of the PSF, to the planes of a galaxy.

    Parameters
    ----------
    mixture : Mixture
    w_gauss : float64 (K,)
        Share of each component to render here.
    shape : Shapes
        Of one image.
    sigma2 : float
        Variance of the PSF's Gaussian [pixel^2].
    place : Places
        Of one image: two floats and an array of 4 int.
    border : int
        Pixels by which the planes reach beyond the window on each side.
    max_mahalanobis2 : float
        Terms at or beyond this squared Mahalanobis distance are left out (inf: none).
    planes : float32 (nplanes, >= h + 2 border, >= w + 2 border)
        The planes of `spectra_kernels.galaxy_spectra`.
    """
    amp, var, damp, dvar = mixture
    v, dv, nshape, exact = shape
    px, py, window = place
    nplanes = planes.shape[0]
    with_n = nplanes > 1 + (nshape if exact else 1)
    x0, y0 = window[0] - border, window[1] - border
    w, h = window[2] + 2 * border, window[3] + 2 * border
    row = np.empty(w)
    for k in range(amp.size):
        if w_gauss[k] <= 0.0:
            continue
        s = var[k]
        cxx = s * v[0] + sigma2
        cxy = s * v[1]
        cyy = s * v[2] + sigma2
        det = cxx * cyy - cxy * cxy
        a = cyy / det
        b = -cxy / det
        c = cxx / det
        norm = w_gauss[k] / (_TWO_PI * math.sqrt(det))
        amplitude = amp[k] * norm
        for y in range(h):
            dy = y0 + y - py
            _gaussian_row(1.0, a, b, c, dy, float(x0), px, w, row)
            for x in range(w):
                dx = x0 + x - px
                if a * dx * dx + 2.0 * b * dx * dy + c * dy * dy >= max_mahalanobis2:
                    continue
                g = row[x]
                planes[0, y, x] += np.float32(amplitude * g)
                if nplanes == 1:
                    continue
                # d(density)/d(cov) = density/2 (m m^T - C^-1), m = C^-1 d
                mx = a * dx + b * dy
                my = b * dx + c * dy
                txx = 0.5 * (mx * mx - a)
                txy = mx * my - b
                tyy = 0.5 * (my * my - c)
                if exact:
                    for d in range(nshape):
                        t = txx * dv[d, 0] + txy * dv[d, 1] + tyy * dv[d, 2]
                        planes[1 + d, y, x] += np.float32(amplitude * g * s * t)
                else:
                    planes[1, y, x] += np.float32(amplitude * g * s * 0.5)
                if with_n:
                    t = txx * v[0] + txy * v[1] + tyy * v[2]
                    planes[nplanes - 1, y, x] += np.float32(g * norm * (damp[k] + amp[k] * dvar[k] * t))


@njit(cache=True)
def pixel_shape(cinv, tensor, derivatives, nshape, v, dv):
    """Shape tensor in pixels, C W C^T, and its derivatives.

    Parameters
    ----------
    cinv : float64 (4,)
        d(x, y)/d(East, North) [pixel/arcsec]: x_E, x_N, y_E, y_N.
    tensor : float64 (3,)
        W_EE, W_EN, W_NN [arcsec^2].
    derivatives : float64 (3, 3)
    v : float64 (3,)
        Out: V_xx, V_xy, V_yy.
    dv : float64 (3, 3)
        Out, first `nshape` rows.
    """
    xe, xn, ye, yn = cinv[0], cinv[1], cinv[2], cinv[3]
    v[0] = xe * xe * tensor[0] + 2.0 * xe * xn * tensor[1] + xn * xn * tensor[2]
    v[1] = xe * ye * tensor[0] + (xe * yn + xn * ye) * tensor[1] + xn * yn * tensor[2]
    v[2] = ye * ye * tensor[0] + 2.0 * ye * yn * tensor[1] + yn * yn * tensor[2]
    for i in range(nshape):
        d = derivatives[i]
        dv[i, 0] = xe * xe * d[0] + 2.0 * xe * xn * d[1] + xn * xn * d[2]
        dv[i, 1] = xe * ye * d[0] + (xe * yn + xn * ye) * d[1] + xn * yn * d[2]
        dv[i, 2] = ye * ye * d[0] + 2.0 * ye * yn * d[1] + yn * yn * d[2]


@njit(cache=True)
def natural_patches(point, px, py, cinv, extent, sizes, flux, rectangles):
    """Natural patches of one source in many images (see `render.render_patches`).

    Parameters
    ----------
    point : bool
        Point source: the patch is the stamp.
    px, py : float64 (n,)
    cinv : float64 (n, 4)
        d(x, y)/d(East, North) [pixel/arcsec].
    extent : float
        Nominal extent of the galaxy along its major axis [arcsec].
    sizes : (int64 (n,), int64 (n,), int64 (n,), int64 (n,))
        Heights and widths of the stamps, and of the images.
    flux : float64 (n,)
        Images in which the flux is 0 or not finite get no patch.
    rectangles : int32 (n, 4)
        Out: x0, y0, w, h; w = 0: none.
    """
    ph, pw, height, width = sizes
    for i in range(px.size):
        rectangles[i, :] = 0
        x, y = px[i], py[i]
        if math.isnan(x) or math.isnan(y) or flux[i] == 0.0 or not math.isfinite(flux[i]):
            continue
        if abs(x) > 1e6 or abs(y) > 1e6:
            continue
        if point:
            x0 = _round_half_even(x) - pw[i] // 2
            y0 = _round_half_even(y) - ph[i] // 2
            x1 = x0 + pw[i]
            y1 = y0 + ph[i]
        else:
            scale = 1.0 / math.sqrt(abs(cinv[i, 0] * cinv[i, 3] - cinv[i, 1] * cinv[i, 2]))
            half = extent / scale
            if not half < np.inf:
                continue
            half = max(1.0, half)
            half = min(half, max(max(x, width[i] - 1 - x), max(y, height[i] - 1 - y)) + 1.0)
            half = math.ceil(max(half, math.hypot(0.5 * ph[i], 0.5 * pw[i])))
            x0 = int(math.floor(x - half))
            y0 = int(math.floor(y - half))
            x1 = int(math.ceil(x + half + 1.0)) + 1
            y1 = int(math.ceil(y + half + 1.0)) + 1
        x0 = max(x0, 0)
        y0 = max(y0, 0)
        x1 = min(x1, width[i])
        y1 = min(y1, height[i])
        if x0 < x1 and y0 < y1:
            rectangles[i, 0] = x0
            rectangles[i, 1] = y0
            rectangles[i, 2] = x1 - x0
            rectangles[i, 3] = y1 - y0


@njit(cache=True)
def point_source_patches(index, stamps, ph, pw, px, py, flux, patches):
    """Render a point source in its patches, times the flux.

    Parameters
    ----------
    index : int64 (m,)
        Images that have a patch.
    stamps : float32 (n, ny, nx)
        Padded stamps.
    ph, pw : int64 (n,)
        Heights and widths of the stamps without padding.
    px, py : float64 (n,)
        Positions in the images.
    flux : float64 (n,)
    patches : Patches
        Its `values` are set.
    """
    rectangles, values = patches.rectangles, patches.values
    width = 0
    height = 0
    for k in range(index.size):
        width = max(width, rectangles[index[k], 2])
        height = max(height, rectangles[index[k], 3])
    planes = np.empty(height * width, np.float32)
    scratch = np.empty(stamps.shape[1] * stamps.shape[2], np.float32)
    for k in range(index.size):
        i = index[k]
        w, h = rectangles[i, 2], rectangles[i, 3]
        point_source(stamps[i], ph[i], pw[i], px[i], py[i], rectangles[i], False, scratch, planes)
        f = np.float32(flux[i])
        start = patches.offset[i]
        for j in range(w * h):
            values[start + j] = f * planes[j]
