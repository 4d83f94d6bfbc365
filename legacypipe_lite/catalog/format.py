"""From the intermediate catalogue to the tractor catalogue of a published data model."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from astropy.table import Column as TableColumn
from astropy.table import Table
from astropy.units import Unit, UnrecognizedUnit
from numpy.typing import NDArray

from .columns import TRACTOR_SCHEMA, WISE_BANDS, column_suffix, tractor_columns
from .derived import ls_id, nearest_neighbor
from .dust import EXTINCTION, WISE_EXTINCTION, transmission

__all__ = ["tractor_table"]

#: Columns of the intermediate catalogue that are arrays over the bands, and that the tractor catalogue spreads.
_PER_BAND = tuple(entry.name for entry in TRACTOR_SCHEMA if entry.bands == "optical" and not entry.spread)

#: Bits that the 16-bit column maskbits of the dr9 data model can hold.
_LOW_BITS = 0x7FFF


def tractor_table(
    table: Table,
    ebv: NDArray[np.float32],
    bands: Sequence[str],
    all_bands: Sequence[str],
    release: int,
    *,
    data_model: str = "dr10",
    gaia: bool = True,
    wise: Table | None = None,
) -> Table:
    """The tractor catalogue.

    Parameters
    ----------
    table : Table
        The intermediate catalogue.
    ebv : numpy.ndarray of float32, shape (rows,)
        E(B-V) of each row [mag].
    bands : sequence of str
        Bands with images: the order of the array columns.
    all_bands : sequence of str
        Bands of the catalogue; those without images are zero.
    release : int
    data_model : str
        "dr9", "dr10" or "dr11".
    gaia : bool
        False for a run without Gaia stars.
    wise : Table or None
        WISE photometry on the AB system, row by row, under the names of the tractor catalogue; columns that it
        lacks are zero. The length of ``lc_epoch_index_w1`` is that of all light curves.

    Returns
    -------
    Table
        Sorted by objid; columns with units and descriptions. ``meta["units"]`` has the units as the files spell them.
    """
    values = _values(table, ebv, bands, release, wise)
    columns = tractor_columns(
        all_bands,
        data_model,
        gaia=gaia,
        wise=wise is not None,
        light_curves=wise is not None and "lc_epoch_index_w1" in wise.colnames,
        epochs=_light_curve_length(wise),
        brickname_length=max(8, _longest(table["brickname"])),
    )
    order = np.argsort(np.asarray(table["objid"]), kind="stable")
    result = Table()
    for column in columns:
        array = np.zeros((len(table), *column.shape), dtype=_numpy_type(column.dtype))
        if column.name in values:
            array[...] = _converted(values[column.name], column)
        result.add_column(_table_column(array[order], column))
    result.meta["units"] = {column.name: column.unit for column in columns if column.unit}
    return result


def _light_curve_length(wise):
    if wise is None or "lc_epoch_index_w1" not in wise.colnames:
        return None
    return wise["lc_epoch_index_w1"].shape[1]


def _table_column(values, column):
    return TableColumn(values, name=column.name, unit=_unit(column.unit), description=column.text, copy=False)


#: Part of all units that astropy does not know.
_UNKNOWN_TO_ASTROPY = "nanomaggy"


@lru_cache
def _unit(text):
    """astropy's unit of a name in the files; what astropy does not know it keeps as it is."""
    if text and _UNKNOWN_TO_ASTROPY in text:
        return UnrecognizedUnit(text)  # what Unit() would give after a search for similar names
    return Unit(text, parse_strict="silent") if text else None


def _values(table, ebv, bands, release, wise):
    """Everything that the catalogue may hold, by its name there."""
    values = {name: np.asarray(table[name]) for name in table.colnames if name not in _PER_BAND}
    for name in list(values):
        # Reference columns other than those of the schema's own names are Gaia's.
        values.setdefault("gaia_" + name, values[name])
    for name in _PER_BAND:
        columns = np.asarray(table[name])
        for i, band in enumerate(bands):
            values[f"{name}_{column_suffix(band)}"] = columns[:, i] if columns.ndim > 1 else columns
    if wise is not None:
        values.update({name: np.asarray(wise[name]) for name in wise.colnames})
    values["release"] = np.full(len(table), release)
    values["ls_id_dr11"] = ls_id(release, values["brickid"][0] if len(table) else 0, values["objid"])
    values["nearest_neighbor"] = nearest_neighbor(values["ra"], values["dec"])
    values["ebv"] = ebv
    for band, coefficient in EXTINCTION.items():
        values[f"mw_transmission_{column_suffix(band)}"] = transmission(ebv, coefficient)
    for band in WISE_BANDS:
        values[f"mw_transmission_{band}"] = transmission(ebv, WISE_EXTINCTION[band])
    return values


def _converted(values, column):
    """Values in the kind of a column's type, infinite ones replaced."""
    if column.infinite is not None:
        infinite = np.isinf(values) if math.isnan(column.infinite) else ~np.isfinite(values)
        values = np.where(infinite, column.infinite, values)
    if column.name == "maskbits" and column.dtype == "i2":
        return values & _LOW_BITS
    if column.dtype.startswith("S") and values.dtype.kind == "U":
        return np.char.encode(values, "ascii")
    return values


def _longest(names):
    return max((len(str(name)) for name in names), default=0)


def _numpy_type(code):
    return bool if code == "bool" else np.dtype(code)
