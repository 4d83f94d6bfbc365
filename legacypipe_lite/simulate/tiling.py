"""The sky's division into bricks, and into the tiles of the unWISE coadds, by formula."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..survey import Brick
from ..wcs import great_circle_distance

__all__ = ["brick_at", "brick_row", "unwise_tiles_near", "UnwiseTile", "UNWISE_SCALE", "UNWISE_SIZE"]

_BRICK_SIZE = 0.25  # deg
_BRICK_ROWS = 721

UNWISE_SCALE = 2.75  # arcsec
UNWISE_SIZE = 2048
_TILE_STEP = 1.514445  # deg
_TILE_ROUNDING = 0.58  # gives the number of tiles in each ring of the real tiling
_TILE_SHRINKAGE = 1 - 4e-6  # of the distances along a ring


@lru_cache(maxsize=1)
def _columns_per_row() -> NDArray[np.int64]:
    """Bricks in each row of equal declination; the rows at the poles hold one brick."""
    edges = -90.0 + _BRICK_SIZE * (np.arange(_BRICK_ROWS + 1) - 0.5)
    nearest_equator = np.minimum(np.abs(edges[:-1]), np.abs(edges[1:]))
    columns = np.ceil(360.0 / _BRICK_SIZE * np.cos(np.deg2rad(nearest_equator))).astype(int)
    columns += columns % 2
    columns[[0, -1]] = 1
    return columns


def brick_at(ra: float, dec: float) -> Brick:
    """The brick that holds a position.

    Parameters
    ----------
    ra, dec : float
        Degrees.

    Returns
    -------
    Brick
    """
    row = int(np.floor((dec + 90.0) / _BRICK_SIZE + 0.5))
    columns = _columns_per_row()
    n = int(columns[row])
    column = int(np.floor(ra / (360.0 / n)))
    width = 360.0 / n
    centre_ra, centre_dec = (column + 0.5) * width, -90.0 + row * _BRICK_SIZE
    name = f"{int(10 * centre_ra):04d}{'m' if centre_dec < 0 else 'p'}{int(10 * abs(centre_dec)):03d}"
    brickid = int(columns[:row].sum()) + column + 1
    dec1, dec2 = centre_dec - _BRICK_SIZE / 2, centre_dec + _BRICK_SIZE / 2
    return Brick(name, brickid, centre_ra, centre_dec, column * width, (column + 1) * width, dec1, dec2)


def brick_row(brick: Brick) -> dict[str, Any]:
    """Row of the table of bricks; dict."""
    row = round((brick.dec + 90.0) / _BRICK_SIZE)
    column = int(np.floor(brick.ra / (360.0 / _columns_per_row()[row])))
    return {
        "brickname": brick.name,
        "brickid": np.int32(brick.brickid),
        "brickq": np.int16(2 * (row % 2) + column % 2),
        "brickrow": np.int32(row),
        "brickcol": np.int32(column),
        "ra": brick.ra,
        "dec": brick.dec,
        "ra1": brick.ra1,
        "ra2": brick.ra2,
        "dec1": brick.dec1,
        "dec2": brick.dec2,
    }


@dataclass(frozen=True)
class UnwiseTile:
    """A tile of the unWISE coadds.

    Attributes
    ----------
    name : str
    ra, dec : float
        Centre [deg].
    """

    name: str
    ra: float
    dec: float


def unwise_tiles_near(ra: float, dec: float, radius: float) -> list[UnwiseTile]:
    """Tiles that a circle may touch.

    The rings are those of the real tiling; along a ring the centres differ a little from it.

    Parameters
    ----------
    ra, dec, radius : float
        Degrees.

    Returns
    -------
    list of UnwiseTile
    """
    reach = radius + UNWISE_SCALE * UNWISE_SIZE / 3600.0 / np.sqrt(2.0)
    tiles = []
    for ring in range(-59, 60):
        tile_dec = ring * _TILE_STEP
        if abs(tile_dec - dec) > reach:
            continue
        edge = max(abs(tile_dec) - _TILE_STEP / 2, 0.0)
        n = int(360.0 / _TILE_STEP * np.cos(np.deg2rad(edge)) + _TILE_ROUNDING)
        ras = np.arange(n) * (360.0 / n) * _TILE_SHRINKAGE
        for tile_ra in ras[great_circle_distance(ras, tile_dec, ra, dec) < reach]:
            name = f"{int(10 * tile_ra):04d}{'m' if tile_dec < 0 else 'p'}{abs(int(np.floor(10 * tile_dec))):03d}"
            tiles.append(UnwiseTile(name, float(tile_ra), float(tile_dec)))
    return tiles
