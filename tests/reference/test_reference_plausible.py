"""Reference catalogues: what cannot be true is left out, or taken as unknown, and said."""

import numpy as np
import pytest
from astropy.table import Table

from legacypipe_lite.models import Source
from legacypipe_lite.reference.plausible import plausible_galaxies, plausible_stars


def stars(n=5):
    table = Table({"ra": np.full(n, 150.0), "dec": np.full(n, 20.0), "ref_epoch": np.full(n, 2015.5, np.float32)})
    for name in ("pmra", "pmdec", "parallax", "pmra_ivar", "pmdec_ivar", "parallax_ivar"):
        table[name] = np.full(n, 3.0, np.float32)
    for name in ("mag", "zguess", "mask_mag", "decam_mag_g"):
        table[name] = np.full(n, 12.0, np.float32)
    table["radius"], table["keep_radius"] = np.full((2, n), 0.01, np.float32)
    table["isbright"] = np.ones(n, bool)
    return table


def test_good_stars_are_not_touched(caplog):
    table = stars()
    assert plausible_stars(table, "Gaia") is table and not caplog.text
    assert np.all(table["pmra"] == 3) and np.all(table["mag"] == 12)


@pytest.mark.parametrize("name, value", [("ra", np.nan), ("dec", np.inf), ("dec", 90.1), ("ra", 1e30), ("dec", np.nan)])
def test_stars_without_a_position_are_left_out(name, value, caplog):
    table = stars()
    table[name][2] = value
    assert len(plausible_stars(table, "Gaia")) == 4
    assert "Gaia: 1 of 5 objects have no position" in caplog.text


@pytest.mark.parametrize(
    "name, value",
    [("pmra", 1e8), ("pmdec", -3e4), ("pmra", np.nan), ("parallax", 1e5), ("ref_epoch", np.nan), ("ref_epoch", 0.0)]
    + [("ref_epoch", 8586.0), ("pmdec", np.inf)],
)
def test_motions_that_cannot_be_are_none(name, value, caplog):
    table = stars()
    table[name][2] = value
    table = plausible_stars(table, "Gaia")
    for column in ("pmra", "pmdec", "parallax", "pmra_ivar", "pmdec_ivar", "parallax_ivar"):
        assert table[column].tolist() == [3, 3, 0, 3, 3]
    assert np.all(np.isfinite(table["ref_epoch"]))
    assert "Gaia: 1 of 5 objects have a proper motion, parallax or epoch that cannot be" in caplog.text


def test_the_fastest_star_moves():
    table = stars()
    table["pmdec"][0], table["parallax"][1] = 10393.0, 768.0
    table = plausible_stars(table, "Gaia")
    assert table["pmdec"][0] == np.float32(10393) and table["parallax"][1] == 768


@pytest.mark.parametrize("name, value", [("mag", -30.0), ("mag", np.nan), ("decam_mag_g", -1e30), ("radius", np.inf)])
def test_magnitudes_that_cannot_be_are_unknown(name, value, caplog):
    table = stars()
    table[name][2] = value
    table = plausible_stars(table, "Tycho-2")
    assert table["mag"].tolist() == [12, 12, 0, 12, 12] and table["radius"][2] == 0 and not table["isbright"][2]
    assert table["decam_mag_g"][2] == 30 and table["mask_mag"][2] == 99
    assert "Tycho-2: 1 of 5 objects have a magnitude that cannot be" in caplog.text


@pytest.mark.parametrize(
    "column, value, field",
    [("ra", np.nan, None), ("radius", 1e30, None), ("radius", np.nan, None), ("radius", -1.0, None)]
    + [(None, np.nan, "shape_r"), (None, -2.0, "shape_r"), (None, np.inf, "sersic"), (None, np.nan, "shape_e1")],
)
def test_galaxies_that_cannot_be_are_left_out(column, value, field, caplog):
    table = Table({"ra": np.full(3, 150.0), "dec": np.full(3, 20.0), "radius": np.full(3, 0.1), "row": [0, 1, 2]})
    sources = [Source("EXP", 150.0, 20.0, [1.0], shape_r=3.0, sersic=1.0) for _ in range(3)]
    if column:
        table[column][1] = value
    else:
        setattr(sources[1], field, value)
    kept, kept_sources = plausible_galaxies(table, sources, "large galaxies")
    assert kept["row"].tolist() == [0, 2] and kept_sources == [sources[0], sources[2]]
    assert "large galaxies: 1 of 3 objects" in caplog.text
