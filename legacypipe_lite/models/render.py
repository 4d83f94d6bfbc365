"""Render sources into images: natural patches, windows, and whole tims."""

import math

import numpy as np

from . import frames_kernels, render_kernels
from .ellipse import soft_from_hard, soft_shape_tensor
from .frames import Profile, PsfSpectra, fixed_profile, galaxy_chunks
from .profiles import EXTENT_IN_RE
from .render_kernels import BORDER, PAD, SPLIT_HALF_SIZE

__all__ = ["natural_patch", "render_window", "TimRenderer"]


def natural_patch(source_type, px, py, shape_r_pix, stamp_shape, image_shape):
    """Rectangle of an image in which a source is rendered when nothing else limits it.

    Point source: its PSF stamp. Galaxy: 4 r_e (REX, EXP) or 8 r_e (DEV, SER), at least the stamp's half diagonal. Both
    clipped to the image.

    Parameters
    ----------
    source_type : str
    px, py : float
        Position in the image.
    shape_r_pix : float
        Half-light radius along the major axis [pixel].
    stamp_shape, image_shape : (int, int)
        (height, width).

    Returns
    -------
    (x0, y0, w, h) or None
        None if the patch does not overlap the image.
    """
    if not (math.isfinite(px) and math.isfinite(py)):
        return None
    ph, pw = stamp_shape
    height, width = image_shape
    radius = math.hypot(ph / 2.0, pw / 2.0)
    if source_type == "PSF":
        x0 = render_kernels.round_half_even(px) - pw // 2
        y0 = render_kernels.round_half_even(py) - ph // 2
        x1, y1 = x0 + pw, y0 + ph
    else:
        half = max(1.0, EXTENT_IN_RE[source_type] * shape_r_pix)
        half = min(half, max(px, width - 1 - px, py, height - 1 - py) + 1)
        half = math.ceil(max(half, radius))
        x0, y0 = math.floor(px - half), math.floor(py - half)
        x1, y1 = math.ceil(px + half + 1) + 1, math.ceil(py + half + 1) + 1
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if x0 >= x1 or y0 >= y1:
        return None
    return x0, y0, x1 - x0, y1 - y0


def profile_of(source_type, sersic):
    """`Profile` of a galaxy type (cached unless SER)."""
    return Profile("SER", sersic) if source_type == "SER" else fixed_profile(source_type)


def shape_tensor_with_derivatives(log_re, eps1, eps2):
    """Shape tensor (3,) and its derivatives (3, 3), see `ellipse.soft_shape_tensor`."""
    tensor, derivatives = np.empty(3), np.empty((3, 3))
    soft_shape_tensor(log_re, eps1, eps2, tensor, derivatives)
    return tensor, derivatives


def render_window(
    source_type,
    px,
    py,
    cinv,
    shape,
    stamp,
    gaussian_sigma,
    window,
    *,
    frame_size=None,
    split_half_size=SPLIT_HALF_SIZE,
    max_mahalanobis2=np.inf,
    derivatives=False,
):
    """Unit-flux model of one source in a window of one image.

    Parameters
    ----------
    source_type : str
    px, py : float
        Position in the image.
    cinv : array_like, shape (2, 2)
        d(x, y)/d(East, North) [pixel/arcsec].
    shape : (float, float, float, float)
        ln r_e [arcsec], eps1, eps2 (soft ellipticity), Sersic index. Ignored for PSF.
    stamp : numpy.ndarray
        PSF stamp.
    gaussian_sigma : float
        Of the PSF's companion Gaussian [pixel].
    window : (x0, y0, w, h)
    frame_size, split_half_size, max_mahalanobis2
        See `frames.galaxy_chunks`.
    derivatives : bool
        Return also the derivatives.

    Returns
    -------
    numpy.ndarray of float32, shape (h, w), or (planes, h, w) with derivatives
        Planes: model, d/dpx, d/dpy, then for galaxies d/d(ln r_e) [, d/d eps1, d/d eps2 [, d/dn]].
    """
    x0, y0, w, h = window
    psf = PsfSpectra([stamp], [gaussian_sigma])
    if source_type == "PSF":
        planes = np.empty((3, h, w), np.float32)
        scratch = np.empty((2, psf.padded.shape[1], w), np.float32)
        render_kernels.point_source(
            psf.padded[0], psf.ph[0], psf.pw[0], px, py, x0, y0, w, h, derivatives, scratch, planes
        )
        return planes if derivatives else planes[0]
    log_re, eps1, eps2, sersic = shape
    tensor, dtensor = shape_tensor_with_derivatives(log_re, eps1, eps2)
    nshape = (1 if source_type == "REX" else 3) if derivatives else 0
    ((_, planes),) = galaxy_chunks(
        psf,
        np.zeros(1, np.int64),
        np.array([float(px)]),
        np.array([float(py)]),
        np.asarray(cinv, float).reshape(1, 4),
        np.array([[x0, y0, w, h]], np.int32),
        profile_of(source_type, sersic),
        tensor,
        dtensor,
        nshape,
        derivatives and source_type == "SER",
        frame_size=frame_size,
        split_half_size=split_half_size,
        max_mahalanobis2=max_mahalanobis2,
    )
    inner = planes[0, :, BORDER : BORDER + h, BORDER : BORDER + w]
    if not derivatives:
        return inner[0].copy()
    out = np.empty((planes.shape[1] + 2, h, w), np.float32)
    out[0] = inner[0]
    out[1] = -stencil_derivative(planes[0, 0], 1, w, h)
    out[2] = -stencil_derivative(planes[0, 0], 0, w, h)
    out[3:] = inner[1:]
    return out


