"""Stage wise_forced: real fields, light curves, and what happens when unWISE images are missing or damaged."""

import dataclasses
import logging
import os
import shutil
import subprocess
from types import SimpleNamespace

import fitsio
import numpy as np
import pytest
from astropy.table import Table
from real_fields import FIELDS, brick_run

from legacypipe_lite.errors import InputError, UsageError
from legacypipe_lite.options import RunOptions
from legacypipe_lite.parallel import run_tasks
from legacypipe_lite.report import Report
from legacypipe_lite.run import BrickRun
from legacypipe_lite.stages import load_stage
from legacypipe_lite.survey import OutputTree, SurveyDirectory
from legacypipe_lite.wise.folders import WiseFolders
from legacypipe_lite.wise.inputs import sources_to_measure
from legacypipe_lite.wise.table import tractor_form

WISE_ENVIRONMENT = (
    "UNWISE_COADDS_DIR",
    "UNWISE_COADDS_TIMERESOLVED_DIR",
    "UNWISE_MODEL_SKY_DIR",
    "WISE_PSF_DIR",
    "DUST_DIR",
)
TILE = "186/1866p257/unwise-1866p257-"


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patch:
        for name in WISE_ENVIRONMENT:
            patch.delenv(name, raising=False)
        yield patch


@pytest.fixture(scope="module")
def survey(testdata, tmp_path_factory):
    """A writable copy of testcase4, whose sky calibration is made in the run."""
    copy = tmp_path_factory.mktemp("survey") / "testcase4"
    shutil.copytree(testdata / "realdata" / "testcase4", copy)
    for folder, _, names in os.walk(copy):
        for name in (".", *names):
            path = os.path.join(folder, name)
            os.chmod(path, os.stat(path).st_mode | 0o200)
    return copy


@pytest.fixture(scope="module")
def field(testdata, survey, tmp_path_factory, patch):
    """A run of testcase4 up to the optical coadds."""
    for name, value in {
        "TYCHO2_KD_DIR": survey,
        "GAIA_CAT_DIR": survey / "gaia",
        "GAIA_CAT_VER": "2",
        "GAIA_CAT_PREFIX": "chunk",
        "GAIA_CAT_SCHEME": "ring",
        "LEGACYPIPE_DATA_DIR": testdata / "refdata",
    }.items():
        patch.setenv(name, str(value))
    patch.delenv("LARGEGALAXIES_CAT", raising=False)
    options = RunOptions(
        survey_dir=str(survey),
        outdir=str(tmp_path_factory.mktemp("out")),
        no_write=True,
        sky_box_size=128,
        unwise_dir=str(survey / "images" / "unwise"),
        unwise_tr_dir=str(survey / "images" / "unwise-tr"),
        **FIELDS["testcase4"],
    )
    run = BrickRun(options)
    run.stage("coadds")
    return run


@pytest.fixture
def images(survey, tmp_path):
    """A copy of the unWISE images that may be damaged: folder with unwise and unwise-tr."""
    for name in ("unwise", "unwise-tr"):
        shutil.copytree(survey / "images" / name, tmp_path / "images" / name)
    return tmp_path / "images"


def wise_stage(field, outdir, catalogue=False, **changes):
    """The stage once more (and writecat) with other options; the state, the products and the report."""
    options = dataclasses.replace(field.options, outdir=str(outdir), **changes).validated()
    products, report = OutputTree(outdir, field.brickname), Report()
    tools = SimpleNamespace(
        survey=SurveyDirectory.from_options(options),
        products=products,
        map=lambda function, tasks, shared=None, label="": run_tasks(
            function, tasks, threads=options.threads, shared=shared
        ),
        header=field.header,
        report=report,
    )
    state = {name: value for name, value in field.state.items() if name not in ("wise_table", "wise_masks")}
    made = load_stage("wise_forced").run(state, options, tools)
    state.update(made.items, cards=made.cards)
    if catalogue:
        tools.header = lambda state, cards: [*made.cards, *cards]
        state.update(load_stage("writecat").run(state, options, tools).items)
    return state, products, report


