"""Masks of pixels that only one exposure shows: satellite trails, cosmic rays, moving objects.

Every image of a band is blurred to a common PSF width, resampled, and compared with the mean of the others.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from ..bits import DQ
from ..wcs import PixelMap
from . import outliers_kernels as kernels
from .accumulate import coadd_band
from .patch import dilate_cross

__all__ = [
    "OUTLIER_POS",
    "OUTLIER_NEG",
    "BandOutliers",
    "find_outliers",
    "masked_pixel_means",
    "patch_values",
    "patched_image",
    "star_veto",
    "with_outliers_masked",
]

#: Bits of an outlier mask.
OUTLIER_POS, OUTLIER_NEG = 1, 2

#: From so many exposures on, the smallest and the largest value are left out of the mean.
CLIP_COUNT = 5

_EXTRA_BLUR = 0.5
_GROWTH = 16  # more than the sum of all dilations of `_grow`
_VETO_RADIUS = 1.0  # arcsec


@dataclass
class BandOutliers:
    """What the outlier search of one band found.

    Attributes
    ----------
    masks : dict of int -> numpy.ndarray of uint8
        Number of the image -> bits `OUTLIER_POS`, `OUTLIER_NEG`, of the image's shape.
    patches : dict of int -> numpy.ndarray of float32 or None
        Number of the image -> new values of its pixels with inverr == 0 (C order); None if it has none.
    precoadd : numpy.ndarray of float32, shape (H, W)
        Stack before masking.
    positive, negative : numpy.ndarray of float32, shape (H, W)
        Mean of the masked values, 0 where nothing is masked.
    """

    masks: dict = field(default_factory=dict)
    patches: dict = field(default_factory=dict)
    precoadd: np.ndarray | None = None
    positive: np.ndarray | None = None
    negative: np.ndarray | None = None


def find_outliers(tims, band, target, *, veto=None, leave_one_out=False, threads=1, mapper=None):
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
    mapper : callable, optional
        ``mapper(function, tasks, shared=..., label=...)``, see `stages.base.Tools.map`.

    Returns
    -------
    BandOutliers
    """
    mapper = mapper or _serial_map
    members = [i for i, tim in enumerate(tims) if tim.band == band]
    precoadd = coadd_band(tims, band, target, detail="image", surface_brightness=False, threads=threads).image
    result = BandOutliers(precoadd=precoadd)
    means = _MaskedMeans(target.shape)
    for i in members:
        result.patches[i] = patch_values(tims[i], precoadd, target)
        result.masks[i] = np.zeros(tims[i].shape, np.uint8)
    if len(members) > 1:
        for i, found in _compare_with_others(tims, members, target, result.patches, veto, leave_one_out, mapper, band):
            result.masks[i] = found[0]
            means.add(*found[1:])
    result.positive, result.negative = means.finish()
    return result


def _compare_with_others(tims, members, target, patches, veto, leave_one_out, mapper, band):
    """Pairs of image number and what `_compare` found in it, for images with outliers."""

    sigmas = [tims[i].psf_sigma for i in members]
    common = max(sigmas) + _EXTRA_BLUR
    blurs = {i: math.sqrt(common**2 - sigma**2) for i, sigma in zip(members, sigmas)}
    shared = _Shared(tims, target, blurs, patches)
    shared.blurred = dict(zip(members, mapper(_blur, members, shared=shared, label=f"blur {band}")))
    shared.collect_statistics(members, veto, leave_one_out)
    found = mapper(_compare, members, shared=shared, label=f"outliers {band}")
    return [(i, outliers) for i, outliers in zip(members, found) if outliers is not None]


