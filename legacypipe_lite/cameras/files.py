"""The three FITS files of a CCD image: image, data-quality codes and weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..calibration import ImageIdentity
from ..calibration.versions import check_versions
from ..errors import InputError
from ..tables import open_fits, short_message
from .extent import Region
from .weights import Quantization, quantization

__all__ = ["FitsImage", "check_version"]


class FitsImage:
    """One HDU of one FITS file, opened once: headers and pixel regions. Use as a context manager.

    Parameters
    ----------
    path : Path
    hdu : int
        HDU number, 0 = primary.
    shape : (int, int), optional
        Expected (height, width).

    Attributes
    ----------
    primary_header, header : mapping
        Of the primary HDU and of HDU `hdu`; for a compressed image, the cards of its binary table.
    shape : (int, int)

    Raises
    ------
    InputError
        If the file or HDU is missing, damaged, or not an image of that shape.
    """

    def __init__(self, path: Path, hdu: int, shape: tuple[int, int] | None = None) -> None:
        self.path = path
        self.hdu = hdu
        self._fits = open_fits(path)
        try:
            self.primary_header = self._fits[0].read_header()
            self._image = self._fits[hdu]
            self.shape = tuple(int(n) for n in self._image.get_dims())
        except (OSError, AttributeError) as e:
            self._fits.close()
            raise InputError(f"{path}: HDU {hdu}: no readable image ({short_message(e)})") from None
        if len(self.shape) != 2 or (shape is not None and self.shape != tuple(shape)):
            self._fits.close()
            expected = "a two-dimensional image" if shape is None else f"{shape[0]} rows of {shape[1]} pixels"
            raise InputError(f"{path}: HDU {hdu}: shape is {self.shape}, expected {expected}")

    @cached_property
    def header(self) -> Any:
        """Header of the HDU."""
        try:
            return self._image.read_header()
        except OSError as e:
            raise InputError(f"{self.path}: HDU {self.hdu}: header cannot be read ({short_message(e)})") from None

    def __enter__(self) -> FitsImage:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._fits.close()

    def read(self, region: Region) -> NDArray:
        """Pixels of a `Region`, as they are in the file.

        Raises
        ------
        InputError
            If the file is damaged there.
        """
        try:
            pixels = self._image[region.y0 : region.y1, region.x0 : region.x1]
        except (OSError, ValueError) as e:
            raise InputError(f"{self.path}: HDU {self.hdu}: pixels cannot be read ({short_message(e)})") from None
        if pixels.shape != (region.height, region.width):
            raise InputError(f"{self.path}: HDU {self.hdu}: is smaller than the CCD table says")
        return pixels

    def quantization(self) -> Quantization:
        """How the pixels were quantised, see `weights.quantization`."""
        return quantization(self.path, self.hdu, self.header)


def check_version(path: Path, header: Mapping[str, Any], identity: ImageIdentity, old_ok: bool = False) -> None:
    """Check that a file is of the exposure and the processing that the CCD table says.

    Parameters
    ----------
    path : Path
        For messages.
    header : mapping
        Primary header.
    identity : calibration.ImageIdentity
    old_ok : bool
        Only warn if it is not.

    Raises
    ------
    InputError
    """
    comparisons: list[tuple[str, Any, Any]] = [
        (card, str(header.get(card, "") or "").strip(), expected)
        for card, expected in (("PLVER", identity.plver), ("PLPROCID", identity.plprocid))
    ]
    comparisons.append(("EXPNUM", exposure_number(header), identity.expnum))
    check_versions(path, comparisons, "the CCD table", InputError, old_ok=old_ok, whole=True)


def exposure_number(header: Mapping[str, Any]) -> int | None:
    """Exposure number of a primary header; None if it has none.

    Where EXPNUM is blank, Mosaic-3 exposures are numbered by the time in OBSID, 90Prime ones by the digits of
    their file name at acquisition.
    """
    value = str(header.get("EXPNUM", "") or "").strip()
    if re.fullmatch(r"\d+(\.0*)?", value):
        return int(float(value))
    obsid = str(header.get("OBSID", "") or "").strip()
    match = re.fullmatch(r"kp4m\.(\d{8})T(\d{6})", obsid)
    if match:
        return int("".join(match.groups())[2:])
    if obsid.startswith("ksb"):
        name = str(header.get("DTACQNAM", "") or "").rpartition("/")[2]
        digits = re.sub(r"\D", "", re.sub(r"\.f(its|z)", "", name))
        return int(digits) if digits else None
    return None
