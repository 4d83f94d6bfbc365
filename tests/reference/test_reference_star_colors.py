import numpy as np
import pytest

from legacypipe_lite.reference.star_colors import BANDS, gaia_to_optical, mask_radius


def test_mask_radius_of_spec_magnitudes():
    radius = 3600 * mask_radius([10.522514, 13, 16, 20])
    np.testing.assert_allclose(radius, [48.71, 21.3, 7.83, 2.07], atol=0.05)
    assert mask_radius(0) * 3600 == pytest.approx(1630)


def test_magnitudes_of_a_known_star():
    # Gaia DR2 846531736145726848
    mags = [float(gaia_to_optical(b, 17.328156, 17.659893, 16.838602)) for b in "griz"]
    np.testing.assert_allclose(mags, [17.66722, 17.24499, 17.13555, 17.11201], atol=2e-5)


def test_constant_terms():
    """At colour zero only the constant terms are left (all colour ranges include 0)."""
    for band, expected in (("g", 14.8821368961), ("z", 15.4811198057), ("N395", 16.8757), ("M517", 14.881740242)):
        assert float(gaia_to_optical(band, 15.0, 15.0, 15.0)) == pytest.approx(expected, abs=1e-9)
    assert float(gaia_to_optical("u", 99.0, 15.0, 15.0)) == pytest.approx(15 - 0.41424252)


def test_sum_of_coefficients_at_colour_one():
    assert float(gaia_to_optical("N395", 15.0, 15.5, 14.5)) == pytest.approx(
        15 + 1.8757 - 7.2503 + 11.9664 - 5.8214 + 0.9271
    )


@pytest.mark.parametrize("band", BANDS)
def test_colour_is_clipped(band):
    low, high = (0.0, 3.3) if band[0] in "MN" else (-0.6, 4.1)
    for inside, outside in ((low, low - 2), (high, high + 2)):
        # u starts from BP, so hold that fixed
        a = gaia_to_optical(band, 15.0, 15.0, 15.0 - inside)
        b = gaia_to_optical(band, 15.0, 15.0, 15.0 - outside)
        assert float(a) == pytest.approx(float(b), abs=1e-9)


def test_unmeasured_magnitudes():
    typical = gaia_to_optical("r", 15.0, 16.4, 15.0)
    for bp, rp in ((0.0, 15.0), (np.nan, 15.0), (15.0, 0.0), (0.0, np.nan)):
        assert float(gaia_to_optical("r", 15.0, bp, rp)) == pytest.approx(float(typical))
    assert float(gaia_to_optical("r", 0.0, 15.0, 14.0)) == 30
    assert float(gaia_to_optical("u", 15.0, 0.0, 14.0)) == 30
