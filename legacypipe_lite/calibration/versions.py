"""Versions of the image processing: comparing them, and whether files belong together."""

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["check_versions", "plver_at_least", "texts_agree", "parse_plver"]

logger = logging.getLogger(__name__)

_VERSION = re.compile(r"^(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?$")


def parse_plver(plver: str) -> tuple[int, int, int, tuple[Any, ...]]:
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


def plver_at_least(plver: str, minimum: str) -> bool:
    """True if PLVER is at or above a version.

    Examples
    --------
    >>> plver_at_least("V4.8.2a", "4.8.0"), plver_at_least("V4.8.2a", "4.9.0")
    (True, False)
    """
    return parse_plver(plver) >= parse_plver(minimum)


def texts_agree(found: str, expected: str) -> str:
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


def check_versions(
    path: str | Path,
    comparisons: Iterable[tuple[str, Any, Any]],
    owner: str,
    error: type[Exception],
    *,
    old_ok: bool = False,
    whole: bool = False,
    about: str = "",
) -> None:
    """Check that a file is of the exposure and the processing that is expected.

    Texts that are cut short are accepted with a warning.

    Parameters
    ----------
    path : str or Path
        For messages.
    comparisons : iterable of (str, object, object)
        Name, what was found (None or "": missing), and what is expected ("": unknown, not checked).
    owner : str
        Where the expected values come from, for messages.
    error : type
        What is raised if something differs.
    old_ok : bool
        Only warn if something differs.
    whole : bool
        What was found has room for any text, so that only what is expected may be cut short.
    about : str
        What the differences mean, before they are listed.

    Raises
    ------
    `error`
    """
    problems = []
    for name, found, expected in comparisons:
        if expected == "":
            continue
        found = found.strip() if isinstance(found, str) else found
        agree = _agree(found, expected, whole)
        if agree == "cut":
            logger.warning("%s: %s %s is taken for %s's %s", path, name, found, owner, expected)
        elif agree == "different":
            problems.append(f"{name} is {'missing' if found in (None, '') else found}, {owner} has {expected}")
    if not problems:
        return
    text = f"{path}: {about}{'; '.join(problems)}"
    if not old_ok:
        raise error(f"{text} (--old-calibs-ok accepts it)")
    logger.warning("%s; accepted (--old-calibs-ok)", text)


def _agree(found, expected, whole):
    """As `texts_agree`; numbers are equal or different."""
    if not isinstance(expected, str):
        return "equal" if found == expected else "different"
    found = "" if found is None else str(found)
    if whole and not found.startswith(expected):
        return "different"
    return texts_agree(found, expected)
