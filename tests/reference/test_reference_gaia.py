import fitsio
import numpy as np
import pytest
from reference_columns import GAIA_DEFAULTS

from legacypipe_lite.errors import InputError
from legacypipe_lite.reference import RefCatalogs
from legacypipe_lite.reference.gaia import chunk_files, gaia_stars, healpix_pixels
from legacypipe_lite.reference.geometry import grown_tangent_wcs
from legacypipe_lite.wcs import target_wcs


@pytest.mark.parametrize(
    "ra, dec, ring, nested",
    [
        (177.3595, 59.4271, 881, 1503),
        (9.1228, 3.3975, 5699, 4536),
        (346.684, 12.791, 4795, 5000),
        (110.312, 23.920, 3687, 1544),
        (121.026, 5.114, 5483, 5499),
    ],
)
def test_healpix_pixels(ra, dec, ring, nested):
    assert healpix_pixels(ra, dec, "ring").tolist() == [ring]
    assert healpix_pixels(ra, dec, "nested").tolist() == [nested]


def margin_of(wcs):
    return grown_tangent_wcs(wcs, int(np.ceil(1630 / wcs.pixel_scale)))


def test_margin_in_pixels():
    wcs = target_wcs(10, 0, 100, 100, 0.262)
    assert (margin_of(wcs).width - 100) // 2 == 6222


@pytest.mark.parametrize(
    "field, pixels", [("testcase9", [5571, 5699, 5827]), ("testcase12", [4795, 4923]), ("mzlsbass2", [799, 881])]
)
def test_files_of_a_field(real_field, field, pixels):
    field = real_field(field)
    names = [path.name for path in chunk_files(margin_of(field.wcs), field.catalogs)]
    assert names == [f"chunk-{pixel:05d}.fits" for pixel in pixels]


@pytest.mark.parametrize(
    "field, number",
    [("mzlsbass2", 192), ("testcase9", 217), ("testcase12", 359), ("testcase4", 149), ("testcase6", 1010)],
)
def test_numbers_of_stars_in_the_margin(real_field, field, number):
    field = real_field(field)
    stars = gaia_stars(margin_of(field.wcs), ["g", "r", "z"], field.catalogs)
    assert len(stars) == number
    assert np.all(np.diff(stars["mag"]) >= 0)


RA, DEC = 359.98, 10.0


def stars_of(write_gaia, stars, bands=("g", "r", "z"), **keywords):
    catalogs = RefCatalogs(**write_gaia(stars, RA, DEC, **keywords))
    return gaia_stars(margin_of(target_wcs(RA, DEC, 200, 200, 0.262)), bands, catalogs)


def test_only_stars_of_the_area_across_ra_zero(write_gaia):
    stars = [
        {"source_id": 1, "ra": 359.98, "dec": 10.0},
        {"source_id": 2, "ra": 0.3, "dec": 10.0},  # 0.315 deg East, inside
        {"source_id": 3, "ra": 0.6, "dec": 10.0},  # 0.61 deg, outside of 0.453 + 0.007
        {"source_id": 4, "ra": 359.98, "dec": 9.4},
    ]
    assert sorted(stars_of(write_gaia, stars)["ref_id"]) == [1, 2]


def test_nested_scheme_with_other_prefix_and_upper_case_columns(write_gaia):
    stars = [{"source_id": 5, "ra": 359.98, "dec": 10.0, "phot_g_mean_mag": 14.0}]
    table = stars_of(write_gaia, stars, prefix="healpix", scheme="nested", upper=True)
    assert table["ref_id"].tolist() == [5] and table["source_id"].tolist() == [5]
    assert table["ref_cat"].tolist() == ["G3"]
    assert table["ref_epoch"].tolist() == [2016.0]
    assert table["ref_cat"].dtype == np.dtype("U2")


def test_sorted_by_g_with_rp_in_place_of_a_missing_g(write_gaia):
    mags = [(1, 18, 18), (2, 0, 15), (3, 14, 14), (4, 16, 12)]
    stars = [{"source_id": i, "ra": RA, "dec": DEC, "phot_g_mean_mag": g, "phot_rp_mean_mag": rp} for i, g, rp in mags]
    assert stars_of(write_gaia, stars)["ref_id"].tolist() == [3, 2, 4, 1]


