"""Stars and galaxies of a patch of sky: numbers, magnitudes, colours, sizes, shapes, motions.

The distributions are simple forms of published ones:

* galaxy counts: 46 x 10^(0.31 (i - 25)) per square arcmin brighter than i (LSST Science Book, arXiv:0912.0201,
  section 3.7.2), steeper at i < 21 (slope 0.45; Yasuda et al. 2001, AJ 122, 1104);
- galaxy sizes: log-normal around a median half-light radius of 0.45 arcsec at i = 23 that grows by 0.14 dex per
  magnitude (ACS-GC: Griffith et al. 2012, ApJS 200, 9);
* ellipticities: Gaussian components (Leauthaud et al. 2007, ApJS 172, 219), here of width 0.2 in
  (1 - b/a) / (1 + b/a);
* galaxy types and colours: two populations (Strateva et al. 2001, AJ 122, 1861), late types with Sersic indices
  around 1, early types around 4, whose colours redden with magnitude as redshift grows;
* star counts: a power law of slope 0.15 at high Galactic latitude (Bahcall & Soneira 1980, ApJS 44, 73), colours
  of a blue (turn-off) and a red (M dwarf) sequence;
* infrared colours: the star and galaxy sequences in (r - z, z - W1) of Zhou et al. 2023 (AJ 165, 58), W1 to W4 after
  Wright et al. 2010 (AJ 140, 1868), figure 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from ..reference.star_colors import gaia_to_optical
from ..units import mag_to_nanomaggies

if TYPE_CHECKING:
    from astropy.table import Column

__all__ = ["OPTICAL_BANDS", "WISE_BANDS", "galaxies", "gaia_errors", "stars"]

OPTICAL_BANDS = ("g", "r", "i", "z")
WISE_BANDS = ("w1", "w2", "w3", "w4")

#: Epoch of Gaia's positions (data release 3).
GAIA_EPOCH = 2016.0

_GALAXIES_AT_25 = 46.0  # per square arcmin, brighter than i = 25
_COUNT_SLOPE, _BRIGHT_COUNT_SLOPE, _COUNT_BREAK = 0.31, 0.45, 21.0
_BRIGHTEST_GALAXY = 16.5
_STARS_AT_16, _STAR_SLOPE = 160.0, 0.15  # per square degree and magnitude

_W_VEGA_TO_AB = np.array([2.699, 3.339, 5.174, 6.620])


def galaxy_number(i_mag: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Galaxies per square arcmin brighter than an i magnitude."""
    i_mag = np.asarray(i_mag, float)
    at_break = _GALAXIES_AT_25 * 10 ** (_COUNT_SLOPE * (_COUNT_BREAK - 25.0))
    faint = _GALAXIES_AT_25 * 10 ** (_COUNT_SLOPE * (i_mag - 25.0))
    return np.where(i_mag > _COUNT_BREAK, faint, at_break * 10 ** (_BRIGHT_COUNT_SLOPE * (i_mag - _COUNT_BREAK)))


def galaxies(rng: np.random.Generator, area: float, faintest: float, density: float = 1.0) -> Table:
    """Draw galaxies.

    Parameters
    ----------
    rng : numpy.random.Generator
    area : float
        Square arcmin.
    faintest : float
        Limit of the i magnitude.
    density : float
        Factor on the number.

    Returns
    -------
    Table
        Columns type, mag_g ... mag_z, mag_w1 ... mag_w4 (AB), shape_r [arcsec], shape_e1, shape_e2, sersic.
    """
    low, high = galaxy_number(_BRIGHTEST_GALAXY), galaxy_number(faintest)
    n = rng.poisson(density * area * (high - low))
    grid = np.arange(_BRIGHTEST_GALAXY, faintest + 0.005, 0.005)
    i_mag = np.interp(rng.uniform(low, high, n), galaxy_number(grid), grid)
    early = rng.uniform(size=n) < np.interp(i_mag, [18.0, 24.0], [0.4, 0.15])
    table = Table()
    _add_profiles(table, rng, early)
    _add_shapes(table, rng, i_mag)
    _add_galaxy_colors(table, rng, i_mag, early)
    return table