@pytest.fixture(scope="module")
def made(field, tmp_path_factory):
    """The stage and the catalogue with everything that the field has."""
    return wise_stage(field, tmp_path_factory.mktemp("wise"), catalogue=True)


@pytest.fixture(scope="module")
def reference(testdata):
    tree = OutputTree(testdata / "reference" / "testcase4", "1867p255")
    return fitsio.read(str(tree.path("tractor"))), fitsio.read(str(tree.path("tractor-i"))), tree


def cards(state):
    return {card[0]: card[1] for card in state["cards"]}


# --- a real field with everything


def test_catalogue_agrees_with_the_reference(made, reference):
    tractor, theirs = fitsio.read(str(made[1].path("tractor"))), reference[0]
    assert tractor.dtype == theirs.dtype
    # Positions and shapes come from our own optical fit.
    for prefix, bands in (("", (1, 2, 3, 4)), ("lc_", (1, 2))):
        for band in bands:
            ivar = theirs[f"{prefix}flux_ivar_w{band}"]
            pull = np.abs(tractor[f"{prefix}flux_w{band}"] - theirs[f"{prefix}flux_w{band}"]) * np.sqrt(ivar)
            assert pull.max() < 0.06, (prefix, band)
            np.testing.assert_allclose(tractor[f"{prefix}flux_ivar_w{band}"], ivar, rtol=5e-3)
            for name in ("rchisq", "fracflux"):
                np.testing.assert_allclose(
                    tractor[f"{prefix}{name}_w{band}"], theirs[f"{prefix}{name}_w{band}"], rtol=0.1, atol=0.01
                )
    for name in ("nobs_w1", "nobs_w4", "lc_nobs_w1", "lc_mjd_w2", "lc_epoch_index_w1", "wisemask_w1", "wisemask_w2"):
        np.testing.assert_array_equal(tractor[name], theirs[name], err_msg=name)
    np.testing.assert_array_equal(tractor["wise_coadd_id"], theirs["wise_coadd_id"])
    for band in (1, 2, 3, 4):
        np.testing.assert_allclose(tractor[f"psfdepth_w{band}"], theirs[f"psfdepth_w{band}"], rtol=1e-5)
        apertures = np.abs(tractor[f"apflux_w{band}"] - theirs[f"apflux_w{band}"])
        assert (apertures * np.sqrt(theirs[f"apflux_ivar_w{band}"])).max() < 0.1
        np.testing.assert_allclose(tractor[f"apflux_ivar_w{band}"], theirs[f"apflux_ivar_w{band}"], rtol=2e-3)


def test_intermediate_catalogue(made, reference):
    ours, theirs = fitsio.read(str(made[1].path("tractor-i"))), reference[1]

    def wise_names(rows):
        return [n for n in rows.dtype.names if "wise" in n or n.endswith(("_w1", "_w2", "_w3", "_w4"))]

    assert wise_names(ours) == wise_names(theirs)
    for name in wise_names(theirs):
        assert ours.dtype[name] == theirs.dtype[name] or ours[name].dtype.kind in "US", name
    names = ours.dtype.names
    assert names.index("wise_coadd_id") == names.index("fibertotflux") + 1
    assert names[names.index("lc_mjd_w2") + 1 :] == ("brick_primary", "maskbits", "fitbits")
    assert ours["lc_flux_w1"].shape == (8, 12)


def test_coadds(made, reference):
    for band in ("W1", "W2", "W3", "W4"):
        image, model, invvar = (
            [fitsio.read(str(tree.path(name, band)), ext=1) for tree in (made[1], reference[2])]
            for name in ("image", "model", "invvar")
        )
        noise = invvar[1] ** -0.5
        assert (np.abs(image[0] - image[1]) / noise).max() < 1e-3
        assert (np.abs(model[0] - model[1]) / noise).max() < 0.1
        np.testing.assert_allclose(invvar[0], invvar[1], rtol=2e-3)
    header = fitsio.read_header(str(made[1].path("image", "W1")), ext=1)
    theirs = fitsio.read_header(str(reference[2].path("image", "W1")), ext=1)
    for name in ("EXTNAME", "TELESCOP", "FILTER", "MAGZERO", "MAGSYS", "CRPIX1", "CRVAL2", "CD1_1", "WISE_GAIA_ONLY"):
        assert (
            header[name] == pytest.approx(theirs[name], abs=1e-9) if name == "CRVAL2" else header[name] == theirs[name]
        )
    assert header["WISEPSF"] == "unwise_psf" and header["WISESKIP"] == 0


