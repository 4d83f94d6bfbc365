"""Source detection: kernels against their twins, and the numbers of the frozen synthetic field."""

import blobs_twins
import detection_fields
import morphology_twins
import numpy as np
import peaks_twins
import pytest

from legacypipe_lite import detection
from legacypipe_lite.detection import (
    DetectionMaps,
    hot_mask,
    hot_pixels,
    merge_hot_saturated,
    peaks_kernels,
    sed_list,
    segment_blobs,
)

SEDS = sed_list(["g", "r", "z"])
RULES = {"nsigma": 6.0, "saddle_fraction": 0.1, "saddle_min": 2.0}


def detect_sources(maps, seds, omit_xy=(), **options):
    return detection.detect_sources(maps, seds, omit_xy, **{**RULES, **options})


@pytest.fixture(scope="module")
def field():
    return detection_fields.synthetic_field()


@pytest.fixture(scope="module")
def found(field):
    maps, omit, veto = field
    return detect_sources(maps, SEDS, omit, veto=veto)


def one_band(sn):
    """Detection maps of one band with inverse variance 1."""
    sn = np.asarray(sn, np.float32)[np.newaxis]
    return DetectionMaps(["r"], sn, np.ones_like(sn), np.zeros(sn.shape, bool))


# ---- the synthetic field


@pytest.mark.compiled
def test_field_is_the_frozen_one(field):
    maps, omit, veto = field
    sums = maps.detmap.sum(axis=(1, 2), dtype=float)
    np.testing.assert_allclose(sums, [273638.233, 236222.987, 260563.006], atol=1e-3)
    np.testing.assert_allclose(maps.detiv.sum(axis=(1, 2), dtype=float), [1733704, 939091.5, 403303])
    assert maps.satmap.sum(axis=(1, 2)).tolist() == [5596, 5452, 4556]
    assert maps.saturated.sum(axis=(1, 2)).tolist() == [19673, 19592, 16081]
    assert omit == [(380, 25), (240, 2), (388, 208), (333, 196), (198, 286), (265, 278)]
    assert veto.sum() == 3517


DEFAULT_COUNTS = [(217, 98, 11, 0, 108), (213, 173, 31, 0, 9), (259, 221, 21, 0, 17), (363, 326, 29, 0, 8)]
DEFAULT_COUNTS += [(340, 313, 26, 0, 1)]
OTHER_COUNTS = [(226, 100, 12, 0, 114), (224, 181, 32, 0, 11), (268, 228, 25, 0, 15), (367, 333, 30, 1, 3)]
OTHER_COUNTS += [(350, 322, 27, 0, 1)]


@pytest.mark.parametrize(
    ("options", "counts", "hot", "joined", "blobs", "blob_pixels"),
    [
        ({}, DEFAULT_COUNTS, 70745, 74043, 9, 75489),
        ({"nsigma": 5, "saddle_fraction": 0.2, "saddle_min": 1}, OTHER_COUNTS, 73299, 76221, 5, 81964),
        ({"blob_dilate": 3}, DEFAULT_COUNTS, 41626, 47836, 50, 50268),
    ],
)
@pytest.mark.compiled
def test_field_counts(field, options, counts, hot, joined, blobs, blob_pixels):
    maps, omit, veto = field
    found = detect_sources(maps, SEDS, omit, veto=veto, **options)
    assert list(found.counts) == ["z", "r", "g", "Flat", "Red"]
    assert [tuple(c) for c in found.counts.values()] == counts
    assert found.hot.sum() == hot
    merged = merge_hot_saturated(found.hot, maps.saturated)
    assert merged.sum() == joined
    ox, oy = np.array(omit).T
    blobmap, blob_sources, _ = segment_blobs(merged, np.r_[found.x, ox], np.r_[found.y, oy])
    assert len(blob_sources) == blobs
    assert (blobmap >= 0).sum() == blob_pixels


