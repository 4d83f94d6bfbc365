"""The schema of the tractor catalogue: every column's name, type, unit and meaning, once, and where it comes from.

The tables are made from this, and so is the data-model page of the documentation. The other tables are in
`other_tables`; columns that they share with the tractor catalogue are taken from here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..models.sources import TYPES, TYPES_SIMPLE_FIRST
from .dust import EXTINCTION

__all__ = [
    "Column",
    "DATA_MODELS",
    "WISE_BANDS",
    "LIGHT_CURVE_BANDS",
    "LIGHT_CURVE_EPOCHS",
    "APERTURE_RADII",
    "WISE_APERTURE_RADII",
    "COADD_MAPS",
    "TRACTOR_SCHEMA",
    "Entry",
    "tractor_columns",
    "column_suffix",
]

DATA_MODELS = ("dr9", "dr10", "dr11")
WISE_BANDS = ("w1", "w2", "w3", "w4")
LIGHT_CURVE_BANDS = ("w1", "w2")

#: Length of the WISE light-curve arrays in each data model.
LIGHT_CURVE_EPOCHS = {"dr9": 15, "dr10": 17, "dr11": 25}

#: Radii of the apertures on the optical and on the WISE coadds [arcsec].
APERTURE_RADII = (0.5, 0.75, 1.0, 1.5, 2.0, 3.5, 5.0, 7.0)
WISE_APERTURE_RADII = (3.0, 5.0, 7.0, 9.0, 11.0)

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
    infinite : float or None
        What stands for infinite values: NaN, or 0, which then stands for NaN, too. None: all values stay.
    """

    name: str
    dtype: str
    unit: str
    text: str
    shape: tuple[int, ...] = ()
    infinite: float | None = None


@dataclass(frozen=True)
class Entry:
    """A line of the schema: one column, or one per band.

    Attributes
    ----------
    name, dtype, unit, text, infinite
        As of a `Column`; the name of a band column is without the band.
    bands : str
        Which bands have one: "" (a single column), "optical", "dust" (optical bands with a known extinction), "wise",
        "light curve".
    length : int or str
        Of the value's array; "epochs" for light curves, 0 for a single number.
    part : str
        Part of the table that a run may lack: "gaia", "wise", "light curves"; else "".
    models : tuple of str
        Data models that have it.
    coadd_map : str
        Map of the coadds whose value at the source it is (an attribute of `coadds.BandCoadd`).
    spread : bool
        True for band columns that the intermediate catalogue has spread over the bands, too; the others are arrays
        over the bands with images there.
    """

    name: str
    dtype: str
    unit: str
    text: str
    bands: str = ""
    length: int | str = 0
    part: str = ""
    models: tuple[str, ...] = DATA_MODELS
    infinite: float | None = None
    coadd_map: str = ""
    spread: bool = False


def _optical(name, dtype, unit, text, **keywords):
    return Entry(name, dtype, unit, text, bands="optical", **keywords)


def _wise(name, dtype, unit, text, **keywords):
    return Entry(name, dtype, unit, text, bands="wise", part="wise", **keywords)


def _curve(name, dtype, unit, text):
    return Entry("lc_" + name, dtype, unit, text, bands="light curve", length="epochs", part="light curves")


def _gaia_phot(band):
    lower = band.lower()
    return (
        Entry(f"gaia_phot_{lower}_mean_mag", "f4", "mag", f"Gaia {band} magnitude (Vega)"),
        Entry(f"gaia_phot_{lower}_mean_flux_over_error", "f4", "", f"Gaia {band} signal-to-noise ratio"),
        Entry(f"gaia_phot_{lower}_n_obs", "i2", "", f"Gaia {band} number of observations"),
    )


_NOT_DR9 = ("dr10", "dr11")
_APERTURES = "in apertures of radius {} arcsec".format(", ".join(f"{radius:g}" for radius in APERTURE_RADII))
_WISE_APERTURES = "in apertures of radius {} arcsec".format(", ".join(f"{radius:g}" for radius in WISE_APERTURE_RADII))

