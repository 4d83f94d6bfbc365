import numpy as np
import pytest

from legacypipe_lite.reference.geometry import angular_radius, centre, grown_tangent_wcs, nearest_within, shifted
from legacypipe_lite.wcs import SipWcs, target_wcs


def test_nearest_within_across_ra_zero():
    index = nearest_within([0.0001, 10.0, 20.0], [0.0, 0.0, 0.0], [359.9999, 0.001, 10.0], [0.0, 0.0, 0.0004], 2.0)
    assert index.tolist() == [0, 2, -1]
    assert nearest_within([], [], [1.0], [1.0], 1.0).tolist() == []
    assert nearest_within([1.0], [1.0], [], [], 1.0).tolist() == [-1]


def test_radius_of_match_is_a_great_circle():
    assert nearest_within([50.0], [89.0], [50.0 + 1.9 / 3600 / np.cos(np.deg2rad(89))], [89.0], 2.0).tolist() == [0]
    assert nearest_within([50.0], [89.0], [50.0 + 2.1 / 3600 / np.cos(np.deg2rad(89))], [89.0], 2.0).tolist() == [-1]


def test_shifted_includes_cos_dec():
    ra, dec = shifted(10.0, 60.0, 3600.0, -1800.0, 10.0)
    assert (ra, dec) == pytest.approx((10.0 + 0.02, 60.0 - 0.005))


def test_grown_wcs_of_a_target():
    wcs = target_wcs(10, 40, 300, 200, 0.5)
    grown = grown_tangent_wcs(wcs, 50)
    assert (grown.width, grown.height) == (400, 300)
    assert grown.pixel_to_sky(50, 50) == pytest.approx(wcs.pixel_to_sky(0, 0))
    assert centre(wcs) == pytest.approx((10, 40))
    assert angular_radius(wcs) == pytest.approx(0.5 / 3600 * np.hypot(300, 200) / 2)


def test_tangent_plane_of_a_distorted_wcs():
    s = 0.4 / 3600
    wcs = SipWcs((80, -20), (900, 400), [[s, 0], [0, s]], 300, 200, {(2, 0): 1e-5}, {(0, 2): -2e-5})
    plain = grown_tangent_wcs(wcs, 0)
    for x, y in ((149.5, 99.5), (145, 105)):
        np.testing.assert_allclose(plain.sky_to_pixel(*wcs.pixel_to_sky(x, y)), (x, y), atol=2e-3)
    grown = grown_tangent_wcs(wcs, 10)
    np.testing.assert_allclose(grown.sky_to_pixel(*wcs.pixel_to_sky(149.5, 99.5)), (159.5, 109.5), atol=1e-8)
