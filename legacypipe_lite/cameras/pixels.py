"""Pixels that hold no measurement: blank, not finite, or beyond what any telescope gives."""

import logging
from typing import Any

import numpy as np

__all__ = ["LARGEST_SIGMAS", "as_float32", "fill", "without_value"]

logger = logging.getLogger(__name__)

#: No image has pixels brighter than so many times its noise: detectors saturate at about 1e5 times their read noise,
#: and a mean of 10,000 exposures has a hundredth of the noise.
LARGEST_SIGMAS = 1e9


def as_float32(values: Any) -> Any:
    """Pixels in single precision; those that are too large for it become infinite, without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32, copy=False)


def without_value(image: Any, sigma: Any) -> Any:
    """Which pixels hold no measurement.

    Parameters
    ----------
    image : numpy.ndarray of float32, shape (h, w)
    sigma : float
        Typical noise of a pixel, in the units of the image.

    Returns
    -------
    numpy.ndarray of bool, shape (h, w)
    """
    # Also true for NaN.
    return ~(np.abs(image) < LARGEST_SIGMAS * sigma)


def fill(image: Any, where: Any, name: Any) -> None:
    """Give pixels without a value that of the median of the others, in place, and say so.

    Their weight is zero; the value only keeps junk out of what is computed with their neighbours.

    Parameters
    ----------
    image : numpy.ndarray of float32, shape (h, w)
    where : numpy.ndarray of bool, shape (h, w)
    name : str
        Of the image.
    """
    not_finite = int(np.sum(~np.isfinite(image)))
    number = int(np.sum(where))
    kinds = [(not_finite, "not finite or blank"), (number - not_finite, "beyond what a telescope can give")]
    logger.warning(
        "%s: %d of %d pixels get no weight: %s",
        name,
        number,
        image.size,
        ", ".join(f"{n} {kind}" for n, kind in kinds if n),
    )
    image[where] = np.median(image[~where])
