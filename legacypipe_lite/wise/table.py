"""The table of WISE photometry: columns of the intermediate catalogue, and their form in the tractor catalogue."""

import numpy as np
from astropy.table import Table

from ..catalog import TRACTOR_SCHEMA
from .images import BANDS, VEGA_TO_AB
from .lightcurves import LIGHT_CURVE_BANDS, choose_epochs

__all__ = ["wise_table", "tractor_form"]

#: Band columns -> their types; those of the light curves begin with ``lc_``.
_TYPES = {entry.name: entry.dtype for entry in TRACTOR_SCHEMA if entry.bands in ("wise", "light curve")}
#: What a light curve has of each epoch.
_CURVES = [name[3:] for name in _TYPES if name.startswith("lc_") and name != "lc_epoch_index"]
#: Aperture columns, and the power of the flux that they are.
_APERTURES = {"apflux": 1, "apflux_resid": 1, "apflux_ivar": -2}


def wise_table(n_rows, rows, photometry, epochs, apertures, masks):
    """Put the results of all bands together, on the AB system.

    Parameters
    ----------
    n_rows : int
        Of the catalogue.
    rows : numpy.ndarray of int
        Rows that were measured; the others are zero.
    photometry : dict of int -> BandPhotometry
        Band -> full-depth photometry; may be empty.
    epochs : dict of int -> list of BandPhotometry
        Band -> photometry of each epoch; may be empty.
    apertures : dict of int -> (flux, residual flux, inverse variance)
        Band -> arrays of shape (n_rows, 5) [Vega nanomaggies]; may be empty.
    masks : numpy.ndarray of uint8, shape (n_rows, 2)

    Returns
    -------
    Table
        Columns flux_w1 ..., lc_flux_w1 ... with one value for each epoch that was found.
    """
    columns = _Columns(n_rows, rows, photometry, epochs)
    table = Table(columns.tiles([*photometry.values(), *(p for curve in epochs.values() for p in curve)]))
    table["wise_mask"] = masks
    for band in BANDS:
        for name, power in (("flux", 1), ("flux_ivar", -2), ("psfdepth", -2)):
            table[f"{name}_w{band}"] = columns.full(band, name, _to_ab(band, power))
            if band in epochs and name in _CURVES:
                table[f"lc_{name}_w{band}"] = columns.curve(band, name, _to_ab(band, power))
        for (name, power), values in zip(_APERTURES.items(), apertures.get(band, ())):
            table[f"{name}_w{band}"] = (values * _to_ab(band, power)).astype(_TYPES[name])
    for name in ("nobs", "fracflux", "rchisq"):
        for band in BANDS:
            table[f"{name}_w{band}"] = columns.full(band, name)
    for name in ("nobs", "fracflux", "rchisq", "mjd"):
        for band in epochs:
            table[f"lc_{name}_w{band}"] = columns.curve(band, name)
    return table


class _Columns:
    """Makes columns of the whole catalogue from values of the measured rows."""

    def __init__(self, n_rows, rows, photometry, epochs):
        self.n_rows, self.rows, self.photometry, self.epochs = n_rows, rows, photometry, epochs

    def full(self, band, name, factor=1):
        column = np.zeros(self.n_rows, _TYPES[name])
        if band in self.photometry:
            column[self.rows] = getattr(self.photometry[band], name) * factor
        return column

    def curve(self, band, name, factor=1):
        """One value for each epoch."""
        values = np.zeros((self.n_rows, len(self.epochs[band])), _TYPES["lc_" + name])
        for i, photometry in enumerate(self.epochs[band]):
            values[self.rows, i] = getattr(photometry, name) * factor
        return values

    def tiles(self, photometry):
        """Tile and position in it, from the first photometry that has them."""
        columns = {
            "wise_coadd_id": np.zeros(self.n_rows, "U8"),
            "wise_x": np.zeros(self.n_rows, np.float32),
            "wise_y": np.zeros(self.n_rows, np.float32),
        }
        for found in photometry:
            new = (found.coadd_id != "") & (columns["wise_coadd_id"][self.rows] == "")
            for column, values in zip(columns.values(), (found.coadd_id, found.x, found.y)):
                column[self.rows[new]] = values[new]
        return columns


def _to_ab(band, power):
    """Factor from Vega to AB nanomaggies, to a power."""
    return 10 ** (-VEGA_TO_AB[band] / 2.5 * power)


def tractor_form(table, length):
    """The columns as the tractor catalogue has them.

    Parameters
    ----------
    table : Table
        From `wise_table`.
    length : int
        Of the light curves; if there are more epochs, the best are chosen.

    Returns
    -------
    Table
        Without light curves, ``lc_epoch_index_w*`` is -1 and the other ``lc_`` columns are missing (zero).
    """
    result = Table({name: table[name] for name in table.colnames if not name.startswith(("lc_", "wise_mask"))})
    for i, band in enumerate(LIGHT_CURVE_BANDS):
        result[f"wisemask_w{band}"] = np.asarray(table["wise_mask"])[:, i]
        index = np.full((len(table), length), -1, np.int16)
        if f"lc_nobs_w{band}" in table.colnames:
            nobs, mjd = (np.asarray(table[f"lc_{name}_w{band}"]) for name in ("nobs", "mjd"))
            index[:] = choose_epochs(nobs, mjd, length)
            for name in _CURVES:
                result[f"lc_{name}_w{band}"] = _picked(np.asarray(table[f"lc_{name}_w{band}"]), index)
        result[f"lc_epoch_index_w{band}"] = index
    return result


def _picked(values, index):
    """values[row, index[row]], and 0 where the index is -1."""
    padded = np.concatenate([values, np.zeros((len(values), 1), values.dtype)], axis=1)
    return np.take_along_axis(padded, index.astype(np.int64), axis=1)
