"""Bricks: the named patches of sky that the survey is cut into, and custom ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..columns import to_numbers
from ..errors import InputError, NoSuchBrickError, UsageError
from ..names import did_you_mean
from ..tables import open_fits, read_columns
from ..wcs import TanWcs, great_circle_distance, target_wcs

if TYPE_CHECKING:
    from ..wcs import ImageWcs

__all__ = ["Brick", "brick_and_target", "bricks_with_ccds", "find_brick", "parse_radec"]

_COLUMNS = ("brickname", "brickid", "ra", "dec", "ra1", "ra2", "dec1", "dec2")
_TILE = 64  # pixels
_FIRST_CUSTOM_ID = 662175  # the survey has 662174 bricks
_NAME = re.compile(r"(\d{4})([pm])(\d{3})")
_NEAR = 1.0  # degrees
_BRICK_RADIUS = 0.19  # degrees
_MOST_COMPARED = 2000


@dataclass(frozen=True)
class Brick:
    """A patch of sky.

    Attributes
    ----------
    name : str
        E.g. ``"1102p240"``: ten times RA, p or m, ten times Dec, of the centre.
    brickid : int
        Number in the table of bricks (1-based); of a custom brick above the numbers of that table.
    ra, dec : float
        Centre [deg].
    ra1, ra2, dec1, dec2 : float
        The brick's own area [deg], half-open; ra1 > ra2 if it spans RA 0.
    custom : bool
        Not of the table of bricks.
    boxed : bool
        A custom brick whose own area is within the bounds, as that of others; if False, it is the whole image.
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
    boxed: bool = False

    @classmethod
    def around(
        cls,
        ra: float,
        dec: float,
        target_wcs: TanWcs,
        *,
        brickid: int | None = None,
        short_name: bool = False,
        box: tuple[float, ...] | None = None,
    ) -> Brick:
        """The custom brick at a position, with the bounds of its (zoomed) target image.

        Parameters
        ----------
        ra, dec : float
            Degrees.
        target_wcs : wcs.TanWcs
        brickid : int, optional
            Default: `custom_brick_id`.
        short_name : bool
            See `custom_brick_name`.
        box : (float, float, float, float), optional
            ra1, ra2, dec1, dec2 of its own area, instead of the whole image.
        """
        name = custom_brick_name(ra, dec, short_name)
        brickid = custom_brick_id(ra, dec, target_wcs) if brickid is None else brickid
        if box is not None:
            ra1, ra2, dec1, dec2 = (float(value) for value in box)
            return cls(name, brickid, ra, dec, ra1, ra2, dec1, dec2, custom=True, boxed=True)
        w, h = target_wcs.width, target_wcs.height
        # Edge middles at FITS pixels (W, H/2), (1, H/2), (W/2, 1), (W/2, H).
        ra1, _ = target_wcs.pixel_to_sky(w - 1.0, h / 2.0 - 1.0)
        ra2, _ = target_wcs.pixel_to_sky(0.0, h / 2.0 - 1.0)
        _, dec1 = target_wcs.pixel_to_sky(w / 2.0 - 1.0, 0.0)
        _, dec2 = target_wcs.pixel_to_sky(w / 2.0 - 1.0, h - 1.0)
        return cls(name, brickid, ra, dec, ra1, ra2, dec1, dec2, custom=True)

    @property
    def whole(self) -> bool:
        """True if all of the brick's image is its own area."""
        return self.custom and not self.boxed

    def owns(self, ra: ArrayLike, dec: ArrayLike, target_wcs: ImageWcs) -> NDArray[np.bool_]:
        """True where a position belongs to the brick's own area: of a custom brick, where it lies on the image.

        Parameters
        ----------
        ra, dec : array_like
            Degrees, RA in [0, 360).
        target_wcs : wcs.ImageWcs

        Returns
        -------
        numpy.ndarray of bool
        """
        if not self.whole:
            return self.contains(ra, dec)
        x, y = target_wcs.sky_to_pixel(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
        return (x >= -0.5) & (x < target_wcs.width - 0.5) & (y >= -0.5) & (y < target_wcs.height - 0.5)

    def contains(self, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.bool_]:
        """True where a position lies within the bounds in RA and Dec.

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
        """Map of the target pixels whose centres lie in the brick's own area (see `owns`).

        Parameters
        ----------
        target_wcs : wcs.ImageWcs

        Returns
        -------
        numpy.ndarray of bool, shape (height, width)
        """
        h, w = target_wcs.shape
        unique = np.ones((h, w), bool)
        if self.whole:
            return unique
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


def custom_brick_name(ra: float, dec: float, short: bool = False) -> str:
    """Name of the custom brick at a position [deg], e.g. ``custom-009122p03397``; short: ``0091p033``.

    A short name has the 8 characters of the survey's own bricks, and might be that of one of them.
    """
    sign = "m" if dec < 0 else "p"
    if short:
        return f"{int(10 * ra):04d}{sign}{int(10 * abs(dec)):03d}"
    return f"custom-{int(1000 * ra):06d}{sign}{int(1000 * abs(dec)):05d}"


def custom_brick_id(ra: float, dec: float, target_wcs: TanWcs) -> int:
    """Number of the custom brick at a position [deg]: a hash of position, size and scale, above the survey's numbers.

    Parameters
    ----------
    ra, dec : float
    target_wcs : wcs.TanWcs
        Of its (zoomed) target image.

    Returns
    -------
    int
        662175 to 2^31 - 1. Two bricks may have the same number, though not in practice: of 1000, with a probability
        of 2e-4.
    """
    x, y = target_wcs.crpix
    text = f"{ra:.7f} {dec:.7f} {target_wcs.width} {target_wcs.height} {x:.3f} {y:.3f} {target_wcs.pixel_scale:.6f}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return _FIRST_CUSTOM_ID + number % (2**31 - _FIRST_CUSTOM_ID)


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
            hint = _like(name, names, fits, path)
            raise NoSuchBrickError(f"No such brick: {name} is not in {path}{hint}")
        row = read_columns(fits, path, columns=list(_COLUMNS), rows=rows[:1])[0]
    ra, dec, ra1, ra2, dec1, dec2 = (float(row[c]) for c in _COLUMNS[2:])
    return Brick(name, int(row["brickid"]), ra, dec, ra1, ra2, dec1, dec2)


def _like(name: str, names: NDArray[np.str_], fits: Any, path: Path) -> str:
    """What may have been meant by a name that is not in a table of bricks: the nearest brick, or a similar name."""
    match = _NAME.fullmatch(name.strip())
    if match is None:
        start = name.strip().lower()[:3]
        return did_you_mean(name, names[np.char.startswith(np.char.lower(names), start)][:_MOST_COMPARED])
    ra, dec = float(match[1]) / 10, float(match[3]) / 10 * (-1 if match[2] == "m" else 1)
    centres = read_columns(fits, path, columns=["ra", "dec"])
    apart = great_circle_distance(np.asarray(centres["ra"], float), np.asarray(centres["dec"], float), ra, dec)
    nearest = int(np.nanargmin(apart))
    return f"; did you mean {names[nearest]}?" if apart[nearest] < _NEAR else "; it has no brick near there"


def bricks_with_ccds(survey: Any, region: Any = None) -> list[str]:
    """Names of the bricks on which there are CCDs, by the positions in the CCD tables.

    Parameters
    ----------
    survey : SurveyDirectory
    region : sequence of 4 floats, optional
        RA1, RA2, Dec1, Dec2 [deg], in which the centres of the bricks must lie; RA1 > RA2 spans RA 0.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If there is no table of bricks or CCDs.
    """
    path = survey.bricks_file()
    if path is None:
        raise InputError("no survey-bricks.fits.gz in the survey directory: needed for --region and --all")
    with open_fits(path) as fits:
        bricks = read_columns(fits, path, columns=["brickname", "ra", "dec"])
    keep = np.ones(len(bricks), bool)
    if region is not None:
        ra1, ra2, dec1, dec2 = region
        after, before = bricks["ra"] >= ra1, bricks["ra"] <= ra2
        keep = (after & before) if ra1 <= ra2 else (after | before)
        keep &= (bricks["dec"] >= dec1) & (bricks["dec"] <= dec2)
    near = np.zeros(len(bricks), bool)
    for file in survey.ccd_files():
        with open_fits(file) as fits:
            near |= _near_ccds(bricks, fits, file)
    return [str(name).strip() for name in bricks["brickname"][keep & near]]


def _near_ccds(bricks: NDArray[np.void], fits: Any, file: Path) -> NDArray[np.bool_]:
    """Bricks whose centre is near that of a CCD: within the sizes of both."""
    from scipy.spatial import cKDTree

    ccds = read_columns(fits, file, columns=["ra", "dec", "width", "height", "cd1_1", "cd1_2", "cd2_1", "cd2_2"])
    numbers = {name: to_numbers(ccds[name])[0].astype(float) for name in ccds.dtype.names or ()}
    scale = np.sqrt(np.abs(numbers["cd1_1"] * numbers["cd2_2"] - numbers["cd1_2"] * numbers["cd2_1"]))
    radius = scale * np.hypot(numbers["width"], numbers["height"]) / 2
    good = np.isfinite(numbers["ra"]) & (np.abs(numbers["dec"]) <= 90) & (radius < 10)
    if not good.any():
        return np.zeros(len(bricks), bool)
    reach = np.deg2rad(float(radius[good].max()) + _BRICK_RADIUS)
    tree = cKDTree(_unit_vectors(numbers["ra"][good], numbers["dec"][good]))
    distance, _ = tree.query(_unit_vectors(bricks["ra"], bricks["dec"]))
    return distance < 2 * np.sin(reach / 2)


def _unit_vectors(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
    ra, dec = np.deg2rad(np.asarray(ra, float)), np.deg2rad(np.asarray(dec, float))
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def brick_and_target(options: Any, bricks_file: Path | None) -> tuple[Brick, TanWcs]:
    """The brick that options name, and the WCS of its target image.

    Parameters
    ----------
    options : RunOptions
    bricks_file : Path or None
        Table of bricks.

    Returns
    -------
    Brick, wcs.TanWcs
    """
    size = (options.width, options.height, options.pixscale, options.zoom)
    if options.brick is not None:
        brick = find_brick(bricks_file, options.brick)
        return brick, target_wcs(brick.ra, brick.dec, *size)
    ra, dec = parse_radec(*options.radec)
    target = target_wcs(ra, dec, *size)
    custom = {"brickid": options.brickid, "short_name": options.short_name, "box": options.primary_box}
    return Brick.around(ra, dec, target, **custom), target


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