@pytest.mark.compiled
def test_field_sources(found):
    sed = np.array(found.sed)
    expected = {
        "z": (19614, 16928, 11375.653),
        "r": (1426, 1192, 334.453),
        "g": (3229, 2859, 1112.875),
        "Flat": (1884, 993, 56.601),
        "Red": (155, 185, 9.704),
    }
    for name, (sum_x, sum_y, sum_sn) in expected.items():
        rows = sed == name
        assert (found.x[rows].sum(), found.y[rows].sum()) == (sum_x, sum_y)
        assert found.peaksn[rows].sum(dtype=float) == pytest.approx(sum_sn, abs=1e-3)
    first = list(zip(found.x[:3], found.y[:3]))
    assert first == [(359, 94), (207, 118), (146, 210)]
    np.testing.assert_allclose(found.peaksn[:3], [347.8149, 346.7812, 345.626], atol=1e-4)
    rows = sed == "r"
    assert list(zip(found.x[rows], found.y[rows])) == [
        (91, 286),
        (13, 15),
        (205, 30),
        (37, 298),
        (224, 108),
        (119, 97),
        (276, 253),
        (239, 51),
        (222, 54),
    ]
    sn = [219.1507, 53.0483, 18.4207, 9.054, 8.7668, 6.8048, 6.702, 6.4857, 6.0202]
    np.testing.assert_allclose(found.peaksn[rows], sn, atol=1e-4)
    assert found.apsn[sed == "Red"] == pytest.approx(-0.6858, abs=1e-4)
    assert len(found) == len(sed) == 143


def test_field_blobs(field, found):
    maps, omit, _ = field
    ox, oy = np.array(omit).T
    merged = merge_hot_saturated(found.hot, maps.saturated)
    blobmap, blob_sources, _ = segment_blobs(merged, np.r_[found.x, ox], np.r_[found.y, oy])
    sizes = np.bincount(blobmap[blobmap >= 0])
    assert sizes.tolist() == [67623, 2619, 506, 558, 162, 645, 1823, 143, 1410]
    assert [len(rows) for rows in blob_sources] == [131, 5, 2, 1, 1, 2, 2, 1, 4]


def test_hot_patches_of_omitted_sources_count(field, found):
    maps, omit, veto = field
    own = np.zeros(maps.shape, bool)
    for sed in SEDS:
        sn, _ = peaks_twins.signal_to_noise(maps.detmap, maps.detiv, sed.weights)
        labels, _ = morphology_twins.label(morphology_twins.fill_holes(morphology_twins.dilate(sn > 6, 8)))
        rows = np.array(found.sed) == sed.name
        own |= np.isin(labels, np.setdiff1d(labels[found.y[rows], found.x[rows]], [0]))
    assert own.sum() == 63232
    assert found.hot.sum() == 70745


def test_no_sources_are_found_near_omitted_ones_or_under_the_veto(field, found):
    _, omit, veto = field
    assert not veto[found.y, found.x].any()
    for x, y in omit:
        assert np.all(np.hypot(found.x - x, found.y - y) >= 4)


@pytest.mark.parametrize("options", [{}, {"nsigma": 4.5, "saddle_fraction": 0.3, "saddle_min": 0.7, "blob_dilate": 2}])
def test_detection_equals_its_twin(options):
    maps, _, veto = detection_fields.synthetic_field(h=150, w=170, n=60)
    omit = [(30, 40), (80, 100), (-3, 20), (171, 149), (60, 152)]
    veto = np.roll(veto, (-20, -200), (0, 1))
    found = detect_sources(maps, SEDS, omit, veto=veto, **options)
    rows, counts, hot = peaks_twins.detect(maps, SEDS, omit, veto, **options)
    assert [(r[0], r[1], r[2]) for r in rows] == list(zip(found.x, found.y, found.sed))
    np.testing.assert_allclose([r[3] for r in rows], found.peaksn, rtol=1e-6)
    np.testing.assert_allclose([r[4] for r in rows], found.apsn, rtol=1e-5, atol=1e-6)
    assert {name: c._asdict() for name, c in found.counts.items()} == counts
    np.testing.assert_array_equal(found.hot, hot)


