"""Aperture photometry on coadds: exact overlap of circles and pixels, all radii and maps in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..threads import rows_in_threads
from . import apertures_kernels as kernels

__all__ = ["AperturePhotometry", "aperture_photometry"]


@dataclass
class AperturePhotometry:
    """Aperture sums; all arrays float32 of shape (positions, radii).

    Attributes
    ----------
    flux : numpy.ndarray
        Sum over unmasked pixels.
    ivar : numpy.ndarray
        Its inverse variance (0 if there is no unmasked pixel), without covariance between pixels.
    masked : numpy.ndarray
        Masked part of the aperture's area; what lies off the image does not count as masked.
    residuals : list of numpy.ndarray
        Sum over each residual map, without mask.
    """

    flux: np.ndarray
    ivar: np.ndarray
    masked: np.ndarray
    residuals: list


def aperture_photometry(
    image: NDArray[np.float32],
    invvar: NDArray[np.float32],
    x: ArrayLike,
    y: ArrayLike,
    radii: ArrayLike,
    residuals: Sequence[NDArray[np.float32]] = (),
    *,
    threads: int = 1,
) -> AperturePhotometry:
    """Photometry in concentric circular apertures with exact pixel overlap.

    Parameters
    ----------
    image, invvar : numpy.ndarray of float32, shape (H, W)
        Pixels with zero inverse variance are masked.
    x, y : array_like, shape (n,)
        Centres, 0-based pixels.
    radii : sequence of float
        Increasing [pixel].
    residuals : sequence of numpy.ndarray of float32, shape (H, W)
        Further maps to be summed.
    threads : int

    Returns
    -------
    AperturePhotometry
        All zero for an aperture that does not touch the image.

    Raises
    ------
    ValueError
        If the radii are not increasing and positive.
    """
    radii = np.asarray(radii, dtype=np.float64)
    if len(radii) == 0 or radii[0] <= 0 or np.any(np.diff(radii) <= 0):
        raise ValueError("aperture radii must be positive and increasing")
    image, invvar = _plane(image), _plane(invvar)
    # An empty tuple has no type for the compiler; a map that is summed for nothing does no harm.
    planes = tuple(_plane(residual) for residual in residuals) or (image,)
    x, y = (np.ascontiguousarray(np.atleast_1d(a), dtype=np.float64) for a in (x, y))
    sums = np.empty((len(x), 4 + len(planes), len(radii)))
    rows_in_threads(kernels.aperture_sums, len(x), threads, image, invvar, planes, x, y, radii, sums)
    flux, variance, masked, covered = sums[:, 0], sums[:, 1], sums[:, 2], sums[:, 3]
    ivar = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0)
    results = [flux, ivar, masked / (np.pi * radii**2), *(sums[:, 4 + k] for k in range(len(residuals)))]
    results = [np.where(covered > 0, r, 0.0).astype(np.float32) for r in results]
    return AperturePhotometry(results[0], results[1], results[2], results[3:])


def _plane(image):
    return np.ascontiguousarray(image, dtype=np.float32)
