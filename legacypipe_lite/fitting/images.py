"""The images of one blob as a struct of arrays, and the windows of one source in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..models import frames_kernels
from ..models.frames import PsfSpectra
from ..models.patches import EVERYWHERE, add_patches
from ..models.render import render_patches
from ..units import FWHM_PER_SIGMA
from ..wcs.projection_kernels import PACKED_SIZE
from . import windows_kernels as kernels

if TYPE_CHECKING:
    from ..models.patches import Patches
    from ..models.psf import PsfModel
    from ..models.sources import Source
    from ..wcs import ImageWcs, TanWcs

__all__ = ["Cutout", "BlobImages", "Windows"]

_NO_SEGMENTS = np.zeros(1, np.int32)
#: Distance from its centre to which a PSF matters in fits, in units of its FWHM.
FIT_REACH = 3.0
#: The same for the components of galaxies, in units of their sigma.
FIT_TAILS = 3.0


@dataclass
class Cutout:
    """One image of a blob: a rectangle cut out of a tim, with what the fit needs of it.

    Attributes
    ----------
    name : str
    band : str
    band_index : int
        Position of the band in the run's band list.
    image, inverr : numpy.ndarray of float32, shape (h, w)
        Nanomaggies, 1/nanomaggies; `inverr` is 0 outside the blob once `BlobImages` was made.
    dq : numpy.ndarray of uint16
    wcs : ImageWcs
    psf : PsfModel
        In cut-out pixels.
    sig1 : float
        Nanomaggies.
    psf_sigma : float
        FWHM of the CCD table / 2.35 [pixel].
    mjd_tai : float
    """

    name: str
    band: str
    band_index: int
    image: np.ndarray
    inverr: np.ndarray
    dq: np.ndarray
    wcs: ImageWcs
    psf: PsfModel
    sig1: float
    psf_sigma: float
    mjd_tai: float


@dataclass
class Windows:
    """The pixels on which one source is fitted.

    Attributes
    ----------
    index : numpy.ndarray of int64
        Images with at least one good pixel.
    arrays : tuple
        `windows_kernels.WindowArrays`, for kernels.
    npix : numpy.ndarray of int64, shape (n,)
        Number of good pixels per image.
    psf : PsfSpectra
        Constant PSFs of this source.
    render_options : dict
        Keywords of `models.frames.galaxy_chunks` other than its defaults (frame size, split of the mixture).
    """

    index: NDArray[np.int64]
    arrays: tuple
    npix: NDArray[np.int64]
    psf: PsfSpectra
    render_options: dict = field(default_factory=dict)

    @property
    def window(self) -> NDArray[np.int32]:
        """x0, y0, w, h in each image; shape (n, 4)."""
        return self.arrays[0]


class BlobImages:
    """All images of a blob in flat arrays.

    Parameters
    ----------
    cutouts : list of Cutout
        Images without overlap with the blob are dropped.
    blob_wcs : TanWcs
        Grid of the blob's bounding box.
    mask : numpy.ndarray of bool
        Pixels of the blob.
    nbands : int
        Number of bands of the run.
    shape_jacobian : {"local", "header"}

    Attributes
    ----------
    data, inverr : numpy.ndarray of float32
        Flat pixels of all images. `data` is what the fit works on: sources are subtracted from and added to it.
    fwhm : numpy.ndarray of float64, shape (n,)
        Of the images' PSFs [pixel].
    blur : float
        Median variance of the PSFs [arcsec^2].
    """

    #: Cut-outs smaller than this on both sides get one constant PSF.
    CONSTANT_PSF_SIZE = 400

    def __init__(
        self,
        cutouts: list[Cutout],
        blob_wcs: TanWcs,
        mask: NDArray[np.bool_],
        nbands: int,
        shape_jacobian: str = "local",
    ) -> None:
        self.blob_wcs = blob_wcs
        self.mask = mask
        self.nbands = nbands
        self._lay_out(cutouts)
        seen = kernels.pixels_in_blob(self._geometry(), mask.ravel(), self.offset, self.inverr, self.blob_pixel)
        if not seen.all():
            self._lay_out([c for c, has_pixels in zip(self.cutouts, seen) if has_pixels])
            kernels.pixels_in_blob(self._geometry(), mask.ravel(), self.offset, self.inverr, self.blob_pixel)
        for i, cutout in enumerate(self.cutouts):
            cutout.inverr = self.view(self.inverr, i)
        self.band = np.array([c.band_index for c in self.cutouts], np.int64)
        self.mjd = np.array([c.mjd_tai for c in self.cutouts])
        self.header_cinv = None
        if shape_jacobian == "header":
            self.header_cinv = np.array([np.linalg.inv(c.wcs.cd).ravel() / 3600.0 for c in self.cutouts])
            self.header_cinv = self.header_cinv.reshape(self.n, 4)
        self._set_psfs()
        self.fwhm = np.array([2.35 * c.psf_sigma for c in self.cutouts])
        blurs = [(c.psf_sigma * c.wcs.pixel_scale) ** 2 for c in self.cutouts]
        self.blur = float(np.median(blurs)) if blurs else 1.0
        self._star_positions: dict[Any, Any] = {}
        self._target_pixels: NDArray[np.int32] | None = None

    def _lay_out(self, cutouts):
        """Flat arrays of the cut-outs' pixels, and where each of them is."""
        self.cutouts = cutouts
        self.n = len(cutouts)
        self.height = np.array([c.image.shape[0] for c in cutouts], np.int64)
        self.width = np.array([c.image.shape[1] for c in cutouts], np.int64)
        ends = np.cumsum(self.height * self.width)
        self.offset = ends - self.height * self.width
        total = int(ends[-1]) if self.n else 0
        self.data, self.inverr = np.empty(total, np.float32), np.empty(total, np.float32)
        self.blob_pixel = np.empty(total, np.int32)
        for i, cutout in enumerate(cutouts):
            self.view(self.data, i)[:] = cutout.image
            self.view(self.inverr, i)[:] = cutout.inverr
        self.packed = np.array([c.wcs.pack() for c in cutouts]).reshape(self.n, PACKED_SIZE)

    def _geometry(self):
        """Packed WCS and sizes of images and blob, for kernels."""
        return self.packed, self.height, self.width, self.blob_wcs.pack(), self.mask.shape[0], self.mask.shape[1]

    def _set_psfs(self):
        limit = self.CONSTANT_PSF_SIZE
        self.varying = np.array(
            [not c.psf.is_constant and max(c.image.shape) >= limit for c in self.cutouts], dtype=bool
        )
        stamps = [c.psf.stamp(c.image.shape[1] / 2, c.image.shape[0] / 2) for c in self.cutouts]
        self.sigma = np.array([c.psf.gaussian_sigma for c in self.cutouts])
        self.constant_psf = PsfSpectra(stamps, self.sigma)
        # In fits, what lies farther out in the PSF may wrap around in the frames: its light is below a thousandth,
        # and comes down at the windows' edges, where the source itself has next to none.
        reach = self.constant_psf.reach
        self.psf_reach = np.where(self.sigma > 0, np.minimum(FIT_REACH * FWHM_PER_SIGMA * self.sigma, reach), reach)

    def view(self, flat: NDArray, i: int) -> NDArray:
        """2-d view of image `i` in a flat array."""
        o, h, w = self.offset[i], self.height[i], self.width[i]
        return flat[o : o + h * w].reshape(h, w)

    def target_pixels(self) -> NDArray[np.int32]:
        """Nearest pixel of each image for every pixel of the blob's box (made once).

        Returns
        -------
        numpy.ndarray of int32, shape (n, H, W)
            Flat index within the image; -1: none.
        """
        if self._target_pixels is None:
            self._target_pixels = np.empty((self.n, *self.mask.shape), np.int32)
            kernels.pixels_of_blob(self._geometry(), self._target_pixels.reshape(self.n, -1))
        return self._target_pixels

    def total_pixels(self) -> int:
        """Number of unmasked pixels of all images."""
        return int(np.count_nonzero(self.inverr))

    # --- geometry

    def locate(self, source: Source) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Pixel positions and inverse Jacobians of a source in all images.

        Returns
        -------
        px, py : numpy.ndarray of float64, shape (n,)
        cinv : numpy.ndarray of float64, shape (n, 4)
            d(x, y)/d(East, North) [pixel/arcsec], the true local ones.
        """
        if source.motion is None:
            return self.locate_sky(source.ra, source.dec)
        key = (source.ra, source.dec, source.motion)
        if key not in self._star_positions:
            radec = np.array([source.position_at(t) for t in self.mjd]).reshape(self.n, 2)
            self._star_positions[key] = self._locate(radec[:, 0].copy(), radec[:, 1].copy())
        return self._star_positions[key]

    def locate_sky(self, ra: float, dec: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """As `locate`, for a fixed sky position [deg]."""
        return self._locate(np.full(self.n, ra), np.full(self.n, dec))

    def _locate(self, ra, dec):
        px, py, cinv = np.empty(self.n), np.empty(self.n), np.empty((self.n, 4))
        frames_kernels.locate(self.packed, ra, dec, px, py, cinv)
        return px, py, cinv

    def shape_cinv(self, cinv: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse Jacobians that galaxy shapes use."""
        return cinv if self.header_cinv is None else self.header_cinv

    def psf_at(self, index: NDArray[np.int64], x: NDArray[np.float64], y: NDArray[np.float64]) -> PsfSpectra:
        """Constant PSFs for a source: of the blob, or evaluated at (x, y) in images whose PSF still varies."""
        varying = index[self.varying[index]]
        if len(varying) == 0:
            return self.constant_psf
        return self.constant_psf.replaced({i: self.cutouts[i].psf.stamp(x[i], y[i]) for i in varying})

    # --- rendering

    def render(self, source: Source) -> Patches:
        """Render a source in its natural patches.

        Bands in which its flux is zero (or not finite in float32) have no patch.

        Returns
        -------
        Patches
        """
        px, py, cinv = self.locate(source)
        return render_patches(
            source,
            source.flux[self.band],
            px,
            py,
            cinv,
            self.shape_cinv(cinv),
            (self.constant_psf.ph, self.constant_psf.pw),
            (self.height, self.width),
            lambda index: self.psf_at(index, px, py),
        )

    def add(
        self, patches: Patches, sign: float = 1.0, data: NDArray[np.float32] | None = None, everywhere: bool = False
    ) -> None:
        """Add a rendered source to the images (`sign` -1: subtract), in unmasked pixels or also in others."""
        usable = EVERYWHERE if everywhere else self.inverr
        scale = np.full(self.n, sign, np.float32)
        add_patches(patches, scale, self.offset, self.width, usable, self.data if data is None else data)

    # --- windows

    def windows(
        self, rectangles: NDArray[np.int32], segments: NDArray[np.int32] | None = None, label: int = -1
    ) -> Windows:
        """Cut out the pixels on which a source is fitted.

        Parameters
        ----------
        rectangles : numpy.ndarray of int32, shape (n, 4)
            The source's model boxes (w = 0: image not used).
        segments : numpy.ndarray of int32, shape of the blob, optional
            Segmentation map; only pixels with `label` are used.
        label : int
            -1: use all pixels of the blob.

        Returns
        -------
        Windows
        """
        flat_segments = _NO_SEGMENTS if segments is None else segments.ravel()
        images = tuple(kernels.ImageArrays(self.offset, self.width, self.data, self.inverr, self.blob_pixel))
        window, npix = np.zeros((self.n, 4), np.int32), np.zeros(self.n, np.int64)
        kernels.tighten(rectangles, images, flat_segments, label, window, npix)
        sizes = window[:, 2].astype(np.int64) * window[:, 3]
        offset = np.concatenate([[0], np.cumsum(sizes)])
        rows = np.concatenate([[0], np.cumsum(window[:, 3].astype(np.int64))])
        out = np.empty((2, int(offset[-1])), np.float32)
        spans = np.zeros((int(rows[-1]), 2), np.int32)
        index = np.flatnonzero(npix > 0)
        offset, row_offset = offset[: self.n].astype(np.int64), rows[: self.n].astype(np.int64)
        arrays = tuple(kernels.WindowArrays(window, offset, row_offset, spans, out[0], out[1]))
        kernels.gather(index, images, flat_segments, label, arrays)
        centre_x = rectangles[:, 0] + (rectangles[:, 2] - 1) / 2.0
        centre_y = rectangles[:, 1] + (rectangles[:, 3] - 1) / 2.0
        psf = self.psf_at(index, centre_x, centre_y)
        return Windows(index, arrays, npix, psf)

    def chi2_without_source(self, windows: Windows, background: bool = False) -> NDArray[np.float64]:
        """chi-squared per band of the windows as they are (with a fitted sky per image if `background`)."""
        chi2 = np.zeros(self.nbands)
        kernels.sums_without_source(windows.index, windows.arrays, self.band, background, chi2)
        return chi2
