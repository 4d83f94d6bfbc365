"""Pixel maps between two images on the sky, with nearest-neighbour and Lanczos-3 resampling."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from . import grid_kernels
from . import resample_kernels as kernels
from .base import ImageWcs
from .grid import MapGrid

__all__ = ["PixelMap"]

_FLAT_TABLE = kernels.LANCZOS_TABLE.ravel()


class PixelMap:
    """Where the pixels of an output image fall on an input image.

    Use `PixelMap.build`. The map covers a rectangular box of the output image, which holds every output pixel
    that can lie on the input image.

    Attributes
    ----------
    x0, y0 : int
        Origin of the box in the output image.
    fx, fy : numpy.ndarray, shape (box height, box width)
        Position on the input image (0-based pixels): float32, as `MapGrid` rounds it; float64 in small boxes, where a
        padded grid gives it to 1e-9 pixel.
    ix, iy : numpy.ndarray of int32
        Nearest input pixel, -1 where the output pixel lies off the input image. Nearest means truncation
        toward zero of the position + 0.5: positions down to -1.5 (exclusive) count as pixel 0.
    """

    def __init__(
        self, x0: int, y0: int, fx: NDArray[np.floating], fy: NDArray[np.floating], in_shape: tuple[int, int]
    ) -> None:
        self.x0, self.y0 = int(x0), int(y0)
        self.fx, self.fy = fx, fy
        self.in_shape = in_shape
        self.ix = np.empty(fx.shape, np.int32)
        self.iy = np.empty(fx.shape, np.int32)
        kernels.nearest_maps(fx, fy, fx.dtype.type(0.5), in_shape[1], in_shape[0], self.ix, self.iy)

    @classmethod
    def build(cls, out_wcs: ImageWcs, in_wcs: ImageWcs) -> Self | None:
        """Map of the pixels of `out_wcs` to those of `in_wcs`.

        Parameters
        ----------
        out_wcs, in_wcs : ImageWcs

        Returns
        -------
        PixelMap or None
            None if the two images do not overlap.
        """
        grid = MapGrid.build(out_wcs, in_wcs)
        return None if grid is None else cls.from_grid(grid)

    @classmethod
    def from_grid(cls, grid: MapGrid) -> Self:
        """All positions of a `MapGrid`."""
        new = object.__new__(cls)
        new.x0, new.y0, new.in_shape = grid.x0, grid.y0, grid.in_shape
        new.fx, new.fy = np.empty((2, *grid.shape), np.float32 if grid.rounded else np.float64)
        new.ix, new.iy = np.empty((2, *grid.shape), np.int32)
        grid_kernels.fill_maps(grid.arrays, new.fx, new.fy, new.ix, new.iy)
        return new

    @property
    def box(self) -> tuple[slice, slice]:
        """Slices (y, x) of the box in the output image."""
        h, w = self.fx.shape
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Boolean map of the box: True where the output pixel lies on the input image."""
        return self.ix >= 0

    def nearest(self, image: NDArray) -> NDArray:
        """Nearest-neighbour values of an input image in the box (0 off the image)."""
        out = np.zeros(self.fx.shape, dtype=image.dtype)
        ok = self.valid
        out[ok] = image[self.iy[ok], self.ix[ok]]
        return out

    def lanczos(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Lanczos-3 resampled values (float32) of a float32 input image in the box (0 off the image)."""
        out = np.empty(self.fx.shape, np.float32)
        image = np.ascontiguousarray(image, np.float32)
        kernels.lanczos_image(image, self.fx, self.fy, self.ix, self.iy, _FLAT_TABLE, out)
        return out
