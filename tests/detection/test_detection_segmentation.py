"""Segmentation of a blob among its sources."""

import numpy as np
import pytest
import segmentation_twins
from scipy import ndimage

from legacypipe_lite.detection import kingdoms, segmentation_map, watershed


@pytest.fixture(params=[0, 1, 2])
def blob(request):
    """Signal-to-noise map with plateaus, mask, seeds (two of them share a pixel), source numbers, radii."""
    rng = np.random.default_rng(request.param)
    sn = ndimage.gaussian_filter(rng.normal(size=(50, 70)), 2) * 30
    sn = np.round(np.maximum(sn, 0)).astype(np.float32)
    mask = ndimage.binary_opening(rng.random((50, 70)) < 0.95)
    xs, ys = rng.integers(0, 70, 9), rng.integers(0, 50, 9)
    xs[4], ys[4] = xs[2], ys[2]
    source = np.array([3, 5, 6, 9, 11, 12, 20, 21, 30])
    radius = np.where(rng.random(9) < 0.5, 8.0, np.inf)
    return sn, mask, xs, ys, source, radius


def test_watershed_equals_its_twin(blob):
    sn, mask, xs, ys, source, radius = blob
    out = watershed(sn, mask, xs, ys, source, radius)
    assert out.dtype == np.int32
    np.testing.assert_array_equal(out, segmentation_twins.watershed(sn, mask, xs, ys, source, radius))
    unlimited = watershed(sn, mask, xs, ys)
    twin = segmentation_twins.watershed(sn, mask, xs, ys, range(9), np.full(9, np.inf))
    np.testing.assert_array_equal(unlimited, twin)


def test_of_two_seeds_at_a_pixel_the_last_owns_it_and_the_first_floods():
    sn = np.ones((9, 9), np.float32)
    out = watershed(sn, np.ones(sn.shape, bool), [4, 4], [4, 4])
    assert out[4, 4] == 1
    assert np.sum(out == 0) == 80


def test_kingdoms_equal_their_twin(blob):
    sn, mask, xs, ys, source, _ = blob
    out = watershed(sn, mask, xs, ys, source)
    expected = segmentation_twins.kingdoms(out, xs, ys, source)
    assert kingdoms(out, xs, ys, source) is out
    np.testing.assert_array_equal(out, expected)


def test_two_hills_meet_in_the_valley():
    x = np.arange(60)
    sn = np.tile(np.exp(-((x - 15) ** 2) / 50) + np.exp(-((x - 44) ** 2) / 50), (5, 1)).astype(np.float32)
    out = watershed(sn, np.ones(sn.shape, bool), [15, 44], [2, 2])
    assert np.all(out[:, :30] == 0)
    assert np.all(out[:, 30:] == 1)


def test_radius_limit_is_a_circle_of_whole_distances():
    sn = np.zeros((81, 81), np.float32)
    out = watershed(sn, np.ones(sn.shape, bool), [40], [40], max_radius=[25])
    y, x = np.indices(sn.shape) - 40
    np.testing.assert_array_equal(out == 0, x**2 + y**2 <= 625)
    assert np.all(out[x**2 + y**2 > 625] == -1)


def test_flood_stays_in_the_mask_but_kingdoms_do_not():
    mask = np.zeros((40, 40), bool)
    mask[20] = True
    sn = np.ones(mask.shape, np.float32)
    out = watershed(sn, mask, [20], [20])
    np.testing.assert_array_equal(out == 0, mask)
    kingdoms(out, [20], [20])
    y, x = np.indices(mask.shape) - 20
    np.testing.assert_array_equal(out == 0, mask | (np.trunc(np.hypot(x, y) + 0.5) <= 10))


def test_the_brighter_of_two_equally_near_sources_owns_the_pixel():
    sn = np.ones((21, 31), np.float32)
    mask = np.ones(sn.shape, bool)
    first = segmentation_map(sn, mask, [10, 14], [10, 10], brightness=[1.0, 2.0])
    second = segmentation_map(sn, mask, [10, 14], [10, 10], brightness=[2.0, 1.0])
    assert (first[10, 12], second[10, 12]) == (1, 0)
    assert (first[10, 11], first[10, 13]) == (0, 1)


def test_cluster_sources_have_a_kingdom_only():
    rng = np.random.default_rng(3)
    sn = rng.random((60, 60)).astype(np.float32) + 1
    mask = np.ones(sn.shape, bool)
    cluster = np.zeros(sn.shape, bool)
    cluster[:, 30:] = True
    out = segmentation_map(sn, mask, [10, 45], [30, 30], brightness=[5, 1], source=[4, 7], cluster=cluster)
    flood = watershed(np.where(cluster, 0, sn), mask, [10], [30], [4])
    np.testing.assert_array_equal(out, kingdoms(flood, [10, 45], [30, 30], [4, 7]))
    assert np.sum(out == 7) == np.sum(segmentation_twins.kingdoms(np.full(sn.shape, -1), [45], [30], [7]) == 7)


def test_no_sources():
    out = segmentation_map(np.ones((5, 5), np.float32), np.ones((5, 5), bool), [], [], [])
    assert np.all(out == -1)
