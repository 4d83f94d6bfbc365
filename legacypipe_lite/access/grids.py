"""Target grids of what is drawn: tangent planes of cutouts, Mercator tiles of the map."""

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..wcs import ImageWcs, PixelMap, TanWcs
from .runs import unit_vector

__all__ = ["PIXEL_SCALE", "TILE_SIZE", "TanGrid", "TileGrid", "cutout_grid", "tile_of"]

#: Pixel scale [arcsec] of the surveys' bricks, and default of cutouts.
PIXEL_SCALE = 0.262
TILE_SIZE = 256
_PIXSCALE_RANGE = (0.02, 300.0)
_MAX_ZOOM = 20


class TanGrid:
    """Pixels of a tangent plane.

    Parameters
    ----------
    wcs : TanWcs
    pixscale : float or None
        Pixel scale [arcsec] that was asked for.
    """

    def __init__(self, wcs: TanWcs, pixscale: float | None = None):
        self.wcs = wcs
        self.shape = wcs.shape
        self.pixscale = wcs.pixel_scale if pixscale is None else pixscale
        self.center = wcs.pixel_to_sky((wcs.width - 1) / 2, (wcs.height - 1) / 2)
        self._sky = None

    def pixel_map(self, image_wcs: ImageWcs) -> PixelMap | None:
        """Where the pixels fall on an image; None if they do not overlap."""
        return PixelMap.build(self.wcs, image_wcs)

    def border(self) -> tuple[NDArray, NDArray]:
        """RA, Dec [deg] of corners and middles of the edges; NaN where the plane has no sky."""
        w, h = self.wcs.width, self.wcs.height
        x = np.array([0, 0.5, 1, 0, 1, 0, 0.5, 1]) * w - 0.5
        y = np.array([0, 0, 0, 0.5, 0.5, 1, 1, 1]) * h - 0.5
        return self.wcs.pixel_to_sky(x, y)

    def sky(self) -> tuple[NDArray, NDArray]:
        """RA, Dec [deg] of all pixels, shape of the grid each."""
        if self._sky is None:
            x, y = np.meshgrid(np.arange(self.wcs.width, dtype=float), np.arange(self.wcs.height, dtype=float))
            self._sky = self.wcs.pixel_to_sky(x, y)
        return self._sky

    def level(self, base: float, highest: int) -> int:
        """Level of the bricks' images that fits the size of the pixels, by the rule of the public viewer.

        Parameters
        ----------
        base : float
            Pixel scale of level 0 [arcsec].
        highest : int

        Returns
        -------
        int
        """
        if round(math.log2(self.pixscale / base)) <= 0:
            return 0
        x = self.wcs.width / 2 - 0.5
        sizes = []
        for y in (0.0, self.wcs.height - 2.0):
            a, b = (unit_vector(*self.wcs.pixel_to_sky(x, y + step)) for step in (0.0, 1.0))
            sizes.append(3600 * np.rad2deg(np.linalg.norm(a - b)))
        return int(np.clip(math.floor(math.log2(min(sizes) / base)), 0, highest))