#: The tractor catalogue, line by line.
TRACTOR_SCHEMA = (
    Entry("ls_id_dr11", "i8", "", "unique number: release * 2^42 + brickid * 2^22 + objid", models=_NOT_DR9),
    Entry("release", "i2", "", "release number of the run"),
    Entry("brickid", "i4", "", "number of the brick, 1 to 662174; -1 for a custom brick"),
    Entry("brickname", "S8", "", "name of the brick: RA and Dec of its centre"),
    Entry("objid", "i4", "", "number of the object in this brick"),
    Entry("brick_primary", "bool", "", "true if the object lies in the brick's own area"),
    Entry("maskbits", "i4", "", "mask bits of the pixel at the object's position (header: MB_*)"),
    Entry("fitbits", "i2", "", "peculiarities of the fit (header: FB_*)"),
    Entry(
        "type", "S3", "", f"model: {', '.join(TYPES_SIMPLE_FIRST)}; DUP: star fitted by another row; NUN: not fitted"
    ),
    Entry("ra", "f8", "deg", "right ascension (ICRS); of stars with proper motion at ref_epoch"),
    Entry("dec", "f8", "deg", "declination"),
    Entry(
        "ra_ivar",
        "f4",
        "deg^(-2)",
        "inverse variance of the position towards East, as an angle on the sky",
        infinite=0.0,
    ),
    Entry("dec_ivar", "f4", "deg^(-2)", "inverse variance of dec", infinite=0.0),
    Entry("bx", "f4", "", "0-based x pixel in the coadds"),
    Entry("by", "f4", "", "0-based y pixel in the coadds"),
    Entry(
        "dchisq",
        "f4",
        "",
        f"gain in chi-squared over no source of {', '.join(TYPES)}; 0: not tried",
        length=len(TYPES),
        infinite=math.nan,
    ),
    Entry("ebv", "f4", "mag", "Galactic reddening E(B-V) of SFD98; 0 if the run had no dust maps"),
    Entry("mjd_min", "f8", "", "MJD (TAI) of the first exposure at this position, over all bands", infinite=math.nan),
    Entry("mjd_max", "f8", "", "MJD (TAI) of the last exposure", infinite=math.nan),
    Entry(
        "nearest_neighbor",
        "f4",
        "arcsec",
        "distance to the nearest other row; 0: none within 60 arcsec",
        models=_NOT_DR9,
    ),
    Entry("ref_cat", "S2", "", "reference catalogue: T2 Tycho-2, G2, GE, G3 Gaia, L3 large galaxies, CL clusters"),
    Entry("ref_id", "i8", "", "number in the reference catalogue"),
    Entry("pmra", "f4", "mas/yr", "proper motion in RA, times cos(Dec)", part="gaia"),
    Entry("pmdec", "f4", "mas/yr", "proper motion in Dec", part="gaia"),
    Entry("parallax", "f4", "mas", "parallax", part="gaia"),
    Entry("pmra_ivar", "f4", "(mas/yr)^(-2)", "inverse variance of pmra", part="gaia"),
    Entry("pmdec_ivar", "f4", "(mas/yr)^(-2)", "inverse variance of pmdec", part="gaia"),
    Entry("parallax_ivar", "f4", "mas^(-2)", "inverse variance of parallax", part="gaia"),
    Entry("ref_epoch", "f4", "", "epoch of the reference position [Julian year]", part="gaia"),
    *_gaia_phot("G"),
    *_gaia_phot("BP"),
    *_gaia_phot("RP"),
    Entry("gaia_phot_variable_flag", "bool", "", "Gaia: photometrically variable"),
    Entry("gaia_astrometric_excess_noise", "f4", "", "Gaia astrometric excess noise"),
    Entry("gaia_astrometric_excess_noise_sig", "f4", "", "its significance"),
    Entry("gaia_astrometric_n_obs_al", "i2", "", "Gaia number of observations along scan"),
    Entry("gaia_astrometric_n_good_obs_al", "i2", "", "number of good ones"),
    Entry("gaia_astrometric_weight_al", "f4", "", "Gaia astrometric weight along scan"),
    Entry("gaia_duplicated_source", "bool", "", "Gaia duplicated-source flag"),
    Entry("gaia_a_g_val", "f4", "", "Gaia extinction in G"),
    Entry("gaia_e_bp_min_rp_val", "f4", "", "Gaia reddening E(BP-RP)"),
    Entry("gaia_phot_bp_rp_excess_factor", "f4", "", "Gaia BP/RP excess factor"),
    Entry("gaia_astrometric_sigma5d_max", "f4", "", "longest axis of the Gaia 5-d error ellipsoid [mas]"),
    Entry("gaia_astrometric_params_solved", "u1", "", "which astrometric parameters Gaia solved for"),
    _optical("flux", "f4", _NMGY, "total model flux (AB)"),
    _wise("flux", "f4", _NMGY, "WISE model flux (AB)"),
    _optical("flux_ivar", "f4", _NMGY_IVAR, "inverse variance of the flux"),
    _wise("flux_ivar", "f4", _NMGY_IVAR, "inverse variance of the flux"),
    _optical("fiberflux", "f4", _NMGY, "flux of this object in a fibre of 1.5 arcsec diameter, in 1 arcsec seeing"),
    _optical("fibertotflux", "f4", _NMGY, "flux of all objects in the same fibre"),
    _optical("apflux", "f4", _NMGY, f"flux on the coadded image {_APERTURES}", length=len(APERTURE_RADII)),
    _optical("apflux_resid", "f4", _NMGY, "aperture fluxes on image - model", length=len(APERTURE_RADII)),
    _optical("apflux_blobresid", "f4", _NMGY, "aperture fluxes on image - blobmodel", length=len(APERTURE_RADII)),
    _optical("apflux_ivar", "f4", _NMGY_IVAR, "inverse variance of the aperture fluxes", length=len(APERTURE_RADII)),
    _optical("apflux_masked", "f4", "", "fraction of the aperture that is masked", length=len(APERTURE_RADII)),
    _wise(
        "apflux", "f4", _NMGY, f"flux on the coadded WISE image (AB) {_WISE_APERTURES}", length=len(WISE_APERTURE_RADII)
    ),
    _wise("apflux_resid", "f4", _NMGY, "aperture fluxes on image - model", length=len(WISE_APERTURE_RADII)),
    _wise("apflux_ivar", "f4", _NMGY_IVAR, "inverse variance of the aperture fluxes", length=len(WISE_APERTURE_RADII)),
    Entry("mw_transmission", "f4", "", "Galactic transmission 10^(-0.4 A), 0 to 1", bands="dust"),
    _wise("mw_transmission", "f4", "", "Galactic transmission"),
    _optical("nobs", "i2", "", "number of exposures at the central pixel, masked or not", coadd_map="nobs"),
    _wise("nobs", "i2", "", "number of exposures at the central pixel"),
    _optical("rchisq", "f4", "", "chi-squared per pixel, weighted with the profile", infinite=math.nan),
    _wise("rchisq", "f4", "", "chi-squared per pixel, weighted with the profile", infinite=math.nan),
    _optical("fracflux", "f4", "", "flux of other objects over own flux, weighted with the profile"),
    _wise("fracflux", "f4", "", "flux of other objects over own flux, weighted with the profile"),
    _optical("fracmasked", "f4", "", "fraction of masked pixels, weighted with the profile"),
    _optical("fracin", "f4", "", "fraction of the flux inside the blob"),
    _optical("ngood", "i2", "", "number of unmasked exposures at the central pixel", models=_NOT_DR9, coadd_map="nexp"),
    _optical(
        "anymask",
        "i2",
        "",
        "data-quality bits set in any exposure at the central pixel (header: AM_*)",
        coadd_map="ormask",
    ),
    _optical("allmask", "i2", "", "data-quality bits set in all exposures at the central pixel", coadd_map="andmask"),
    Entry("wisemask", "u1", "", "WISE mask bits (header: WB_*)", bands="light curve", part="wise"),
    _optical("psfsize", "f4", "arcsec", "weighted mean FWHM of the PSF", coadd_map="psfsize"),
    _optical(
        "psfdepth", "f4", _NMGY_IVAR, "depth for point sources: 5-sigma flux = 5 / sqrt(psfdepth)", coadd_map="depth"
    ),
    _optical(
        "galdepth",
        "f4",
        _NMGY_IVAR,
        "the same for a round exponential galaxy of half-light radius 0.45 arcsec",
        coadd_map="galdepth",
    ),
    _optical("nea", "f4", "", "noise-equivalent area [arcsec^2]", spread=True),
    _optical("blob_nea", "f4", "", "noise-equivalent area within the blob [arcsec^2]", spread=True),
    _wise("psfdepth", "f4", _NMGY_IVAR, "depth for point sources in WISE (AB)"),
    Entry("wise_coadd_id", "S8", "", "unWISE tile", part="wise"),
    Entry("wise_x", "f4", "", "x pixel in the tile", part="wise"),
    Entry("wise_y", "f4", "", "y pixel in the tile", part="wise"),
    _curve("flux", "f4", _NMGY, "WISE model flux (AB), epoch by epoch"),
    _curve("flux_ivar", "f4", _NMGY_IVAR, "inverse variance of lc_flux"),
    _curve("nobs", "i2", "", "number of exposures"),
    _curve("fracflux", "f4", "", "flux of other objects over own flux"),
    _curve("rchisq", "f4", "", "chi-squared per pixel"),
    _curve("mjd", "f8", "", "mean MJD of the epoch; 0: unused"),
    _curve("epoch_index", "i2", "", "number of the unWISE epoch; -1: unused"),
    Entry("sersic", "f4", "", "Sersic index: fitted for SER, 4 for DEV, 1 for EXP and REX, 0 for PSF"),
    Entry("sersic_ivar", "f4", "", "inverse variance of sersic", infinite=0.0),
    Entry("shape_r", "f4", "arcsec", "half-light radius along the major axis; 0 for PSF"),
    Entry("shape_r_ivar", "f4", "arcsec^(-2)", "inverse variance of shape_r", infinite=0.0),
    Entry("shape_e1", "f4", "", "ellipticity (a - b)/(a + b) cos(2 phi), phi from North to East"),
    Entry("shape_e1_ivar", "f4", "", "inverse variance of shape_e1", infinite=0.0),
    Entry("shape_e2", "f4", "", "ellipticity (a - b)/(a + b) sin(2 phi)"),
    Entry("shape_e2_ivar", "f4", "", "inverse variance of shape_e2", infinite=0.0),
)

#: Types that differ between the data models: (model, column) -> dtype.
_OTHER_TYPES = {("dr9", "maskbits"): "i2"}


#: Band column of the coadd table -> map of the coadds whose value at the source it is.
COADD_MAPS = {entry.name: entry.coadd_map for entry in TRACTOR_SCHEMA if entry.coadd_map}


def column_suffix(band: str) -> str:
    """Band name as it ends a column name (``-`` becomes ``_``)."""
    return band.replace("-", "_")


def tractor_columns(
    bands: Sequence[str],
    data_model: str = "dr10",
    *,
    gaia: bool = True,
    wise: bool = False,
    light_curves: bool = False,
    epochs: int | None = None,
    brickname_length: int = 8,
) -> list[Column]:
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
        columns += [Column(name, dtype, entry.unit, entry.text, shape, entry.infinite) for name in names]
    return columns
