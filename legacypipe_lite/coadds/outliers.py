"""Masks of pixels that only one exposure shows: satellite trails, cosmic rays, moving objects.

Every image of a band is blurred to a common PSF width, resampled, and compared with the mean of the others.
"""

import logging
import math
from dataclasses import dataclass, field

import numpy as np

from ..arrays import gaussian_weights, median
from ..arrays.smooth_kernels import smooth
from ..bits import DQ
from ..threads import map_in_threads, rows_in_threads
from ..wcs import MapGrid, PixelMap
from ..wcs.resample_kernels import LANCZOS_TABLE
from . import outliers_kernels as kernels
from .accumulate import map_grids, stacked_image
from .patch import dilate_cross
from .patched import Changes, masked_places, patch_values, patched_image
from .sparse import SparseImage

__all__ = [
    "OUTLIER_NEG",
    "OUTLIER_POS",
    "BandOutliers",
    "find_outliers",
    "masked_pixel_means",
    "no_outliers",
    "star_veto",
]

logger = logging.getLogger(__name__)

#: Bits of an outlier mask.
OUTLIER_POS, OUTLIER_NEG = 1, 2

#: From so many exposures on, the smallest and the largest value are left out of the mean.
CLIP_COUNT = 5

#: Noise that is so many times that of independent pixels is taken into account. (It is 1.0 to 1.2 times in images of
#: DECam, 90Prime and Mosaic-3, whose masks are the published ones.)
NOISE_LIMIT = 1.4
_NOISE_SAMPLE, _NOISE_LEAST = 1e5, 300  # pixels
_ROUNDING = 1e-6
#: Pixels whose mean is below so many sigma show the noise of the sky.
_FAINT_SIGMAS = 5.0

_EXTRA_BLUR = 0.5
_VETO_RADIUS = 1.0  # arcsec
_GROWTH_SIGMAS = (3.0, 2.0)
_STRIP = 128
#: Blurred images that are added to the statistics together.
_IMAGES_AT_ONCE = 8
_FLAT_TABLE = LANCZOS_TABLE.ravel()


@dataclass
class BandOutliers:
    """What the outlier search of one band found.

    Attributes
    ----------
    outliers : dict of int -> SparseImage of uint8
        Number of the image -> bits `OUTLIER_POS`, `OUTLIER_NEG` of its outliers.
    patches : dict of int -> numpy.ndarray of float32 or None
        Number of the image -> new values of its pixels with inverr == 0 (C order); None if it has none.
    precoadd : numpy.ndarray of float32, shape (H, W)
        Stack before masking.
    masked_means : (SparseImage, SparseImage) of float32
        On the target: mean of the values that were masked as positive, and as negative outliers.
    grids : dict of int -> MapGrid or None
        Where the images lie on the target.
    """

    outliers: dict = field(default_factory=dict)
    patches: dict = field(default_factory=dict)
    precoadd: np.ndarray | None = None
    masked_means: tuple = ()
    grids: dict | None = None

    def changes(self, tims):
        """What masking changes in the images: dict of int -> Changes, for `stacked_image`."""
        changes = {}
        for i, patch in self.patches.items():
            values = Changes() if patch is None else Changes(masked_places(tims[i]), patch)
            changes[i] = values._replace(outliers=self.outliers[i].places)
        return changes


def find_outliers(tims, band, target, *, veto=None, leave_one_out=False, threads=1):
    """Search the images of one band for outliers.

    Parameters
    ----------
    tims : list of Tim
        All images; those of other bands are skipped. They are not changed.
    band : str
    target : TanWcs
    veto : numpy.ndarray of bool, shape (H, W), optional
        Where no outlier may start, see `star_veto`.
    leave_one_out : bool
        With five or more exposures, compare each image with the clipped mean of the others proper. By default an
        image that is itself the smallest or largest is subtracted twice from the clipped sum, as in the published
        masks, so that its difference comes out larger by (n - 2) / (n - 3) for n equal exposures.
    threads : int
        The result does not depend on it.

    Returns
    -------
    BandOutliers
    """
    members = [i for i, tim in enumerate(tims) if tim.band == band]
    grids = map_grids(tims, band, target, threads)
    precoadd = stacked_image(tims, band, target, grids=grids, threads=threads)
    result = BandOutliers(precoadd=precoadd, grids=grids)
    patches = map_in_threads(lambda i: patch_values(tims[i], precoadd, target), members, threads)
    result.patches = dict(zip(members, patches))
    result.outliers = {i: no_outliers(tims[i]) for i in members}
    means = _MaskedMeans(target.shape)
    if len(members) > 1:
        search = _Search(tims, target, grids, result.patches, leave_one_out, threads)
        search.collect_statistics(veto)
        for i, found in zip(members, map_in_threads(search.compare, members, threads)):
            if found is not None:
                result.outliers[i] = found[0]
                means.add(*found[1:])
    result.masked_means = means.finish()
    return result


