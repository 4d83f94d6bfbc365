"""Stage mask_junk on real fields and the simulated one, and its options."""

import logging
import shutil
from types import SimpleNamespace

import fitsio
import numpy as np
import pytest
from real_fields import FIELDS, brick_run

from legacypipe_lite.bits import DQ
from legacypipe_lite.coadds import SparseImage
from legacypipe_lite.stages.mask_junk import STAGE, _warn_of_large_masks, read_outlier_masks
from legacypipe_lite.wcs import target_wcs, wcs_from_header

PICTURES = ("pre", "post", "masked-pos", "masked-neg")

#: Masked pixels of the simulated field, image by image.
SIM_COUNTS = [1561, 1486, 841, 878, 15807, 926, 1491, 1148, 1261]


def only(folder, pattern):
    (path,) = folder.rglob(pattern)
    return path


def reference_of(case, testdata):
    return testdata / "sim" / "simA-reference" if case == "simA" else testdata / "reference" / case


def hdus_of(path):
    with fitsio.FITS(str(path)) as fits:
        return {hdu.get_extname(): (hdu.read(), hdu.read_header()) for hdu in fits[1:]}


@pytest.mark.realdata
@pytest.mark.parametrize("case", FIELDS)
def test_products_equal_published_ones(case, testdata, tmp_path, monkeypatch):
    run = brick_run(case, testdata, tmp_path, monkeypatch, coadd_bw=case == "testcase4")
    run.stage("mask_junk")
    ours = hdus_of(only(tmp_path, "outlier-mask-*.fits.fz"))
    published = hdus_of(only(reference_of(case, testdata), "outlier-mask-*.fits.fz"))
    assert list(ours) == list(published)
    for name, (mask, header) in published.items():
        assert np.array_equal(ours[name][0], mask), name
        assert ours[name][0].dtype == np.uint8
        for key in ("IMTYPE", "CAMERA", "EXPNUM", "CCDNAME", "X0", "Y0", "EQUINOX"):
            assert ours[name][1][key] == header[key], key
    if case == "simA":
        assert [np.count_nonzero(mask) for mask, _ in ours.values()] == SIM_COUNTS
    for picture in PICTURES:
        if case == "testcase4" and picture in ("pre", "post"):
            continue  # its sky model is fitted anew: 5e-7 nanomaggies are enough to change a grey level
        paths = (only(folder, f"outliers-{picture}-*.jpg") for folder in (tmp_path, reference_of(case, testdata)))
        first, second = (path.read_bytes() for path in paths)
        assert first == second, picture
    assert [card[:2] for card in run.header()][-1] == ("OUTLIER", True)
    assert run.report.counts["outlier pixels"] == sum(np.count_nonzero(mask) for mask, _ in ours.values())


def test_masks_are_applied_and_carry_the_wcs(testdata, tmp_path, monkeypatch):
    run = brick_run("testcase6", testdata, tmp_path, monkeypatch)
    before = run.stage("tims")["tims"]
    images, inverrs = [t.image.copy() for t in before], [t.inverr.copy() for t in before]
    made = run.stage("mask_junk")
    names = []
    for tim, image, inverr, mask, patch in zip(
        run.state["tims"], images, inverrs, made["outlier_masks"], made["outlier_patches"]
    ):
        masked = inverr == 0
        assert np.array_equal(tim.image[~masked], image[~masked])
        assert np.array_equal(tim.image[masked], patch)
        if mask is not None:
            mask = mask.dense()
            names.append(tim.ccd.ccdname + tim.band)
            assert np.all(tim.inverr[mask > 0] == 0) and np.all(tim.dq[mask > 0] & DQ["outlier"])
            assert np.array_equal(tim.inverr[mask == 0], inverr[mask == 0])
        else:
            assert np.array_equal(tim.inverr, inverr) and not (tim.dq & DQ["outlier"]).any()
    assert sorted(names) == ["S4r", "S9z"]
    _, header = hdus_of(only(tmp_path, "outlier-mask-*.fits.fz"))["MASK-decam-695773-S4"]
    cards = {key: header[key] for key in header.keys()}  # noqa: SIM118 - a FITS header is no mapping
    tim = next(t for t in run.state["tims"] if t.ccd.expnum == 695773)
    cards.update(NAXIS1=tim.shape[1], NAXIS2=tim.shape[0])
    assert np.allclose(wcs_from_header(cards).pixel_to_sky(30.0, 60.0), tim.wcs.pixel_to_sky(30.0, 60.0), atol=1e-10)


