"""What is kept of the stacks of a band for the pictures of all bands."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .accumulate import BandCoadd
from .sparse import rows_of

__all__ = ["picture_sources"]


class _NonZero:
    """An image of which only the pixels that are not 0 are kept, with a bit for each pixel.

    Parameters
    ----------
    image : numpy.ndarray of float32, shape (h, w)
    """

    def __init__(self, image):
        self.shape = image.shape
        kept = image != 0
        self._kept = np.packbits(kept, axis=1)
        self._first = np.concatenate([[0], np.cumsum(np.count_nonzero(kept, axis=1))])
        self._values = image[kept]

    def rows(self, start, stop):
        """Rows start ... stop - 1 of the image."""
        image = np.zeros((stop - start, self.shape[1]), self._values.dtype)
        kept = np.unpackbits(self._kept[start:stop], axis=1, count=self.shape[1]).view(bool)
        image[kept] = self._values[self._first[start] : self._first[stop]]
        return image


class _Residual:
    """Image minus model where there is weight, 0 elsewhere: the map `resid` of a `BandCoadd`.

    Parameters
    ----------
    image, model : numpy.ndarray of float32, shape (h, w)
    invvar : numpy.ndarray of float32, shape (h, w)
        Only whether it is 0 is kept.
    """

    def __init__(self, image, model, invvar):
        self.shape = image.shape
        self._image, self._model = image, model
        self._has_weight = np.packbits(invvar != 0, axis=1)

    def rows(self, start, stop):
        """Rows start ... stop - 1 of the map."""
        has_weight = np.unpackbits(self._has_weight[start:stop], axis=1, count=self.shape[1]).view(bool)
        return np.where(
            has_weight, rows_of(self._image, start, stop) - rows_of(self._model, start, stop), np.float32(0)
        )


def picture_sources(coadd: BandCoadd, names: Sequence[str]) -> dict[str, Any]:
    """Sources of `rgb` for maps of a band, which do not keep the rest of its stacks in memory.

    Parameters
    ----------
    coadd : BandCoadd
    names : sequence of str
        Of "image", "model", "blobmodel" and "resid", the last one only with "image" and "model".

    Returns
    -------
    dict of str -> object
        Images, or objects with a `shape` and a method ``rows(start, stop)``.
    """
    sources: dict[str, Any] = {}
    for name in names:
        if name == "resid":
            sources[name] = _Residual(sources["image"], sources["model"], coadd.invvar)
            continue
        image = getattr(coadd, name)
        # Copies: the maps of a band are planes of one large block, which is freed before the next band.
        sources[name] = _NonZero(image) if np.count_nonzero(image) < 0.9 * image.size else image.copy()
    return sources
