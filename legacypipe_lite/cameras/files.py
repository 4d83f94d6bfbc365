"""The three FITS files of a CCD image: image, data-quality codes and weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..calibration import ImageIdentity
from ..calibration.versions import check_versions
from ..cards import read_cards
from ..errors import InputError
from ..tables import open_fits, short_message
from ..wcs import inherited_cards, inherits, is_wcs_card
from .extent import Region
from .weights import Quantization, quantization

__all__ = ["FitsImage", "check_version", "header_date", "header_number"]


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
        Of the primary HDU and of HDU `hdu`; for a compressed image, the cards of its binary table. What the image
        inherits from the primary HDU is in `header`, too.
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
            self.primary_header = read_cards(self._fits, 0, path)
            self._image = self._fits[hdu]
            self.shape = tuple(int(n) for n in self._image.get_dims())
        except (OSError, AttributeError, ValueError, IndexError, TypeError, OverflowError) as e:
            self._fits.close()
            raise InputError(f"{path}: HDU {hdu}: no readable image ({short_message(e)})") from None
        if len(self.shape) != 2 or (shape is not None and self.shape != tuple(shape)):
            self._fits.close()
            expected = "a two-dimensional image" if shape is None else f"{shape[0]} rows of {shape[1]} pixels"
            raise InputError(f"{path}: HDU {hdu}: shape is {self.shape}, expected {expected}")

    @cached_property
    def header(self) -> Any:
        """Header of the HDU, with the cards of the primary header that hold for it (INHERIT = T, or no own WCS)."""
        own = read_cards(self._fits, self.hdu, self.path)
        if self.hdu == 0:
            return own
        own = {key: own[key] for key in own.keys() if key}  # noqa: SIM118 - no iteration like that of dicts
        return {**inherited(own, self.primary_header), **own}

    def __enter__(self) -> FitsImage:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._fits.close()

    def read(self, region: Region) -> NDArray:
        """Pixels of a `Region`, as they are in the file; blank pixels of integer images are NaN.

        Raises
        ------
        InputError
            If the file is damaged there.
        """
        try:
            pixels = self._image[region.y0 : region.y1, region.x0 : region.x1]
        except (OSError, ValueError, TypeError, MemoryError) as e:
            raise InputError(f"{self.path}: HDU {self.hdu}: pixels cannot be read ({short_message(e)})") from None
        if pixels.shape != (region.height, region.width):
            raise InputError(f"{self.path}: HDU {self.hdu}: is smaller than the CCD table says")
        return self._without_blanks(pixels)

    def _without_blanks(self, pixels: Any) -> Any:
        """Integer images mark pixels without a value by that of a card, which the FITS library passes on as it is."""
        blank = next((self.header[key] for key in ("BLANK", "ZBLANK") if key in self.header), None)
        if blank is None or self.header.get("ZBITPIX", self.header.get("BITPIX", -32)) < 0:
            return pixels
        try:
            scale, zero = (float(self.header.get(key, default)) for key, default in (("BSCALE", 1), ("BZERO", 0)))
            value = zero + scale * int(blank)
        except (TypeError, ValueError):
            raise InputError(f"{self.path}: HDU {self.hdu}: card BLANK is {blank!r}, which is no integer") from None
        # Scaled pixels may have been rounded to single precision.
        slack = 0.25 * abs(scale) + (2e-7 * abs(value) if pixels.dtype == np.float32 else 0.0)
        blanks = np.abs(pixels.astype(np.float64) - value) <= slack
        if not blanks.any():
            return pixels
        pixels = pixels.astype(np.float64 if pixels.dtype.itemsize > 2 else np.float32)
        pixels[blanks] = np.nan
        return pixels

    def quantization(self) -> Quantization:
        """How the pixels were quantised, see `weights.quantization`."""
        return quantization(self.path, self.hdu, self.header)


#: Cards that describe an HDU itself and are never inherited.
_OWN_CARDS = re.compile(
    r"^(SIMPLE|XTENSION|BITPIX|Z?NAXIS\d*|EXTEND|EXTNAME|EXTVER|EXTLEVEL|PCOUNT|GCOUNT|GROUPS|CHECKSUM|DATASUM"
    r"|BSCALE|BZERO|Z?BLANK|BUNIT|DATAMIN|DATAMAX|TFIELDS|T[A-Z]+\d+|Z[A-Z]+\d*|COMMENT|HISTORY|CONTINUE|END|INHERIT)$"
)


def inherited(header: Mapping[str, Any], primary: Mapping[str, Any]) -> dict[str, Any]:
    """The cards of the primary header that hold for an image and are not in its own header.

    Parameters
    ----------
    header, primary : mapping

    Returns
    -------
    dict
    """
    found = inherited_cards(header, primary)
    if inherits(header):
        for key in primary.keys():  # noqa: SIM118 - no iteration like that of dicts
            if key and key not in header and not _OWN_CARDS.match(key) and not is_wcs_card(key):
                found[key] = primary[key]
    return found


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


def header_number(header: Mapping, cards: Any) -> float:
    """The first of some header cards that is a finite number; NaN if none is.

    Parameters
    ----------
    header : mapping
        Of a ChainMap, the first header counts in which the card is a number.
    cards : sequence of str
    """
    for card in cards:
        for part in getattr(header, "maps", [header]):
            try:
                value = float(part[card])
            except (KeyError, TypeError, ValueError):
                continue
            if np.isfinite(value):
                return value
    return float("nan")


def header_date(header: Mapping) -> float:
    """MJD (UTC) of the start of an exposure, from MJD-OBS or DATE-OBS; NaN if there is none."""
    mjd = header_number(header, ("MJD-OBS", "MJD_OBS"))
    if not np.isnan(mjd):
        return mjd
    from astropy.time import Time

    try:
        return float(Time(str(header["DATE-OBS"]).strip(), scale="utc").mjd)
    except (KeyError, ValueError):
        return float("nan")
