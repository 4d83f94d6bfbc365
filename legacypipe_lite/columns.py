"""Columns of tables as people have them: numbers as text, NULLs, bytes, text instead of booleans."""

import numpy as np

__all__ = ["is_blank", "to_booleans", "to_integers", "to_numbers", "to_texts"]

#: What stands in text columns (lower case, stripped) where there is no value.
_NOTHING = frozenset(
    ("", "null", "none", "nan", "n/a", "na", "nil", "undef", "undefined", "indef", "masked", "-", "--")
)
_TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0", "on"))
_FALSE = frozenset(("false", "f", "no", "n", "0", "0.0", "off"))
#: Integers beyond are not exact as float64.
_EXACT = 2.0**53


def is_blank(text: str) -> bool:
    """True if a text says that there is no value: blank, "null", "NaN", "--" ..."""
    return str(text).strip().lower() in _NOTHING


def to_texts(column: np.ndarray) -> np.ndarray:
    """A column as stripped texts; numbers are written out (whole ones without a fraction).

    Parameters
    ----------
    column : numpy.ndarray
        Strings, bytes, numbers or booleans.

    Returns
    -------
    numpy.ndarray of str
        In a column just wide enough.
    """
    column = _unmasked(column, "")
    if column.dtype.kind == "S":
        column = decoded(column)
    if column.dtype.kind == "f":
        column = np.array([f"{v:.0f}" if np.isfinite(v) and v == np.rint(v) else str(v) for v in column.tolist()])
    texts = np.char.strip(column.astype(str)) if len(column) else column.astype("U1")
    width = int(np.char.str_len(texts).max()) if texts.size else 1
    return texts.astype(f"U{max(width, 1)}")


def decoded(column: np.ndarray) -> np.ndarray:
    """Bytes as str: UTF-8, or else Latin-1, in which every byte is a character."""
    width = f"U{max(column.dtype.itemsize, 1)}"
    if not column.size:
        return column.astype(width)
    try:
        return np.char.decode(column, "utf-8").astype(width)
    except UnicodeDecodeError:
        return np.char.decode(column, "latin-1").astype(width)


def to_numbers(column: np.ndarray, null=None) -> tuple[np.ndarray, np.ndarray]:
    """A column as numbers.

    Parameters
    ----------
    column : numpy.ndarray, shape (n,) or (n, 1)
        Numbers, booleans, or text.
    null : number, optional
        Value that means that there is none (TNULL).

    Returns
    -------
    values : numpy.ndarray, shape (n,)
        Of the type of the column if it holds floating-point numbers, or integers and all of them have a value; else
        float64. NaN where there is no value.
    strange : numpy.ndarray of bool, shape (n,)
        Where there is a text that is no number.

    Raises
    ------
    ValueError
        If it is not one number a row.
    """
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    column = np.asarray(np.ma.getdata(column))
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
        mask = None if mask is None else mask[:, 0]
    if column.ndim != 1 or column.dtype.kind not in "iufbSUO":
        raise ValueError("is not a column of numbers")
    strange = np.zeros(len(column), bool)
    if column.dtype.kind in "SUO":
        values, strange = _parsed(column)
    else:
        values = column.astype(np.uint8) if column.dtype.kind == "b" else column
    missing = np.zeros(len(column), bool) if mask is None else mask
    if null is not None and column.dtype.kind in "iu":
        missing = missing | (column == null)
    if missing.any():
        values = np.where(missing, np.nan, values.astype(np.float64))
    return values, strange


def _parsed(column):
    values, strange = np.full(len(column), np.nan), np.zeros(len(column), bool)
    if column.dtype.kind == "S":
        column = decoded(column)
    for i, text in enumerate(column.tolist()):
        if text is None or is_blank(text):
            continue
        try:
            values[i] = float(str(text).replace("D", "E").replace("d", "e"))
        except ValueError:
            strange[i] = True
    if np.all(np.isfinite(values)) and np.all(values == np.rint(values)) and column.dtype.kind == "U":
        return _exact_integers(column, values), strange
    return values, strange


def _exact_integers(column, values):
    """Text of whole numbers as int64, so that large ones stay exact; `values` if that cannot be."""
    try:
        return np.array([int(text) for text in column.tolist()], np.int64)
    except (ValueError, OverflowError):
        return values


def to_integers(column: np.ndarray, null=None) -> tuple[np.ndarray, np.ndarray]:
    """A column as whole numbers.

    Parameters
    ----------
    column, null
        As for `to_numbers`.

    Returns
    -------
    values : numpy.ndarray of int, shape (n,)
        0 where there is none.
    missing : numpy.ndarray of bool, shape (n,)
        Where there is no value, or one that is no whole number.

    Raises
    ------
    ValueError
        If it is not one number a row.
    """
    values, strange = to_numbers(column, null)
    if values.dtype.kind in "iu":
        return values, strange
    with np.errstate(invalid="ignore"):
        good = np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) <= _EXACT) & ~strange
    return np.where(good, values, 0).astype(np.int64), ~good


def to_booleans(column: np.ndarray, null=None) -> tuple[np.ndarray, np.ndarray]:
    """A column as booleans; text means what it says ("False" is not True).

    Parameters
    ----------
    column, null
        As for `to_numbers`.

    Returns
    -------
    values : numpy.ndarray of bool, shape (n,)
        False where there is no value.
    strange : numpy.ndarray of bool, shape (n,)
        Where there is a text that is neither.

    Raises
    ------
    ValueError
        If it is not one value a row.
    """
    if np.asarray(column).dtype.kind in "SU":
        texts = np.char.lower(to_texts(column))
        values = np.isin(texts, list(_TRUE))
        return values, ~(values | np.isin(texts, list(_FALSE)) | np.isin(texts, list(_NOTHING)))
    values, strange = to_numbers(column, null)
    with np.errstate(invalid="ignore"):
        return np.isfinite(values) & (values != 0), strange


def _unmasked(column, blank):
    if isinstance(column, np.ma.MaskedArray) and np.ma.getmaskarray(column).any():
        return np.asarray(column.astype(str).filled(blank))
    return np.asarray(np.ma.getdata(column))
