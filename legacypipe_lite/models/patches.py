"""Rendered patches: sources drawn into small rectangles of images."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .patches_kernels import add_patches

__all__ = ["Patch", "Patches", "add_patches", "EVERYWHERE"]

#: For `add_patches`: all pixels are usable.
EVERYWHERE = np.empty(0, np.float32)


class Patch(NamedTuple):
    """A source drawn into a rectangle of an image, clipped to it.

    Attributes
    ----------
    x0, y0 : int
        First pixel in the image.
    values : numpy.ndarray of float32, shape (h, w)
        Nanomaggies per pixel, at the source's flux.
    """

    x0: int
    y0: int
    values: NDArray[np.float32]

    def cut(self, image: NDArray) -> NDArray:
        """The same rectangle of another array of the image's shape, as a view."""
        h, w = self.values.shape
        return image[self.y0 : self.y0 + h, self.x0 : self.x0 + w]

    def add_to(self, image: NDArray[np.float32], where: NDArray[np.bool_] | bool = True) -> None:
        """Add it to an image; only to pixels of the rectangle that are True in `where`."""
        part = self.cut(image)
        np.add(part, self.values, out=part, where=where)


class Patches(NamedTuple):
    """Many patches, one after the other: of one source in many images, or of many sources in one image.

    Kernels take it as it is.

    Attributes
    ----------
    rectangles : numpy.ndarray of int32, shape (n, 4)
        x0, y0, w, h in the image; w = 0 where there is none.
    offset : numpy.ndarray of int64, shape (n,)
        Start of each patch in `values`.
    values : numpy.ndarray of float32
        Pixels, row after row.
    """

    rectangles: NDArray[np.int32]
    offset: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def empty(cls, rectangles: NDArray[np.int32]) -> "Patches":
        """Room for the pixels of given rectangles."""
        sizes = rectangles[:, 2].astype(np.int64) * rectangles[:, 3]
        return cls(rectangles, np.cumsum(sizes) - sizes, np.empty(int(sizes.sum()), np.float32))

    def patch(self, i: int) -> Patch | None:
        """One of them; None if it has no pixels."""
        x0, y0, w, h = (int(v) for v in self.rectangles[i])
        if w == 0:
            return None
        return Patch(x0, y0, self.values[self.offset[i] : self.offset[i] + w * h].reshape(h, w))
