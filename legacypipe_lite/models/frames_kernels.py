"""Kernels that prepare many images of one galaxy at once: positions, frame sizes, spectra, Gaussian wings."""

import math

import numpy as np
from numba import njit

from ..wcs.projection_kernels import packed_local_jacobian, packed_sky_to_pixel
from .render_kernels import (
    BORDER,
    PAD,
    TABLE_STEP,
    add_gaussian_part,
    axis_factors,
    galaxy_spectrum,
    lanczos_taps,
    pixel_shape,
    profile_table,
    round_half_even,
    split_weights,
)


@njit(cache=True)
def locate(packed, ra, dec, px, py, cinv):
    """Pixel positions and local inverse Jacobians of one source in many images.

    Parameters
    ----------
    packed : float64 (n, PACKED_SIZE)
        Packed WCS of each image.
    ra, dec : float64 (n,)
        Position at each image's epoch [deg].
    px, py : float64 (n,)
        Out: 0-based pixels; NaN where the position does not project.
    cinv : float64 (n, 4)
        Out: d(x, y)/d(East, North) [pixel/arcsec].
    """
    for i in range(px.size):
        x, y = packed_sky_to_pixel(packed[i], ra[i], dec[i])
        px[i] = x
        py[i] = y
        if math.isnan(x):
            for k in range(4):
                cinv[i, k] = np.nan
            continue
        ex, ey, nx, ny = packed_local_jacobian(packed[i], x, y)
        det = (ex * ny - ey * nx) * 3600.0
        cinv[i, 0] = ny / det
        cinv[i, 1] = -ey / det
        cinv[i, 2] = -nx / det
        cinv[i, 3] = ex / det


@njit(cache=True)
def pad_stamp(stamp, out):
    """Copy a stamp into the middle of a zeroed padded stamp."""
    ph, pw = stamp.shape
    out[:] = np.float32(0.0)
    for y in range(ph):
        for x in range(pw):
            out[PAD + y, PAD + x] = stamp[y, x]


@njit(cache=True)
def evaluate_stamp(basis, degree, u, v, normalize, out):
    """PSF stamp of a polynomial model at normalised position (u, v), written into a padded stamp."""
    ph, pw = basis.shape[1], basis.shape[2]
    out[:] = np.float32(0.0)
    k = 0
    vj = 1.0
    for j in range(degree + 1):
        t = vj
        for _ in range(degree + 1 - j):
            c = np.float32(t)
            for y in range(ph):
                for x in range(pw):
                    out[PAD + y, PAD + x] += c * basis[k, y, x]
            t *= u
            k += 1
        vj *= v
    if normalize:
        total = 0.0
        for y in range(ph):
            for x in range(pw):
                total += out[PAD + y, PAD + x]
        if total != 0.0:
            c = np.float32(1.0 / total)
            for y in range(ph):
                for x in range(pw):
                    out[PAD + y, PAD + x] *= c


