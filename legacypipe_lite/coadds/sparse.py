"""Images that are kept in less memory than their pixels take, or made when they are needed: by rows."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChangedImage", "MaskedImage", "SparseImage", "rows_of"]


def rows_of(image: Any, start: int, stop: int) -> NDArray:
    """Rows start ... stop - 1 of an array, or of anything that has a method ``rows(start, stop)``."""
    return image.rows(start, stop) if hasattr(image, "rows") else image[start:stop]


@dataclass(frozen=True)
class SparseImage:
    """An image that holds only the pixels that are not 0.

    Attributes
    ----------
    shape : (int, int)
    places : numpy.ndarray of int32
        Flat places (C order) of these pixels, increasing.
    values : numpy.ndarray
        Their values.
    """

    shape: tuple
    places: np.ndarray
    values: np.ndarray

    @classmethod
    def from_dense(cls, image: NDArray) -> Self:
        """The sparse form of an image."""
        places = np.flatnonzero(image).astype(np.int32)
        return cls(image.shape, places, image.ravel()[places])

    def __len__(self) -> int:
        """Number of pixels that are held."""
        return len(self.places)

    @property
    def pixels(self) -> tuple[NDArray[np.intp], ...]:
        """Index (y, x) of the pixels that are held, to index an image with."""
        return np.unravel_index(self.places, self.shape)

    def dense(self) -> NDArray:
        """The whole image."""
        return self.rows(0, self.shape[0])

    def rows(self, start: int, stop: int) -> NDArray:
        """Rows start ... stop - 1 of the image."""
        width = self.shape[1]
        first, last = np.searchsorted(self.places, (start * width, stop * width))
        image = np.zeros((stop - start, width), self.values.dtype)
        image.ravel()[self.places[first:last] - start * width] = self.values[first:last]
        return image


class ChangedImage:
    """An image as its difference from another one, of the same type.

    Parameters
    ----------
    base : numpy.ndarray, shape (h, w)
        Kept by reference.
    image : numpy.ndarray, shape (h, w)
        Not kept, unless it differs in so many pixels that nothing would be gained.
    """

    def __init__(self, base: NDArray, image: NDArray) -> None:
        self.shape = base.shape
        self._base, self._changes = image, None
        # Compared as bits, so that the image comes out exactly as it went in.
        bits = np.dtype(f"u{base.dtype.itemsize}")
        places = np.flatnonzero(base.view(bits) != image.view(bits))
        if len(places) * (4 + base.dtype.itemsize) < image.nbytes:
            self._base = base
            self._changes = SparseImage(base.shape, places.astype(np.int32), image.ravel()[places])

    def rows(self, start: int, stop: int) -> NDArray:
        """Rows start ... stop - 1 of the image."""
        image = self._base[start:stop]
        if self._changes is None:
            return image
        width = self.shape[1]
        first, last = np.searchsorted(self._changes.places, (start * width, stop * width))
        image = image.copy()
        image.ravel()[self._changes.places[first:last] - start * width] = self._changes.values[first:last]
        return image


class MaskedImage:
    """An image that is 0 outside a mask.

    Parameters
    ----------
    image : numpy.ndarray of float32, or anything with a `shape` and a method ``rows(start, stop)``
    mask : numpy.ndarray of bool, shape (h, w)
    """

    def __init__(self, image: Any, mask: NDArray[np.bool_]) -> None:
        self.shape = image.shape
        self._image, self._mask = image, mask

    def rows(self, start: int, stop: int) -> NDArray:
        """Rows start ... stop - 1 of the image."""
        return np.where(self._mask[start:stop], rows_of(self._image, start, stop), np.float32(0))
