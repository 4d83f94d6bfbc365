"""The products of a brick run, found in its output directory and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..survey import OutputTree
from ..tables import open_fits, read_table

if TYPE_CHECKING:
    import fitsio

__all__ = ["BrickProducts", "with_band_names"]


class BrickProducts:
    """Products of one brick.

    Parameters
    ----------
    outdir : str or Path
        Output directory of a run.
    brickname : str or None
        May be left out if the directory holds one brick only.

    Attributes
    ----------
    brickname : str
    tree : survey.OutputTree

    Raises
    ------
    InputError
        If there is no such catalogue, or more than one.
    """

    def __init__(self, outdir: str | Path, brickname: str | None = None) -> None:
        outdir = Path(outdir)
        if brickname is None:
            found = sorted(outdir.glob("tractor/*/tractor-*.fits"))
            if not found:
                raise InputError(
                    f"{outdir}: no tractor catalogue (tractor/AAA/tractor-<brick>.fits): is it an output directory?"
                )
            if len(found) > 1:
                raise InputError(f"{outdir}: holds {len(found)} bricks; choose one with --brick")
            brickname = found[0].name.removeprefix("tractor-").removesuffix(".fits")
        self.brickname = brickname
        self.tree = OutputTree(outdir, brickname)
        if not self.path("tractor").is_file():
            raise InputError(f"{self.path('tractor')}: does not exist")

    def path(self, product: str, band: str | None = None) -> Path:
        """Path of a product."""
        return self.tree.path(product, band)

    def has(self, product: str, band: str | None = None) -> bool:
        """True if the product was written."""
        return self.path(product, band).is_file()

    @property
    def bands(self) -> list[str]:
        """Bands with coadded images, in the order of the header."""
        with open_fits(self.path("tractor")) as fits:
            header = fits[0].read_header()
        named = [band for band in str(header.get("BANDS", "")).split(",") if band]
        return [band for band in named if self.has("image", band)]

    def table(self, product: str, columns: list[str] | None = None) -> NDArray[np.void]:
        """A table product; structured numpy array, names in lower case but for those of bands."""
        return with_band_names(read_table(self.path(product), columns=columns), self.bands)

    def image(self, product: str, band: str | None = None) -> tuple[NDArray[Any], fitsio.FITSHDR]:
        """The image of a product, and its header; (numpy.ndarray, mapping)."""
        path = self.path(product, band)
        with open_fits(path) as fits:
            for hdu in fits:
                if hdu.has_data():
                    return np.asarray(hdu.read()), hdu.read_header()
        raise InputError(f"{path}: holds no image")

    def bytes(self, product: str) -> bytes:
        """The bytes of a product's file."""
        return self.path(product).read_bytes()

    def log(self) -> dict[str, Any] | None:
        """The log of the run (see `runlog.run_log`); None if there is none.

        Raises
        ------
        InputError
            If it is not JSON.
        """
        if not self.has("run-log"):
            return None
        try:
            return json.loads(self.path("run-log").read_text())
        except ValueError as error:
            raise InputError(f"{self.path('run-log')}: not a JSON file ({error})") from None


def with_band_names(table: Any, bands: Any) -> Any:
    """A structured array whose columns end with the names of bands as these are written (``flux_F200W``).

    Parameters
    ----------
    table : structured numpy.ndarray
        Names in lower case.
    bands : sequence of str
    """
    ends = {f"_{band.lower()}": f"_{band}" for band in bands if band != band.lower()}
    if not ends:
        return table
    names = []
    for name in table.dtype.names:
        end = next((e for e in ends if name.endswith(e)), None)
        names.append(name if end is None else name.removesuffix(end) + ends[end])
    table = table.copy()
    table.dtype.names = tuple(names)
    return table
