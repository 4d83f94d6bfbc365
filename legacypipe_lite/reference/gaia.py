"""Gaia stars around an image, from files by HEALPix pixel."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..catalog import REFERENCE
from ..columns import to_booleans, to_texts
from ..errors import InputError
from ..tables import stack_columns
from ..wcs import ImageWcs
from .catalogs import RefCatalogs
from .repairs import replace_impossible, without_positions
from .star_colors import BANDS, gaia_to_optical, mask_radius
from .tables import CatalogFile

__all__ = ["REQUIRED_COLUMNS", "gaia_stars", "healpix_pixels", "chunk_files"]

logger = logging.getLogger(__name__)

_NSIDE = 32
_GRID_STEP = 100  # pixels between the positions that are looked up to find the files
_EDGE = 10  # pixels by which the wanted area is larger than the margin

#: Columns without which a file is of no use.
REQUIRED_COLUMNS = ("source_id", "ra", "dec", "phot_g_mean_mag")
#: Epoch of the positions by release of the catalogue (`RefCatalogs.gaia_version`).
_EPOCHS = {"1": 2015.0, "2": 2015.5, "E": 2016.0, "3": 2016.0}
_LATEST_EPOCH = 2016.0
#: Nothing in the sky moves faster than 10.4 arcsec per year, or is nearer than 0.77 arcsec of parallax tell.
_MAX_MOTION, _MAX_PARALLAX = 2e4, 1e3  # mas/yr, mas
_BRIGHTEST, _FAINTEST = -5.0, 30.0  # mag

#: Columns that are kept as they are read, in the order in which they are written -> their types.
_KEPT = {column.name: column.dtype for column in REFERENCE if column.from_gaia}

#: What is lost without a column that a catalogue need not have.
_USEFUL = {
    "ref_epoch": "positions are taken to be of the epoch of the release",
    "pmra": "stars do not move",
    "pmdec": "stars do not move",
    "parallax": "stars have no parallax",
    "phot_bp_mean_mag": "no colours of stars",
    "phot_rp_mean_mag": "no colours of stars",
    "astrometric_excess_noise": "stars and galaxies are not told apart by it",
}

_ASTROMETRY = ("ra_error", "dec_error", "pmra", "pmdec", "parallax", "pmra_error", "pmdec_error", "parallax_error")


_TYPES = {
    name: {"?": "boolean", "bool": "boolean", "f4": "number"}.get(dtype, "integer") for name, dtype in _KEPT.items()
}
_TYPES |= dict.fromkeys(("ra", "dec", "ref_epoch", *_ASTROMETRY), "number") | {"source_id": "integer"}
del _TYPES["phot_variable_flag"]  # text of its own kind


def healpix_pixels(ra: ArrayLike, dec: ArrayLike, scheme: str) -> NDArray[np.int64]:
    """HEALPix pixels (nside 32) of sky positions.

    Parameters
    ----------
    ra, dec : array_like
        Degrees.
    scheme : str
        "ring" or "nested".

    Returns
    -------
    numpy.ndarray of int
    """
    from astropy import units
    from astropy_healpix import lonlat_to_healpix

    ra, dec = np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float))
    return np.asarray(lonlat_to_healpix(ra * units.deg, dec * units.deg, _NSIDE, order=scheme))


def chunk_files(margin_wcs: ImageWcs, catalogs: RefCatalogs) -> list[Path]:
    """Paths of the Gaia files that an image (grown by its margin) touches, in order of HEALPix pixel."""
    w, h = margin_wcs.width, margin_wcs.height
    x = np.linspace(1 - _EDGE, w + _EDGE, 2 + (w + 2 * _EDGE) // _GRID_STEP) - 1
    y = np.linspace(1 - _EDGE, h + _EDGE, 2 + (h + 2 * _EDGE) // _GRID_STEP) - 1
    ra, dec = margin_wcs.pixel_to_sky(*np.meshgrid(x, y))
    pixels = np.unique(healpix_pixels(ra.ravel(), dec.ravel(), catalogs.gaia_scheme))
    return [Path(catalogs.gaia_dir or "") / f"{catalogs.gaia_prefix}-{pixel:05d}.fits" for pixel in pixels]


def gaia_stars(margin_wcs: ImageWcs, bands: Sequence[str], catalogs: RefCatalogs) -> Table:
    """All Gaia sources around an image, with masks and optical magnitudes.

    Parameters
    ----------
    margin_wcs : TanWcs
        Of the image, grown by the largest mask radius.
    bands : sequence of str
        Optical magnitudes are made for g, r, i, z and these.
    catalogs : RefCatalogs

    Returns
    -------
    Table
        Sorted by magnitude. Columns are those of the reference table (see the data model).

    Raises
    ------
    InputError
        If a file is missing or lacks a necessary column.
    """
    paths = chunk_files(margin_wcs, catalogs)
    raw = Table(stack_columns([_read_chunk(path, margin_wcs) for path in paths]))
    _repair(raw, catalogs, paths[0].parent)
    sort_mag = np.where(raw["phot_g_mean_mag"] == 0, raw["phot_rp_mean_mag"], raw["phot_g_mean_mag"])
    raw = raw[np.argsort(sort_mag, kind="stable")]
    return _reference_columns(raw, bands, "G" + catalogs.gaia_version)


def _read_chunk(path, margin_wcs):
    """Rows of one file that lie on the grown image."""
    if not path.exists():
        raise InputError(
            f"Gaia file {path} is missing (see GAIA_CAT_DIR, GAIA_CAT_PREFIX, GAIA_CAT_SCHEME; --no-gaia does without)"
        )
    with CatalogFile(path, required=REQUIRED_COLUMNS, types=_TYPES) as catalog:
        position = catalog.read(("ra", "dec"))
        lost = without_positions(position["ra"], position["dec"], path)
        ra, dec = (np.where(lost, np.nan, position[name]).astype(np.float64) for name in ("ra", "dec"))
        with np.errstate(invalid="ignore"):
            x, y = margin_wcs.sky_to_pixel(ra, dec)
        inside = (x >= -_EDGE) & (x < margin_wcs.width + _EDGE) & (y >= -_EDGE) & (y < margin_wcs.height + _EDGE)
        columns = dict.fromkeys((*REQUIRED_COLUMNS, "ref_epoch", *_ASTROMETRY, *_KEPT))
        return catalog.read(tuple(columns), rows=np.flatnonzero(inside))


def _repair(raw, catalogs, folder):
    """Put in the place of values that are not there, or cannot be, what does no harm."""
    for name, loss in _USEFUL.items():
        if name not in raw.colnames:
            logger.warning("Gaia files in %s have no column %s: %s", folder, name, loss)
    epoch = _EPOCHS.get(catalogs.gaia_version, _LATEST_EPOCH)
    if "ref_epoch" not in raw.colnames:
        raw["ref_epoch"] = np.full(len(raw), epoch, np.float32)
    without = ~np.isfinite(np.asarray(raw["ref_epoch"], np.float64))
    if without.any():
        logger.warning("%s: %d stars without ref_epoch: taken for %.1f", folder, without.sum(), epoch)
    replace_impossible(raw, "ref_epoch", 1900.0, 2100.0, epoch, folder, f"taken for {epoch:.1f}")
    for name in ("pmra", "pmdec"):
        replace_impossible(raw, name, -_MAX_MOTION, _MAX_MOTION, 0.0, folder, "taken for 0")
    replace_impossible(raw, "parallax", -_MAX_PARALLAX, _MAX_PARALLAX, 0.0, folder, "taken for 0")
    for name in ("phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag"):
        raw[name] = _column(raw, name)
        replace_impossible(raw, name, _BRIGHTEST, _FAINTEST, 0.0, folder, "taken for unknown")


def _column(table, name):
    """A column as float32, zeros if the catalogue does not have it."""
    if name in table.colnames:
        return np.asarray(table[name], np.float32)
    return np.zeros(len(table), np.float32)


def _finite(values):
    return np.where(np.isfinite(values), values, np.zeros((), values.dtype))


def _inverse_square(values):
    """1/x^2 as float32, 0 where that is not finite or x was not given."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return _finite((1.0 / np.asarray(values, np.float32) ** 2).astype(np.float32))


