"""The intermediate catalogue (tractor-i): everything known about the sources, bands as array columns."""

import numpy as np
from astropy.table import Table

from ..models.sources import SHAPE_PARAMETERS
from .columns import TRACTOR_SCHEMA, column_suffix
from .derived import fitbits, flag, source_types

__all__ = ["intermediate_table", "apply_measured_limits", "file_form"]

_MIN_FRACIN = 1e-3
_SHAPE_IVARS = tuple(f"{name}_ivar" for name in SHAPE_PARAMETERS)

#: Columns of the detections that are not written again.
_DETECTION_ONLY = ("peaksn",)

#: Band columns of the coadd table that become one column for each band of the catalogue.
_SPREAD = tuple(entry.name for entry in TRACTOR_SCHEMA if entry.spread)


def intermediate_table(fit_table, sources, ivars, coadd_table, bands, all_bands):
    """Put together what the fit and the coadds say about each source.

    Parameters
    ----------
    fit_table : Table
        The fitted catalogue; its reference columns hold the catalogues' positions and their variances.
    sources : list of Source or None
        Row by row.
    ivars : models.ParameterIvars
        Row by row.
    coadd_table : Table
        Measurements on the coadds, row by row; band columns are arrays over `bands`.
    bands : sequence of str
        Bands with images: the order of fluxes.
    all_bands : sequence of str
        Bands of the catalogue.

    Returns
    -------
    Table
        Columns of `fit_table` and `coadd_table`, with type, position, fluxes, shapes and their inverse variances.
    """
    table = fit_table.copy()
    _add_coadd_columns(table, coadd_table, bands, all_bands)
    ivars = ivars.finite()
    _set_positions(table, sources, ivars)
    _set_fluxes(table, sources, ivars, len(bands))
    table["type"] = source_types(sources, flag(table, "dup"))
    _set_shapes(table, sources, ivars)
    return table


def _add_coadd_columns(table, coadd_table, bands, all_bands):
    for name in coadd_table.colnames:
        if name not in _SPREAD:
            table[name] = coadd_table[name]
        elif name == _SPREAD[0]:
            _add_spread_columns(table, coadd_table, bands, all_bands)


def _add_spread_columns(table, coadd_table, bands, all_bands):
    """One column for each band of the catalogue, zero for those without images; all columns of a band together."""
    measured = {band: i for i, band in enumerate(bands)}
    for band in all_bands:
        for name in _SPREAD:
            values = coadd_table[name][:, measured[band]] if band in measured else np.zeros(len(table), np.float32)
            table[f"{name}_{column_suffix(band)}"] = values


def _set_positions(table, sources, ivars):
    """Positions; those of reference stars keep the uncertainty that their catalogue states."""
    stars = flag(table, "isgaia") | flag(table, "istycho")
    for i, name in enumerate(("ra", "dec")):
        values = [row[name] if source is None else getattr(source, name) for row, source in zip(table, sources)]
        table[name] = np.array(values, np.float64)
        ivar = ivars.position[:, i].astype(np.float32)
        if f"{name}_ivar" in table.colnames:
            ivar[stars] = np.asarray(table[f"{name}_ivar"], np.float32)[stars]
        table[f"{name}_ivar"] = np.where(np.isfinite(ivar), ivar, np.float32(0))
    table["ra"] = np.mod(table["ra"], 360.0)


def _set_fluxes(table, sources, ivars, nbands):
    flux = np.array([np.zeros(nbands) if source is None else source.flux for source in sources], np.float64)
    flux, flux_ivar = flux.reshape(-1, nbands).astype(np.float32), ivars.flux.astype(np.float32)
    # A flux that nothing constrains is not a measurement.
    flux[(flux_ivar == 0) & ~flag(table, "force_keep_source")[:, np.newaxis]] = 0
    table["flux"], table["flux_ivar"] = flux, flux_ivar


def _set_shapes(table, sources, ivars):
    columns = {name: np.zeros(len(sources), np.float32) for name in (*SHAPE_PARAMETERS, *_SHAPE_IVARS)}
    for row, source in enumerate(sources):
        if source is None:
            continue
        columns["sersic"][row] = source.kind.sersic
        for name in source.kind.shapes:
            columns[name][row] = getattr(source, name)
            columns[f"{name}_ivar"][row] = ivars.shape(name)[row]
    for name, values in columns.items():
        table[name] = values


def apply_measured_limits(table, brick, pixscale, maskbits):
    """Last columns of the intermediate catalogue, which need the fibre fluxes to have been measured before.

    Fluxes of bands in which nearly nothing of the source is inside its blob are set to zero.

    Parameters
    ----------
    table : Table
        Changed in place.
    brick : Brick
    pixscale : float
        arcsec per pixel of bx, by.
    maskbits : numpy.ndarray of int32, shape (rows,)
        Of the pixels at the sources.
    """
    special = ~np.asarray(table["regular"], bool)
    for name in ("bx", "by"):
        table[name + "0"][special] = table[name][special]
    outside = _two_dimensional(table["fracin"], table["flux"].shape) < _MIN_FRACIN
    table["flux"][outside] = 0
    table["flux_ivar"][outside] = 0
    table["brick_primary"] = brick.contains(np.asarray(table["ra"]), np.asarray(table["dec"]))
    table["maskbits"] = np.asarray(maskbits, np.int32)
    table["fitbits"] = fitbits(table, pixscale)


def _two_dimensional(column, shape):
    return np.asarray(column).reshape(shape)


def file_form(table):
    """The intermediate catalogue as it is written: sorted by objid, with plain columns if there is one band.

    Parameters
    ----------
    table : Table

    Returns
    -------
    Table
    """
    rows = table[np.argsort(table["objid"], kind="stable")]
    result = Table()
    for name in rows.colnames:
        if name in _DETECTION_ONLY:
            continue
        values = np.asarray(rows[name])
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        result[name] = values
    return result
