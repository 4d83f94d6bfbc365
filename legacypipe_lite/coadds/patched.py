"""Values of masked pixels from a stack, and images that are stacked with other values than they have."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..models import Tim
from ..wcs import TanWcs
from . import patched_kernels as kernels

__all__ = ["Changes", "masked_places", "patch_values", "patched_image"]

_NO_PLACES = np.zeros(0, np.int32)


class Changes(NamedTuple):
    """Pixels of an image that a stack takes for others than they are; places are flat (C order) and increasing.

    Attributes
    ----------
    places : numpy.ndarray of int32
    values : numpy.ndarray of float32
        New values of the image at `places`.
    outliers : numpy.ndarray of int32
        Pixels that have no weight and are flagged as outliers.
    """

    places: np.ndarray = _NO_PLACES
    values: np.ndarray = np.zeros(0, np.float32)
    outliers: np.ndarray = _NO_PLACES


def masked_places(tim: Tim) -> NDArray[np.int32]:
    """Flat places (C order) of the pixels with inverr == 0; int32."""
    return np.flatnonzero(tim.inverr == 0).astype(np.int32)


def patch_values(tim: Tim, coadd: NDArray[np.float32], target: TanWcs) -> NDArray[np.float32] | None:
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
    places = masked_places(tim)
    if len(places) == 0:
        return None
    values = np.empty(len(places), np.float32)
    image = np.ascontiguousarray(tim.image, np.float32)
    kernels.values_from_stack(places, image, tim.wcs.pack(), target.pack(), np.ascontiguousarray(coadd), values)
    return values


def patched_image(tim: Tim, patch: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """The image with new values (see `patch_values`) in its masked pixels; the image itself if there are none."""
    if patch is None:
        return tim.image
    image = np.array(tim.image, order="C")
    image.ravel()[masked_places(tim)] = patch
    return image
