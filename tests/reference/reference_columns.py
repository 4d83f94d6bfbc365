"""Columns of synthetic Gaia and Tycho-2 files."""

import numpy as np

GAIA_DEFAULTS = {
    "source_id": np.int64(1),
    "ra": 0.0,
    "dec": 0.0,
    "ra_error": np.float32(0.1),
    "dec_error": np.float32(0.1),
    "pmra": np.float32(0),
    "pmdec": np.float32(0),
    "parallax": np.float32(0),
    "pmra_error": np.float32(0.1),
    "pmdec_error": np.float32(0.1),
    "parallax_error": np.float32(0.1),
    "ref_epoch": np.float32(2016.0),
    "phot_g_mean_mag": np.float32(17),
    "phot_bp_mean_mag": np.float32(17.5),
    "phot_rp_mean_mag": np.float32(16.5),
    "astrometric_excess_noise": np.float32(0),
}


def structured(rows, defaults):
    """A structured array of dicts of columns, with defaults."""
    names = dict.fromkeys(name for row in rows for name in row)
    names.update(defaults)
    columns = {name: np.array([row.get(name, defaults.get(name)) for row in rows]) for name in names}
    for name, value in defaults.items():
        if columns[name].dtype.kind != "S":  # a test wants to see what becomes of text
            columns[name] = columns[name].astype(np.asarray(value).dtype)
    table = np.zeros(len(rows), [(name, c.dtype) for name, c in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return table


TYCHO_DEFAULTS = {
    "tyc1": np.int16(1),
    "tyc2": np.int16(2),
    "tyc3": np.uint8(1),
    "ra": 0.0,
    "dec": 0.0,
    "sigma_ra": np.float32(1e-5),
    "sigma_dec": np.float32(2e-5),
    "pm_ra": np.float32(0),
    "pm_dec": np.float32(0),
    "sigma_pm_ra": np.float32(0.001),
    "sigma_pm_dec": np.float32(0.002),
    "epoch_ra": np.float32(1991.5),
    "epoch_dec": np.float32(1991.5),
    "mag_bt": np.float32(10.5),
    "mag_vt": np.float32(10),
    "mag_hp": np.float32(0),
    "isgalaxy": np.uint8(0),
    "zguess": np.float32(np.nan),
}
