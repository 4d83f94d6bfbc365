"""Detection in the real fields, step by step and with other options."""

from types import SimpleNamespace

import numpy as np
import pytest
from real_fields import brick_run

from legacypipe_lite import detection
from legacypipe_lite.options import RunOptions
from legacypipe_lite.reference import mask_map
from legacypipe_lite.stages.srcs import brick_maps

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def field(testdata, tmp_path_factory):
    """``field(case, **options)``: the state of a field before the stage srcs; each is made once."""
    states = {}

    def get(case, **options):
        key = case, *options.items()
        if key not in states:
            with pytest.MonkeyPatch.context() as patch:
                run = brick_run(case, testdata, tmp_path_factory.mktemp(case), patch, **options)
                run.stage("halos")
            states[key] = SimpleNamespace(**run.state)
        return states[key]

    return get


def detect(state, nsatur=None, **rules):
    """All steps of the stage; returns them as attributes."""
    target, refs = state.target, state.refs
    maps = brick_maps(state.tims, target, state.bands, RunOptions(brick="x", nsatur=nsatur))
    omit = detection.omitted_pixels(refs, [tim.mjd_tai for tim in state.tims], target)
    rows = np.asarray(refs["iscluster"] | refs["ismcloud"] | refs["freezeparams"])
    veto = mask_map(refs, target, rows) != 0
    defaults = RunOptions(brick="x")
    rules = {name: getattr(defaults, name) for name in ("nsigma", "saddle_fraction", "saddle_min")} | rules
    found = detection.detect_sources(maps, detection.sed_list(state.bands), omit, veto=veto, **rules)
    merged = detection.merge_hot_saturated(found.hot, maps.saturated)
    regular = refs[~refs["ignore_source"]]
    x, y = np.r_[found.x, regular["ibx"]], np.r_[found.y, regular["iby"]]
    blobs = detection.segment_blobs(merged, x, y)
    return SimpleNamespace(maps=maps, omit=omit, veto=veto, found=found, merged=merged, blobs=blobs)


def sizes(blobs):
    return detection.blob_properties(blobs[0], len(blobs[1])).npix.tolist()


def found_in(result):
    found = result.found
    return list(zip(found.x.tolist(), found.y.tolist(), found.sed))


HOT = {
    "testcase3": (1847, 1847, [1847]),
    "testcase4": (3961, 3961, [305, 571, 515, 891, 858, 199, 208, 414]),
    "testcase6": (9970, 10000, [10000]),
    "testcase9": (6094, 6094, [6094]),
    "testcase12": (1223, 1223, [713, 510]),
    "mzlsbass2": (8914, 8914, [1531, 1295, 3739, 417, 1436, 496]),
}
OMITTED = {
    "testcase3": set(),
    "testcase4": {(230, 166), (223, 64), (222, 116)},
    "testcase6": {(44, 51)},
    "testcase9": {(44, 50)},
    "testcase12": set(),
    "mzlsbass2": {(75, 111), (135, 62), (142, 76)},
}


@pytest.mark.parametrize("case", HOT)
def test_omitted_and_hot_pixels(field, case):
    result = detect(field(case))
    hot, merged, npix = HOT[case]
    assert set(map(tuple, result.omit.tolist())) == OMITTED[case]
    assert result.veto.sum() == (4833 if case == "testcase12" else 0)
    assert (result.found.hot.sum(), result.merged.sum()) == (hot, merged)
    assert sizes(result.blobs) == npix


def test_maps_of_testcase4(field):
    maps = detect(field("testcase4")).maps
    assert maps.detmap.max() == pytest.approx(186.6576, abs=1e-4)
    assert maps.detmap.sum(dtype=float) == pytest.approx(10153.09, abs=0.1)  # the sky model is fitted in the run
    assert maps.detiv.max() == pytest.approx(37.867, abs=1e-3)
    assert maps.detiv.sum(dtype=float) == pytest.approx(2155057, abs=1)


def test_maps_of_testcase6(field):
    state = field("testcase6")
    maps = detect(state).maps
    assert maps.bands == ["g", "r", "z"]
    np.testing.assert_allclose(maps.detmap.max(axis=(1, 2)), [110.5436, 146.0057, 175.5094], atol=1e-4)
    np.testing.assert_allclose(maps.detiv.max(axis=(1, 2)), [1375.96, 498.971, 102.164], rtol=1e-5)
    assert maps.satmap.sum(axis=(1, 2)).tolist() == [1356, 934, 913]
    assert maps.saturated.sum(axis=(1, 2)).tolist() == [2156, 1734, 1713]
    maps = detect(state, nsatur=2).maps
    assert maps.satmap.sum(axis=(1, 2)).tolist() == [999, 737, 777]
    assert maps.saturated.sum(axis=(1, 2)).tolist() == [1799, 1537, 1577]


