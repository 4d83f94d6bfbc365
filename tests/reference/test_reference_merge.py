import fitsio
import numpy as np
import pytest

from legacypipe_lite.catalog import DETECTED, REFERENCE
from legacypipe_lite.models import Motion
from legacypipe_lite.reference import RefCatalogs, file_columns, reference_sources
from legacypipe_lite.report import Report
from legacypipe_lite.units import nanomaggies_to_mag, utc_to_tai
from legacypipe_lite.wcs import TpvWcs, target_wcs

BANDS = ["g", "r", "z"]
ALWAYS = {column.name: column.dtype for column in (*REFERENCE, *DETECTED) if column.always}

# Upstream evaluates the colour polynomials and radii in float32.
TOLERANCES = {"radius": 2e-6, "keep_radius": 2e-6}


@pytest.fixture(scope="module")
def references(real_field):
    """Function: name of a field -> (refs, sources, field); each computed once."""
    done = {}

    def get(name):
        if name not in done:
            field = real_field(name)
            done[name] = (*reference_sources(field.wcs, BANDS, field.catalogs), field)
        return done[name]

    return get


@pytest.mark.parametrize("name", ["mzlsbass2", "testcase4", "testcase6", "testcase9", "testcase12", "simA"])
def test_tables_of_the_reference_implementation(references, name):
    refs, _, field = references(name)
    expected = fitsio.read(field.product("metrics/*/reference-*.fits"))
    assert file_columns(refs) == list(expected.dtype.names)
    for column in expected.dtype.names:
        ours, theirs = np.asarray(refs[column]), expected[column]
        assert ours.dtype.newbyteorder("=") == theirs.dtype.newbyteorder("="), column
        if column == "ref_cat" and name == "testcase9":
            assert ours.tolist() == ["G2", "L3"]
        elif column.startswith("decam_mag") or column in ("zguess", "mask_mag"):
            np.testing.assert_allclose(ours, theirs, atol=3e-4, err_msg=column)
        elif ours.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=2e-6, err_msg=column)
        else:
            np.testing.assert_array_equal(ours, theirs, err_msg=column)


def test_field_without_reference_objects(references):
    refs, sources, field = references("testcase3")
    assert len(refs) == 0 and sources == []
    assert field.product("metrics/*/reference-*.fits") is None
    assert set(ALWAYS) <= set(refs.colnames)
    assert {"ra", "dec", "radius", "radius_pix", "in_bounds", "dup"} <= set(ALWAYS)
    for name, dtype in ALWAYS.items():
        assert refs[name].dtype == (dtype.replace("S", "U"))


@pytest.mark.parametrize("name", ["mzlsbass2", "testcase9", "testcase12", "simA"])
def test_columns_that_always_exist(references, name):
    refs, sources, _ = references(name)
    assert set(ALWAYS) <= set(refs.colnames)
    assert len(sources) == len(refs)
    for column in refs.colnames:
        assert refs[column].dtype.isnative


def test_sources_of_stars(references):
    refs, sources, _ = references("mzlsbass2")
    for row, source in zip(refs, sources):
        assert source.type == "PSF" and source.is_reference and source.reference_star
        assert source.forced_pointsource == row["pointsource"]
        assert not (source.ignore or source.frozen or source.from_galaxy_catalog)
        np.testing.assert_allclose(nanomaggies_to_mag(source.flux), [row[f"decam_mag_{b}"] for b in BANDS], rtol=1e-6)
        assert (source.ra, source.dec) == (row["ra"], row["dec"])
    ra, dec = sources[0].position_at(57873.250266)
    assert (ra, dec) == pytest.approx((177.36316076, 59.42805113), abs=6e-9)


def test_sources_of_galaxy_and_its_duplicate_star(references):
    refs, sources, _ = references("testcase9")
    assert refs["dup"].tolist() == [True, False]
    assert refs["set_galaxy_maskbit"].tolist() == [False, True]
    star, galaxy = sources
    assert star.ignore and not star.forced_pointsource
    np.testing.assert_allclose(nanomaggies_to_mag(star.flux), [18.925, 18.021, 17.605], atol=6e-4)
    assert galaxy.type == "EXP" and galaxy.motion is None


def test_clusters_have_no_source(references):
    refs, sources, _ = references("testcase12")
    assert [s is None for s in sources] == [False, False, False, True]
    assert refs["radius_pix"][3] == 275


