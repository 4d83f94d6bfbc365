"""Dilation of masks."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from legacypipe_lite.arrays import dilate

SHAPES = [(1, 1), (1, 7), (5, 1), (37, 53), (64, 100)]


@pytest.mark.parametrize("n", [0, 1, 3, 10, 300])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.3, 0.9])
@pytest.mark.parametrize("shape", SHAPES)
def test_dilation_is_scipys(shape, density, n):
    mask = np.random.default_rng(3).random(shape) < density
    grown = dilate(mask, n)
    np.testing.assert_array_equal(grown, binary_dilation(mask, iterations=n) if n else mask)
    assert grown is not mask and grown.dtype == bool


@pytest.mark.parametrize(("n", "pixels"), [(4, 41), (8, 145)])
def test_dilated_pixel_is_a_diamond(n, pixels):
    mask = np.zeros((31, 31), np.uint16)
    mask[15, 15] = 4
    assert dilate(mask, n).sum() == pixels