def test_pictures_and_masks(made, reference):
    from PIL import Image

    for name in ("wise-jpeg", "wisemodel-jpeg", "wiseresid-jpeg"):
        ours, theirs = (np.asarray(Image.open(tree.path(name))).astype(int) for tree in (made[1], reference[2]))
        assert ours.shape == theirs.shape and np.abs(ours - theirs).mean() < 3
    with fitsio.FITS(str(made[1].path("maskbits"))) as fits:
        assert [hdu.get_extname() for hdu in fits][1:] == ["MASKBITS", "WISEM1", "WISEM2"]
        assert not fits["WISEM1"].read().any()


def test_nothing_is_complained_about(made):
    assert not any("WISE" in text for text in made[2].warnings)


def test_checksums_hold(made):
    path = made[1].path("checksums")
    done = subprocess.run(["sha256sum", "-c", str(path)], cwd=made[1].outdir, capture_output=True, text=True)
    assert done.returncode == 0 and "image-W3" in done.stdout


def test_worker_processes_give_the_same(field, made, tmp_path):
    state, products, _ = wise_stage(field, tmp_path, threads=3)
    for name in state["wise_table"].colnames:
        np.testing.assert_array_equal(state["wise_table"][name], made[0]["wise_table"][name], err_msg=name)
    for name in products.checksums:
        assert products.checksums[name] == made[1].checksums[name]


def test_a_run_resumes(survey, tmp_path, field):
    def run(**changes):
        pickle = str(tmp_path / "%(brick)s-%%(stage)s.pickle")
        options = dataclasses.replace(
            field.options, outdir=str(tmp_path / "out"), no_write=False, pickle=pickle, **changes
        )
        run = BrickRun(options)
        run.run()
        return run, {record.name: record.read for record in run.stages}

    first, _ = run()
    second, read = run()
    assert read["wise_forced"]
    np.testing.assert_array_equal(first.tractor["lc_flux_w1"], second.tractor["lc_flux_w1"])
    shorter, read = run(lc_epochs=5)
    assert read["wise_forced"] and shorter.tractor["lc_flux_w1"].shape == (8, 5)
    # An input file of the stage that was looked for, but was not there.
    extra = survey / "images" / "unwise" / "186" / "1866p257" / "unwise-1866p257-w1-n-u.fits"
    shutil.copy(f"{extra}.gz", extra)
    try:
        _, read = run(wise_noise="model")
        assert read["coadds"] and not read["wise_forced"]
    finally:
        extra.unlink()


# --- without the PSF data, without the table of tiles


@pytest.mark.parametrize("table, limits", [(True, (0.5, 0.2, 0.05, 0.02)), (False, (1.0, 0.3, 0.05, 0.02))])
def test_built_in_psfs(table, limits, field, made, tmp_path, testdata):
    data = tmp_path / "data"
    data.mkdir()
    if table:
        shutil.copyfile(testdata / "refdata" / "wise-tiles.fits", data / "wise-tiles.fits")
    state, _, report = wise_stage(field, tmp_path / "out", data_dir=str(data))
    assert cards(state)["WISEPSF"] == "built-in profiles" and not report.warnings
    ours, true = state["wise_table"], made[0]["wise_table"]
    assert ours.colnames == true.colnames
    for band, limit in enumerate(limits, 1):
        pull = np.abs(ours[f"flux_w{band}"] - true[f"flux_w{band}"]) * np.sqrt(true[f"flux_ivar_w{band}"])
        assert pull.max() < limit, band
        # Without the table of tiles positions in W1 and W2 are some hundredths of a pixel off.
        np.testing.assert_allclose(ours[f"nobs_w{band}"], true[f"nobs_w{band}"], atol=0 if table else 1)


