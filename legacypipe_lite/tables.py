"""Tables: reading them from FITS files, stacking them, and the forms in which FITS files take tables and cards."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fitsio
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .cards import read_cards
from .columns import decoded
from .errors import InputError
from .files import plain_alias

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = [
    "column_names",
    "fits_bytes",
    "fits_cards",
    "gzipped",
    "native_array",
    "null_values",
    "open_fits",
    "read_columns",
    "read_table",
    "short_message",
    "stack_columns",
    "structured_array",
    "verify_checksums",
]

#: A gzipped file cannot hold more than so many bytes per byte.
_MAX_GZIP_RATIO = 1100


def native_array(array: NDArray[Any]) -> NDArray[Any]:
    """An array or structured array in native byte order, with bytes decoded to str.

    Parameters
    ----------
    array : numpy.ndarray
        As fitsio gives it: big-endian, strings as bytes or str depending on its version.

    Returns
    -------
    numpy.ndarray
        Trailing blanks of strings are kept.
    """
    array = np.asarray(array)
    if array.dtype.names is not None:
        columns = {name: native_array(array[name]) for name in array.dtype.names}
        dtype = [(name, c.dtype, c.shape[array.ndim :]) for name, c in columns.items()]
        native = np.empty(array.shape, dtype)
        for name, column in columns.items():
            native[name] = column
        return native
    if array.dtype.kind == "S":
        return decoded(array)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def open_fits(path: str | Path) -> fitsio.FITS:
    """Open a FITS file for reading. All characters of the path mean themselves.

    Raises
    ------
    InputError
        If it does not exist or is not a FITS file.
    """
    try:
        with plain_alias(path) as alias:
            return fitsio.FITS(alias, lower=True)
    except (OSError, ValueError, MemoryError) as e:
        reason = f"cannot be read ({short_message(e)})" if os.path.exists(path) else "does not exist"
        raise InputError(f"{path}: {reason}") from None


def read_table(path: str | Path, columns: list[str] | None = None) -> NDArray[Any]:
    """Read the table in HDU 1 of a FITS file; column names in lower case.

    Parameters
    ----------
    path : str or Path
    columns : list of str, optional

    Returns
    -------
    numpy.ndarray
        Structured, native byte order, strings decoded.

    Raises
    ------
    InputError
        If the file or a column is missing, or the file is damaged.
    """
    with open_fits(path) as fits:
        return read_columns(fits, path, columns)


def read_columns(
    fits: fitsio.FITS,
    path: str | Path,
    columns: list[str] | None = None,
    rows: ArrayLike | None = None,
) -> NDArray[Any]:
    """As `read_table`, from an open file, and chosen rows only.

    Parameters
    ----------
    fits : fitsio.FITS
    path : str or Path
        For messages.
    columns : list of str, optional
    rows : array_like of int, optional

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        If a column is missing, or the file is damaged.
    """
    try:
        table = fits[1]
        names = _names(table, path)
        if columns is not None:
            missing = [c for c in columns if c not in names]
            if missing:
                raise InputError(f"{path}: no column {', '.join(missing)} in HDU 1")
            columns = [names[c] for c in columns]
        _check_size(table, path)
        if rows is not None and np.size(rows) == 0:  # fitsio would read all rows
            return _read(table, path, [0][: table.get_nrows()], columns)[:0]
        return _read(table, path, rows, columns)
    except (OSError, ValueError, AttributeError, IndexError, TypeError, MemoryError, OverflowError) as e:
        raise InputError(f"{path}: table in HDU 1 cannot be read ({short_message(e)})") from None


def _names(table: Any, path: Any) -> Any:
    """Names of the columns by their lower-case forms."""
    names = table.get_colnames()
    twice = [name for name, n in Counter(name.lower() for name in names).items() if n > 1]
    if twice:
        spelt = ", ".join(name for name in names if name.lower() == twice[0])
        raise InputError(f"{path}: columns {spelt} in HDU 1: names that differ in case only are the same in FITS")
    return {name.lower(): name for name in names}


def _check_size(table: Any, path: Any) -> None:
    """A damaged header may claim more rows than there is memory for."""
    offsets, size = table.get_offsets(), os.path.getsize(path)
    with open(path, "rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    if offsets["data_end"] - offsets["data_start"] > size * (_MAX_GZIP_RATIO if packed else 1) + 2880:
        raise InputError(
            f"{path}: HDU 1 claims {table.get_nrows()} rows, more than its {size} bytes can hold: is the file cut off?"
        )


def _read(table: Any, path: Any, rows: Any, columns: Any) -> Any:
    try:
        return native_array(table.read(rows=rows, columns=columns))
    except UnicodeDecodeError:
        return _read_bytes(table, path, rows, columns)


def _read_bytes(table: Any, path: Any, rows: Any, columns: Any) -> Any:
    """As `_read`, where text columns hold characters beyond ASCII, which fitsio does not decode."""
    from astropy.io import fits

    arrays = {}
    with fits.open(path, memmap=False) as file:
        raw = file[1].data.view(np.ndarray)
        for name in table.get_colnames() if columns is None else columns:
            try:
                column = table.read(rows=rows, columns=[name])[name.lower()]
            except UnicodeDecodeError:
                column = raw[name] if rows is None else raw[name][np.asarray(rows, int)]
            arrays[name.lower()] = native_array(column)
    length = len(next(iter(arrays.values()))) if arrays else 0
    result = np.empty(length, [(name, a.dtype, a.shape[1:]) for name, a in arrays.items()])
    for name, array in arrays.items():
        result[name] = array
    return result


def null_values(fits: Any, path: Any) -> Any:
    """Numbers that stand for "no value" in integer columns of the table in HDU 1 (cards TNULL), by column.

    Parameters
    ----------
    fits : fitsio.FITS
    path : str or Path

    Returns
    -------
    dict of str -> int
        Lower-case names.
    """
    cards = read_cards(fits, 1, path)
    numbers = [key[5:] for key in cards if key.startswith("TNULL") and key[5:].isdigit()]
    found = {str(cards.get(f"TTYPE{n}", "")).strip().lower(): cards[f"TNULL{n}"] for n in numbers}
    return {name: value for name, value in found.items() if isinstance(value, int)}


def column_names(fits: fitsio.FITS, path: str | Path) -> list[str]:
    """Names of the columns of the table in HDU 1, in lower case, from an open file.

    Raises
    ------
    InputError
        If the HDU is not a table.
    """
    try:
        return [name.lower() for name in fits[1].get_colnames()]
    except (OSError, AttributeError, IndexError):
        raise InputError(f"{path}: HDU 1 is not a table") from None


def verify_checksums(path: Any) -> None:
    """Check a FITS file against its own checksums (cards CHECKSUM and DATASUM), where it has them.

    Raises
    ------
    InputError
        If one does not agree with what is there, or the file cannot be read.
    """
    with open_fits(path) as fits:
        for number, hdu in enumerate(fits):
            cards = read_cards(fits, number, path)
            if "CHECKSUM" not in cards or "DATASUM" not in cards:
                continue
            try:
                hdu.verify_checksum()
            except ValueError as e:
                raise InputError(f"{path}: HDU {number}: {e}: the file is damaged, or was changed") from None
            except OSError as e:
                raise InputError(f"{path}: HDU {number}: cannot be read ({short_message(e)})") from None


def short_message(error: Any) -> str:
    """The first informative line of a fitsio/cfitsio error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, MemoryError):
        return "not enough memory"
    return lines[0] if lines else type(error).__name__


