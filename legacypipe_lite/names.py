"""Names that people give (files, bricks, bands, flags): which are accepted, how they are shown, what was meant."""

import difflib
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from .errors import InputError, UsageError

__all__ = ["check_band_names", "check_below", "check_file_part", "did_you_mean", "printable"]

_BAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_MAX_SUGGESTIONS = 3


def printable(text: str) -> str:
    """Text that a terminal shows as it is: control characters (ESC, newline ...) are written as escape sequences.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    text = str(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character):
    return character.encode("unicode_escape").decode("ascii") if ord(character) < 0xD800 else ascii(character)[1:-1]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: what may have been meant.

    Parameters
    ----------
    name : str
    known : iterable of str

    Returns
    -------
    str
        E.g. "; did you mean --brick?", or nothing.
    """
    known = list(dict.fromkeys(str(k) for k in known))
    by_case = [k for k in known if k.lower() == name.lower()]
    close = by_case or difflib.get_close_matches(name, known, n=_MAX_SUGGESTIONS, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def check_below(name: str, what: str) -> str:
    """Check that a name from a table leads to a file below the folder to which it is relative.

    Parameters
    ----------
    name : str
        With ``/`` between its parts.
    what : str
        For messages, e.g. "image_filename".

    Returns
    -------
    str
        The name.

    Raises
    ------
    InputError
        If it is empty, absolute, contains ``..``, or a control character.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or not name.isprintable():
        raise InputError(f"{what} is {name!r}, but must be the name of a file below its folder, without '..'")
    return name


def check_file_part(name: str, what: str, error: type = InputError) -> str:
    """Check that a name can be a part of file names: no ``/``, no control characters, not ``.`` or ``..``.

    Parameters
    ----------
    name : str
        May be empty.
    what : str
        For messages, e.g. "--brick".
    error : type
        What is raised.

    Returns
    -------
    str
        The name.

    Raises
    ------
    `error`
    """
    if "/" in name or name in (".", "..") or not name.isprintable():
        raise error(f"{what} is {name!r}, which cannot be part of a file name")
    return name


def check_band_names(bands: Iterable[str]) -> None:
    """Check that the names of bands can be used in file names, columns and header cards, and differ there.

    Parameters
    ----------
    bands : sequence of str

    Raises
    ------
    UsageError
    """
    seen: dict[str, str] = {}
    for band in bands:
        if not isinstance(band, str) or not _BAND.fullmatch(band):
            raise UsageError(f"--bands: {band!r} is no name of a band: letters, digits, _ and - can be used")
        key = band.lower().replace("-", "_")
        if seen.get(key) == band:
            raise UsageError(f"--bands names a band twice: {band}")
        if key in seen:
            raise UsageError(
                f"--bands: {seen[key]} and {band} differ in case only (or in - and _), but names of FITS columns and"
                " header cards do not; run them one after the other, into two output directories"
            )
        seen[key] = band