# ---- two blended sources


def pair(amplitude1, amplitude2, distance):
    y, x = np.indices((81, 121))

    def star(x0, amplitude):
        return amplitude * np.exp(-((x - x0) ** 2 + (y - 40) ** 2) / (2 * 3.0**2))

    return detect_sources(one_band(star(40, amplitude1) + star(40 + distance, amplitude2)), sed_list(["r"]))


@pytest.mark.parametrize(("amplitudes", "smallest"), [((100, 50), 10), ((30, 30), 8), ((10, 8), 10), ((300, 10), 14)])
def test_smallest_separation(amplitudes, smallest):
    assert [len(pair(*amplitudes, d)) for d in range(4, 18)] == [1 + (d >= smallest) for d in range(4, 18)]


def test_fate_of_the_fainter_source():
    assert [pair(100, 50, d).counts["r"].candidates for d in (6, 7)] == [1, 1]
    assert [tuple(pair(100, 50, d).counts["r"]) for d in (8, 9)] == [(2, 0, 1, 0, 1)] * 2
    assert [int(pair(100, 50, d).hot.sum()) for d in (6, 8, 10, 12)] == [752, 808, 858, 904]
    assert [pair(300, 10, d).counts["r"].candidates for d in (10, 11)] == [1, 1]
    assert [tuple(pair(300, 10, d).counts["r"]) for d in (12, 13)] == [(2, 0, 1, 0, 1)] * 2
    assert pair(300, 10, 14).hot.sum() == 870
    assert tuple(pair(10, 8, 7).counts["r"]) == (2, 1, 0, 0, 1)
    assert tuple(pair(30, 30, 7).counts["r"]) == (2, 1, 0, 0, 1)


# ---- single rules


def test_disc_of_radius_four_has_45_pixels_and_is_clipped():
    mask = np.zeros((20, 20), bool)
    peaks_kernels.paint_discs(mask, np.array([10]), np.array([10]), 4.0)
    assert mask.sum() == 45
    mask[:] = False
    peaks_kernels.paint_discs(mask, np.array([-2, 25]), np.array([5, 5]), 4.0)
    np.testing.assert_array_equal(mask, peaks_twins.discs(mask.shape, [(-2, 5)], 4))
    assert mask.any()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100, 941])
def test_percentile(n):
    values = np.random.default_rng(n).normal(size=n).astype(np.float32)
    expected = np.percentile(values.astype(float), 16)
    assert peaks_kernels.percentile(values.copy(), n, 16.0) == pytest.approx(expected, rel=1e-6)


def test_plateau_is_one_source_at_its_first_pixel():
    sn = np.zeros((60, 60))
    sn[30:32, 30:32] = 20
    found = detect_sources(one_band(sn), sed_list(["r"]))
    assert tuple(found.counts["r"]) == (4, 3, 0, 0, 1)
    assert (found.x.tolist(), found.y.tolist()) == ([30], [30])


def test_rim_of_the_map_has_no_peaks():
    sn = np.zeros((40, 40))
    sn[0, 20] = sn[20, 39] = 30
    found = detect_sources(one_band(sn), sed_list(["r"]))
    assert len(found) == 0
    assert not found.hot.any()


@pytest.mark.compiled
def test_bright_surroundings_fail_the_aperture_test():
    sn = np.full((60, 60), 20.0)
    sn[30, 30] = 25
    n, *fates = detect_sources(one_band(sn), sed_list(["r"])).counts["r"]
    assert n > 3000  # the whole plateau
    assert fates == [0, 0, n, 0]
    sn[30, 30] = 27
    found = detect_sources(one_band(sn), sed_list(["r"]))
    assert (found.x.tolist(), found.apsn.tolist()) == ([30], [20])


