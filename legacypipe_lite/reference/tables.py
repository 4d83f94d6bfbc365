"""Columns of reference tables: reading them from FITS, stacking, and those that always exist."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike

from ..cards import read_cards
from ..catalog import DETECTED, REFERENCE
from ..columns import to_booleans, to_integers, to_numbers, to_texts
from ..errors import InputError
from ..tables import column_names, null_values, open_fits, read_columns

__all__ = [
    "COLUMN_TYPES",
    "CatalogFile",
    "add_missing_columns",
    "empty_references",
]

logger = logging.getLogger(__name__)

#: Column of reference tables -> its numpy type in memory.
COLUMN_TYPES = {column.name: column.dtype.replace("S", "U") for column in (*REFERENCE, *DETECTED)}

#: Columns that every reference table has; boolean ones first.
_ALWAYS = sorted(
    (column.name for column in (*REFERENCE, *DETECTED) if column.always),
    key=lambda name: COLUMN_TYPES[name] != "bool",
)


class CatalogFile:
    """An open FITS catalogue with its table in HDU 1; use it in a ``with`` statement.

    Parameters
    ----------
    path : str or Path
    required : sequence of str
        Lower-case names of columns that must be there.
    types : dict, optional
        What columns hold, by lower-case name: "number", "integer", "boolean" or "text". They are converted from
        whatever the file has; values that are not there become NaN, 0, False or "".

    Attributes
    ----------
    columns : frozenset of str
        Lower-case names of the columns of the file.
    nrows : int

    Raises
    ------
    InputError
        If the file is missing or damaged, has no table in HDU 1, or lacks a required column.
    """

    def __init__(self, path: str | Path, required: Sequence[str] = (), types: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._types = types or {}
        self._fits = open_fits(path)
        try:
            self.columns = frozenset(column_names(self._fits, path))
            self.nrows = self._fits[1].get_nrows()
            self._nulls = null_values(self._fits, path)
            for name in required:
                self.need(name)
        except InputError:
            self._fits.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._fits.close()

    def need(self, name: str) -> None:
        """Raise InputError unless a column is there."""
        if name not in self.columns:
            raise InputError(f"{self.path}: reference catalogue without column {name!r}")

    def primary_header(self) -> Mapping[str, Any]:
        """Header of the primary HDU."""
        return read_cards(self._fits, 0, self.path)

    def read(self, columns: Sequence[str] | None = None, rows: ArrayLike | None = None) -> Table:
        """Read columns in native byte order and of their proper types, strings stripped.

        Parameters
        ----------
        columns : sequence of str, optional
            Default: all. Those that the file does not have are left out.
        rows : array_like of int, optional

        Returns
        -------
        Table
        """
        if columns is not None:
            columns = [name for name in columns if name in self.columns]
            if not columns:
                return Table()
        data = read_columns(self._fits, self.path, columns=columns, rows=rows)
        return Table({name: self._converted(name, data[name]) for name in data.dtype.names or ()})

    def _converted(self, name, column):
        kind = self._types.get(name)
        try:
            if kind == "text":
                return to_texts(column)
            if kind is not None:
                values, strange = _CONVERTERS[kind](column, self._nulls.get(name))
                if kind != "integer" and strange.any():
                    value = str(column[np.flatnonzero(strange)[0]])
                    logger.warning(
                        "%s: column %s: %d values cannot be understood (%r)", self.path, name, strange.sum(), value
                    )
                return np.ascontiguousarray(values)
        except ValueError as error:
            raise InputError(f"{self.path}: column {name} {error}") from None
        return np.char.rstrip(column) if column.dtype.kind == "U" else np.ascontiguousarray(column)


_CONVERTERS = {"number": to_numbers, "integer": to_integers, "boolean": to_booleans}


def add_missing_columns(table: Table) -> Table:
    """Add, with zeros, the columns that every reference table has; returns the table."""
    for name in _ALWAYS:
        if name not in table.colnames:
            table[name] = np.zeros(len(table), COLUMN_TYPES[name])
    return table


def empty_references() -> Table:
    """A reference table without rows."""
    return add_missing_columns(Table())
