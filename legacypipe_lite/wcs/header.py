"""Read a WCS from a FITS header."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .base import ImageWcs
from .sip import SipWcs
from .tan import TanWcs
from .tpv import NCOEF, TpvWcs

__all__ = ["wcs_from_header"]


def wcs_from_header(
    header: Mapping[str, Any], filename: str | Path = "", correction: tuple[float, float] = (0.0, 0.0)
) -> ImageWcs:
    """WCS object of an image header: TAN, TPV (also TAN with PV cards) or TAN-SIP.

    Parameters
    ----------
    header : mapping
        Keyword -> value (`in` and `[]` are used).
    filename : str
        Named in error messages.
    correction : (float, float)
        Astrometric correction [arcsec] (RA cos Dec, Dec) that is added to CRVAL.

    Returns
    -------
    ImageWcs

    Raises
    ------
    InputError
        If a card is missing or the projection is not one of these.
    """

    def get(key):
        try:
            return float(header[key])
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{filename}: header has no usable card {key}, so the image has no WCS") from None

    ctype = str(header["CTYPE1"]).strip() if "CTYPE1" in header else ""
    if ctype not in ("RA---TAN", "RA---TPV", "RA---TAN-SIP"):
        raise InputError(f"{filename}: WCS projection {ctype!r} is not supported (RA---TAN, RA---TPV, RA---TAN-SIP)")
    dec = get("CRVAL2")
    crval = (
        get("CRVAL1") + float(correction[0]) / 3600.0 / np.cos(np.deg2rad(dec)),
        dec + float(correction[1]) / 3600.0,
    )
    crpix = (get("CRPIX1"), get("CRPIX2"))
    cd = [[get("CD1_1"), get("CD1_2")], [get("CD2_1"), get("CD2_2")]]
    if np.linalg.det(np.array(cd)) == 0:
        raise InputError(f"{filename}: the CD matrix of the header is singular")
    width, height = _image_size(header, filename)
    if ctype == "RA---TAN-SIP":
        return SipWcs(crval, crpix, cd, width, height, _sip(header, "A"), _sip(header, "B"))
    pv1, pv2 = _pv(header, 1), _pv(header, 2)
    if pv1 is None and pv2 is None:
        return TanWcs(crval, crpix, cd, width, height)
    linear = np.zeros(NCOEF)
    linear[1] = 1.0
    return TpvWcs(crval, crpix, cd, width, height, linear if pv1 is None else pv1, linear if pv2 is None else pv2)


def _image_size(header, filename):
    for prefix in (("IMAGEW", "IMAGEH"), ("ZNAXIS1", "ZNAXIS2"), ("NAXIS1", "NAXIS2")):
        if all(k in header for k in prefix):
            return int(header[prefix[0]]), int(header[prefix[1]])
    raise InputError(f"{filename}: header gives no image size (NAXIS1, NAXIS2)")


def _pv(header, axis):
    """PV coefficients of an axis (None if there are none); PV_1 is 1 unless given."""
    pv = np.zeros(NCOEF)
    pv[1] = 1.0
    found = False
    for i in range(NCOEF):
        key = f"PV{axis}_{i}"
        if key in header:
            pv[i] = float(header[key])
            found = True
    return pv if found else None


def _sip(header, name):
    pattern = re.compile(rf"^{name}_(\d+)_(\d+)$")
    coefficients = {}
    for key in header.keys():  # noqa: SIM118 - FITS header objects do not iterate like dicts
        m = pattern.match(str(key))
        if m:
            coefficients[int(m.group(1)), int(m.group(2))] = float(header[key])
    return coefficients
