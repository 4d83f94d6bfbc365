"""Masks of pixels that only one exposure shows: satellite trails, cosmic rays, moving objects.

Every image of a band is blurred to a common PSF width, resampled, and compared with the mean of the others.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..arrays import dilate, gaussian_weights, median
from ..arrays.smooth_kernels import smooth
from ..bits import DQ
from ..coadds import Changes, SparseImage, map_grids, masked_places, patch_values, patched_image, stacked_image
from ..models import Tim
from ..threads import map_in_threads, rows_in_threads
from ..wcs import MapGrid, TanWcs
from ..wcs.resample_kernels import LANCZOS_TABLE
from . import regions_kernels as regions
from . import search_kernels as kernels
from .masks import OUTLIER_NEG, OUTLIER_POS, MaskedMeans, no_outliers

__all__ = ["BandOutliers", "find_outliers"]

logger = logging.getLogger(__name__)

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

    def changes(self, tims: Sequence[Tim]) -> dict[int, Changes]:
        """What masking changes in the images: dict of int -> Changes, for `stacked_image`."""
        changes = {}
        for i, patch in self.patches.items():
            values = Changes() if patch is None else Changes(masked_places(tims[i]), patch)
            changes[i] = values._replace(outliers=self.outliers[i].places)
        return changes


def find_outliers(
    tims: Sequence[Tim],
    band: str,
    target: TanWcs,
    *,
    veto: NDArray[np.bool_] | None = None,
    leave_one_out: bool = False,
    threads: int = 1,
) -> BandOutliers:
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
    means = MaskedMeans(target.shape)
    if len(members) > 1:
        search = _Search(tims, target, grids, result.patches, leave_one_out, threads)
        search.collect_statistics(veto)
        for i, found in zip(members, map_in_threads(search.compare, members, threads)):
            if found is not None:
                result.outliers[i] = found[0]
                means.add(*found[1:])
    result.masked_means = means.finish()
    return result


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
        self.clipping = len(members) >= CLIP_COUNT
        self.sums = kernels.BandSums(
            total=np.zeros(shape, np.float32),
            weight=np.zeros(shape, np.float32),
            count=np.zeros(shape, np.int16),
            clip_count=CLIP_COUNT,
            extremes=np.zeros((4 if self.clipping else 0, *shape), np.float32),
            who=np.full((2 if self.clipping and leave_one_out else 0, *shape), -1, np.int16),
            any_mask=np.zeros(shape, np.int16),
        )
        if self.clipping:
            self.sums.extremes[0], self.sums.extremes[2] = np.inf, -np.inf
        self.veto = None

    def weight_factor(self, i):
        """Inverse variance of a pixel after the blur / before it."""
        return 4 * math.pi * self.blurs[i] ** 2

    def collect_statistics(self, veto):
        """Blur and resample all images, and add them up."""
        touching = list(self.grids)
        step = max(_IMAGES_AT_ONCE, 2 * self.threads)
        for start in range(0, len(touching), step):
            chunk = touching[start : start + step]
            images = list(map_in_threads(self._blur, chunk, self.threads))
            self.blurred.update({i: np.empty(self.grids[i].shape, np.float32) for i in chunk})
            strips = range(0, self.target.height, _STRIP)
            for _ in map_in_threads(
                lambda y0, images=images: self._add_strip(y0, images),
                strips,
                self.threads,
            ):
                pass
        if self.clipping:
            rows_in_threads(kernels.clip_extremes, self.target.height, self.threads, self.sums)
        any_mask = self.sums.any_mask
        self.veto = dilate(any_mask & DQ["bleed"], 3) | dilate(any_mask & DQ["satur"], 10)
        # What the comparison does not need goes before it takes memory itself.
        self.sums = self.sums._replace(extremes=self.sums.extremes[:0], any_mask=any_mask[:0])
        if veto is not None:
            self.veto |= veto

    def _blur(self, i):
        """The image blurred to the common PSF width."""
        tim = self.tims[i]
        image = np.ascontiguousarray(patched_image(tim, self.patches[i]))
        blurred = np.empty(image.shape, np.float32)
        smooth(image, gaussian_weights(self.blurs[i]), blurred)
        inverr, dq = np.ascontiguousarray(tim.inverr), np.ascontiguousarray(tim.dq)
        return kernels.BlurredImage(i, blurred, inverr, dq, self.weight_factor(i))

    def _add_strip(self, y0, images):
        """Add the rows of the target from y0 on of some blurred images."""
        for image in images:
            grid = self.grids[image.index]
            row0, row1 = max(y0 - grid.y0, 0), min(y0 + _STRIP - grid.y0, grid.shape[0])
            if row0 < row1:
                kernels.add_blurred_rows(
                    row0, row1, grid.arrays, _FLAT_TABLE, image, self.sums, self.blurred[image.index]
                )

    def compare(self, i):
        """Outliers of one image: (mask, positive pixels, negative pixels), or None if there are none.

        The pixels are (places, values) arrays on the target.
        """
        if i not in self.grids:
            return None
        grid = self.grids[i]
        own, found = np.empty(grid.shape, np.float32), np.empty(grid.shape, bool)
        compared = kernels.Compared(i, grid.x0, grid.y0, self.blurred[i], own)
        inverr, sums = np.ascontiguousarray(self.tims[i].inverr), self.sums
        number = kernels.find_candidates(grid.arrays, inverr, self.weight_factor(i), compared, sums, found)
        excess = self._noise_excess(compared)
        if excess > NOISE_LIMIT:
            name, scale = self.tims[i].name, np.float32(1.0 / excess**2)
            logger.info("%s: noise is correlated: %.2f times that of independent pixels after the blur", name, excess)
            sums = sums._replace(total=scale * sums.total, weight=scale * sums.weight)
            number = kernels.find_candidates(grid.arrays, inverr, scale * self.weight_factor(i), compared, sums, found)
        typical = median(own, own)
        if number == 0 or math.isnan(typical):
            return None
        seeds, signs = np.empty(number, np.int64), np.empty(number, np.int8)
        n = kernels.select_seeds(compared, sums, self.veto, 1.0 / math.sqrt(typical), found, seeds, signs)
        if n == 0:
            return None
        seeds, signs = seeds[:n], signs[:n]
        grown = [np.sort(regions.grow(seeds[signs == sign], sign, _GROWTH_SIGMAS, compared, sums)) for sign in (1, -1)]
        return self._mask_of_image(i, grown), *(self._masked_values(i, places) for places in grown)

    def _noise_excess(self, compared):
        """Scatter of a blurred image around the mean of the others / the scatter that the weights predict.

        It is 1 for independent pixels. Pixels of resampled images (drizzle, coadds) have noise in common with their
        neighbours, which a blur does not reduce as it does independent noise.
        """
        h, w = compared.weights.shape
        step = max(1, int(math.sqrt(compared.weights.size / _NOISE_SAMPLE)))
        here = np.s_[compared.y0 : compared.y0 + h : step, compared.x0 : compared.x0 + w : step]
        v, g, total, weight = (
            a.astype(np.float64)
            for a in (
                compared.weights[::step, ::step], compared.values[::step, ::step], self.sums.total[here],
                self.sums.weight[here],
            )
        )  # fmt: skip
        others = weight - v
        # Where there is light, differences of PSF and position count more than noise.
        good = (v > 0) & (others > _ROUNDING * v) & (np.abs(total) < _FAINT_SIGMAS * np.sqrt(np.maximum(weight, 0.0)))
        if np.count_nonzero(good) < _NOISE_LEAST:
            return 1.0
        v, g, total, others = v[good], g[good], total[good], others[good]
        significance = (g - (total - g * v) / others) / np.sqrt(1.0 / v + 1.0 / others)
        low, high = np.percentile(significance, (16, 84))
        return float(high - low) / 2.0

    def _mask_of_image(self, i, grown):
        """Regions of the box of a map carried back to the pixels of the image."""
        tim, grid = self.tims[i], self.grids[i]
        back = MapGrid.build(tim.wcs, self.target)
        if back is None:
            return no_outliers(tim)
        bits = np.zeros(grid.shape, np.uint8)
        for places, bit in zip(grown, (OUTLIER_POS, OUTLIER_NEG)):
            bits.ravel()[places] = bit
        room = 2 * sum(len(places) for places in grown) + 1000
        while True:
            places, values = np.empty(room, np.int64), np.empty(room, np.uint8)
            n = regions.pixels_in_regions(back.arrays, tim.shape[1], grid.x0, grid.y0, bits, places, values)
            if n <= room:
                return SparseImage(tim.shape, places[:n].astype(np.int32), values[:n].copy())
            room = n

    def _masked_values(self, i, places):
        """Target pixels of a region (flat places in the box of a map) that lie on the image, and the values there."""
        tim, grid, patch = self.tims[i], self.grids[i], self.patches[i]
        ix, iy = np.empty((2, len(places)), np.int64)
        regions.nearest_of_places(grid.arrays, places, ix, iy)
        on_image = ix >= 0
        places, ix, iy = places[on_image], ix[on_image], iy[on_image]
        values = tim.image[iy, ix].astype(np.float32)
        masked = tim.inverr[iy, ix] == 0
        if masked.any():
            own = iy[masked] * tim.shape[1] + ix[masked]
            values[masked] = patch[np.searchsorted(masked_places(tim), own)]
        y, x = places // grid.shape[1], places % grid.shape[1]
        return ((y + grid.y0) * self.target.width + x + grid.x0).astype(np.int32), values