def _add_profiles(table: Table, rng: Any, early: NDArray[np.bool_]) -> None:
    """Types and Sersic indices: half of each population has the classical profile."""
    n = len(early)
    classical = rng.uniform(size=n) < 0.6
    table["type"] = np.where(classical, np.where(early, "DEV", "EXP"), "SER")
    index = np.exp(rng.normal(np.where(early, np.log(3.5), np.log(1.2)), np.where(early, 0.25, 0.4)))
    # A grid of indices: their profiles are then made once only.
    index = np.round(np.clip(index, 0.5, 5.9) / 0.05) * 0.05
    table["sersic"] = np.where(classical, np.where(early, 4.0, 1.0), index)


def _add_shapes(table: Table, rng: Any, i_mag: NDArray[np.float64]) -> None:
    n = len(i_mag)
    log_r = np.log10(0.45) - 0.14 * (i_mag - 23.0) + rng.normal(0.0, 0.2, n)
    table["shape_r"] = np.clip(10**log_r, 0.1, 4.0)
    e = np.minimum(np.hypot(*rng.normal(0.0, 0.2, (2, n))), 0.7)
    angle = rng.uniform(0, 2 * np.pi, n)
    table["shape_e1"], table["shape_e2"] = e * np.cos(angle), e * np.sin(angle)


def _add_galaxy_colors(table: Table, rng: Any, i_mag: NDArray[np.float64], early: NDArray[np.bool_]) -> None:
    n = len(i_mag)
    redder = np.clip((i_mag - 17.0) / 5.0, 0.0, 1.0)  # with redshift
    gr = np.where(early, 0.75 + 0.75 * redder, 0.45 + 0.25 * redder) + rng.normal(0, 0.15, n)
    ri = np.where(early, 0.35 + 0.45 * redder, 0.20 + 0.20 * redder) + rng.normal(0, 0.1, n)
    iz = np.where(early, 0.25 + 0.15 * redder, 0.12 + 0.15 * redder) + rng.normal(0, 0.07, n)
    table["mag_i"] = i_mag
    table["mag_r"] = i_mag + ri
    table["mag_g"] = i_mag + ri + gr
    table["mag_z"] = i_mag - iz
    z_w1 = 0.8 * (ri + iz) - 0.6 + 0.3 + 0.5 * redder + rng.normal(0, 0.2, n)
    w1_w2 = rng.normal(0.15, 0.15, n)  # Vega
    w2_w3 = rng.normal(np.where(early, 0.8, 3.0), 0.5)
    w3_w4 = rng.normal(np.where(early, 1.0, 2.2), 0.4)
    _add_wise(table, table["mag_z"] - z_w1, w1_w2, w2_w3, w3_w4)


def _add_wise(
    table: Table,
    w1: Column | NDArray[np.float64],
    w1_w2: NDArray[np.float64],
    w2_w3: NDArray[np.float64],
    w3_w4: NDArray[np.float64],
) -> None:
    """AB magnitudes from that of W1 and Vega colours."""
    steps = -np.array([w1_w2, w2_w3, w3_w4]) + np.diff(_W_VEGA_TO_AB)[:, np.newaxis]
    mags = np.vstack([w1, w1 + np.cumsum(steps, axis=0)])
    for band, mag in zip(WISE_BANDS, mags):
        table[f"mag_{band}"] = mag


def stars(rng: np.random.Generator, area: float, brightest: float, faintest: float, density: float = 1.0) -> Table:
    """Draw stars.

    Parameters
    ----------
    rng : numpy.random.Generator
    area : float
        Square arcmin.
    brightest, faintest : float
        Limits of the r magnitude.
    density : float
        Factor on the number.

    Returns
    -------
    Table
        Columns as those of `galaxies`, and gaia_g, bp_rp (Vega), pmra, pmdec [mas/yr], parallax [mas].
    """
    low, high = (10 ** (_STAR_SLOPE * (mag - 16.0)) for mag in (brightest, faintest))
    per_degree = _STARS_AT_16 / (_STAR_SLOPE * np.log(10.0)) * (high - low)
    n = rng.poisson(density * area / 3600.0 * per_degree)
    r_mag = 16.0 + np.log10(rng.uniform(low, high, n)) / _STAR_SLOPE
    return star_table(rng, r_mag)


