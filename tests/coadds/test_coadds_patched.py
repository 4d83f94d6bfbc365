"""Filling of masked pixels."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from synthetic_tims import patch_masked


def patch_twin(image, good):
    """The rule in plain NumPy."""
    image, good = image.astype(np.float32), good.copy()
    need = binary_dilation(good, iterations=3)
    left = -1
    while True:
        todo = need & ~good
        if todo.sum() in (0, left):
            return image
        left = todo.sum()
        ys, xs = np.nonzero(todo)
        values, found = np.zeros(len(ys), np.float32), np.zeros(len(ys), int)
        for dy, dx in ((-1, 0), (0, -1), (1, 0), (0, 1)):
            y, x = ys + dy, xs + dx
            ok = (y >= 0) & (y < image.shape[0]) & (x >= 0) & (x < image.shape[1])
            ok[ok] = good[y[ok], x[ok]] & np.isfinite(image[y[ok], x[ok]])
            values[ok] += image[y[ok], x[ok]]
            found[ok] += 1
        image[ys, xs] = np.where(found > 0, values / np.maximum(found, 1), 0)
        good[ys[found > 0], xs[found > 0]] = True


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.9, 0.995])
def test_patch_equals_twin(fraction):
    rng = np.random.default_rng(int(1000 * fraction))
    image = rng.normal(size=(40, 53)).astype(np.float32)
    good = rng.random(image.shape) > fraction
    good[5:20, 10:30] = False
    expected = patch_twin(image, good)
    before = image.copy()
    assert np.array_equal(patch_masked(image, good), expected)
    assert np.array_equal(image, before)


def test_patch_keeps_far_pixels_and_ignores_infinite_neighbours():
    image = np.full((1, 12), 7.0, np.float32)
    image[0, 0] = 3.0
    good = np.zeros((1, 12), bool)
    good[0, 0] = True
    patched = patch_masked(image, good)
    assert np.array_equal(patched[0, :4], np.full(4, 3.0))
    assert np.all(patched[0, 4:] == 7.0)

    image[0, 0] = np.inf
    patched = patch_masked(image, good)
    assert np.all(patched[0, 1:4] == 0.0)


@pytest.mark.parametrize("value", [True, False])
def test_patch_of_uniform_mask_is_a_copy(value):
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    patched = patch_masked(image, np.full(image.shape, value))
    assert np.array_equal(patched, image)
    assert patched is not image
