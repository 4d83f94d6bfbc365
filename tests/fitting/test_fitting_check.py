"""Sources held against all pixels of their models."""

from types import SimpleNamespace

import numpy as np
import pytest
from fitting_scenes import blob_images, context, galaxy, make_tims, star, whole_task

from legacypipe_lite.bits import DOUBTFUL_FLAGS, FIT_FLAGS
from legacypipe_lite.fitting import fit_blob
from legacypipe_lite.fitting.check import bound_flux, patch_products


@pytest.fixture(scope="module")
def images():
    return blob_images(make_tims([star(40.3, 45.2, [2.0, 3.0])]))


def test_products_with_the_data(images):
    source = star(40.3, 45.2, [2.0, 3.0])
    patches = images.render(source)
    model = np.zeros_like(images.data)
    images.add(patches, data=model, everywhere=True)
    weighted = (model * images.inverr).astype(float)
    pixels = np.concatenate([np.full(h * w, b) for b, h, w in zip(images.band, images.height, images.width)])
    with_data, with_itself = patch_products(images, patches)
    for band in range(2):
        own = pixels == band
        assert with_itself[band] == pytest.approx(np.sum(weighted[own] ** 2), rel=1e-5)
        assert with_data[band] == pytest.approx(np.sum((weighted * images.data * images.inverr)[own]), rel=1e-5)


def _entry(images, source):
    return SimpleNamespace(source=source, patches=images.render(source), result=SimpleNamespace(fit_flags=0))


def test_a_good_flux_is_left_alone(images):
    entry = _entry(images, star(40.3, 45.2, [2.0, 3.0]))
    assert not bound_flux(images, entry)
    assert entry.source.flux.tolist() == [2.0, 3.0] and entry.result.fit_flags == 0


def test_a_flux_that_the_pixels_deny_is_bounded(images):
    entry = _entry(images, star(40.3, 45.2, [2.0, 1e12]))
    assert bound_flux(images, entry)
    assert entry.source.flux[0] == 2.0 and entry.source.flux[1] == pytest.approx(3.0, rel=0.05)
    assert entry.result.fit_flags == FIT_FLAGS["BOUNDED"]


def test_a_flux_that_is_not_finite_is_bounded(images):
    entry = _entry(images, star(40.3, 45.2, [2.0, np.inf]))
    assert bound_flux(images, entry)
    assert np.all(np.isfinite(entry.source.flux)) and entry.result.fit_flags & DOUBTFUL_FLAGS


def test_catalogue_stars_on_top_of_each_other_stay_finite():
    """Many stars of a catalogue where the images show none of them apart."""
    rng = np.random.default_rng(11)
    stars = [
        star(45 + x, 45 + y, [5.0, 5.0], is_reference=True, reference_star=True, forced_pointsource=True)
        for x, y in rng.uniform(-6, 6, (60, 2))
    ]
    tims = make_tims([galaxy("EXP", 45.0, 45.0, [40.0, 60.0], 1.0)])
    found = fit_blob(context(tims, stars), whole_task(range(len(stars))))
    assert len(found.sources) >= len(stars)
    flux = np.array([s.source.flux for s in found.sources])
    assert np.all(np.abs(flux) < 300) and np.all(np.isfinite([s.dchisq for s in found.sources]))
