"""Pixelized PSFs."""

import numpy as np
import pytest

from legacypipe_lite.models import PsfModel, gaussian_psf
from legacypipe_lite.models import psf as psf_module


def test_stamps_equal_the_reference(engine_reference):
    r = engine_reference
    zero, scale = r["psfex_zero"], r["psfex_scal"]
    psf = PsfModel(r["psfex_bases"], int(r["psfex_degree"]), zero[0], scale[0], zero[1], scale[1])
    for (x, y), terms, stamp in zip(r["psfex_xy"], r["psfex_poly"], r["psfex_stamp"]):
        np.testing.assert_allclose(psf.polynomial_terms(x, y), terms, rtol=1e-12)
        np.testing.assert_allclose(psf.stamp(x, y), stamp, atol=1e-7)
        np.testing.assert_array_equal(psf.subimage(100, 50).stamp(x - 100, y - 50), psf.stamp(x, y))


def test_order_of_terms():
    psf = PsfModel(np.zeros((6, 3, 3), np.float32), 2)
    assert psf.polynomial_terms(2.0, 3.0).tolist() == [1, 2, 4, 3, 6, 9]
    assert not psf.is_constant


def test_wrong_number_of_stamps_is_refused():
    with pytest.raises(ValueError, match="needs 6 basis stamps"):
        PsfModel(np.zeros((5, 3, 3), np.float32), 2)


def test_normalisation():
    basis = np.full((1, 3, 3), 2.0, np.float32)
    assert PsfModel(basis).stamp().sum() == pytest.approx(1)
    assert PsfModel(basis, normalize=False).stamp().sum() == pytest.approx(18)
    assert PsfModel(np.zeros((1, 3, 3), np.float32)).stamp().sum() == 0


def test_gaussian_psf():
    psf = gaussian_psf(2.0)
    assert psf.stamp_shape == (51, 51)
    assert psf.stamp().sum() == pytest.approx(1, abs=1e-5)
    assert np.sqrt((psf.stamp() ** 2).sum()) == pytest.approx(1 / (2 * np.sqrt(np.pi) * 2.0), rel=1e-4)


@pytest.mark.parametrize("sampling", [0.5, 2.0, 0.83])
def test_sampling_keeps_shape_and_flux(sampling):
    n = 81
    r = np.arange(n) - n // 2
    sigma = 4.0 / sampling if sampling < 1 else 3.0
    g = np.exp(-0.5 * (r / sigma) ** 2)
    psf = PsfModel(np.outer(g, g).astype(np.float32)[None], sampling=sampling)
    stamp = psf.stamp()
    assert stamp.shape == psf.stamp_shape
    assert stamp.sum() == pytest.approx(1)
    centre = stamp.shape[0] // 2
    assert np.unravel_index(stamp.argmax(), stamp.shape) == (centre, centre)
    x = np.arange(stamp.shape[0]) - centre
    width = np.sqrt((stamp.sum(0) * x**2).sum())
    assert width == pytest.approx(sigma * sampling, rel=0.03)


def test_the_old_name_of_the_ratio_still_works():
    with pytest.warns(DeprecationWarning, match="units.SIGMA_PER_FWHM"):
        from legacypipe_lite.models.psf import SIGMA_PER_FWHM
    assert SIGMA_PER_FWHM == 1 / 2.35
    with pytest.raises(AttributeError, match="no attribute 'sigma'"):
        _ = psf_module.sigma
