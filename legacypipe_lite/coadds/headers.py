"""Header cards of coadd products."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..bits import band_suffix
from ..models import Tim
from ..wcs import TanWcs

__all__ = ["PRODUCT_TYPES", "target_wcs_cards", "instrument_cards", "band_cards", "type_cards", "outlier_mask_cards"]


class _ProductType(NamedTuple):
    """What the header of a coadd says about its values."""

    prodtype: str
    unit: str | None = None
    comment: str = ""
    magzero: bool = False


_NANOMAGGY = ("nanomaggy", "AB mag = 22.5 - 2.5*log10(nanomaggy)", True)
_INVVAR = ("1/nanomaggy^2", "Inverse-variance maps; ABmag=22.5-2.5*log10(nmgy)")

#: Product -> PRODTYPE, BUNIT; the product's name is its IMTYPE.
PRODUCT_TYPES = {
    "image": _ProductType("image", *_NANOMAGGY),
    "model": _ProductType("model", *_NANOMAGGY),
    "blobmodel": _ProductType("blobmodel", *_NANOMAGGY),
    "invvar": _ProductType("wtmap", *_INVVAR),
    "chi2": _ProductType("chi2"),
    "nexp": _ProductType("expmap"),
    "depth": _ProductType("psfdepth", *_INVVAR),
    "galdepth": _ProductType("galdepth", *_INVVAR),
    "psfsize": _ProductType("psfsize", "arcsec", "Effective PSF size"),
}

_INSTRUMENT = (
    ("OBSERVAT", "Observatory name"),
    ("TELESCOP", "Telescope name"),
    ("OBS-LAT", "Latitude (deg)"),
    ("OBS-LONG", "Longitude (deg)"),
    ("OBS-ELEV", "Elevation (m)"),
    ("INSTRUME", "Instrument name"),
    ("FILTER", "Filter name"),
)

_WCS_COMMENTS = {
    "CTYPE1": "TANgent plane",
    "CTYPE2": "TANgent plane",
    "CRVAL1": "Reference RA",
    "CRVAL2": "Reference Dec",
    "CRPIX1": "Reference x",
    "CRPIX2": "Reference y",
}

_EQUINOX = ("EQUINOX", 2000.0, "WCS epoch")
_IMTYPE_COMMENT = "LegacySurveys image type"


def target_wcs_cards(target: TanWcs) -> list[tuple[str, Any, str]]:
    """WCS cards of the target grid, with EQUINOX."""
    cards = [(key, value, _WCS_COMMENTS.get(key, "CD matrix")) for key, value, _ in target.header_cards()]
    return [*cards, _EQUINOX]


def instrument_cards(tims: Sequence[Tim]) -> list[tuple[str, Any, str]]:
    """Cards that say where the images of a band come from.

    Every distinct set of values is listed: the first under the usual keywords, the i-th further one under the
    keyword's first seven characters and i. The sets are sorted, so that the header does not depend on chance.

    Parameters
    ----------
    tims : list of Tim
        Of one band.
    """
    sets = {tuple(tim.primary_cards.get(key, "") for key, _ in _INSTRUMENT) for tim in tims}
    cards = []
    for i, values in enumerate(sorted(sets, key=lambda values: [str(v) for v in values])):
        for (key, comment), value in zip(_INSTRUMENT, values):
            cards.append((key if i == 0 else f"{key[:7]}{i}", value, comment))
    return cards


def band_cards(tims: Sequence[Tim], band: str) -> list[tuple[str, Any, str]]:
    """Cards of one band's coadds: instruments, filter and dates.

    Parameters
    ----------
    tims : list of Tim
        All images; those of other bands are skipped.
    band : str

    Returns
    -------
    list of (str, object, str)
    """
    from astropy.time import Time

    members = [tim for tim in tims if tim.band == band]
    mjds = np.array([tim.mjd_tai for tim in members])
    dates = float(mjds.min()), float(mjds.max()), float(mjds.mean())
    utc = Time(np.array(dates), format="mjd", scale="tai").utc.isot
    first, last, mean = (str(text) for text in utc)
    return [
        *instrument_cards(members),
        ("FILTERX", band, "Filter short name"),
        ("MJD_MIN", dates[0], "Earliest MJD in coadd (TAI)"),
        ("MJD_MAX", dates[1], "Latest MJD in coadd (TAI)"),
        ("MJD_MEAN", dates[2], "Mean MJD in coadd (TAI)"),
        ("DATEOBS1", first, "DATE-OBS of the first image in the stack"),
        ("DATEOBS2", last, "DATE-OBS of the last image in the stack"),
        ("DATEOBS", mean, "Mean DATE-OBS of the stack (UTC)"),
    ]


def type_cards(product: str, band: str, co_sky: dict[str, float] | None = None) -> list[tuple[str, Any, str]]:
    """Cards that say what a coadd holds.

    Parameters
    ----------
    product : str
        Key of `PRODUCT_TYPES`.
    band : str
    co_sky : dict of str -> float, optional
        Residual sky levels that were subtracted; None if they were not estimated at all.
    """
    kind = PRODUCT_TYPES[product]
    cards: list[tuple[str, Any, str]] = [
        ("IMTYPE", product, _IMTYPE_COMMENT),
        ("PRODTYPE", kind.prodtype, "NOIRLab image type"),
    ]
    if kind.magzero:
        cards.append(("MAGZERO", 22.5, "Magnitude zeropoint"))
    if kind.unit is not None:
        cards.append(("BUNIT", kind.unit, kind.comment))
    if product == "image" and co_sky is not None:
        level = co_sky.get(band)
        value = "None" if level is None else float(level)
        cards.append((f"COSKY_{band_suffix(band)}", value, "Sky level estimated (+subtracted) from coadd"))
    return cards


def outlier_mask_cards(tim: Tim) -> list[tuple[str, Any, str]]:
    """Cards of one image's outlier mask: its WCS, and which image it is."""
    return [
        *tim.wcs.header_cards(),
        _EQUINOX,
        ("IMTYPE", "outlier_mask", _IMTYPE_COMMENT),
        ("CAMERA", tim.ccd.camera, ""),
        ("EXPNUM", tim.ccd.expnum, ""),
        ("CCDNAME", tim.ccd.ccdname, ""),
        ("X0", tim.x0, "Origin of the sub-image in the CCD (0-based)"),
        ("Y0", tim.y0, "Origin of the sub-image in the CCD (0-based)"),
    ]