def patch_values(tim, coadd, target):
    """New values for the masked pixels of an image, from a stack in the image's units.

    Parameters
    ----------
    tim : Tim
    coadd : numpy.ndarray of float32, shape (H, W)
    target : TanWcs

    Returns
    -------
    numpy.ndarray of float32 or None
        Values of the pixels with inverr == 0, in C order: that of the nearest target pixel, or the old value where
        the pixel lies off the target. None if there are no such pixels.
    """
    y, x = np.nonzero(tim.inverr == 0)
    if len(y) == 0:
        return None
    values = tim.image[y, x].astype(np.float32)
    tx, ty = tim.wcs.map_to(target, x.astype(float), y.astype(float))
    known = np.isfinite(tx) & np.isfinite(ty)
    ix, iy = np.full(len(x), -1), np.full(len(x), -1)
    ix[known], iy[known] = np.trunc(tx[known] + 0.5), np.trunc(ty[known] + 0.5)
    inside = (ix >= 0) & (ix < target.width) & (iy >= 0) & (iy < target.height)
    values[inside] = coadd[iy[inside], ix[inside]]
    return values


def patched_image(tim, patch):
    """The image with new values (see `patch_values`) in its masked pixels; the image itself if there are none."""
    if patch is None:
        return tim.image
    image = tim.image.copy()
    image[tim.inverr == 0] = patch
    return image


def with_outliers_masked(tim, mask, patch):
    """A copy of a tim with masked pixels patched and with outliers masked (the input is not changed)."""
    inverr, dq = tim.inverr, tim.dq
    image = patched_image(tim, patch)
    if mask.any():
        inverr = np.where(mask > 0, np.float32(0), inverr)
        dq = np.where(mask > 0, dq | dq.dtype.type(DQ["outlier"]), dq)
    return replace(tim, image=image, inverr=inverr, dq=dq)


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


def masked_pixel_means(tims, band, target, masks, patches):
    """Mean of the masked pixels on the target grid, for masks that were read back from a file.

    Parameters
    ----------
    tims : list of Tim
        All images; those of other bands are skipped.
    band : str
    target : TanWcs
    masks : sequence
        Outlier mask of each tim, or None.
    patches : sequence
        `patch_values` of each tim.

    Returns
    -------
    positive, negative : numpy.ndarray of float32, shape (H, W)
        0 where nothing is masked.
    """
    means = _MaskedMeans(target.shape)
    for tim, mask, patch in zip(tims, masks, patches):
        if tim.band != band or mask is None or not mask.any():
            continue
        pixel_map = PixelMap.build(target, tim.wcs)
        if pixel_map is not None:
            on_target = pixel_map.nearest(mask)
            means.add(
                _masked_values(tim, patch, pixel_map, on_target & OUTLIER_POS > 0),
                _masked_values(tim, patch, pixel_map, on_target & OUTLIER_NEG > 0),
            )
    return means.finish()


class _Shared:
    """What the tasks of one band share: images, and the statistics of all of them on the target grid."""

    def __init__(self, tims, target, blurs, patches):
        self.tims, self.target, self.blurs, self.patches = tims, target, blurs, patches
        self.blurred = {}

    def weight_factor(self, i):
        """Inverse variance of a pixel after the blur / before it."""
        return 4 * math.pi * self.blurs[i] ** 2

    def collect_statistics(self, members, veto, leave_one_out):
        shape = self.target.shape
        self.total, self.weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        ormask, self.count = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
        clipping = len(members) >= CLIP_COUNT
        extremes = np.zeros((4 if clipping else 0, *shape), np.float32)
        if clipping:
            extremes[0], extremes[2] = np.inf, -np.inf
        who = np.full((2 if clipping else 0, *shape), -1, np.int16)
        for i in members:
            if self.blurred[i] is None:
                continue
            tim, pixel_map = self.tims[i], PixelMap.build(self.target, self.tims[i].wcs)
            kernels.add_blurred(
                pixel_map.x0,
                pixel_map.y0,
                self.blurred[i],
                pixel_map.ix,
                pixel_map.iy,
                tim.inverr,
                tim.dq,
                self.weight_factor(i),
                i,
                self.total,
                self.weight,
                ormask,
                self.count,
                extremes,
                who,
            )
        if clipping:
            kernels.clip_extremes(self.total, self.weight, self.count, extremes, CLIP_COUNT)
        self.who = who if leave_one_out else who[:0]
        self.veto = dilate_cross(ormask & DQ["bleed"], 3) | dilate_cross(ormask & DQ["satur"], 10)
        if veto is not None:
            self.veto |= veto


