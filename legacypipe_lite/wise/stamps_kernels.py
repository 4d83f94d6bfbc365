"""Kernels: unit-flux images ("stamps") of point sources and galaxies on a tile.

Stamps lie one after the other in a flat array: that of source i covers the rectangle (x0, y0, w, h) of the tile
image, `rectangles[i]`, and starts at `offset[i]`; w = 0 where a source has none.
"""

import numpy as np
from numba import njit

from ..models.render_kernels import axis_factors, galaxy_spectrum, lanczos_taps, point_source, round_half_even


@njit(cache=True)
def point_stamps(members, psf, size, px, py, rectangles, offset, values):
    """Point sources that share one cropped PSF.

    Parameters
    ----------
    members : int64 (m,)
        Sources to render.
    psf : float32 (size + 2 PAD, size + 2 PAD)
        Padded PSF.
    px, py : float64 (n,)
        Positions on the image.
    rectangles : int32 (n, 4)
        Parts of the rectangles of `size` x `size` pixels around the sources.
    offset : int64 (n,)
    values : float32
        Out.
    """
    planes = np.empty((1, size, size), np.float32)
    scratch = np.empty((1, psf.shape[0], size), np.float32)
    for i in members:
        x0, y0, w, h = rectangles[i, 0], rectangles[i, 1], rectangles[i, 2], rectangles[i, 3]
        point_source(psf, size, size, px[i], py[i], x0, y0, w, h, False, scratch, planes)
        for y in range(h):
            start = offset[i] + y * w
            for x in range(w):
                values[start + x] = planes[0, y, x]


@njit(cache=True)
def galaxy_spectra(members, size, centre, psf, px, py, shapes, table, twiddle, out):
    """Spectra of galaxies with the same profile, in frames of `size` x `size` pixels.

    The pixel nearest to the source is frame pixel (centre, centre).

    Parameters
    ----------
    members : int64 (m,)
        Sources to render.
    psf : complex64 (size, size // 2 + 1)
        Spectrum of the PSF centred on frame pixel (0, 0).
    px, py : float64 (n,)
    shapes : float64 (n, 3)
        Shape tensors [pixel^2].
    table : float32 (nodes, 8)
        Of the profile, see `models.frames.Profile`.
    twiddle : complex64 (size,)
        exp(2 pi i j / size).
    out : complex64 (m, 1, size, size // 2 + 1)
    """
    half = size // 2 + 1
    taps = np.empty(7)
    slopes = np.empty(7)
    ex = np.empty(half, np.complex64)
    ey = np.empty(size, np.complex64)
    rows = np.empty((3, half), np.float32)
    no_derivatives = np.empty((0, 3))
    for k in range(members.size):
        i = members[k]
        lanczos_taps(px[i] - round_half_even(px[i]), taps, slopes)
        axis_factors(size, half, centre, taps, twiddle, ex)
        lanczos_taps(py[i] - round_half_even(py[i]), taps, slopes)
        axis_factors(size, size, centre, taps, twiddle, ey)
        vxx, vxy, vyy = shapes[i, 0], shapes[i, 1], shapes[i, 2]
        galaxy_spectrum(psf, size, ex, ey, vxx, vxy, vyy, no_derivatives, 0, False, table, rows, out[k])


@njit(cache=True)
def cut_stamps(members, frames, centre, px, py, rectangles, offset, values):
    """Copy the rectangles of galaxies out of their frames (m, 1, size, size)."""
    for k in range(members.size):
        i = members[k]
        w, h = rectangles[i, 2], rectangles[i, 3]
        dx = rectangles[i, 0] - round_half_even(px[i]) + centre
        dy = rectangles[i, 1] - round_half_even(py[i]) + centre
        for y in range(h):
            start = offset[i] + y * w
            for x in range(w):
                values[start + x] = frames[k, 0, y + dy, x + dx]