def test_psfs_in_a_folder_of_their_own(field, tmp_path, patch, testdata, survey):
    with patch.context() as other:
        other.setenv("LEGACYPIPE_DATA_DIR", str(tmp_path))
        other.setenv("WISE_PSF_DIR", str(testdata / "refdata" / "unwise_psf"))
        state, _, report = wise_stage(field, tmp_path / "out", unwise_tr_dir=None)
        assert cards(state)["WISEPSF"] == "unwise_psf" and not report.warnings
        other.setenv("WISE_PSF_DIR", str(tmp_path / "none"))
        state, _, report = wise_stage(field, tmp_path / "out", unwise_tr_dir=None)
    assert cards(state)["WISEPSF"] == "built-in profiles"
    assert [text for text in report.warnings if "WISE_PSF_DIR" in text and "no such directory" in text]


# --- missing and damaged images


def wise_warnings(report):
    return [text for text in report.warnings if "WISE" in text]


def test_missing_tile(field, tmp_path, images):
    shutil.rmtree(images / "unwise" / "186")
    state, products, report = wise_stage(
        field, tmp_path / "out", catalogue=True, unwise_dir=str(images / "unwise"), unwise_tr_dir=None
    )
    tractor = state["tractor"]
    for name in ("flux_w1", "flux_ivar_w4", "nobs_w2", "apflux_w1", "psfdepth_w3", "lc_flux_w1", "wisemask_w1"):
        assert (tractor[name] == 0).all(), name
    assert (tractor["wise_coadd_id"] == b"").all() and (tractor["flux_z"] > 0).any()
    (warning,) = wise_warnings(report)
    assert "unwise-1866p257-w1-img-m.fits: does not exist" in warning
    assert cards(state)["WISESKIP"] == 4
    assert not fitsio.read(str(products.path("invvar", "W1")), ext=1).any()


@pytest.mark.parametrize("name", ["img-m.fits", "invvar-m.fits.gz", "n-u.fits.gz"])
def test_damaged_band(name, field, made, tmp_path, images):
    path = images / "unwise" / f"{TILE}w2-{name}"
    path.write_bytes(path.read_bytes()[:300])
    state, _, report = wise_stage(field, tmp_path / "out", unwise_dir=str(images / "unwise"))
    ours, true = state["wise_table"], made[0]["wise_table"]
    assert (ours["flux_w2"] == 0).all() and (ours["apflux_w2"] == 0).all() and (ours["nobs_w2"] == 0).all()
    for band in (1, 3, 4):
        np.testing.assert_array_equal(ours[f"flux_w{band}"], true[f"flux_w{band}"])
    np.testing.assert_array_equal(ours["lc_flux_w2"], true["lc_flux_w2"])
    (warning,) = wise_warnings(report)
    assert str(path) in warning and cards(state)["WISESKIP"] == 1


def test_damaged_epochs(field, made, tmp_path, images):
    for epoch in (3, 7):
        (images / "unwise-tr" / f"e{epoch:03d}" / f"{TILE}w1-img-m.fits").write_bytes(b"broken")
    state, _, report = wise_stage(field, tmp_path / "out", unwise_tr_dir=str(images / "unwise-tr"))
    ours, true = state["wise_table"], made[0]["wise_table"]
    good = np.isin(np.arange(12), [3, 7], invert=True)
    for name in ("lc_flux_w1", "lc_flux_ivar_w1", "lc_nobs_w1", "lc_mjd_w1"):
        np.testing.assert_array_equal(ours[name][:, good], true[name][:, good])
        assert not ours[name][:, ~good].any()
    (warning,) = wise_warnings(report)
    assert "e003" in warning and "1 more" in warning


