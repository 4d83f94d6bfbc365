"""The grid of bricks."""

import numpy as np
import pytest

from legacypipe_lite.access import ab_magnitude, asinh_magnitude, brick_of_name, bricks_at, bricks_in_box, find_sweep
from legacypipe_lite.access.layers import is_north
from legacypipe_lite.errors import UsageError


@pytest.mark.parametrize(
    ("ra", "dec", "name", "brickid"),
    [
        (194.3549, -17.6163, "1942m175", 231808),
        (110.31196, 23.91991, "1102p240", 465217),
        (0, 0, "0001p000", 330368),
        (360, 0, "0001p000", 330368),
        (359.9999, 0, "3598p000", 331807),
        (180, -0.1249, "1801p000", 331088),
        (180, -0.1251, "1801m002", 329648),
        (346.684, 12.791, "3465p127", 404635),
        (10, 90, "1800p900", 662174),
        (10, -90, "1800m900", 1),
        (10, -89.874, "0180m897", 2),
        (244.85106382978722, 12, "2449p120", 400015),
        (244.7, 12.125, "2448p122", 401423),
    ],
)
def test_brick_at(ra, dec, name, brickid):
    found = bricks_at(ra, dec)
    assert (found.name[0], found.brickid[0]) == (name, brickid)
    assert brick_of_name(name).brickid[0] == brickid


def test_every_position_is_in_its_own_brick():
    rng = np.random.default_rng(7)
    ra, dec = rng.uniform(-360, 720, 100_000), np.rad2deg(np.arcsin(rng.uniform(-1, 1, 100_000)))
    found = bricks_at(ra, dec)
    wrapped = ra % 360
    assert ((found.ra1 <= wrapped) & (wrapped < found.ra2) & (found.dec1 <= dec) & (dec < found.dec2)).all()


def test_the_whole_sky():
    everything = bricks_in_box(0, 360, -90, 90)
    assert np.array_equal(np.sort(everything.brickid), np.arange(1, 662175))
    assert len(np.unique(everything.name)) == 662174


def test_boxes_wrap():
    for low, high in ((359.9, 0.1), (-0.1, 0.1), (359.9, 360.1)):
        assert set(bricks_in_box(low, high, -0.01, 0.01).name) == {"3598p000", "0001p000"}


def test_names_that_are_none():
    assert [brick_of_name(name) for name in ("", "custom-009122p03397", "9999p999", "1102p241", "1102x240")] == [
        None
    ] * 5


@pytest.mark.parametrize(("ra", "dec"), [(np.nan, 0), (0, 91), (np.inf, 0)])
def test_not_on_the_sky(ra, dec):
    with pytest.raises(UsageError):
        bricks_at(ra, dec)


def test_sweeps():
    assert find_sweep(248.86, 9.80, "dr9") == "sweep-240p005-250p010.fits"
    assert find_sweep(248.86, 9.80, "dr10") == "sweep-245p005-250p010.fits"
    assert find_sweep(0, -0.1, "dr10", "lightcurves") == "sweep-000m005-005p000-lc.fits"
    assert find_sweep(359.99, 90, "dr9", "extra") == "sweep-350p085-360p090-ex.fits"


def test_magnitudes():
    assert ab_magnitude([1.0, 0.0, -1.0]) == pytest.approx([22.5, np.nan, np.nan], nan_ok=True)
    assert asinh_magnitude(0.0, "r") == pytest.approx(24.80, abs=0.005)
    assert asinh_magnitude(1.0, "r") == pytest.approx(22.4847, abs=1e-4)


def test_north_and_south():
    assert is_north([10, 200, 200], [40, 40, 32.37]).tolist() == [False, True, False]
