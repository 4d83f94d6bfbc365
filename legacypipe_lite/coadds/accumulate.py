"""Stacks of the images of a band on the target grid: image, inverse variance, models, depth and mask maps, PSF."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bits import DQ, DQ_SATURATED
from ..models import Tim
from ..models.psf import resample_stamp
from ..threads import map_in_threads, rows_in_threads
from ..units import GAUSSIAN_FWHM_PER_SIGMA
from ..wcs import MapGrid, TanWcs
from ..wcs.resample_kernels import LANCZOS_TABLE
from . import accumulate_kernels as kernels
from .patched import Changes

__all__ = [
    "BandAccumulator",
    "BandCoadd",
    "DateMaps",
    "coadd_band",
    "coadd_psf",
    "map_grids",
    "sky_levels",
    "stacked_image",
    "PSF_SIZE_SCALE",
]

#: FWHM / sqrt(noise-equivalent area) of a Gaussian PSF: 2 sqrt(2 ln 2) / (2 sqrt(pi)).
PSF_SIZE_SCALE = GAUSSIAN_FWHM_PER_SIGMA / (2 * math.sqrt(math.pi))

_ALL_DQ_BITS = int(np.bitwise_or.reduce(list(DQ.values())))
_DETAILS = tuple(kernels.PLANES)
_NOTHING = np.zeros((0, 0), np.float32)
_SKIP_NOTHING = np.zeros((0, 0), bool)
_FLAT_TABLE = LANCZOS_TABLE.ravel()
_NO_TABLE = _FLAT_TABLE[:0]

#: Target rows that one thread works on at a time.
_STRIP = 64


@dataclass
class BandCoadd:
    """Stacked maps of one band; those that were not asked for are None.

    All have the shape (H, W) of the target.

    Attributes
    ----------
    band : str
    image : numpy.ndarray of float32
        Inverse-variance weighted mean [nanomaggies per target pixel]; where `invvar` is 0, the plain mean of the
        pixels that are at most saturated or interpolated (saturated ones count as 10 nanomaggies).
    invvar : numpy.ndarray of float32
        Sum of the inverse variances [1/nanomaggies^2].
    psfsize : numpy.ndarray of float32
        FWHM of the Gaussian with the noise-equivalent area of the PSF [arcsec]; 0 where no image is.
    depth, galdepth : numpy.ndarray of float32
        Inverse variance [1/nanomaggies^2] of the flux of a point source, and of a round exponential galaxy with
        r_e = 0.45 arcsec.
    nexp, nobs : numpy.ndarray of int16
        Number of images with a good pixel; with any pixel.
    ormask, andmask : numpy.ndarray of int16
        Data-quality bits that any image, that all images have.
    model, blobmodel : numpy.ndarray of float32
        Stacked models, weighted as `image`; where `invvar` is 0, the sum of the unweighted models.
    resid, blobresid : numpy.ndarray of float32
        `image` minus model; 0 where `invvar` is 0.
    chi2 : numpy.ndarray of float32
        Sum over the images of ((image - model) / sigma)^2.
    """

    band: str
    image: np.ndarray
    invvar: np.ndarray
    psfsize: np.ndarray | None = None
    depth: np.ndarray | None = None
    galdepth: np.ndarray | None = None
    nexp: np.ndarray | None = None
    nobs: np.ndarray | None = None
    ormask: np.ndarray | None = None
    andmask: np.ndarray | None = None
    model: np.ndarray | None = None
    blobmodel: np.ndarray | None = None
    resid: np.ndarray | None = None
    blobresid: np.ndarray | None = None
    chi2: np.ndarray | None = None


class DateMaps:
    """Which images cover a target pixel first and last in time, over all bands.

    Parameters
    ----------
    tims : list of Tim
        All images of the brick.
    shape : (int, int)
        Of the target.

    Attributes
    ----------
    first, last : numpy.ndarray of int16, shape (H, W)
        Index into `tims`, -1 where no image is.
    mjds : numpy.ndarray of float64
        Modified Julian Dates (TAI) of the images.
    """

    def __init__(self, tims: Sequence[Tim], shape: tuple[int, int]) -> None:
        self.mjds = np.array([tim.mjd_tai for tim in tims], dtype=np.float64)
        self.first = np.full(shape, -1, np.int16)
        self.last = np.full(shape, -1, np.int16)

    def at(self, ibx: NDArray[np.integer], iby: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Earliest and latest date (MJD, TAI) at target pixels; 0 where no image is."""
        mjds = np.append(self.mjds, 0.0)  # index -1
        return mjds[self.first[iby, ibx]], mjds[self.last[iby, ibx]]