@pytest.mark.parametrize("damage", ["missing", "broken", "other tiles"])
def test_unusable_atlas(damage, field, made, tmp_path, images):
    atlas = images / "unwise-tr" / "time_resolved_atlas.fits"
    if damage == "missing":
        atlas.unlink()
    elif damage == "broken":
        atlas.write_bytes(b"x" * 5000)
    else:
        rows = fitsio.read(str(atlas))
        rows["coadd_id"] = "0000p000"
        fitsio.write(str(atlas), rows, clobber=True)
    state, _, report = wise_stage(field, tmp_path / "out", catalogue=True, unwise_tr_dir=str(images / "unwise-tr"))
    np.testing.assert_array_equal(state["tractor"]["flux_w1"], made[0]["tractor"]["flux_w1"])
    assert (state["tractor"]["lc_flux_w1"] == 0).all() and (state["tractor"]["lc_epoch_index_w1"] == -1).all()
    (warning,) = wise_warnings(report)
    assert "atlas" in warning


def test_damaged_tables(field, made, tmp_path, testdata, patch):
    data = tmp_path / "data"
    (data / "unwise_psf").mkdir(parents=True)
    (data / "wise-tiles.fits").write_bytes(b"no table")
    for path in (testdata / "refdata" / "unwise_psf").iterdir():
        shutil.copyfile(path, data / "unwise_psf" / path.name)
    (data / "unwise_psf" / "psf_model_w3.fits").write_bytes(b"no image")
    with patch.context() as other:
        other.setenv("LEGACYPIPE_DATA_DIR", str(data))
        state, _, report = wise_stage(field, tmp_path / "out", unwise_tr_dir=None)
    (warning,) = wise_warnings(report)
    assert "wise-tiles.fits" in warning and "1 more" in warning
    assert cards(state)["WISEPSF"] == "unwise_psf; built-in profiles: W3"
    np.testing.assert_allclose(state["wise_table"]["flux_w4"], made[0]["wise_table"]["flux_w4"], rtol=1e-3)


def test_tile_that_covers_half_of_the_field(field, made, tmp_path, images):
    target = field.state["target"]
    middle, _ = target.pixel_to_sky(125, 125)
    rows = fitsio.read(str(field.survey.data_file("wise-tiles.fits")))
    rows["ra1"][rows["coadd_id"] == "1866p257"] = middle
    data = tmp_path / "data"
    data.mkdir()
    fitsio.write(str(data / "wise-tiles.fits"), rows)
    state, products, report = wise_stage(field, tmp_path / "out", unwise_tr_dir=None, data_dir=str(data))
    table, ra = state["wise_table"], np.asarray(field.state["fit_table"]["ra"])
    np.testing.assert_array_equal(table["nobs_w1"] > 0, ra >= middle)
    np.testing.assert_array_equal(table["wise_coadd_id"] != "", ra >= middle)
    assert (table["flux_ivar_w1"][ra > middle + 0.002] > 0).all()
    invvar = fitsio.read(str(products.path("invvar", "W1")), ext=1)
    assert invvar[:, :10].all() and not invvar[:, 14:].any()


def test_background_models(field, tmp_path, patch, testdata):
    with patch.context() as other:
        other.setenv("UNWISE_MODEL_SKY_DIR", str(testdata / "realdata" / "testcase12" / "images" / "unwise-mod"))
        state, _, report = wise_stage(field, tmp_path / "out", unwise_tr_dir=None)
    # There is none of this tile.
    (warning,) = wise_warnings(report)
    assert "1866p257.1.mod.fits: does not exist" in warning
    table = state["wise_table"]
    assert (table["flux_w1"] == 0).all() and (table["flux_w3"] != 0).all() and (table["wise_coadd_id"] != "").all()


# --- options


def test_no_wise(field, tmp_path):
    state, products, _ = wise_stage(field, tmp_path, catalogue=True, no_wise=True)
    assert state["wise_table"] is None and state["wise_masks"] is None and state["cards"] == []
    assert not any("wise" in name or name.endswith("_w1") for name in state["tractor"].colnames if name[:2] != "mw")
    assert not products.path("image", "W1").exists() and not products.path("wise-jpeg").exists()