def stencil_derivative(frame, axis, w, h):
    """7-point central derivative of a frame along an axis, in its window."""
    total = np.zeros((h, w), np.float32)
    for m, c in ((1, 3.0 / 4), (2, -3.0 / 20), (3, 1.0 / 60)):
        for sign in (1, -1):
            ys = BORDER + (sign * m if axis == 0 else 0)
            xs = BORDER + (sign * m if axis == 1 else 0)
            total += np.float32(sign * c) * frame[ys : ys + h, xs : xs + w]
    return total


class TimRenderer:
    """Render catalogue sources into one tim, in natural patches.

    Parameters
    ----------
    tim : Tim
    band_index : int
        Position of the tim's band in the sources' flux arrays.
    shape_jacobian : {"local", "header"}
        Pixel scale for galaxy shapes: the true local one, or that of the header's CD matrix.
    """

    def __init__(self, tim, band_index, shape_jacobian="local"):
        self.tim = tim
        self.band_index = band_index
        self._packed = tim.wcs.pack()[np.newaxis]
        self._header = np.linalg.inv(tim.wcs.cd).ravel() / 3600.0 if shape_jacobian == "header" else None
        self._constant = PsfSpectra([tim.psf.stamp()], [tim.psf.gaussian_sigma]) if tim.psf.is_constant else None

    def _locate(self, source):
        ra, dec = source.position_at(self.tim.mjd_tai)
        px, py, cinv = np.empty(1), np.empty(1), np.empty((1, 4))
        frames_kernels.locate(self._packed, np.array([ra]), np.array([dec]), px, py, cinv)
        if self._header is not None:
            cinv[0] = self._header
        return px, py, cinv

    def _psf(self, px, py):
        if self._constant is not None:
            return self._constant
        return PsfSpectra([self.tim.psf.stamp(px, py)], [self.tim.psf.gaussian_sigma])

    def patch(self, source):
        """The source's image at its flux in this band.

        Returns
        -------
        (x0, y0, patch) or None
            `patch` is float32, clipped to the tim; None if nothing of the source falls on it, or its flux is zero
            or not finite.
        """
        flux = np.float32(source.flux[self.band_index])
        if flux == 0 or not np.isfinite(flux):
            return None
        px, py, cinv = self._locate(source)
        scale = 1.0 / math.sqrt(abs(cinv[0, 0] * cinv[0, 3] - cinv[0, 1] * cinv[0, 2]))
        rect = natural_patch(
            source.type, px[0], py[0], source.shape_r / scale, self.tim.psf.stamp_shape, self.tim.shape
        )
        if rect is None:
            return None
        x0, y0, w, h = rect
        psf = self._psf(px[0], py[0])
        if source.type == "PSF":
            planes = np.empty((1, h, w), np.float32)
            scratch = np.empty((1, int(psf.ph[0]) + 2 * PAD, w), np.float32)
            render_kernels.point_source(
                psf.padded[0], psf.ph[0], psf.pw[0], px[0], py[0], x0, y0, w, h, False, scratch, planes
            )
            return x0, y0, planes[0] * flux
        eps1, eps2 = soft_from_hard(source.shape_e1, source.shape_e2)
        tensor, dtensor = shape_tensor_with_derivatives(math.log(max(source.shape_r, 1e-6)), eps1, eps2)
        ((_, planes),) = galaxy_chunks(
            psf,
            np.zeros(1, np.int64),
            px,
            py,
            cinv,
            np.array([rect], np.int32),
            profile_of(source.type, source.sersic),
            tensor,
            dtensor,
        )
        return x0, y0, planes[0, 0, BORDER : BORDER + h, BORDER : BORDER + w] * flux
