"""Versions of the image processing: comparing them, and whether files belong together."""

import re

__all__ = ["plver_at_least", "texts_agree", "parse_plver"]

_VERSION = re.compile(r"^(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?$")


def parse_plver(plver):
    """Sortable form of a Community Pipeline version (PLVER) such as ``"V4.8.2a"``, ``"DES V3.9+1"``, ``"V2.0beta"``.

    Parameters
    ----------
    plver : str

    Returns
    -------
    tuple
        (major, minor, patch, rank) where a pre-release ranks below the plain version.

    Raises
    ------
    ValueError
        If it is not such a version.
    """
    text = plver.strip().replace("DES ", "").replace("V", "").replace("+1", "a1")
    if text.endswith("LS"):
        text = text[: -len("LS")]
    if text.endswith("beta"):
        text = text[: -len("beta")] + "b1"
    if text.endswith("2a"):
        text += "1"
    match = _VERSION.match(text)
    if match is None:
        raise ValueError(f"PLVER {plver!r} is not a version number")
    major, minor, patch, tag, number = match.groups()
    rank = (1,) if tag is None else (0, tag, int(number))
    return (int(major), int(minor), int(patch or 0), rank)


def plver_at_least(plver, minimum):
    """True if PLVER is at or above a version.

    Examples
    --------
    >>> plver_at_least("V4.8.2a", "4.8.0"), plver_at_least("V4.8.2a", "4.9.0")
    (True, False)
    """
    return parse_plver(plver) >= parse_plver(minimum)


def texts_agree(found, expected):
    """Whether two version strings agree: equal, or cut short in one of the two places (table columns are narrow).

    Returns
    -------
    str
        "equal", "cut" or "different".
    """
    found, expected = found.strip(), expected.strip()
    if found == expected:
        return "equal"
    shorter, longer = sorted((found, expected), key=len)
    return "cut" if shorter and longer.startswith(shorter) else "different"
