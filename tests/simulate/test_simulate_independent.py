"""Rendered sources agree with those of GalSim, an independent program."""

import numpy as np
import pytest

pytest.importorskip("galsim", reason="GalSim is not installed (it comes with the extra test)")

from galsim_comparison import KINDS, differences, galsim_image, our_image  # noqa: E402

#: Largest pixel difference in units of the peak, sum of differences and fitted flux in units of the flux: what Lanczos
#: interpolation of the PSF (point sources) and tapered instead of sharp edges of the profiles (galaxies) explain.
LIMITS = {
    "point source": (0.0055, 0.012, 0.002),
    "n = 0.5": (0.005, 0.010, 0.002),
    "n = 1": (0.008, 0.015, 0.006),
    "n = 2.5": (0.008, 0.020, 0.006),
    "n = 4": (0.008, 0.022, 0.006),
    "n = 6": (0.008, 0.028, 0.006),
}


@pytest.mark.parametrize("name", KINDS)
def test_differences(name):
    peak, total, matched = differences(name, draws=2)
    limits = LIMITS[name]
    assert peak < limits[0] and total < limits[1] and abs(matched) < limits[2]


def test_point_source_on_a_pixel():
    ours, other = our_image("PSF", 0, 0, 0, 0, 0, 0), galsim_image("PSF", 0, 0, 0, 0, 0, 0)
    assert np.abs(ours - other).max() < 5e-4 * other.max()


def test_orientation():
    """A wrong sign of an ellipticity component or of East would show."""
    ours = our_image("EXP", 1.0, 1.5, 0.3, 0.2, 0.0, 0.0)
    wrong = [galsim_image("EXP", 1.0, 1.5, e1, e2, 0.0, 0.0) for e1, e2 in ((0.3, -0.2), (-0.3, 0.2))]
    right = galsim_image("EXP", 1.0, 1.5, 0.3, 0.2, 0.0, 0.0)
    assert np.abs(ours - right).max() < 0.1 * min(np.abs(ours - w).max() for w in wrong)
