"""Whole blobs: made-up scenes with known sources."""

import math

import numpy as np
import pytest
from fitting_scenes import context, galaxy, make_tims, sky, star, target, whole_task

from legacypipe_lite.bits import REFMAP
from legacypipe_lite.fitting import fit_blob
from legacypipe_lite.fitting.cutouts import cut_tims
from legacypipe_lite.fitting.images import BlobImages
from legacypipe_lite.models import Motion, PsfModel


def _run(tims, sources, task=None, **options):
    ctx = context(tims, sources, **options)
    return fit_blob(ctx, task or whole_task(range(len(sources))))


def _detected(*positions, flux=1.0):
    """Sources as detection hands them over: point sources at whole pixels."""
    return [star(round(x), round(y), [flux, flux]) for x, y in positions]


def _offset(source, x, y):
    ra, dec = sky(x, y)
    return math.hypot((source.ra - ra) * math.cos(math.radians(dec)), source.dec - dec) * 3600


def test_types_positions_and_fluxes():
    truth = [
        star(25.3, 30.4, [3.0, 5.0]),
        galaxy("EXP", 60.2, 55.7, [20.0, 40.0], 1.3, 0.2, -0.15),
        galaxy("DEV", 30.6, 65.2, [30.0, 60.0], 1.5, -0.2, 0.1),
    ]
    found = _run(make_tims(truth), _detected((25.3, 30.4), (60.2, 55.7), (30.6, 65.2)))
    assert [s.source.type for s in found.sources] == ["PSF", "EXP", "DEV"]
    for s, t, (x, y) in zip(found.sources, truth, ((25.3, 30.4), (60.2, 55.7), (30.6, 65.2))):
        assert _offset(s.source, x, y) < 0.03
        sigma = 1 / np.sqrt(s.ivar.flux)
        # neighbours and shapes are correlated with fluxes, so allow for more than the diagonal sigma
        assert np.all(np.abs(s.source.flux - t.flux) < np.maximum(6 * sigma, 0.03 * t.flux))
        assert s.source.shape_r == pytest.approx(t.shape_r, rel=0.05)
        assert s.started_in_blob and s.finished_in_blob and not s.force_keep
        np.testing.assert_allclose(s.rchisq, 1.0, atol=0.2)
        np.testing.assert_allclose(s.fracin, 1.0, atol=0.03)
        assert np.all(s.fracmasked < 1e-3)
    assert found.nimages == 4 and found.total_pixels > 30000
    assert set(found.sources[0].models) >= {"PSF", "REX"}
    assert set(found.sources[1].models) == {"PSF", "REX", "DEV", "EXP", "SER"}
    assert found.sources[1].dchisq[3] > found.sources[1].dchisq[1]
    assert found.cpu > 0


def test_blend_is_separated():
    truth = [star(41.0, 45.0, [1.0, 1.0]), star(48.0, 45.0, [0.5, 2.0])]
    found = _run(make_tims(truth), _detected((41, 45), (48, 45)))
    for s, t in zip(found.sources, truth):
        assert s.source.type == "PSF"
        np.testing.assert_allclose(s.source.flux, t.flux, rtol=0.1)
    # the neighbour's light under each: twice the flux gives more than twice the fraction
    fainter, brighter = found.sources[0].fracflux[1], found.sources[1].fracflux[1]
    assert fainter > 1.5 * brighter > 0


def test_noise_peak_is_dropped():
    found = _run(make_tims([star(30, 30, [5.0, 5.0])]), _detected((30, 30), (70, 70), flux=0.01), iterative=False)
    assert [s.row for s in found.sources] == [0]


def test_empty_blob_has_no_sources():
    found = _run(make_tims([star(30, 30, [5.0, 5.0])]), [], whole_task([]))
    assert found.sources == [] and found.nimages == 4
    nothing = fit_blob(context([], _detected((30, 30))), whole_task([0]))
    assert nothing.sources == [] and nothing.nimages == 0


