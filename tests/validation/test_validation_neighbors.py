"""Light of neighbours under a source."""

import numpy as np
import pytest
from astropy.table import Table
from synthetic_catalogs import BANDS, catalog_table, truth_table

from legacypipe_lite.errors import InputError
from legacypipe_lite.models.profiles import mixture
from legacypipe_lite.validation import MatchSettings
from legacypipe_lite.validation.neighbors import light_in_errors, neighbor_light
from legacypipe_lite.validation.scenes import make_scene

PSF = ("PSF", 0.0, 0.0)
SIGMA = 1 / np.sqrt(8 * np.log(2))


def at(*x):
    return np.array(x, float), np.zeros(len(x))


def image(kind, radius, sersic, x, fwhm, step=0.05, half=25.0):
    """A round profile seen with a Gaussian PSF, on a grid [1/arcsec^2]."""
    grid = np.arange(-half, half, step)
    r2 = (grid[np.newaxis, :] - x) ** 2 + grid[:, np.newaxis] ** 2
    amplitude, variance = mixture(kind, sersic)
    variance = variance * radius**2 + (SIGMA * fwhm) ** 2
    return sum(a * np.exp(-0.5 * r2 / v) / (2 * np.pi * v) for a, v in zip(amplitude, variance))


def test_point_sources():
    """At the same place all of the light counts, at a distance the Gaussian of both PSFs."""
    light, area = neighbor_light(*at(0, 1.5), [PSF, PSF], np.array([2.0, 3.0]), 1.2)
    expected = np.exp(-(1.5**2) / (4 * (SIGMA * 1.2) ** 2))
    np.testing.assert_allclose(light, [3 * expected, 2 * expected])
    np.testing.assert_allclose(area, 4 * np.pi * (SIGMA * 1.2) ** 2)
    np.testing.assert_allclose(neighbor_light(*at(0, 0), [PSF, PSF], np.array([2.0, 3.0]), 1.2)[0], [3, 2])
    assert (neighbor_light(*at(0, 40), [PSF, PSF], np.ones(2), 1.2)[0] == 0).all()
    assert neighbor_light(*at(0), [PSF], np.ones(1), 1.2)[0] == [0]


@pytest.mark.parametrize("kind, radius, sersic", [("EXP", 2.0, 1.0), ("SER", 1.2, 2.5), ("DEV", 0.8, 4.0)])
def test_galaxies_as_on_a_grid(kind, radius, sersic):
    """What the product of the images says, of a galaxy and a star beside it."""
    fwhm, flux = 1.3, np.array([5.0, 7.0])
    galaxy, star = image(kind, radius, sersic, 0.0, fwhm), image(*PSF, 4.0, fwhm)
    light, area = neighbor_light(*at(0, 4), [(kind, radius, sersic), PSF], flux, fwhm)
    shared = np.sum(galaxy * star)
    np.testing.assert_allclose(light, [7 * shared / np.sum(galaxy**2), 5 * shared / np.sum(star**2)], rtol=1e-4)
    np.testing.assert_allclose(area, [1 / (np.sum(im**2) * 0.05**2) for im in (galaxy, star)], rtol=1e-4)


def test_many_pairs_in_parts(monkeypatch):
    rng = np.random.default_rng(3)
    x, y, flux = rng.uniform(0, 20, 30), rng.uniform(0, 20, 30), rng.uniform(1, 2, 30)
    shapes = [PSF if i % 2 else ("EXP", 1.0, 1.0) for i in range(30)]
    at_once = neighbor_light(x, y, shapes, flux, 1.0)[0]
    monkeypatch.setattr("legacypipe_lite.validation.neighbors._PAIRS_AT_ONCE", 7)
    np.testing.assert_allclose(neighbor_light(x, y, shapes, flux, 1.0)[0], at_once)


def deep(catalog, error=0.02, fwhm=1.2):
    """The catalogue with the columns that tell the depth of the images."""
    for band in BANDS:
        catalog[f"psfdepth_{band}"] = np.full(len(catalog), error**-2.0)
        catalog[f"psfsize_{band}"] = np.full(len(catalog), fwhm)
    return catalog


