"""The all-models table: what each model gave for each source."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..models.ivars import ParameterIvars
from ..models.sources import TYPES
from .columns import column_suffix
from .derived import flag, source_types
from .other_tables import all_models_columns

__all__ = ["all_models_table"]

_NOT_TRIED = -1


def all_models_table(
    fit_table: Table,
    fit_models: list[dict],
    bands: Sequence[str],
    all_bands: Sequence[str] | None = None,
    sources: list | None = None,
) -> dict[str, NDArray]:
    """Format the fitted models of all sources.

    Parameters
    ----------
    fit_table : Table
        The fitted catalogue.
    fit_models : list of dict
        Row by row: model type -> fitted model with ra, dec, flux, shape_r, hard_ellipticity, sersic, ivar
        (`models.ParameterIvars`), cpu, hit_limit, hit_r_limit, steps. Models that were not tried are absent.
    bands : sequence of str
        Order of the fluxes.
    all_bands : sequence of str, optional
        Bands of the table; `bands` by default.
    sources : list of Source or None, optional
        Row by row, for the column type (otherwise that of `fit_table`).

    Returns
    -------
    dict of str to numpy.ndarray
        Columns, sorted by objid. (There are more than a hundred: a Table of them would take as long as a small blob.)
    """
    all_bands = bands if all_bands is None else all_bands
    longest = max((len(str(name)) for name in fit_table["brickname"]), default=0)
    columns = all_models_columns(all_bands, brickname_length=max(8, longest))
    n = len(fit_table)
    values = {c.name: np.zeros((n, *c.shape), bool if c.dtype == "bool" else np.dtype(c.dtype)) for c in columns}
    for name in fit_table.colnames:
        if name in values:
            column = np.asarray(fit_table[name])
            values[name][...] = np.char.encode(column, "ascii") if column.dtype.kind == "U" else column
    if sources is not None:
        values["type"][...] = np.char.encode(source_types(sources, flag(fit_table, "dup")), "ascii")
    regular = np.asarray(fit_table["regular"], bool)
    keep = np.asarray(fit_table["force_keep_source"], bool)
    for name in TYPES:
        model = name.lower()
        records = {row: models[name] for row, models in enumerate(fit_models) if name in (models or {})}
        not_tried = regular.copy()
        not_tried[list(records)] = False
        values[f"{model}_opt_steps"][not_tried] = _NOT_TRIED
        if records:
            _fill(values, model, list(records), list(records.values()), bands, keep)
    order = np.argsort(np.asarray(fit_table["objid"]), kind="stable")
    return {c.name: values[c.name][order] for c in columns}


def _fill(values, model, rows, records, bands, keep):
    """Write one kind of model, of the sources that have it, into the columns."""

    def put(name, column):
        if f"{model}_{name}" in values:
            values[f"{model}_{name}"][rows] = column

    for name in ("ra", "dec", "cpu", "hit_limit", "hit_r_limit"):
        put(name, [getattr(record, name) for record in records])
    put("opt_steps", [record.steps for record in records])
    ivar = ParameterIvars.stacked([record.ivar for record in records]).finite()
    put("ra_ivar", ivar.position[:, 0])
    put("dec_ivar", ivar.position[:, 1])
    shape = np.array([(record.shape_r, *record.hard_ellipticity, record.sersic) for record in records])
    for i, name in enumerate(("shape_r", "shape_e1", "shape_e2", "sersic")):
        put(name, shape[:, i])
        put(f"{name}_ivar", ivar.shape(name))
    flux = np.array([record.flux for record in records])
    for i, band in enumerate(bands):
        measured = (ivar.flux[:, i] != 0) | keep[rows]
        put(f"flux_{column_suffix(band)}", np.where(measured, flux[:, i], 0.0))
        put(f"flux_ivar_{column_suffix(band)}", ivar.flux[:, i])