def _signal_to_noise(values, errors):
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite(values / errors)


def _is_pointsource(raw):
    """Gaia's stars proper: bright, or point-like, or moving significantly."""
    g = np.asarray(raw["phot_g_mean_mag"])
    pm_snr = np.hypot(
        _signal_to_noise(_column(raw, "pmra"), _column(raw, "pmra_error")),
        _signal_to_noise(_column(raw, "pmdec"), _column(raw, "pmdec_error")),
    )
    parallax_snr = _signal_to_noise(_column(raw, "parallax"), _column(raw, "parallax_error"))
    point_like = _column(raw, "astrometric_excess_noise") < 1
    return (g < 13) | ((g < 18) & point_like) | (pm_snr > 5) | (parallax_snr > 5)


def _is_variable(flag):
    """The variability flag as booleans; files hold booleans or the archive's strings."""
    flag = np.asarray(flag)
    if flag.dtype.kind in "US":
        return (to_texts(flag) == "VARIABLE") | to_booleans(flag)[0]
    return flag.astype(bool)


def _reference_columns(raw, bands, ref_cat):
    n = len(raw)
    table = Table()
    table["ra"] = np.asarray(raw["ra"], np.float64)
    table["dec"] = np.asarray(raw["dec"], np.float64)
    table["ref_cat"] = np.full(n, ref_cat, dtype="U2")
    table["ref_id"] = np.asarray(raw["source_id"], np.int64)
    table["source_id"] = table["ref_id"]
    _add_astrometry(table, raw)
    for name, dtype in _KEPT.items():
        if name in raw.colnames:
            column = _is_variable(raw[name]) if name == "phot_variable_flag" else np.asarray(raw[name])
            if column.dtype.kind == "f" and dtype != "f4":
                column = _finite(column)
            table[name] = column.astype(dtype)
    for band in dict.fromkeys(("g", "r", "i", "z", *bands)):
        if band in BANDS:
            mag = gaia_to_optical(band, *(raw[f"phot_{x}_mean_mag"] for x in ("g", "bp", "rp")))
            table[f"decam_mag_{band}"] = mag.astype(np.float32)
    _add_masks(table, raw)
    table["pointsource"] = _is_pointsource(raw)
    for name, value in (("isgaia", True), ("istycho", False), ("ignore_source", False), ("dup", False)):
        table[name] = np.full(n, value)
    return table


