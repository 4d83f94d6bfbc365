import math

import numpy as np
import pytest
from astropy.table import Table

from legacypipe_lite.reference.galaxy_sources import ellipticity, make_sources
from legacypipe_lite.reference.large_galaxies import large_galaxies


def row(**changes):
    base = {
        "ra": 150.0,
        "dec": 2.0,
        "radius": 20 / 3600,
        "ba": 0.5,
        "pa": 30.0,
        "mag": 15.0,
        "ignore_source": False,
        "freezeparams": False,
        "issgafit": False,
        "ismcloud": False,
    }
    return Table([{**base, **changes}])


def fitted(**changes):
    model = {
        "type": "SER",
        "shape_r": 3.0,
        "shape_e1": 0.1,
        "shape_e2": -0.2,
        "sersic": 2.5,
        "flux_g": 10.0,
        "flux_r": 20.0,
        "flux_z": 40.0,
    }
    return row(**{**model, **changes})


def test_ellipticity():
    e = (1 - 0.5) / (1 + 0.5)
    np.testing.assert_allclose(ellipticity(0.5, 0), (e, 0), atol=1e-15)
    np.testing.assert_allclose(ellipticity(0.5, 45), (0, e), atol=1e-15)
    np.testing.assert_allclose(ellipticity(0.5, 90), (-e, 0), atol=1e-15)
    assert ellipticity(0, 20) == ellipticity(1.2, 20) == ellipticity(math.nan, 20) == (0, 0)
    np.testing.assert_allclose(ellipticity(0.5, math.nan), (e, 0))


def test_parent_galaxy_of_testcase9(real_field):
    field = real_field("testcase9")
    _, models = large_galaxies(field.wcs, field.catalogs.large_galaxies_file)
    (source,) = make_sources(models, ["g", "r", "z"])
    assert source.type == "EXP"
    assert math.log(source.shape_r) == pytest.approx(1.695, abs=1e-3)
    # softened ellipticities, which the engine starts from
    e = math.hypot(source.shape_e1, source.shape_e2)
    soft = -math.log(1 - e) / e
    assert (source.shape_e1 * soft, source.shape_e2 * soft) == pytest.approx((-0.068, -0.101), abs=5e-4)
    np.testing.assert_allclose(source.flux, 130.6172, rtol=1e-6)
    assert source.needs_initial_flux and source.from_galaxy_catalog and source.is_reference
    assert not (source.frozen or source.ignore or source.reference_star)
    assert source.max_log_re == pytest.approx(math.log(2 * source.shape_r))


def test_parent_galaxy_without_radius_or_magnitude():
    (source,) = make_sources(row(radius=0.0, mag=math.nan), ["g"])
    assert source.shape_r == 0.01 and source.flux.tolist() == [1]


@pytest.mark.parametrize(
    "type_, sersic, shape",
    [("REX", 1, (0, 0)), ("EXP", 1, (0.1, -0.2)), ("DEV", 4, (0.1, -0.2)), ("SER", 2.5, (0.1, -0.2))],
)
def test_fitted_galaxies(type_, sersic, shape):
    (source,) = make_sources(fitted(type=type_, freezeparams=True), ["g", "r", "z"])
    assert source.type == type_ and source.sersic == sersic
    assert (source.shape_e1, source.shape_e2) == shape
    assert source.shape_r == 3
    assert source.flux.tolist() == [10, 20, 40]
    assert source.max_log_re == pytest.approx(math.log(6))
    assert source.frozen and source.from_galaxy_catalog and not source.needs_initial_flux


def test_fitted_star_and_tiny_galaxy():
    (star,) = make_sources(fitted(type="PSF", issgafit=True), ["g"])
    assert star.type == "PSF" and star.sga_fit and not star.from_galaxy_catalog
    assert star.shape_r == 0 and star.max_log_re is None
    (tiny,) = make_sources(fitted(shape_r=0.0), ["g"])
    assert tiny.shape_r == 0.01


def test_missing_band_needs_an_initial_flux():
    (source,) = make_sources(fitted(), ["g", "Y"])
    assert source.flux.tolist() == [10, 1] and source.needs_initial_flux


def test_i_band_from_r_and_z():
    (source,) = make_sources(fitted(flux_r=20.0, flux_z=40.0), ["i", "z"])
    x = 2.5 * math.log10(2)
    a = (-0.13689305, 0.80606322, -0.24921022, -0.15773003, 0.10645930, -0.0050743524)
    mag_i = 22.5 - 2.5 * math.log10(40) + sum(c * x**k for k, c in enumerate(a))
    assert source.flux[0] == pytest.approx(10 ** ((22.5 - mag_i) / 2.5))
    assert not source.needs_initial_flux
    (red,) = make_sources(fitted(flux_r=-1.0, flux_z=40.0), ["i"])
    mag_i = 22.5 - 2.5 * math.log10(40) + sum(c * 2.0**k for k, c in enumerate(a))
    assert red.flux[0] == pytest.approx(10 ** ((22.5 - mag_i) / 2.5))


def test_ignored_galaxies_are_disks_of_the_mask_size():
    (source,) = make_sources(fitted(ignore_source=True), ["g", "r"])
    assert source.ignore and source.type == "EXP" and source.shape_r == pytest.approx(20)
    assert source.flux.tolist() == [0, 0] and source.max_log_re is None
    (parent,) = make_sources(row(ignore_source=True), ["g"])
    assert parent.ignore and parent.shape_r == pytest.approx(20) and parent.flux[0] == pytest.approx(1000)
    (cloud,) = make_sources(row(ignore_source=True, freezeparams=True, ismcloud=True), ["g"])
    assert cloud.ignore and cloud.flux.tolist() == [0]


def test_row_without_a_fit_in_an_ellipse_catalogue():
    (source,) = make_sources(fitted(type=""), ["g"])
    assert source.type == "EXP" and source.needs_initial_flux and source.shape_r == pytest.approx(10)