def test_saddles_in_the_residuals_are_as_deep_as_the_run_wants_them():
    tims = make_tims([star(30, 30, [5.0, 5.0]), star(58, 60, [3.0, 4.0]), star(68, 60, [2.5, 3.5])])
    assert len(_run(tims, _detected((30, 30))).sources) == 3
    assert len(_run(tims, _detected((30, 30)), saddle_fraction=0.95).sources) == 2
    assert len(_run(tims, _detected((30, 30)), saddle_min=1e3).sources) == 1


def test_source_in_the_residuals_is_found():
    truth = [star(30, 30, [5.0, 5.0]), star(65, 60, [3.0, 4.0])]
    found = _run(make_tims(truth), _detected((30, 30)))
    assert [s.row for s in found.sources] == [0, -1]
    new = found.sources[1]
    assert _offset(new.source, 65, 60) < 0.05
    np.testing.assert_allclose(new.source.flux, [3.0, 4.0], rtol=0.05)
    assert (new.x0, new.y0) == (65, 60)
    alone = _run(make_tims(truth), _detected((30, 30)), iterative=False)
    assert [s.row for s in alone.sources] == [0]
    # a threshold that the source does not reach
    assert len(_run(make_tims(truth), _detected((30, 30)), iterative_nsigma=1e4).sources) == 1


def test_reference_star_is_kept_at_its_catalogue_flux():
    gaia = star(45, 45, [4.0, 4.0], motion=Motion(), is_reference=True, reference_star=True, forced_pointsource=True)
    found = _run(make_tims([star(20, 20, [5.0, 5.0])]), [*_detected((20, 20)), gaia])
    kept = found.sources[1]
    assert kept.force_keep and kept.source.flux.tolist() == [4.0, 4.0] and not kept.ivar.any()
    assert (kept.source.ra, kept.source.dec) == (gaia.ra, gaia.dec)


def test_moving_star_is_fitted_at_every_epoch():
    moving = star(45, 45, [20.0, 20.0], motion=Motion(3000.0, -2000.0, 0.0, 2015.0))
    still = star(45, 45, [20.0, 20.0])
    tims = make_tims([moving])
    chi = {}
    for name, source in (("moving", moving), ("still", still)):
        s = source.copy(
            is_reference=True, reference_star=True, forced_pointsource=True, motion=source.motion or Motion()
        )
        chi[name] = _run(tims, [s], iterative=False).sources[0]
    assert chi["moving"].rchisq.max() < 1.3 < chi["still"].rchisq.max()
    np.testing.assert_allclose(chi["moving"].source.flux, 20.0, rtol=0.02)
    assert set(chi["moving"].models) == {"PSF"}


@pytest.mark.parametrize(
    "bit,options,point,sky_fit",
    [
        ("BRIGHT", {}, True, True),
        ("MEDIUM", {}, False, True),
        ("MEDIUM", {"less_masking": True}, False, False),
        ("CLUSTER", {}, True, False),
        ("GALAXY", {}, True, True),
        ("GALAXY", {"galaxy_forces_psf": False}, False, True),
    ],
)
def test_reference_masks_change_the_fit(bit, options, point, sky_fit):
    refmap = np.full((90, 90), REFMAP[bit], np.uint8)
    tims = make_tims([galaxy("EXP", 45, 45, [20.0, 40.0], 1.5)])
    for tim in tims:
        tim.image += np.float32(0.01)
    (s,) = _run(tims, _detected((45, 45)), refmap=refmap, **options).sources
    assert (s.forced_pointsource, s.fit_background) == (point, sky_fit)
    assert (s.source.type == "PSF") == point
    if not point:
        assert (abs(s.source.flux[1] / 40 - 1) < 0.05) == sky_fit


