"""Quality measures and final uncertainties."""

import numpy as np
import pytest
from fitting_scenes import blob_images, galaxy, make_tims, star

from legacypipe_lite.fitting import SourceResult
from legacypipe_lite.fitting.initial import fit_initial_fluxes
from legacypipe_lite.fitting.metrics import measure


def _measured(tims, sources):
    results = [SourceResult(k, s, 0.0, 0.0) for k, s in enumerate(sources)]
    measure(blob_images(tims), results)
    return results


def test_isolated_perfect_model():
    source = star(45, 45, [5.0, 8.0])
    (r,) = _measured(make_tims([source], noise=False), [source])
    np.testing.assert_allclose(r.fracin, 1.0, atol=1e-3)
    assert np.all(r.fracmasked == 0) and np.all(r.fracflux == 0)
    np.testing.assert_allclose(r.rchisq, 0.0, atol=1e-6)
    sigma = np.array([1.6, 1.8])
    # two images per band, the second with a wider PSF
    want = sum(1 / (4 * np.pi * (sigma + d) ** 2) for d in (0.0, 0.1)) / 0.01**2
    np.testing.assert_allclose(r.ivar.flux, want, rtol=5e-3)


def test_coincident_sources():
    sources = [star(45, 45, [2.0, 2.0]), star(45, 45, [1.0, 1.0])]
    brighter, fainter = _measured(make_tims(sources, noise=False), sources)
    np.testing.assert_allclose(fainter.fracflux, 2.0, rtol=1e-5)
    np.testing.assert_allclose(brighter.fracflux, 0.5, rtol=1e-5)


def test_masked_half_and_missing_flux():
    source = star(45, 45, [5.0, 0.0])
    tims = make_tims([source], noise=False)
    for tim in tims:
        tim.inverr[:, 45:] = 0
    (r,) = _measured(tims, [source])
    assert 0.4 < r.fracmasked[0] < 0.7
    assert r.fracmasked[1] == r.fracflux[1] == r.rchisq[1] == r.fracin[1] == r.ivar.flux[1] == 0


def test_source_at_the_edge():
    source = star(0, 45, [5.0, 5.0])
    (r,) = _measured(make_tims([source], noise=False), [source])
    assert np.all((r.fracin > 0.4) & (r.fracin < 0.7))


def test_reference_kept_without_fit_has_no_uncertainties():
    result = SourceResult(0, star(45, 45, [5.0, 5.0]), 0.0, 0.0, force_keep=True)
    measure(blob_images(make_tims([])), [result])
    assert not result.ivar.any() and result.ivar.values.shape == (8,)


def test_size_of_large_galaxies_is_not_limited_here():
    source = galaxy("EXP", 45, 45, [50.0, 50.0], 45.0)
    (r,) = _measured(make_tims([source], noise=False), [source])
    assert r.ivar.shape("shape_r") > 0


def test_initial_fluxes_are_solved_together():
    truth = [star(40, 45, [30.0, 10.0]), star(46, 45, [3.0, 70.0])]
    sources = [star(40, 45, [0.0, 0.0], needs_initial_flux=True), star(46, 45, [0.0, 0.0], needs_initial_flux=True)]
    fit_initial_fluxes(blob_images(make_tims(truth, noise=False)), sources)
    for s, t in zip(sources, truth):
        assert s.flux == pytest.approx(t.flux, rel=1e-3)
        assert not s.needs_initial_flux


def test_initial_flux_of_a_band_without_data_stays():
    tims = [t for t in make_tims([star(45, 45, [5.0, 5.0])], noise=False) if t.band == "g"]
    images = blob_images(tims)
    images.nbands = 2
    source = star(45, 45, [0.0, 3.0], needs_initial_flux=True)
    fit_initial_fluxes(images, [source])
    assert source.flux == pytest.approx([5.0, 3.0], rel=1e-3)
