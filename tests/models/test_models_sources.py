"""Sources and moving stars."""

import numpy as np
import pytest

from legacypipe_lite.models import SOURCE_TYPES, Motion, ParameterIvars, Source, moved_position
from legacypipe_lite.models.norms import galaxy_norm, psf_norm
from legacypipe_lite.models.sources import TYPES, TYPES_SIMPLE_FIRST


def test_positions_equal_the_reference(engine_reference):
    for row, want in zip(engine_reference["gaia_in"], engine_reference["gaia_out"]):
        ra, dec, epoch, pmra, pmdec, parallax, mjd = row
        got = moved_position(ra, dec, Motion(pmra, pmdec, parallax, epoch), mjd)
        assert got == pytest.approx(want, abs=1e-11)


def test_position_of_a_source():
    fixed = Source("PSF", 10.0, 20.0, [1.0])
    assert fixed.position_at(57000.0) == (10.0, 20.0) and not fixed.fixed_position
    star = fixed.copy(motion=Motion(1000.0, -500.0, 0.0, 2015.5))
    ra, dec = star.position_at(51544.5)
    assert star.fixed_position
    assert (dec - 20.0) * 3600 == pytest.approx(0.5 * 15.5)
    assert (ra - 10.0) * 3600 * np.cos(np.deg2rad(20)) == pytest.approx(-15.5)


def test_copies_do_not_share_fluxes():
    a = Source("EXP", 1.0, 2.0, [1.0, 2.0], 1.0)
    b = a.copy(type="DEV")
    b.flux[0] = 9.0
    assert a.flux.tolist() == [1.0, 2.0] and (a.type, b.type) == ("EXP", "DEV")


def test_unknown_type_is_refused():
    with pytest.raises(ValueError, match="unknown source type"):
        Source("COMP", 0.0, 0.0, [1.0])


def test_norms(engine_reference):
    stamp = engine_reference["stamp0"]
    assert psf_norm(stamp) == pytest.approx(0.163060, abs=1e-6)
    r = np.arange(-31, 32)
    gaussian = np.exp(-0.5 * (r[:, None] ** 2 + r**2) / 4.0) / (8 * np.pi)
    assert psf_norm(gaussian) == pytest.approx(1 / (4 * np.sqrt(np.pi)), rel=1e-6)
    # a galaxy much smaller than a pixel is a point source
    assert galaxy_norm(gaussian, np.eye(2) * 30.0 / 3600) == pytest.approx(psf_norm(gaussian), rel=1e-3)
    assert galaxy_norm(gaussian, np.eye(2) * 0.262 / 3600) < psf_norm(gaussian)


def test_types_and_what_follows_from_them():
    assert TYPES == ("PSF", "REX", "DEV", "EXP", "SER")  # the order of the column dchisq
    assert TYPES_SIMPLE_FIRST == ("PSF", "REX", "EXP", "DEV", "SER")
    assert [SOURCE_TYPES[name].nshape for name in TYPES] == [0, 1, 3, 3, 3]
    assert [SOURCE_TYPES[name].penalty for name in TYPES] == [2, 3, 5, 5, 6]
    assert [SOURCE_TYPES[name].index(2.5) for name in TYPES] == [0, 1, 4, 1, 2.5]
    assert Source("DEV", 0.0, 0.0, [1.0], 1.5, sersic=4.0).extent == 12.0


def test_inverse_variances_by_name():
    ivars = ParameterIvars.zeros(3, 2)
    ivars.flux[0] = 1, 2, np.nan
    ivars.position[1] = 4, 5
    ivars.ellipse[1, 0] = 6
    ivars.shape("sersic")[1] = np.inf
    assert ivars.any() and np.isnan(ivars.values).sum() == 1
    finite = ivars.finite()
    assert finite.flux.tolist() == [[1, 2, 0], [0, 0, 0]] and finite.shape("sersic").tolist() == [0, 0]
    assert finite.shape("shape_r").tolist() == [0, 6] and finite.position[1].tolist() == [4, 5]
    rows = ParameterIvars.stacked([ParameterIvars(row) for row in ivars.values])
    np.testing.assert_array_equal(rows.values, ivars.values)
