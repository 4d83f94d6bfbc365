"""Reading FITS tables with fitsio into native byte order and plain strings."""

import os

import fitsio
import numpy as np

from .errors import InputError

__all__ = ["column_names", "native_array", "open_fits", "read_columns", "read_table", "short_message"]


def native_array(array):
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
        wide = f"U{array.dtype.itemsize}"
        return np.char.decode(array, "latin-1").astype(wide) if array.size else array.astype(wide)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def open_fits(path):
    """Open a FITS file for reading.

    Raises
    ------
    InputError
        If it does not exist or is not a FITS file.
    """
    try:
        return fitsio.FITS(str(path), lower=True)
    except OSError as e:
        reason = f"cannot be read ({short_message(e)})" if os.path.exists(path) else "does not exist"
        raise InputError(f"{path}: {reason}") from None


def read_table(path, columns=None):
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


def read_columns(fits, path, columns=None, rows=None):
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
        names = {name.lower(): name for name in table.get_colnames()}
        if columns is not None:
            missing = [c for c in columns if c not in names]
            if missing:
                raise InputError(f"{path}: no column {', '.join(missing)} in HDU 1")
            columns = [names[c] for c in columns]
        if rows is not None and len(rows) == 0:  # fitsio would read all rows
            return native_array(table.read(rows=[0][: table.get_nrows()], columns=columns))[:0]
        return native_array(table.read(rows=rows, columns=columns))
    except (OSError, ValueError, AttributeError) as e:
        raise InputError(f"{path}: table in HDU 1 cannot be read ({short_message(e)})") from None


def column_names(fits, path):
    """Names of the columns of the table in HDU 1, in lower case, from an open file.

    Raises
    ------
    InputError
        If the HDU is not a table.
    """
    try:
        return [name.lower() for name in fits[1].get_colnames()]
    except (OSError, AttributeError):
        raise InputError(f"{path}: HDU 1 is not a table") from None


def short_message(error):
    """The first informative line of a fitsio/cfitsio error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
