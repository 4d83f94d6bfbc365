import math

import numpy as np
import pytest

from legacypipe_lite.validation.statistics import fraction, spread


def test_spread_is_that_of_percentiles():
    values = np.array([5.5, 1.0, np.nan, 2.0, 3.0, np.inf, 4.0])
    result = spread(values)
    low, high = np.percentile([1, 2, 3, 4, 5.5], [16, 84])
    assert result.n == 5 and result.median == 3.0 and result.width == pytest.approx((high - low) / 2)
    assert result.outliers == pytest.approx(0.2)


def test_errors_of_the_numbers_are_right():
    rng = np.random.default_rng(1)
    samples = [spread(rng.standard_normal(400)) for _ in range(300)]
    for name in ("median", "width"):
        scatter = np.std([getattr(s, name) for s in samples])
        assert np.mean([getattr(s, f"{name}_error") for s in samples]) == pytest.approx(scatter, rel=0.12)
    assert np.mean([s.width for s in samples]) == pytest.approx(1, abs=0.02)


def test_small_samples():
    nothing, one = spread([]), spread([2.0])
    assert nothing.n == 0 and math.isnan(nothing.median) and math.isnan(nothing.outliers)
    assert one.n == 1 and one.median == 2.0 and math.isnan(one.median_error)


def test_fraction():
    result = fraction(np.repeat([True, False], [80, 20]))
    assert (result.n, result.count, result.value) == (100, 80, 0.8)
    assert result.error == pytest.approx(0.04, rel=0.02)
    assert fraction([True] * 9).error > 0  # certainty does not come from nine objects
    assert math.isnan(fraction([]).value)
