"""Columns of the published files: of the tractor catalogue, and of the sweeps that are made from it.

A sweep is three files with the same rows: the main columns, the light curves, and everything else.
"""

from collections.abc import Sequence
from dataclasses import replace

from .columns import Column, catalog_bands, column_suffix, tractor_columns

__all__ = ["PUBLISHED_TABLES", "data_model_columns"]

#: Tables that `data_model_columns` knows.
PUBLISHED_TABLES = ("tractor", "sweep", "sweep-lightcurves", "sweep-extra")

#: Columns by which a row of a sweep's further files is known.
_KEYS = ("release", "brickid", "objid")

_WISE = ("w1", "w2", "w3", "w4")

#: Main columns of a sweep, in order; ``<b>`` stands for the optical bands, ``<w>`` for the four bands of WISE,
#: ``<l>`` for W1 and W2.
_MAIN = """
    release brickid brickname objid type ra dec ra_ivar dec_ivar dchisq ebv
    flux_<b><w> flux_ivar_<b><w> mw_transmission_<b><w> nobs_<b><w> rchisq_<b><w> fracflux_<b><w>
    fracmasked_<b> fracin_<b> anymask_<b> allmask_<b> wisemask_<l>
    psfsize_<b> psfdepth_<b> galdepth_<b> psfdepth_<l> wise_coadd_id
    shape_r shape_r_ivar shape_e1 shape_e1_ivar shape_e2 shape_e2_ivar
    fiberflux_<b> fibertotflux_<b> ref_cat ref_id ref_epoch
    gaia_phot_g_mean_mag gaia_phot_g_mean_flux_over_error gaia_phot_bp_mean_mag gaia_phot_bp_mean_flux_over_error
    gaia_phot_rp_mean_mag gaia_phot_rp_mean_flux_over_error gaia_astrometric_excess_noise gaia_duplicated_source
    gaia_phot_bp_rp_excess_factor gaia_astrometric_sigma5d_max gaia_astrometric_params_solved
    parallax parallax_ivar pmra pmra_ivar pmdec pmdec_ivar maskbits fitbits sersic sersic_ivar
"""

#: Columns of the file of light curves after the keys.
_CURVES = """
    lc_flux_<l> lc_flux_ivar_<l> lc_nobs_<l> lc_mjd_<l> lc_fracflux_<l> lc_rchisq_<l> lc_epoch_index_<l>
"""


def data_model_columns(
    data_model: str,
    table: str = "tractor",
    bands: Sequence[str] = (),
    *,
    epochs: int | None = None,
    brickname_length: int = 8,
) -> list[Column]:
    """Names, types and units of the columns of a published table, in order.

    Parameters
    ----------
    data_model : str
        "dr9", "dr10" or "dr11".
    table : str
        "tractor", "sweep", "sweep-lightcurves" or "sweep-extra".
    bands : sequence of str
        Optical bands besides those that the data model always has.
    epochs : int or None
        Length of the light curves; None: that of the data model.
    brickname_length : int

    Returns
    -------
    list of Column
        Names of the sweeps' columns are upper case.

    Examples
    --------
    >>> [column.name for column in data_model_columns("dr9", "sweep")[:3]]
    ['RELEASE', 'BRICKID', 'BRICKNAME']
    """
    if table not in PUBLISHED_TABLES:
        raise ValueError(f"table is one of {', '.join(PUBLISHED_TABLES)}, not {table!r}")
    bands = catalog_bands(bands, data_model)
    columns = tractor_columns(bands, data_model, epochs=epochs, brickname_length=brickname_length)
    if table == "tractor":
        return columns
    known = {column.name: column for column in columns}
    main, curves = _spread(_MAIN.split(), bands, known), [*_KEYS, *_spread(_CURVES.split(), bands, known)]
    listed = {*main, *curves}
    extra = [*_KEYS, *(name for name in known if name not in listed)]
    names = {"sweep": main, "sweep-lightcurves": curves, "sweep-extra": extra}[table]
    return [replace(known[name], name=name.upper()) for name in names]


def _spread(patterns, bands, known):
    """Names of the columns that there are for patterns with bands."""
    of = {"<b>": [column_suffix(band) for band in bands], "<w>": _WISE, "<l>": _WISE[:2]}
    names = []
    for pattern in patterns:
        base, *kinds = pattern.replace("<", " <").split()
        names += [base + suffix for kind in kinds for suffix in of[kind]] if kinds else [base]
    return [name for name in names if name in known]
