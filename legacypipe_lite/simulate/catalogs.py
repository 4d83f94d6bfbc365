"""Reference catalogues of the mock sky: Gaia, Tycho-2, large galaxies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table
from scipy.special import gamma

from .populations import GAIA_EPOCH, gaia_errors
from .randoms import generator

if TYPE_CHECKING:
    from astropy.table import Row

__all__ = ["GAIA_VERSION", "gaia_chunks", "large_galaxy_table", "tycho2_table"]

#: Data release, as GAIA_CAT_VER says it.
GAIA_VERSION = "3"

_NSIDE = 32
_TYCHO_LIMIT = 12.5  # V magnitude
_TYCHO_EPOCH = 1991.5
_D25_SURFACE_BRIGHTNESS = 25.0  # mag/arcsec^2

# Gaia's photometric errors: stars are measured this often.
_TRANSITS = 180


def gaia_chunks(stars: Table, ra: float, dec: float, radius: float, seed: int) -> dict[int, Table]:
    """Tables of Gaia stars by HEALPix pixel (nside 32, ring): all pixels around a position, also empty ones.

    Parameters
    ----------
    stars : Table
        True ra, dec at `GAIA_EPOCH`, gaia_g, bp_rp, pmra, pmdec, parallax, source_id.
    ra, dec, radius : float
        Degrees.
    seed : int
        Of the measurement errors.

    Returns
    -------
    dict of int to Table
    """
    from astropy import units
    from astropy.coordinates import SkyCoord
    from astropy_healpix import HEALPix

    healpix = HEALPix(_NSIDE, order="ring", frame="icrs")
    # A pixel is found by its centre: look a pixel's size farther.
    wanted = healpix.cone_search_skycoord(SkyCoord(ra, dec, unit="deg"), (radius + 2.0) * units.deg)
    table = _gaia_table(stars, generator(seed, "gaia"))
    pixel = healpix.lonlat_to_healpix(table["ra"] * units.deg, table["dec"] * units.deg)
    return {int(p): table[pixel == p] for p in wanted}


def _gaia_table(stars: Table, rng: Any) -> Table:
    """Gaia's columns, with measurement errors."""
    n = len(stars)
    g, bp_rp = np.asarray(stars["gaia_g"]), np.asarray(stars["bp_rp"])
    position, parallax, motion = gaia_errors(g)
    table = Table()
    table["source_id"] = np.asarray(stars["source_id"], np.int64)
    ra, dec = np.asarray(stars["ra"]), np.asarray(stars["dec"])
    table["ra"] = ra + rng.normal(0, position, n) / 3.6e6 / np.cos(np.deg2rad(dec))
    table["dec"] = dec + rng.normal(0, position, n) / 3.6e6
    table["ra_error"] = table["dec_error"] = position.astype(np.float32)
    table["ref_epoch"] = np.full(n, GAIA_EPOCH, np.float32)
    for name, error in (("parallax", parallax), ("pmra", motion), ("pmdec", motion)):
        table[name] = (np.asarray(stars[name]) + rng.normal(0, error, n)).astype(np.float32)
        table[f"{name}_error"] = error.astype(np.float32)
    # BP and RP lie on both sides of G.
    for band, mag, snr in (("g", g, 5000.0), ("bp", g + 0.45 * bp_rp, 500.0), ("rp", g - 0.55 * bp_rp, 500.0)):
        table[f"phot_{band}_mean_mag"] = mag.astype(np.float32)
        over_error = snr * 10 ** (-0.3 * np.maximum(mag - 14.0, 0.0))
        table[f"phot_{band}_mean_flux_over_error"] = over_error.astype(np.float32)
        table[f"phot_{band}_n_obs"] = np.full(n, _TRANSITS if band == "g" else _TRANSITS // 10, np.int16)
    table["phot_variable_flag"] = np.zeros(n, bool)
    table["astrometric_excess_noise"] = np.abs(rng.normal(0, 0.1, n)).astype(np.float32)
    table["astrometric_excess_noise_sig"] = np.zeros(n, np.float32)
    table["astrometric_n_obs_al"] = np.full(n, _TRANSITS, np.int16)
    table["astrometric_n_good_obs_al"] = np.full(n, _TRANSITS - 3, np.int16)
    table["duplicated_source"] = np.zeros(n, bool)
    table["phot_bp_rp_excess_factor"] = np.full(n, 1.2, np.float32)
    table["astrometric_sigma5d_max"] = (1.5 * position).astype(np.float32)
    table["astrometric_params_solved"] = np.full(n, 31, np.uint8)
    return table


def tycho2_table(stars: Table, seed: int) -> Table:
    """Tycho-2 entries of the bright ones of Gaia's stars.

    Parameters
    ----------
    stars : Table
        As for `gaia_chunks`, and mag_z.
    seed : int

    Returns
    -------
    Table
    """
    g, bp_rp = np.asarray(stars["gaia_g"]), np.asarray(stars["bp_rp"])
    # G - V of Gaia's documentation (data release 3, section 5.5.1).
    v = g + 0.02704 - 0.01424 * bp_rp + 0.2156 * bp_rp**2 - 0.01426 * bp_rp**3
    bright = np.flatnonzero(v < _TYCHO_LIMIT)
    stars, g, v, bp_rp = stars[bright], g[bright], v[bright], bp_rp[bright]
    rng = generator(seed, "tycho2")
    n = len(stars)
    years = _TYCHO_EPOCH - GAIA_EPOCH
    dec = np.asarray(stars["dec"]) + years * np.asarray(stars["pmdec"]) / 3.6e6
    ra = np.asarray(stars["ra"]) + years * np.asarray(stars["pmra"]) / 3.6e6 / np.cos(np.deg2rad(dec))
    sigma = 0.03 / 3600.0
    table = Table()
    table["tyc1"] = np.full(n, 2500, np.int16)
    table["tyc2"] = np.arange(1, n + 1, dtype=np.int16)
    table["tyc3"] = np.ones(n, np.uint8)
    table["ra"] = ra + rng.normal(0, sigma, n) / np.cos(np.deg2rad(dec))
    table["dec"] = dec + rng.normal(0, sigma, n)
    for name in ("sigma_ra", "sigma_dec"):
        table[name] = np.full(n, sigma, np.float32)
    for axis in ("ra", "dec"):
        table[f"pm_{axis}"] = (np.asarray(stars[f"pm{axis}"]) / 1000.0 + rng.normal(0, 0.002, n)).astype(np.float32)
        table[f"sigma_pm_{axis}"] = np.full(n, 0.002, np.float32)
        table[f"epoch_{axis}"] = np.full(n, _TYCHO_EPOCH, np.float32)
    table["mag_bt"] = (v + 0.9 * bp_rp).astype(np.float32)
    table["mag_vt"] = v.astype(np.float32)
    table["mag_hp"] = np.zeros(n, np.float32)
    table["isgalaxy"] = np.zeros(n, np.uint8)
    table["zguess"] = np.asarray(stars["mag_z"], np.float32)
    table["ggguess"] = g.astype(np.float32)
    return table


def large_galaxy_table(sources: Table) -> Table:
    """Entries of a catalogue of large galaxies (columns of the SGA-2020 parent catalogue) of the large galaxies.

    Parameters
    ----------
    sources : Table
        True sources; those with note "biggal" are meant.

    Returns
    -------
    Table
    """
    galaxies = sources[np.asarray(sources["note"]) == "biggal"]
    n = len(galaxies)
    e1, e2 = np.asarray(galaxies["shape_e1"]), np.asarray(galaxies["shape_e2"])
    e = np.hypot(e1, e2)
    diameter = np.array([_isophotal_diameter(row) for row in galaxies])
    table = Table()
    table["SGA_ID"] = np.arange(1, n + 1, dtype=np.int64)
    table["GALAXY"] = np.array([f"MOCK{i}" for i in range(1, n + 1)], "U29")
    table["RA"], table["DEC"] = np.asarray(galaxies["ra"]), np.asarray(galaxies["dec"])
    table["MAG_LEDA"] = (22.5 - 2.5 * np.log10(np.asarray(galaxies["flux_g"]))).astype(np.float32)
    table["DIAM"] = diameter.astype(np.float32)
    table["PA"] = np.rint(np.rad2deg(0.5 * np.arctan2(e2, e1)) % 180.0).astype(np.float32)
    table["BA"] = np.round((1 - e) / (1 + e), 2).astype(np.float32)
    for name in ("PA", "BA"):
        table[f"{name}_LEDA"] = table[name]
    table["D25_LEDA"] = table["DIAM"]
    table["GROUP_ID"] = table["SGA_ID"]
    return table


def _isophotal_diameter(row: Row) -> float:
    """Diameter [arcmin] of the isophote of 25 mag/arcsec^2 in g, along the major axis, for a Sersic profile."""
    n, r_e = float(row["sersic"]), float(row["shape_r"])
    e = np.hypot(row["shape_e1"], row["shape_e2"])
    axis_ratio = (1 - e) / (1 + e)
    b = 2.0 * n - 1.0 / 3.0 + 0.009876 / n
    total = 2.0 * np.pi * n * np.exp(b) * b ** (-2.0 * n) * gamma(2.0 * n) * r_e**2 * axis_ratio
    mean_mag = 22.5 - 2.5 * np.log10(float(row["flux_g"]) / total)  # at r_e, per square arcsec
    steps = 0.4 * np.log(10.0) * (_D25_SURFACE_BRIGHTNESS - mean_mag) / b
    return 2.0 * r_e * max(1.0 + steps, 0.0) ** n / 60.0