def _add_astrometry(table, raw):
    degrees = np.float32(3.6e6)  # milliarcsec per degree
    table["ref_epoch"] = np.asarray(raw["ref_epoch"], np.float32)
    for name in ("pmra", "pmdec", "parallax"):
        table[name] = _finite(_column(raw, name))
        table[name + "_ivar"] = _inverse_square(_column(raw, name + "_error"))
    for name in ("ra", "dec"):
        table[name + "_ivar"] = _inverse_square(_column(raw, name + "_error") / degrees)


def _add_masks(table, raw):
    """Magnitudes and radii of the masks around the stars."""
    g, bp, rp = (np.asarray(raw[f"phot_{x}_mean_mag"]) for x in ("g", "bp", "rp"))
    mag = np.where(g != 0, g, np.where(rp != 0, rp, bp))
    zguess = np.where(table["decam_mag_z"] == 0, mag, table["decam_mag_z"])
    # Very red stars are much brighter in z than in G.
    mask_mag = np.where(mag == 0, np.float32(99), np.minimum(mag, zguess + np.float32(1)))
    radius = np.where(mag == 0, 0.0, mask_radius(mask_mag)).astype(np.float32)
    table["mag"] = mag
    table["zguess"] = zguess
    table["mask_mag"] = mask_mag
    table["radius"] = radius
    table["keep_radius"] = np.float32(4) * radius
    table["isbright"] = mask_mag < 13
    table["ismedium"] = mask_mag < 16
