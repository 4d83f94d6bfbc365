"""unWISE tiles: which ones a brick needs, and which part of the sky belongs to each.

The unWISE coadds are 18240 overlapping tiles of 2048 x 2048 pixels in rings of constant declination. A *unique
area*, bounded by lines of constant RA and Dec, divides the sky between them, so that no pixel counts twice.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..tables import open_fits, read_columns, short_message
from ..wcs import ImageWcs, TanWcs, great_circle_distance, wcs_from_header

__all__ = ["PIXEL_SCALE", "TILE_SIZE", "Tile", "read_tile_table", "scan_tiles", "region_of_interest", "tiles_of_brick"]

logger = logging.getLogger(__name__)

TILE_SIZE = 2048  # pixels
PIXEL_SCALE = 2.75  # arcsec

_RING_STEP = 1.514445  # degrees of declination
_NAME = re.compile(r"\d{4}[mp]\d{3}")
_TABLE_COLUMNS = ["coadd_id", "ra", "dec", "ra1", "ra2", "dec1", "dec2", "crpix_w1", "crpix_w2"]


@dataclass(frozen=True)
class Tile:
    """One unWISE tile.

    Attributes
    ----------
    coadd_id : str
        Name, e.g. "1866p257".
    ra, dec : float
        Centre [deg].
    ra1, ra2, dec1, dec2 : float
        Unique area [deg]; ra1 > ra2 where it contains RA 0.
    crpix_shift : dict of int -> (float, float)
        Band -> astrometric correction [pixel], to be added to CRPIX of the full-depth images. Empty if unknown.
    """

    coadd_id: str
    ra: float
    dec: float
    ra1: float
    ra2: float
    dec1: float
    dec2: float
    crpix_shift: dict

    @classmethod
    def on_grid(cls, coadd_id, ra, dec):
        """A tile with the unique area that its place in the rings of tiles gives it.

        The number of tiles in a ring, round(237.74 cos(|dec| - 0.775)), is that of the unWISE tile table in all
        119 rings; on the sky the borders agree with it to 0.1 arcsec up to a declination of 65 degrees, and to a
        tenth of a pixel up to 80 degrees.
        """
        number = max(1, round(237.74 * math.cos(math.radians(abs(dec) - 0.775))))
        half_ra, half_dec = 180.0 / number, _RING_STEP / 2
        south = -90.0 if dec - _RING_STEP < -90 else dec - half_dec
        # A pole belongs to the ring next to it.
        north = np.nextafter(90.0, 91.0) if dec + _RING_STEP > 90 else dec + half_dec
        return cls(coadd_id, ra, dec, (ra - half_ra) % 360, (ra + half_ra) % 360, south, float(north), {})

    def contains(self, ra, dec):
        """True where positions [deg] lie in the unique area."""
        ra, dec = np.asarray(ra), np.asarray(dec)
        inside = (ra >= self.ra1) & (ra < self.ra2)
        if self.ra1 > self.ra2:
            inside = np.where(ra > 180, ra >= self.ra1, ra < self.ra2)
        return inside & (dec >= self.dec1) & (dec < self.dec2)

    def nominal_wcs(self):
        """The tile's WCS as its name says it; the images' own headers may differ a little."""
        s = PIXEL_SCALE / 3600.0
        crpix = TILE_SIZE / 2 + 0.5
        return TanWcs((self.ra, self.dec), (crpix, crpix), [[-s, 0.0], [0.0, s]], TILE_SIZE, TILE_SIZE)


def read_tile_table(path, target):
    """Tiles around a brick from the table of all tiles (``wise-tiles.fits``).

    Parameters
    ----------
    path : str or Path
    target : ImageWcs
        Of the brick.

    Returns
    -------
    list of Tile
        In the order of the table.

    Raises
    ------
    InputError
        If the file is damaged or a column is missing.
    """
    with open_fits(path) as fits:
        centres = read_columns(fits, path, columns=["ra", "dec"])
        near = np.flatnonzero(_near(centres["ra"], centres["dec"], target))
        table = read_columns(fits, path, columns=_TABLE_COLUMNS, rows=near)
    nominal = TILE_SIZE / 2 + 0.5
    return [
        Tile(
            name.strip(),
            *place,
            # The table has them in single precision; they are added to the header's double ones.
            {1: (w1[0] - nominal, w1[1] - nominal), 2: (w2[0] - nominal, w2[1] - nominal)},
        )
        for name, *place, w1, w2 in zip(*(table[name].tolist() for name in _TABLE_COLUMNS))
    ]


def scan_tiles(folders: Sequence[str], target: ImageWcs) -> tuple[list[Tile], list[str]]:
    """Find the tiles around a brick by looking into folders of unWISE images; without the table of tiles.

    Parameters
    ----------
    folders : sequence of str
    target : ImageWcs
        Of the brick.

    Returns
    -------
    tiles : list of Tile
        Sorted by name; without astrometric corrections.
    problems : list of str
        Tiles without any readable image header, and why.
    """
    tiles: dict[str, Tile] = {}
    problems = []
    for folder in folders:
        for path in _tile_folders(folder):
            name = path.name
            # Names hold RA and Dec truncated to 0.1 degrees.
            ra, dec = int(name[:4]) / 10 + 0.05, (int(name[5:]) / 10 + 0.05) * (-1 if name[4] == "m" else 1)
            if name not in tiles and _near(ra, dec, target, margin=0.15):
                try:
                    tiles[name] = Tile.on_grid(name, *_centre_from_headers(path))
                except InputError as error:
                    problems.append(str(error))
    return [tiles[name] for name in sorted(tiles)], problems


def _tile_folders(folder):
    for group in sorted(Path(folder).glob("[0-9][0-9][0-9]")):
        for path in sorted(group.iterdir()):
            if _NAME.fullmatch(path.name) and path.name[:3] == group.name:
                yield path


def _centre_from_headers(path: Path) -> tuple[float, float]:
    reason = "no images"
    for band in (1, 2, 3, 4):
        image = path / f"unwise-{path.name}-w{band}-img-m.fits"
        if not image.exists():
            continue
        try:
            with open_fits(image) as fits:
                return wcs_from_header(fits[0].read_header(), str(image)).crval
        except InputError as error:
            reason = str(error)
        except OSError as error:
            reason = f"{image}: header cannot be read ({short_message(error)})"
    raise InputError(f"unWISE tile {path}: {reason}")


def _near(ra, dec, target, margin=0.0):
    """True where a tile with its centre at a position [deg] may overlap a brick."""
    centre = target.pixel_to_sky((target.width - 1) / 2, (target.height - 1) / 2)
    half_brick = math.hypot(target.width, target.height) / 2 * target.pixel_scale
    half_tile = math.sqrt(0.5) * TILE_SIZE * PIXEL_SCALE
    return great_circle_distance(ra, dec, *centre) < (half_brick + half_tile) / 3600.0 + margin


def region_of_interest(wcs, target):
    """The pixels of a tile image that cover a brick.

    Parameters
    ----------
    wcs : ImageWcs
        Of the tile image.
    target : ImageWcs
        Of the brick.

    Returns
    -------
    (x0, x1, y0, y1) or None
        Half-open ranges of pixels; None if there is no overlap.
    """
    ra, dec = target.pixel_to_sky([0, target.width - 1], [0, target.height - 1])
    x, y = wcs.sky_to_pixel(np.array([ra[0], ra[0], ra[1], ra[1]]), np.array([dec[0], dec[1], dec[0], dec[1]]))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    x, y = np.rint(x).astype(int), np.rint(y).astype(int)
    x0, x1 = max(0, x.min()), min(wcs.width, x.max() + 1)
    y0, y1 = max(0, y.min()), min(wcs.height, y.max() + 1)
    return (int(x0), int(x1), int(y0), int(y1)) if x0 < x1 and y0 < y1 else None


def tiles_of_brick(tiles, target):
    """The tiles that have a share in a brick: those whose unique area covers some of its pixels.

    Parameters
    ----------
    tiles : sequence of Tile
    target : ImageWcs

    Returns
    -------
    list of Tile
        In the order of `tiles`.
    """
    return [tile for tile in tiles if _near(tile.ra, tile.dec, target) and _has_share(tile, target)]


def _has_share(tile, target):
    wcs = tile.nominal_wcs()
    region = region_of_interest(wcs, target)
    if region is None:
        return False
    # The whole border of the region (with one pixel to spare), and a grid inside: a unique area that touches the
    # region is either larger than the grid's step or reaches its border.
    x0, x1, y0, y1 = region
    x, y = np.arange(x0 - 1, x1 + 1), np.arange(y0 - 1, y1 + 1)
    edges = [(x, y[0]), (x, y[-1]), (x[0], y), (x[-1], y), (x[::16, np.newaxis], y[np.newaxis, ::16])]
    return any(tile.contains(*wcs.pixel_to_sky(*edge)).any() for edge in edges)
