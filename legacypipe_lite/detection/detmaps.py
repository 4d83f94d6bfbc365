"""Detection maps: point-source flux and its inverse variance at every pixel of the target, per band."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import bits
from ..arrays import dilate, gaussian_weights
from ..threads import map_in_threads, rows_in_threads
from ..wcs import ImageWcs, MapGrid
from . import detmaps_kernels as kernels

__all__ = ["DetectionMaps", "detection_maps", "edge_ramp", "SATURATION_GROWTH"]

#: Saturated pixels are grown by this many pixels, so that there are no peaks at their rims.
SATURATION_GROWTH = 4

#: Target rows that one thread works on at a time.
_STRIP = 128
_NO_DQ = np.zeros((0, 0), np.uint16)


@dataclass
class DetectionMaps:
    """Matched-filtered images, summed per band.

    Attributes
    ----------
    bands : list of str
    detmap : numpy.ndarray of float32, shape (bands, H, W)
        Maximum-likelihood flux [nanomaggies] of a point source at each pixel; 0 where there are no data.
    detiv : numpy.ndarray of float32, shape (bands, H, W)
        Its inverse variance.
    satmap : numpy.ndarray of bool, shape (bands, H, W)
        Saturated pixels.
    """

    bands: list
    detmap: np.ndarray
    detiv: np.ndarray
    satmap: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W)."""
        return self.detmap.shape[1:]

    @cached_property
    def saturated(self) -> NDArray[np.bool_]:
        """`satmap`, every band grown by `SATURATION_GROWTH` pixels; bool (bands, H, W)."""
        grown = np.zeros(self.satmap.shape, bool)
        for band, mask in zip(grown, self.satmap):
            if mask.any():
                band[:] = dilate(mask, SATURATION_GROWTH)
        return grown

    def max_signal_to_noise(self) -> NDArray[np.float32]:
        """Largest signal to noise of the single bands; float32 (H, W), at least 0."""
        best = np.zeros(self.shape, np.float32)
        for flux, ivar in zip(self.detmap, self.detiv):
            np.maximum(best, flux * np.sqrt(ivar), out=best)
        return best


def edge_ramp(n: int) -> NDArray[np.float32]:
    """Factors from the outermost pixel inwards that taper an image edge over `n` pixels; float32 (n,).

    An arc tangent between -pi and pi, scaled to 0 ... 1, without its two ends.
    """
    if n == 0:
        return np.zeros(0, np.float32)
    t = np.arctan(np.linspace(-np.pi, np.pi, n + 2))
    return ((t - t[0]) / (t[-1] - t[0]))[1:-1].astype(np.float32)


def detection_maps(
    images: Iterable[Any],
    target_wcs: ImageWcs,
    bands: Sequence[str],
    taper: int = 0,
    nsatur: int | None = None,
    pixels: NDArray[np.int32] | None = None,
    threads: int = 1,
) -> DetectionMaps:
    """Matched-filter images with Gaussian PSFs and sum them on a target grid.

    Each image D (masked pixels 0) becomes ``G(D) / p^2`` with weight ``G(p^2 / sig1^2)``, where G is the
    smoothing with a Gaussian of `psf_sigma` and p its norm ``1 / (2 sqrt(pi) psf_sigma)``; target pixels take the
    nearest image pixel, and images are averaged with these weights. Only `sig1` and the mask enter, not the weights
    of single pixels.

    Parameters
    ----------
    images : iterable
        Objects with `image`, `inverr` (float32 arrays), `dq` (integer array or None), `wcs`, `band`, `sig1` and
        `psf_sigma`, e.g. `models.Tim`. Images of other bands are passed over.
    target_wcs : ImageWcs
    bands : sequence of str
    taper : int
        Weights fall to zero over this many pixels at the edges of every image.
    nsatur : int, optional
        A target pixel is saturated if at least this many images are, or all of them; default: if any is.
    pixels : numpy.ndarray of int32, shape (images, H, W), optional
        Image by image, the flat index of the nearest image pixel of every target pixel (-1: none), if at hand.
    threads : int
        Images filtered at a time. The result does not depend on it.

    Returns
    -------
    DetectionMaps

    Raises
    ------
    ValueError
        If `nsatur` is less than 1.
    """
    if nsatur is not None and nsatur < 1:
        raise ValueError(f"nsatur must be at least 1, got {nsatur}")
    bands = list(bands)
    shape = (len(bands), target_wcs.height, target_wcs.width)
    detmap, detiv = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    saturated = np.zeros(shape, np.int16)
    total = np.zeros(shape if nsatur is not None else (len(bands), 0, 0), np.int16)
    planes = zip(bands, detmap, detiv, saturated, total)
    sums = {band: kernels.BandSums(a, b, c, d) for band, a, b, c, d in planes}
    ramp = edge_ramp(taper)
    if pixels is None:
        chosen = [image for image in images if image.band in bands]
        _stack_in_strips(sums, chosen, target_wcs, ramp, max(1, int(threads)))
    else:
        for image, nearest in zip(images, pixels):
            if image.band in bands:
                kernels.add_filtered(_filtered(image, ramp, flat=True), nearest, sums[image.band])
    for band in bands:
        rows_in_threads(kernels.normalize_rows, target_wcs.height, threads, sums[band].numerator, sums[band].weight)
    if nsatur is None:
        satmap = saturated > 0
    else:
        satmap = (saturated >= nsatur) | ((saturated == total) & (total > 0))
    return DetectionMaps(bands, detmap, detiv, satmap)


def _arrays(image):
    """Data and inverse errors in the layout for which the kernels are compiled."""
    return np.ascontiguousarray(image.image, np.float32), np.ascontiguousarray(image.inverr, np.float32)


def _filtered(image, ramp, flat=False):
    """An image after the matched filter; with its pixels in a row if `flat`."""
    sigma = float(image.psf_sigma)
    flux, weight = kernels.filter_image(*_arrays(image), float(image.sig1), sigma, gaussian_weights(sigma), ramp)
    dq = _NO_DQ if image.dq is None else np.ascontiguousarray(image.dq, np.uint16)
    if flat:
        flux, weight, dq = flux.ravel(), weight.ravel(), dq.ravel()
    return kernels.FilteredImage(flux, weight, dq, bits.DQ_SATURATED)


def _stack_in_strips(sums, images, target_wcs, ramp, threads):
    """Add images in chunks, strip by strip of the target: each sum in the order of the images."""
    tasks = [(image, MapGrid.build(target_wcs, image.wcs)) for image in images]
    tasks = [task for task in tasks if task[1] is not None]
    step = 2 * threads
    for start in range(0, len(tasks), step):
        chunk = tasks[start : start + step]
        filtered = list(map_in_threads(lambda task: _filtered(task[0], ramp), chunk, threads))

        def add_strip(y0, chunk=chunk, filtered=filtered):
            for (image, grid), smoothed in zip(chunk, filtered):
                row0, row1 = max(y0 - grid.y0, 0), min(y0 + _STRIP - grid.y0, grid.shape[0])
                if row0 < row1:
                    kernels.add_filtered_rows(row0, row1, grid.arrays, smoothed, sums[image.band])

        for _ in map_in_threads(add_strip, range(0, target_wcs.height, _STRIP), threads):
            pass
