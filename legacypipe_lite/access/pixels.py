"""Pixels of a brick's coadds: sections of the files, and the levels of smaller images made of them."""

import threading
from collections import OrderedDict
from pathlib import Path

import fitsio
import numpy as np
from scipy.ndimage import gaussian_filter

from ..files import atomic_file
from ..wcs import TanWcs

__all__ = ["PixelStore", "LEVELS", "level_wcs"]

#: Highest level: images of 1 / 2**LEVELS of the size.
LEVELS = 7
_CACHE_BYTES = 256 * 1024 * 1024
_INTEGER = ("maskbits", "nexp")


def level_wcs(wcs, level):
    """WCS of the image of a level: 2**level pixels on a side are one.

    Parameters
    ----------
    wcs : TanWcs
        Of the full image.
    level : int

    Returns
    -------
    TanWcs
    """
    if level == 0:
        return wcs
    factor = 2**level
    crpix = [(c - 0.5) / factor + 0.5 for c in wcs.crpix]
    return TanWcs(wcs.crval, crpix, wcs.cd * factor, -(-wcs.width // factor), -(-wcs.height // factor))


class PixelStore:
    """Reads coadds of bricks; safe to use from several threads.

    Parameters
    ----------
    folder : str or Path or None
        Where images of the levels are kept; None: in memory only.
    size : int
        Memory [bytes] for what was read.
    """

    def __init__(self, folder=None, size=_CACHE_BYTES):
        self._folder = None if folder is None else Path(folder)
        self._size = size
        self._kept = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()
        self._making = {}

    def section(self, brick, product, band, level, box):
        """Part of an image of a brick.

        Parameters
        ----------
        brick : RunBrick
        product : str
            A product with files, or "resid": image minus model.
        band : str
        level : int
            0 is the file itself; each further level is half as large.
        box : (int, int, int, int)
            x0, x1, y0, y1, within the image of the level.

        Returns
        -------
        numpy.ndarray or None
            float32 (uint8, int16 or int32 as in the file for integer products); None if the brick has no such image.
        """
        if product == "resid":
            image, model = (self.section(brick, of, band, level, box) for of in ("image", "model"))
            return None if image is None or model is None else image - model
        if not brick.has(product, band):
            return None
        x0, x1, y0, y1 = box
        if level == 0:
            return self._read(brick, product, band, box)
        return self.level_image(brick, product, band, level)[y0:y1, x0:x1]

    def _read(self, brick, product, band, box):
        key = (brick.folder, brick.state, product, band, box)
        found = self._recall(key)
        if found is None:
            x0, x1, y0, y1 = box
            with fitsio.FITS(str(brick.path(product, band or None))) as fits:
                found = np.ascontiguousarray(fits[1][y0:y1, x0:x1])
            if product not in _INTEGER:
                found = found.astype(np.float32, copy=False)
                if not np.isfinite(found).all():
                    found = np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
            self._remember(key, found)
        return found

    def level_image(self, brick, product, band, level):
        """The whole image of a level above 0; made, with all other levels, when it is wanted for the first time.

        Each level is the one below, smoothed by a Gaussian of one pixel and averaged over 2 x 2 pixels. Pixels without
        weight do not count, so that ragged edges do not fade.

        Returns
        -------
        numpy.ndarray of float32
        """
        key = (brick.folder, brick.state, product, band, level)
        found = self._recall(key)
        if found is not None:
            return found
        with self._lock:
            making = self._making.setdefault(key[:-1], threading.Lock())
        with making:
            found = self._recall(key)
            if found is None:
                found = self._stored_level(brick, product, band, level)
            if found is None:
                for made_level, image in self._made_levels(brick, product, band):
                    self._remember((*key[:-1], made_level), image)
                    self._store_level(brick, product, band, made_level, image)
                    if made_level == level:
                        found = image
        return found

    def _made_levels(self, brick, product, band):
        height, width = brick.wcs_of(band).shape
        image = self._read(brick, product, band, (0, width, 0, height))
        if product in _INTEGER:
            yield from _integer_levels(image, product)
            return
        covered = (image != 0).astype(np.float32)
        if brick.has("invvar", band):
            covered = (self._read(brick, "invvar", band, (0, width, 0, height)) > 0).astype(np.float32)
        for level in range(1, LEVELS + 1):
            image, covered = _half(image, covered)
            yield level, image

    def _level_file(self, brick, product, band, level):
        return self._folder / brick.name / brick.state / f"{product}-{band}-{level}.npy"

    def _stored_level(self, brick, product, band, level):
        if self._folder is None:
            return None
        try:
            image = np.load(self._level_file(brick, product, band, level), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if image.shape != level_wcs(brick.wcs_of(band), level).shape or image.dtype.kind not in "fiu":
            return None
        self._remember((brick.folder, brick.state, product, band, level), image)
        return image

    def _store_level(self, brick, product, band, level, image):
        if self._folder is not None:
            with atomic_file(self._level_file(brick, product, band, level)) as stream:
                np.save(stream, image, allow_pickle=False)

    def _recall(self, key):
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def _remember(self, key, array):
        with self._lock:
            if key in self._kept or array.nbytes > self._size // 4:
                return
            self._kept[key] = array
            self._used += array.nbytes
            while self._used > self._size:
                self._used -= self._kept.popitem(last=False)[1].nbytes


def _half(image, covered):
    """An image and its coverage, smoothed and averaged over 2 x 2 pixels; an odd last row or column counts alone."""
    smooth = gaussian_filter(image * covered, 1.0, mode="reflect")
    share = gaussian_filter(covered, 1.0, mode="reflect")
    # A pixel counts by its own coverage, its value is the mean of what is around it.
    value = np.divide(smooth, share, out=np.zeros_like(smooth), where=share > 1e-3) * covered
    value, covered = _sum_of_four(value), _sum_of_four(covered)
    mean = np.divide(value, covered, out=np.zeros_like(value), where=covered > 0)
    pixels = _sum_of_four(np.ones(image.shape, np.float32))
    return mean, covered / pixels


def _integer_levels(image, product):
    """Levels of a map of integers: the bits of any of four pixels, or the largest number."""
    join = np.bitwise_or if product == "maskbits" else np.maximum
    for level in range(1, LEVELS + 1):
        image = join.reduce(_four(image))
        yield level, image


def _sum_of_four(image):
    a, b, c, d = _four(image)
    return a + b + c + d


def _four(image):
    """The pixels that become one: four images of half the size; 0 beyond an odd edge."""
    height, width = image.shape
    padded = np.pad(image, ((0, height % 2), (0, width % 2)))
    return padded[0::2, 0::2], padded[1::2, 0::2], padded[0::2, 1::2], padded[1::2, 1::2]
