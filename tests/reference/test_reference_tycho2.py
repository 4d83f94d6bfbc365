import numpy as np
import pytest

from legacypipe_lite.errors import InputError
from legacypipe_lite.reference.tycho2 import tycho2_stars

RA, DEC = 50.0, 40.0


@pytest.mark.parametrize(
    "field, after_cuts",
    [
        ("mzlsbass2", 84),
        ("testcase9", 90),
        ("testcase12", 86),
        ("testcase3", 115),
        ("testcase4", 61),
        ("testcase6", 218),
    ],
)
def test_numbers_of_stars(real_field, field, after_cuts):
    field = real_field(field)
    centre = field.wcs.pixel_to_sky((field.wcs.width - 1) / 2, (field.wcs.height - 1) / 2)
    assert len(tycho2_stars(*centre, field.catalogs.tycho2_file)) == after_cuts


def test_reference_id(real_field):
    field = real_field("testcase6")
    assert 1909016711 in tycho2_stars(110.3, 23.9, field.catalogs.tycho2_file)["ref_id"]


def test_radius_of_search(write_tycho):
    path = write_tycho([{"ra": RA, "dec": DEC + 0.999}, {"ra": RA, "dec": DEC + 1.001}, {"ra": RA + 1.2, "dec": DEC}])
    assert len(tycho2_stars(RA, DEC, path)) == 2


def test_galaxies_and_faint_stars_are_dropped(write_tycho):
    path = write_tycho(
        [
            {"ra": RA, "dec": DEC, "tyc1": 1, "isgalaxy": 1},
            {"ra": RA, "dec": DEC, "tyc1": 2, "mag_vt": 13.1},
            {"ra": RA, "dec": DEC, "tyc1": 3, "mag_vt": 13.1, "zguess": 11.5},
            {"ra": RA, "dec": DEC, "tyc1": 4, "mag_vt": 12.9},
        ]
    )
    stars = tycho2_stars(RA, DEC, path)
    assert stars["ref_id"].tolist() == [3000021, 4000021]
    assert stars["isbright"].all() and stars["ismedium"].all() and stars["pointsource"].all() and stars["istycho"].all()
    assert not stars["isgaia"].any()


def test_magnitudes(write_tycho):
    path = write_tycho(
        [
            {"ra": RA, "dec": DEC, "mag_vt": 10, "ggguess": np.float32(9.5)},
            {"ra": RA, "dec": DEC, "mag_vt": 10, "ggguess": np.float32(np.nan)},
            {"ra": RA, "dec": DEC, "mag_vt": 0, "mag_hp": 9, "ggguess": np.float32(np.nan)},
            {"ra": RA, "dec": DEC, "mag_vt": 0, "mag_hp": 0, "mag_bt": 8, "ggguess": np.float32(0)},
            {"ra": RA, "dec": DEC, "mag_vt": 10, "zguess": 7, "ggguess": np.float32(9.5)},
        ]
    )
    stars = tycho2_stars(RA, DEC, path)
    assert stars["mag"].tolist() == [9.5, 10, 9, 8, 9.5]
    # the guessed z sets the mask, and the mask alone
    assert stars["mask_mag"].tolist() == [9.5, 10, 9, 8, 8]
    np.testing.assert_allclose(3600 * stars["radius"][4], 1630 * 1.396**-8, rtol=1e-6)
    np.testing.assert_allclose(stars["keep_radius"], 2 * stars["radius"])
    assert stars["phot_g_mean_mag"].tolist() == stars["mag"].tolist()


def test_positions_move_to_the_mean_epoch(write_tycho):
    path = write_tycho(
        [
            {"ra": RA, "dec": DEC, "pm_ra": 0.5, "pm_dec": -0.25, "epoch_ra": 1991, "epoch_dec": 1992},
            {"ra": RA, "dec": DEC, "pm_ra": np.nan, "pm_dec": np.nan, "epoch_ra": 0, "epoch_dec": 0, "sigma_pm_ra": 0},
        ]
    )
    stars = tycho2_stars(RA, DEC, path)
    np.testing.assert_allclose(stars["ref_epoch"], [1991.5, 1991.25])
    assert stars["ra"][0] == pytest.approx(RA + 0.5 * 0.5 / 3600 / np.cos(np.deg2rad(DEC)), abs=1e-10)
    assert stars["dec"][0] == pytest.approx(DEC + 0.5 * 0.25 / 3600, abs=1e-10)
    np.testing.assert_allclose(stars["pmra"], [500, 0])
    np.testing.assert_allclose(stars["pmra_ivar"], [1, 0], rtol=1e-5)
    np.testing.assert_allclose(stars["pmdec_ivar"], [0.25, 0.25], rtol=1e-5)
    np.testing.assert_allclose(stars["ra_ivar"], 1e10, rtol=1e-5)
    np.testing.assert_allclose([stars["ra"][1], stars["dec"][1]], [RA, DEC])


def test_missing_column(write_table, caplog):
    path = write_table("tycho2.kd.fits", {"ra": [RA], "dec": [DEC]})
    with pytest.raises(InputError, match="none of the columns mag_vt"):
        tycho2_stars(RA, DEC, path)
    path = write_table("tycho2.kd.fits", {"ra": [RA], "dec": [DEC], "mag_vt": [9.0]})
    (star,) = tycho2_stars(RA, DEC, path)
    assert (star["mag"], star["pmra"], star["ref_epoch"]) == (9.0, 0.0, 1991.25) and np.isfinite(star["radius"])
    assert "no column tyc1" in caplog.text and "isgalaxy: all are stars" in caplog.text


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"isgalaxy": np.bytes_(b"False")}, 1),
        ({"isgalaxy": np.bytes_(b"1")}, 0),
        ({"epoch_ra": np.float32(np.nan)}, 1),
        ({"pm_ra": np.float64(1e8)}, 1),
        ({"mag_vt": np.float32(np.nan), "mag_bt": np.float32(9)}, 1),
    ],
)
def test_values_that_cannot_be(write_tycho, columns, expected):
    stars = tycho2_stars(RA, DEC, write_tycho([{"ra": RA, "dec": DEC, **columns}]))
    assert len(stars) == expected
    for name in ("ra", "dec", "mag", "mask_mag", "radius", "ref_epoch", "pmra", "pmdec"):
        assert np.all(np.isfinite(stars[name])), name
