"""Bright stars of the Tycho-2 catalogue."""

import logging

import numpy as np
from astropy.table import Table

from ..errors import InputError
from ..wcs import great_circle_distance
from .repairs import replace_impossible, without_positions
from .star_colors import mask_radius
from .tables import CatalogFile

__all__ = ["check_magnitudes", "tycho2_stars"]

logger = logging.getLogger(__name__)

_SEARCH_RADIUS = 1.0  # deg
_FAINTEST = 13.0
_TYCHO_EPOCH = 1991.25

_COLUMNS = (
    "tyc1",
    "tyc2",
    "tyc3",
    "ra",
    "dec",
    "sigma_ra",
    "sigma_dec",
    "pm_ra",
    "pm_dec",
    "sigma_pm_ra",
    "sigma_pm_dec",
    "epoch_ra",
    "epoch_dec",
    "mag_bt",
    "mag_vt",
    "mag_hp",
    "isgalaxy",
    "zguess",
)
_MAGNITUDES = ("mag_vt", "mag_bt", "mag_hp")
_TYPES = dict.fromkeys((*_COLUMNS, "ggguess", "jmag", "hmag", "kmag"), "number")
_TYPES |= {"isgalaxy": "boolean", "tyc1": "integer", "tyc2": "integer", "tyc3": "integer"}
_DEFAULTS = {"zguess": np.nan, "epoch_ra": _TYCHO_EPOCH, "epoch_dec": _TYCHO_EPOCH}
_WITHOUT = (
    "stars are used without them (isgalaxy: all are stars; zguess: masks by the visual magnitude; pm: they do not move)"
)
_MAX_MOTION = 20.0  # arcsec/yr
_INFRARED = ("jmag", "hmag", "kmag")  # 2MASS; carried along


def tycho2_stars(ra: float, dec: float, path: str) -> Table:
    """Tycho-2 stars within one degree of a position that are bright enough to be masked.

    Parameters
    ----------
    ra, dec : float
        Degrees.
    path : str
        ``tycho2.kd.fits``; its table is in HDU 1.

    Returns
    -------
    Table
        Columns of the reference table; positions at `ref_epoch`.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column.
    """
    with CatalogFile(path, required=("ra", "dec"), types=_TYPES) as catalog:
        check_magnitudes(catalog)
        position = catalog.read(("ra", "dec"))
        with np.errstate(invalid="ignore"):
            near = great_circle_distance(position["ra"], position["dec"], ra, dec) <= _SEARCH_RADIUS
        near &= ~without_positions(position["ra"], position["dec"], path)
        raw = catalog.read((*_COLUMNS, "ggguess", *_INFRARED), rows=np.flatnonzero(near))
    _repair(raw, path)
    raw = raw[~np.asarray(raw["isgalaxy"], bool)]
    mag, mask_mag = _magnitudes(raw)
    bright = mask_mag < _FAINTEST
    return _reference_columns(raw[bright], mag[bright], mask_mag[bright])


def check_magnitudes(catalog: CatalogFile) -> None:
    """Raise an InputError if a file has no column of magnitudes."""
    if not catalog.columns.intersection(_MAGNITUDES):
        raise InputError(f"{catalog.path}: none of the columns {', '.join(_MAGNITUDES)}: is it the Tycho-2 catalogue?")


def _repair(raw, path):
    """Add columns that the file lacks, and replace values that cannot be, by what does no harm."""
    missing = [name for name in _COLUMNS if name not in raw.colnames]
    if missing:
        logger.warning("%s: no column %s: %s", path, ", ".join(missing), _WITHOUT)
    for name in missing:
        raw[name] = np.full(len(raw), _DEFAULTS.get(name, 0.0))
    for name in ("pm_ra", "pm_dec"):
        replace_impossible(raw, name, -_MAX_MOTION, _MAX_MOTION, 0.0, path, "taken for 0")
    for name in ("epoch_ra", "epoch_dec"):
        raw[name] = np.where(np.asarray(raw[name], np.float64) == 0, _TYCHO_EPOCH, raw[name])
        replace_impossible(raw, name, 1850.0, 2100.0, _TYCHO_EPOCH, path, f"taken for {_TYCHO_EPOCH}")
    for name in _MAGNITUDES:
        replace_impossible(raw, name, -5.0, 30.0, 0.0, path, "taken for unknown")
    for name in ("zguess", "ggguess"):
        replace_impossible(raw, name, -5.0, 30.0, np.nan, path, "taken for unknown")


