"""Read a WCS from a FITS header."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .base import ImageWcs
from .cards import WcsCards
from .sip import MAX_ORDER, SipWcs
from .tan import TanWcs
from .tpv import NCOEF, TpvWcs

__all__ = ["wcs_from_header"]

logger = logging.getLogger(__name__)

_TAN, _TPV, _SIP = (("RA---" + name, "DEC--" + name) for name in ("TAN", "TPV", "TAN-SIP"))
#: Largest plausible size of a pixel [deg].
_LARGEST_PIXEL = 1.0
#: Pixels by which a position may change on the way to the sky and back.
_ROUND_TRIP = 1e-3
#: PV cards of one axis up to this number can be those of a plain projection rather than a distortion.
_PROJECTION_PV = 4


def wcs_from_header(
    header: Mapping[str, Any], filename: str | Path = "", correction: tuple[float, float] = (0.0, 0.0)
) -> ImageWcs:
    """WCS object of an image header.

    TAN, TAN-SIP (also without the suffix), TPV and TAN with PV cards, in ICRS or FK5 (J2000), are evaluated exactly.
    Every other celestial WCS that astropy reads becomes TAN or TAN-SIP: exactly where that can be, else by polynomials
    that agree with astropy to 0.001 pixel over the image, which is checked.

    Parameters
    ----------
    header : mapping
        Keyword -> value (`in`, `[]` and `keys` are used).
    filename : str
        Named in messages.
    correction : (float, float)
        Astrometric correction [arcsec] (RA cos Dec, Dec) that is added to CRVAL.

    Returns
    -------
    ImageWcs

    Raises
    ------
    InputError
        If a card is missing or no finite number, or the WCS is of a kind that is not supported.
    """
    size = _image_size(header, filename)
    cards = WcsCards(header, filename)
    wcs = _exact(cards, size, filename)
    if wcs is None:
        from .astropy_wcs import wcs_from_astropy

        wcs = wcs_from_astropy(cards, size, filename)
    if abs(wcs.crval[1]) > 90.0:
        raise InputError(f"{filename}: card CRVAL2 of the WCS is {wcs.crval[1]:g}, but must be within 90 degrees")
    wcs = _corrected(wcs, correction, filename)
    _check_on_image(wcs, filename)
    return wcs


def _exact(cards, size, filename):
    """The WCS, if its kind needs no conversion; else None."""
    if not cards.is_plain or cards.ctype not in (_TAN, _TPV, _SIP):
        return None
    crval = cards.numbers["CRVAL1"], cards.numbers["CRVAL2"]
    crpix = cards.numbers["CRPIX1"], cards.numbers["CRPIX2"]
    cd = np.array(cards.cd())
    if np.linalg.det(cd) == 0:
        raise InputError(f"{filename}: the CD matrix of the header is singular")
    if cards.ctype == _SIP or (cards.ctype == _TAN and cards.has_sip):
        if cards.ctype == _TAN:
            logger.warning(
                "%s: CTYPE1 is RA---TAN, but the header has SIP polynomials: they are applied, as with RA---TAN-SIP",
                filename,
            )
        return SipWcs(crval, crpix, cd, *size, *sip_polynomials(cards, filename))
    pv1, pv2 = cards.pv(1), cards.pv(2)
    if cards.has_sip:
        logger.warning("%s: the SIP polynomials of the header are not used, since CTYPE1 is RA---TPV", filename)
    if not pv1 and not pv2:
        return TanWcs(crval, crpix, cd, *size)
    if cards.ctype == _TAN and not pv2 and max(pv1) <= _PROJECTION_PV:
        return None
    return TpvWcs(crval, crpix, cd, *size, _padded(pv1), _padded(pv2))


def _padded(pv):
    """PV coefficients as an array; PV_1 is 1 unless given."""
    array = np.zeros(NCOEF)
    array[1] = 1.0
    for i, value in pv.items():
        if i < NCOEF:
            array[i] = value
    return array


def sip_polynomials(cards, filename):
    """The two SIP polynomials of a header.

    Raises
    ------
    InputError
        If their order is too large.
    """
    a, b = cards.sip("A"), cards.sip("B")
    orders = [p + q for p, q in (*a, *b)] + [int(cards.numbers.get(f"{name}_ORDER", 0)) for name in "AB"]
    if max(orders) > MAX_ORDER:
        raise InputError(f"{filename}: SIP order {max(orders)} is not supported, only up to {MAX_ORDER}")
    return a, b


def _corrected(wcs, correction, filename):
    """The WCS with an astrometric correction [arcsec]."""
    dra, ddec = (float(c) / 3600.0 for c in correction)
    if not (math.isfinite(dra) and math.isfinite(ddec)):
        raise InputError(f"{filename}: astrometric correction {tuple(map(float, correction))} is not finite")
    if dra == 0.0 and ddec == 0.0:
        return wcs
    ra, dec = wcs.crval
    return wcs.moved_to((ra + dra / np.cos(np.deg2rad(dec)), dec + ddec))


def _check_on_image(wcs, filename):
    """Raise an InputError unless the WCS makes sense at the corners and the centre of its image."""
    w, h = wcs.width - 1.0, wcs.height - 1.0
    x, y = np.array([0.0, w, w, 0.0, w / 2]), np.array([0.0, 0.0, h, h, h / 2])
    back = np.array(wcs.sky_to_pixel(*wcs.pixel_to_sky(x, y)))
    if not np.all(np.abs(back - (x, y)) < _ROUND_TRIP):
        raise InputError(
            f"{filename}: the WCS cannot be inverted on its image; CRVAL, CRPIX, the matrix or the distortion is wrong"
        )
    scale = max(np.abs(wcs.local_jacobian(*p)).max() for p in zip(x, y))
    if not scale < _LARGEST_PIXEL:
        raise InputError(f"{filename}: a pixel of the WCS is {scale:.3g} degrees large")


def _image_size(header, filename):
    for prefix in (("IMAGEW", "IMAGEH"), ("ZNAXIS1", "ZNAXIS2"), ("NAXIS1", "NAXIS2")):
        if all(k in header for k in prefix):
            return tuple(_pixels(header, key, filename) for key in prefix)
    raise InputError(f"{filename}: header gives no image size (NAXIS1, NAXIS2)")


def _pixels(header, key, filename):
    try:
        value = float(header[key])
        if value >= 1 and value == int(value) and value < 2**31:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{filename}: card {key} is {header[key]!r}, which is no number of pixels")
