import numpy as np

from legacypipe_lite.cameras.extent import Region, covering_region
from legacypipe_lite.wcs import TanWcs, TpvWcs, target_wcs

S = 0.262 / 3600


def ccd(dx=0.0, dy=0.0, width=100, height=120, angle=0.0):
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    cd = S * np.array([[-c, s], [s, c]])
    return TanWcs((150.0, 20.0), (width / 2 + 0.5 + dx, height / 2 + 0.5 + dy), cd, width, height)


TARGET = target_wcs(150.0, 20.0, 60, 40, 0.262)


def test_same_grid():
    # Pixel centres of the target's corners fall on pixel centres 20 ... 79, 40 ... 79.
    region = covering_region(ccd(1e-7, 1e-7), TARGET)
    assert region == Region(20, 81, 40, 81)
    region = covering_region(ccd(0.4, -0.4), TARGET)
    assert region == Region(20, 81, 39, 80)


def test_at_the_edge_of_the_ccd():
    assert covering_region(ccd(dx=45.3), TARGET) == Region(65, 100, 40, 81)
    assert covering_region(ccd(dx=-45.3, dy=70.2), TARGET) == Region(0, 35, 110, 120)


def test_no_overlap():
    assert covering_region(ccd(dx=200.0), TARGET) is None
    assert covering_region(ccd(dx=75.0, dy=85.0, angle=45.0), TARGET) is None


def test_target_larger_than_the_ccd():
    assert covering_region(ccd(), target_wcs(150.0, 20.0, 3600, 3600, 0.262)) == Region(0, 100, 0, 120)


def test_rotated():
    region = covering_region(ccd(angle=90.0), TARGET)
    assert abs(region.width - 41) <= 1 and abs(region.height - 61) <= 1


def test_target_that_cannot_be_projected():
    huge = target_wcs(220.0, 20.0, 40, 40, 3600.0 * 20)
    assert np.isnan(ccd().sky_to_pixel(*huge.pixel_to_sky(0.0, 0.0))).any()
    assert covering_region(ccd(), huge) == Region(0, 100, 0, 120)


def test_distortion_that_cannot_be_inverted_far_outside():
    pv = np.zeros(40)
    pv[1] = 1.0
    pv[7] = -40.0
    wild = TpvWcs((150.0, 20.0), (50.5, 60.5), [[-S, 0], [0, S]], 100, 120, pv, pv)
    wide = target_wcs(150.0, 20.0, 3600, 3600, 3.0)
    x, _ = wild.sky_to_pixel(*wide.pixel_to_sky(0.0, 0.0))
    assert not x < -10000  # where the corner is in truth: 20565 pixels to the left
    assert covering_region(wild, wide) == Region(0, 100, 0, 120)


def test_region():
    a, b = Region(0, 50, 10, 60), Region(20, 80, 0, 30)
    both = a.intersection(b)
    assert both == Region(20, 50, 10, 30) and (both.width, both.height) == (30, 20)
    assert both.is_usable and not Region(0, 9, 0, 50).is_usable and not Region(0, 50, 0, 9).is_usable
    assert a.intersection(Region(60, 70, 0, 100)).width < 0
