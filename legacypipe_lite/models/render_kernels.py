"""Kernels of the renderer: Lanczos taps, point sources, galaxy spectra, analytic Gaussian wings.

Conventions
-----------
* A *window* is a rectangle (x0, y0, w, h) of an image in which a model is wanted.
* A *frame* is a periodic array of S x S pixels whose pixel (BORDER, BORDER) is the window's first pixel. It must be so
  large that what wraps around does not reach the window or its border.
* A padded stamp has PAD zeros on each side.
* A profile table has rows at s = k TABLE_STEP, s = q^(1/4), q = nu^T V nu, with the columns: g, dg/ds, dg/dq,
  d(dg/dq)/ds, dg/dn, d(dg/dn)/ds; the derivatives with respect to s are multiplied by TABLE_STEP. In between,
  values come from cubic Hermite interpolation.
"""

import math

import numpy as np
from numba import njit

#: Pixels of a frame around its window: what the 7-point derivative stencil needs.
BORDER = 3
#: Zeros around a padded stamp: Lanczos taps reach 3 pixels beyond the stamp, and need 3 more to read.
PAD = 6
TABLE_STEP = 0.0125
#: Half size [pixel] that defines which mixture components are rendered as analytic Gaussians.
SPLIT_HALF_SIZE = 64.0

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
def _filter7(source, taps, start, n, out):
    """out[k] = sum_m taps[m] source[start + k + m] for k < n."""
    s0 = source[start : start + n]
    s1 = source[start + 1 : start + 1 + n]
    s2 = source[start + 2 : start + 2 + n]
    s3 = source[start + 3 : start + 3 + n]
    s4 = source[start + 4 : start + 4 + n]
    s5 = source[start + 5 : start + 5 + n]
    s6 = source[start + 6 : start + 6 + n]
    t0, t1, t2, t3 = taps[0], taps[1], taps[2], taps[3]
    t4, t5, t6 = taps[4], taps[5], taps[6]
    for k in range(n):
        out[k] = t0 * s0[k] + t1 * s1[k] + t2 * s2[k] + t3 * s3[k] + t4 * s4[k] + t5 * s5[k] + t6 * s6[k]


@njit(cache=True, fastmath=_FAST)
def _combine7(rows, taps, first, n, out):
    """out[k] = sum_m taps[m] rows[first + m, k] for k < n."""
    r0, r1, r2, r3 = rows[first], rows[first + 1], rows[first + 2], rows[first + 3]
    r4, r5, r6 = rows[first + 4], rows[first + 5], rows[first + 6]
    t0, t1, t2, t3 = taps[0], taps[1], taps[2], taps[3]
    t4, t5, t6 = taps[4], taps[5], taps[6]
    for k in range(n):
        out[k] = t0 * r0[k] + t1 * r1[k] + t2 * r2[k] + t3 * r3[k] + t4 * r4[k] + t5 * r5[k] + t6 * r6[k]