@pytest.mark.parametrize(
    "star, expected",
    [
        ({"phot_g_mean_mag": 12.9, "astrometric_excess_noise": 50}, True),
        ({"phot_g_mean_mag": 17.9, "astrometric_excess_noise": 0.9}, True),
        ({"phot_g_mean_mag": 17.9, "astrometric_excess_noise": 1.1}, False),
        ({"phot_g_mean_mag": 18.1, "astrometric_excess_noise": 0.0}, False),
        ({"phot_g_mean_mag": 20, "pmra": 0.4, "pmdec": 0.4}, True),  # S/N 5.66
        ({"phot_g_mean_mag": 20, "pmra": 0.3, "pmdec": 0.3}, False),  # 4.24
        ({"phot_g_mean_mag": 20, "parallax": 0.6}, True),
        ({"phot_g_mean_mag": 20, "parallax": -0.6}, False),
        ({"phot_g_mean_mag": 20, "parallax": np.nan, "pmra": np.nan, "pmdec": np.nan}, False),
        ({"phot_g_mean_mag": 20, "parallax": 1, "parallax_error": 0}, False),
    ],
)
def test_pointsource_rule(write_gaia, star, expected):
    table = stars_of(write_gaia, [{"ra": RA, "dec": DEC, **star}])
    assert table["pointsource"].tolist() == [expected]


def test_astrometry_is_finite_and_inverse_variances_have_their_units(write_gaia):
    stars = [
        {"source_id": 1, "ra": RA, "dec": DEC, "pmra": 3, "pmra_error": 0.5, "ra_error": 0.2, "phot_g_mean_mag": 15},
        {"source_id": 2, "ra": RA, "dec": DEC, "pmra": np.nan, "pmra_error": np.nan, "parallax": np.inf},
    ]
    table = stars_of(write_gaia, stars)
    np.testing.assert_allclose(table["pmra"], [3, 0])
    np.testing.assert_allclose(table["pmra_ivar"], [4, 0])
    np.testing.assert_allclose(table["parallax"], [0, 0])
    np.testing.assert_allclose(table["ra_ivar"][0], (3.6e6 / 0.2) ** 2, rtol=1e-6)
    assert "pmra_error" not in table.colnames


def test_mask_magnitude_of_a_red_star_and_of_one_without_photometry(write_gaia):
    stars = [
        {"source_id": 1, "phot_g_mean_mag": 17.0, "phot_bp_mean_mag": 19.5, "phot_rp_mean_mag": 15.5},
        {"source_id": 2, "phot_g_mean_mag": 0, "phot_bp_mean_mag": 0, "phot_rp_mean_mag": 12.5},
        {"source_id": 3, "phot_g_mean_mag": np.nan, "phot_bp_mean_mag": 19.0, "phot_rp_mean_mag": np.nan},
        {"source_id": 4, "phot_g_mean_mag": 0, "phot_bp_mean_mag": 0, "phot_rp_mean_mag": 0},
    ]
    table = stars_of(write_gaia, [{"ra": RA, "dec": DEC, **star} for star in stars])
    table.add_index("ref_id")
    red, rp_only, bp_only, none = (table.loc[i] for i in (1, 2, 3, 4))
    assert red["zguess"] < 16
    assert red["mask_mag"] == pytest.approx(red["zguess"] + 1)
    assert rp_only["mag"] == rp_only["mask_mag"] == 12.5 and rp_only["isbright"] and rp_only["ismedium"]
    assert bp_only["mag"] == 19
    assert (none["mag"], none["mask_mag"], none["radius"], none["isbright"]) == (0, 99, 0, False)
    assert red["keep_radius"] == pytest.approx(4 * red["radius"])


def test_bands_without_transformation_get_no_magnitude(write_gaia):
    table = stars_of(write_gaia, [{"ra": RA, "dec": DEC}], bands=("u", "Y", "M411"))
    assert [n for n in table.colnames if n.startswith("decam_mag")] == [
        f"decam_mag_{b}" for b in ("g", "r", "i", "z", "u", "M411")
    ]


@pytest.mark.parametrize("yes, no", [(True, False), (b"VARIABLE", b"NOT_AVAILABLE")])
def test_variability_flag_as_boolean_and_as_string(write_gaia, yes, no):
    stars = [
        {"ra": RA, "dec": DEC, "phot_g_mean_mag": 15, "phot_variable_flag": yes},
        {"ra": RA, "dec": DEC, "phot_g_mean_mag": 16, "phot_variable_flag": no},
    ]
    table = stars_of(write_gaia, stars, defaults={**GAIA_DEFAULTS, "phot_variable_flag": no})
    assert table["phot_variable_flag"].tolist() == [True, False]
    assert table["phot_variable_flag"].dtype == bool


def test_optional_columns_may_be_missing(write_gaia):
    defaults = {k: GAIA_DEFAULTS[k] for k in ("source_id", "ra", "dec", "phot_g_mean_mag", "ref_epoch")}
    table = stars_of(write_gaia, [{"ra": RA, "dec": DEC}], defaults=defaults)
    assert table["pmra"].tolist() == table["parallax_ivar"].tolist() == [0]
    assert table["phot_bp_mean_mag"].tolist() == [0]
    assert "duplicated_source" not in table.colnames
    assert table["decam_mag_r"][0] == pytest.approx(17, abs=0.5)


def test_no_star_at_all(write_gaia):
    assert len(stars_of(write_gaia, [])) == 0