def no_outliers(tim):
    """The empty outlier mask of an image."""
    return SparseImage(tim.shape, np.zeros(0, np.int32), np.zeros(0, np.uint8))


def star_veto(target, ra, dec):
    """Small discs around reference stars, where no outlier may start: stars move, vary and saturate.

    Parameters
    ----------
    target : TanWcs
    ra, dec : array_like
        Of Gaia stars [deg].

    Returns
    -------
    numpy.ndarray of bool, shape (H, W)
        Pixels whose squared distance to a star is below r, with r the number of pixels in 1 arcsec. (The published
        masks compare the squared distance with r, not r squared, so the disc is 0.5 arcsec in radius.)
    """
    veto = np.zeros(target.shape, bool)
    r = _VETO_RADIUS / target.pixel_scale
    for x, y in zip(*target.sky_to_pixel(np.asarray(ra, float), np.asarray(dec, float))):
        if not (np.isfinite(x) and np.isfinite(y)):
            continue
        xlo, xhi = np.clip([math.floor(x - r), math.ceil(x + r)], 0, target.width - 1)
        ylo, yhi = np.clip([math.floor(y - r), math.ceil(y + r)], 0, target.height - 1)
        if xlo == xhi or ylo == yhi:
            continue
        dx, dy = np.arange(xlo, xhi + 1) - x, np.arange(ylo, yhi + 1) - y
        veto[ylo : yhi + 1, xlo : xhi + 1] |= dx[np.newaxis, :] ** 2 + dy[:, np.newaxis] ** 2 < r
    return veto


def masked_pixel_means(tims, band, target, outliers, patches):
    """Mean of the masked pixels on the target grid, for masks that were read back from a file.

    Parameters
    ----------
    tims : list of Tim
        All images; those of other bands are skipped.
    band : str
    target : TanWcs
    outliers : sequence of SparseImage or None
        Outliers of each tim.
    patches : sequence
        `patch_values` of each tim.

    Returns
    -------
    positive, negative : SparseImage of float32, shape (H, W)
    """
    means = _MaskedMeans(target.shape)
    for tim, mask, patch in zip(tims, outliers, patches):
        if tim.band != band or mask is None or len(mask) == 0:
            continue
        pixel_map = PixelMap.build(target, tim.wcs)
        if pixel_map is None:
            continue
        on_target, values = (pixel_map.nearest(image) for image in (mask.dense(), patched_image(tim, patch)))
        parts = []
        for bit in (OUTLIER_POS, OUTLIER_NEG):
            y, x = np.nonzero((on_target & bit > 0) & pixel_map.valid)
            places = (y + pixel_map.y0) * target.width + x + pixel_map.x0
            parts.append((places.astype(np.int32), values[y, x]))
        means.add(*parts)
    return means.finish()