def test_saturated_pixels_bridge_peaks():
    sn = np.zeros((60, 80))
    sn[30, 30], sn[30, 50] = 50, 40
    maps = one_band(sn)
    assert len(detect_sources(maps, sed_list(["r"]))) == 2
    maps = one_band(sn)
    maps.satmap[0, 30, 33:48] = True
    assert len(detect_sources(maps, sed_list(["r"]))) == 1
    assert len(detect_sources(maps, sed_list(["r"]), [(40, 30)])) == 0


def test_connections_end_at_the_window():
    sn = np.zeros((60, 200))
    sn[30, 40:160] = 20
    sn[30, 40], sn[30, 60], sn[30, 159] = 25, 22, 21.5
    found = detect_sources(one_band(sn), sed_list(["r"]))
    assert found.x.tolist() == [40, 159]  # all are connected, but the last is far from the others


def test_without_drop_nothing_is_separated():
    sn = np.zeros((50, 50))
    sn[25, 25] = 30
    found = detect_sources(one_band(sn), sed_list(["r"]), saddle_fraction=0, saddle_min=0)
    assert tuple(found.counts["r"]) == (1, 0, 1, 0, 0)


def test_omitted_position_off_the_map_makes_the_nearest_patch_hot():
    sn = np.zeros((50, 50))
    sn[24:27, 2] = 30
    maps = one_band(sn)
    assert detect_sources(maps, sed_list(["r"]), [(-8, 25)]).hot[25, 0]
    sn[24:27, 2] = 0
    sn[24:27, 0] = 30  # no peak at the rim, so nothing owns the patch ...
    assert not detect_sources(one_band(sn), sed_list(["r"])).hot.any()
    assert detect_sources(one_band(sn), sed_list(["r"]), [(-8, 25)]).hot.any()  # ... but the omitted position does


def test_seds_without_data_are_passed_over():
    maps = one_band(np.eye(40) * 20)
    maps = DetectionMaps(
        ["g", "r"],
        np.concatenate([maps.detmap, maps.detmap]),
        np.concatenate([0 * maps.detiv, maps.detiv]),
        np.concatenate([maps.satmap, maps.satmap]),
    )
    assert list(detect_sources(maps, sed_list(["g", "r"])).counts) == ["r", "Flat", "Red"]


def test_blob_dilate_zero_leaves_the_mask():
    sn = np.zeros((40, 40))
    sn[20, 20] = 30
    found = detect_sources(one_band(sn), sed_list(["r"]), blob_dilate=0)
    assert found.hot.sum() == 1


@pytest.mark.parametrize("options", [{"nsigma": 0}, {"saddle_fraction": 1.5}, {"saddle_min": -1}, {"blob_dilate": -1}])
def test_senseless_thresholds_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        detect_sources(one_band(np.zeros((20, 20))), sed_list(["r"]), **options)


@pytest.mark.compiled
def test_inputs_are_not_changed(field):
    maps, omit, veto = field
    before = [a.copy() for a in (maps.detmap, maps.detiv, maps.satmap, veto)]
    detect_sources(maps, SEDS, omit, veto=veto)
    for a, b in zip((maps.detmap, maps.detiv, maps.satmap, veto), before):
        np.testing.assert_array_equal(a, b)


# ---- detection without peaks


@pytest.mark.compiled
def test_hot_mask_equals_its_twin(field):
    maps, _, _ = field
    expected = np.zeros(maps.shape, bool)
    for sed in SEDS:
        sn, _ = peaks_twins.signal_to_noise(maps.detmap, maps.detiv, sed.weights)
        expected |= morphology_twins.fill_holes(morphology_twins.dilate(sn > 7, 5))
    np.testing.assert_array_equal(hot_pixels(maps, SEDS, 7.0, 5), expected)
    joined = blobs_twins.join_columns(expected, maps.saturated.any(axis=0))
    np.testing.assert_array_equal(hot_mask(maps, SEDS, 7.0, 5), joined)
    assert joined.sum() > expected.sum()