def test_missing_column_and_missing_file_are_named(write_gaia, tmp_path, caplog):
    defaults = {k: v for k, v in GAIA_DEFAULTS.items() if k != "phot_g_mean_mag"}
    with pytest.raises(InputError, match="phot_g_mean_mag"):
        stars_of(write_gaia, [{"ra": RA, "dec": DEC}], defaults=defaults)
    defaults = {k: v for k, v in GAIA_DEFAULTS.items() if k not in ("ref_epoch", "pmra", "phot_bp_mean_mag")}
    (star,) = stars_of(write_gaia, [{"ra": RA, "dec": DEC}], defaults=defaults)
    assert (star["ref_epoch"], star["pmra"]) == (2016.0, 0.0)  # of release 3
    assert "no column ref_epoch" in caplog.text and "no column pmra: stars do not move" in caplog.text
    victim = healpix_pixels(RA, DEC, "ring")[0]
    (tmp_path / "gaia" / f"chunk-{victim:05d}.fits").unlink()
    with pytest.raises(InputError, match=f"chunk-{victim:05d}.fits is missing"):
        gaia_stars(margin_of(target_wcs(RA, DEC, 200, 200, 0.262)), ["g"], RefCatalogs(gaia_dir=str(tmp_path / "gaia")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("False", False), ("false", False), ("True", True), ("t", True), ("null", False), ("", False)],
)
def test_booleans_as_text(write_gaia, text, expected):
    (star,) = stars_of(write_gaia, [{"ra": RA, "dec": DEC, "duplicated_source": np.bytes_(text)}])
    assert star["duplicated_source"] == expected


def test_text_that_is_neither_true_nor_false_is_said(write_gaia, caplog):
    (star,) = stars_of(write_gaia, [{"ra": RA, "dec": DEC, "duplicated_source": np.bytes_("perhaps")}])
    assert (
        not star["duplicated_source"] and "duplicated_source: 1 values cannot be understood ('perhaps')" in caplog.text
    )


@pytest.mark.parametrize("flag", [b"VARIABLE", b"True"])
def test_variable_stars_in_words(write_gaia, flag):
    assert stars_of(write_gaia, [{"ra": RA, "dec": DEC, "phot_variable_flag": np.bytes_(flag)}])["phot_variable_flag"]
    other = np.bytes_(b"NOT_AVAILABLE")
    assert not stars_of(write_gaia, [{"ra": RA, "dec": DEC, "phot_variable_flag": other}])["phot_variable_flag"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("pmra", np.float32(1e8), 0.0),
        ("pmdec", np.float32(-3e38), 0.0),
        ("pmra", np.float32(np.nan), 0.0),
        ("pmra", np.float32(10393.0), 10393.0),  # Barnard's star moves so fast
        ("parallax", np.float32(np.inf), 0.0),
        ("parallax", np.float32(1e6), 0.0),
        ("ref_epoch", np.float32(np.nan), 2016.0),
        ("ref_epoch", np.float32(57388), 2016.0),
        ("pmra", np.bytes_(b"12.5"), 12.5),
        ("pmra", np.bytes_(b"null"), 0.0),
        ("phot_rp_mean_mag", np.float32(-99), 0.0),
    ],
)
def test_values_that_cannot_be(write_gaia, name, value, expected):
    (star,) = stars_of(write_gaia, [{"ra": RA, "dec": DEC, name: value}])
    assert star[name] == expected


def test_stars_without_a_position_are_left_out(write_gaia, tmp_path, caplog):
    catalogs = write_gaia([{"ra": RA, "dec": DEC}, {"ra": RA, "dec": DEC, "source_id": np.int64(2)}], RA, DEC)
    path = tmp_path / "gaia" / f"chunk-{healpix_pixels(RA, DEC, 'ring')[0]:05d}.fits"
    with fitsio.FITS(path, "rw") as fits:
        fits[1].write_column("dec", np.array([np.nan, DEC]))
    stars = gaia_stars(margin_of(target_wcs(RA, DEC, 200, 200, 0.262)), ["g"], RefCatalogs(**catalogs))
    assert stars["ref_id"].tolist() == [2] and "1 of 2 objects have no position" in caplog.text


def test_damaged_file(write_gaia, tmp_path):
    catalogs = RefCatalogs(**write_gaia([{"ra": RA, "dec": DEC}], RA, DEC))
    path = tmp_path / "gaia" / f"chunk-{healpix_pixels(RA, DEC, 'ring')[0]:05d}.fits"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=path.name):
        gaia_stars(margin_of(target_wcs(RA, DEC, 200, 200, 0.262)), ["g"], catalogs)
    fitsio.write(path, np.zeros((2, 2)), clobber=True)
    with pytest.raises(InputError, match="HDU 1 is not a table"):
        gaia_stars(margin_of(target_wcs(RA, DEC, 200, 200, 0.262)), ["g"], catalogs)
