"""Render sources into images: natural patches, and whole tims."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import frames_kernels, render_kernels
from .ellipse import soft_from_hard, soft_shape_tensor
from .frames import PsfSpectra, galaxy_chunks, profile_of
from .patches import Patches
from .sources import SOURCE_TYPES

if TYPE_CHECKING:
    from .patches import Patch
    from .sources import Source

__all__ = ["render_patches", "TimRenderer", "shape_tensor_with_derivatives"]

#: Sources that are drawn at a time.
_BATCH = 64
#: Shape tensor of a round galaxy, and derivatives that nobody needs.
_ROUND = np.array([1.0, 0.0, 1.0]), np.zeros((3, 3))


def render_patches(
    source: Source,
    flux: NDArray[np.float64],
    px: NDArray[np.float64],
    py: NDArray[np.float64],
    cinv: NDArray[np.float64],
    shape_cinv: NDArray[np.float64],
    stamp_shape: tuple[NDArray[np.int64], NDArray[np.int64]],
    image_shape: tuple[NDArray[np.int64], NDArray[np.int64]],
    psf_of: Callable[[NDArray[np.int64]], PsfSpectra],
) -> Patches:
    """Render a source in its natural patches in many images.

    The natural patch of a point source is its PSF stamp; that of a galaxy reaches as far as its profile's nominal
    extent, at least to the half diagonal of the stamp. Both are clipped to the image.

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
    render_kernels.natural_patches(point, px, py, cinv, source.extent, (*stamp_shape, *image_shape), flux, rectangles)
    patches = Patches.empty(rectangles)
    index = np.flatnonzero(rectangles[:, 2] > 0)
    if len(index) == 0:
        return patches
    psf = psf_of(index)
    if point:
        render_kernels.point_source_patches(index, psf.padded, psf.ph, psf.pw, px, py, flux, patches)
        return patches
    eps1, eps2 = soft_from_hard(source.shape_e1, source.shape_e2)
    tensor, dtensor = shape_tensor_with_derivatives(math.log(max(source.shape_r, 1e-6)), eps1, eps2)
    profile = profile_of(source.type, source.sersic)
    for chunk in galaxy_chunks(psf, index, px, py, shape_cinv, rectangles, profile, tensor, dtensor):
        frames_kernels.copy_frames(chunk.index, chunk.planes, flux, patches)
    return patches


def shape_tensor_with_derivatives(
    log_re: float, eps1: float, eps2: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shape tensor (3,) and its derivatives (3, 3), see `ellipse.soft_shape_tensor`."""
    tensor, derivatives = np.empty(3), np.empty((3, 3))
    soft_shape_tensor(log_re, eps1, eps2, tensor, derivatives)
    return tensor, derivatives


class TimRenderer:
    """Render catalogue sources into one tim, in natural patches.

    Parameters
    ----------
    tim : Tim
        Or something with its `wcs`, `psf`, `shape` and `mjd_tai`.
    band_index : int
        Position of the tim's band in the sources' flux arrays.
    shape_jacobian : {"local", "header"}
        Pixel scale for galaxy shapes: the true local one, or that of the header's CD matrix.
    """

    def __init__(self, tim: Any, band_index: int, shape_jacobian: str = "local") -> None:
        self.tim = tim
        self.band_index = band_index
        self._packed = tim.wcs.pack()[np.newaxis]
        self._header: Any = np.linalg.inv(tim.wcs.cd).reshape(1, 4) / 3600.0 if shape_jacobian == "header" else None
        (stamp_h, stamp_w), (h, w) = tim.psf.stamp_shape, tim.shape
        self._stamp_shape = np.array([stamp_h], np.int64), np.array([stamp_w], np.int64)
        self._image_shape = np.array([h], np.int64), np.array([w], np.int64)
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

    def patch(self, source: Source) -> Patch | None:
        """The source's image at its flux in this band.

        Returns
        -------
        Patch or None
            None if nothing of the source falls on the tim, or its flux is zero or not finite.
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
        return patches.patch(0)

    def draw(self, sources: Sequence[Source], image: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Draw many sources into one image.

        Parameters
        ----------
        sources : sequence of Source
        image : numpy.ndarray of float32, shape of the tim, optional
            To add them to.

        Returns
        -------
        numpy.ndarray of float32
            `image`, or a new one [nanomaggies per pixel].
        """
        image = np.zeros(self.tim.shape, np.float32) if image is None else image
        for patch in self.patches(sources):
            if patch is not None:
                patch.add_to(image)
        return image

    def patches(self, sources: Sequence[Source]) -> Iterator[Patch | None]:
        """The images of many sources; faster than `patch` for each of them, because they are drawn many at a time.

        Parameters
        ----------
        sources : sequence of Source

        Yields
        ------
        Patch or None
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
            for i, k in enumerate(seen):
                found[k] = drawn.patch(i)
        return found

    def _rectangles(self, sources, px, py, cinv, flux):
        """Natural patches: int32 (n, 4); w = 0 for sources that are not seen."""
        rectangles = np.zeros((len(sources), 4), np.int32)
        for k, source in enumerate(sources):
            own = slice(k, k + 1)
            render_kernels.natural_patches(
                source.kind.is_point, px[own], py[own], cinv[own], source.extent,
                (*self._stamp_shape, *self._image_shape), flux[own], rectangles[own],
            )  # fmt: skip
        return rectangles

    def _draw(self, sources, px, py, cinv, flux, rectangles):
        """`Patches` of sources that are seen."""
        n = len(sources)
        patches = Patches.empty(rectangles)
        psf = PsfSpectra(self.tim.psf.stamps(px, py), np.full(n, self.tim.psf.gaussian_sigma))
        shape_cinv = cinv if self._header is None else np.repeat(self._header, n, axis=0)
        for kind, members in _by_profile(sources).items():
            index = np.array(members)
            if SOURCE_TYPES[kind[0]].is_point:
                render_kernels.point_source_patches(index, psf.padded, psf.ph, psf.pw, px, py, flux, patches)
                continue
            # The shape becomes a part of the Jacobian, so that all members have the same one.
            shaped = np.zeros((n, 4))
            for k in members:
                shaped[k] = _with_shape(shape_cinv[k], sources[k])
            for chunk in galaxy_chunks(psf, index, px, py, shaped, rectangles, profile_of(*kind), *_ROUND):
                frames_kernels.copy_frames(chunk.index, chunk.planes, flux, patches)
        return patches


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
