import numpy as np
import pytest

from legacypipe_lite.errors import InputError
from legacypipe_lite.reference.large_galaxies import FitMode, large_galaxies
from legacypipe_lite.wcs import target_wcs

RA, DEC = 150.0, 2.0
WCS = target_wcs(RA, DEC, 400, 400, 0.262)


def columns(n, **changes):
    base = {
        "RA": np.full(n, RA),
        "DEC": np.full(n, DEC),
        "PA": np.full(n, 30, "f4"),
        "BA": np.full(n, 0.5, "f4"),
        "DIAM": np.full(n, 1.2, "f4"),
        "MAG": np.full(n, 15, "f4"),
    }
    return {**base, **{k.upper(): np.asarray(v) for k, v in changes.items()}}


def flags(table):
    names = ("islargegalaxy", "issgafit", "freezeparams", "set_galaxy_maskbit", "ignore_source")
    return [tuple(bool(table[name][i]) for name in names) for i in range(len(table))]


def test_parent_catalogue_of_testcase9(real_field):
    field = real_field("testcase9")
    table, models = large_galaxies(field.wcs, field.catalogs.large_galaxies_file)
    assert table["ref_cat"].tolist() == ["L3"]
    assert table["ref_id"].tolist() == [156622]
    assert 3600 * table["radius"][0] == pytest.approx(10.892, abs=1e-3)
    assert table["mag"][0] == np.float32(17.21)
    assert flags(table) == [(True, False, False, True, False)]
    assert table["fitmode"].tolist() == [0] and table["fitmode"].dtype == np.uint8
    assert table["ba"].dtype == table["radius"].dtype == np.float32
    assert models["galaxy"][0] == "PGC1251435"


def test_search_radius_and_negative_diameters(write_table):
    reach = 2 + 0.262 / 3600 * np.hypot(400, 400) / 2
    path = write_table(
        "sga.fits",
        columns(
            3, dec=[DEC + reach - 0.001, DEC + reach + 0.001, DEC], diam=np.array([1, 1, -99], "f4"), sga_id=[7, 8, 9]
        ),
        {"VER": "L3"},
    )
    table, _ = large_galaxies(WCS, path)
    assert table["ref_id"].tolist() == [7, 9]
    assert table["radius"][1] == 0
    np.testing.assert_allclose(table["radius"][0], 1 / 120, rtol=1e-6)
    np.testing.assert_allclose(table["keep_radius"][0], 1 / 60, rtol=1e-6)


def test_d26_comes_before_diam(write_table):
    path = write_table("sga.fits", columns(1, d26=np.array([2.4], "f4"), sga_id=[1]), {"VER": "L3"})
    assert large_galaxies(WCS, path)[0]["radius"][0] == pytest.approx(0.02)


@pytest.mark.parametrize(
    "name, header, expected",
    [
        ("a.fits", {"VER": "L4 "}, "L4"),
        ("a.fits", {"SGAVER": "L5"}, "L5"),
        ("a.fits", {"LSLGAVER": "L2"}, "L2"),
        ("sga-v3.0.fits", None, "L3"),
        ("sga-v2.0.fits", None, "L2"),
        ("sga.fits", None, "LG"),
    ],
)
def test_version(write_table, name, header, expected):
    path = write_table(name, columns(1, sga_id=[1]), header)
    assert large_galaxies(WCS, path)[0]["ref_cat"].tolist() == [expected]


def test_version_of_wrong_length(write_table):
    path = write_table("sga.fits", columns(1, sga_id=[1]), {"VER": "L3.1"})
    with pytest.raises(InputError, match="two characters"):
        large_galaxies(WCS, path)


def test_parent_2025(write_table):
    modes = [0, FitMode.FIXGEO, FitMode.RESOLVED, FitMode.FIXGEO | FitMode.RESOLVED, 0]
    path = write_table(
        "sga.fits",
        columns(5, dec=[DEC] * 4 + [DEC + 0.1], fitmode=np.array(modes, "i4"), ref_id=np.arange(5)),
        {"SGAVER": "L4"},
    )
    table, _ = large_galaxies(WCS, path)
    assert flags(table) == [
        (True, False, False, True, False),
        (True, False, False, True, True),
        (True, False, False, False, False),
        (True, False, False, False, True),
        (True, False, False, True, True),  # outside the image
    ]
    assert table["isresolved"].tolist() == [False, False, True, True, False]


def test_parent_2025_cannot_be_frozen(write_table):
    path = write_table("sga.fits", columns(1, fitmode=np.array([1], "i4"), ref_id=[1]), {"SGAVER": "L4"})
    with pytest.raises(InputError, match="cannot have frozen"):
        large_galaxies(WCS, path)


