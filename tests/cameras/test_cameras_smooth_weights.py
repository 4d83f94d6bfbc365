"""Weights that do not know the noise of their own pixel."""

import numpy as np
import pytest

from legacypipe_lite.cameras.weights import weights_of_neighbours


def test_variance_is_the_mean_of_the_neighbours():
    rng = np.random.default_rng(1)
    invvar = rng.uniform(0.5, 2, (6, 7)).astype(np.float32)
    invvar[2, 3] = 0
    result = weights_of_neighbours(invvar)
    assert result.dtype == np.float32 and result is not invvar
    for y, x in np.ndindex(invvar.shape):
        block = [
            invvar[yy, xx]
            for yy in range(max(0, y - 1), min(6, y + 2))
            for xx in range(max(0, x - 1), min(7, x + 2))
            if (yy, xx) != (y, x) and invvar[yy, xx] > 0
        ]
        expected = 0 if invvar[y, x] == 0 else 1 / np.mean(1 / np.array(block, np.float64))
        assert result[y, x] == pytest.approx(expected, rel=1e-6)


def test_lonely_pixels_keep_their_weight():
    invvar = np.zeros((5, 5), np.float32)
    invvar[2, 2] = 3
    np.testing.assert_array_equal(weights_of_neighbours(invvar), invvar)


def test_constant_weights_stay():
    invvar = np.full((20, 30), 0.25, np.float32)
    np.testing.assert_allclose(weights_of_neighbours(invvar), invvar, rtol=1e-6)


def test_the_bias_of_one_photon_is_gone():
    """The mean of many pixels, weighted with their own values' variances, is one photon too low."""
    rng = np.random.default_rng(2)
    sky = 400.0
    photons = rng.poisson(sky, (600, 600)).astype(np.float64)
    own = (1 / photons).astype(np.float32)

    def mean(weights):
        return np.sum(weights * photons) / np.sum(weights, dtype=np.float64) - sky

    error = np.sqrt(sky) / 600
    assert mean(own) == pytest.approx(-1, abs=5 * error)
    assert mean(weights_of_neighbours(own)) == pytest.approx(0, abs=5 * error)
