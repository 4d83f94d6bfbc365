"""Kernels: Fourier transforms of galaxies, convolved with the PSF, on the frequencies of a frame.

A frame of `size` x `size` pixels has the frequencies of a real transform: rows ky = 0 ... size/2 - 1, -size/2 ... -1,
columns kx = 0 ... size/2. Arrays over them are flat, row after row, so that one loop covers a whole frame: the loops
are long enough for the vector units of the processor, which row by row they would not be.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from .render_kernels import lanczos_taps, round_half_even


class Transforms(NamedTuple):
    """Transforms ``amp 2^(rate q)``, q = nu^T V nu, of the components of a mixture; arrays of float32 (K,).

    Attributes
    ----------
    rate, amp : numpy.ndarray
    damp, drate : numpy.ndarray
        Derivatives with respect to the Sersic index.
    """

    rate: NDArray[np.float32]
    amp: NDArray[np.float32]
    damp: NDArray[np.float32]
    drate: NDArray[np.float32]


class Frame(NamedTuple):
    """What depends on the size of a frame only.

    Attributes
    ----------
    size : int
    waves : numpy.ndarray of float32, shape (2, size)
        Cosine and sine of 2 pi j / size.
    forms : numpy.ndarray of float32, shape (3, size * (size // 2 + 1))
        kx^2, 2 kx ky, ky^2.
    """

    size: int
    waves: NDArray[np.float32]
    forms: NDArray[np.float32]


_FAST = {"reassoc", "contract", "nsz", "arcp"}
_LN2 = math.log(2.0)
#: A component of the mixture is left out where it is below 2^-_NEGLIGIBLE of its value at the origin.
_NEGLIGIBLE = 24.0

# 2^f for -1 < f <= 0, to 8e-8 relative (fit at Chebyshev nodes).
_NODES = 0.5 * np.cos((np.arange(400) + 0.5) * np.pi / 400) - 0.5
_POWERS = _NODES[:, np.newaxis] ** np.arange(6)
_P0, _P1, _P2, _P3, _P4, _P5 = (
    np.float32(p) for p in np.linalg.lstsq(_POWERS / 2.0 ** _NODES[:, np.newaxis], np.ones(400), rcond=None)[0]
)
_EXPONENT = np.int32(1 << 23)
_BIAS = np.int32(127)
_SMALLEST = np.float32(-100.0)
_LN2_32 = np.float32(_LN2)
_SLOPE = np.float32(-_LN2 / (4 * math.pi**2))


@njit(cache=True, inline="always")
def _power_of_two(t):
    """2^t for -100 <= t <= 0 in float32: the integer part goes into the exponent, a polynomial gives the rest."""
    i = np.int32(t)
    f = t - np.float32(i)
    p = _P0 + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * _P5))))
    return p * np.int32((i + _BIAS) * _EXPONENT).view(np.float32)


@njit(cache=True, fastmath=_FAST)
def _add_component(q, rate, amp, n, g, slope):
    """Add ``amp 2^(rate q)`` to g, and minus its derivative with respect to q, over 4 pi^2, to `slope`."""
    step = amp * rate * _SLOPE
    for k in range(n):
        e = _power_of_two(max(rate * q[k], _SMALLEST))
        g[k] += amp * e
        slope[k] += step * e


@njit(cache=True, fastmath=_FAST)
def _add_component_with_index(q, rate, amp, damp, drate, n, g, slope, dindex):
    """As `_add_component`, and the derivative with respect to the Sersic index to `dindex`."""
    step = amp * rate * _SLOPE
    change = amp * drate * _LN2_32
    for k in range(n):
        e = _power_of_two(max(rate * q[k], _SMALLEST))
        g[k] += amp * e
        slope[k] += step * e
        dindex[k] += (damp + change * q[k]) * e


@njit(cache=True, fastmath=_FAST)
def _quadratic_form(forms, vxx, vxy, vyy, n, q):
    xx, xy, yy = forms[0], forms[1], forms[2]
    for k in range(n):
        q[k] = vxx * xx[k] + vxy * xy[k] + vyy * yy[k]


@njit(cache=True, fastmath=_FAST)
def _scale(a, b, c, n):
    for k in range(n):
        a[k] *= c * b[k]


@njit(cache=True, fastmath=_FAST)
def _outer_product(row_re, row_im, column_re, column_im, rows, n, re, im):
    """Complex products of each element of one vector with all `n` of another, row after row."""
    # Unsigned indices spare the check for negative ones, and whole arrays the cost of slices.
    start = uint64(0)
    for y in range(rows):
        c, s = row_re[y], row_im[y]
        for k in range(n):
            re[start + k] = column_re[k] * c - column_im[k] * s
        for k in range(n):
            im[start + k] = column_re[k] * s + column_im[k] * c
        start += n


@njit(cache=True, fastmath=_FAST)
def _product(a_re, a_im, b_re, b_im, n, re, im):
    """Complex product. (Two loops: over six arrays in one, the compiler makes no vector code.)"""
    for k in range(n):
        re[k] = a_re[k] * b_re[k] - a_im[k] * b_im[k]
    for k in range(n):
        im[k] = a_re[k] * b_im[k] + a_im[k] * b_re[k]


@njit(cache=True, fastmath=_FAST)
def _interleave(re, im, factor, n, out):
    """Complex numbers times a real factor, as pairs of float32."""
    for k in range(n):
        out[2 * k] = re[k] * factor[k]
        out[2 * k + 1] = im[k] * factor[k]


@njit(cache=True)
def axis_factors(size, count, shift, taps, cosine, sine, re, im):
    """Spectrum of an integer shift and the Lanczos taps along one axis.

    ``exp(-2 pi i k shift / size) sum_m taps[m + 3] exp(2 pi i k m / size)`` for k < count.

    Parameters
    ----------
    cosine, sine : float32 (size,)
        Of 2 pi j / size.
    re, im : float32 (>= count,)
        Out.
    """
    for k in range(count):
        j = (k * (-3 - shift)) % size
        a = np.float32(0.0)
        b = np.float32(0.0)
        for m in range(7):
            tap = np.float32(taps[m])
            a += tap * cosine[j]
            b += tap * sine[j]
            j += k
            if j >= size:
                j -= size
        re[k] = a
        im[k] = b


@njit(cache=True)
def _transforms(q, size, schur, transforms, with_n, planes):
    """Transforms of the three planes of `galaxy_spectra`, before the convolution with the PSF, at all frequencies.

    `schur` is the smallest value of q in a row, over ky^2 (in units of the frame's frequencies).
    """
    rate, amp, damp, drate = transforms
    g, slope, dindex = planes
    half = size // 2 + 1
    n = size * half
    g[:n] = np.float32(0.0)
    slope[:n] = np.float32(0.0)
    if with_n:
        dindex[:n] = np.float32(0.0)
    for j in range(amp.size):
        if amp[j] == 0.0 and (not with_n or damp[j] == 0.0):
            continue
        last = size // 2
        fall = -rate[j] * schur
        if fall > 0.0:
            last = min(last, int(math.sqrt(_NEGLIGIBLE / fall)) + 1)
        # Rows 0 ... last, and those of the negative frequencies down to -last.
        for part in range(2):
            first, stop = 0, n
            if last < size // 2:
                first, stop = (0, (last + 1) * half) if part == 0 else ((size - last) * half, n)
            elif part == 1:
                break
            m = stop - first
            if with_n:
                _add_component_with_index(
                    q[first:], rate[j], amp[j], damp[j], drate[j], m, g[first:], slope[first:], dindex[first:]
                )
            else:
                _add_component(q[first:], rate[j], amp[j], m, g[first:], slope[first:])


@njit(cache=True)
def galaxy_spectra(index, psf, places, shapes, transforms, with_n, share, frame, out):
    """Spectra of one galaxy in many images, and of what its derivatives are made from.

    With the mixture's components ``a_k N(0, s_k V)``, the planes are

    * the galaxy, ``sum_k a_k N_k``;
    * if shape parameters are free, either their derivatives (`Shapes.exact`), or the galaxy's *second moment density*,
      ``sum_k a_k s_k / 2 N_k``: when the shape tensor V changes by dV, the galaxy changes by ``dV_xx d^2/dx^2 + 2 dV_xy
      d^2/dxdy + dV_yy d^2/dy^2`` of it (the heat equation), which on pixels is good to about 1 per cent;
    * `with_n`: the derivative with respect to the Sersic index;

    all convolved with the PSF.

    Parameters
    ----------
    index : int64 (m,)
        Images to treat; all have frames of the same size.
    psf : float32 (n, 2, size * (size // 2 + 1))
        Real and imaginary parts of the spectra of the PSF stamps centred on frame pixel (0, 0). If there is one only,
        it is that of all images.
    places : Places
        The first pixel of each window becomes frame pixel (0, 0).
    shapes : Shapes
    transforms : Transforms
    with_n : bool
        Make the derivative with respect to the Sersic index.
    share : float32 (n, K)
        What of each component goes through the frame (the rest is drawn as Gaussians); of length 0 if it is all.
    frame : Frame
    out : complex64 (m, nplanes, size, size // 2 + 1)
        Planes in the above order.
    """
    px, py, window = places
    v, dv, nshape, exact = shapes
    rate, amp, damp, drate = transforms
    size, waves, forms = frame
    half = size // 2 + 1
    n = size * half
    scratch = np.empty((9, n), np.float32)
    q, g, slope, dindex = scratch[0], scratch[1], scratch[2], scratch[3]
    shift_re, shift_im, re, im, plane = scratch[4], scratch[5], scratch[6], scratch[7], scratch[8]
    column = np.empty((2, half), np.float32)
    row = np.empty((2, size), np.float32)
    taps, slopes = np.empty(7), np.empty(7)
    some, dsome = amp, damp
    flat = out.view(np.float32)
    scale = 1.0 / (size * size)
    for k in range(index.size):
        i = index[k]
        ix = round_half_even(px[i])
        iy = round_half_even(py[i])
        lanczos_taps(px[i] - ix, taps, slopes)
        axis_factors(size, half, ix - window[i, 0], taps, waves[0], waves[1], column[0], column[1])
        lanczos_taps(py[i] - iy, taps, slopes)
        axis_factors(size, size, iy - window[i, 1], taps, waves[0], waves[1], row[0], row[1])
        _outer_product(row[0], row[1], column[0], column[1], size, uint64(half), shift_re, shift_im)
        own = psf[i] if psf.shape[0] > 1 else psf[0]
        _product(own[0], own[1], shift_re, shift_im, n, re, im)
        vxx, vxy, vyy = v[i, 0] * scale, v[i, 1] * scale, v[i, 2] * scale
        _quadratic_form(forms, np.float32(vxx), np.float32(vxy), np.float32(vyy), n, q)
        if share.shape[0] > 0:
            some, dsome = amp * share[i], damp * share[i]
        schur = vyy - vxy * vxy / vxx if vxx > 0.0 else 0.0
        _transforms(q, size, schur, (rate, some, dsome, drate), with_n, (g, slope, dindex))
        planes = flat[k]
        _interleave(re, im, g, n, planes[0].ravel())
        if exact:
            for d in range(nshape):
                a, b, c = dv[i, d, 0] * scale, dv[i, d, 1] * scale, dv[i, d, 2] * scale
                _quadratic_form(forms, np.float32(a), np.float32(b), np.float32(c), n, plane)
                _scale(plane, slope, np.float32(-4 * math.pi**2), n)
                _interleave(re, im, plane, n, planes[1 + d].ravel())
        elif nshape > 0:
            _interleave(re, im, slope, n, planes[1].ravel())
        if with_n:
            _interleave(re, im, dindex, n, planes[planes.shape[0] - 1].ravel())
