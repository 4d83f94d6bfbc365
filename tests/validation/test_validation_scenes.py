import numpy as np
import pytest
from astropy.table import Table, vstack
from synthetic_catalogs import TARGET, catalog_table, tables, truth_table, write

from legacypipe_lite.catalog.matching import match
from legacypipe_lite.errors import InputError
from legacypipe_lite.validation import MatchSettings, make_scene, read_scene, stack
from legacypipe_lite.validation.catalogs import bands_of, common_bands, read_catalog, read_truth


def sky(x_arcsec, y_arcsec, ra0=150.0, **columns):
    """Rows at offsets from a point at declination 0."""
    table = Table({"ra": (ra0 + np.asarray(x_arcsec) / 3600) % 360, "dec": np.asarray(y_arcsec) / 3600})
    for name, values in columns.items():
        table[name] = values
    return table


# --- who belongs to whom


def test_the_brightest_takes_the_nearest_row_that_is_free():
    truth = sky([0.0, 0.5, 5.0], [0.0, 0.0, 0.0], flux_r=[1.0, 10.0, 3.0])
    catalog = sky([0.3, -0.6, 5.9, 9.0], [0.0, 0.0, 0.0, 0.0])
    index, distance = match(truth, catalog, 1.0, "flux_r")
    np.testing.assert_array_equal(index, [1, 0, 2])
    np.testing.assert_allclose(distance, [0.6, 0.2, 0.9], atol=1e-6)


def test_radius_and_empty_tables():
    truth = sky([0.0, 10.0], [0.0, 0.0], flux_r=[1.0, 1.0])
    index, distance = match(truth, sky([1.5], [0.0]), 1.0, "flux_r")
    assert list(index) == [-1, -1] and np.all(np.isnan(distance))
    index, _ = match(truth, sky([], []), 1.0, "flux_r")
    assert list(index) == [-1, -1]


def test_right_ascension_zero_is_no_special_place():
    truth = sky([-0.2, 0.2], [0.0, 0.0], ra0=0.0, flux_r=[1.0, 2.0])
    catalog = sky([0.1, -0.1], [0.0, 0.0], ra0=0.0)
    index, distance = match(truth, catalog, 1.0, "flux_r")
    assert list(index) == [1, 0]
    np.testing.assert_allclose(distance, 0.1, atol=1e-6)


# --- what is scored


def test_scene(tmp_path):
    truth = truth_table()
    outside = truth_table(n=3, seed=5)
    outside["ra"] += 1.0
    scene = make_scene(*tables(tmp_path, vstack([truth, outside]), catalog_table(truth)))
    assert scene.bands == ["g", "r"] and scene.reference_band == "r" and not scene.partial
    assert scene.found[:900].all() and not scene.found[900:].any()
    assert scene.scored[:900].sum() > 780 and not scene.scored[900:].any()
    x, y = TARGET.sky_to_pixel(np.asarray(truth["ra"]), np.asarray(truth["dec"]))
    edge = (x < x.max() - 8) & (y < y.max() - 8) & (x > 8) & (y > 8)
    np.testing.assert_array_equal(scene.scored[:900], edge)
    assert scene.matched.all() and (scene.isolated == scene.scored).all() and not scene.blended.any()
    np.testing.assert_allclose(scene.mag[:900], 22.5 - 2.5 * np.log10(truth["flux_r"]))
    assert np.isnan(scene.matched_column("ra")[900:]).all()
    assert (scene.matched_column("type", "U3")[:900] == truth["type"]).all()
    assert (scene.signal_to_noise[900:] == 0).all() and scene.signal_to_noise[0] > 5


def test_neighbours_and_special_sources(tmp_path):
    truth = truth_table()
    close = truth[[100, 200]]  # a copy
    close["dec"] += 2 / 3600
    close["flux_g"], close["flux_r"] = close["flux_g"] * [0.5, 0.01], close["flux_r"] * [0.5, 0.01]
    truth = vstack([truth, close])
    truth["note"] = np.full(len(truth), "", "U10")
    truth["note"][400], truth["note"][500] = "saturated", "biggal"
    scene = make_scene(*tables(tmp_path, truth, catalog_table(truth)))
    assert scene.blended[100] and not scene.isolated[100]
    assert scene.isolated[200]  # its neighbour is too faint to matter, but that one is blended
    assert scene.blended[901] and scene.blended[900]
    assert not scene.isolated[400] and not scene.blended[400] and not scene.isolated[401]
    assert scene.isolated[500] and not scene.isolated[501]


def test_given_columns_win(tmp_path):
    truth = truth_table()
    truth["nn_dist"] = np.where(np.arange(len(truth)) < 450, 3.0, 9.0)
    truth["in_zoom"] = np.arange(len(truth)) % 2 == 0
    scene = make_scene(*tables(tmp_path, truth, catalog_table(truth)))
    assert not scene.isolated[:450].any() and scene.blended[:450].any()
    assert not scene.scored[1::2].any() and scene.scored[::2].any()


