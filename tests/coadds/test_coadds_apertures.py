"""Aperture photometry with exact overlaps."""

import fitsio
import numpy as np
import pytest
from photutils.aperture import CircularAperture
from photutils.aperture import aperture_photometry as photutils_photometry
from real_tims import FIELDS, Field

from legacypipe_lite.catalog import APERTURE_RADII
from legacypipe_lite.coadds import aperture_photometry
from legacypipe_lite.coadds.apertures_kernels import pixel_overlap, single_aperture

RADII = np.array(APERTURE_RADII) / 0.262


def random_maps(shape=(90, 110)):
    rng = np.random.default_rng(8)
    image, residual1, residual2 = rng.normal(size=(3, *shape)).astype(np.float32)
    invvar = rng.uniform(1, 2, shape).astype(np.float32)
    invvar[rng.random(shape) < 0.2] = 0
    return image, invvar, residual1, residual2


def positions():
    rng = np.random.default_rng(9)
    x, y = rng.uniform(-8, 118, 80), rng.uniform(-8, 98, 80)
    x[:6], y[:6] = [50, 50.5, 50.25, 0, -0.5, 109.4], [40, 40.5, 40, 0, 30, 89.5]
    return x, y


def test_equals_photutils():
    image, invvar, residual1, residual2 = random_maps()
    x, y = positions()
    found = aperture_photometry(image, invvar, x, y, RADII, (residual1, residual2))
    mask = invvar == 0
    sigma = np.where(mask, 0, 1 / np.sqrt(np.where(mask, 1, invvar)))
    for k, radius in enumerate(RADII):
        aperture = CircularAperture(np.c_[x, y], radius)

        def sums(data, aperture=aperture, **options):
            return np.nan_to_num(np.asarray(photutils_photometry(data, aperture, **options)["aperture_sum"]))

        table = photutils_photometry(image, aperture, error=sigma, mask=mask)
        assert np.allclose(found.flux[:, k], np.nan_to_num(np.asarray(table["aperture_sum"])), atol=1e-6, rtol=1e-6)
        error = np.nan_to_num(np.asarray(table["aperture_sum_err"]))
        ivar = np.where(error > 0, 1 / np.where(error > 0, error, 1) ** 2, 0)
        assert np.allclose(found.ivar[:, k], ivar, rtol=1e-6)
        masked = sums(mask.astype(float)) / (np.pi * radius**2)
        assert np.allclose(found.masked[:, k], masked, atol=1e-7)
        assert np.allclose(found.residuals[0][:, k], sums(residual1), atol=1e-6, rtol=1e-6)
        assert np.allclose(found.residuals[1][:, k], sums(residual2), atol=1e-6, rtol=1e-6)


def test_analytic_cases():
    ones = np.ones((20, 20), np.float32)
    found = aperture_photometry(3 * ones, ones, [10.3, -0.4, -3.0], [9.7, 10.0, 10.0], [2.0])
    assert found.flux[0, 0] == pytest.approx(3 * np.pi * 4, rel=1e-6)
    assert found.flux[1, 0] / 3 == pytest.approx(6.683019, abs=1e-6)
    assert found.ivar[1, 0] ** -0.5 == pytest.approx(2.585153, abs=1e-6)
    assert found.flux[2, 0] == found.ivar[2, 0] == found.masked[2, 0] == 0
    assert found.residuals == []


def test_overlap_adds_up_to_the_circle():
    for radius in (0.2, 0.5, 0.9, 3.3):
        offsets = np.arange(-6, 7)
        total = sum(pixel_overlap(radius, x - 0.13, y + 0.41) for x in offsets for y in offsets)
        assert total == pytest.approx(np.pi * radius**2, rel=1e-12)
    # circle inside one pixel, off its centre
    assert pixel_overlap(0.1, 0.3, -0.3) == pytest.approx(np.pi * 0.01, rel=1e-12)


def test_wholly_masked_and_off_image():
    image = np.ones((10, 12), np.float32)
    found = aperture_photometry(image, np.zeros_like(image), [5.0], [5.0], [1.0, 2.0])
    assert np.all(found.flux == 0) and np.all(found.ivar == 0) and np.allclose(found.masked, 1)
    found = aperture_photometry(image, image, [np.nan, 40.0, 5.0], [5.0, 5.0, 5.0], [1.0], (image,))
    for values in (found.flux, found.ivar, found.masked, found.residuals[0]):
        assert not values[:2].any()
    assert found.flux[2] > 0 and found.ivar[2] > 0


@pytest.mark.parametrize("radii", [[], [0.0, 1.0], [2.0, 1.0], [1.0, 1.0]])
def test_bad_radii(radii):
    with pytest.raises(ValueError, match="radii"):
        aperture_photometry(np.ones((3, 3)), np.ones((3, 3)), [1], [1], radii)


def test_single_aperture_of_a_cutout():
    image = random_maps()[0]
    part = np.ascontiguousarray(image[20:60, 30:90])
    whole = aperture_photometry(image, np.ones_like(image), [55.2], [41.9], [2.86]).flux[0, 0]
    assert single_aperture(part, 30, 20, 55.2, 41.9, 2.86) == pytest.approx(whole, rel=1e-5)
    assert single_aperture(part, 30, 20, 10.0, 41.9, 2.86) == 0.0


@pytest.mark.parametrize("name", FIELDS)
def test_catalogue_apertures_follow_from_published_coadds(testdata, name):
    """The coadds on disk are quantised (invvar, chi2 most), which sets the tolerances."""
    field = Field(testdata, name)
    catalog = fitsio.read(str(field.root / "tractor" / field.brickname[:3] / f"tractor-{field.brickname}.fits"))
    for band in field.bands:
        image, invvar, model = (field.coadd(kind, band) for kind in ("image", "invvar", "model"))
        residual = np.where(invvar > 0, image - model, 0)
        found = aperture_photometry(image, invvar, catalog["bx"], catalog["by"], RADII, (residual,))
        assert np.abs(found.flux - catalog[f"apflux_{band}"]).max() < 5e-3
        assert np.abs(found.residuals[0] - catalog[f"apflux_resid_{band}"]).max() < 6e-3
        assert np.abs(found.masked - catalog[f"apflux_masked_{band}"]).max() < 1e-7
        expected = catalog[f"apflux_ivar_{band}"]
        assert np.array_equal(found.ivar > 0, expected > 0)
        assert np.abs(found.ivar / np.where(expected > 0, expected, 1) - 1)[expected > 0].max(initial=0) < 1e-2
