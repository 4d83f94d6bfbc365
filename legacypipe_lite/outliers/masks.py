"""Masks of outliers: their bits, where none may start, and the mean of what they hide."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..coadds import SparseImage, patched_image
from ..models import Tim
from ..wcs import PixelMap, TanWcs

__all__ = ["OUTLIER_NEG", "OUTLIER_POS", "MaskedMeans", "masked_pixel_means", "no_outliers", "star_veto"]

#: Bits of an outlier mask.
OUTLIER_POS, OUTLIER_NEG = 1, 2

_VETO_RADIUS = 1.0  # arcsec


def no_outliers(tim: Tim) -> SparseImage:
    """The empty outlier mask of an image."""
    return SparseImage(tim.shape, np.zeros(0, np.int32), np.zeros(0, np.uint8))


def star_veto(target: TanWcs, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.bool_]:
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


def masked_pixel_means(
    tims: Sequence[Tim],
    band: str,
    target: TanWcs,
    outliers: Sequence[SparseImage | None],
    patches: Sequence[NDArray[np.float32] | None],
) -> tuple[SparseImage, ...]:
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
    means = MaskedMeans(target.shape)
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


class MaskedMeans:
    """Averages masked values over images: positive and negative ones."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.parts: tuple[list[Any], list[Any]] = ([], [])

    def add(self, *parts: tuple[NDArray[np.int32], NDArray[np.float32]]) -> None:
        """Add the positive and the negative pixels of an image: (flat places, values)."""
        for collected, part in zip(self.parts, parts):
            collected.append(part)

    def finish(self) -> tuple[SparseImage, ...]:
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