def test_no_unwise_images(field, tmp_path):
    state, products, report = wise_stage(field, tmp_path, catalogue=True, unwise_dir=None, unwise_tr_dir=None)
    tractor = state["tractor"]
    assert (tractor["flux_w1"] == 0).all() and (tractor["lc_epoch_index_w2"] == -1).all()
    assert not wise_warnings(report) and not products.path("image", "W1").exists()
    assert cards(state)["WISEPSF"] == "none"


def test_time_resolved_images_alone(field, made, tmp_path, patch):
    state, products, report = wise_stage(field, tmp_path / "a", unwise_dir=None)
    ours, true = state["wise_table"], made[0]["wise_table"]
    np.testing.assert_array_equal(ours["lc_flux_w1"], true["lc_flux_w1"])
    assert (ours["flux_w1"] == 0).all() and (ours["wise_coadd_id"] == "1866p257").all()
    assert not wise_warnings(report) and not products.path("image", "W1").exists()
    # Without the table of tiles the atlas says where they are.
    with patch.context() as other:
        other.delenv("LEGACYPIPE_DATA_DIR")
        other.setenv("WISE_PSF_DIR", str(field.survey.data_file("unwise_psf")))
        state, _, _ = wise_stage(field, tmp_path / "b", unwise_dir=None)
    np.testing.assert_allclose(state["wise_table"]["lc_flux_w1"], true["lc_flux_w1"], rtol=1e-5)


def test_without_coadds(field, made, tmp_path):
    state, products, _ = wise_stage(field, tmp_path, catalogue=True, no_unwise_coadds=True, unwise_tr_dir=None)
    assert not products.path("image", "W1").exists() and not products.path("wise-jpeg").exists()
    np.testing.assert_array_equal(state["tractor"]["flux_w1"], made[0]["tractor"]["flux_w1"])
    assert (state["tractor"]["apflux_w1"] == 0).all()
    assert "apflux_w1" not in fitsio.read(str(products.path("tractor-i"))).dtype.names


@pytest.mark.parametrize(
    "length, model, expected", [(5, "dr10", 5), (20, "dr10", 20), (None, "dr9", 15), (None, "dr11", 25)]
)
def test_length_of_light_curves(length, model, expected, field, made, tmp_path):
    state, _, _ = wise_stage(
        field, tmp_path, catalogue=True, lc_epochs=length, data_model=model, unwise_dir=None, no_unwise_coadds=True
    )
    tractor, full = state["tractor"], made[0]["wise_table"]
    order = np.argsort(field.state["fit_table"]["objid"])
    for name in ("flux", "flux_ivar", "nobs", "fracflux", "rchisq", "mjd"):
        values, index = tractor[f"lc_{name}_w2"], np.asarray(tractor["lc_epoch_index_w2"])
        assert values.shape == (8, expected)
        for row, epochs, true in zip(values, index, np.asarray(full[f"lc_{name}_w2"])[order]):
            used = epochs >= 0
            assert used.sum() == min(12, expected)
            np.testing.assert_array_equal(row[used], true[epochs[used]])
            assert not row[~used].any()
    with pytest.raises(UsageError, match="--lc-epochs"):
        RunOptions(brick="1867p255", lc_epochs=0).validated()


def test_only_reference_stars(field, made, tmp_path):
    state, products, _ = wise_stage(field, tmp_path, catalogue=True, wise_gaia_only=True, unwise_tr_dir=None)
    stars = np.char.strip(np.asarray(field.state["fit_table"]["ref_cat"], "U2")) != ""
    table = state["wise_table"]
    assert 0 < stars.sum() < len(stars)
    np.testing.assert_array_equal(table["flux_w1"] != 0, stars)
    assert (table["apflux_w1"] != 0).all() and cards(state)["WISE_GAIA_ONLY"] is True
    bits = fitsio.read(str(products.path("maskbits")), ext=1)
    unique = field.state["brick"].unique_pixels(field.state["target"])
    np.testing.assert_array_equal((bits & 0x80000) != 0, unique)