def test_moved_position_with_parallax():
    # Gaia DR2 3095676912151491072
    motion = Motion(-17.801111, -15.55867, 21.131546, 2015.5)
    from legacypipe_lite.models import moved_position

    position = moved_position(121.01312995047029, 5.107760090859526, motion, 58070.25297497)
    assert position == pytest.approx((121.01312341131532, 5.10774815085998), abs=1e-11)


def test_utc_to_tai_of_a_header():
    assert utc_to_tai(57873.25) - 57873.25 == pytest.approx(37 / 86400, abs=1e-9)


# --- synthetic catalogues

RA, DEC = 0.001, 20.0  # RA wraps inside the image
WCS = target_wcs(RA, DEC, 400, 300, 0.262)


def catalogs(write_gaia=None, gaia=None, **files):
    keywords = write_gaia(gaia, RA, DEC) if gaia is not None else {}
    return RefCatalogs(**keywords, **files)


def offset(east, north):
    """RA, Dec at an offset [arcsec] from the centre."""
    return {"ra": (RA + east / 3600 / np.cos(np.deg2rad(DEC))) % 360, "dec": DEC + north / 3600}


def test_no_catalogue_at_all():
    refs, sources = reference_sources(WCS, BANDS, RefCatalogs())
    assert len(refs) == 0 and sources == [] and file_columns(refs) != []


def test_pixels_and_bounds_across_ra_zero(write_gaia):
    gaia = [
        {"source_id": 1, **offset(0, 0), "phot_g_mean_mag": 14.0},
        {"source_id": 2, **offset(45, 0), "phot_g_mean_mag": 14.1},
        {"source_id": 3, **offset(-45, 35), "phot_g_mean_mag": 14.2},
        {"source_id": 4, **offset(-60, 0), "phot_g_mean_mag": 14.3},
    ]
    refs, _ = reference_sources(WCS, BANDS, catalogs(write_gaia, gaia))
    assert refs["ref_id"].tolist() == [1, 2, 3, 4]
    assert refs["in_bounds"].tolist() == [True, True, True, False]
    x, y = WCS.sky_to_pixel(refs["ra"], refs["dec"])
    assert refs["ibx"].tolist() == np.rint(x).tolist() and refs["iby"].tolist() == np.rint(y).tolist()
    assert refs["ibx"][1] < refs["ibx"][0] < refs["ibx"][2]


def test_stars_outside_are_kept_within_four_mask_radii(write_gaia):
    # The mask radius of a 16.5 mag star is 6.63 arcsec, 26 pixels; four times that: 102 pixels (rounded up).
    star = {"phot_g_mean_mag": 16.5, "phot_bp_mean_mag": 16.5, "phot_rp_mean_mag": 16.5}
    gaia = [
        {"source_id": 1, **offset(-(200 + 100) * 0.262, 0), **star},
        {"source_id": 2, **offset(-(200 + 104) * 0.262, 0), **star},
        {"source_id": 3, **offset(0, -(150 + 100) * 0.262), **star},
        {"source_id": 4, **offset(0, -(150 + 104) * 0.262), **star},
    ]
    refs, _ = reference_sources(WCS, BANDS, catalogs(write_gaia, gaia))
    assert sorted(refs["ref_id"]) == [1, 3]
    assert refs["radius_pix"].tolist() == [26, 26]


def test_tycho_star_that_gaia_has(write_gaia, write_tycho):
    """The pair is matched at the epoch of the Tycho-2 position, after 25 years of proper motion."""
    years = 2016 - 1991.5
    moved = offset(0.3 * years, -0.2 * years)
    gaia = [
        {"source_id": 1, **moved, "pmra": 300, "pmdec": -200, "phot_g_mean_mag": 11},
        {"source_id": 2, **offset(20, 0), "phot_g_mean_mag": 13.5},
    ]
    tycho = write_tycho([{**offset(0.5, 0), "mag_vt": 11.2}, {**offset(40, 20), "tyc1": 2, "mag_vt": 10.8}])
    refs, sources = reference_sources(WCS, BANDS, catalogs(write_gaia, gaia, tycho2_file=tycho))
    assert refs["ref_cat"].tolist() == ["T2", "G3", "G3"]
    assert refs["istycho"].tolist() == [True, True, False]
    assert refs["isgaia"].tolist() == [False, True, True]
    assert refs["isbright"].tolist() == [True, True, False]
    tycho_star = sources[0]
    assert tycho_star.forced_pointsource and tycho_star.reference_star
    np.testing.assert_allclose(nanomaggies_to_mag(tycho_star.flux), 10.8, rtol=1e-6)
    assert tycho_star.motion.ref_epoch == 1991.5


