"""Kernels that prepare many images of one galaxy at once: positions, frame sizes, spectra, Gaussian wings."""

import math

import numpy as np
from numba import njit

from ..wcs.projection_kernels import packed_local_jacobian, packed_sky_to_pixel
from .render_kernels import BORDER, PAD, add_gaussian_part, pixel_shape, split_weights

#: Even FFT sizes made of 2, 3 and 5 only.
GOOD_SIZES = np.array(
    [
        16, 20, 24, 30, 32, 36, 40, 48, 54, 60, 64, 72, 80, 90, 96, 100, 108, 120, 128, 144, 150, 160, 180, 192, 200,
        216, 240, 256, 288, 300, 320, 360, 384, 400, 432, 480, 512, 540, 576, 600, 640, 720, 768, 800, 864, 900, 960,
        1024,
    ]
)  # fmt: skip
#: Frames that are smaller than the largest by less than this factor are made as large.
_SAME_SIZE = 0.85


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
def fold_stamps(index, stamps, ph, pw, size, frames):
    """Centre padded stamps on pixel (0, 0) of periodic frames (m, size, size); what sticks out is folded in."""
    for k in range(index.size):
        i = index[k]
        frame = frames[k]
        frame[:] = np.float32(0.0)
        first = (-(pw[i] // 2)) % size
        for y in range(ph[i]):
            stamp = stamps[i, PAD + y]
            row = frame[(y - ph[i] // 2) % size]
            to = first
            for x in range(PAD, PAD + pw[i]):
                row[to] += stamp[x]
                to += 1
                if to == size:
                    to = 0


@njit(cache=True)
def plan_frames(index, places, cinv, ellipse, var, reaches, shapes, share, sizes):
    """Shapes in pixels, the split of the mixture, and the smallest good frame of one galaxy in many images.

    The model reaches ``sqrt(reach^2 + (tails sigma)^2)`` from the source, sigma being that of the widest component that
    goes through the frame, along its major axis. In the frame's periodic copies the source stands `size` pixels away:
    this must be the reach plus the distance of the farthest window pixel.

    Parameters
    ----------
    index : int64 (m,)
        Images to treat.
    places : Places
    cinv : float64 (n, 4)
        d(x, y)/d(East, North) [pixel/arcsec].
    ellipse : (float64 (3,), float64 (3, 3))
        Shape tensor [arcsec^2] and its derivatives.
    var : float64 (K,)
        Variances of the mixture [r_e^2].
    reaches : (float64, float64 (n,), float64)
        Half size [pixel] that defines which components are drawn as Gaussians; distance from its centre to which each
        PSF matters [pixel]; number of sigmas to which a component matters.
    shapes : Shapes
        `v` and `dv` are set.
    share : float32 (n, K)
        Out: what of each component goes through the frame.
    sizes : int64 (m,)
        Out: of `GOOD_SIZES`, or a multiple of 64.

    Returns
    -------
    bool
        True if any component of any image is, in part, drawn as a Gaussian.
    """
    px, py, window = places
    tensor, dtensor = ellipse
    half_size, reach, tails = reaches
    v, dv, nshape, _ = shapes
    w_fft = np.empty(var.size)
    w_gauss = np.empty(var.size)
    any_gauss = False
    largest = 0
    for k in range(index.size):
        i = index[k]
        pixel_shape(cinv[i], tensor, dtensor, nshape, v[i], dv[i])
        any_gauss = split_weights(var, v[i, 0] + v[i, 2], half_size, w_fft, w_gauss) or any_gauss
        widest = 0.0
        for j in range(var.size):
            share[i, j] = w_fft[j]
            if w_fft[j] > 0.0:
                widest = max(widest, var[j])
        # largest eigenvalue of V
        mean = 0.5 * (v[i, 0] + v[i, 2])
        diff = 0.5 * (v[i, 0] - v[i, 2])
        major = mean + math.sqrt(diff * diff + v[i, 1] * v[i, 1])
        x0, y0, w, h = window[i, 0], window[i, 1], window[i, 2], window[i, 3]
        extent = max(max(px[i] - x0, x0 + w - 1 - px[i]), max(py[i] - y0, y0 + h - 1 - py[i]))
        need = max(
            max(extent, 0.0) + math.sqrt(reach[i] * reach[i] + tails * tails * widest * major) + 1.0, float(max(w, h))
        )
        size = 0
        for j in range(GOOD_SIZES.size):
            if GOOD_SIZES[j] >= need:
                size = GOOD_SIZES[j]
                break
        if size == 0:
            # beyond the list: next multiple of 64
            size = int(math.ceil(need / 64.0)) * 64
        sizes[k] = size
        largest = max(largest, size)
    # Few sizes mean few batches: a little too large is cheaper than one more of them.
    for k in range(index.size):
        if sizes[k] >= _SAME_SIZE * largest:
            sizes[k] = largest
    return any_gauss


@njit(cache=True)
def largest_window(chunk, window):
    """Largest width and height of the windows (n, 4) of the images in `chunk`."""
    w, h = 0, 0
    for i in chunk:
        w, h = max(w, window[i, 2]), max(h, window[i, 3])
    return w, h


@njit(cache=True)
def add_wings(chunk, places, shapes, mixture, half_size, sigma, max_mahalanobis2, border, planes):
    """Add the analytic part of the mixture to the planes of the images in `chunk`.

    Parameters
    ----------
    chunk : int64 (m,)
    places : Places
    shapes : Shapes
    mixture : Mixture
    half_size : float64
        See `plan_frames`.
    sigma : float64 (n,)
        Of the PSFs' companion Gaussians [pixel].
    max_mahalanobis2 : float
        See `render_kernels.add_gaussian_part`.
    border : int
        Pixels by which the planes reach beyond the windows.
    planes : float32 (m, nplanes, ny, nx)
    """
    px, py, window = places
    v, dv, nshape, exact = shapes
    var = mixture[1]
    w_fft = np.empty(var.size)
    w_gauss = np.empty(var.size)
    for k in range(chunk.size):
        i = chunk[k]
        if split_weights(var, v[i, 0] + v[i, 2], half_size, w_fft, w_gauss):
            shape, place = (v[i], dv[i], nshape, exact), (px[i], py[i], window[i])
            add_gaussian_part(mixture, w_gauss, shape, sigma[i] * sigma[i], place, border, max_mahalanobis2, planes[k])


@njit(cache=True)
def unfold(chunk, frames, window, planes):
    """The images' windows, with a border of BORDER pixels, from periodic frames (m, nplanes, size, size)."""
    size = frames.shape[2]
    for k in range(chunk.size):
        w, h = window[chunk[k], 2], window[chunk[k], 3]
        for p in range(frames.shape[1]):
            for y in range(h + 2 * BORDER):
                row = frames[k, p, (y - BORDER) % size]
                out = planes[k, p, y]
                for x in range(BORDER):
                    out[x] = row[size - BORDER + x]
                    out[BORDER + w + x] = row[(w + x) % size]
                inner = out[BORDER : BORDER + w]
                for x in range(w):
                    inner[x] = row[x]


@njit(cache=True)
def copy_frames(chunk, planes, flux, patches):
    """Copy the windows of rendered frames, times the flux, into patches (`Patches`)."""
    values = patches.values
    for k in range(chunk.size):
        i = chunk[k]
        w, h = patches.rectangles[i, 2], patches.rectangles[i, 3]
        f = np.float32(flux[i])
        for y in range(h):
            p = patches.offset[i] + y * w
            for x in range(w):
                values[p + x] = f * planes[k, 0, y, x]