def test_mean_psfs_are_written(field, tmp_path):
    _, products, _ = wise_stage(field, tmp_path, save_unwise_psf=True, unwise_tr_dir=None)
    for band, total in (("W1", 1.04), ("W4", 1.0)):
        psf, header = fitsio.read(str(products.path("copsf", band)), header=True)
        assert psf.sum(dtype=float) == pytest.approx(total, rel=1e-5) and header["FILTER"] == band
        assert header["PIXSCALE"] == pytest.approx(2.75)


def test_noise_from_the_model_changes_little(field, made, tmp_path):
    state, _, _ = wise_stage(field, tmp_path, wise_noise="model", unwise_tr_dir=None)
    ours, true = state["wise_table"], made[0]["wise_table"]
    for band in (1, 2, 3, 4):
        pull = (ours[f"flux_w{band}"] - true[f"flux_w{band}"]) * np.sqrt(true[f"flux_ivar_w{band}"])
        assert np.abs(pull).max() < 0.6 if band < 3 else (pull == 0).all()
        assert band > 2 or (pull != 0).any()


# --- star clusters, masks, choice of sources


def test_cluster_field(testdata, tmp_path, patch):
    survey = testdata / "realdata" / "testcase12"
    with patch.context() as other:
        other.setenv("UNWISE_MODEL_SKY_DIR", str(survey / "images" / "unwise-mod"))
        run = brick_run("testcase12", testdata, tmp_path, other, unwise_dir=str(survey / "images" / "unwise"))
        run.run()
    theirs = fitsio.read(str(OutputTree(testdata / "reference" / "testcase12", run.brickname).path("tractor")))
    tractor = run.tractor
    assert tractor["wise_coadd_id"].tolist() == ["", "3460p121", "3460p121", ""]
    for band in (1, 2, 3, 4):
        ivar = theirs[f"flux_ivar_w{band}"]
        np.testing.assert_allclose(tractor[f"flux_ivar_w{band}"], ivar, rtol=2e-3)
        assert (np.abs(tractor[f"flux_w{band}"] - theirs[f"flux_w{band}"]) * np.sqrt(ivar)).max() < 0.03
    # The reference has NaN for the row off the field.
    assert np.isfinite(tractor["apflux_w1"]).all() and (tractor["apflux_w1"][3] == 0).all()
    header = fitsio.read_header(str(run.products.path("tractor")))
    for name in ("UNWISD1", "UNWISSKY", "WISEAB4", "WAPRAD2", "VER_WISE"):
        assert name in header, name
    assert not header["W_CERES"] and header["WISESKIP"] == 0
    values = [header[key] for key in header.keys() if key.startswith("DEPNAM")]  # noqa: SIM118 - not a dict
    assert {"unwise", "unwise_modelsky"} <= set(values)


def test_masks_of_the_tile(field, tmp_path, images):
    path = images / "unwise" / f"{TILE}msk.fits.gz"
    mask = np.zeros((25, 25), np.int32)
    table = field.state["fit_table"]
    star = int(np.argmax(np.asarray(table["ref_cat"]) != "  "))
    from legacypipe_lite.wcs import wcs_from_header

    header = fitsio.read_header(str(images / "unwise" / f"{TILE}w1-img-m.fits"))
    x, y = wcs_from_header(header).sky_to_pixel(table["ra"][star], table["dec"][star])
    mask[int(np.rint(y)), int(np.rint(x))] = 2**27 + 2**4 + 2**30
    path.unlink()
    fitsio.write(str(path), mask)
    state, products, _ = wise_stage(field, tmp_path / "out", catalogue=True, unwise_dir=str(images / "unwise"))
    row = int(table["objid"][star])
    tractor = state["tractor"]
    assert (tractor["wisemask_w1"][row], tractor["wisemask_w2"][row]) == (66, 128)
    assert tractor["maskbits"][row] & 0x300 == 0x300
    with fitsio.FITS(str(products.path("maskbits"))) as fits:
        bits, w1, w2 = (fits[i].read() for i in (1, 2, 3))
    assert set(np.unique(w1)) == {0, 66} and set(np.unique(w2)) == {0, 128}
    np.testing.assert_array_equal((bits & 0x100) != 0, w1 != 0)
    path.write_bytes(b"broken")
    state, _, report = wise_stage(field, tmp_path / "b", unwise_dir=str(images / "unwise"), unwise_tr_dir=None)
    assert not state["wise_masks"][0].any() and "msk" in wise_warnings(report)[0]