def test_no_detection_inside_masks():
    refmap = np.full((90, 90), REFMAP["MEDIUM"], np.uint8)
    tims = make_tims([star(30, 30, [5.0, 5.0]), star(65, 60, [3.0, 4.0])])
    assert [s.row for s in _run(tims, _detected((30, 30)), refmap=refmap).sources] == [0]


def test_saturated_source_gets_its_flux_first():
    source = star(45, 45, [1.0, 1.0], needs_initial_flux=True)
    (s,) = _run(make_tims([star(45, 45, [200.0, 300.0])]), [source], iterative=False).sources
    np.testing.assert_allclose(s.source.flux, [200.0, 300.0], rtol=0.01)
    assert not s.source.needs_initial_flux


def test_large_galaxy_may_lie_outside_the_blob():
    truth = galaxy("EXP", 45, 45, [200.0, 400.0], 3.0, 0.1, 0.1)
    catalogue = galaxy(
        "EXP", 45.5, 45, [1.0, 1.0], 2.5, is_reference=True, from_galaxy_catalog=True, needs_initial_flux=True,
        max_log_re=math.log(5.0),
    )  # fmt: skip
    blobmap = np.zeros((90, 90), np.int32)
    blobmap[40:50, 40:50] = -1
    (s,) = _run(make_tims([truth]), [catalogue], blobmap=blobmap, iterative=False).sources
    assert s.source.type == "EXP"
    np.testing.assert_allclose(s.source.flux, [200.0, 400.0], rtol=0.02)
    assert s.source.shape_r == pytest.approx(3.0, rel=0.03)
    assert not s.started_in_blob
    # an ordinary source with the same start is dropped
    assert not _run(make_tims([truth]), _detected((45, 45)), blobmap=blobmap, iterative=False).sources


def test_frozen_galaxies_are_subtracted_or_kept():
    frozen = galaxy("EXP", 60, 60, [50.0, 80.0], 2.0, frozen=True, is_reference=True, from_galaxy_catalog=True)
    tims = make_tims([star(25, 25, [5.0, 5.0]), frozen])
    sources = [*_detected((25, 25)), frozen]
    # as a member of the blob it keeps its parameters and is measured
    member = _run(tims, sources)
    assert len(member.sources) == 2
    assert member.sources[1].source.flux.tolist() == [50.0, 80.0] and member.sources[1].ivar.flux[0] > 0
    assert member.sources[1].models == {}
    # reaching in from elsewhere it is subtracted first
    outside = _run(tims, sources, whole_task([0], frozen=[1]))
    assert [s.row for s in outside.sources] == [0]
    without = _run(tims, sources, whole_task([0]))
    assert len(without.sources) > 1


def test_prefitted_companion_only_gets_its_flux():
    companion = star(45.4, 45.0, [1.0, 1.0], frozen=True, sga_fit=True, is_reference=True)
    (s,) = _run(make_tims([star(45, 45, [5.0, 9.0])]), [companion], iterative=False).sources
    assert (s.source.ra, s.source.dec) == (companion.ra, companion.dec)
    assert 4.0 < s.source.flux[0] < 5.0 and set(s.models) == {"PSF"}


def test_without_segmentation_the_whole_box_is_used():
    truth = [star(38.0, 45.0, [10.0, 10.0]), star(52.0, 45.0, [10.0, 10.0])]
    tims = make_tims(truth)
    with_map = _run(tims, _detected((38, 45), (52, 45)))
    without = _run(tims, _detected((38, 45), (52, 45)), segmentation=False)
    assert all(a.symm_npix < b.symm_npix for a, b in zip(with_map.sources, without.sources))
    np.testing.assert_allclose([s.source.flux for s in without.sources], 10.0, rtol=0.03)


def test_reoptimize_keeps_sources():
    truth = [star(41.0, 45.0, [1.0, 1.0]), star(48.0, 45.0, [0.5, 2.0])]
    found = _run(make_tims(truth), _detected((41, 45), (48, 45)), reoptimize=True)
    assert len(found.sources) == 2
    np.testing.assert_allclose([s.source.flux for s in found.sources], [t.flux for t in truth], rtol=0.1)