def _serial_map(function, tasks, shared=None, label=""):
    return [function(shared, task) for task in tasks]


def _blur(shared, i):
    """The image blurred to the common PSF width, on the target grid (box of its map); None off the target."""
    tim = shared.tims[i]
    pixel_map = PixelMap.build(shared.target, tim.wcs)
    if pixel_map is None:
        return None
    return pixel_map.lanczos(gaussian_filter(patched_image(tim, shared.patches[i]), shared.blurs[i]))


def _compare(shared, i):
    """Outliers of one image: (mask, positive pixels, negative pixels), or None if there are none.

    The pixels are (y, x, value) arrays on the target.
    """
    if shared.blurred[i] is None:
        return None
    tim, factor = shared.tims[i], shared.weight_factor(i)
    pixel_map = PixelMap.build(shared.target, tim.wcs)
    ix, iy = pixel_map.ix, pixel_map.iy
    weights = np.empty(ix.size, np.float32)
    weights = weights[: kernels.image_weights(ix, iy, tim.inverr, factor, weights)]
    if len(weights) == 0:
        return None
    sn, seed = np.empty(ix.shape, np.float32), np.empty(ix.shape, np.int8)
    found = kernels.compare_image(
        pixel_map.x0,
        pixel_map.y0,
        shared.blurred[i],
        ix,
        iy,
        tim.inverr,
        factor,
        1.0 / math.sqrt(float(np.median(weights))),
        i,
        shared.total,
        shared.weight,
        shared.who,
        shared.count,
        CLIP_COUNT,
        shared.veto,
        sn,
        seed,
    )
    if found == 0:
        return None
    hot, cold = _grow(seed > 0, sn, 1), _grow(seed < 0, sn, -1)
    return (
        _mask_of_image(shared.target, tim, pixel_map, hot, cold),
        _masked_values(tim, shared.patches[i], pixel_map, hot),
        _masked_values(tim, shared.patches[i], pixel_map, cold),
    )


def _grow(seeds, sn, sign):
    """Grow seeds (on the box of a map) into the significant pixels around them, and by a margin."""
    grown = np.zeros(seeds.shape, bool)
    y, x = np.nonzero(seeds)
    if len(y) == 0:
        return grown
    part = (
        slice(max(y.min() - _GROWTH, 0), y.max() + _GROWTH + 1),
        slice(max(x.min() - _GROWTH, 0), x.max() + _GROWTH + 1),
    )
    sn = sign * sn[part]
    mask = seeds[part]
    for threshold in (3.0, 2.0):
        mask = dilate_cross(mask, 1)
        mask |= dilate_cross(mask, 5) & (sn > threshold)
    grown[part] = dilate_cross(mask, 3)
    return grown


def _mask_of_image(target, tim, pixel_map, hot, cold):
    """Masks on the target grid carried back to the pixels of the image."""
    mask = np.zeros(tim.shape, np.uint8)
    back = PixelMap.build(tim.wcs, target)
    if back is None:
        return mask
    part = np.zeros(back.ix.shape, np.uint8)
    kernels.mask_on_image(pixel_map.x0, pixel_map.y0, back.ix, back.iy, hot, cold, OUTLIER_POS, OUTLIER_NEG, part)
    mask[back.box] = part
    return mask


def _masked_values(tim, patch, pixel_map, region):
    """Target pixels (y, x) of a region that lie on the image, and the values there."""
    y, x = np.nonzero(region & pixel_map.valid)
    values = patched_image(tim, patch)[pixel_map.iy[y, x], pixel_map.ix[y, x]]
    return y + pixel_map.y0, x + pixel_map.x0, values


class _MaskedMeans:
    """Averages masked values over images: positive and negative ones."""

    def __init__(self, shape):
        self.sums = np.zeros((2, *shape), np.float32)
        self.counts = np.zeros((2, *shape), np.int16)

    def add(self, *parts):
        for total, count, (y, x, values) in zip(self.sums, self.counts, parts):
            total[y, x] += values
            count[y, x] += 1

    def finish(self):
        self.sums /= np.maximum(self.counts, 1)
        return self.sums[0], self.sums[1]