class BandAccumulator:
    """Adds the images of one band to stacks on the target grid.

    Parameters
    ----------
    band : str
    target : TanWcs
    dates : DateMaps
        Filled for all bands together.
    detail : str
        "image": only the stacked image and its weight; "maps": also depth, PSF size, counts and masks; "models":
        also models, residuals and chi-squared.
    surface_brightness : bool
        Scale the values to the target's pixel area (else they stay per input pixel).
    local_area : bool
        Use the true area of the pixels where they are, instead of the nominal one of the image header.
    lanczos : bool
        Lanczos-3 resampling of image and models, else nearest neighbour.
    skip : numpy.ndarray of bool, shape (H, W), optional
        Target pixels that are not wanted; nothing is stacked there.
    grids : dict of int -> MapGrid or None, optional
        Maps of the images that are at hand (`map_grids`), by their numbers.
    threads : int
        Rows are shared among so many threads; the result does not depend on it.
    """

    def __init__(
        self,
        band: str,
        target: TanWcs,
        dates: DateMaps,
        *,
        detail: str = "maps",
        surface_brightness: bool = True,
        local_area: bool = False,
        lanczos: bool = True,
        skip: NDArray[np.bool_] | None = None,
        grids: dict[int, MapGrid | None] | None = None,
        threads: int = 1,
    ) -> None:
        if detail not in _DETAILS:
            raise ValueError(f"detail is one of {_DETAILS}, not {detail!r}")
        self.band, self.target, self.dates, self.detail = band, target, dates, detail
        self.surface_brightness, self.local_area, self.lanczos = surface_brightness, local_area, lanczos
        self.skip = _SKIP_NOTHING if skip is None else np.ascontiguousarray(skip, bool)
        self.grids = {} if grids is None else grids
        self.threads = max(1, int(threads))
        n_sums, n_counts = kernels.PLANES[detail]
        self.sums = np.zeros((n_sums, *target.shape), np.float32)
        self.counts = np.zeros((n_counts, *target.shape), np.int16)
        if n_counts > kernels.AND_MASK:
            self.counts[kernels.AND_MASK] = _ALL_DQ_BITS

    def add(
        self,
        tim: Tim,
        index: int,
        model: NDArray[np.float32] | None = None,
        blobmodel: NDArray[np.float32] | None = None,
        changes: Changes | None = None,
    ) -> bool:
        """Add one image.

        Parameters
        ----------
        tim : Tim
        index : int
            Of the image in the list that `dates` was made of.
        model, blobmodel : numpy.ndarray of float32, optional
            Model images of the tim's shape (detail "models"), nanomaggies per tim pixel.
        changes : Changes, optional
            Pixels of the image that are taken for others than they are.

        Returns
        -------
        bool
            False if the image does not touch the target.
        """
        return self.add_all([(tim, index, model, blobmodel, changes)])[0]

    def add_all(self, images: Sequence[tuple[Any, ...]]) -> list[bool]:
        """Add several images: faster than one by one, with the same result.

        Parameters
        ----------
        images : sequence of tuple
            Arguments of `add`.

        Returns
        -------
        list of bool
            Image by image, False if it does not touch the target.
        """
        if self.detail == "models" and any(len(image) < 4 or image[2] is None or image[3] is None for image in images):
            raise ValueError("detail 'models' needs a model and a blob model for every image")
        tasks = [self._task(*image) for image in images]
        touching = [task for task in tasks if task is not None]
        table = _FLAT_TABLE if self.lanczos else _NO_TABLE
        dates = self.dates
        stack = kernels.Stack(self.sums, self.counts, self.skip, dates.mjds, dates.first, dates.last)

        def add_strip(y0):
            for grid, planes, changes, exposure in touching:
                row0, row1 = max(y0 - grid.y0, 0), min(y0 + _STRIP - grid.y0, grid.shape[0])
                if row0 < row1:
                    kernels.accumulate_rows(row0, row1, grid.arrays, table, planes, changes, exposure, stack)

        # Strip by strip, so that the stacks stay in the processor's cache while all images are added to them.
        for _ in map_in_threads(add_strip, range(0, self.target.height, _STRIP), self.threads):
            pass
        return [task is not None for task in tasks]

    def _task(self, tim, index, model=None, blobmodel=None, changes=None):
        """What the kernel needs of an image: map, planes, changes, numbers; None if it does not touch the target."""
        grid = self.grids[index] if index in self.grids else MapGrid.build(self.target, tim.wcs)
        if grid is None:
            return None
        factor, factors = self._surface_brightness_factor(tim, grid)
        psf_area = (tim.wcs.pixel_scale / tim.psfnorm) ** 2
        flat_weight = 1.0 / tim.sig1**2
        exposure = kernels.Exposure(
            index=int(index),
            factor=float(factor),
            factors=factors,
            psf_term=float(flat_weight / psf_area),
            flat_term=float(flat_weight),
            depth_term=float((tim.psfnorm / tim.sig1) ** 2),
            galdepth_term=float((tim.galnorm / tim.sig1) ** 2),
            satur_bit=int(DQ_SATURATED),
            ignored_bits=int(DQ_SATURATED | DQ["interp"]),
            outlier_bit=int(DQ["outlier"]),
        )
        planes = kernels.Planes(
            np.ascontiguousarray(tim.image),
            np.ascontiguousarray(tim.inverr),
            np.ascontiguousarray(tim.dq),
            _NOTHING if model is None else np.ascontiguousarray(model, np.float32),
            _NOTHING if blobmodel is None else np.ascontiguousarray(blobmodel, np.float32),
        )
        return grid, planes, Changes() if changes is None else changes, exposure

    def _surface_brightness_factor(self, tim, grid):
        """One factor for the whole image, and a map of factors (empty unless the local area is used)."""
        if not self.surface_brightness:
            return 1.0, _NOTHING
        if self.local_area:
            return 1.0, grid.area_ratios(self.target, tim.wcs)
        return (self.target.pixel_scale / tim.wcs.pixel_scale) ** 2, _NOTHING

    def finish(self) -> BandCoadd:
        """The stacks as a `BandCoadd`; nothing can be added afterwards."""
        rows_in_threads(kernels.finish_stack, self.target.height, self.threads, self.sums, self.counts, PSF_SIZE_SCALE)
        s, c = self.sums, self.counts
        coadd = BandCoadd(self.band, s[kernels.IMAGE], s[kernels.WEIGHT])
        if self.detail != "image":
            coadd.psfsize, coadd.depth, coadd.galdepth = (
                s[kernels.PSF_SIZE],
                s[kernels.DEPTH],
                s[kernels.GALDEPTH],
            )
            coadd.nexp, coadd.nobs = c[kernels.GOOD_COUNT], c[kernels.COUNT]
            coadd.ormask, coadd.andmask = c[kernels.OR_MASK], c[kernels.AND_MASK]
        if self.detail == "models":
            coadd.model, coadd.blobmodel = s[kernels.MODEL], s[kernels.BLOBMODEL]
            coadd.resid, coadd.blobresid = s[kernels.RESID], s[kernels.BLOBRESID]
            coadd.chi2 = s[kernels.CHI2]
        return coadd