@njit(cache=True)
def fold_stamp(stamp, ph, pw, size, frame):
    """Centre a padded stamp on frame pixel (0, 0) of a periodic size x size frame; what sticks out is folded in."""
    frame[:] = np.float32(0.0)
    for y in range(ph):
        yy = (y - ph // 2) % size
        for x in range(pw):
            frame[yy, (x - pw // 2) % size] += stamp[PAD + y, PAD + x]


@njit(cache=True)
def frame_sizes(index, px, py, window, ph, pw, trace, max_fft_variance, good_sizes, out):
    """Smallest good FFT size per image such that nothing wraps around into the window.

    The model reaches ``sqrt(stamp half^2 + (3 sigma)^2)`` from the source, sigma being that of the widest component
    that goes through the FFT along the major axis; the frame must hold that plus the farthest window pixel.

    Parameters
    ----------
    index : int64 (m,)
        Images to treat.
    window : int32 (n, 4)
        x0, y0, w, h.
    trace : float64 (n,)
        Upper limit of the variance along any axis for unit profile variance [pixel^2].
    max_fft_variance : float64 (n,)
        Largest variance [r_e^2] among the components that go through the FFT.
    """
    for k in range(index.size):
        i = index[k]
        x0, y0, w, h = window[i, 0], window[i, 1], window[i, 2], window[i, 3]
        extent = max(max(px[i] - x0, x0 + w - 1 - px[i]), max(py[i] - y0, y0 + h - 1 - py[i]))
        extent = max(extent, 0.0)
        half = 0.5 * max(ph[i], pw[i])
        reach = math.sqrt(half * half + 9.0 * max_fft_variance[i] * trace[i])
        need = max(extent + reach + BORDER + 1.0, max(w, h) + 2.0 * BORDER)
        size = 0
        for j in range(good_sizes.size):
            if good_sizes[j] >= need:
                size = good_sizes[j]
                break
        if size == 0:
            # beyond the list: next multiple of 64
            size = int(math.ceil(need / 64.0)) * 64
        out[k] = size


@njit(cache=True)
def shapes_in_pixels(index, cinv, tensor, dtensor, nshape, var, half_size, v, dv, trace, max_fft_variance, has_gauss):
    """Per image: shape tensor in pixels, its derivatives, and what the split of the mixture means for it."""
    w_fft = np.empty(var.size)
    w_gauss = np.empty(var.size)
    for k in range(index.size):
        i = index[k]
        pixel_shape(cinv[i], tensor, dtensor, nshape, v[i], dv[i])
        has_gauss[i] = split_weights(var, v[i, 0] + v[i, 2], half_size, w_fft, w_gauss)
        # largest eigenvalue of V
        mean = 0.5 * (v[i, 0] + v[i, 2])
        diff = 0.5 * (v[i, 0] - v[i, 2])
        trace[i] = mean + math.sqrt(diff * diff + v[i, 1] * v[i, 1])
        m = 0.0
        for j in range(var.size):
            if w_fft[j] > 0.0:
                m = max(m, var[j])
        max_fft_variance[i] = m


@njit(cache=True)
def fill_spectra(
    index,
    size,
    psf,
    px,
    py,
    window,
    v,
    dv,
    nshape,
    with_n,
    amp,
    var,
    damp,
    dvar,
    half_size,
    has_gauss,
    table,
    local_table,
    twiddle,
    rows,
    out,
):
    """Spectra of one galaxy in the images of `index`, all with frames of the same size.

    Parameters
    ----------
    psf : complex64 (n, size, size // 2 + 1)
        PSF spectra of all images.
    table : float32 (nodes, 8)
        Profile table of the whole mixture.
    local_table : float32 (nodes, 8)
        Scratch for images in which part of the mixture is rendered as Gaussians.
    out : complex64 (m, planes, size, size // 2 + 1)
    """
    taps = np.empty(7)
    slopes = np.empty(7)
    ex = np.empty(size // 2 + 1, np.complex64)
    ey = np.empty(size, np.complex64)
    w_fft = np.empty(var.size)
    w_gauss = np.empty(var.size)
    for k in range(index.size):
        i = index[k]
        ix = round_half_even(px[i])
        iy = round_half_even(py[i])
        lanczos_taps(px[i] - ix, taps, slopes)
        axis_factors(size, size // 2 + 1, ix - window[i, 0] + BORDER, taps, twiddle, ex)
        lanczos_taps(py[i] - iy, taps, slopes)
        axis_factors(size, size, iy - window[i, 1] + BORDER, taps, twiddle, ey)
        if has_gauss[i]:
            split_weights(var, v[i, 0] + v[i, 2], half_size, w_fft, w_gauss)
            q_max = 0.25 * (v[i, 0] + 2.0 * abs(v[i, 1]) + v[i, 2])
            nodes = min(int(math.sqrt(math.sqrt(q_max)) / TABLE_STEP) + 3, local_table.shape[0])
            profile_table(amp * w_fft, var, damp * w_fft, dvar, with_n, local_table[:nodes])
            galaxy_spectrum(
                psf[i],
                size,
                ex,
                ey,
                v[i, 0],
                v[i, 1],
                v[i, 2],
                dv[i],
                nshape,
                with_n,
                local_table[:nodes],
                rows,
                out[k],
            )
        else:
            galaxy_spectrum(psf[i], size, ex, ey, v[i, 0], v[i, 1], v[i, 2], dv[i], nshape, with_n, table, rows, out[k])


@njit(cache=True)
def fill_gaussians(
    index,
    px,
    py,
    window,
    v,
    dv,
    nshape,
    with_n,
    amp,
    var,
    damp,
    dvar,
    half_size,
    has_gauss,
    sigma,
    max_mahalanobis2,
    planes,
):
    """Add the analytic part of the mixture to the frames (m, planes, size, size) of the images in `index`."""
    w_fft = np.empty(var.size)
    w_gauss = np.empty(var.size)
    for k in range(index.size):
        i = index[k]
        if not has_gauss[i]:
            continue
        split_weights(var, v[i, 0] + v[i, 2], half_size, w_fft, w_gauss)
        add_gaussian_part(
            amp,
            var,
            damp,
            dvar,
            w_gauss,
            v[i, 0],
            v[i, 1],
            v[i, 2],
            dv[i],
            nshape,
            with_n,
            sigma[i] * sigma[i],
            px[i],
            py[i],
            window[i, 0] - BORDER,
            window[i, 1] - BORDER,
            window[i, 2] + 2 * BORDER,
            window[i, 3] + 2 * BORDER,
            max_mahalanobis2,
            planes[k],
        )


@njit(cache=True)
def copy_frames(chunk, planes, rectangles, patch_offset, flux, patches):
    """Copy the windows of rendered frames, times the flux, into the flat patch array."""
    for k in range(chunk.size):
        i = chunk[k]
        w, h = rectangles[i, 2], rectangles[i, 3]
        f = np.float32(flux[i])
        for y in range(h):
            p = patch_offset[i] + y * w
            for x in range(w):
                patches[p + x] = f * planes[k, 0, y + BORDER, x + BORDER]
