"""Render sources into images: natural patches, and whole tims."""

import math
from dataclasses import dataclass

import numpy as np

from . import frames_kernels, render_kernels
from .ellipse import soft_from_hard, soft_shape_tensor
from .frames import Profile, PsfSpectra, fixed_profile, galaxy_chunks
from .profiles import EXTENT_IN_RE

__all__ = ["Patches", "render_patches", "TimRenderer", "profile_of", "shape_tensor_with_derivatives"]


@dataclass
class Patches:
    """A source rendered in its natural patches in a set of images.

    The natural patch of a point source is its PSF stamp; that of a galaxy reaches 4 r_e (REX, EXP) or 8 r_e (DEV,
    SER), at least to the half diagonal of the stamp. Both are clipped to the image.

    Attributes
    ----------
    rectangles : numpy.ndarray of int32, shape (n, 4)
        x0, y0, w, h per image; w = 0 where there is none.
    offset : numpy.ndarray of int64, shape (n,)
        Start of each patch in `values`.
    values : numpy.ndarray of float32
        Model at the source's flux.
    """

    rectangles: np.ndarray
    offset: np.ndarray
    values: np.ndarray


def render_patches(source, flux, px, py, cinv, shape_cinv, stamp_shape, image_shape, psf_of):
    """Render a source in its natural patches in many images.

    Parameters
    ----------
    source : Source
        Type, shape and Sersic index are used.
    flux : numpy.ndarray of float64, shape (n,)
        Flux in each image; images in which it is 0 or not finite in float32 have no patch.
    px, py : numpy.ndarray of float64, shape (n,)
        Pixel positions.
    cinv, shape_cinv : numpy.ndarray of float64, shape (n, 4)
        d(x, y)/d(East, North) [pixel/arcsec], for the patch size and for the galaxy's shape.
    stamp_shape, image_shape : (numpy.ndarray, numpy.ndarray)
        Heights and widths of the PSF stamps and of the images.
    psf_of : callable
        ``psf_of(index) -> PsfSpectra`` of all images, valid for the images in `index`.

    Returns
    -------
    Patches
    """
    n = len(px)
    flux = flux.astype(np.float32).astype(np.float64)
    rectangles = np.zeros((n, 4), np.int32)
    point = source.type == "PSF"
    extent = 0.0 if point else EXTENT_IN_RE[source.type] * source.shape_r
    render_kernels.natural_patches(point, px, py, cinv, extent, *stamp_shape, *image_shape, flux, rectangles)
    sizes = rectangles[:, 2].astype(np.int64) * rectangles[:, 3]
    offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    patches = Patches(rectangles, offset[:n], np.empty(int(offset[-1]), np.float32))
    index = np.flatnonzero(rectangles[:, 2] > 0)
    if len(index) == 0:
        return patches
    psf = psf_of(index)
    if point:
        render_kernels.point_source_patches(
            index, psf.padded, psf.ph, psf.pw, px, py, rectangles, patches.offset, flux, patches.values
        )
        return patches
    eps1, eps2 = soft_from_hard(source.shape_e1, source.shape_e2)
    tensor, dtensor = shape_tensor_with_derivatives(math.log(max(source.shape_r, 1e-6)), eps1, eps2)
    profile = profile_of(source.type, source.sersic)
    for chunk in galaxy_chunks(psf, index, px, py, shape_cinv, rectangles, profile, tensor, dtensor):
        frames_kernels.copy_frames(chunk.index, chunk.planes, rectangles, patches.offset, flux, patches.values)
    return patches


def profile_of(source_type, sersic):
    """`Profile` of a galaxy type (cached unless SER)."""
    return Profile("SER", sersic) if source_type == "SER" else fixed_profile(source_type)


def shape_tensor_with_derivatives(log_re, eps1, eps2):
    """Shape tensor (3,) and its derivatives (3, 3), see `ellipse.soft_shape_tensor`."""
    tensor, derivatives = np.empty(3), np.empty((3, 3))
    soft_shape_tensor(log_re, eps1, eps2, tensor, derivatives)
    return tensor, derivatives


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
        self._header = np.linalg.inv(tim.wcs.cd).reshape(1, 4) / 3600.0 if shape_jacobian == "header" else None
        self._stamp_shape = tuple(np.array([n], np.int64) for n in tim.psf.stamp_shape)
        self._image_shape = tuple(np.array([n], np.int64) for n in tim.shape)
        self._constant = PsfSpectra([tim.psf.stamp()], [tim.psf.gaussian_sigma]) if tim.psf.is_constant else None

    def _locate(self, source):
        ra, dec = source.position_at(self.tim.mjd_tai)
        px, py, cinv = np.empty(1), np.empty(1), np.empty((1, 4))
        frames_kernels.locate(self._packed, np.array([ra]), np.array([dec]), px, py, cinv)
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
        px, py, cinv = self._locate(source)
        patches = render_patches(
            source,
            source.flux[self.band_index : self.band_index + 1],
            px,
            py,
            cinv,
            cinv if self._header is None else self._header,
            self._stamp_shape,
            self._image_shape,
            lambda index: self._psf(px[0], py[0]),
        )
        x0, y0, w, h = (int(v) for v in patches.rectangles[0])
        return (x0, y0, patches.values.reshape(h, w)) if w else None
