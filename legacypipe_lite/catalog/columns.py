"""The schema of the catalogues: every column's name, type, unit and meaning, once.

The tables are made from this, and so is the data-model page of the documentation.
"""

from dataclasses import dataclass

from ..models.sources import SOURCE_TYPES, TYPES, TYPES_SIMPLE_FIRST
from .dust import EXTINCTION

__all__ = [
    "Column",
    "DATA_MODELS",
    "WISE_BANDS",
    "LIGHT_CURVE_BANDS",
    "LIGHT_CURVE_EPOCHS",
    "TRACTOR_SCHEMA",
    "tractor_columns",
    "all_models_columns",
    "column_suffix",
]

DATA_MODELS = ("dr9", "dr10", "dr11")
WISE_BANDS = ("w1", "w2", "w3", "w4")
LIGHT_CURVE_BANDS = ("w1", "w2")

#: Length of the WISE light-curve arrays in each data model.
LIGHT_CURVE_EPOCHS = {"dr9": 15, "dr10": 17, "dr11": 25}

_NMGY, _NMGY_IVAR = "nanomaggies", "nanomaggies^(-2)"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
    dtype : str
        numpy code: i2, i4, i8, u1, f4, f8, bool, or S with a length.
    unit : str
        Empty if the column has none in the file.
    text : str
        What it is.
    shape : tuple of int
        Of one row's value; () for a single number.
    """

    name: str
    dtype: str
    unit: str
    text: str
    shape: tuple = ()


@dataclass(frozen=True)
class _Entry:
    """A line of the schema: one column, or one per band.

    `bands` says which: "" (a single column), "optical", "dust" (optical bands with a known extinction), "wise",
    "light curve". `length` is that of the value's array, "epochs" for light curves. `part` names the parts of the
    table that a run may lack: "gaia", "wise", "light curves".
    """

    name: str
    dtype: str
    unit: str
    text: str
    bands: str = ""
    length: int | str = 0
    part: str = ""
    models: tuple = DATA_MODELS


def _optical(name, dtype, unit, text, **keywords):
    return _Entry(name, dtype, unit, text, bands="optical", **keywords)


def _wise(name, dtype, unit, text, **keywords):
    return _Entry(name, dtype, unit, text, bands="wise", part="wise", **keywords)


def _curve(name, dtype, unit, text):
    return _Entry("lc_" + name, dtype, unit, text, bands="light curve", length="epochs", part="light curves")


def _gaia_phot(band):
    lower = band.lower()
    return (
        _Entry(f"gaia_phot_{lower}_mean_mag", "f4", "mag", f"Gaia {band} magnitude (Vega)"),
        _Entry(f"gaia_phot_{lower}_mean_flux_over_error", "f4", "", f"Gaia {band} signal-to-noise ratio"),
        _Entry(f"gaia_phot_{lower}_n_obs", "i2", "", f"Gaia {band} number of observations"),
    )


_NOT_DR9 = ("dr10", "dr11")
_APERTURES = "in apertures of radius 0.5, 0.75, 1, 1.5, 2, 3.5, 5, 7 arcsec"
_WISE_APERTURES = "in apertures of radius 3, 5, 7, 9, 11 arcsec"

#: The tractor catalogue, line by line.
TRACTOR_SCHEMA = (
    _Entry("ls_id_dr11", "i8", "", "unique number: release * 2^42 + brickid * 2^22 + objid", models=_NOT_DR9),
    _Entry("release", "i2", "", "release number of the run"),
    _Entry("brickid", "i4", "", "number of the brick, 1 to 662174; -1 for a custom brick"),
    _Entry("brickname", "S8", "", "name of the brick: RA and Dec of its centre"),
    _Entry("objid", "i4", "", "number of the object in this brick"),
    _Entry("brick_primary", "bool", "", "true if the object lies in the brick's own area"),
    _Entry("maskbits", "i4", "", "mask bits of the pixel at the object's position (header: MB_*)"),
    _Entry("fitbits", "i2", "", "peculiarities of the fit (header: FB_*)"),
    _Entry(
        "type", "S3", "", f"model: {', '.join(TYPES_SIMPLE_FIRST)}; DUP: star fitted by another row; NUN: not fitted"
    ),
    _Entry("ra", "f8", "deg", "right ascension (ICRS); of stars with proper motion at ref_epoch"),
    _Entry("dec", "f8", "deg", "declination"),
    _Entry("ra_ivar", "f4", "deg^(-2)", "inverse variance of the position towards East, as an angle on the sky"),
    _Entry("dec_ivar", "f4", "deg^(-2)", "inverse variance of dec"),
    _Entry("bx", "f4", "", "0-based x pixel in the coadds"),
    _Entry("by", "f4", "", "0-based y pixel in the coadds"),
    _Entry(
        "dchisq",
        "f4",
        "",
        f"gain in chi-squared over no source of {', '.join(TYPES)}; 0: not tried",
        length=len(TYPES),
    ),
    _Entry("ebv", "f4", "mag", "Galactic reddening E(B-V) of SFD98; 0 if the run had no dust maps"),
    _Entry("mjd_min", "f8", "", "MJD (TAI) of the first exposure at this position, over all bands"),
    _Entry("mjd_max", "f8", "", "MJD (TAI) of the last exposure"),
    _Entry(
        "nearest_neighbor",
        "f4",
        "arcsec",
        "distance to the nearest other row; 0: none within 60 arcsec",
        models=_NOT_DR9,
    ),
    _Entry("ref_cat", "S2", "", "reference catalogue: T2 Tycho-2, G2, GE, G3 Gaia, L3 large galaxies, CL clusters"),
    _Entry("ref_id", "i8", "", "number in the reference catalogue"),
    _Entry("pmra", "f4", "mas/yr", "proper motion in RA, times cos(Dec)", part="gaia"),
    _Entry("pmdec", "f4", "mas/yr", "proper motion in Dec", part="gaia"),
    _Entry("parallax", "f4", "mas", "parallax", part="gaia"),
    _Entry("pmra_ivar", "f4", "(mas/yr)^(-2)", "inverse variance of pmra", part="gaia"),
    _Entry("pmdec_ivar", "f4", "(mas/yr)^(-2)", "inverse variance of pmdec", part="gaia"),
    _Entry("parallax_ivar", "f4", "mas^(-2)", "inverse variance of parallax", part="gaia"),
    _Entry("ref_epoch", "f4", "", "epoch of the reference position [Julian year]", part="gaia"),
    *_gaia_phot("G"),
    *_gaia_phot("BP"),
    *_gaia_phot("RP"),
    _Entry("gaia_phot_variable_flag", "bool", "", "Gaia: photometrically variable"),
    _Entry("gaia_astrometric_excess_noise", "f4", "", "Gaia astrometric excess noise"),
    _Entry("gaia_astrometric_excess_noise_sig", "f4", "", "its significance"),
    _Entry("gaia_astrometric_n_obs_al", "i2", "", "Gaia number of observations along scan"),
    _Entry("gaia_astrometric_n_good_obs_al", "i2", "", "number of good ones"),
    _Entry("gaia_astrometric_weight_al", "f4", "", "Gaia astrometric weight along scan"),
    _Entry("gaia_duplicated_source", "bool", "", "Gaia duplicated-source flag"),
    _Entry("gaia_a_g_val", "f4", "", "Gaia extinction in G"),
    _Entry("gaia_e_bp_min_rp_val", "f4", "", "Gaia reddening E(BP-RP)"),
    _Entry("gaia_phot_bp_rp_excess_factor", "f4", "", "Gaia BP/RP excess factor"),
    _Entry("gaia_astrometric_sigma5d_max", "f4", "", "longest axis of the Gaia 5-d error ellipsoid [mas]"),
    _Entry("gaia_astrometric_params_solved", "u1", "", "which astrometric parameters Gaia solved for"),
    _optical("flux", "f4", _NMGY, "total model flux (AB)"),
    _wise("flux", "f4", _NMGY, "WISE model flux (AB)"),
    _optical("flux_ivar", "f4", _NMGY_IVAR, "inverse variance of the flux"),
    _wise("flux_ivar", "f4", _NMGY_IVAR, "inverse variance of the flux"),
    _optical("fiberflux", "f4", _NMGY, "flux of this object in a fibre of 1.5 arcsec diameter, in 1 arcsec seeing"),
    _optical("fibertotflux", "f4", _NMGY, "flux of all objects in the same fibre"),
    _optical("apflux", "f4", _NMGY, f"flux on the coadded image {_APERTURES}", length=8),
    _optical("apflux_resid", "f4", _NMGY, "the same on image - model", length=8),
    _optical("apflux_blobresid", "f4", _NMGY, "the same on image - blobmodel", length=8),
    _optical("apflux_ivar", "f4", _NMGY_IVAR, "inverse variance of the aperture fluxes", length=8),
    _optical("apflux_masked", "f4", "", "fraction of the aperture that is masked", length=8),
    _wise("apflux", "f4", _NMGY, f"flux on the coadded WISE image (AB) {_WISE_APERTURES}", length=5),
    _wise("apflux_resid", "f4", _NMGY, "the same on image - model", length=5),
    _wise("apflux_ivar", "f4", _NMGY_IVAR, "inverse variance of the aperture fluxes", length=5),
    _Entry("mw_transmission", "f4", "", "Galactic transmission 10^(-0.4 A), 0 to 1", bands="dust"),
    _wise("mw_transmission", "f4", "", "Galactic transmission"),
    _optical("nobs", "i2", "", "number of exposures at the central pixel, masked or not"),
    _wise("nobs", "i2", "", "number of exposures at the central pixel"),
    _optical("rchisq", "f4", "", "chi-squared per pixel, weighted with the profile"),
    _wise("rchisq", "f4", "", "chi-squared per pixel, weighted with the profile"),
    _optical("fracflux", "f4", "", "flux of other objects over own flux, weighted with the profile"),
    _wise("fracflux", "f4", "", "flux of other objects over own flux, weighted with the profile"),
    _optical("fracmasked", "f4", "", "fraction of masked pixels, weighted with the profile"),
    _optical("fracin", "f4", "", "fraction of the flux inside the blob"),
    _optical("ngood", "i2", "", "number of unmasked exposures at the central pixel", models=_NOT_DR9),
    _optical("anymask", "i2", "", "data-quality bits set in any exposure at the central pixel (header: AM_*)"),
    _optical("allmask", "i2", "", "data-quality bits set in all exposures at the central pixel"),
    _Entry("wisemask", "u1", "", "WISE mask bits (header: WB_*)", bands="light curve", part="wise"),
    _optical("psfsize", "f4", "arcsec", "weighted mean FWHM of the PSF"),
    _optical("psfdepth", "f4", _NMGY_IVAR, "depth for point sources: 5-sigma flux = 5 / sqrt(psfdepth)"),
    _optical("galdepth", "f4", _NMGY_IVAR, "the same for a round exponential galaxy of half-light radius 0.45 arcsec"),
    _optical("nea", "f4", "", "noise-equivalent area [arcsec^2]"),
    _optical("blob_nea", "f4", "", "noise-equivalent area within the blob [arcsec^2]"),
    _wise("psfdepth", "f4", _NMGY_IVAR, "depth for point sources in WISE (AB)"),
    _Entry("wise_coadd_id", "S8", "", "unWISE tile", part="wise"),
    _Entry("wise_x", "f4", "", "x pixel in the tile", part="wise"),
    _Entry("wise_y", "f4", "", "y pixel in the tile", part="wise"),
    _curve("flux", "f4", _NMGY, "WISE model flux (AB), epoch by epoch"),
    _curve("flux_ivar", "f4", _NMGY_IVAR, "inverse variance of lc_flux"),
    _curve("nobs", "i2", "", "number of exposures"),
    _curve("fracflux", "f4", "", "flux of other objects over own flux"),
    _curve("rchisq", "f4", "", "chi-squared per pixel"),
    _curve("mjd", "f8", "", "mean MJD of the epoch; 0: unused"),
    _curve("epoch_index", "i2", "", "number of the unWISE epoch; -1: unused"),
    _Entry("sersic", "f4", "", "Sersic index: fitted for SER, 4 for DEV, 1 for EXP and REX, 0 for PSF"),
    _Entry("sersic_ivar", "f4", "", "inverse variance of sersic"),
    _Entry("shape_r", "f4", "arcsec", "half-light radius along the major axis; 0 for PSF"),
    _Entry("shape_r_ivar", "f4", "arcsec^(-2)", "inverse variance of shape_r"),
    _Entry("shape_e1", "f4", "", "ellipticity (a - b)/(a + b) cos(2 phi), phi from North to East"),
    _Entry("shape_e1_ivar", "f4", "", "inverse variance of shape_e1"),
    _Entry("shape_e2", "f4", "", "ellipticity (a - b)/(a + b) sin(2 phi)"),
    _Entry("shape_e2_ivar", "f4", "", "inverse variance of shape_e2"),
)

#: Types that differ between the data models: (model, column) -> dtype.
_OTHER_TYPES = {("dr9", "maskbits"): "i2"}


def column_suffix(band):
    """Band name as it ends a column name (``-`` becomes ``_``)."""
    return band.replace("-", "_")


def tractor_columns(
    bands, data_model="dr10", *, gaia=True, wise=False, light_curves=False, epochs=None, brickname_length=8
):
    """Columns of the tractor catalogue, in order.

    Parameters
    ----------
    bands : sequence of str
        Optical bands of the run (``--bands``), with data or not.
    data_model : str
        "dr9", "dr10" or "dr11".
    gaia : bool
        False for a run without Gaia stars, whose catalogue has no proper motions and parallaxes.
    wise, light_curves : bool
        Whether there are columns of WISE photometry and of its light curves.
    epochs : int or None
        Length of the light curves; None: that of the data model.
    brickname_length : int

    Returns
    -------
    list of Column
    """
    parts = {"": True, "gaia": gaia, "wise": wise, "light curves": light_curves}
    suffixes = {
        "optical": [column_suffix(b) for b in bands],
        "dust": [column_suffix(b) for b in bands if b in EXTINCTION],
        "wise": WISE_BANDS,
        "light curve": LIGHT_CURVE_BANDS,
    }
    columns = []
    for entry in TRACTOR_SCHEMA:
        if not parts[entry.part] or data_model not in entry.models:
            continue
        dtype = _OTHER_TYPES.get((data_model, entry.name), entry.dtype)
        if entry.name == "brickname":
            dtype = f"S{brickname_length}"
        length = entry.length
        if length == "epochs":
            length = epochs or LIGHT_CURVE_EPOCHS[data_model]
        shape = (length,) if length else ()
        names = [f"{entry.name}_{s}" for s in suffixes[entry.bands]] if entry.bands else [entry.name]
        columns += [Column(name, dtype, entry.unit, entry.text, shape) for name in names]
    return columns


# --- all-models

_ALL_MODELS = (
    Column("blob", "i4", "", "number of the blob; -1: none"),
    Column("brickid", "i4", "", "number of the brick"),
    Column("brickname", "S8", "", "name of the brick"),
    Column("dchisq", "f4", "", f"improvement of chi-squared by {', '.join(TYPES)}", (len(TYPES),)),
    Column("objid", "i4", "", "number of the object, as in the tractor catalogue"),
    Column("ra", "f8", "", "right ascension of the chosen model [deg]"),
    Column("dec", "f8", "", "declination [deg]"),
    Column("cpu_arch", "S3", "", "kind of processor"),
    Column("cpu_source", "f4", "", "CPU seconds spent on the source"),
    Column("cpu_blob", "f4", "", "CPU seconds spent on the blob"),
    Column("ninblob", "i4", "", "number of rows in the blob"),
    Column("blob_width", "i2", "", "width of the blob's box [pixel]"),
    Column("blob_height", "i2", "", "height of the blob's box"),
    Column("blob_npix", "i4", "", "pixels of the blob"),
    Column("blob_nimages", "i2", "", "images of the blob"),
    Column("blob_totalpix", "i4", "", "good pixels in all images of the blob"),
    Column("blob_symm_width", "i2", "", "width of the source's own box"),
    Column("blob_symm_height", "i2", "", "height of the source's own box"),
    Column("blob_symm_npix", "i4", "", "pixels of the source's own fit"),
    Column("blob_symm_nimages", "i2", "", "images of the source's own fit"),
    Column("hit_limit", "bool", "", "a parameter ended at a limit"),
    Column("hit_r_limit", "bool", "", "the radius ended at its limit"),
    Column("hit_ser_limit", "bool", "", "the Sersic index ended at a limit"),
    Column("fit_background", "bool", "", "background levels were fitted, too"),
    Column("forced_pointsource", "bool", "", "only the point source was tried"),
    Column("type", "S3", "", "chosen model"),
)


def all_models_columns(bands, brickname_length=8):
    """Columns of the all-models table: what each model gave for each source.

    Parameters
    ----------
    bands : sequence of str
        Optical bands of the run.
    brickname_length : int

    Returns
    -------
    list of Column
    """
    columns = [
        Column(c.name, f"S{brickname_length}", c.unit, c.text) if c.name == "brickname" else c for c in _ALL_MODELS
    ]
    for kind in SOURCE_TYPES.values():
        columns += _model_columns(kind, [column_suffix(b) for b in bands])
    return columns


def _model_columns(kind, suffixes):
    model, shapes, what = kind.name.lower(), kind.shapes, f"of the {kind.name} model"
    columns = [
        Column(f"{model}_ra", "f8", "", f"right ascension {what} [deg]"),
        Column(f"{model}_dec", "f8", "", f"declination {what} [deg]"),
    ]
    columns += [Column(f"{model}_{name}", "f4", "", f"{name} {what}") for name in shapes]
    for name in ("ra", "dec", *shapes):
        columns.append(Column(f"{model}_{name}_ivar", "f4", "", f"inverse variance of {name} {what}"))
    columns += [Column(f"{model}_flux_{s}", "f4", "", f"flux {what} [nanomaggies]") for s in suffixes]
    columns += [Column(f"{model}_flux_ivar_{s}", "f4", "", f"inverse variance of the flux {what}") for s in suffixes]
    columns.append(Column(f"{model}_cpu", "f4", "", f"CPU seconds {what}"))
    columns.append(Column(f"{model}_hit_limit", "bool", "", f"a parameter {what} ended at a limit"))
    if not kind.is_point:
        columns.append(Column(f"{model}_hit_r_limit", "bool", "", f"the radius {what} ended at its limit"))
    columns.append(Column(f"{model}_opt_steps", "i2", "", f"steps of the fit {what}; -1: not tried"))
    return columns