class _Search:
    """The images of one band, and the statistics of all of them on the target grid."""

    def __init__(self, tims, target, grids, patches, leave_one_out, threads):
        self.tims, self.target, self.patches = tims, target, patches
        members = list(grids)
        self.grids = {i: grid for i, grid in grids.items() if grid is not None}
        self.threads = max(1, int(threads))
        common = max(tims[i].psf_sigma for i in members) + _EXTRA_BLUR
        self.blurs = {i: math.sqrt(common**2 - tims[i].psf_sigma ** 2) for i in members}
        self.blurred = {}
        shape = target.shape
        self.total, self.weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.count = np.zeros(shape, np.int16)
        self.clipping = len(members) >= CLIP_COUNT
        self.who = np.full((2 if self.clipping and leave_one_out else 0, *shape), -1, np.int16)
        self.veto = None

    def weight_factor(self, i):
        """Inverse variance of a pixel after the blur / before it."""
        return 4 * math.pi * self.blurs[i] ** 2

    def collect_statistics(self, veto):
        """Blur and resample all images, and add them up."""
        shape = self.target.shape
        any_mask = np.zeros(shape, np.int16)
        extremes = np.zeros((4 if self.clipping else 0, *shape), np.float32)
        if self.clipping:
            extremes[0], extremes[2] = np.inf, -np.inf
        touching = list(self.grids)
        step = max(_IMAGES_AT_ONCE, 2 * self.threads)
        for start in range(0, len(touching), step):
            chunk = touching[start : start + step]
            images = list(map_in_threads(self._blur, chunk, self.threads))
            self.blurred.update({i: np.empty(self.grids[i].shape, np.float32) for i in chunk})
            strips = range(0, self.target.height, _STRIP)
            for _ in map_in_threads(
                lambda y0, chunk=chunk, images=images: self._add_strip(y0, chunk, images, any_mask, extremes),
                strips,
                self.threads,
            ):
                pass
        if self.clipping:
            rows_in_threads(
                kernels.clip_extremes, shape[0], self.threads, self.total, self.weight, self.count, extremes, CLIP_COUNT
            )
        self.veto = dilate_cross(any_mask & DQ["bleed"], 3) | dilate_cross(any_mask & DQ["satur"], 10)
        if veto is not None:
            self.veto |= veto

    def _blur(self, i):
        """The image blurred to the common PSF width."""
        image = np.ascontiguousarray(patched_image(self.tims[i], self.patches[i]))
        out = np.empty(image.shape, np.float32)
        smooth(image, gaussian_weights(self.blurs[i]), out)
        return out

    def _add_strip(self, y0, chunk, images, any_mask, extremes):
        """Add the rows of the target from y0 on of some blurred images."""
        for i, image in zip(chunk, images):
            tim, grid = self.tims[i], self.grids[i]
            row0, row1 = max(y0 - grid.y0, 0), min(y0 + _STRIP - grid.y0, grid.shape[0])
            if row0 < row1:
                kernels.add_blurred_rows(
                    row0, row1, grid.x0, grid.y0, grid.arrays, _FLAT_TABLE, image,
                    np.ascontiguousarray(tim.inverr), np.ascontiguousarray(tim.dq), self.weight_factor(i), i,
                    self.total, self.weight, any_mask, self.count, extremes, self.who, self.blurred[i],
                )  # fmt: skip

    def compare(self, i):
        """Outliers of one image: (mask, positive pixels, negative pixels), or None if there are none.

        The pixels are (places, values) arrays on the target.
        """
        if i not in self.grids:
            return None
        tim, grid, blurred = self.tims[i], self.grids[i], self.blurred[i]
        own, found = np.empty(grid.shape, np.float32), np.empty(grid.shape, bool)
        inverr = np.ascontiguousarray(tim.inverr)

        def candidates(sums, factor):
            common = (i, *sums, self.who, self.count, CLIP_COUNT)
            number = kernels.find_candidates(
                grid.x0, grid.y0, grid.arrays, blurred, inverr, factor, *common, own, found
            )
            return number, common

        number, common = candidates((self.total, self.weight), self.weight_factor(i))
        excess = self._noise_excess(i, own)
        if excess > NOISE_LIMIT:
            logger.info(
                "%s: noise is correlated: %.2f times that of independent pixels after the blur", tim.name, excess
            )
            scale = np.float32(1.0 / excess**2)
            number, common = candidates((scale * self.total, scale * self.weight), scale * self.weight_factor(i))
        typical = median(own, own)
        if number == 0 or math.isnan(typical):
            return None
        values = (grid.x0, grid.y0, blurred, own, *common)
        seeds, signs = np.empty(number, np.int64), np.empty(number, np.int8)
        n = kernels.select_seeds(*values, self.veto, 1.0 / math.sqrt(typical), found, seeds, signs)
        if n == 0:
            return None
        regions = [
            np.sort(kernels.grow(seeds[:n][signs[:n] == sign], sign, *_GROWTH_SIGMAS, *values)) for sign in (1, -1)
        ]
        return self._mask_of_image(i, regions), *(self._masked_values(i, places) for places in regions)

    def _noise_excess(self, i, own):
        """Scatter of a blurred image around the mean of the others / the scatter that the weights predict.

        It is 1 for independent pixels. Pixels of resampled images (drizzle, coadds) have noise in common with their
        neighbours, which a blur does not reduce as it does independent noise.
        """
        grid = self.grids[i]
        step = max(1, int(math.sqrt(own.size / _NOISE_SAMPLE)))
        here = np.s_[grid.y0 : grid.y0 + grid.shape[0] : step, grid.x0 : grid.x0 + grid.shape[1] : step]
        v, g, total, weight = (
            a.astype(np.float64)
            for a in (own[::step, ::step], self.blurred[i][::step, ::step], self.total[here], self.weight[here])
        )
        others = weight - v
        # Where there is light, differences of PSF and position count more than noise.
        good = (v > 0) & (others > _ROUNDING * v) & (np.abs(total) < _FAINT_SIGMAS * np.sqrt(np.maximum(weight, 0.0)))
        if np.count_nonzero(good) < _NOISE_LEAST:
            return 1.0
        v, g, total, others = v[good], g[good], total[good], others[good]
        significance = (g - (total - g * v) / others) / np.sqrt(1.0 / v + 1.0 / others)
        low, high = np.percentile(significance, (16, 84))
        return float(high - low) / 2.0

    def _mask_of_image(self, i, regions):
        """Regions of the box of a map carried back to the pixels of the image."""
        tim, grid = self.tims[i], self.grids[i]
        back = MapGrid.build(tim.wcs, self.target)
        if back is None:
            return no_outliers(tim)
        bits = np.zeros(grid.shape, np.uint8)
        for places, bit in zip(regions, (OUTLIER_POS, OUTLIER_NEG)):
            bits.ravel()[places] = bit
        room = 2 * sum(len(places) for places in regions) + 1000
        while True:
            places, values = np.empty(room, np.int64), np.empty(room, np.uint8)
            n = kernels.pixels_in_regions(
                back.arrays, back.x0, back.y0, tim.shape[1], grid.x0, grid.y0, bits, places, values
            )
            if n <= room:
                return SparseImage(tim.shape, places[:n].astype(np.int32), values[:n].copy())
            room = n

    def _masked_values(self, i, places):
        """Target pixels of a region (flat places in the box of a map) that lie on the image, and the values there."""
        tim, grid, patch = self.tims[i], self.grids[i], self.patches[i]
        ix, iy = np.empty((2, len(places)), np.int64)
        kernels.nearest_of_places(grid.arrays, places, ix, iy)
        on_image = ix >= 0
        places, ix, iy = places[on_image], ix[on_image], iy[on_image]
        values = tim.image[iy, ix].astype(np.float32)
        masked = tim.inverr[iy, ix] == 0
        if masked.any():
            own = iy[masked] * tim.shape[1] + ix[masked]
            values[masked] = patch[np.searchsorted(masked_places(tim), own)]
        y, x = places // grid.shape[1], places % grid.shape[1]
        return ((y + grid.y0) * self.target.width + x + grid.x0).astype(np.int32), values


class _MaskedMeans:
    """Averages masked values over images: positive and negative ones."""

    def __init__(self, shape):
        self.shape = shape
        self.parts = ([], [])

    def add(self, *parts):
        """Add the positive and the negative pixels of an image: (flat places, values)."""
        for collected, part in zip(self.parts, parts):
            collected.append(part)

    def finish(self):
        """The means: two `SparseImage`."""
        return tuple(self._mean(parts) for parts in self.parts)

    def _mean(self, parts):
        if not parts:
            return SparseImage(self.shape, np.zeros(0, np.int32), np.zeros(0, np.float32))
        places, index, counts = np.unique(
            np.concatenate([p for p, _ in parts]), return_inverse=True, return_counts=True
        )
        sums = np.zeros(len(places), np.float32)
        # One by one, in the order of the images.
        np.add.at(sums, index, np.concatenate([v for _, v in parts]))
        return SparseImage(self.shape, places, sums / counts.astype(np.int16))
