"""The simulated sky: which sources are where, and the stars around the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table, vstack
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..models import Motion, Source
from ..reference.star_colors import gaia_to_optical, mask_radius
from ..units import FWHM_PER_SIGMA
from ..wcs import great_circle_distance
from . import populations
from .images import SkyContent
from .instruments import INSTRUMENTS
from .populations import GAIA_EPOCH, OPTICAL_BANDS
from .randoms import generator

if TYPE_CHECKING:
    from astropy.table import Column, Row

    from ..wcs import ImageWcs
    from .field import Field
    from .options import SimulationOptions

__all__ = ["draw_sources", "draw_outer_stars", "mark_saturated", "nearest_neighbours", "sky_content"]

#: Gaia sees stars to this G magnitude.
GAIA_LIMIT = 20.5
#: Stars of other fields of view reach into the reference catalogues to this distance from the field [arcsec].
OUTER_RADIUS = 1700.0
_OUTER_BRIGHTEST = 11.0
_FAINTER_THAN_DEPTH = 0.9  # magnitudes
_NO_SATURATION = 16.5  # r magnitude of the brightest star of a small field
_BRIGHT_STAR = 13.2  # r magnitude of the star that saturates
_SATURATED_WITHIN = 2.0  # arcsec
_BLENDED_TO = 23.0  # r magnitude
_SEPARATION = (1.0, 2.5)  # arcsec, of blends
_LARGE_GALAXY = {"mag_r": 15.6, "shape_r": 6.5, "sersic": 1.0, "shape_e1": 0.18, "shape_e2": -0.16}


def point_source_depth(options: SimulationOptions) -> float:
    """5-sigma magnitude limit in r (or the middle band) of all exposures of a typical camera together."""
    band = "r" if "r" in options.bands else options.bands[0]
    camera = next(c for c in options.cameras if band in INSTRUMENTS[c].bands)
    instrument = INSTRUMENTS[camera]
    facts = instrument.bands[band]
    exptime = facts.exptime * 10 ** (0.8 * options.depth)
    electrons = 10 ** (0.4 * (facts.zeropoint - facts.sky)) * instrument.pixel_scale**2 * exptime * instrument.gain
    noise = np.sqrt(electrons + instrument.read_noise**2)
    sigma = (options.seeing or instrument.seeing) / FWHM_PER_SIGMA / instrument.pixel_scale
    effective_noise = noise * 2.0 * np.sqrt(np.pi) * sigma * 1.08 / np.sqrt(options.exposures)
    return facts.zeropoint - 2.5 * np.log10(5.0 * effective_noise / (exptime * instrument.gain))


def draw_sources(options: SimulationOptions, sky_field: Field) -> Table:
    """All sources of the field and its surroundings.

    Parameters
    ----------
    options : SimulationOptions
    sky_field : Field

    Returns
    -------
    Table
        ra, dec (of stars: at `GAIA_EPOCH`), type, flux_<band>, shape_r, shape_e1, shape_e2, sersic, gaia_g, bp_rp,
        pmra, pmdec, parallax, is_gaia, note.
    """
    area = sky_field.source_area
    square_arcmin = area.width * area.height * (area.pixel_scale / 60.0) ** 2
    faintest = point_source_depth(options) + _FAINTER_THAN_DEPTH
    brightest_star = 10.0 if options.full_brick else _NO_SATURATION
    galaxies = populations.galaxies(generator(options.seed, "galaxies"), square_arcmin, faintest, options.density)
    stars = populations.stars(
        generator(options.seed, "stars"), square_arcmin, brightest_star, faintest, options.density
    )
    table = vstack([galaxies, stars])
    for name in ("gaia_g", "bp_rp", "pmra", "pmdec", "parallax"):
        table[name] = np.ma.filled(table[name], 0.0)
    table = table[table["mag_r"] < faintest]
    rng = generator(options.seed, "positions")
    x, y = rng.uniform(-0.5, area.width - 0.5, len(table)), rng.uniform(-0.5, area.height - 0.5, len(table))
    table["ra"], table["dec"] = area.pixel_to_sky(x, y)
    table["note"] = np.full(len(table), "", "U10")
    table = _with_blends(table, options)
    table = vstack([table, *_special(options, sky_field)])
    table["is_gaia"] = (table["type"] == "PSF") & (table["gaia_g"] < GAIA_LIMIT)
    for name in ("pmra", "pmdec", "parallax"):  # motions that Gaia does not see do not matter
        table[name][~table["is_gaia"]] = 0.0
    return populations.fluxes(table)


def _with_blends(table: Table, options: SimulationOptions) -> Table:
    """Add companions to some of the sources: copies of others of about their brightness."""
    rng = generator(options.seed, "blends")
    hosts = np.flatnonzero((table["mag_r"] < _BLENDED_TO) & (rng.uniform(size=len(table)) < options.blends))
    candidates = np.flatnonzero(table["mag_r"] < _BLENDED_TO + 0.5)
    if len(hosts) == 0:
        return table
    nearest = [candidates[np.argsort(np.abs(table["mag_r"][candidates] - table["mag_r"][i]))[1:10]] for i in hosts]
    models = [rng.choice(choice) if len(choice) else i for i, choice in zip(hosts, nearest)]
    companions = table[models]
    distance = rng.uniform(*_SEPARATION, len(hosts)) / 3600.0
    angle = rng.uniform(0, 2 * np.pi, len(hosts))
    dec = np.asarray(table["dec"][hosts])
    companions["ra"] = table["ra"][hosts] + distance * np.sin(angle) / np.cos(np.deg2rad(dec))
    companions["dec"] = dec + distance * np.cos(angle)
    companions["note"] = "pair"
    table["note"][hosts] = "pair"
    return vstack([table, companions])


def _special(options: SimulationOptions, sky_field: Field) -> list[Table]:
    """The bright star and the large galaxy, at fixed places of the field."""
    target, found = sky_field.target, []
    rng = generator(options.seed, "special")
    if "saturation" in options.artefacts:
        star = populations.star_table(rng, np.array([_BRIGHT_STAR]))
        found.append(_placed(star, target, 0.22, 0.74, "saturated"))
    if options.large_galaxy:
        galaxy = Table({"type": ["SER"], **{name: [value] for name, value in _LARGE_GALAXY.items()}})
        galaxy["sersic"] = 1.5
        r = galaxy["mag_r"]
        galaxy["mag_g"], galaxy["mag_i"], galaxy["mag_z"] = r + 0.6, r - 0.3, r - 0.5
        for band, vega_minus_r in zip(populations.WISE_BANDS, (-0.3, 0.2, 0.0, 0.0)):
            galaxy[f"mag_{band}"] = r + vega_minus_r
        for name in ("gaia_g", "bp_rp", "pmra", "pmdec", "parallax"):
            galaxy[name] = 0.0
        found.append(_placed(galaxy, target, 0.70, 0.30, "biggal"))
    return found


def _placed(table: Table, target: ImageWcs, x_fraction: float, y_fraction: float, note: str) -> Table:
    ra, dec = target.pixel_to_sky(x_fraction * target.width + 0.31, y_fraction * target.height - 0.27)
    table["ra"], table["dec"], table["note"] = [ra], [dec], np.array([note], "U10")
    return table


def draw_outer_stars(options: SimulationOptions, sky_field: Field) -> Table:
    """Stars around the field, that are in the reference catalogues but not in the table of sources.

    Parameters
    ----------
    options : SimulationOptions
    sky_field : Field

    Returns
    -------
    Table
        ra, dec, gaia_g, bp_rp, pmra, pmdec, parallax. None of them masks any of the field.
    """
    area = sky_field.source_area
    wide = sky_field.grown(int(np.ceil(OUTER_RADIUS / area.pixel_scale)))
    square_arcmin = wide.width * wide.height * (wide.pixel_scale / 60.0) ** 2
    rng = generator(options.seed, "outer")
    table = populations.stars(rng, square_arcmin, _OUTER_BRIGHTEST, GAIA_LIMIT, options.density)
    x, y = rng.uniform(0, wide.width, len(table)), rng.uniform(0, wide.height, len(table))
    table["ra"], table["dec"] = wide.pixel_to_sky(x, y)
    x, y = area.sky_to_pixel(np.asarray(table["ra"]), np.asarray(table["dec"]))
    outside = np.maximum.reduce([-x, x - area.width, -y, y - area.height])
    radius = 3600.0 * mask_radius(table["gaia_g"]) / area.pixel_scale
    return table[(outside > np.minimum(1.5 * radius, OUTER_RADIUS)) & (table["gaia_g"] < GAIA_LIMIT)]


def sky_content(table: Table, outer_stars: Table) -> SkyContent:
    """Sources and halo stars in the form that images are rendered from.

    Parameters
    ----------
    table : Table
        From `draw_sources`.
    outer_stars : Table
        From `draw_outer_stars`.

    Returns
    -------
    SkyContent
    """
    sources = [_source(row) for row in table]
    columns = ("ra", "dec", "gaia_g", "bp_rp", "pmra", "pmdec", "parallax")
    stars = vstack([table[columns][np.asarray(table["is_gaia"])], outer_stars[columns]])
    g, bp_rp = np.asarray(stars["gaia_g"]), np.asarray(stars["bp_rp"])
    for band in OPTICAL_BANDS:
        stars[f"decam_mag_{band}"] = gaia_to_optical(band, g, g + bp_rp, g)
    stars["isgaia"] = stars["pointsource"] = np.ones(len(stars), bool)
    stars["radius"] = mask_radius(np.minimum(g, stars["decam_mag_z"] + 1.0))
    stars["ref_epoch"] = np.full(len(stars), GAIA_EPOCH)
    return SkyContent(sources, stars)


def _source(row: Row) -> Source:
    motion = None
    if row["is_gaia"]:
        motion = Motion(float(row["pmra"]), float(row["pmdec"]), float(row["parallax"]), GAIA_EPOCH)
    flux = np.array([float(row[f"flux_{band}"]) for band in OPTICAL_BANDS])
    shape: dict[str, Any] = {name: float(row[name]) for name in ("shape_r", "shape_e1", "shape_e2", "sersic")}
    return Source(str(row["type"]), float(row["ra"]), float(row["dec"]), flux, motion=motion, **shape)


def mark_saturated(table: Table, ra: NDArray[Any], dec: NDArray[Any]) -> None:
    """Note, in place, the brightest source near each saturated pixel.

    Parameters
    ----------
    table : Table
        From `draw_sources`.
    ra, dec : numpy.ndarray
        Saturated pixels [deg].
    """
    if len(ra) == 0:
        return
    # Only bright sources can saturate, and there are few of them.
    bright = np.argsort(-np.asarray(table["flux_r"]))[: max(10, len(table) // 20)]
    pixels, sources = unit_vectors(ra, dec), unit_vectors(table["ra"][bright], table["dec"][bright])
    reach = np.deg2rad(_SATURATED_WITHIN / 3600.0)
    near = cKDTree(sources).query_ball_point(pixels, reach)
    hit = {min(candidates) for candidates in near if candidates}  # they are sorted by brightness
    table["note"][bright[sorted(hit)]] = "saturated"


def unit_vectors(ra: Column | NDArray[np.float64], dec: Column | NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors of sky positions [deg]; shape (n, 3)."""
    a, d = np.deg2rad(np.asarray(ra, float)), np.deg2rad(np.asarray(dec, float))
    return np.column_stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


def nearest_neighbours(table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance [arcsec] to the nearest other source, and the ratio of its r flux to the source's."""
    vectors = unit_vectors(table["ra"], table["dec"])
    if len(vectors) < 2:
        return np.full(len(vectors), 999.0), np.zeros(len(vectors))
    _, index = cKDTree(vectors).query(vectors, k=2)
    i, j = np.arange(len(vectors)), index[:, 1]
    ra, dec = np.asarray(table["ra"]), np.asarray(table["dec"])
    flux = np.asarray(table["flux_r"])
    return 3600.0 * great_circle_distance(ra, dec, ra[j], dec[j]), flux[j] / flux[i]
