"""The grid of bricks of a quarter of a degree that covers the sky, computed: no table is needed.

The rules are those of the published table of 662,174 bricks (legacysurvey.org/dr10/files/#survey-bricks-fits-gz): rows
of equal height, the first and last of half height; in each row an even number of columns of equal width.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError

__all__ = ["BRICK_SIZE", "GridBricks", "brick_numbers", "bricks_at", "bricks_in_box", "brick_of_name"]

#: Height of a brick [deg].
BRICK_SIZE = 0.25
_ROWS = 721


class GridBricks(NamedTuple):
    """Bricks of the grid, as columns of equal length.

    Attributes
    ----------
    name : numpy.ndarray of str
    brickid, row, column, quadrant : numpy.ndarray of int
    ra, dec : numpy.ndarray of float
        Centre [deg].
    ra1, ra2, dec1, dec2 : numpy.ndarray of float
        The brick's own area [deg]; half-open: ``ra1 <= RA < ra2`` and ``dec1 <= Dec < dec2``.
    """

    name: NDArray
    brickid: NDArray
    row: NDArray
    column: NDArray
    quadrant: NDArray
    ra: NDArray
    dec: NDArray
    ra1: NDArray
    ra2: NDArray
    dec1: NDArray
    dec2: NDArray


@cache
def _columns_of_rows():
    """Number of columns of each row, and number of bricks before it."""
    dec = -90 + BRICK_SIZE * np.arange(_ROWS)
    lowest = np.maximum(0, np.abs(dec) - BRICK_SIZE / 2)
    n = (2 * np.ceil(360 / BRICK_SIZE * np.cos(np.deg2rad(lowest)) / 2)).astype(np.int64)
    n[[0, -1]] = 1
    return n, np.concatenate([[0], np.cumsum(n)[:-1]])


def brick_numbers(row: NDArray, column: NDArray) -> GridBricks:
    """The bricks in the given rows and columns of the grid.

    Parameters
    ----------
    row, column : array_like of int
        Row 0 ... 720 from the south pole, column from RA 0.

    Returns
    -------
    GridBricks
    """
    row, column = np.broadcast_arrays(np.atleast_1d(row), np.atleast_1d(column))
    n, before = _columns_of_rows()
    dec = -90 + BRICK_SIZE * row
    ra = (column + 0.5) * 360.0 / n[row]
    return GridBricks(
        name=_names(ra, dec),
        brickid=1 + column + before[row],
        row=row,
        column=column,
        quadrant=2 * (row % 2) + column % 2,
        ra=ra,
        dec=dec.astype(float),
        ra1=column * 360.0 / n[row],
        ra2=(column + 1) * 360.0 / n[row],
        dec1=np.maximum(-90, dec - BRICK_SIZE / 2),
        dec2=np.minimum(90, dec + BRICK_SIZE / 2),
    )


def _names(ra, dec):
    ra, dec = np.round(ra, 4), np.round(dec, 4)
    # A product like 10 * 110.3 may fall just below the integer that it means.
    ra10 = np.floor(10 * ra + 1e-6).astype(int)
    dec10 = np.floor(10 * np.abs(dec) + 1e-6).astype(int)
    # Characters as numbers, since formatting a million names one by one takes seconds.
    digits = [ra10 // 1000, ra10 // 100, ra10 // 10, ra10, None, dec10 // 100, dec10 // 10, dec10]
    letters = np.empty((*ra.shape, len(digits)), np.uint32)
    for i, digit in enumerate(digits):
        letters[..., i] = np.where(dec >= 0, ord("p"), ord("m")) if digit is None else ord("0") + digit % 10
    return letters.view(f"U{len(digits)}")[..., 0]


def bricks_at(ra: ArrayLike, dec: ArrayLike) -> GridBricks:
    """The brick whose own area holds each position; every position lies in exactly one.

    Parameters
    ----------
    ra, dec : array_like
        Degrees, any RA.

    Returns
    -------
    GridBricks

    Raises
    ------
    UsageError
        If a position is not finite or beyond a pole.
    """
    ra, dec = np.broadcast_arrays(np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float)))
    if not (np.isfinite(ra).all() and (np.abs(dec) <= 90).all()):
        raise UsageError("RA and Dec must be finite, Dec within -90 to 90 degrees")
    return brick_numbers(*_row_and_column(ra, dec))


def _row_and_column(ra, dec):
    ra = np.mod(ra, 360.0)
    ra[ra >= 360.0] = 0.0
    row = np.clip(np.floor((dec + 90 + BRICK_SIZE / 2) / BRICK_SIZE).astype(np.int64), 0, _ROWS - 1)
    # Rounding may put a position on the wrong side of an edge: the edges of the table decide.
    low = -90 + BRICK_SIZE * row - BRICK_SIZE / 2
    row = np.clip(row + (dec >= low + BRICK_SIZE) - (dec < low), 0, _ROWS - 1)
    n = _columns_of_rows()[0][row]
    column = np.minimum(np.floor(ra / 360.0 * n).astype(np.int64), n - 1)
    column = column + (ra >= (column + 1) * 360.0 / n) - (ra < column * 360.0 / n)
    return row, np.mod(column, n)


def bricks_in_box(ra_low: float, ra_high: float, dec_low: float, dec_high: float) -> GridBricks:
    """Bricks whose own areas touch a box.

    Parameters
    ----------
    ra_low, ra_high : float
        Degrees; the box wraps at RA 0 if `ra_low` is larger than `ra_high` (both modulo 360, unless they are 360 or
        more apart).
    dec_low, dec_high : float
        Degrees.

    Returns
    -------
    GridBricks
    """
    all_round = ra_high - ra_low >= 360
    first, last = _row_and_column(np.zeros(2), np.clip([dec_low, dec_high], -90.0, 90.0))[0]
    rows, columns = [], []
    for row in range(first, last + 1):
        n = int(_columns_of_rows()[0][row])
        if all_round or n == 1:
            here = np.arange(n)
        else:
            dec = np.full(2, np.clip(-90 + BRICK_SIZE * row, -90, 90))
            start, stop = _row_and_column(np.array([ra_low, ra_high], float), dec)[1]
            count = (stop - start) % n
            if count == 0 and (ra_high - ra_low) % 360 > 360 / n:
                count = n - 1
            here = (start + np.arange(count + 1)) % n
        rows.append(np.full(len(here), row))
        columns.append(here)
    return brick_numbers(np.concatenate(rows), np.concatenate(columns))


def brick_of_name(name: str) -> GridBricks | None:
    """The brick of the grid with a name such as ``1102p240``; None if there is none."""
    if len(name) != 8 or not (name[:4] + name[5:]).isdigit() or name[4] not in "pm":
        return None
    dec = (1 if name[4] == "p" else -1) * (int(name[5:]) / 10 + 0.05)
    ra = int(name[:4]) / 10 + 0.05
    row = np.clip(np.rint((dec + 90) / BRICK_SIZE).astype(int) + np.arange(-1, 2), 0, _ROWS - 1)
    for r in np.unique(row):
        n = int(_columns_of_rows()[0][r])
        column = np.mod(int(ra / 360 * n) + np.arange(-1, 2), n)
        found = brick_numbers(np.full(3, r), column)
        here = np.flatnonzero(found.name == name)
        if len(here):
            return GridBricks(*(values[here[:1]] for values in found))
    return None