def test_two_saturated_images_needed(field):
    result = detect(field("testcase6"), nsatur=2)
    assert found_in(result) == [(44, 37, "z"), (92, 7, "z"), (44, 65, "g")]
    np.testing.assert_allclose(result.found.peaksn, [1434.9973, 51.892, 2550.9253], rtol=1e-6)
    assert (result.found.hot.sum(), result.merged.sum()) == (9970, 10000)


def test_tycho_star_is_moved_to_the_dates_of_the_images(field):
    state = field("testcase6", no_gaia=True)
    result = detect(state)
    assert result.omit.tolist() == [[45, 51]]
    inside = state.refs[state.refs["in_bounds"]]
    assert (inside["ibx"].tolist(), inside["iby"].tolist()) == ([44], [52])
    assert found_in(result) == [(92, 7, "z")]
    assert result.found.peaksn == pytest.approx(56.9739, abs=1e-4)
    assert (result.found.hot.sum(), result.merged.sum()) == (9994, 10000)


def test_counts_of_sima(field):
    result = detect(field("simA"))
    assert {name: tuple(c) for name, c in result.found.counts.items()} == {
        "z": (94, 12, 5, 1, 76),
        "r": (129, 84, 13, 0, 32),
        "g": (111, 95, 10, 0, 6),
        "Flat": (162, 125, 11, 1, 25),
        "Red": (171, 151, 14, 0, 6),
    }
    assert result.found.hot.sum() == 83225
    assert len(result.blobs[1]) == 89


def test_sources_of_small_fields(field):
    result = detect(field("testcase3"))
    assert found_in(result) == [(23, 18, "z"), (41, 20, "z")]
    np.testing.assert_allclose(result.found.peaksn, [379.1259, 24.8001], atol=1e-4)
    result = detect(field("testcase9"))
    assert found_in(result) == [(70, 82, "z"), (68, 89, "z"), (86, 38, "r")]
    result = detect(field("mzlsbass2"))
    assert found_in(result)[5:] == [(131, 115, "z"), (15, 118, "r"), (151, 122, "g"), (182, 148, "g")]


@pytest.mark.parametrize(
    ("rules", "hot", "npix"),
    [
        ({"blob_dilate": 3}, 1836, [105, 271, 230, 486, 473, 49, 53, 169]),
        ({"nsigma": 12.0}, 2660, [485, 438, 723, 708, 306]),
    ],
)
def test_options_in_testcase4(field, rules, hot, npix):
    result = detect(field("testcase4"), **rules)
    assert result.found.hot.sum() == hot
    assert sizes(result.blobs) == npix
    assert len(result.found) == (2 if "nsigma" in rules else 5)


def test_blobs_of_testcase4(field):
    state = field("testcase4")
    blobmap, blob_sources, blob_slices = detect(state).blobs
    boxes = [(y.start, y.stop, x.start, x.stop) for y, x in blob_slices]
    assert boxes == [
        (5, 27, 159, 182),
        (50, 79, 208, 238),
        (103, 130, 208, 236),
        (107, 149, 43, 75),
        (148, 184, 212, 248),
        (174, 193, 54, 73),
        (210, 229, 202, 221),
        (211, 237, 224, 249),
    ]
    assert [len(rows) for rows in blob_sources] == [1] * 8
    assert detection.blob_properties(blobmap, 8).by_size().tolist() == [3, 4, 1, 2, 7, 0, 6, 5]


@pytest.mark.parametrize(
    ("options", "npix"),
    [
        ({"nblobs": 3}, [305, 571, 515]),
        ({"blob": 5}, [199, 208, 414]),
        ({"blobid": "3,1"}, [891, 571]),
        ({"blobxy": ((60, 120), (10, 10))}, [891]),
    ],
)
def test_selected_blobs_of_testcase4(field, options, npix):
    state = field("testcase4")
    blobs = detect(state).blobs
    selection = detection.select_blobs(RunOptions(brick="x", **options), *blobs, state.target)
    assert sizes((selection.blobmap, selection.blob_sources)) == npix


def test_blob_mask_of_testcase4(field):
    state = field("testcase4")
    mask = detection.hot_mask(detect(state).maps, detection.sed_list(state.bands))
    assert mask.sum() == 3961
    blobmap, _, blob_slices = detection.segment_blobs(mask, *np.nonzero(mask)[::-1])
    npix = detection.blob_properties(blobmap, len(blob_slices)).npix
    assert (len(npix), npix.max()) == (8, 891)
