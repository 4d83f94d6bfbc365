"""Catalogues and truth tables in the form in which they are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.table import Table

from ..errors import InputError
from ..models.sources import SOURCE_TYPES, TYPES_SIMPLE_FIRST
from ..tables import open_fits, read_columns

__all__ = ["read_catalog", "read_truth", "is_partial", "bands_of", "common_bands", "GALAXY_TYPES", "INJECTED_EXTNAME"]

#: Types of extended sources.
GALAXY_TYPES = tuple(name for name in TYPES_SIMPLE_FIRST if not SOURCE_TYPES[name].is_point)

#: Extension name of tables that list only the sources that were added to real images.
INJECTED_EXTNAME = "INJECTED"

_SHAPES = ("shape_r", "shape_e1", "shape_e2", "sersic")
_NOT_MEASURED = ("DUP", "NUN")


def read_catalog(path: str | Path) -> Table:
    """Read the primary, fitted rows of a tractor catalogue.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Table
        Duplicates, objects without a model and rows outside the brick's own area are left out.

    Raises
    ------
    InputError
        If a column is missing.
    """
    table = _read(path)
    bands = bands_of(table)
    needed = ["ra", "dec", "ra_ivar", "dec_ivar", "bx", "by", "type", *_SHAPES, *(f"{name}_ivar" for name in _SHAPES)]
    needed += [f"flux_ivar_{band}" for band in bands]
    _require(table, needed, path)
    if not bands:
        raise InputError(f"{path}: no column flux_<band>")
    keep = ~np.isin(table["type"], _NOT_MEASURED)
    if "brick_primary" in table.colnames:
        keep &= np.asarray(table["brick_primary"], bool)
    return table[keep]


def read_truth(path: str | Path) -> Table:
    """Read a table of true parameters.

    It has the columns ra, dec, type, flux_<band> and, if there are galaxies, shape_r, shape_e1, shape_e2, sersic of
    the tractor catalogue. Columns that are used if they are there: ``is_gaia``, ``note`` ("saturated", "biggal",
    "pair": see `matching.Scene`), ``in_zoom`` (whether the source lies in the image), ``nn_dist`` (distance of the
    nearest neighbour that matters [arcsec]).

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Table
        ``meta["partial"]`` tells whether it lists only some of the sources in the images.

    Raises
    ------
    InputError
        If a column is missing.
    """
    table = _read(path)
    _require(table, ["ra", "dec", "type"], path)
    if not bands_of(table):
        raise InputError(f"{path}: no column flux_<band>")
    if np.any(np.isin(table["type"], GALAXY_TYPES)):
        _require(table, _SHAPES, path)
    for name in _SHAPES:
        if name not in table.colnames:
            table[name] = np.zeros(len(table))
    if "is_gaia" not in table.colnames:
        table["is_gaia"] = np.zeros(len(table), bool)
    if "note" not in table.colnames:
        table["note"] = np.full(len(table), "")
    table.meta["partial"] = is_partial(path)
    return table


def is_partial(path: str | Path) -> bool:
    """True if a table of true parameters lists only the sources that were added to real images."""
    with open_fits(path) as fits:
        return fits[1].get_extname().strip().upper() == INJECTED_EXTNAME


def bands_of(table: Table) -> list[str]:
    """Optical bands of a table, in the order of its columns ``flux_<band>``."""
    names = [name.removeprefix("flux_") for name in table.colnames if name.startswith("flux_")]
    return [name for name in names if "_" not in name and name not in ("w1", "w2", "w3", "w4")]


def common_bands(truth: Table, catalog: Table, min_fraction: float = 0.3) -> list[str]:
    """Bands that the truth has and in which at least this fraction of the catalogue is measured."""
    bands = []
    for band in bands_of(catalog):
        if band in bands_of(truth) and np.sum(catalog[f"flux_ivar_{band}"] > 0) > min_fraction * len(catalog):
            bands.append(band)
    return bands


def _read(path: Path | str) -> Table:
    with open_fits(path) as fits:
        if len(fits) < 2:
            raise InputError(f"{path}: holds no table")
        rows = read_columns(fits, path)
        header = fits[0].read_header()
    columns = {}
    for name in rows.dtype.names or ():
        column = rows[name]
        columns[name] = np.char.strip(column) if column.dtype.kind == "U" else column
    corners = [(header.get(f"CORN{i}RA"), header.get(f"CORN{i}DEC")) for i in range(1, 5)]
    known = all(isinstance(value, (int, float)) for corner in corners for value in corner)
    return Table(columns, meta={"path": str(path), "corners": corners if known else None})


def _require(table: Table, names: list[str] | tuple[str, ...], path: Path | str) -> None:
    missing = [name for name in names if name not in table.colnames]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}")