def two_stars(distance, fluxes):
    truth = Table({"type": ["PSF", "PSF"], "shape_r": [0.0, 0.0], "sersic": [0.0, 0.0]})
    for band, flux in zip(BANDS, fluxes):
        truth[f"flux_{band}"] = flux
    return np.column_stack(at(0, distance)), truth


def test_light_in_units_of_errors():
    """Of the band in which it is worst; bands without a depth do not count."""
    plane, truth = two_stars(2.0, ([10.0, 10.0], [1.0, 20.0]))
    expected = np.exp(-4 / (4 * (SIGMA * 1.2) ** 2)) / 0.02
    catalog = deep(Table({"ra": [0.0, 0.0]}))
    index = np.array([0, -1])
    np.testing.assert_allclose(
        light_in_errors(plane, truth, catalog, index, list(BANDS)), expected * np.array([20, 10])
    )
    catalog["psfdepth_r"] = 0.0
    np.testing.assert_allclose(light_in_errors(plane, truth, catalog, index, list(BANDS)), expected * 10)
    catalog["psfdepth_g"] = 0.0
    assert np.isnan(light_in_errors(plane, truth, catalog, index, list(BANDS))).all()
    catalog.remove_column("psfsize_g")
    with pytest.raises(InputError, match="psfsize_g"):
        light_in_errors(plane, truth, catalog, index, list(BANDS))


def test_errors_of_large_sources_are_larger():
    """The error grows with the square root of the area, as that of sky-limited photometry does."""
    plane, truth = two_stars(0.0, ([1.0, 1.0], [1.0, 1.0]))
    catalog, index = deep(Table({"ra": [0.0, 0.0]})), np.array([0, 1])
    small = light_in_errors(plane, truth, catalog, index, ["g"])
    truth["type"], truth["shape_r"], truth["sersic"] = ["EXP", "EXP"], [2.0, 2.0], [1.0, 1.0]
    area = neighbor_light(*plane.T, [("EXP", 2.0, 1.0)] * 2, np.ones(2), 1.2)[1]
    point = 4 * np.pi * (SIGMA * 1.2) ** 2
    np.testing.assert_allclose(light_in_errors(plane, truth, catalog, index, ["g"]), small * np.sqrt(point / area))


def test_isolated_sources_of_a_scene():
    """A large galaxy is disturbed by a neighbour that does not matter to a star."""
    truth = truth_table()
    star, galaxy = (int(np.flatnonzero(truth["type"] == kind)[50]) for kind in ("PSF", "EXP"))
    truth["shape_r"][galaxy] = 3.0
    close = truth[[star, galaxy]]  # a copy
    close["dec"] += 4.5 / 3600
    close["type"], close["shape_r"], close["sersic"] = "PSF", 0.0, 0.0
    for band in BANDS:
        close[f"flux_{band}"] = 1.0
    everything = truth.copy()
    for row in close:
        everything.add_row(row)
    for name, column in (("is_gaia", False), ("note", "")):
        everything[name] = np.full(len(everything), column)
    catalog = deep(catalog_table(everything))
    near = make_scene(catalog, everything, MatchSettings())
    clear = make_scene(catalog, everything, MatchSettings(neighbor_light=0.1))
    assert near.isolated[star] and near.isolated[galaxy]
    assert clear.isolated[star] and not clear.isolated[galaxy] and clear.blended[galaxy]
    assert not (clear.isolated & ~near.isolated).any() and clear.isolated.sum() > 0.5 * near.isolated.sum()


def test_real_neighbours_of_injected_sources():
    """Catalogue rows that the truth does not explain shine, too."""
    everything = truth_table()
    for name, column in (("is_gaia", False), ("note", "")):
        everything[name] = np.full(len(everything), column)
    injected = everything[::9]
    injected["shape_r"][injected["type"] == "EXP"] = 6.0  # reach the real ones, 10 arcsec away
    injected.meta["partial"] = True
    catalog = deep(catalog_table(everything))
    clear = make_scene(catalog, injected, MatchSettings(neighbor_light=0.1))
    large, stars = injected["type"] == "EXP", injected["type"] == "PSF"
    assert not clear.isolated[large].any() and clear.isolated[stars & clear.scored].mean() > 0.8
    alone = make_scene(catalog[::9], injected, MatchSettings(neighbor_light=0.1))
    assert alone.isolated[large].any()
