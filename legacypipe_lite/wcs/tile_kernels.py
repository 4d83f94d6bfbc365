"""Kernels: the part of an input image that a block of output pixels needs, cut out as a small contiguous tile.

Resampling reads an image that is turned with respect to the output down its columns, where every pixel lies in
another cache line, and all lines of a column compete for the same few places of the processor's cache. A tile that
fits the cache as a whole is read as fast as an image that is not turned.
"""

import numpy as np
from numba import njit

from .grid_kernels import row_positions

__all__ = ["cut_tile", "gather", "tile_of_block", "to_tile"]

#: Rows of a block whose positions are computed to find its tile: every one in so many, and the last one.
_ROW_STEP = 16
#: Pixels by which positions between these rows may leave the rectangle around them, and the rounding to pixels.
_RESERVE = 2


@njit(cache=True, nogil=True)
def tile_of_block(grid, row0, row1, left, right, margin, positions, box):
    """Rectangle of the input image that holds the pixels of a block and a margin, clipped to the image.

    Parameters
    ----------
    grid : GridArrays
    row0, row1, left, right : int
        Rows and columns of the block in the map's rectangle, half-open.
    margin : int
    positions : RowPositions
        Scratch.
    box : int64 (4,)
        Out: x0, x1, y0, y1, half-open.

    Returns
    -------
    bool
        False if there is nothing.
    """
    n = right - left
    x, y = positions.x, positions.y
    xlo, xhi, ylo, yhi = np.inf, -np.inf, np.inf, -np.inf
    i = row0
    while True:
        row_positions(grid, i, left, right, positions)
        for j in range(n):
            # Comparisons with NaN are false.
            xlo = x[j] if x[j] < xlo else xlo
            xhi = x[j] if x[j] > xhi else xhi
            ylo = y[j] if y[j] < ylo else ylo
            yhi = y[j] if y[j] > yhi else yhi
        if i == row1 - 1:
            break
        i = min(i + _ROW_STEP, row1 - 1)
    reach = margin + _RESERVE
    if not (xhi + reach >= 0 and xlo - reach < grid.in_width and yhi + reach >= 0 and ylo - reach < grid.in_height):
        return False
    box[0] = int(max(xlo - reach, 0.0))
    box[1] = int(min(xhi + reach + 1.0, float(grid.in_width)))
    box[2] = int(max(ylo - reach, 0.0))
    box[3] = int(min(yhi + reach + 1.0, float(grid.in_height)))
    return box[0] < box[1] and box[2] < box[3]


@njit(cache=True, nogil=True)
def cut_tile(image, box, buffer):
    """Copy a rectangle of an image to the start of a buffer, row by row.

    Parameters
    ----------
    image : (h, w)
    box : int64 (4,)
        x0, x1, y0, y1, half-open.
    buffer : 1-d, same type
        Out.
    """
    x0, x1, y0, y1 = box
    width = x1 - x0
    for i in range(y1 - y0):
        # Not as an assignment of slices, which numba does value by value.
        source, target = image[y0 + i, x0:x1], buffer[i * width : (i + 1) * width]
        for j in range(width):
            target[j] = source[j]


@njit(cache=True, nogil=True)
def to_tile(n, box, ix, iy):
    """Turn pixels of the image into those of its tile; -1 stays -1.

    A pixel off the tile, which `tile_of_block` rules out, would become one at its edge: nothing outside is ever read.
    """
    width, height = box[1] - box[0], box[3] - box[2]
    for j in range(n):
        a, b = ix[j] - box[0], iy[j] - box[2]
        inside = ix[j] >= 0
        ix[j] = min(max(a, 0), width - 1) if inside else -1
        iy[j] = min(max(b, 0), height - 1) if inside else -1


@njit(cache=True, nogil=True)
def gather(n, tile, width, ix, iy, out):
    """Values of the pixels of a flat tile; 0 where there are none."""
    for j in range(n):
        out[j] = tile[iy[j] * width + ix[j]] if ix[j] >= 0 else 0