def map_grids(tims: Sequence[Tim], band: str, target: TanWcs, threads: int = 1) -> dict[int, MapGrid | None]:
    """Where the images of a band lie on the target.

    Parameters
    ----------
    tims : list of Tim
        All images; those of other bands are skipped.
    band : str
    target : TanWcs
    threads : int

    Returns
    -------
    dict of int -> MapGrid or None
        By the number of the image; None for images off the target.
    """
    members = [i for i, tim in enumerate(tims) if tim.band == band]
    return dict(zip(members, map_in_threads(lambda i: MapGrid.build(target, tims[i].wcs), members, threads)))


def coadd_band(
    tims: Sequence[Tim],
    band: str,
    target: TanWcs,
    *,
    models: Any = None,
    changes: dict[int, Changes] | None = None,
    dates: DateMaps | None = None,
    detail: str | None = None,
    **options: Any,
) -> BandCoadd:
    """Stack the images of one band.

    Parameters
    ----------
    tims : list of Tim
        All images; those of other bands are skipped.
    band : str
    target : TanWcs
    models : callable or sequence, optional
        ``models[i]`` or ``models(i)`` gives (model, blob model) of tim `i`. A callable is asked once per image of
        the band, in order.
    changes : dict of int -> Changes, optional
        Tim -> pixels of it that are taken for others than they are (without models only).
    dates : DateMaps, optional
        Collects the dates over several calls (not with detail "image").
    detail : str, optional
        See `BandAccumulator`; by default "models" if there are models, else "maps".
    **options
        Further arguments of `BandAccumulator`.

    Returns
    -------
    BandCoadd
    """
    if detail is None:
        detail = "maps" if models is None else "models"
    if dates is None:
        dates = DateMaps(tims, (0, 0) if detail == "image" else target.shape)
    get = models if callable(models) or models is None else models.__getitem__
    if options.get("grids") is None:
        options["grids"] = map_grids(tims, band, target, options.get("threads", 1))
    accumulator = BandAccumulator(band, target, dates, detail=detail, **options)
    members = [i for i, tim in enumerate(tims) if tim.band == band]
    if get is None:
        changes = changes or {}
        accumulator.add_all([(tims[i], i, None, None, changes.get(i)) for i in members])
    else:
        for i in members:
            accumulator.add(tims[i], i, *get(i))
    return accumulator.finish()