def test_partial_truth(tmp_path):
    """Injected sources: real ones next to them are neighbours, and are not wrong."""
    everything = truth_table()
    catalog = catalog_table(everything)
    injected = everything[::3]
    beside = catalog[[0, 3]]  # copies: two real sources next to injected ones
    beside["dec"] += 3 / 3600
    beside["by"] += 3 / 0.262
    scene = make_scene(*tables(tmp_path, injected, vstack([catalog, beside]), extname="INJECTED"))
    assert scene.partial and scene.found.all()
    blended = np.flatnonzero(scene.blended)
    assert set(blended) <= {0, 1} and len(blended) >= 1
    assert not make_scene(scene.catalog, scene.truth, MatchSettings(partial=False)).partial


def test_without_corners_the_catalogue_says_where_the_image_is(tmp_path):
    truth = truth_table()
    write(tmp_path / "tractor.fits", catalog_table(truth), corners=False)
    write(tmp_path / "truth.fits", truth)
    scene = read_scene(tmp_path / "tractor.fits", tmp_path / "truth.fits")
    assert scene.catalog.meta["corners"] is None and scene.scored.sum() > 780


# --- several together


def test_stack(tmp_path):
    scenes = []
    for seed in (1, 2):
        truth = truth_table(n=400, seed=seed)
        scenes.append(make_scene(*tables(tmp_path, truth, catalog_table(truth, seed=seed + 10))))
    both = stack(scenes)
    assert both.number == 2 and len(both.truth) == 800 and both.scored.sum() == sum(s.scored.sum() for s in scenes)
    np.testing.assert_allclose(
        both.matched_column("flux_r"), np.concatenate([s.matched_column("flux_r") for s in scenes])
    )
    assert stack(scenes[:1]) is scenes[0]


def test_what_cannot_be_stacked(tmp_path):
    truth = truth_table(n=100)
    catalog, table = tables(tmp_path, truth, catalog_table(truth))
    one, other = (make_scene(catalog, table, MatchSettings(bands=(band,))) for band in "gr")
    with pytest.raises(InputError, match="no band in common"):
        stack([one, other])
    partial = make_scene(catalog, table, MatchSettings(partial=True))
    with pytest.raises(InputError, match="separately"):
        stack([make_scene(catalog, table), partial])


# --- bad input


def test_bands(tmp_path):
    truth = truth_table(n=100)
    catalog = catalog_table(truth)
    catalog["flux_w1"] = catalog["flux_ivar_w1"] = np.ones(100)
    catalog["flux_ivar_g"][:80] = 0
    catalog, truth = tables(tmp_path, truth, catalog)
    assert bands_of(catalog) == ["g", "r"] and common_bands(truth, catalog) == ["r"]
    with pytest.raises(InputError, match="band g"):
        make_scene(catalog, truth, MatchSettings(bands=("g",)))
    with pytest.raises(InputError, match="no column flux_x"):
        make_scene(catalog, truth, MatchSettings(reference_band="x"))


def test_files_that_cannot_be_used(tmp_path):
    truth = truth_table(n=100)
    catalog = catalog_table(truth)
    for name in ("shape_r", "flux_ivar_r", "type"):
        write(tmp_path / "bad.fits", catalog[[c for c in catalog.colnames if c != name]])
        with pytest.raises(InputError, match=f"bad.fits: no column {name}"):
            read_catalog(tmp_path / "bad.fits")
    write(tmp_path / "bad.fits", catalog["ra", "dec", "type", "bx", "by", "ra_ivar", "dec_ivar"])
    with pytest.raises(InputError, match="bad.fits: no column"):
        read_catalog(tmp_path / "bad.fits")
    write(tmp_path / "bad.fits", truth["ra", "dec", "type", "flux_r"])
    with pytest.raises(InputError, match="no column shape_r"):
        read_truth(tmp_path / "bad.fits")
    write(tmp_path / "bad.fits", truth["ra", "dec", "type"])
    with pytest.raises(InputError, match="flux_<band>"):
        read_truth(tmp_path / "bad.fits")
    with pytest.raises(InputError, match="does not exist"):
        read_truth(tmp_path / "none.fits")


def test_truth_of_another_place(tmp_path):
    truth = truth_table(n=100)
    catalog = catalog_table(truth)
    truth["ra"] += 3.0
    with pytest.raises(InputError, match="is it its truth"):
        make_scene(*tables(tmp_path, truth, catalog))


def test_too_few_rows(tmp_path):
    truth = truth_table(n=100)
    with pytest.raises(InputError, match="fewer than three"):
        make_scene(*tables(tmp_path, truth, catalog_table(truth)[:2]))


def test_rows_that_are_not_measurements_are_left_out(tmp_path):
    truth = truth_table(n=100)
    catalog = catalog_table(truth)
    catalog["type"][:3] = ["DUP", "NUN", "PSF"]
    catalog["brick_primary"][2] = False
    found, _ = tables(tmp_path, truth, catalog)
    assert len(found) == 97


def test_truth_of_stars_only(tmp_path):
    truth = truth_table(n=100, stars=2.0)["ra", "dec", "type", "flux_g", "flux_r"]
    write(tmp_path / "truth.fits", truth)
    found = read_truth(tmp_path / "truth.fits")
    assert (found["shape_r"] == 0).all() and not found["is_gaia"].any() and (found["note"] == "").all()
