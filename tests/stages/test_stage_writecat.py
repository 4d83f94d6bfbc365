"""Stages wise_forced and writecat: what they write for real fields."""

import dataclasses
import subprocess
from types import SimpleNamespace

import fitsio
import numpy as np
import pytest
from real_fields import brick_run

from legacypipe_lite.options import RunOptions
from legacypipe_lite.report import Report
from legacypipe_lite.stages import load_stage
from legacypipe_lite.survey import OutputTree
from legacypipe_lite.survey.header import bit_cards, dq_bit_cards, merge_cards


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def run(testdata, tmp_path_factory, monkeypatch_module):
    """A whole run of testcase6."""
    monkeypatch_module.delenv("DUST_DIR", raising=False)
    run = brick_run("testcase6", testdata, tmp_path_factory.mktemp("out"), monkeypatch_module, no_wise=True)
    run.run()
    return run


@pytest.fixture
def reference(testdata):
    return OutputTree(testdata / "reference" / "testcase6", "1102p240")


def header(path, ext=0):
    return fitsio.read_header(str(path), ext=ext)


def test_tractor_has_the_columns_of_the_reference(run, reference):
    ours, theirs = (fitsio.read(str(tree.path("tractor"))) for tree in (run.products, reference))
    assert len(ours) == len(theirs) == 7
    assert ours.dtype.names == theirs.dtype.names
    for name in ours.dtype.names:
        assert ours.dtype[name].base == theirs.dtype[name].base and ours.dtype[name].shape == theirs.dtype[name].shape
    a, b = (header(tree.path("tractor"), 1) for tree in (run.products, reference))
    for key in b:
        if key.startswith(("TUNIT", "TFORM", "TTYPE", "EXTNAME")):
            assert a[key].strip() == b[key].strip(), key


def test_identities_and_bits_equal_the_reference(run, reference):
    ours, theirs = (fitsio.read(str(tree.path("tractor"))) for tree in (run.products, reference))
    for name in ("ls_id_dr11", "release", "brickid", "brickname", "objid", "brick_primary", "maskbits", "fitbits"):
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    np.testing.assert_array_equal(np.char.strip(ours["ref_cat"]), np.char.strip(theirs["ref_cat"]))
    stars = theirs["ref_id"] != 0
    np.testing.assert_array_equal(ours["ra_ivar"][stars], theirs["ra_ivar"][stars])
    for name in ("type", "ref_id", "mjd_min", "mjd_max", "nobs_g", "anymask_r", "apflux_masked_z"):
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    np.testing.assert_allclose(ours["nearest_neighbor"], theirs["nearest_neighbor"], atol=0.02)


def test_tractor_in_memory_is_the_file(run):
    rows = fitsio.read(str(run.products.path("tractor")))
    assert run.tractor.colnames == list(rows.dtype.names)
    for name in ("flux_g", "ra", "apflux_resid_z", "dchisq"):
        np.testing.assert_array_equal(run.tractor[name], rows[name])


def test_without_dust_maps(run):
    assert np.all(run.tractor["ebv"] == 0) and np.all(run.tractor["mw_transmission_g"] == 1)
    assert sum("DUST_DIR" in text for text in run.report.warnings) == 1


def test_headers_have_the_cards_of_the_reference(run, reference):
    for product in ("tractor", "tractor-i", "all-models", "sources", "reference", "ccds-table"):
        ours, theirs = (header(tree.path(product)) for tree in (run.products, reference))
        missing = {key for key in theirs.keys() if key not in ours} - {"VER_BLOB"}  # noqa: SIM118 - not a dict
        assert {key for key in missing if not key.startswith(("DEPNAM", "DEPVER"))} == set(), product
    ours, theirs = (header(tree.path("tractor")) for tree in (run.products, reference))
    for key in ("BRICKID", "RA", "DEC", "BANDS", "CAMS_G", "DCHISQ_2", "MB_ALLMASK_Z", "MBIT_19", "FB_WALKER"):
        assert ours[key] == theirs[key], key
    for key in ("WBIT_6", "ABIT_11", "AM_OUTLIER", "APRAD6"):
        assert ours[key] == theirs[key], key
    for key in ("RAMIN", "DECMAX", "CORN3RA", "CORN4DEC"):
        assert ours[key] == pytest.approx(theirs[key], abs=1e-9), key


def test_residual_sky_is_in_the_header(run):
    from legacypipe_lite.stages.writecat import _catalog_cards

    cards = _catalog_cards({**run.state, "co_sky": {"g": 0.1, "z": -0.2}})
    assert [card[:2] for card in cards if card[0].startswith("COSKY")] == [("COSKY_G", 0.1), ("COSKY_Z", -0.2)]


def test_maskbits_file(run, reference):
    with fitsio.FITS(str(run.products.path("maskbits"))) as fits:
        assert [hdu.get_extname() for hdu in fits][1:] == ["MASKBITS", "WISEM1", "WISEM2"]
        bits, wise = fits[1].read(), fits[2].read()
        assert fits[1].read_header()["IMTYPE"] == "maskbits"
    assert bits.dtype == np.int32 and wise.dtype == np.uint8 and not wise.any()
    np.testing.assert_array_equal(bits, fitsio.read(str(reference.path("maskbits")), ext=1))


