"""Gaussian mixtures of galaxy profiles."""

import numpy as np
import pytest

from legacypipe_lite.models.profiles import mixture, sersic_mixture_with_derivative


def test_sersic_mixtures_equal_the_reference(engine_reference):
    for n, amp, var in zip(*(engine_reference[f"mix_{k}"] for k in ("n", "amp", "var"))):
        got_amp, got_var = mixture("SER", n)
        used = np.isfinite(amp)
        assert len(got_amp) == used.sum()
        np.testing.assert_allclose(got_amp, amp[used], atol=1e-6)
        np.testing.assert_allclose(got_var, var[used], atol=1e-6)


@pytest.mark.parametrize("kind", ["exp", "dev"])
def test_fixed_mixtures_equal_the_reference(engine_reference, kind):
    amp, var = mixture(kind.upper())
    np.testing.assert_allclose(amp, engine_reference[f"mix_{kind}_amp"], atol=1e-9)
    np.testing.assert_allclose(var, engine_reference[f"mix_{kind}_var"], atol=1e-9)


# half-light radius and enclosed flux at 0.5, 1, 2, 4, 8 r_e
ENCLOSED = {
    ("EXP", None): (0.9862, 0.2084, 0.5074, 0.8607, 0.9975, 1.0),
    ("DEV", None): (0.8996, 0.3400, 0.5312, 0.7328, 0.8979, 0.9942),
    ("SER", 0.5): (1.0, 0.1591, 0.5, 0.9375, 1.0, 1.0),
    ("SER", 0.75): (0.9967, 0.1847, 0.5019, 0.8899, 0.9993, 1.0),
    ("SER", 1.5): (0.9710, 0.2450, 0.5132, 0.8165, 0.9867, 1.0),
    ("SER", 3.0): (0.9218, 0.3131, 0.5270, 0.7566, 0.9329, 0.9993),
    ("SER", 6.0): (0.7895, 0.3910, 0.5602, 0.7356, 0.8880, 0.9928),
}


@pytest.mark.parametrize("key", ENCLOSED)
def test_enclosed_flux(key):
    amp, var = mixture(*key)

    def enclosed(r):
        with np.errstate(divide="ignore"):
            return float(np.sum(amp * -np.expm1(-0.5 * r**2 / var)))

    want = ENCLOSED[key]
    assert [enclosed(r) for r in (0.5, 1, 2, 4, 8)] == pytest.approx(want[1:], abs=6e-5)
    assert enclosed(want[0]) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("n,moment", [(0.29, 0.62974), (0.5, 0.721342), (1, 0.949723), (2.5, 1.699878), (6, 2.768460)])
def test_second_moments(n, moment):
    amp, var = mixture("SER", n)
    assert float(amp @ var) == pytest.approx(moment, abs=1e-5)


def test_index_is_clipped_and_point_source_is_a_delta():
    for far, end in ((0.1, 0.29), (9.0, 6.3)):
        np.testing.assert_array_equal(mixture("SER", far), mixture("SER", end))
    amp, var = mixture("PSF")
    assert (amp, var) == (1.0, 0.0)


@pytest.mark.parametrize("n", [0.45, 0.66, 1.37, 2.2, 3.33, 4.9])
def test_derivative_with_respect_to_the_index(n):
    amp, var, damp, dvar = sersic_mixture_with_derivative(n)
    h = 1e-5
    up, down = mixture("SER", n + h), mixture("SER", n - h)
    assert len(up[0]) == len(down[0]) == len(amp)
    np.testing.assert_allclose((up[0] - down[0]) / (2 * h), damp, atol=1e-5)
    np.testing.assert_allclose((up[1] - down[1]) / (2 * h), dvar, atol=1e-5)
    assert damp.sum() == pytest.approx(0, abs=1e-12)
