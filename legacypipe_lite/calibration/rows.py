"""Calibration tables: one row per CCD; finding the row of an image, checking its version, writing a new one."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CalibrationError, OutputError
from ..files import atomic_file
from ..tables import column_names, fits_bytes, open_fits, read_columns, structured_array
from .versions import check_versions

__all__ = ["ImageIdentity", "find_row", "write_row", "identity_columns"]

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
    paths: list[Path], identity: ImageIdentity, old_calibs_ok: bool = False
) -> tuple[dict[str, Any] | None, Path | None]:
    """The row of a CCD, from the first file that has it.

    Parameters
    ----------
    paths : list of Path
        In the order of search; files that do not exist are passed over.
    identity : ImageIdentity
    old_calibs_ok : bool
        Only warn if versions differ.

    Returns
    -------
    row : dict or None
        Column name -> value (scalars as Python objects, strings stripped); None if no file has the row.
    path : Path or None
        Where it was found.

    Raises
    ------
    CalibrationError
        If the file that has the row is of another version of the image.
    InputError
        If a file is damaged.
    """
    for path in paths:
        if not Path(path).is_file():
            continue
        with open_fits(path) as fits:
            row = _matching_row(fits, path, identity)
            if row is None:
                continue
            _check_versions(fits, path, identity, old_calibs_ok)
            return row, path
    return None, None


def _matching_row(fits, path, identity):
    names = column_names(fits, path)
    if "expnum" not in names or "ccdname" not in names:
        return None
    keys = read_columns(fits, path, columns=["expnum", "ccdname"])
    rows = np.flatnonzero((keys["expnum"] == identity.expnum) & (np.char.strip(keys["ccdname"]) == identity.ccdname))
    if len(rows) != 1:
        logger.debug("%s: %d rows of %d %s", path, len(rows), identity.expnum, identity.ccdname)
        return None
    table = read_columns(fits, path, rows=rows)
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
    comparisons = [
        (column, found, expected)
        for column, expected in wanted.items()
        for found in (np.unique(table[column]) if column in columns else [None])
    ]
    check_versions(
        path,
        comparisons,
        "the image",
        CalibrationError,
        old_ok=old_calibs_ok,
        about="made for another version of the image: ",
    )


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
