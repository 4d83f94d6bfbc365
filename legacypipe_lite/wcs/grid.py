"""Where the pixels of an output image fall on an input image, as a coarse grid of exact positions.

The rules (control grid of about 25 pixels, margins, rounding) are those of the Legacy Surveys pipeline, so that maps,
masks and exposure counts agree with it to the pixel; see ``docs/differences``.
"""

import math

import numpy as np

from . import grid_kernels as kernels

__all__ = ["MapGrid"]

GRID_STEP = 25
GRID_MARGIN = 12


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

    def __init__(self, x0, y0, shape, in_shape, rounded, arrays):
        self.x0, self.y0, self.shape, self.in_shape = x0, y0, shape, in_shape
        self.rounded, self.arrays = rounded, arrays

    @classmethod
    def build(cls, out_wcs, in_wcs):
        """Map of the pixels of `out_wcs` to those of `in_wcs`.

        Parameters
        ----------
        out_wcs, in_wcs : ImageWcs

        Returns
        -------
        MapGrid or None
            None if the two images do not overlap.
        """
        wi, hi = in_wcs.width, in_wcs.height
        cx, cy = in_wcs.map_to(out_wcs, [0, 0, wi - 1, wi - 1], [0, hi - 1, hi - 1, 0])
        if not (np.all(np.isfinite(cx)) and np.all(np.isfinite(cy))):
            return None
        x0, x1 = int(np.rint(cx.min())), int(np.rint(cx.max()))
        y0, y1 = int(np.rint(cy.min())), int(np.rint(cy.max()))
        xlo, xhi = max(0, x0 - GRID_MARGIN), min(out_wcs.width - 1, x1 + GRID_MARGIN)
        ylo, yhi = max(0, y0 - GRID_MARGIN), min(out_wcs.height - 1, y1 + GRID_MARGIN)
        if xlo > xhi or ylo > yhi:
            return None
        nx = math.ceil((xhi - xlo) / GRID_STEP) + 1
        ny = math.ceil((yhi - ylo) / GRID_STEP) + 1
        rounded = nx > 3 and ny > 3
        if not rounded:
            # Small boxes have no margin, and positions are not rounded to float32. A grid, padded so that it has an
            # extent, gives them to 1e-9 pixel.
            xlo, xhi = max(0, x0), min(out_wcs.width - 1, x1)
            ylo, yhi = max(0, y0), min(out_wcs.height - 1, y1)
            if xlo > xhi or ylo > yhi:
                return None
        arrays = _arrays(out_wcs, in_wcs, xlo, xhi, ylo, yhi, rounded)
        return cls(xlo, ylo, (yhi - ylo + 1, xhi - xlo + 1), in_wcs.shape, rounded, arrays)

    @property
    def box(self):
        """Slices (y, x) of the box in the output image."""
        h, w = self.shape
        return slice(self.y0, self.y0 + h), slice(self.x0, self.x0 + w)


def _arrays(out_wcs, in_wcs, xlo, xhi, ylo, yhi, rounded):
    lo_x, step_x, nx = _nodes(xlo, xhi, rounded)
    lo_y, step_y, ny = _nodes(ylo, yhi, rounded)
    w, h = xhi - xlo + 1, yhi - ylo + 1
    node_x, node_y = np.empty((2, ny, nx))
    kernels.exact_nodes(out_wcs.pack(), in_wcs.pack(), lo_x, step_x, lo_y, step_y, node_x, node_y)
    index_x, index_y = np.empty(w, np.int64), np.empty(h, np.int64)
    weights_x, weights_y = np.empty((4, w)), np.empty((4, h))
    kernels.lagrange_weights(w, lo_x, step_x, xlo, nx, index_x, weights_x)
    kernels.lagrange_weights(h, lo_y, step_y, ylo, ny, index_y, weights_y)
    changes = np.flatnonzero(index_x[1:] != index_x[:-1]) + 1
    segments = np.concatenate([[0], changes, [w]])
    return kernels.GridArrays(
        node_x, node_y, index_x, index_y, weights_x, weights_y, segments, rounded, in_wcs.width, in_wcs.height
    )


def _nodes(lo, hi, rounded):
    """First node, spacing and number of nodes of a grid over the pixels lo ... hi."""
    first, last = float(lo), float(hi)
    if not rounded:
        first, last = first - 2.0, last + 2.0
    n = max(math.ceil((last - first) / GRID_STEP) + 1, 4)
    return first, (last - first) / (n - 1), n