class TileGrid:
    """Pixels of a tile of the map: spherical Mercator, longitude = 180 - RA.

    Parameters
    ----------
    zoom, x, y : int
        Tile x of 0 ... 2**zoom - 1 from RA 360 to RA 0, tile y from north to south.

    Raises
    ------
    UsageError
        If there is no such tile.
    """

    def __init__(self, zoom: int, x: int, y: int):
        if not (0 <= zoom <= _MAX_ZOOM and 0 <= x < 2**zoom and 0 <= y < 2**zoom):
            raise UsageError(f"there is no tile {zoom}/{x}/{y}")
        self.zoom, self.x, self.y = zoom, x, y
        self.shape = (TILE_SIZE, TILE_SIZE)
        self._sky = None
        self.center = tuple(float(v) for v in self.pixel_to_sky(TILE_SIZE / 2 - 0.5, TILE_SIZE / 2 - 0.5))

    def pixel_to_sky(self, px, py):
        """RA, Dec [deg] of positions in the tile (0-based pixels, y from north to south)."""
        u = (TILE_SIZE * self.x + np.asarray(px, float) + 0.5) / (TILE_SIZE * 2.0**self.zoom)
        v = (TILE_SIZE * self.y + np.asarray(py, float) + 0.5) / (TILE_SIZE * 2.0**self.zoom)
        return 360.0 * (1.0 - u), np.rad2deg(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * v))))

    def sky_to_pixel(self, ra, dec):
        """0-based position in the tile of sky positions [deg]; RA counts from the side of RA 360 that is nearer."""
        u = 1.0 - np.mod(ra, 360.0) / 360.0
        middle = (self.x + 0.5) / 2.0**self.zoom
        u = u - np.rint(u - middle)
        v = (1.0 - np.arcsinh(np.tan(np.deg2rad(dec))) / np.pi) / 2.0
        scale = TILE_SIZE * 2.0**self.zoom
        return u * scale - TILE_SIZE * self.x - 0.5, v * scale - TILE_SIZE * self.y - 0.5

    def pixel_map(self, image_wcs: ImageWcs) -> PixelMap | None:
        """Where the pixels fall on an image; None if they do not overlap."""
        fx, fy = image_wcs.sky_to_pixel(*self.sky())
        off = ~(np.isfinite(fx) & np.isfinite(fy))
        off |= (fx < -1.5) | (fy < -1.5) | (fx > image_wcs.width) | (fy > image_wcs.height)
        if off.all():
            return None
        fx[off], fy[off] = -10.0, -10.0
        return PixelMap(0, 0, fx, fy, image_wcs.shape)

    def border(self) -> tuple[NDArray, NDArray]:
        """RA, Dec [deg] of corners and middles of the edges."""
        edge = np.array([0, 0.5, 1, 0, 1, 0, 0.5, 1]) * TILE_SIZE - 0.5
        return self.pixel_to_sky(edge, np.array([0, 0, 0, 0.5, 0.5, 1, 1, 1]) * TILE_SIZE - 0.5)

    def sky(self) -> tuple[NDArray, NDArray]:
        """RA, Dec [deg] of all pixels."""
        if self._sky is None:
            row = np.arange(TILE_SIZE, dtype=float)
            ra, dec = self.pixel_to_sky(row, row)
            self._sky = tuple(np.array(a) for a in np.broadcast_arrays(ra[np.newaxis, :], dec[:, np.newaxis]))
        return self._sky

    @property
    def pixscale(self) -> float:
        """Smallest height of a pixel [arcsec] within the tile."""
        dec = self.pixel_to_sky(0.0, np.array([-0.5, TILE_SIZE - 0.5]))[1]
        return float(360 * 3600 / (TILE_SIZE * 2**self.zoom) * np.cos(np.deg2rad(dec)).min())

    def level(self, base: float, highest: int) -> int:
        """As of `TanGrid`; tiles of zoom 14 and more show level 0 of the surveys' bricks."""
        if self.zoom >= 14 and base >= PIXEL_SCALE:
            return 0
        return int(np.clip(math.floor(math.log2(self.pixscale / base)), 0, highest))


def tile_of(ra: float, dec: float, zoom: int) -> tuple[int, int]:
    """Tile x, y that holds a position [deg]."""
    n = 2**zoom
    x = int((1.0 - (ra % 360.0) / 360.0) * n) % n
    y = int((1.0 - math.asinh(math.tan(math.radians(dec))) / math.pi) / 2.0 * n)
    return x, min(max(y, 0), n - 1)


def cutout_grid(ra, dec, width, height, pixscale=PIXEL_SCALE, rotate=0.0) -> TanGrid:
    """Tangent plane of a cutout: East left, North up, its middle at a position.

    Parameters
    ----------
    ra, dec : float
        Degrees.
    width, height : int
        Pixels; with an even number the position is on the edge between two pixels.
    pixscale : float
        Arcsec.
    rotate : float
        Degrees.

    Returns
    -------
    TanGrid

    Raises
    ------
    UsageError
        If the position is not on the sky, or a size is out of range.
    """
    if not (math.isfinite(ra) and math.isfinite(dec) and abs(dec) <= 90 and abs(ra) <= 1e4):
        raise UsageError(f"ra={ra} dec={dec} is not a position: give degrees, Dec within -90 to 90")
    if not (math.isfinite(pixscale) and _PIXSCALE_RANGE[0] <= pixscale <= _PIXSCALE_RANGE[1]):
        raise UsageError(f"pixscale={pixscale}: give arcsec, {_PIXSCALE_RANGE[0]} to {_PIXSCALE_RANGE[1]:g}")
    if width < 1 or height < 1:
        raise UsageError(f"a cutout of {width} x {height} pixels has none: give a size of 1 or more")
    if not math.isfinite(rotate):
        raise UsageError(f"rotate={rotate}: give degrees")
    s, angle = pixscale / 3600.0, math.radians(rotate)
    cosine, sine = (1.0, 0.0) if rotate == 0 else (math.cos(angle), math.sin(angle))
    cd = [[-s * cosine, -s * sine], [-s * sine, s * cosine]]
    return TanGrid(TanWcs((ra % 360.0, dec), ((width + 1) / 2, (height + 1) / 2), cd, width, height), pixscale)