@njit(cache=True)
def point_source(stamp, ph, pw, px, py, x0, y0, w, h, derivatives, scratch, planes):
    """Point source in a window: the stamp shifted by Lanczos-3, with its position derivatives.

    Parameters
    ----------
    stamp : float32 (>= ph + 2 PAD, >= pw + 2 PAD)
        Padded stamp; the PSF centre is stamp pixel (ph // 2, pw // 2).
    px, py : float
        Position in the image.
    x0, y0, w, h : int
        Window.
    derivatives : bool
        Also make d/dpx and d/dpy.
    scratch : float32 (2, >= ph + 2 PAD, >= w)
    planes : float32 (3, >= h, >= w)
        Out: model of unit flux, d/dpx, d/dpy; only the window is written.
    """
    ix = _round_half_even(px)
    iy = _round_half_even(py)
    taps = np.empty(7)
    slopes = np.empty(7)
    lanczos_taps(px - ix, taps, slopes)
    fx = taps.astype(np.float32)
    dfx = slopes.astype(np.float32)
    lanczos_taps(py - iy, taps, slopes)
    fy = taps.astype(np.float32)
    dfy = slopes.astype(np.float32)
    nplanes = 3 if derivatives else 1
    for k in range(nplanes):
        for y in range(h):
            for x in range(w):
                planes[k, y, x] = np.float32(0.0)
    ox = ix - pw // 2
    oy = iy - ph // 2
    # window columns and rows that the widened stamp reaches
    xa = max(x0, ox - 3)
    xb = min(x0 + w, ox + pw + 3)
    ya = max(y0, oy - 3)
    yb = min(y0 + h, oy + ph + 3)
    if xa >= xb or ya >= yb:
        return
    n = xb - xa
    start = xa - ox + 3  # padded column of tap 0
    first_row = ya - oy + 3
    for r in range(first_row, first_row + (yb - ya) + 6):
        _filter7(stamp[r], fx, start, n, scratch[0, r])
        if derivatives:
            _filter7(stamp[r], dfx, start, n, scratch[1, r])
    for y in range(ya, yb):
        r = y - oy + 3
        _combine7(scratch[0], fy, r, n, planes[0, y - y0, xa - x0 : xb - x0])
        if derivatives:
            _combine7(scratch[1], fy, r, n, planes[1, y - y0, xa - x0 : xb - x0])
            _combine7(scratch[0], dfy, r, n, planes[2, y - y0, xa - x0 : xb - x0])


@njit(cache=True)
def profile_table(amp, var, damp, dvar, with_n, table):
    """Fill a profile table (see the module) for a mixture.

    Parameters
    ----------
    amp, var, damp, dvar : float64 (K,)
        Mixture and its derivatives with respect to the Sersic index.
    with_n : bool
        Also fill the columns dg/dn.
    table : float32 (nodes, 8)
        Out; the last two columns are not used.
    """
    nodes = table.shape[0]
    step = TABLE_STEP
    for j in range(nodes):
        s = j * step
        s3 = s * s * s
        q = s3 * s
        dqds = 4.0 * s3 * step
        g = 0.0
        g1 = 0.0
        g2 = 0.0
        gn = 0.0
        gn1 = 0.0
        for k in range(amp.size):
            c = -0.5 * _TWO_PI * _TWO_PI * var[k]
            x = c * q
            if x < -60.0:
                continue
            e = math.exp(x)
            ae = amp[k] * e
            g += ae
            g1 += c * ae
            g2 += c * c * ae
            if with_n:
                dc = -0.5 * _TWO_PI * _TWO_PI * dvar[k]
                gn += damp[k] * e + q * dc * ae
                gn1 += c * damp[k] * e + dc * ae + q * c * dc * ae
        table[j, 0] = g
        table[j, 1] = g1 * dqds
        table[j, 2] = g1
        table[j, 3] = g2 * dqds
        table[j, 4] = gn
        table[j, 5] = gn1 * dqds


@njit(cache=True)
def axis_factors(size, count, shift, taps, twiddle, out):
    """Spectrum of an integer shift and the Lanczos taps along one axis.

    ``out[k] = exp(-2 pi i k shift / size) sum_m taps[m + 3] exp(2 pi i k m / size)`` for k < count.

    Parameters
    ----------
    twiddle : complex64 (size,)
        exp(2 pi i j / size).
    out : complex64 (>= count,)
    """
    for k in range(count):
        total = np.complex64(0.0)
        j = (k * (-3 - shift)) % size
        for m in range(7):
            total += np.float32(taps[m]) * twiddle[j]
            j += k
            if j >= size:
                j -= size
        out[k] = total


