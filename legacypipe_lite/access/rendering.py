"""Pixels of a layer on a target grid: the bricks' coadds resampled and combined."""

import numpy as np

from .grids import TanGrid
from .layers import SplitLayer, is_north
from .pixels import LEVELS, PixelStore, level_wcs
from .runs import unit_vector

__all__ = ["render", "COMBINE"]

#: Ways to combine bricks where they overlap.
COMBINE = ("mean", "unique")
#: Products that are resampled; of the others the nearest pixel is taken.
_RESAMPLED = ("image", "model", "resid", "blobmodel")
_SEAM = ("model", "resid", "blobmodel")
_MARGIN = 10


class _Plane:
    """What has been collected of one band.

    Attributes
    ----------
    total, weight : numpy.ndarray of float32
        Sums over bricks of what counts.
    fallback, covered : numpy.ndarray of float32
        The same of pixels that do not count because they hold no data.
    """

    def __init__(self, shape):
        self.total, self.weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.fallback, self.covered = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def add(self, box, values, counts, valid):
        self.total[box] += np.where(counts, values, 0)
        self.weight[box] += counts
        rest = valid & ~counts
        self.fallback[box] += np.where(rest, values, 0)
        self.covered[box] += rest

    def mean(self):
        mean = np.divide(self.total, self.weight, out=np.zeros_like(self.total), where=self.weight > 0)
        return np.divide(self.fallback, self.covered, out=mean, where=(self.weight == 0) & (self.covered > 0))


def render(layer, grid, bands=None, product=None, combine="mean", store=None):
    """Pixels of a layer.

    Parameters
    ----------
    layer : Layer or SplitLayer
    grid : TanGrid or TileGrid
    bands : sequence of str or None
        By default those of the layer; not used for "maskbits".
    product : str or None
        By default that of the layer.
    combine : str
        Where the images of bricks overlap: "mean" of those with data (image and inverse variance; models and
        residuals are cut at the border of the bricks' own areas), or for all products only the brick whose own area
        holds the pixel ("unique").
    store : PixelStore or None

    Returns
    -------
    numpy.ndarray or None
        float32 (bands, h, w), or int32 (h, w) for maskbits; 0 where there is no brick. None if there is no brick at
        all on the grid, or the product does not exist at the level of the grid's pixels (inverse variance and mask
        bits of very coarse cutouts).
    """
    store = store or PixelStore()
    bands = tuple(bands or layer.bands)
    product = product or layer.product
    if not bands:
        return None
    if isinstance(layer, SplitLayer):
        return _render_split(layer, grid, bands, product, combine, store)
    if product == "maskbits":
        return _nearest(layer, grid, "", product, combine, store)
    if product not in _RESAMPLED:
        planes = [_nearest(layer, grid, band, product, combine, store) for band in bands]
        found = [plane for plane in planes if plane is not None]
        if not found:
            return None
        blank = np.zeros(grid.shape, np.float32)
        return np.stack([blank if plane is None else plane.astype(np.float32, copy=False) for plane in planes])
    return _resampled(layer, grid, bands, product, combine, store)


def _render_split(layer, grid, bands, product, combine, store):
    halves = [render(half, grid, bands, product, combine, store) for half in (layer.north, layer.south)]
    if all(half is None for half in halves):
        return None
    template = next(half for half in halves if half is not None)
    north, south = (np.zeros_like(template) if half is None else half for half in halves)
    return np.where(is_north(*grid.sky()), north, south)


def _pieces(layer, grid, band):
    """Bricks on a grid: brick, level, box of its image, map of the grid's pixels into the box."""
    ra, dec = grid.border()
    far = ~(np.isfinite(ra) & np.isfinite(dec))
    center = unit_vector(*grid.center)
    corners = unit_vector(ra, dec)
    radius = 180.0 if far.any() else float(np.rad2deg(np.arccos(np.clip(corners @ center, -1, 1))).max())
    for brick in layer.run.near(*grid.center, radius):
        wcs = brick.wcs_of(band)
        level = grid.level(round(wcs.pixel_scale, 4), LEVELS)
        wcs = level_wcs(wcs, level)
        box = _box(wcs, ra, dec)
        if box is None:
            continue
        x0, x1, y0, y1 = box
        pixel_map = grid.pixel_map(wcs.subimage(x0, y0, x1 - x0, y1 - y0))
        if pixel_map is not None:
            yield brick, level, box, pixel_map


def _box(wcs, ra, dec):
    """Part of an image within a border, and a margin around it; None if there is none."""
    x, y = wcs.sky_to_pixel(ra, dec)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return 0, wcs.width, 0, wcs.height
    x0, x1 = max(0, int(x.min()) - _MARGIN), min(wcs.width, int(x.max()) + _MARGIN + 1)
    y0, y1 = max(0, int(y.min()) - _MARGIN), min(wcs.height, int(y.max()) + _MARGIN + 1)
    return (x0, x1, y0, y1) if x0 < x1 and y0 < y1 else None


def _owned(brick, grid, pixel_map):
    ra, dec = grid.sky()
    return brick.owns(ra[pixel_map.box], dec[pixel_map.box])


def _resampled(layer, grid, bands, product, combine, store):
    pieces = list(_pieces(layer, grid, bands[0]))
    if not pieces:
        return None
    planes = [_Plane(grid.shape) for _ in bands]
    for brick, level, box, pixel_map in pieces:
        valid = pixel_map.valid
        own = combine == "unique" or (product in _SEAM and level == 0)
        counts = valid & _owned(brick, grid, pixel_map) if own else valid
        for band, plane in zip(bands, planes):
            pixels = store.section(brick, product, band, level, box)
            if pixels is None:
                continue
            values = pixel_map.lanczos(pixels)
            if own:
                plane.add(pixel_map.box, values, counts, counts)
                continue
            has_data = counts
            if len(pieces) > 1 and level == 0:
                weight = store.section(brick, "invvar", band, level, box)
                if weight is not None:
                    has_data = counts & (pixel_map.nearest(weight) > 0)
            plane.add(pixel_map.box, values, has_data, valid)
    return np.stack([plane.mean() for plane in planes])


def _nearest(layer, grid, band, product, combine, store):
    """Nearest pixels: of the brick whose own area holds the pixel, else of any; or the mean of those above 0."""
    total, weight, owned_by_one = None, np.zeros(grid.shape, np.float32), np.zeros(grid.shape, bool)
    for brick, level, box, pixel_map in _pieces(layer, grid, band):
        if level and isinstance(grid, TanGrid) and product in ("invvar", "maskbits"):
            continue
        pixels = store.section(brick, product, band, level, box)
        if pixels is None:
            continue
        if total is None:
            total = np.zeros(grid.shape, np.int32 if product in ("maskbits", "nexp") else np.float32)
        values, valid, where = pixel_map.nearest(pixels), pixel_map.valid, pixel_map.box
        if combine == "mean" and product == "invvar":
            total[where] += np.where(valid & (values > 0), values, 0)
            weight[where] += valid & (values > 0)
            continue
        own = valid & _owned(brick, grid, pixel_map)
        put = own if combine == "unique" else own | (valid & ~owned_by_one[where])
        total[where][put] = values[put]
        owned_by_one[where] |= own
    if total is not None and weight.any():
        total = np.divide(total, weight, out=total, where=weight > 0)
    return total