# --- stacking


def _columns(table: Mapping[str, NDArray[Any]] | NDArray[Any] | Table) -> dict[str, NDArray[Any]]:
    """The columns of a table of any kind: dict of str to numpy.ndarray."""
    if isinstance(table, np.ndarray):
        return {name: table[name] for name in table.dtype.names or ()}
    names = table if isinstance(table, Mapping) else table.colnames
    return {name: np.asarray(table[name]) for name in names}


def stack_columns(
    tables: Sequence[Mapping[str, NDArray[Any]] | NDArray[Any] | Table], empty_tables_count: bool = True
) -> dict[str, NDArray[Any]]:
    """Stack tables row-wise; columns that a table lacks are filled with zero, False or the empty string.

    Parameters
    ----------
    tables : sequence of Table, structured numpy.ndarray or dict of str to numpy.ndarray
    empty_tables_count : bool
        A table without rows takes part in the choice of the common types. Without it, it says how a column looks only
        if no other table does.

    Returns
    -------
    dict of str to numpy.ndarray
        The union of the columns, in order of first appearance, each of the common type.
    """
    parts = [_columns(table) for table in tables]
    lengths = [len(next(iter(part.values()), ())) for part in parts]
    stacked = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        have = [part[name] for part in parts if name in part]
        if not empty_tables_count:
            have = [column for column in have if len(column)] or have
        dtype, shape = np.result_type(*have), have[0].shape[1:]
        stacked[name] = np.concatenate(
            [
                np.asarray(part[name], dtype)
                if name in part and (n or empty_tables_count)
                else np.zeros((n, *shape), dtype)
                for part, n in zip(parts, lengths)
            ]
        )
    return stacked