def star_table(rng: Any, r_mag: NDArray[np.float64]) -> Table:
    """Stars of given r magnitudes, see `stars`."""
    n = len(r_mag)
    red = rng.uniform(size=n) < np.interp(r_mag, [14.0, 20.0], [0.1, 0.6])
    bp_rp = np.where(red, rng.normal(2.2, 0.3, n), rng.normal(0.85, 0.15, n))
    bp_rp = np.clip(bp_rp, 0.4, 3.2)
    gaia_g = r_mag - _optical("r", bp_rp)
    table = Table()
    table["type"] = np.full(n, "PSF")
    for name in ("sersic", "shape_r", "shape_e1", "shape_e2"):
        table[name] = np.zeros(n)
    for band in OPTICAL_BANDS:
        # Stars scatter around the mean relation between Gaia's colour and theirs.
        scatter = 0.0 if band == "r" else rng.normal(0.0, 0.03, n)
        table[f"mag_{band}"] = gaia_g + _optical(band, bp_rp) + scatter
    z_w1 = 0.8 * (table["mag_r"] - table["mag_z"]) - 1.2 + rng.normal(0, 0.05, n)
    no_color = rng.normal(0, 0.03, (3, n))
    _add_wise(table, np.asarray(table["mag_z"] - z_w1), *no_color)
    table["gaia_g"], table["bp_rp"] = gaia_g, bp_rp
    _add_motions(table, rng, red)
    return table


def _optical(band: str, bp_rp: NDArray[np.float64]) -> NDArray[np.float64]:
    """Optical magnitude minus G of a star of given colour."""
    some_g = np.full(len(bp_rp), 15.0)
    return gaia_to_optical(band, some_g, some_g + bp_rp, some_g) - some_g


def _add_motions(table: Table, rng: Any, red: NDArray[np.bool_]) -> None:
    """Distances from absolute magnitudes of the two sequences, motions from a velocity dispersion of 40 km/s."""
    absolute = np.where(red, 4.5 + 2.5 * table["bp_rp"], 1.0 + 4.5 * table["bp_rp"])
    parallax = 10 ** (0.2 * (np.asarray(absolute - table["gaia_g"]) + 10.0))  # mas
    table["parallax"] = np.minimum(parallax, 20.0)
    velocity = rng.normal(0.0, 40.0, (2, len(table)))
    for name, v in zip(("pmra", "pmdec"), velocity):
        table[name] = np.clip(v / 4.74 * table["parallax"], -300.0, 300.0)


def gaia_errors(g_mag: ArrayLike) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Uncertainties of Gaia's astrometry (data release 3).

    The fit to the end-of-mission performance that ESA publishes, scaled to DR3:
    https://www.cosmos.esa.int/web/gaia/science-performance.

    Parameters
    ----------
    g_mag : array_like

    Returns
    -------
    position, parallax, motion : numpy.ndarray
        mas, mas, mas/yr.
    """
    z = 10 ** (0.4 * (np.maximum(np.asarray(g_mag, float), 13.0) - 15.0))
    parallax = np.sqrt(40.0 + 800.0 * z + 30.0 * z**2) / 1000.0
    return 0.8 * parallax, parallax, 1.03 * parallax


def fluxes(table: Table) -> Table:
    """Set flux_<band> [nanomaggies] from mag_<band>, and drop the magnitudes."""
    for band in (*OPTICAL_BANDS, *WISE_BANDS):
        table[f"flux_{band}"] = mag_to_nanomaggies(table[f"mag_{band}"])
        table.remove_column(f"mag_{band}")
    return table
