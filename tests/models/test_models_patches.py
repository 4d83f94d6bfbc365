"""Patches, one by one and many at a time."""

import numpy as np
import pytest

from legacypipe_lite.models import Patch, Patches
from legacypipe_lite.models.patches import EVERYWHERE, add_patches


def test_a_patch_goes_to_its_place():
    image = np.zeros((6, 8), np.float32)
    patch = Patch(2, 3, np.arange(6, dtype=np.float32).reshape(2, 3))
    patch.add_to(image)
    patch.add_to(image, patch.values > 3)
    assert image[3:5, 2:5].tolist() == [[0, 1, 2], [3, 8, 10]] and image.sum() == 24
    assert patch.cut(image).base is image


@pytest.mark.parametrize("masked", [False, True])
def test_kernel_equals_twin(masked):
    rng = np.random.default_rng(3)
    heights, widths = np.array([20, 15, 9]), np.array([11, 16, 12])
    start = np.cumsum(heights * widths) - heights * widths
    patches = Patches.empty(np.array([[2, 3, 5, 7], [0, 0, 0, 0], [0, 1, 12, 8]], np.int32))
    assert patches.offset.tolist() == [0, 35, 35] and patches.values.size == 35 + 96
    patches.values[:] = rng.normal(size=patches.values.size)
    scale = np.array([-1.0, 5.0, 2.5], np.float32)
    images = rng.normal(size=(heights * widths).sum()).astype(np.float32)
    usable = np.maximum(rng.normal(size=images.size), 0).astype(np.float32)
    expected = images.copy()
    for i in (0, 2):
        part = slice(start[i], start[i] + heights[i] * widths[i])
        drawn = Patch(*patches.patch(i)[:2], scale[i] * patches.patch(i).values)
        good = usable[part].reshape(heights[i], widths[i]) > 0
        drawn.add_to(expected[part].reshape(heights[i], widths[i]), drawn.cut(good) if masked else True)
    add_patches(patches, scale, start, widths, usable if masked else EVERYWHERE, images)
    np.testing.assert_array_equal(images, expected)
    assert patches.patch(1) is None
