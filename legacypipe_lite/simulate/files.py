"""Writing FITS files: image triplets CCD by CCD, and tables; with checksums, complete or not at all."""

import gzip
import os
from contextlib import contextmanager
from pathlib import Path

import fitsio
import numpy as np

from ..errors import OutputError
from .headers import ccd_cards, primary_cards

__all__ = ["ImageTriplet", "write_image", "write_table"]

_IMAGE_COMPRESSION = {"compress": "RICE", "qmethod": "SUBTRACTIVE_DITHER_1", "qlevel": 4, "dither_seed": "checksum"}
_CODES_COMPRESSION = {"compress": "PLIO"}


@contextmanager
def _replacing(path):
    """A temporary path next to `path`; renamed to it at the end, removed if something went wrong."""
    path = Path(path)
    temporary = path.with_name(f"tmp-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _records(cards):
    return [{"name": name, "value": value, "comment": comment} for name, value, comment in cards]


class ImageTriplet:
    """The image, data-quality and weight files of an exposure; use it in a ``with`` statement.

    CCDs are written one by one, so that only one of them is in memory.

    Parameters
    ----------
    images_dir : Path
    exposure : Exposure
    """

    _COMPRESSION = {"ooi": _IMAGE_COMPRESSION, "ood": _CODES_COMPRESSION, "oow": _IMAGE_COMPRESSION}

    def __init__(self, images_dir, exposure):
        self._paths = {tag: Path(images_dir) / exposure.image_filename(tag) for tag in self._COMPRESSION}
        self._exposure = exposure
        self._files = {}
        self._temporary = {}

    def __enter__(self):
        try:
            for tag, path in self._paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._temporary[tag] = path.with_name(f"tmp-{os.getpid()}-{path.name}")
                self._files[tag] = fitsio.FITS(str(self._temporary[tag]), "rw", clobber=True)
                self._files[tag].write(None, header=_records(primary_cards(self._exposure, tag)))
                self._files[tag][0].write_checksum()
        except OSError as error:
            self._discard()
            raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
        return self

    def add(self, plan, pixels, fwhm):
        """Write a CCD as the HDU that its plan says; HDUs before it that no CCD has are left empty."""
        arrays = {"ooi": pixels.image, "ood": pixels.codes, "oow": pixels.weight}
        cards = ccd_cards(plan, pixels, fwhm)
        tile = (1, plan.window.width)
        try:
            for tag, array in arrays.items():
                fits = self._files[tag]
                while len(fits) < plan.hdu:
                    _append_empty(fits)
                fits.write_image(
                    array, extname=plan.name, header=_records(cards), tile_dims=tile, **self._COMPRESSION[tag]
                )
                fits[-1].write_checksum()
        except OSError as error:
            raise OutputError(f"{self._paths[tag]}: cannot be written ({error.strerror or error})") from error

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            self._discard()
            return
        for fits in self._files.values():
            fits.close()
        for tag, path in self._paths.items():
            os.replace(self._temporary[tag], path)

    def _discard(self):
        for fits in self._files.values():
            fits.close()
        for temporary in self._temporary.values():
            temporary.unlink(missing_ok=True)


def _append_empty(fits):
    """An image HDU of a single pixel, in the place of a CCD that is left out."""
    fits.write_image(np.zeros((1, 1), np.uint8), extname=f"EMPTY{len(fits)}")
    fits[-1].write_checksum()


def write_table(path, columns, *, primary=(), header=(), extname=None):
    """Write a table, gzipped if the name ends in .gz.

    Parameters
    ----------
    path : Path
    columns : dict or astropy.table.Table
        Name -> values, in order.
    primary, header : sequence of (str, object, str)
        Cards of the primary HDU and of the table's.
    extname : str, optional

    Raises
    ------
    OutputError
    """
    rows = _structured(columns)

    def build(fits):
        fits.write(None, header=_records(primary))
        fits[0].write_checksum()
        fits.write_table(rows, extname=extname, header=_records(header))
        fits[1].write_checksum()

    _write(path, build)


def write_image(path, image, cards):
    """Write an image into the primary HDU, gzipped if the name ends in .gz.

    Parameters
    ----------
    path : Path
    image : numpy.ndarray
    cards : sequence of (str, object, str)

    Raises
    ------
    OutputError
    """

    def build(fits):
        fits.write_image(image, header=_records(cards))
        fits[0].write_checksum()

    _write(path, build)


def _write(path, build):
    with _replacing(path) as temporary:
        with fitsio.FITS("mem://", "rw", clobber=True) as fits:
            build(fits)
            data = fits.read_raw()
        if str(path).endswith(".gz"):
            data = gzip.compress(data, compresslevel=9, mtime=0)
        temporary.write_bytes(data)


def _structured(columns):
    """Structured array; strings as bytes."""
    names = columns.colnames if hasattr(columns, "colnames") else list(columns)
    values = {name: np.asarray(columns[name]) for name in names}
    for name, value in values.items():
        if value.dtype.kind == "U":
            encoded = np.char.encode(value, "ascii")
            values[name] = encoded if encoded.dtype.itemsize else encoded.astype("S1")
    rows = np.zeros(len(next(iter(values.values()))), [(n, v.dtype.str, v.shape[1:]) for n, v in values.items()])
    for name, value in values.items():
        rows[name] = value
    return rows
