"""Fibre fluxes."""

import fitsio
import numpy as np
import pytest
from real_tims import FIELDS, Field
from synthetic_tims import make_target

from legacypipe_lite.coadds import fiber_fluxes
from legacypipe_lite.coadds.fiberflux_kernels import gaussian_mixture
from legacypipe_lite.models import Motion, Source


def catalogue_sources(catalog):
    sources = []
    for row in catalog:
        kind = row["type"].strip()
        if kind in ("DUP", "NUN"):
            sources.append(None)
            continue
        motion = None
        if row["ref_epoch"] > 0:
            motion = Motion(*(float(row[c]) for c in ("pmra", "pmdec", "parallax", "ref_epoch")))
        shape = (float(row[c]) for c in ("shape_r", "shape_e1", "shape_e2", "sersic"))
        sources.append(Source(kind, float(row["ra"]), float(row["dec"]), [0.0], *shape, motion))
    return sources


@pytest.mark.parametrize("name", FIELDS)
def test_equal_published_ones(testdata, name):
    field = Field(testdata, name)
    catalog = fitsio.read(str(field.root / "tractor" / field.brickname[:3] / f"tractor-{field.brickname}.fits"))
    flux, ivar = (np.stack([catalog[f"{c}_{b}"] for b in field.bands], axis=1) for c in ("flux", "flux_ivar"))
    fiber, total = fiber_fluxes(catalogue_sources(catalog), field.target, catalog["bx"], catalog["by"], flux, ivar)
    for i, band in enumerate(field.bands):
        assert np.allclose(fiber[:, i], catalog[f"fiberflux_{band}"], rtol=3e-7, atol=1e-9)
        assert np.allclose(total[:, i], catalog[f"fibertotflux_{band}"], rtol=3e-7, atol=1e-9)


def test_fraction_of_a_point_source():
    target = make_target(80, 80)
    x, y = 40.571785, 39.622635
    ra, dec = target.pixel_to_sky(x, y)
    fiber, total = fiber_fluxes([Source("PSF", ra, dec, [1.0])], target, [x], [y], np.ones((1, 1)), np.ones((1, 1)))
    assert fiber[0, 0] == pytest.approx(0.776943, abs=1e-6)
    assert total[0, 0] == pytest.approx(fiber[0, 0], rel=1e-6)


def test_sources_without_flux_and_off_the_grid():
    target = make_target(60, 60)
    on, near, far = ((30.0, 30.0), (-10.0, 30.0), (-500.0, 30.0))
    sources = [Source("PSF", *target.pixel_to_sky(*p), [1.0, 1.0]) for p in (on, near, far)]
    sources += [None, Source("EXP", *target.pixel_to_sky(31.0, 30.0), [1.0, 1.0], 2.0)]
    x, y = np.array([30.0, -10.0, -500.0, 30.0, 31.0]), np.full(5, 30.0)
    flux, ivar = np.ones((5, 2)), np.ones((5, 2))
    ivar[4, 1] = 0
    fiber, total = fiber_fluxes(sources, target, x, y, flux, ivar)
    # A source that is off the grid has no fibre flux (and leaves nothing behind for its neighbours).
    assert np.all(fiber[1:4] == 0) and np.all(total[1:3] == 0)
    assert fiber[4, 1] == 0 and 0 < fiber[4, 0] < fiber[0, 0]
    # A row without a source sees the light of the others.
    assert total[3, 0] == total[0, 0] > fiber[0, 0]
    assert total[0, 1] == pytest.approx(fiber[0, 1], rel=1e-6)


def test_moving_star_is_at_its_2020_position():
    target = make_target(80, 80)
    ra, dec = target.pixel_to_sky(40.0, 40.0)
    star = Source("PSF", ra, dec, [1.0], motion=Motion(0.0, 100.0, 0.0, 2015.5))
    fiber, total = fiber_fluxes([star], target, [40.0], [40.0], np.ones((1, 1)), np.ones((1, 1)))
    assert total[0, 0] < 0.8 * fiber[0, 0]


def test_mixture_kernel_equals_twin():
    amplitudes, covariances = np.array([0.6, 0.4]), np.array([[4.0, 1.0, 3.0], [2.0, -0.5, 6.0]])
    out = np.empty((30, 33), np.float32)
    gaussian_mixture(-5, 7, 10.2, 20.7, amplitudes, covariances, out)
    yy, xx = np.mgrid[7:37, -5:28]
    d = np.stack([xx - 10.2, yy - 20.7], axis=-1)
    expected = 0
    for a, (vxx, vxy, vyy) in zip(amplitudes, covariances):
        v = np.array([[vxx, vxy], [vxy, vyy]])
        m2 = np.einsum("...i,ij,...j", d, np.linalg.inv(v), d)
        expected = expected + np.where(m2 < 100, a * np.exp(-m2 / 2), 0) / (2 * np.pi * np.sqrt(np.linalg.det(v)))
    assert np.allclose(out, expected, rtol=1e-6, atol=1e-12)
