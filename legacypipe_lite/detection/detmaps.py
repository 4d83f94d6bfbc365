"""Detection maps: point-source flux and its inverse variance at every pixel of the target, per band."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import bits
from ..errors import UsageError
from ..wcs import PixelMap
from . import detmaps_kernels as kernels
from .morphology_kernels import dilate

__all__ = ["DetectionMaps", "detection_maps", "edge_ramp", "SATURATION_GROWTH"]

#: Saturated pixels are grown by this many pixels, so that there are no peaks at their rims.
SATURATION_GROWTH = 4


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
    def shape(self):
        """(H, W)."""
        return self.detmap.shape[1:]

    @cached_property
    def saturated(self):
        """`satmap`, every band grown by `SATURATION_GROWTH` pixels; bool (bands, H, W)."""
        grown = np.zeros(self.satmap.shape, bool)
        for band, mask in zip(grown, self.satmap):
            if mask.any():
                band[:] = dilate(mask, SATURATION_GROWTH)
        return grown

    def max_signal_to_noise(self):
        """Largest signal to noise of the single bands; float32 (H, W), at least 0."""
        best = np.zeros(self.shape, np.float32)
        for flux, ivar in zip(self.detmap, self.detiv):
            np.maximum(best, flux * np.sqrt(ivar), out=best)
        return best


def edge_ramp(n):
    """Factors from the outermost pixel inwards that taper an image edge over `n` pixels; float32 (n,).

    An arc tangent between -pi and pi, scaled to 0 ... 1, without its two ends.
    """
    if n == 0:
        return np.zeros(0, np.float32)
    t = np.arctan(np.linspace(-np.pi, np.pi, n + 2))
    return ((t - t[0]) / (t[-1] - t[0]))[1:-1].astype(np.float32)


def detection_maps(images, target_wcs, bands, taper=0, nsatur=None, maps=None, threads=1):
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
    maps : sequence of PixelMap or None, optional
        Image by image, ``PixelMap.build(target_wcs, image.wcs)`` if at hand.
    threads : int
        Images filtered at a time. The result does not depend on it.

    Returns
    -------
    DetectionMaps

    Raises
    ------
    UsageError
        If `nsatur` is less than 1.
    """
    if nsatur is not None and nsatur < 1:
        raise UsageError(f"--nsatur must be at least 1, got {nsatur}")
    bands = list(bands)
    shape = (len(bands), target_wcs.height, target_wcs.width)
    detmap, detiv = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    saturated, total = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    tasks = [(im, None if maps is None else maps[i]) for i, im in enumerate(images) if im.band in bands]
    if maps is not None:
        tasks = [task for task in tasks if task[1] is not None]
    # Summed in the order of the images, so that rounding does not depend on the number of threads.
    for image, pixel_map, filtered in _filtered(tasks, target_wcs, edge_ramp(taper), threads):
        if pixel_map is None:
            continue
        band = bands.index(image.band)
        where = (pixel_map.ix, pixel_map.iy, pixel_map.y0, pixel_map.x0)
        kernels.add_filtered(*filtered, *where, detmap[band], detiv[band])
        if image.dq is not None:
            kernels.add_saturation(
                np.ascontiguousarray(image.dq), bits.DQ_SATURATED, *where, saturated[band], total[band]
            )
    detmap /= np.maximum(detiv, np.float32(1e-16))
    if nsatur is None:
        satmap = saturated > 0
    else:
        satmap = (saturated >= nsatur) | ((saturated == total) & (total > 0))
    return DetectionMaps(bands, detmap, detiv, satmap)


def _arrays(image):
    """Data and inverse errors in the layout for which the kernels are compiled."""
    return np.ascontiguousarray(image.image, np.float32), np.ascontiguousarray(image.inverr, np.float32)


def _filtered(tasks, target_wcs, ramp, threads):
    """Yield (image, pixel map, filtered image) of every (image, pixel map or None), in order."""

    def work(task):
        image, pixel_map = task
        if pixel_map is None:
            pixel_map = PixelMap.build(target_wcs, image.wcs)
        if pixel_map is None:
            return image, None, None
        return image, pixel_map, kernels.filter_image(*_arrays(image), float(image.sig1), float(image.psf_sigma), ramp)

    if threads <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    with ThreadPoolExecutor(threads) as pool:
        # In batches: a filtered image is as large as the image.
        for first in range(0, len(tasks), threads):
            yield from pool.map(work, tasks[first : first + threads])