def test_which_sources_are_measured():
    table = Table(
        {
            "regular": [True, True, True, False, True],
            "in_bounds": [True, True, False, True, True],
            "ibx": [0, 1, -5, 1, 1],
            "iby": [0, 1, 90, 0, 0],
            "ref_cat": ["  ", "G3", "T2", "CL", "  "],
        }
    )
    maskbits = np.zeros((2, 2), np.int32)
    maskbits[0, 0] = 0x2000 | 2
    sources = [object(), object(), object(), object(), None]
    assert sources_to_measure(table, sources, maskbits, False).tolist() == [1, 2]
    assert sources_to_measure(table, sources, maskbits, True).tolist() == [1, 2]
    table["ref_cat"][1] = "  "
    assert sources_to_measure(table, sources, maskbits, True).tolist() == [2]
    del table["ref_cat"]
    assert sources_to_measure(table, sources, maskbits, True).tolist() == []


def test_no_sources_at_all(field, tmp_path):
    run = SimpleNamespace(
        options=field.options,
        brickname=field.brickname,
        header=field.header,
        state={**field.state, "fit_table": field.state["fit_table"][:0], "fit_sources": []},
    )
    state, products, report = wise_stage(run, tmp_path)
    assert len(state["wise_table"]) == 0 and not wise_warnings(report)
    assert fitsio.read(str(products.path("image", "W1")), ext=1).any()
    assert not fitsio.read(str(products.path("model", "W1")), ext=1).any()
    assert len(tractor_form(state["wise_table"], 17)) == 0


# --- folders


def test_folders(monkeypatch, tmp_path, caplog):
    for name in WISE_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    assert not WiseFolders.from_options(RunOptions(brick="b"))
    monkeypatch.setenv("UNWISE_MODEL_SKY_DIR", str(tmp_path / "sky"))
    assert WiseFolders.from_options(RunOptions(brick="b")) == WiseFolders()
    monkeypatch.setenv("UNWISE_COADDS_DIR", "/nowhere")
    folders = WiseFolders.from_options(RunOptions(brick="b", unwise_dir=f"{tmp_path}::/other"))
    assert folders == WiseFolders((str(tmp_path), "/other"), None, str(tmp_path / "sky"))
    assert WiseFolders.from_options(RunOptions(brick="b", unwise_dir="/x", no_wise=True)) == WiseFolders()
    with pytest.raises(InputError, match="UNWISE_MODEL_SKY_DIR"):
        folders.check()
    (tmp_path / "sky").mkdir()
    with caplog.at_level(logging.WARNING):
        folders.check()
    assert "there is no directory /other" in caplog.text
    with pytest.raises(InputError, match=r"--unwise-dir.*/nowhere"):
        WiseFolders.from_options(RunOptions(brick="b")).check()
    with pytest.raises(InputError, match=r"--unwise-tr-dir.*/tr"):
        WiseFolders((str(tmp_path),), "/tr", None).check()


def test_a_run_with_a_wrong_folder_ends_at_once(field, tmp_path):
    options = dataclasses.replace(field.options, outdir=str(tmp_path), unwise_dir="/nowhere")
    with pytest.raises(InputError, match=r"/nowhere: no such directory"):
        BrickRun(options).run()
    # Earlier stages do not need it.
    run = BrickRun(dataclasses.replace(options, stage=("refs",)))
    run.run()
    assert [record.name for record in run.stages] == ["tims", "refs"]
