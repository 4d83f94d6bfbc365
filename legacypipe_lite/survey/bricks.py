"""Bricks: the named patches of sky that the survey is cut into, and custom ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, NoSuchBrickError, UsageError
from ..tables import open_fits, read_columns

if TYPE_CHECKING:
    from ..wcs import ImageWcs, TanWcs

__all__ = ["Brick", "find_brick", "parse_radec"]

_COLUMNS = ("brickname", "brickid", "ra", "dec", "ra1", "ra2", "dec1", "dec2")
_TILE = 64  # pixels


@dataclass(frozen=True)
class Brick:
    """A patch of sky.

    Attributes
    ----------
    name : str
        E.g. ``"1102p240"``: ten times RA, p or m, ten times Dec, of the centre.
    brickid : int
        Number in the table of bricks (1-based), -1 for a custom brick.
    ra, dec : float
        Centre [deg].
    ra1, ra2, dec1, dec2 : float
        The brick's own area [deg], half-open; ra1 > ra2 if it spans RA 0.
    custom : bool
        Not of the table of bricks.
    """

    name: str
    brickid: int
    ra: float
    dec: float
    ra1: float
    ra2: float
    dec1: float
    dec2: float
    custom: bool = False

    @classmethod
    def around(cls, ra: float, dec: float, target_wcs: TanWcs) -> Any:
        """The custom brick at a position, with the bounds of its (zoomed) target image.

        Parameters
        ----------
        ra, dec : float
            Degrees.
        target_wcs : wcs.TanWcs
        """
        w, h = target_wcs.width, target_wcs.height
        # Edge middles at FITS pixels (W, H/2), (1, H/2), (W/2, 1), (W/2, H).
        ra1, _ = target_wcs.pixel_to_sky(w - 1.0, h / 2.0 - 1.0)
        ra2, _ = target_wcs.pixel_to_sky(0.0, h / 2.0 - 1.0)
        _, dec1 = target_wcs.pixel_to_sky(w / 2.0 - 1.0, 0.0)
        _, dec2 = target_wcs.pixel_to_sky(w / 2.0 - 1.0, h - 1.0)
        return cls(custom_brick_name(ra, dec), -1, ra, dec, ra1, ra2, dec1, dec2, custom=True)

    def contains(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.bool_]:
        """True where a position belongs to the brick's own area.

        Parameters
        ----------
        ra, dec : array_like
            Degrees, RA in [0, 360).

        Returns
        -------
        numpy.ndarray of bool
        """
        ra, dec = np.asarray(ra), np.asarray(dec)
        if self.ra1 > self.ra2:
            inside = (ra >= self.ra1) | (ra < self.ra2)
        else:
            inside = (ra >= self.ra1) & (ra < self.ra2)
        return inside & (dec >= self.dec1) & (dec < self.dec2)

    def unique_pixels(self, target_wcs: ImageWcs) -> NDArray[np.bool_]:
        """Map of the target pixels whose centres lie in the brick's own area.

        Parameters
        ----------
        target_wcs : wcs.ImageWcs

        Returns
        -------
        numpy.ndarray of bool, shape (height, width)
        """
        h, w = target_wcs.shape
        unique = np.ones((h, w), bool)
        for y, x in self._tiles_at_border(target_wcs):
            columns, rows = np.arange(x.start, x.stop), np.arange(y.start, y.stop)
            unique[y, x] = self.contains(*target_wcs.pixel_to_sky(columns[np.newaxis, :], rows[:, np.newaxis]))
        return unique

    def _tiles_at_border(self, target_wcs: ImageWcs) -> Iterator[Any]:
        """Tiles (slices y, x) of a target that may have pixels outside the brick's own area.

        A tile whose corners, moved outwards by a pixel, are all inside has none: over the length of a tile the area's
        border is straight to much less than a pixel.
        """
        h, w = target_wcs.shape
        y0, x0 = np.arange(0, h, _TILE), np.arange(0, w, _TILE)
        y1, x1 = np.minimum(y0 + _TILE, h), np.minimum(x0 + _TILE, w)
        inside = np.ones((len(y0), len(x0)), bool)
        for y in (y0 - 1, y1):
            for x in (x0 - 1, x1):
                inside &= self.contains(*target_wcs.pixel_to_sky(x[np.newaxis, :], y[:, np.newaxis]))
        for i, j in zip(*np.nonzero(~inside)):
            yield slice(int(y0[i]), int(y1[i])), slice(int(x0[j]), int(x1[j]))


def custom_brick_name(ra: Any, dec: Any) -> str:
    """Name of the custom brick at a position [deg], e.g. ``custom-009122p03397``."""
    return f"custom-{int(1000 * ra):06d}{'m' if dec < 0 else 'p'}{int(1000 * abs(dec)):05d}"


def find_brick(path: Path | None, name: str) -> Brick:
    """The brick of that name in a table of bricks.

    Parameters
    ----------
    path : Path or None
        The table (None: there is none).
    name : str

    Returns
    -------
    Brick

    Raises
    ------
    NoSuchBrickError
        If the table has no such brick.
    InputError
        If there is no table, or it cannot be read.
    """
    if path is None:
        raise InputError("no survey-bricks.fits.gz in the survey directory: needed for --brick (or use --radec)")
    with open_fits(path) as fits:
        names = np.char.rstrip(read_columns(fits, path, columns=["brickname"])["brickname"])
        rows = np.flatnonzero(names == name)
        if len(rows) == 0:
            raise NoSuchBrickError(f"No such brick: {name} is not in {path}")
        row = read_columns(fits, path, columns=list(_COLUMNS), rows=rows[:1])[0]
    ra, dec, ra1, ra2, dec1, dec2 = (float(row[c]) for c in _COLUMNS[2:])
    return Brick(name, int(row["brickid"]), ra, dec, ra1, ra2, dec1, dec2)


def parse_radec(ra: str | float, dec: str | float) -> tuple[float, float]:
    """RA and Dec in degrees from what the user typed: decimal degrees, or hh:mm:ss and dd:mm:ss.

    Parameters
    ----------
    ra, dec : str or float

    Returns
    -------
    ra, dec : float
        RA in [0, 360).

    Raises
    ------
    UsageError
    """
    ra_deg = _angle(ra, 15.0)
    dec_deg = _angle(dec, 1.0)
    if ra_deg is None or dec_deg is None or not abs(ra_deg) <= 360 or not abs(dec_deg) <= 90:
        raise UsageError(f"--radec {ra} {dec}: give degrees, or hh:mm:ss and dd:mm:ss, with Dec within -90 to 90")
    return ra_deg % 360.0, dec_deg


def _angle(text: Any, degrees_per_unit: Any) -> Any:
    """Degrees of a decimal or sexagesimal number; None if it is neither."""
    parts = str(text).strip().split(":")
    try:
        if len(parts) == 1:
            return float(parts[0])
        if len(parts) > 3:
            return None
        numbers = [float(p) for p in parts]
    except ValueError:
        return None
    if any(not 0 <= n < 60 for n in numbers[1:]):
        return None
    total = abs(numbers[0]) + sum(n / 60.0 ** (i + 1) for i, n in enumerate(numbers[1:]))
    sign = -1.0 if parts[0].strip().startswith("-") else 1.0
    return sign * total * degrees_per_unit