def stacked_image(tims: Sequence[Tim], band: str, target: TanWcs, **options: Any) -> NDArray[np.float32]:
    """The stacked image of one band in the units of its images, without anything else.

    Parameters
    ----------
    tims, band, target
        As for `coadd_band`.
    **options
        Further arguments of `coadd_band`.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
    """
    # A copy: the image is part of a block that holds the weights, too.
    return coadd_band(tims, band, target, detail="image", surface_brightness=False, **options).image.copy()


def coadd_psf(tims: Sequence[Tim], target: TanWcs) -> NDArray[np.float32]:
    """Mean PSF of the images of a band, weighted like the coadd (1 / sig1^2).

    Parameters
    ----------
    tims : list of Tim
        Of one band.
    target : TanWcs

    Returns
    -------
    numpy.ndarray of float32, shape (odd, odd)
        Sum 1, centred. Stamps smaller than the largest one are padded with zeros.
    """
    stamps, weights = [], []
    for tim in tims:
        stamp = tim.psf.stamp(tim.shape[1] / 2.0, tim.shape[0] / 2.0)
        stamp = resample_stamp(stamp / stamp.sum(), tim.ccd.pixscale / target.pixel_scale)
        stamps.append(stamp / stamp.sum())
        weights.append(1.0 / tim.sig1**2)
    height, width = (max(stamp.shape[axis] for stamp in stamps) for axis in (0, 1))
    mean = np.zeros((height, width))
    for stamp, weight in zip(stamps, weights):
        h, w = stamp.shape
        y0, x0 = (height - h) // 2, (width - w) // 2
        mean[y0 : y0 + h, x0 : x0 + w] += weight * stamp
    return (mean / mean.sum()).astype(np.float32)


def sky_levels(
    tims: Sequence[Tim], bands: Sequence[str], target: TanWcs, blobmap: NDArray[np.integer], *, threads: int = 1
) -> dict[str, float]:
    """Residual sky level of each band: the median of its stack outside all blobs.

    Parameters
    ----------
    tims : list of Tim
    bands : sequence of str
    target : TanWcs
    blobmap : numpy.ndarray of int, shape (H, W)
        -1 outside blobs.
    threads : int
        The result does not depend on it.

    Returns
    -------
    dict of str -> float
        Nanomaggies per pixel of the images (not scaled to the target's pixels). Bands without a single pixel to
        measure are absent.
    """
    in_blobs = blobmap != -1
    levels = {}
    for band in bands:
        coadd = coadd_band(
            tims,
            band,
            target,
            detail="image",
            surface_brightness=False,
            skip=in_blobs,
            threads=threads,
        )
        values = coadd.image[coadd.invvar > 0]
        if len(values):
            levels[band] = float(np.median(values))
    return levels
