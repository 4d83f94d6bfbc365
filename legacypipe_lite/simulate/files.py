"""Writing FITS files: image triplets CCD by CCD, and tables; with checksums, complete or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import fitsio
import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError
from ..files import atomic_file, atomic_path, plain_alias
from ..tables import fits_bytes, fits_cards, gzipped, structured_array
from .headers import ccd_cards, primary_cards

if TYPE_CHECKING:
    from astropy.table import Table

    from .exposures import CcdPlan, Exposure
    from .images import CcdPixels

__all__ = ["ImageTriplet", "write_image", "write_table"]

_IMAGE_COMPRESSION = {"compress": "RICE", "qmethod": "SUBTRACTIVE_DITHER_1", "qlevel": 4, "dither_seed": "checksum"}
_CODES_COMPRESSION = {"compress": "PLIO"}


_FAILURE = "{path}: cannot be written ({reason})"


class ImageTriplet:
    """The image, data-quality and weight files of an exposure; use it in a ``with`` statement.

    CCDs are written one by one, so that only one of them is in memory.

    Parameters
    ----------
    images_dir : Path
    exposure : Exposure
    """

    _COMPRESSION: ClassVar[dict[str, dict[str, Any]]] = {
        "ooi": _IMAGE_COMPRESSION,
        "ood": _CODES_COMPRESSION,
        "oow": _IMAGE_COMPRESSION,
    }

    def __init__(self, images_dir: Path, exposure: Exposure) -> None:
        self._paths = {tag: Path(images_dir) / exposure.image_filename(tag) for tag in self._COMPRESSION}
        self._exposure = exposure
        self._files: dict[str, fitsio.FITS] = {}
        self._open_files = ExitStack()

    def __enter__(self) -> ImageTriplet:
        with ExitStack() as stack:
            for tag, path in self._paths.items():
                temporary = stack.enter_context(atomic_path(path, failure=_FAILURE))
                with _told(path):
                    alias = stack.enter_context(plain_alias(temporary))
                    self._files[tag] = stack.enter_context(fitsio.FITS(alias, "rw", clobber=True))
                    self._files[tag].write(None, header=fits_cards(primary_cards(self._exposure, tag)))
                    self._files[tag][0].write_checksum()
            self._open_files = stack.pop_all()
        return self

    def add(self, plan: CcdPlan, pixels: CcdPixels, fwhm: float) -> None:
        """Write a CCD as the HDU that its plan says; HDUs before it that no CCD has are left empty."""
        arrays = {"ooi": pixels.image, "ood": pixels.codes, "oow": pixels.weight}
        cards = fits_cards(ccd_cards(plan, pixels, fwhm))
        tile = (1, plan.window.width)
        for tag, array in arrays.items():
            fits = self._files[tag]
            with _told(self._paths[tag]):
                while len(fits) < plan.hdu:
                    _append_empty(fits)
                fits.write_image(array, extname=plan.name, header=cards, tile_dims=tile, **self._COMPRESSION[tag])
                fits[-1].write_checksum()

    def __exit__(self, *exception: Any) -> None:
        self._open_files.__exit__(*exception)


@contextmanager
def _told(path: Path) -> Iterator[Any]:
    """What goes wrong with a file, as an `OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(_FAILURE.format(path=path, reason=error.strerror or error)) from error


def _append_empty(fits: fitsio.FITS) -> None:
    """An image HDU of a single pixel, in the place of a CCD that is left out."""
    fits.write_image(np.zeros((1, 1), np.uint8), extname=f"EMPTY{len(fits)}")
    fits[-1].write_checksum()


def write_table(
    path: Path,
    columns: dict[Any, Any] | Table,
    *,
    primary: Sequence[tuple[str, Any, str]] = (),
    header: Sequence[tuple[str, Any, str]] = (),
    extname: str | None = None,
) -> None:
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
    rows = structured_array(columns, declared_widths=False)

    def build(fits: fitsio.FITS) -> None:
        fits.write(None, header=fits_cards(primary))
        fits[0].write_checksum()
        fits.write_table(rows, extname=extname, header=fits_cards(header))
        fits[1].write_checksum()

    _write(path, build)


def write_image(path: Path, image: NDArray[Any], cards: Sequence[tuple[str, Any, str]]) -> None:
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

    def build(fits: fitsio.FITS) -> None:
        fits.write_image(image, header=fits_cards(cards))
        fits[0].write_checksum()

    _write(path, build)


def _write(path: Path, build: Callable[..., Any]) -> None:
    data = fits_bytes(build)
    with atomic_file(path, failure=_FAILURE) as stream:
        stream.write(gzipped(data) if str(path).endswith(".gz") else data)