def test_checksums(run, reference):
    def names(tree):
        return {line.split(" *")[1] for line in tree.path("checksums").read_text().splitlines()}

    assert len(names(run.products)) == 45 and names(run.products) == names(reference)
    subprocess.run(
        ["sha256sum", "--quiet", "-c", run.products.relative("checksums")], cwd=run.products.outdir, check=True
    )


def writecat_again(run, tmp_path, **changes):
    """The last stage once more, with other options."""
    options = dataclasses.replace(run.options, **changes)
    products = OutputTree(tmp_path, run.brickname)
    report = Report()
    tools = SimpleNamespace(survey=run.survey, products=products, header=run.header, report=report, map=run._map)
    state = dict(run.state)
    state.update(load_stage("wise_forced").run(state, options, tools).items)
    state.update(load_stage("writecat").run(state, options, tools).items)
    return state["tractor"], products, report


def test_wise_columns_without_unwise(run, tmp_path, monkeypatch):
    monkeypatch.delenv("UNWISE_COADDS_DIR", raising=False)
    monkeypatch.delenv("UNWISE_COADDS_TIMERESOLVED_DIR", raising=False)
    tractor, products, report = writecat_again(run, tmp_path, no_wise=False)
    assert len(tractor.colnames) == 186
    assert np.all(tractor["flux_w1"] == 0) and np.all(tractor["lc_epoch_index_w1"] == -1)
    assert tractor["lc_flux_w1"].shape == (7, 17) and np.all(tractor["mw_transmission_w4"] == 1)
    assert not any("WISE" in text for text in report.warnings)
    card = header(products.path("tractor"))
    assert card["WISEAB1"] == 2.699 and card["WAPRAD4"] == 11.0
    inter = fitsio.read(str(products.path("tractor-i")))
    assert "flux_w1" in inter.dtype.names
    assert len(fitsio.FITS(str(products.path("maskbits")))) == 4


def test_wise_bits(run, tmp_path):
    state = dict(run.state)
    masks = [np.zeros(state["target"].shape, np.uint8) for _ in range(2)]
    masks[0][:10], masks[1][:, :10] = 4, 8
    state.update(wise_masks=masks)
    products = OutputTree(tmp_path, run.brickname)
    tools = SimpleNamespace(survey=run.survey, products=products, header=run.header, report=Report())
    load_stage("writecat").run(state, run.options, tools)
    bits = fitsio.read(str(products.path("maskbits")), ext=1)
    np.testing.assert_array_equal(bits & 0x100 != 0, masks[0] != 0)
    np.testing.assert_array_equal(bits & 0x200 != 0, masks[1] != 0)
    np.testing.assert_array_equal(fitsio.read(str(products.path("maskbits")), ext="WISEM2"), masks[1])


def test_release_and_data_model(run, tmp_path):
    tractor, products, _ = writecat_again(run, tmp_path, release=10002, data_model="dr9", no_wise=False)
    assert np.all(tractor["release"] == 10002)
    assert tractor["lc_flux_w1"].shape == (7, 15) and tractor["maskbits"].dtype == np.int16
    assert "ngood_g" not in tractor.colnames


def test_dust_maps(run, tmp_path, monkeypatch):
    (tmp_path / "dust" / "maps").mkdir(parents=True)
    for name in ("ngp", "sgp"):
        path = tmp_path / "dust" / "maps" / f"SFD_dust_4096_{name}.fits"
        fitsio.write(str(path), np.full((4096, 4096), 0.05, np.float32), compress="RICE")
        image = fitsio.read(str(path), ext=1)
        fitsio.write(str(path), image, clobber=True)
    monkeypatch.setenv("DUST_DIR", str(tmp_path / "dust"))
    tractor, _, report = writecat_again(run, tmp_path / "out")
    np.testing.assert_allclose(tractor["ebv"], 0.05, rtol=1e-6)
    np.testing.assert_allclose(tractor["mw_transmission_r"], 10 ** (-0.4 * 2.165 * 0.05), rtol=1e-6)
    assert not report.warnings


def test_stage_declarations():
    for name in ("wise_forced", "writecat"):
        stage = load_stage(name)
        assert stage.name == name and stage.text and stage.apply is None
    assert RunOptions().data_model == "dr10"


def test_cards():
    bits = [SimpleNamespace(name="B", value=2, text="second"), SimpleNamespace(name="A", value=1, text="first")]
    assert bit_cards(bits, "F", "fitbit") == [
        ("COMMENT", "fitbits bits:", ""),
        ("FB_B", 2, "fitbit: second"),
        ("FB_A", 1, "fitbit: first"),
        ("FBIT_0", "A", "fitbit 0 (0x1): first"),
        ("FBIT_1", "B", "fitbit 1 (0x2): second"),
    ]
    assert ("ABIT_11", "outlier", "allmask/anymask bit 2**11=2048 meaning") in dq_bit_cards({"outlier": 2048})
    merged = merge_cards([("A", 1, ""), ("COMMENT", "x", "")], [("B", 2, ""), ("A", 3, ""), ("COMMENT", "x", "")])
    assert merged == [("A", 3, ""), ("COMMENT", "x", ""), ("B", 2, ""), ("COMMENT", "x", "")]
