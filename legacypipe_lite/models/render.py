"""Render sources into images: natural patches, and whole tims."""

import math
from dataclasses import dataclass

import numpy as np

from . import frames_kernels, render_kernels
from .ellipse import soft_from_hard, soft_shape_tensor
from .frames import PsfSpectra, galaxy_chunks, profile_of
from .sources import SOURCE_TYPES

__all__ = ["Patches", "render_patches", "TimRenderer", "shape_tensor_with_derivatives"]

#: Sources that are drawn at a time.
_BATCH = 64
#: Shape tensor of a round galaxy, and derivatives that nobody needs.
_ROUND = np.array([1.0, 0.0, 1.0]), np.zeros((3, 3))


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
    point = source.kind.is_point
    render_kernels.natural_patches(point, px, py, cinv, source.extent, *stamp_shape, *image_shape, flux, rectangles)
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

    def patches(self, sources):
        """The images of many sources; faster than `patch` for each of them, because they are drawn many at a time.

        Parameters
        ----------
        sources : sequence of Source

        Yields
        ------
        (x0, y0, patch) or None
            See `patch`; in the order of the sources.
        """
        if self._constant is not None:
            yield from map(self.patch, sources)
            return
        for first in range(0, len(sources), _BATCH):
            yield from self._patches_of_batch(sources[first : first + _BATCH])

    def _patches_of_batch(self, sources):
        """As `patches`. Sources take the place that images have in the fit, where one source has many images."""
        n = len(sources)
        radec = np.array([s.position_at(self.tim.mjd_tai) for s in sources])
        px, py, cinv = np.empty(n), np.empty(n), np.empty((n, 4))
        frames_kernels.locate(np.repeat(self._packed, n, axis=0), radec[:, 0].copy(), radec[:, 1].copy(), px, py, cinv)
        flux = np.array([s.flux[self.band_index] for s in sources]).astype(np.float32).astype(np.float64)
        rectangles = self._rectangles(sources, px, py, cinv, flux)
        seen = np.flatnonzero(rectangles[:, 2])
        found = [None] * n
        if len(seen):
            chosen = [sources[k] for k in seen]
            drawn = self._draw(chosen, px[seen], py[seen], cinv[seen], flux[seen], rectangles[seen])
            for k, patch in zip(seen, drawn):
                found[k] = (int(rectangles[k, 0]), int(rectangles[k, 1]), patch)
        return found

    def _rectangles(self, sources, px, py, cinv, flux):
        """Natural patches: int32 (n, 4); w = 0 for sources that are not seen."""
        rectangles = np.zeros((len(sources), 4), np.int32)
        for k, source in enumerate(sources):
            own = slice(k, k + 1)
            render_kernels.natural_patches(
                source.kind.is_point, px[own], py[own], cinv[own], source.extent, *self._stamp_shape,
                *self._image_shape, flux[own], rectangles[own],
            )  # fmt: skip
        return rectangles

    def _draw(self, sources, px, py, cinv, flux, rectangles):
        """Patches of sources that are seen."""
        n = len(sources)
        sizes = rectangles[:, 2].astype(np.int64) * rectangles[:, 3]
        offset = np.cumsum(sizes) - sizes
        values = np.empty(int(sizes.sum()), np.float32)
        psf = PsfSpectra(self.tim.psf.stamps(px, py), np.full(n, self.tim.psf.gaussian_sigma))
        shape_cinv = cinv if self._header is None else np.repeat(self._header, n, axis=0)
        for kind, members in _by_profile(sources).items():
            index = np.array(members)
            if SOURCE_TYPES[kind[0]].is_point:
                render_kernels.point_source_patches(
                    index, psf.padded, psf.ph, psf.pw, px, py, rectangles, offset, flux, values
                )
                continue
            # The shape becomes a part of the Jacobian, so that all members have the same one.
            shaped = np.zeros((n, 4))
            for k in members:
                shaped[k] = _with_shape(shape_cinv[k], sources[k])
            for chunk in galaxy_chunks(psf, index, px, py, shaped, rectangles, profile_of(*kind), *_ROUND):
                frames_kernels.copy_frames(chunk.index, chunk.planes, rectangles, offset, flux, values)
        return [
            values[start : start + size].reshape(h, w) for start, size, (w, h) in zip(offset, sizes, rectangles[:, 2:])
        ]


def _by_profile(sources):
    """Numbers of the sources that share a mixture: (type, Sersic index) -> list of int."""
    groups = {}
    for k, source in enumerate(sources):
        index = float(source.sersic) if source.kind.has_index else 0.0
        groups.setdefault((source.type, index), []).append(k)
    return groups


def _with_shape(cinv, source):
    """d(x, y)/d(u, v) of coordinates u, v in which a galaxy is round with r_e = 1; float64 (4,)."""
    eps1, eps2 = soft_from_hard(source.shape_e1, source.shape_e2)
    (ee, en, nn), _ = shape_tensor_with_derivatives(math.log(max(source.shape_r, 1e-6)), eps1, eps2)
    a = math.sqrt(ee)
    b = en / a
    c = math.sqrt(max(nn - b * b, 0.0))
    xe, xn, ye, yn = cinv
    return xe * a + xn * b, xn * c, ye * a + yn * b, yn * c
