import numpy as np
import pytest

from legacypipe_lite.simulate import populations
from legacypipe_lite.simulate.field import make_field
from legacypipe_lite.simulate.options import SimulationOptions
from legacypipe_lite.simulate.populations import galaxy_number
from legacypipe_lite.simulate.randoms import generator
from legacypipe_lite.simulate.scene import (
    draw_outer_stars,
    draw_sources,
    mark_saturated,
    nearest_neighbours,
    point_source_depth,
)


def test_generators_are_independent_of_each_other():
    first = generator(1, "a", 2).normal(size=3)
    assert np.array_equal(first, generator(1, "a", 2).normal(size=3))
    others = [generator(2, "a", 2), generator(1, "a", 3), generator(1, "b", 2)]
    assert all(not np.array_equal(first, other.normal(size=3)) for other in others)


def test_galaxy_counts():
    assert galaxy_number(25.0) == pytest.approx(46.0)
    assert galaxy_number(24.0) == pytest.approx(46.0 * 10**-0.31)
    # Continuous at the break, and steeper below.
    assert galaxy_number(21.0) == pytest.approx(galaxy_number(21.0 + 1e-9))
    assert galaxy_number(20.0) / galaxy_number(21.0) == pytest.approx(10**-0.45)


def test_galaxies_follow_the_distributions():
    table = populations.galaxies(generator(3, "test"), 300.0, 24.0)
    n = len(table)
    expected = 300.0 * (galaxy_number(24.0) - galaxy_number(16.5))
    assert abs(n - expected) < 5 * np.sqrt(expected)
    brighter = np.sum(table["mag_i"] < 22.0)
    expected = 300.0 * (galaxy_number(22.0) - galaxy_number(16.5))
    assert abs(brighter - expected) < 5 * np.sqrt(expected)
    near = np.abs(table["mag_i"] - 23.0) < 0.2
    assert np.median(table["shape_r"][near]) == pytest.approx(0.45, rel=0.05)
    assert set(table["type"]) == {"EXP", "DEV", "SER"}
    assert np.all(table["sersic"][table["type"] == "EXP"] == 1) and np.all(table["sersic"][table["type"] == "DEV"] == 4)
    assert np.all((table["sersic"] >= 0.5) & (table["sersic"] <= 6.0))
    e = np.hypot(table["shape_e1"], table["shape_e2"])
    assert e.max() <= 0.7 and np.sqrt(np.mean(e**2) / 2) == pytest.approx(0.2, rel=0.05)
    early = table["sersic"] > 2.5
    color = table["mag_g"] - table["mag_r"]
    assert np.median(color[early]) > np.median(color[~early]) + 0.3


def test_stars_follow_the_distributions():
    table = populations.stars(generator(4, "test"), 3600.0 * 5, 16.0, 22.0)
    expected = 5 * 160.0 / (0.15 * np.log(10)) * (10 ** (0.15 * 6) - 1)
    assert abs(len(table) - expected) < 5 * np.sqrt(expected)
    assert table["mag_r"].min() >= 16 and table["mag_r"].max() <= 22
    ratio = np.sum(np.abs(table["mag_r"] - 21) < 0.5) / np.sum(np.abs(table["mag_r"] - 17) < 0.5)
    assert ratio == pytest.approx(10 ** (0.15 * 4), rel=0.15)
    # Nearby stars move faster.
    near = table["parallax"] > np.median(table["parallax"])
    speed = np.hypot(table["pmra"], table["pmdec"])
    assert np.median(speed[near]) > 1.5 * np.median(speed[~near])


def test_wise_colours_of_stars_are_vega_zero():
    table = populations.star_table(generator(5, "test"), np.linspace(15, 20, 200))
    vega = [table[f"mag_w{band}"] - shift for band, shift in zip("1234", (2.699, 3.339, 5.174, 6.620))]
    for one, other in zip(vega, vega[1:]):
        assert abs(np.mean(one - other)) < 0.02


def test_gaia_errors_grow_with_magnitude():
    position, parallax, motion = populations.gaia_errors([10.0, 13.0, 17.0, 20.0])
    assert position[0] == position[1] and np.all(np.diff(position[1:]) > 0)
    assert parallax[3] == pytest.approx(0.62, abs=0.05) and motion[3] > parallax[3]


# --- the scene

OPTIONS = SimulationOptions(width=200, height=150, blends=0.3, artefacts=("saturation",))


@pytest.fixture(scope="module")
def table():
    return draw_sources(OPTIONS, make_field(OPTIONS))


def test_special_sources(table):
    assert np.sum(table["note"] == "biggal") == 1 and np.sum(table["note"] == "saturated") == 1
    star = table[table["note"] == "saturated"][0]
    assert star["type"] == "PSF" and star["is_gaia"] and star["flux_r"] > 4000


def test_density():
    bare = SimulationOptions(density=0.0, artefacts=(), large_galaxy=False)
    assert len(draw_sources(bare, make_field(bare))) == 0


def test_blends_have_companions(table):
    pairs = table[table["note"] == "pair"]
    distance, ratio = nearest_neighbours(table)
    distance, ratio = distance[table["note"] == "pair"], ratio[table["note"] == "pair"]
    assert len(pairs) >= 10
    assert np.all(distance < 2.51)
    assert np.median(np.abs(np.log(ratio))) < 1.5


def test_motions_are_those_of_gaia(table):
    gaia = np.asarray(table["is_gaia"])
    assert np.all(table["pmra"][~gaia] == 0) and np.all(table["gaia_g"][gaia] < 20.5)
    assert np.all(table["type"][gaia] == "PSF")


def test_faintest(table):
    limit = point_source_depth(OPTIONS) + 0.95
    assert table["flux_r"].min() > 10 ** ((22.5 - limit) / 2.5)
    deeper = SimulationOptions(depth=1.0)
    assert point_source_depth(deeper) == pytest.approx(point_source_depth(SimulationOptions()) + 1.0, abs=0.1)


def test_outer_stars_do_not_mask_the_field():
    field = make_field(OPTIONS)
    stars = draw_outer_stars(OPTIONS, field)
    x, y = field.source_area.sky_to_pixel(np.asarray(stars["ra"]), np.asarray(stars["dec"]))
    assert len(stars) > 100
    assert not np.any(field.source_area.contains(x, y))


def test_mark_saturated(table):
    copy = table.copy()
    copy["note"] = ""
    star = copy[np.argmax(copy["flux_r"])]
    mark_saturated(copy, np.array([star["ra"], star["ra"] + 1.0]), np.array([star["dec"] + 1e-4, star["dec"]]))
    assert np.sum(copy["note"] == "saturated") == 1
    assert copy["note"][np.argmax(copy["flux_r"])] == "saturated"


def test_neighbours_of_a_lonely_source():
    table = draw_sources(SimulationOptions(density=0.0, artefacts=()), make_field(SimulationOptions()))
    assert nearest_neighbours(table)[0][0] == 999.0