def test_tycho_star_that_only_seems_to_be_in_gaia(write_gaia, write_tycho):
    gaia = [{"source_id": 1, **offset(1.2, 0), "phot_g_mean_mag": 11}]
    tycho = write_tycho([{**offset(0, 0), "mag_vt": 11.2}])
    refs, _ = reference_sources(WCS, BANDS, catalogs(write_gaia, gaia, tycho2_file=tycho))
    assert refs["ref_cat"].tolist() == ["T2", "G3"]
    assert refs["istycho"].tolist() == [True, False]


def galaxy_file(write_table, n, header, **columns):
    base = {
        "ra": np.full(n, RA),
        "dec": np.full(n, DEC),
        "ba": np.full(n, 0.7, "f4"),
        "pa": np.full(n, 10, "f4"),
        "diam": np.full(n, 0.5, "f4"),
        "mag": np.full(n, 16, "f4"),
    }
    return write_table("sga.fits", {**base, **columns}, header)


def test_stars_on_a_galaxy_are_duplicates(write_gaia, write_tycho, write_table):
    gaia = [
        {"source_id": 1, **offset(1.9, 0), "phot_g_mean_mag": 18},
        {"source_id": 2, **offset(0, 1.0), "phot_g_mean_mag": 19},
        {"source_id": 3, **offset(30, 2.1), "phot_g_mean_mag": 17},
    ]
    tycho = write_tycho([{**offset(0, -4.9)}, {**offset(30, 5.1), "tyc1": 2}])
    galaxies = galaxy_file(
        write_table, 2, {"VER": "L3"}, ra=np.array([RA, offset(30, 0)["ra"]]), sga_id=np.array([1, 2])
    )
    found = catalogs(write_gaia, gaia, tycho2_file=tycho, large_galaxies_file=galaxies)
    refs, sources = reference_sources(WCS, BANDS, found)
    dup = {(c, int(i)): bool(d) for c, i, d in zip(refs["ref_cat"], refs["ref_id"], refs["dup"])}
    assert dup == {
        ("T2", 1000021): True,
        ("T2", 2000021): False,
        ("G3", 1): False,  # only the nearest one
        ("G3", 2): True,
        ("G3", 3): False,
        ("L3", 1): False,
        ("L3", 2): False,
    }
    assert refs["ignore_source"].tolist() == refs["dup"].tolist()
    assert [s.ignore for s in sources] == refs["dup"].tolist()
    assert refs["ba"].dtype == np.float32


def test_galaxies_only(write_table):
    galaxies = galaxy_file(write_table, 1, {"VER": "L3"}, sga_id=np.array([5]))
    refs, sources = reference_sources(WCS, BANDS, RefCatalogs(large_galaxies_file=galaxies))
    assert refs["ref_id"].tolist() == [5] and refs["dup"].tolist() == [False]
    assert len(sources) == 1 and "decam_mag_g" not in refs.colnames
    assert refs["ref_epoch"].tolist() == [0]


def test_companions_fitted_with_a_galaxy_are_joined_with_gaia(write_gaia, write_table):
    gaia = [
        {"source_id": 71, **offset(10, 0.5), "phot_g_mean_mag": 17, "pmra": 30, "parallax": 2},
        {"source_id": 72, **offset(-20, 0), "phot_g_mean_mag": 18},
    ]
    place = [offset(0, 0), offset(10, 0), offset(15, 0)]
    galaxies = galaxy_file(
        write_table,
        3,
        {"VER": "L4-ellipse"},
        ra=np.array([p["ra"] for p in place]),
        dec=np.array([p["dec"] for p in place]),
        fitmode=np.ones(3, "i4"),
        ref_cat=np.array(["L4", "GE", "GE"]),
        ref_id=np.array([1, 71, 73]),
        type=np.array(["SER", "PSF", "PSF"]),
        sersic=np.array([2.0, 0, 0]),
        shape_r=np.array([4.0, 0, 0]),
        shape_e1=np.zeros(3),
        shape_e2=np.zeros(3),
        **{f"flux_{b}": np.full(3, 7.0) for b in BANDS},
    )
    refs, sources = reference_sources(WCS, BANDS, catalogs(write_gaia, gaia, large_galaxies_file=galaxies))
    assert list(zip(refs["ref_cat"], refs["ref_id"])) == [("G3", 72), ("L4", 1), ("G3", 71), ("GE", 73)]
    assert refs["isgaia"].tolist() == [True, False, True, False]
    assert refs["issgafit"].tolist() == [False, False, True, True]
    joined, source = refs[2], sources[2]
    assert joined["phot_g_mean_mag"] == 17 and joined["ref_epoch"] == 2016 and joined["pointsource"]
    assert joined["dec"] == pytest.approx(DEC)  # the row keeps the galaxy catalogue's position
    assert source.dec == pytest.approx(DEC + 0.5 / 3600) and source.motion == Motion(30, 0, 2, 2016)
    assert source.frozen and source.sga_fit and source.reference_star and source.flux.tolist() == [7, 7, 7]
    assert sources[3].motion is None
    assert np.isclose(sources[1].shape_r, 4)