def _magnitudes(raw):
    """Magnitude of the star, and the brighter one that sets its mask (from the guessed z)."""
    vt = np.asarray(raw["mag_vt"], np.float32)
    mag = vt
    if "ggguess" in raw.colnames:
        guess = np.asarray(raw["ggguess"], np.float32)
        mag = np.where(np.isfinite(guess), guess, vt)
    for name in ("mag_hp", "mag_bt"):
        mag = np.where(mag == 0, np.asarray(raw[name], np.float32), mag)
    z = np.asarray(raw["zguess"], np.float32) + np.float32(1)
    return mag, np.where(np.isfinite(z) & (z < mag), z, mag)


def _finite(values):
    return np.where(np.isfinite(values), values, np.zeros((), values.dtype))


def _inverse_square(values):
    """1/x^2 as float32, 0 where that is not finite."""
    with np.errstate(divide="ignore", over="ignore"):
        return _finite((1.0 / np.asarray(values, np.float64) ** 2).astype(np.float32))


def _reference_columns(raw, mag, mask_mag):
    n = len(raw)
    table = Table()
    _add_astrometry(table, raw)
    table["ref_cat"] = np.full(n, "T2", dtype="U2")
    tyc1, tyc2, tyc3 = (np.asarray(raw[name], np.int64) for name in ("tyc1", "tyc2", "tyc3"))
    table["ref_id"] = tyc1 * 1_000_000 + tyc2 * 10 + tyc3
    table["mag"] = mag
    table["phot_g_mean_mag"] = mag
    table["zguess"] = np.asarray(raw["zguess"], np.float32)
    table["mask_mag"] = mask_mag
    radius = mask_radius(mask_mag).astype(np.float32)
    table["radius"] = radius
    table["keep_radius"] = np.float32(2) * radius
    for name in ("pointsource", "istycho", "isbright", "ismedium"):
        table[name] = np.ones(n, bool)
    for name in ("isgaia", "ignore_source", "dup"):
        table[name] = np.zeros(n, bool)
    table["isgalaxy"] = np.zeros(n, np.uint8)
    for name in _INFRARED:
        if name in raw.colnames:
            table[name] = np.asarray(raw[name], np.float32)
    return table


def _add_astrometry(table, raw):
    """Positions moved from the separate epochs of RA and Dec to their mean."""
    epoch_ra, epoch_dec = (
        np.where(np.asarray(raw[name]) == 0, _TYCHO_EPOCH, np.asarray(raw[name], np.float64))
        for name in ("epoch_ra", "epoch_dec")
    )
    ref_epoch = (epoch_ra + epoch_dec) / 2.0
    pm_ra, pm_dec = (_finite(np.asarray(raw[name], np.float64)) for name in ("pm_ra", "pm_dec"))  # arcsec/yr
    ra, dec = np.asarray(raw["ra"], np.float64), np.asarray(raw["dec"], np.float64)
    table["ra"] = ra + (ref_epoch - epoch_ra) * pm_ra / 3600.0 / np.cos(np.deg2rad(dec))
    table["dec"] = dec + (ref_epoch - epoch_dec) * pm_dec / 3600.0
    table["ref_epoch"] = ref_epoch.astype(np.float32)
    table["pmra"] = (1000.0 * pm_ra).astype(np.float32)
    table["pmdec"] = (1000.0 * pm_dec).astype(np.float32)
    table["parallax"] = np.zeros(len(raw), np.float32)
    for name in ("ra", "dec"):
        table[name + "_ivar"] = _inverse_square(raw["sigma_" + name])
        table[f"pm{name}_ivar"] = _inverse_square(1000.0 * np.asarray(raw["sigma_pm_" + name], np.float64))