def test_position_dependent_psf_of_large_blobs():
    """Cut-outs of 400 pixels and more keep a varying PSF, evaluated at each source."""
    size = 420
    r = np.arange(-15, 16)
    basis = np.zeros((3, 31, 31), np.float32)
    basis[0] = np.exp(-0.5 * (r[:, None] ** 2 + r**2) / 4.0) / (8 * np.pi)
    basis[1] = basis[0] * (r[:, None] ** 2 + r**2 - 8.0) * 1e-4
    psf = PsfModel(basis, 1, gaussian_sigma=2.0)
    truth = [star(20, 200, [50.0], ), star(400, 200, [50.0])]  # fmt: skip
    truth = [t.copy(ra=target(size).pixel_to_sky(x, 200.0)[0], dec=target(size).pixel_to_sky(x, 200.0)[1])
             for t, x in zip(truth, (20.0, 400.0))]  # fmt: skip
    tims = make_tims(truth, size=size, bands=["g"], per_band=1, psf=psf)
    ctx = context(tims, [t.copy() for t in truth], size=size, iterative=False)
    found = fit_blob(ctx, whole_task([0, 1], size))
    assert [s.source.type for s in found.sources] == ["PSF", "PSF"]
    for s in found.sources:
        assert s.rchisq[0] < 1.4
        assert s.source.flux[0] == pytest.approx(50.0, rel=0.01)


def test_blob_images_drop_what_does_not_overlap():
    tims = make_tims([], noise=False)
    ctx = context(tims, [])
    assert cut_tims(ctx, (5000, 0, 20, 20)) == []
    box = (10, 20, 30, 25)
    images = BlobImages(cut_tims(ctx, box), target(90).subimage(*box), np.zeros((25, 30), bool), 2)
    assert images.n == 0 and images.total_pixels() == 0


def test_cutouts_cover_the_box():
    tims = make_tims([star(20, 30, [5.0, 5.0])])
    box = (10, 20, 30, 25)
    cutouts = cut_tims(context(tims, []), box)
    assert len(cutouts) == 4 and {c.band_index for c in cutouts} == {0, 1}
    for c, tim in zip(cutouts, tims):
        assert c.image.shape == (c.wcs.height, c.wcs.width)
        assert c.psf_sigma == pytest.approx(tim.ccd.fwhm / 2.35)
        x, y = c.wcs.sky_to_pixel(*target(90).pixel_to_sky([10.0, 39.0], [20.0, 44.0]))
        assert x.min() >= -1e-6 and y.min() >= -1e-6 and x.max() <= c.wcs.width and y.max() <= c.wcs.height
        assert np.shares_memory(c.image, tim.image)


def test_fits_leave_the_tims_alone():
    tims = make_tims([star(20, 30, [5.0, 5.0]), star(30, 30, [5.0, 5.0])])
    before = [(tim.image.copy(), tim.inverr.copy()) for tim in tims]
    blobmap = np.full((90, 90), -1, np.int32)
    blobmap[20:40, 10:40] = 0
    assert len(_run(tims, _detected((20, 30), (30, 30)), blobmap=blobmap).sources) == 2
    for tim, (image, inverr) in zip(tims, before):
        np.testing.assert_array_equal(tim.image, image)
        np.testing.assert_array_equal(tim.inverr, inverr)


def test_only_pixels_of_the_blob_count():
    tims = make_tims([star(30, 30, [5.0, 5.0])])
    blobmap = np.full((90, 90), -1, np.int32)
    blobmap[26:35, 25:34] = 0
    found = _run(tims, _detected((30, 30)), blobmap=blobmap)
    (s,) = found.sources
    assert abs(found.total_pixels / 4 - 9 * 9) < 9
    assert np.all(s.fracmasked > 0.001)