# --- what fitsio writes


def structured_array(
    table: Mapping[str, NDArray[Any]] | NDArray[Any] | Table, declared_widths: bool = True
) -> NDArray[Any]:
    """A native structured array of a table, strings as bytes of at least one character.

    Parameters
    ----------
    table : Table, structured numpy.ndarray or dict of str to numpy.ndarray
    declared_widths : bool
        Columns of strings are as wide as they are declared, even if all values are shorter.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a column holds Python objects.
    """
    dtype, values = [], {}
    for name, column in _columns(table).items():
        if column.dtype.kind == "U":
            encoded = np.char.encode(column, "utf-8")
            width = column.dtype.itemsize // 4 if declared_widths else 0
            column = encoded.astype(f"S{max(encoded.dtype.itemsize, width, 1)}")
        if column.dtype.kind == "O":
            raise ValueError(f"column {name!r} holds Python objects, which a FITS table cannot")
        if column.dtype.kind == "S" and column.dtype.itemsize == 0:
            column = column.astype("S1")
        values[name] = column
        dtype.append((name, column.dtype.newbyteorder("="), column.shape[1:]))
    rows = np.empty(len(next(iter(values.values()))) if values else 0, dtype=dtype)
    for name, column in values.items():
        rows[name] = column
    return rows


def fits_cards(cards: Sequence[tuple[str, Any, str]]) -> list[dict[Any, Any]]:
    """Cards in the form that fitsio takes, with plain Python values; numbers that are not finite are left empty.

    Parameters
    ----------
    cards : sequence of (str, object, str)
        Keyword, value, comment.

    Returns
    -------
    list of dict
    """
    result = []
    for keyword, value, comment in cards:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not np.isfinite(value):
            value = None
        if keyword in ("COMMENT", "HISTORY"):
            result.append({"name": keyword, "value": str(comment if value is None else value), "comment": ""})
        else:
            result.append({"name": keyword, "value": value, "comment": comment or ""})
    return result


def fits_bytes(build: Callable[..., Any]) -> bytes:
    """The FITS file that ``build(fits)`` makes."""
    with fitsio.FITS("mem://", "rw", clobber=True) as fits:
        build(fits)
        return fits.read_raw()


def gzipped(data: bytes) -> bytes:
    """Compressed bytes, the same for the same data whenever it is made."""
    return gzip.compress(data, compresslevel=9, mtime=0)
