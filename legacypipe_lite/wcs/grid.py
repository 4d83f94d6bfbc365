"""Where the pixels of an output image fall on an input image, as a coarse grid of exact positions.

The rules (control grid of about 25 pixels, margins, rounding) are those of the Legacy Surveys pipeline, so that maps,
masks and exposure counts agree with it to the pixel; see ``docs/differences``.
"""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from . import grid_kernels as kernels
from .base import ImageWcs

__all__ = ["MapGrid"]

#: Nodes along each axis between which pixel areas are interpolated.
_AREA_NODES = 12


class MapGrid:
    """Map of the pixels of an output image to an input image; use `MapGrid.build`.

    It covers a rectangular box of the output image, which holds every output pixel that can lie on the input image.
    Kernels compute the positions from it row by row (`grid_kernels.row_positions`), so that no map as large as the
    image need exist.

    Attributes
    ----------
    x0, y0 : int
        Origin of the box in the output image.
    shape : (int, int)
        Of the box.
    in_shape : (int, int)
        Of the input image.
    rounded : bool
        Positions are rounded to float32, as the published ones; not so in small boxes.
    arrays : grid_kernels.GridArrays
        For the kernels.
    """

    def __init__(
        self,
        x0: int,
        y0: int,
        shape: tuple[int, int],
        in_shape: tuple[int, int],
        rounded: bool,
        arrays: kernels.GridArrays,
    ) -> None:
        self.x0, self.y0, self.shape, self.in_shape = x0, y0, shape, in_shape
        self.rounded, self.arrays = rounded, arrays

    @classmethod
    def build(cls, out_wcs: ImageWcs, in_wcs: ImageWcs) -> Self | None:
        """Map of the pixels of `out_wcs` to those of `in_wcs`.

        Parameters
        ----------
        out_wcs, in_wcs : ImageWcs

        Returns
        -------
        MapGrid or None
            None if the two images do not overlap.
        """
        out_packed, in_packed = out_wcs.pack(), in_wcs.pack()
        sizes = (out_wcs.width, out_wcs.height, in_wcs.width, in_wcs.height)
        overlap, rounded, xlo, xhi, ylo, yhi = kernels.plan_box(out_packed, in_packed, *sizes)
        if not overlap:
            return None
        arrays = kernels.make_grid(out_packed, in_packed, *sizes[2:], rounded, xlo, xhi, ylo, yhi)
        return cls(xlo, ylo, (yhi - ylo + 1, xhi - xlo + 1), in_wcs.shape, rounded, arrays)

    @property
    def box(self) -> tuple[slice, slice]:
        """Slices (y, x) of the box in the output image."""
        h, w = self.shape
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)

    def area_ratios(self, out_wcs: ImageWcs, in_wcs: ImageWcs) -> NDArray[np.float32]:
        """Ratio of the true area of an output pixel to that of the input pixel it falls on, all over the box.

        Parameters
        ----------
        out_wcs, in_wcs : ImageWcs
            As for `build`.

        Returns
        -------
        numpy.ndarray of float32, shape of the box
            The areas are smooth: they are evaluated on a coarse grid and interpolated (bicubic, 1e-7 or better).
        """
        height, width = self.shape
        ys = np.linspace(self.y0, self.y0 + max(height - 1, 1), _AREA_NODES)
        xs = np.linspace(self.x0, self.x0 + max(width - 1, 1), _AREA_NODES)
        ratios = np.empty((_AREA_NODES, _AREA_NODES))
        for i, y in enumerate(ys):
            for j, x in enumerate(xs):
                there = in_wcs.local_jacobian(*out_wcs.map_to(in_wcs, x, y))
                ratios[i, j] = abs(np.linalg.det(out_wcs.local_jacobian(x, y)) / np.linalg.det(there))
        spline = RectBivariateSpline(ys, xs, ratios)
        return spline(self.y0 + np.arange(height), self.x0 + np.arange(width)).astype(np.float32)
