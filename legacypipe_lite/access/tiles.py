"""Tiles of the map: pictures of a layer in the Mercator projection, and a store of them on disk."""

import contextlib
import os
import threading
from pathlib import Path

import numpy as np

from ..files import atomic_file
from .grids import TileGrid
from .pictures import encode_jpeg, encode_png, grey_between, layer_picture, maskbits_picture
from .pixels import LEVELS, PixelStore
from .rendering import render

__all__ = ["TileStore", "draw_tile", "BLANK_TILE"]

_BLANK_GREY = 36
_PICTURES = ("image", "model", "resid", "blobmodel")
#: Tile pictures on disk [bytes]; the least recently used ones go when there are more.
_DISK_BYTES = 2 * 1024**3
_LEVEL_OF_RANGES = 4


def _blank():
    return encode_jpeg(np.full((256, 256, 3), _BLANK_GREY, np.uint8))


#: JPEG of a tile without data.
BLANK_TILE = _blank()


def draw_tile(layer, zoom, x, y, store=None, bands=None, stretch=None):
    """Picture of a tile.

    Parameters
    ----------
    layer : Layer or SplitLayer
    zoom, x, y : int
    store : PixelStore, optional
    bands, stretch
        As of `Layer.select_bands` and `pictures.layer_picture`.

    Returns
    -------
    bytes or None
        JPEG (mask bits: PNG); None if there are no data.

    Raises
    ------
    UsageError
        If there is no such tile.
    """
    store = store or PixelStore()
    wanted = layer.select_bands(bands)
    grid = TileGrid(zoom, x, y)
    pixels = render(layer, grid, wanted, store=store)
    if pixels is None:
        return None
    if layer.product == "maskbits":
        return encode_png(maskbits_picture(pixels))
    if not pixels.any():
        return None
    if layer.product in _PICTURES:
        return encode_jpeg(layer_picture(layer, dict(zip(wanted, pixels)), stretch))
    return encode_jpeg(grey_between(pixels[0], *_range(layer, wanted[0], store)))


def _range(layer, band, store):
    """1st and 99th percentile of a map over some bricks of the run, the same for all its tiles."""
    values = []
    run = layer.south.run if hasattr(layer, "south") else layer.run
    for brick in list(run.bricks.values())[:8]:
        if brick.has(layer.product, band):
            image = store.level_image(brick, layer.product, band, min(_LEVEL_OF_RANGES, LEVELS))
            values.append(image[image != 0])
    data = np.concatenate(values) if values else np.zeros(0)
    if data.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(data, [1, 99])
    return float(min(low, high - 1e-6 * max(1.0, abs(high)))), float(high)


class TileStore:
    """Tiles, kept on disk below a folder until a coadd of their layer changes.

    Parameters
    ----------
    folder : str or Path or None
        None: nothing is kept.
    pixels : PixelStore
    size : int
        Most bytes on disk.
    """

    def __init__(self, folder, pixels, size=_DISK_BYTES):
        self._folder = None if folder is None else Path(folder) / "tiles"
        self._pixels, self._size = pixels, size
        self._lock, self._making = threading.Lock(), {}
        self._written = 0

    def get(self, layer, zoom, x, y):
        """The picture of a tile, see `draw_tile`; several that ask for one tile at once share the work."""
        path = self._path(layer, zoom, x, y)
        found = self._read(path)
        if found is not None:
            return found
        key = (layer.name, layer.generation, zoom, x, y)
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                found = self._read(path)
                if found is None:
                    found = draw_tile(layer, zoom, x, y, self._pixels)
                    self._write(path, found)
        finally:
            with self._lock:
                self._making.pop(key, None)
        return found

    def _path(self, layer, zoom, x, y):
        if self._folder is None:
            return None
        kind = "png" if layer.product == "maskbits" else "jpg"
        name = layer.name + ("-" + "".join(layer.bands) if layer.product in _PICTURES else "")
        return self._folder / name / layer.generation / str(zoom) / str(x) / f"{y}.{kind}"

    def _read(self, path):
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # when it was used last
        return data

    def _write(self, path, data):
        if path is None or data is None:
            return
        with atomic_file(path) as stream:
            stream.write(data)
        with self._lock:
            self._written += len(data)
            full = self._written > self._size / 20
            if full:
                self._written = 0
        if full:
            self._shrink()

    def _shrink(self):
        files = [(f.stat().st_mtime, f.stat().st_size, f) for f in self._folder.rglob("*.*") if f.is_file()]
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._size:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