def test_no_outliers(testdata, tmp_path, monkeypatch):
    run = brick_run("testcase6", testdata, tmp_path, monkeypatch, no_outliers=True)
    before = [t.image.copy() for t in run.stage("tims")["tims"]]
    made = run.stage("mask_junk")
    assert made["outlier_masks"] == made["outlier_patches"] == [None] * 6
    assert [card[:2] for card in run.header()][-1] == ("OUTLIER", False)
    assert all(np.array_equal(t.image, image) for t, image in zip(run.state["tims"], before))
    assert list(tmp_path.rglob("*outlier*")) == []


@pytest.fixture
def first_run(testdata, tmp_path, monkeypatch):
    """A finished run, and a function that makes another one in the same or another folder."""

    def again(outdir="a", **options):
        return brick_run("testcase6", testdata, tmp_path / outdir, monkeypatch, **options)

    run = again()
    run.stage("mask_junk")
    return run, again


def same_state(first, second):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(first.state["tims"], second.state["tims"])
        for name in ("image", "inverr", "dq")
    )


def test_cached_masks_give_the_same_images(first_run, tmp_path):
    first, again = first_run
    for path in (tmp_path / "a").rglob("*.jpg"):
        path.unlink()
    second = again(cache_outliers=True)
    second.stage("mask_junk")
    assert same_state(first, second)
    assert list((tmp_path / "a").rglob("*.jpg")) == []
    assert second.products.relative("outlier-mask") in second.products.checksums


def test_pictures_are_remade_from_cached_masks(first_run, tmp_path):
    first, again = first_run
    pictures = {path: path.read_bytes() for path in (tmp_path / "a").rglob("*.jpg")}
    assert len(pictures) == 4
    for path in pictures:
        path.unlink()
    second = again(remake_outlier_jpegs=True)
    second.stage("mask_junk")
    assert same_state(first, second)
    assert {path: path.read_bytes() for path in (tmp_path / "a").rglob("*.jpg")} == pictures


def test_cached_masks_may_lie_in_the_survey_directory(first_run, tmp_path, testdata, caplog):
    first, again = first_run
    survey = tmp_path / "survey"
    shutil.copytree(testdata / "realdata" / "testcase6", survey)
    source = first.products.path("outlier-mask")
    target = survey / first.products.relative("outlier-mask")
    target.parent.mkdir(parents=True)
    shutil.copy(source, target)
    second = again("b", cache_outliers=True)
    second.survey.root = survey
    with caplog.at_level(logging.INFO):
        second.stage("mask_junk")
    assert same_state(first, second)
    assert str(target) in caplog.text


def test_without_cached_masks_outliers_are_searched_for(first_run, caplog):
    first, again = first_run
    second = again("b", cache_outliers=True)
    second.stage("mask_junk")
    assert "no usable outlier masks" in caplog.text
    assert same_state(first, second)
    path = second.products.path("outlier-mask")
    path.write_bytes(path.read_bytes()[:3000])
    third = again("b", cache_outliers=True)
    third.stage("mask_junk")
    assert str(path) in caplog.text and same_state(first, third)


def test_masks_of_other_images_are_refused(first_run, caplog):
    first, _ = first_run
    tims = first.state["tims"]
    path = first.products.path("outlier-mask")
    assert [m.shape for m in read_outlier_masks(path, tims)] == [t.shape for t in tims]
    tims[2].x0 += 1
    assert read_outlier_masks(path, tims) is None and "another part of the CCD" in caplog.text
    tims[2].x0 -= 1
    object.__setattr__(tims[0].ccd, "expnum", 12)
    assert read_outlier_masks(path, tims) is None and "has no outlier mask MASK-decam-12-S9" in caplog.text


def test_leave_one_out_reaches_the_search(first_run, monkeypatch):
    _, again = first_run
    run = again("b", outlier_leave_one_out=True)
    run.stage("refs")
    asked = []
    from legacypipe_lite import outliers

    real = outliers.find_outliers
    monkeypatch.setattr(outliers, "find_outliers", lambda *a, **k: asked.append(k["leave_one_out"]) or real(*a, **k))
    run.stage("mask_junk")
    assert asked == [True] * 3


def test_threads_change_nothing(first_run):
    first, again = first_run
    second = again("b", threads=2)
    second.stage("mask_junk")
    assert same_state(first, second)


def test_declared_items():
    assert STAGE.makes == ("outlier_masks", "outlier_patches") and STAGE.apply is not None


@pytest.mark.parametrize("n_masked, said", [(150, False), (250, True)])
def test_large_masks_are_said(caplog, n_masked, said):
    wcs = target_wcs(150.0, 20.0, 100, 100, 0.262)
    tim = SimpleNamespace(name="x-N4", inverr=np.ones(wcs.shape, np.float32))
    mask = SparseImage(wcs.shape, np.arange(n_masked, dtype=np.int32), np.ones(n_masked, np.uint8))
    _warn_of_large_masks([tim, tim], [mask, None])
    assert ("x-N4: 2.5 % of the pixels are masked as outliers" in caplog.text) == said
