"""Binary morphology against SciPy's."""

import morphology_twins
import numpy as np
import pytest
from scipy import ndimage

from legacypipe_lite.detection import morphology_kernels as kernels

SHAPES = [(1, 1), (1, 7), (5, 1), (37, 53), (64, 100)]


@pytest.fixture(params=[(shape, density) for shape in SHAPES for density in (0.02, 0.3, 0.6, 0.9)], ids=str)
def mask(request):
    shape, density = request.param
    return np.random.default_rng(3).random(shape) < density


def test_label_and_boxes(mask):
    labels, count = kernels.label(mask)
    expected, expected_count = morphology_twins.label(mask)
    assert count == expected_count
    np.testing.assert_array_equal(labels, expected)
    boxes = kernels.label_boxes(labels, count)
    for box, (y, x) in zip(boxes[1:], ndimage.find_objects(expected)):
        assert tuple(box) == (y.start, y.stop, x.start, x.stop)


def test_fill_holes(mask):
    np.testing.assert_array_equal(kernels.fill_holes(mask), morphology_twins.fill_holes(mask))


def test_max5(mask):
    image = np.random.default_rng(4).normal(size=mask.shape).astype(np.float32)
    out = np.empty_like(image)
    kernels.max5(image, out)
    np.testing.assert_array_equal(out, morphology_twins.max5(image))


def test_diagonally_closed_ring_is_closed_and_edges_are_open():
    mask = np.zeros((7, 9), bool)
    for y, x in ((1, 2), (2, 1), (3, 2), (2, 3)):
        mask[y, x] = True
    mask[4:7, 6] = mask[4, 6:9] = True  # a corner that only the array's edge closes
    filled = kernels.fill_holes(mask)
    assert filled[2, 2]
    assert filled.sum() == mask.sum() + 1