@njit(cache=True, fastmath=_FAST)
def galaxy_spectrum(psf, size, ex, ey, vxx, vxy, vyy, dv, nshape, with_n, table, rows, out):
    """Spectra of a galaxy convolved with the PSF, and of its derivatives with respect to the shape.

    Parameters
    ----------
    psf : complex64 (size, size // 2 + 1)
        Spectrum of the stamp centred on frame pixel (0, 0).
    ex, ey : complex64
        Shift factors per axis (`axis_factors`).
    vxx, vxy, vyy : float
        Shape tensor [pixel^2] of a component of unit variance.
    dv : float64 (nshape, 3)
        Its derivatives with respect to the shape parameters; row 0 is ln r_e, for which it is 2 V.
    nshape : int
        Number of shape parameters for which spectra are made (0, 1 or 3).
    with_n : bool
        Also make the derivative with respect to the Sersic index.
    table : float32 (nodes, 8)
        Profile table.
    rows : float32 (3, >= size // 2 + 1)
        Scratch.
    out : complex64 (1 + nshape + with_n, size, size // 2 + 1)
    """
    half = size // 2 + 1
    inv = 1.0 / size
    last = table.shape[0] - 2
    inv_step = np.float32(1.0 / TABLE_STEP)
    xx = np.float32(vxx * inv * inv)
    for ky in range(size):
        fy = ky if 2 * ky < size else ky - size
        nuy = fy * inv
        c0 = np.float32(vyy * nuy * nuy)
        c1 = np.float32(2.0 * vxy * nuy * inv)
        eyk = ey[ky]
        a0 = np.float32(0.0)
        a1 = np.float32(0.0)
        a2 = np.float32(0.0)
        b0 = np.float32(0.0)
        b1 = np.float32(0.0)
        b2 = np.float32(0.0)
        if nshape == 3:
            a0 = np.float32(dv[1, 2] * nuy * nuy)
            a1 = np.float32(2.0 * dv[1, 1] * nuy * inv)
            a2 = np.float32(dv[1, 0] * inv * inv)
            b0 = np.float32(dv[2, 2] * nuy * nuy)
            b1 = np.float32(2.0 * dv[2, 1] * nuy * inv)
            b2 = np.float32(dv[2, 0] * inv * inv)
        # table look-up of the whole row first
        for kx in range(half):
            x = np.float32(kx)
            q = c0 + x * (c1 + x * xx)
            q = max(q, np.float32(0.0))
            s = math.sqrt(math.sqrt(q)) * inv_step
            j = int(s)
            u = s - np.float32(j)
            if j > last:
                j = last
                u = np.float32(1.0)
            u2 = u * u
            u3 = u2 * u
            h01 = np.float32(3.0) * u2 - np.float32(2.0) * u3
            h00 = np.float32(1.0) - h01
            h10 = u3 - np.float32(2.0) * u2 + u
            h11 = u3 - u2
            rows[0, kx] = h00 * table[j, 0] + h10 * table[j, 1] + h01 * table[j + 1, 0] + h11 * table[j + 1, 1]
            if nshape > 0:
                rows[1, kx] = h00 * table[j, 2] + h10 * table[j, 3] + h01 * table[j + 1, 2] + h11 * table[j + 1, 3]
            if with_n:
                rows[2, kx] = h00 * table[j, 4] + h10 * table[j, 5] + h01 * table[j + 1, 4] + h11 * table[j + 1, 5]
        p = psf[ky]
        if nshape == 0:
            o0 = out[0, ky]
            for kx in range(half):
                o0[kx] = p[kx] * ex[kx] * eyk * rows[0, kx]
        elif nshape == 1:
            o0 = out[0, ky]
            o1 = out[1, ky]
            for kx in range(half):
                z = p[kx] * ex[kx] * eyk
                x = np.float32(kx)
                q = c0 + x * (c1 + x * xx)
                o0[kx] = z * rows[0, kx]
                o1[kx] = z * (np.float32(2.0) * q * rows[1, kx])
        else:
            o0 = out[0, ky]
            o1 = out[1, ky]
            o2 = out[2, ky]
            o3 = out[3, ky]
            for kx in range(half):
                z = p[kx] * ex[kx] * eyk
                x = np.float32(kx)
                q = c0 + x * (c1 + x * xx)
                h = rows[1, kx]
                o0[kx] = z * rows[0, kx]
                o1[kx] = z * (np.float32(2.0) * q * h)
                o2[kx] = z * ((a0 + x * (a1 + x * a2)) * h)
                o3[kx] = z * ((b0 + x * (b1 + x * b2)) * h)
        if with_n:
            on = out[1 + nshape, ky]
            for kx in range(half):
                on[kx] = p[kx] * ex[kx] * eyk * rows[2, kx]


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
def add_gaussian_part(
    amp,
    var,
    damp,
    dvar,
    w_gauss,
    vxx,
    vxy,
    vyy,
    dv,
    nshape,
    with_n,
    sigma2,
    px,
    py,
    x0,
    y0,
    w,
    h,
    max_mahalanobis2,
    planes,
):
    """Add the wide components, convolved with the companion Gaussian of the PSF, to the planes.

    Parameters
    ----------
    amp, var, damp, dvar, w_gauss : float64 (K,)
        Mixture, its derivatives with respect to n, and the share of each component to render here.
    vxx, vxy, vyy, dv, nshape, with_n
        As `galaxy_spectrum`.
    sigma2 : float
        Variance of the PSF's Gaussian [pixel^2].
    px, py : float
        Source position in the image.
    x0, y0, w, h : int
        Rectangle of the image that the planes cover.
    max_mahalanobis2 : float
        Terms at or beyond this squared Mahalanobis distance are left out (inf: none).
    planes : float32 (1 + nshape + with_n, >= h, >= w)
    """
    row = np.empty(w)
    for k in range(amp.size):
        if w_gauss[k] <= 0.0:
            continue
        v = var[k]
        cxx = v * vxx + sigma2
        cxy = v * vxy
        cyy = v * vyy + sigma2
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
                if nshape == 0 and not with_n:
                    continue
                # d(density)/d(cov) = density/2 (m m^T - C^-1), m = C^-1 d
                mx = a * dx + b * dy
                my = b * dx + c * dy
                txx = 0.5 * (mx * mx - a)
                txy = mx * my - b
                tyy = 0.5 * (my * my - c)
                for i in range(nshape):
                    t = txx * dv[i, 0] + txy * dv[i, 1] + tyy * dv[i, 2]
                    planes[1 + i, y, x] += np.float32(amplitude * g * v * t)
                if with_n:
                    t = txx * vxx + txy * vxy + tyy * vyy
                    planes[1 + nshape, y, x] += np.float32(g * norm * (damp[k] + amp[k] * dvar[k] * t))


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
def natural_patches(point, px, py, cinv, extent, ph, pw, height, width, flux, rectangles):
    """Natural patches of one source in many images (see `render.natural_patch`).

    Parameters
    ----------
    point : bool
        Point source: the patch is the stamp.
    px, py : float64 (n,)
    cinv : float64 (n, 4)
        d(x, y)/d(East, North) [pixel/arcsec].
    extent : float
        Nominal extent of the galaxy along its major axis [arcsec].
    ph, pw, height, width : int64 (n,)
        Sizes of stamps and images.
    flux : float64 (n,)
        Images in which the flux is 0 or not finite get no patch.
    rectangles : int32 (n, 4)
        Out: x0, y0, w, h; w = 0: none.
    """
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
            half = max(1.0, extent / scale)
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
def point_source_patches(index, stamps, ph, pw, px, py, rectangles, offset, flux, values):
    """Render a point source in its patches, times the flux, into a flat array.

    Parameters
    ----------
    index : int64 (m,)
        Images that have a patch.
    stamps : float32 (n, ny, nx)
        Padded stamps.
    rectangles : int32 (n, 4)
    offset : int64 (n,)
        Start of each patch in `values`.
    """
    width = 0
    height = 0
    for k in range(index.size):
        width = max(width, rectangles[index[k], 2])
        height = max(height, rectangles[index[k], 3])
    planes = np.empty((1, height, width), np.float32)
    scratch = np.empty((1, stamps.shape[1], width), np.float32)
    for k in range(index.size):
        i = index[k]
        w, h = rectangles[i, 2], rectangles[i, 3]
        point_source(
            stamps[i], ph[i], pw[i], px[i], py[i], rectangles[i, 0], rectangles[i, 1], w, h, False, scratch, planes
        )
        f = np.float32(flux[i])
        for y in range(h):
            p = offset[i] + y * w
            for x in range(w):
                values[p + x] = f * planes[0, y, x]