def test_galaxies_outside_are_kept_only_if_they_can_matter(write_table):
    """FIXGEO and RESOLVED galaxies, and those with a mask bit, matter outside the image; others do not."""
    modes = [0, 2, 4, 6, 8]
    north = DEC + 45 / 3600
    galaxies = galaxy_file(
        write_table,
        5,
        {"VER": "L4"},
        dec=np.full(5, north),
        fitmode=np.array(modes, "i4"),
        ref_id=np.arange(5),
    )
    refs, sources = reference_sources(WCS, BANDS, RefCatalogs(large_galaxies_file=galaxies))
    assert refs["ref_id"].tolist() == [0, 1, 2, 3]
    assert not refs["in_bounds"].any()
    assert all(s.ignore for s in sources)  # a parent catalogue's galaxy outside the image


def test_magellanic_cloud_is_kept(write_table):
    wcs = target_wcs(80.0, -66.0, 200, 200, 0.262)
    path = write_table(
        "sga.fits",
        {
            "ra": np.array([80.894]),
            "dec": np.array([-69.756]),
            "ba": np.array([0.8], "f4"),
            "pa": np.array([170.0], "f4"),
            "diam": np.array([645.0], "f4"),
            "mag": np.array([1.0], "f4"),
            "ref_id": np.array([5053785]),
            "fitmode": np.array([0], "i4"),
        },
        {"VER": "L4"},
    )
    refs, sources = reference_sources(wcs, BANDS, RefCatalogs(large_galaxies_file=path))
    assert refs["ref_cat"].tolist() == ["MC"] and refs["ismcloud"].tolist() == [True]
    assert sources[0].ignore


def test_counts_are_reported(write_gaia):
    report = Report()
    gaia = [{"source_id": 1, **offset(0, 0), "phot_g_mean_mag": 14}]
    reference_sources(WCS, BANDS, catalogs(write_gaia, gaia), report)
    assert report.counts["reference objects"]["Gaia stars"] == 1


def test_star_without_g_magnitude_has_a_sane_flux(write_gaia):
    gaia = [
        {"source_id": 1, **offset(0, 0), "phot_g_mean_mag": 0, "phot_bp_mean_mag": 0, "phot_rp_mean_mag": 15},
        {"source_id": 2, **offset(5, 0), "phot_g_mean_mag": 0, "phot_bp_mean_mag": 0, "phot_rp_mean_mag": 0},
    ]
    _, sources = reference_sources(WCS, ["Y"], catalogs(write_gaia, gaia))
    fluxes = sorted(float(s.flux[0]) for s in sources)
    assert fluxes == pytest.approx([1e-3, 1000])


def test_ccd_with_distortion(real_field):
    """For a whole CCD, far outside of which its polynomial is meaningless, the same stars come as for a plain WCS."""
    field = real_field("testcase6")
    ra, dec = field.wcs.pixel_to_sky(50, 50)
    s = 0.262 / 3600
    cd = [[0, s], [s, 0]]
    pv = np.zeros(40)
    pv[1] = 1.0
    pv[7] = 0.5  # an enormous cubic term
    distorted = TpvWcs((ra, dec), (200, 200), cd, 400, 400, pv, pv)
    plain = TpvWcs((ra, dec), (200, 200), cd, 400, 400, np.eye(40)[1], np.eye(40)[1])
    ours, _ = reference_sources(distorted, BANDS, field.catalogs)
    theirs, _ = reference_sources(plain, BANDS, field.catalogs)
    assert len(ours) == len(theirs) > 6
    assert ours["ref_id"].tolist() == theirs["ref_id"].tolist()
    assert np.abs(ours["ibx"] - theirs["ibx"]).max() <= 2
