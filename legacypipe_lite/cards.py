"""Header cards of FITS files as they are: a card that cannot be read costs nothing but itself."""

import gzip
import warnings

import fitsio

from .errors import InputError

__all__ = ["read_cards"]


def read_cards(fits, hdu: int, path):
    """The header of an HDU.

    Cards whose value is no FITS value (``SWVER = 1.0.0``, characters beyond ASCII ...) come as the text that stands
    there.

    Parameters
    ----------
    fits : fitsio.FITS
    hdu : int
    path : str or Path
        Of the file.

    Returns
    -------
    mapping
        Upper-case keyword -> value. For a compressed image, the cards of its binary table.

    Raises
    ------
    InputError
        If there is no such HDU, or no header can be made out.
    """
    try:
        return fits[hdu].read_header()
    except (OSError, ValueError, AttributeError, IndexError, TypeError) as error:
        problem = error
    try:
        return _lenient(fits[hdu].get_offsets(), path)
    except (OSError, ValueError, AttributeError, IndexError):
        lines = str(problem).splitlines()
        raise InputError(f"{path}: HDU {hdu}: header cannot be read ({lines[0] if lines else problem!r})") from None


def _lenient(offsets, path):
    """Cards between the places in the file that CFITSIO gives; values that astropy cannot parse as text."""
    from astropy.io import fits

    with open(path, "rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(path, "rb") as stream:
        stream.seek(offsets["header_start"])
        text = stream.read(offsets["data_start"] - offsets["header_start"]).decode("latin-1")
    ascii_text = "".join(c if " " <= c <= "~" else "?" for c in text)
    result = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in range(0, len(ascii_text), 80):
            card = ascii_text[start : start + 80]
            keyword = card[:8].strip()
            if keyword == "END":
                break
            if keyword and keyword not in ("COMMENT", "HISTORY", "CONTINUE") and keyword not in result:
                result[keyword] = _value(fits.Card.fromstring(card), card)
    return fitsio.FITSHDR([{"name": k, "value": v, "comment": ""} for k, v in result.items()]) if result else result


def _value(card, image):
    """The value of a card; its text if that is no value."""
    try:
        value = card.value
    except Exception:  # astropy raises errors of many kinds, depending on what stands there
        value = image[9 if image[8:9] == "=" else 8 :].partition(" / ")[0].strip()
    return value if isinstance(value, (str, int, float, bool)) else str(value)
