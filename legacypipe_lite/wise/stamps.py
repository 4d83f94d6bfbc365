"""Sources rendered on an unWISE tile: unit-flux images, cut at a radius that depends on the brightness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..models.ellipse import shape_tensor
from ..models.frames import frame_of, profile_of
from ..models.frames_kernels import pad_stamp
from ..models.patches import Patches
from ..models.render_kernels import PAD, pixel_shape
from ..models.sources import SOURCE_TYPES, TYPES
from ..models.spectra_kernels import galaxy_spectra
from . import stamps_kernels as kernels
from .tiles import PIXEL_SCALE

if TYPE_CHECKING:
    from ..models.sources import Source
    from ..wcs import ImageWcs

__all__ = ["ForcedSources", "StampRenderer", "stamp_radii"]

#: Which types, by number, are point sources.
_POINT = np.array([SOURCE_TYPES[name].is_point for name in TYPES])
#: Half sizes of stamps [pixel] above these fluxes of the central pixel [Vega nanomaggies].
_RADII = {1: ((20000.0, 100), (1000.0, 30)), 3: ((1e6, 100), (1e4, 30))}
_RADII |= {2: _RADII[1], 4: _RADII[3]}
_SMALLEST_RADIUS = 15
#: Galaxies reach at least this many half-light radii.
_EXTENT = 5.0
#: Frames that are transformed together should stay in the cache.
_BATCH_BYTES = 1 << 20
_NO_DERIVATIVES = np.empty((0, 3, 3))
_NO_SHARE = np.empty((0, 0), np.float32)


@dataclass
class ForcedSources:
    """Sources of fixed position and shape whose fluxes are to be measured; arrays of one length.

    Attributes
    ----------
    ra, dec : numpy.ndarray of float64
        Degrees, at the catalogue's own epoch.
    kind : numpy.ndarray of int
        Number of the type in `models.sources.TYPES`.
    shape_r, sersic : numpy.ndarray of float64
        Half-light radius [arcsec] and Sersic index.
    tensor : numpy.ndarray of float64, shape (n, 3)
        Shape tensor [arcsec^2], see `models.ellipse`.
    """

    ra: np.ndarray
    dec: np.ndarray
    kind: np.ndarray
    shape_r: np.ndarray
    sersic: np.ndarray
    tensor: np.ndarray

    @classmethod
    def from_sources(cls, sources: Sequence[Source]) -> ForcedSources:
        """From a list of `models.Source`."""
        galaxies = [not source.kind.is_point for source in sources]
        shapes = [
            shape_tensor(s.shape_r, s.shape_e1, s.shape_e2) if galaxy else np.zeros(3)
            for s, galaxy in zip(sources, galaxies)
        ]
        return cls(
            ra=np.array([s.ra for s in sources], np.float64),
            dec=np.array([s.dec for s in sources], np.float64),
            kind=np.array([TYPES.index(s.type) for s in sources], np.int64),
            shape_r=np.array([s.shape_r if galaxy else 0.0 for s, galaxy in zip(sources, galaxies)], np.float64),
            sersic=np.array([s.sersic for s in sources], np.float64),
            tensor=np.array(shapes, np.float64).reshape(-1, 3),
        )

    def __len__(self) -> int:
        return len(self.ra)

    def __getitem__(self, index: slice | NDArray) -> ForcedSources:
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def stamp_radii(central_flux: NDArray, band: int) -> NDArray[np.int64]:
    """Half size [pixel] of the stamp of a point source.

    Parameters
    ----------
    central_flux : numpy.ndarray
        Of the pixel at the source [Vega nanomaggies].
    band : int

    Returns
    -------
    numpy.ndarray of int64
    """
    radius = np.full(len(central_flux), _SMALLEST_RADIUS, np.int64)
    for limit, larger in reversed(_RADII[band]):
        radius[central_flux > limit] = larger
    return radius


class StampRenderer:
    """Renders sources with one PSF.

    Parameters
    ----------
    psf : numpy.ndarray of float32, shape (n, n)
        n odd, centred on the central pixel.
    """

    def __init__(self, psf: NDArray[np.float32]) -> None:
        self.psf = np.ascontiguousarray(psf, np.float32)
        self._cropped: dict[Any, Any] = {}
        self._spectra: dict[Any, Any] = {}

    def render(
        self,
        sources: ForcedSources,
        px: NDArray[np.float64],
        py: NDArray[np.float64],
        radius: NDArray[np.int64],
        wcs: ImageWcs,
    ) -> Patches:
        """Render all sources on a tile image.

        Parameters
        ----------
        sources : ForcedSources
        px, py : numpy.ndarray of float64, shape (n,)
            Positions on the image; NaN for a source that is not on this side of the sky.
        radius : numpy.ndarray of int64, shape (n,)
            Half size of the stamp of a point source.
        wcs : ImageWcs
            Of the image; its CD matrix turns and scales the galaxies' shapes.

        Returns
        -------
        Patches
            Unit-flux images of the sources, clipped to the tile image.
        """
        galaxy = ~_POINT[sources.kind]
        frame, centre = np.zeros(len(sources), np.int64), np.zeros(len(sources), np.int64)
        radius = np.minimum(radius, len(self.psf) // 2)
        radius[galaxy] = np.hypot(radius, _EXTENT * sources.shape_r / PIXEL_SCALE).astype(np.int64)[galaxy]
        for size in np.unique(radius[galaxy]):
            same = galaxy & (radius == size)
            frame[same] = _frame_size(int(size))
            centre[same] = self._frame_centre(_frame_size(int(size)))
        across = _extent(px, galaxy, radius, frame, centre, wcs.width)
        upright = _extent(py, galaxy, radius, frame, centre, wcs.height)
        rectangles = np.stack([across[0], upright[0], across[1], upright[1]], axis=1)
        rectangles[(rectangles[:, 2:] <= 0).any(axis=1)] = 0
        stamps = Patches.empty(rectangles)
        visible = rectangles[:, 2] > 0
        for size in np.unique(radius[visible & ~galaxy]):
            members = np.flatnonzero(visible & ~galaxy & (radius == size))
            kernels.point_stamps(members, self._crop(int(size)), 2 * int(size) + 1, px, py, stamps)
        self._render_galaxies(sources, np.flatnonzero(visible & galaxy), frame, px, py, wcs, stamps)
        return stamps

    def _render_galaxies(self, sources, members, frame, px, py, wcs, stamps):
        cinv = np.linalg.inv(wcs.cd).ravel() / 3600.0  # d(x, y)/d(East, North), pixel/arcsec
        shapes, unused = np.empty((len(sources), 3)), np.empty((0, 3))
        for i in members:
            pixel_shape(cinv, sources.tensor[i], unused, 0, shapes[i], unused)
        for size in np.unique(frame[members]):
            same_frame = members[frame[members] == size]
            for kind in np.unique(sources.kind[same_frame]):
                same_kind = same_frame[sources.kind[same_frame] == kind]
                groups = same_kind[:, np.newaxis] if SOURCE_TYPES[TYPES[kind]].has_index else [same_kind]
                for group in groups:
                    self._render_profile(_profile(sources, group), group, int(size), px, py, shapes, stamps)

    def _render_profile(self, profile, members, size, px, py, shapes, stamps):
        """Galaxies with the same profile in frames of the same size."""
        spectrum, centre = self._spectrum(size), self._frame_centre(size)
        step = max(1, _BATCH_BYTES // (4 * size * size))
        # The pixel nearest to a source is pixel (centre, centre) of its frame.
        windows = np.full((len(px), 4), size, np.int32)
        windows[members, 0], windows[members, 1] = np.rint(px[members]) - centre, np.rint(py[members]) - centre
        for first in range(0, len(members), step):
            batch = members[first : first + step]
            out = np.empty((len(batch), 1, size, size // 2 + 1), np.complex64)
            galaxy_spectra(
                batch, spectrum, (px, py, windows), (shapes, _NO_DERIVATIVES, 0, True), profile.transforms, False,
                _NO_SHARE, frame_of(size), out,
            )  # fmt: skip
            frames = fft.irfft2(out, s=(size, size), axes=(2, 3), overwrite_x=True)
            kernels.cut_stamps(batch, frames, centre, px, py, stamps)

    def _crop(self, radius):
        """The PSF within a half size, padded for the kernels."""
        if radius not in self._cropped:
            c = len(self.psf) // 2
            padded = np.empty((2 * radius + 1 + 2 * PAD,) * 2, np.float32)
            pad_stamp(np.ascontiguousarray(self.psf[c - radius : c + radius + 1, c - radius : c + radius + 1]), padded)
            self._cropped[radius] = padded
        return self._cropped[radius]

    def _frame_centre(self, size):
        """Pixel of a frame on which the PSF is centred when it is embedded in it, or cropped to it."""
        n = len(self.psf)
        return n // 2 - (n - size) // 2 if n > size else (size - n) // 2 + n // 2

    def _spectrum(self, size):
        """Transform of the PSF in a frame; what of the PSF does not fit into the frame is left out."""
        if size not in self._spectra:
            n, centre = len(self.psf), self._frame_centre(size)
            first = max(n // 2 - centre, 0)
            part = self.psf[first : first + size, first : first + size]
            frame = np.zeros((size, size), np.float32)
            at = max(centre - n // 2, 0)
            frame[at : at + len(part), at : at + len(part)] = part
            spectrum = fft.rfft2(np.roll(frame, (-centre, -centre), axis=(0, 1))).ravel()
            self._spectra[size] = np.stack([spectrum.real, spectrum.imag])[np.newaxis]
        return self._spectra[size]


def _extent(position, galaxy, radius, frame, centre, length):
    """First pixel and number of pixels of stamps along one axis of an image of given length."""
    # What does not project onto the image lies far outside.
    position = np.where(np.abs(position) < 1e6, position, -1e6)
    nearest = np.rint(position)
    first, end = nearest - radius, nearest + radius + 1
    # Galaxies are cut out of their frame.
    box = np.maximum(np.floor(position - radius), nearest - centre)
    box_end = np.minimum(np.ceil(position + radius + 1) + 1, nearest - centre + frame)
    first, end = np.where(galaxy, box, first), np.where(galaxy, box_end, end)
    first, end = np.clip(first, 0, length), np.clip(end, 0, length)
    return first.astype(np.int32), (end - first).astype(np.int32)


def _frame_size(radius):
    return 2 ** math.ceil(math.log2(2 * radius))


def _profile(sources, members):
    """`Profile` of galaxies of one kind."""
    return profile_of(TYPES[sources.kind[members[0]]], sources.sersic[members[0]])
