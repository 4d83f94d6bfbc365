"""The output tree: where each product of a brick lies, how it is compressed, and how it is written.

Every file is built in memory, written under a temporary name in its final folder, flushed to disk and renamed, so
a reader never sees half a file and a full disk loses nothing that was there. The SHA-256 of what was written is
remembered for the brick's checksum file.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_file, check_writable
from ..tables import fits_bytes, fits_cards, gzipped, structured_array

if TYPE_CHECKING:
    import fitsio
    from astropy.table import Table

__all__ = ["OutputTree", "PRODUCTS", "mapper_for", "tile_size"]


class _Product(NamedTuple):
    """Path pattern, FITS extension name and compression of one product."""

    pattern: str
    extname: str | None = None
    compression: str | None = None


_COADD = "coadd/{group}/{brick}/{prefix}-{brick}-"
_METRICS = "metrics/{group}/"

#: Keyword arguments for `fitsio` by kind of image. A negative quantisation level is an absolute step, a positive
#: one a fraction of the noise, 0 is lossless.
_COMPRESSION = {
    "flux": {"compress": "RICE", "qmethod": "SUBTRACTIVE_DITHER_2", "qlevel": -1e-4},
    "invvar": {"compress": "RICE", "qmethod": "NO_DITHER", "qlevel": 16},
    "chi2": {"compress": "RICE", "qmethod": "NO_DITHER", "qlevel": -0.1},
    "lossless": {"compress": "GZIP", "qmethod": "NO_DITHER", "qlevel": 0},
    "integer": {"compress": "HCOMPRESS"},
}


def _image(name: str, compression: str) -> _Product:
    return _Product(_COADD + name + "-{band}.fits.fz", name.upper() + "_{band}", compression)


def _jpeg(name: str) -> _Product:
    return _Product(_COADD + name + ".jpg")


#: Every product by its key.
PRODUCTS = {
    "image": _image("image", "flux"),
    "model": _image("model", "flux"),
    "blobmodel": _image("blobmodel", "flux"),
    "invvar": _image("invvar", "invvar"),
    "chi2": _image("chi2", "chi2"),
    "nexp": _image("nexp", "integer"),
    "depth": _image("depth", "lossless"),
    "galdepth": _image("galdepth", "lossless"),
    "psfsize": _image("psfsize", "lossless"),
    "copsf": _Product(_COADD + "copsf-{band}.fits.fz"),
    "maskbits": _Product(_COADD + "maskbits.fits.fz", "MASKBITS", "integer"),
    "ccds-table": _Product(_COADD + "ccds.fits", "CCDS"),
    "depth-table": _Product(_COADD + "depth.fits", "DEPTH"),
    "image-jpeg": _jpeg("image"),
    "model-jpeg": _jpeg("model"),
    "blobmodel-jpeg": _jpeg("blobmodel"),
    "resid-jpeg": _jpeg("resid"),
    "imageblob-jpeg": _jpeg("imageblob"),
    "wise-jpeg": _jpeg("wise"),
    "wisemodel-jpeg": _jpeg("wisemodel"),
    "wiseresid-jpeg": _jpeg("wiseresid"),
    "outliers-pre": _Product(_METRICS + "outliers-pre-{brick}.jpg"),
    "outliers-post": _Product(_METRICS + "outliers-post-{brick}.jpg"),
    "outliers-masked-pos": _Product(_METRICS + "outliers-masked-pos-{brick}.jpg"),
    "outliers-masked-neg": _Product(_METRICS + "outliers-masked-neg-{brick}.jpg"),
    "outlier-mask": _Product(_METRICS + "outlier-mask-{brick}.fits.fz", None, "integer"),
    "blobmask": _Product(_METRICS + "blobmask-{brick}.fits.gz", None, "integer"),
    "blobmap": _Product(_METRICS + "blobs-{brick}.fits.gz", "BLOB-MAP", "integer"),
    "all-models": _Product(_METRICS + "all-models-{brick}.fits", "ALL-MODELS"),
    "reference": _Product(_METRICS + "reference-{brick}.fits", "REFERENCES"),
    "sources": _Product(_METRICS + "sources-{brick}.fits", "DETECTIONS"),
    "injected": _Product(_METRICS + "injected-{brick}.fits", "INJECTED"),
    "run-log": _Product(_METRICS + "run-{brick}.json"),
    "tractor": _Product("tractor/{group}/tractor-{brick}.fits", "CATALOG"),
    "tractor-i": _Product("tractor-i/{group}/tractor-i-{brick}.fits", "CATALOG-INTERMEDIATE"),
    "checksums": _Product("tractor/{group}/brick-{brick}.sha256sum"),
}


def tile_size(length: int) -> int:
    """Length of a compression tile along one axis.

    It is 100 pixels or a few more: the compressor cannot handle a last, partial tile of one to three pixels, so the
    tile grows until none is left.

    Parameters
    ----------
    length : int
        Of the image axis.

    Returns
    -------
    int
    """
    tile = 100
    while tile <= length and 1 <= length % tile <= 3:
        tile += 1
    return tile


class OutputTree:
    """Writes the products of one brick below an output directory.

    Parameters
    ----------
    outdir : str or Path
    brickname : str
    prefix : str
        Start of the coadd file names.

    Attributes
    ----------
    checksums : dict
        Path relative to `outdir` -> hexadecimal SHA-256, in the order of first writing.
    """

    def __init__(self, outdir: str | Path, brickname: str, prefix: str = "legacysurvey") -> None:
        self.outdir = Path(outdir).absolute()
        self.brickname = brickname
        self.prefix = prefix
        self.checksums: dict[str, str] = {}

    def relative(self, product: str, band: str | None = None) -> str:
        """Path of a product relative to the output directory, as a string with ``/``.

        Raises
        ------
        KeyError
            For an unknown product.
        ValueError
            If a band is missing, or given where the product has none.
        """
        pattern = PRODUCTS[product].pattern
        if ("{band}" in pattern) != (band is not None):
            raise ValueError(f"product {product!r} {'needs a' if band is None else 'has no'} band")
        return pattern.format(group=self.brickname[:3], brick=self.brickname, prefix=self.prefix, band=band)

    def path(self, product: str, band: str | None = None) -> Path:
        """Absolute `pathlib.Path` of a product."""
        return self.outdir / self.relative(product, band)

    def check_writable(self) -> None:
        """Find out whether files can be written, without creating anything.

        Raises
        ------
        OutputError
            If the output directory, or the folder in which it would be made, is not a folder or not writable.
        """
        check_writable(self.outdir)

    def write_image(
        self,
        product: str,
        image: NDArray[Any],
        cards: Sequence[tuple[Any, Any, Any]] = (),
        *,
        band: str | None = None,
        primary_cards: Sequence[tuple[str, Any, str]] = (),
    ) -> Path:
        """Write one image product: an empty primary HDU, then the image, compressed as the product asks.

        Parameters
        ----------
        product : str
            Key of `PRODUCTS`.
        image : numpy.ndarray, shape (h, w)
        cards : sequence of (keyword, value, comment)
            Header cards of the image HDU. A keyword of COMMENT or HISTORY makes a free-text card of `value`; a
            value of None makes a card without a value.
        band : str or None
        primary_cards : sequence
            Cards of the primary HDU.

        Returns
        -------
        Path

        Raises
        ------
        OutputError
            Naming the path, if it cannot be written.
        """
        extname = PRODUCTS[product].extname
        if extname is not None:
            extname = extname.format(band=band)
        return self.write_images(product, [(image, extname, cards)], band=band, primary_cards=primary_cards)

    def write_images(
        self,
        product: str,
        hdus: Sequence[tuple[Any, str | None, Any]],
        *,
        band: str | None = None,
        primary_cards: Sequence[tuple[str, Any, str]] = (),
        mapper: Callable[..., Any] | None = None,
    ) -> Path:
        """Write an image product with several HDUs, given as (image, extension name or None, cards).

        Parameters
        ----------
        product : str
        hdus : sequence of (image, str or None, cards)
            An image may also be something with a method `dense`, which gives it when it is its turn.
        band, primary_cards
            As for `write_image`.
        mapper : callable, optional
            ``mapper(function, tasks, shared=..., label=...)`` over worker processes, which then compress the images.
        """
        compression = _COMPRESSION.get(PRODUCTS[product].compression or "")
        if compression is None:
            # Without compression the image itself is the primary HDU (only the mean PSF is such a product).
            return self._publish(self.relative(product, band), fits_bytes(lambda fits: _append_images(fits, hdus)))
        primary = fits_bytes(lambda fits: fits.write(None, header=fits_cards(primary_cards)))
        shared, tasks = (hdus, compression), range(len(hdus))
        if mapper is None:
            extensions = [_extension(shared, i) for i in tasks]
        else:
            extensions = mapper(_extension, tasks, shared=shared, label=product)
        return self._publish(self.relative(product, band), b"".join([primary, *extensions]))

    def write_all(
        self, jobs: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]], mapper: Callable[..., Any] | None = None
    ) -> None:
        """Write several products, which do not depend on each other.

        Parameters
        ----------
        jobs : sequence of (function, tuple)
            ``function(tree, *arguments)`` writes one with the methods of an `OutputTree`; a module-level function.
        mapper : callable, optional
            ``mapper(function, tasks, shared=..., label=...)`` over worker processes, among which they are shared.
        """
        if mapper is None:
            for function, arguments in jobs:
                function(self, *arguments)
            return
        for checksums in mapper(_write_job, range(len(jobs)), shared=(self, jobs), label="products"):
            self.checksums.update(checksums)

    def write_table(
        self,
        product: str,
        table: Table | NDArray[np.void],
        *,
        primary_cards: Sequence[tuple[str, Any, str]] = (),
        units: dict[Any, Any] | None = None,
    ) -> Path:
        """Write a table product: a primary HDU with cards, and one binary table.

        Parameters
        ----------
        product : str
        table : astropy.table.Table or structured numpy.ndarray
            Columns of numbers, booleans or strings (written as fixed-width bytes).
        primary_cards : sequence of (keyword, value, comment)
        units : dict or None
            Column name -> unit; columns that are not named get no TUNIT card.

        Returns
        -------
        Path

        Raises
        ------
        OutputError
        """
        rows = structured_array(table)
        names = list(rows.dtype.names or ())
        unit_list = [str(units.get(name) or "") for name in names] if units else None

        def build(fits: fitsio.FITS) -> None:
            fits.write(None, header=fits_cards(primary_cards))
            fits.write_table(rows, extname=PRODUCTS[product].extname, units=unit_list)

        return self._publish(self.relative(product), fits_bytes(build))

    def write_jpeg(self, product: str, rgb: NDArray[np.uint8]) -> Path:
        """Write a JPEG.

        Parameters
        ----------
        product : str
        rgb : numpy.ndarray of uint8, shape (h, w, 3) or (h, w)
            Row 0 is the bottom of the picture; a single plane is written as grey RGB.

        Returns
        -------
        Path
        """
        from PIL import Image

        rgb = np.asarray(rgb)
        if rgb.ndim == 2:
            rgb = np.repeat(rgb[:, :, np.newaxis], 3, axis=2)
        if rgb.dtype != np.uint8:
            raise ValueError(f"a JPEG is made of uint8 values, not {rgb.dtype}")
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(rgb[::-1])).save(buffer, format="JPEG", dpi=(100, 100))
        return self._write_bytes(self.relative(product), buffer.getvalue())

    def write_json(self, product: str, data: dict[Any, Any]) -> Path:
        """Write a JSON product.

        Parameters
        ----------
        product : str
        data : dict
            JSON types only.

        Returns
        -------
        Path
        """
        return self._write_bytes(self.relative(product), (json.dumps(data, indent=1) + "\n").encode())

    def lost(self, checksums: dict[Any, Any]) -> list[str]:
        """Which products of an earlier run are not there any more, or have changed.

        Parameters
        ----------
        checksums : dict
            Relative path -> SHA-256.

        Returns
        -------
        list of str
        """
        return [name for name, digest in checksums.items() if self._digest(name) != digest]

    def _digest(self, relative: Any) -> Any:
        path = self.outdir / relative
        return _file_digest(path) if path.is_file() else None

    def write_checksums(self) -> Path:
        """Write the list of checksums in the form that ``sha256sum -c`` reads; it does not list itself."""
        own = self.relative("checksums")
        lines = [f"{digest} *{relative}\n" for relative, digest in self.checksums.items() if relative != own]
        path = self._write_bytes(own, "".join(lines).encode())
        del self.checksums[own]
        return path

    def _publish(self, relative: str, data: bytes) -> Path:
        """Write the bytes of a FITS file, gzipped if its name says so."""
        if relative.endswith(".gz"):
            data = gzipped(data)
        return self._write_bytes(relative, data)

    def _write_bytes(self, relative: str, data: bytes) -> Path:
        path = self.outdir / relative
        with atomic_file(path, sync=True) as stream:
            stream.write(data)
        self.checksums[relative] = hashlib.sha256(data).hexdigest()
        return path


def _write_job(shared: Any, index: Any) -> Any:
    """Do one job of `OutputTree.write_all`; the checksums of what it wrote."""
    tree, jobs = shared
    function, arguments = jobs[index]
    tree = OutputTree(tree.outdir, tree.brickname, tree.prefix)
    function(tree, *arguments)
    return tree.checksums


def _extension(shared: tuple[Any, ...], index: int) -> bytes:
    """Bytes of one compressed image extension, as it is in a file behind others."""
    hdus, compression = shared
    image, extname, cards = hdus[index]
    if hasattr(image, "dense"):
        image = image.dense()
    empty = []

    def build(fits: fitsio.FITS) -> None:
        fits.write(None)
        empty.append(len(fits.read_raw()))
        _append_image(fits, image, extname, fits_cards(cards), compression)

    data = fits_bytes(build)
    return data[empty[0] :]


def _append_images(fits: Any, hdus: Any) -> None:
    for image, extname, cards in hdus:
        _append_image(fits, image, extname, fits_cards(cards), None)


def _append_image(
    fits: fitsio.FITS,
    image: NDArray[Any],
    extname: str,
    cards: list[dict[str, Any]],
    compression: dict[str, Any] | None,
) -> None:
    image = np.asarray(image)
    if image.dtype == bool:
        image = image.astype(np.uint8)
    image = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("="))
    keywords = {}
    if compression is not None and min(image.shape) >= 4:
        # The dither's seed comes from the data, so that the same image gives the same file.
        keywords = dict(compression, tile_dims=[tile_size(n) for n in image.shape], dither_seed="checksum")
    fits.write_image(image, extname=extname, header=cards or None, **keywords)


def _file_digest(path: Any) -> Any:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


#: Below so many pixels worker processes take longer to start than products to write.
_PIXELS_WORTH_WORKERS = 2_000_000


def mapper_for(tools: Any, pixels: int) -> Any:
    """`Tools.map` for writing products of so many pixels, or None if they are so small that workers do not pay."""
    return tools.map if pixels >= _PIXELS_WORTH_WORKERS else None