def test_ellipse_2025(write_table):
    modes = [FitMode.FREEZE, 0, FitMode.FIXGEO, FitMode.FREEZE, FitMode.RESOLVED, FitMode.FREEZE]
    path = write_table(
        "sga.fits",
        columns(6, fitmode=np.array(modes, "i4"), ref_id=np.arange(6), ref_cat=["L4", "L4", "L4", "LS", "L4", "G3"]),
        {"VER": "L4-ELLIPSE"},
    )
    table, _ = large_galaxies(WCS, path)
    assert table["ref_cat"].tolist() == ["L4", "L4", "L4", "LS", "L4", "G3"]
    assert flags(table) == [
        (True, False, True, True, False),
        (True, False, False, True, False),
        (True, False, False, True, True),
        (True, False, True, True, False),
        (True, False, False, False, False),
        (False, True, True, False, False),
    ]


def test_ellipse_2020(write_table):
    yes, no = True, False
    path = write_table(
        "sga.fits",
        columns(
            4,
            in_footprint_grz=[yes, yes, no, yes],
            preburned=[yes, yes, no, no],
            freeze=[yes, no, no, yes],
            sga_id=[11, -1, 13, 14],
            ref_id=[101, 102, 103, 104],
            ref_cat=["L3", "G2", "", "L3"],
        ),
        {"VER": "L3-ellipse"},
    )
    table, _ = large_galaxies(WCS, path)
    assert table["ref_cat"].tolist() == ["L3", "G2", "L3", "L3"]
    assert table["ref_id"].tolist() == [101, 102, 13, 104]
    assert flags(table) == [
        (True, False, True, True, False),
        (False, False, False, False, False),
        (True, False, False, True, False),
        (True, False, False, True, False),
    ]


def clouds(write_table, **changes):
    return write_table(
        "sga.fits",
        columns(
            3,
            ra=[80.894, 13.187, 80.9],
            dec=[-69.756, -72.829, -69.7],
            diam=np.array([645.0, 316.0, 1.0], "f4"),
            fitmode=np.zeros(3, "i4"),
            ref_id=[5053785, 5053799, 17],
            **changes,
        ),
        {"VER": "L4"},
    )


def test_large_magellanic_cloud_covers_the_image(write_table):
    table, _ = large_galaxies(target_wcs(80.0, -66.0, 400, 400, 0.262), clouds(write_table))
    assert table["ref_cat"].tolist() == ["MC"] and table["ref_id"].tolist() == [1]
    assert table["fitmode"].tolist() == [FitMode.MCLOUDS]
    assert flags(table) == [(False, False, True, False, True)]
    assert table["ismcloud"].tolist() == [True]
    assert table["radius"][0] == pytest.approx(645 / 120)


def test_magellanic_clouds_and_other_galaxies(write_table):
    path = clouds(write_table)
    near = large_galaxies(target_wcs(80.9, -69.7, 400, 400, 0.262), path)[0]
    assert dict(zip(near["ref_cat"], near["ref_id"])) == {"MC": 1, "L4": 17}
    small = large_galaxies(target_wcs(13.0, -72.0, 400, 400, 0.262), path)[0]
    assert list(zip(small["ref_cat"], small["ref_id"])) == [("MC", 2)]
    # 3.5 degrees from the centre of the small one, whose radius is 2.6 degrees; and far from both
    assert len(large_galaxies(target_wcs(13.187, -69.3, 400, 400, 0.262), path)[0]) == 0
    assert len(large_galaxies(WCS, path)[0]) == 0


def test_a_cloud_that_does_not_reach_the_image_is_no_galaxy_either(write_table):
    path = write_table(
        "sga.fits", columns(1, ra=[13.187], dec=[-72.829], diam=np.array([30.0], "f4"), sga_id=[5053799]), {"VER": "L4"}
    )
    assert len(large_galaxies(target_wcs(13.187, -72.0, 400, 400, 0.262), path)[0]) == 0


@pytest.mark.parametrize("missing", ["RA", "BA", "DIAM", "MAG", "SGA_ID"])
def test_missing_columns_are_named(write_table, missing):
    table = columns(1, sga_id=[1])
    del table[missing]
    path = write_table("sga.fits", table, {"VER": "L3"})
    name = "ref_id" if missing == "SGA_ID" else missing.lower()
    with pytest.raises(InputError, match=f"sga.fits.*'{name}'"):
        large_galaxies(WCS, path)


def test_missing_columns_of_an_ellipse_catalogue(write_table):
    path = write_table("sga.fits", columns(1, ref_id=[1]), {"VER": "L3-ellipse"})
    with pytest.raises(InputError, match="in_footprint_grz"):
        large_galaxies(WCS, path)


def test_magnitude_of_the_2020_parent_catalogue(write_table):
    table = columns(1, sga_id=[1], mag_leda=np.array([16.5], "f4"))
    del table["MAG"]
    path = write_table("sga.fits", table, {"VER": "L3"})
    assert large_galaxies(WCS, path)[0]["mag"][0] == 16.5
