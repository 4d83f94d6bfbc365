"""Calibration tables: one row per CCD; finding the row of an image, checking its version, writing a new one."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import to_integers, to_texts
from ..errors import CalibrationError, InputError, OutputError
from ..files import atomic_file
from ..tables import column_names, fits_bytes, open_fits, read_columns, structured_array, verify_checksums
from .versions import check_versions

__all__ = ["ImageIdentity", "find_row", "number", "write_row", "identity_columns"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageIdentity:
    """What a calibration must have in common with the image it belongs to.

    Attributes
    ----------
    expnum : int
    ccdname : str
    plver, plprocid : str
        From the CCD table; blank = unknown, not checked.
    """

    expnum: int
    ccdname: str
    plver: str = ""
    plprocid: str = ""


def find_row(
    paths: list[Path],
    identity: ImageIdentity,
    old_calibs_ok: bool = False,
    check: Callable[[dict[str, Any], Path], Any] | None = None,
    verify: bool = False,
) -> tuple[dict[str, Any] | None, Path | None]:
    """The row of a CCD, from the first file that has a good one.

    Parameters
    ----------
    paths : list of Path
        In the order of search; files that do not exist are passed over.
    identity : ImageIdentity
    old_calibs_ok : bool
        Only warn if versions differ.
    check : callable, optional
        ``check(row, path)`` raises an InputError for a row that is not good.
    verify : bool
        Check files against the checksums in them.

    Returns
    -------
    row : dict or None
        Column name -> value (scalars as Python objects, strings stripped); None if no file has the row.
    path : Path or None
        Where it was found.

    Raises
    ------
    InputError
        If there is a row, but no good one: the file is damaged, or of another version of the image, or holds different
        rows of the CCD, or `check` refuses it.
    """
    problem = None
    for path in paths:
        if not Path(path).is_file():
            continue
        try:
            if verify:
                verify_checksums(path)
            with open_fits(path) as fits:
                row = _matching_row(fits, path, identity)
                if row is None:
                    continue
                _check_versions(fits, path, identity, old_calibs_ok)
            if check is not None:
                check(row, path)
        except InputError as error:
            problem = problem or error
            continue
        if problem is not None:
            logger.warning("%s; using %s instead", problem, path)
        return row, path
    if problem is not None:
        raise problem
    return None, None


def _matching_row(fits, path, identity):
    names = column_names(fits, path)
    if "expnum" not in names or "ccdname" not in names:
        return None
    keys = read_columns(fits, path, columns=["expnum", "ccdname"])
    try:
        exposures, _ = to_integers(keys["expnum"])
        ccdnames = np.char.upper(to_texts(keys["ccdname"]))
    except ValueError as error:
        raise CalibrationError(f"{path}: column expnum {error}") from None
    rows = np.flatnonzero((exposures == identity.expnum) & (ccdnames == identity.ccdname.upper()))
    if len(rows) == 0:
        logger.debug("%s: no row of %d %s", path, identity.expnum, identity.ccdname)
        return None
    table = read_columns(fits, path, rows=rows)
    if any(table[i].tobytes() != table[0].tobytes() for i in range(1, len(table))):
        raise CalibrationError(
            f"{path}: {len(rows)} rows of {identity.expnum} {identity.ccdname}, with different values: which is right?"
        )
    if len(rows) > 1:
        logger.warning("%s: %d equal rows of %d %s", path, len(rows), identity.expnum, identity.ccdname)
    return {name: _plain(table[name][0]) for name in table.dtype.names}


def _plain(value):
    if isinstance(value, np.ndarray) and value.ndim:
        return value
    value = value.item() if hasattr(value, "item") else value
    return value.strip() if isinstance(value, str) else value


def _check_versions(fits, path, identity, old_calibs_ok):
    """All rows of the file must be of the image's exposure and processing."""
    names = column_names(fits, path)
    wanted = {"expnum": identity.expnum, "plver": identity.plver, "plprocid": identity.plprocid}
    columns = [c for c in wanted if c in names]
    table = read_columns(fits, path, columns=columns)
    convert = {"expnum": lambda values: to_integers(values)[0], "plver": to_texts, "plprocid": to_texts}
    comparisons = [
        (column, found, expected)
        for column, expected in wanted.items()
        for found in (np.unique(convert[column](table[column])) if column in columns else [None])
    ]
    check_versions(
        path,
        comparisons,
        "the image",
        CalibrationError,
        old_ok=old_calibs_ok,
        about="made for another version of the image: ",
    )


def number(row: Mapping[str, Any], name: str, path, default: float | None = None) -> float:
    """A finite number from a row of a calibration table.

    Parameters
    ----------
    row : dict
    name : str
    path : str or Path
        For messages.
    default : float, optional
        If there is no such column.

    Raises
    ------
    CalibrationError
        If there is none.
    """
    if name not in row:
        if default is None:
            raise CalibrationError(f"{path}: no column {name}")
        return default
    try:
        value = float(row[name])
    except (ValueError, TypeError):
        value = np.nan
    if not np.isfinite(value):
        raise CalibrationError(f"{path}: {name} is {row[name]}, but must be a finite number")
    return value


def identity_columns(identity: ImageIdentity, header: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Columns that say what a new calibration belongs to.

    Parameters
    ----------
    identity : ImageIdentity
    header : dict
        Of the image: DATE (primary) as ``procdate``, DATASUM (image HDU) as ``imgdsum``.
    version : str
        Of this software.

    Returns
    -------
    dict
    """
    return {
        "legpipev": version,
        "plver": identity.plver,
        "plprocid": identity.plprocid,
        "procdate": str(header.get("procdate", "")),
        "imgdsum": str(header.get("imgdsum", "")),
        "expnum": np.int64(identity.expnum),
        "ccdname": identity.ccdname,
    }


def write_row(path: Path, row: dict[str, Any]) -> None:
    """Write a calibration of one row; the file appears complete or not at all.

    Parameters
    ----------
    path : Path
    row : dict
        Column name -> value.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = Path(path)
    table = structured_array({name: _column(value)[np.newaxis] for name, value in row.items()})
    _check_not_protected(path)
    with atomic_file(path, sync=True, failure="{path}: cannot be written ({reason})") as stream:
        stream.write(fits_bytes(lambda fits: fits.write(table)))


def _check_not_protected(path):
    """A folder that nobody may write to is left alone, even by a superuser, whom the system would let write."""
    folder = next((p for p in path.parents if p.is_dir()), None)
    if folder is not None and not folder.stat().st_mode & 0o222:
        raise OutputError(f"{path}: cannot be written ({folder} is write-protected)")


def _column(value):
    """Value as an array of a type that FITS has; empty strings get one blank, as columns need a width."""
    if isinstance(value, str):
        return np.array((value or " ").encode("latin-1", "replace"))
    return np.asarray(value)
