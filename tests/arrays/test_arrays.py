"""Medians and smoothing of arrays."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from legacypipe_lite.arrays import gaussian_weights, median
from legacypipe_lite.arrays.smooth_kernels import smooth


@pytest.mark.parametrize("n", [1, 2, 3, 10, 501, 1000])
def test_median_is_numpys(n):
    rng = np.random.default_rng(n)
    for scale in (1e-20, 1.0, 1e20):
        values = (scale * rng.normal(size=n)).astype(np.float32)
        values[::7] = 0.0
        assert median(values) == float(np.median(values))
        where = (rng.random(n) > 0.3).astype(np.float32)
        where[0] = 2.0
        assert median(values, where) == float(np.median(values[where > 0]))


def test_median_of_images_and_of_nothing():
    image = np.random.default_rng(1).normal(size=(40, 50)).astype(np.float32)
    assert median(image[::2, 1:]) == float(np.median(image[::2, 1:]))
    assert np.isnan(median(image[:0])) and np.isnan(median(image, np.zeros_like(image)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 40), (60, 55)])
@pytest.mark.parametrize("sigma", [0.4, 1.1, 1.9, 3.0, 9.0])
def test_smoothing_is_scipys(shape, sigma):
    image = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    out = np.empty_like(image)
    smooth(image, gaussian_weights(sigma), out)
    np.testing.assert_allclose(out, gaussian_filter(image, sigma), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("sigma", [0.1, 0.4, 1.1, 1.3, 1.9, 3.0, 7.7])
def test_weights_are_scipys_to_the_last_bit(sigma):
    weights = gaussian_weights(sigma)
    pulse = np.zeros(2 * len(weights) + 1)
    pulse[len(weights)] = 1.0
    response = gaussian_filter1d(pulse, sigma, mode="constant")
    np.testing.assert_array_equal(weights, response[len(weights) : -1])
