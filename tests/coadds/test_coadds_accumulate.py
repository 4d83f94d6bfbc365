"""Stacking of images: analytic cases, a plain NumPy twin, and the published coadds of real fields."""

import fitsio
import numpy as np
import pytest
from real_tims import FIELDS, Field
from synthetic_tims import PIXSCALE, make_target, make_tim, patch_masked

from legacypipe_lite.bits import DQ
from legacypipe_lite.coadds import (
    BandAccumulator,
    DateMaps,
    coadd_band,
    sky_levels,
)
from legacypipe_lite.wcs import PixelMap, TanWcs, target_wcs


def rotated_wcs(target, angle=10.0, scale=1.1, width=50, height=45):
    """A TAN image over the target, turned and with another pixel scale."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    p = PIXSCALE * scale / 3600
    return TanWcs(target.crval, (width / 2, height / 2), [[-p * c, p * s], [p * s, p * c]], width, height)


def test_same_grid_gives_the_image_back():
    target = make_target(90, 100)
    rng = np.random.default_rng(3)
    inverr = rng.uniform(1, 2, target.shape)
    inverr[10:12, 20:25] = 0
    tim = make_tim(target, rng.normal(size=target.shape), inverr=inverr, sig1=0.5, psfnorm=0.2, galnorm=0.15)
    coadd = coadd_band([tim], "r", target)
    good = tim.inverr > 0
    assert np.allclose(coadd.image[good], tim.image[good], atol=1e-5)
    assert np.allclose(coadd.invvar, tim.inverr**2, rtol=1e-6)
    assert np.array_equal(coadd.nexp, good)
    assert np.all(coadd.nobs == 1)
    assert np.allclose(coadd.psfsize, 0.6642825 * PIXSCALE / 0.2, rtol=1e-6)
    assert np.allclose(coadd.depth, good * (0.2 / 0.5) ** 2)
    assert np.allclose(coadd.galdepth, good * (0.15 / 0.5) ** 2)


def test_weighted_mean_and_chi2_of_constants():
    target = make_target()
    tims = [
        make_tim(target, np.full(target.shape, value), inverr=np.full(target.shape, np.sqrt(ivar)), index=i)
        for i, (value, ivar) in enumerate([(3.0, 4.0), (5.0, 1.0)])
    ]
    zeros = np.zeros(target.shape, np.float32)
    half = np.full(target.shape, 0.5, np.float32)
    coadd = coadd_band(tims, "r", target, models=[(zeros, half)] * 2)
    assert np.allclose(coadd.image, (3 * 4 + 5 * 1) / 5, rtol=1e-5)
    assert np.allclose(coadd.chi2, 4 * 9 + 25, rtol=1e-5)
    assert np.allclose(coadd.resid, coadd.image)
    assert np.allclose(coadd.blobmodel, 0.5, rtol=1e-5)
    assert np.allclose(coadd.blobresid, coadd.image - 0.5, rtol=1e-5)


def test_pixels_without_weight():
    target = make_target()
    inverr = np.ones(target.shape)
    inverr[30:40, 30:40] = 0
    dq = np.zeros(target.shape, np.uint16)
    dq[30:40, 30:40] = DQ["satur"]
    dq[36:40, 30:40] = DQ["badpix"] | DQ["satur"]
    tims = [make_tim(target, np.ones(target.shape), inverr=inverr, dq=dq, index=i) for i in range(2)]
    model = np.full(target.shape, 2.0, np.float32)
    coadd = coadd_band(tims, "r", target, models=[(model, model)] * 2)
    assert np.all(coadd.image[30:36, 30:40] == 10.0)
    assert np.all(coadd.image[36:40, 30:40] == 0.0)
    # The unweighted models are summed over the images.
    assert np.allclose(coadd.model[30:36, 30:40], 4.0)
    assert np.all(coadd.resid[30:40, 30:40] == 0.0)
    assert np.all(coadd.andmask[36:40, 30:40] == 3)
    assert np.all(coadd.andmask[:20] == 0)
    assert np.all(coadd.nexp[30:40, 30:40] == 0)
    assert np.all(coadd.nobs == 2)


def test_uncovered_pixels_and_bands():
    target = make_target(80, 70)
    wcs = target.subimage(0, 0, 40, 70)
    tims = [make_tim(wcs, np.ones(wcs.shape)), make_tim(target, band="g", index=1, mjd=57000.0)]
    dates = DateMaps(tims, target.shape)
    _, r = (coadd_band(tims, band, target, dates=dates) for band in "gr")
    assert np.all(r.nobs[:, 41:] == 0) and np.all(r.andmask == 0) and np.all(r.psfsize[:, 41:] == 0)
    assert np.all(r.image[:, 41:] == 0)
    first, last = dates.at(np.array([5, 70]), np.array([5, 5]))
    assert first.tolist() == [57000.0, 57000.0] and last.tolist() == [58000.0, 57000.0]
    assert DateMaps([], (3, 3)).at(1, 1) == (0.0, 0.0)


def test_image_off_the_target_is_skipped():
    target = make_target()
    away = target_wcs(151.0, 20.0, 50, 50, PIXSCALE)
    accumulator = BandAccumulator("r", target, DateMaps([make_tim(away)], target.shape))
    assert not accumulator.add(make_tim(away), 0)
    assert np.all(accumulator.finish().nobs == 0)


def coadd_twin(tims, target, lanczos):
    """Image, inverse variance, model and chi2 of images of one band, with index arrays and analytic Lanczos."""

    def kernel(t):
        return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0.0)

    def resample(image, fx, fy, ix, iy):
        h, w = image.shape
        taps = np.arange(-3, 4)
        wx, wy = kernel(taps[:, None] - (fx - ix)), kernel(taps[:, None] - (fy - iy))
        total = 0
        for j, oy in enumerate(taps):
            for i, ox in enumerate(taps):
                total = total + wx[i] * wy[j] * image[np.clip(iy + oy, 0, h - 1), np.clip(ix + ox, 0, w - 1)]
        return total / wx.sum(axis=0) / wy.sum(axis=0)

    wim, wgt, wmod, chi2 = np.zeros((4, *target.shape))
    for tim, model in tims:
        yy, xx = np.mgrid[: target.height, : target.width]
        fx, fy = target.map_to(tim.wcs, xx, yy)
        ix, iy = np.rint(fx).astype(int), np.rint(fy).astype(int)
        ok = (ix >= 0) & (ix < tim.wcs.width) & (iy >= 0) & (iy < tim.wcs.height)
        fx, fy, ix, iy = fx[ok], fy[ok], ix[ok], iy[ok]
        factor = (target.pixel_scale / tim.wcs.pixel_scale) ** 2
        if lanczos:
            im = resample(patch_masked(tim.image, tim.inverr > 0), fx, fy, ix, iy) * factor
            mod = resample(model, fx, fy, ix, iy) * factor
        else:
            im, mod = tim.image[iy, ix] * factor, model[iy, ix] * factor
        iv = tim.inverr[iy, ix] ** 2 / factor**2
        wim[ok] += iv * im
        wgt[ok] += iv
        wmod[ok] += iv * mod
        chi2[ok] += iv * (im - mod) ** 2
    return wim / np.maximum(wgt, 1e-30), wgt, wmod / np.maximum(wgt, 1e-30), chi2


@pytest.mark.parametrize("lanczos", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_equals_twin(lanczos, threads):
    target = make_target(70, 64)
    rng = np.random.default_rng(5)
    pairs = []
    for i, angle in enumerate((10.0, 95.0)):
        wcs = rotated_wcs(target, angle, width=52 + i, height=47)
        inverr = rng.uniform(0.5, 1, wcs.shape)
        inverr[rng.random(wcs.shape) > 0.97] = 0
        tim = make_tim(wcs, rng.normal(size=wcs.shape), inverr=inverr, index=i)
        pairs.append((tim, rng.normal(size=wcs.shape).astype(np.float32)))
    image, weight, model, chi2 = coadd_twin(pairs, target, lanczos)
    coadd = coadd_band(
        [t for t, _ in pairs], "r", target, models=[(m, m) for _, m in pairs], lanczos=lanczos, threads=threads
    )
    # The strip that truncation toward zero adds at the images' lower borders is not in the twin.
    inside = np.ones(target.shape, bool)
    for tim, _ in pairs:
        yy, xx = np.mgrid[: target.height, : target.width]
        fx, fy = target.map_to(tim.wcs, xx, yy)
        inside &= ~(((fx < -0.499) & (fx > -1.51)) | ((fy < -0.499) & (fy > -1.51)))
    seen = inside & (weight > 0)
    assert np.allclose(coadd.invvar[inside], weight[inside], rtol=1e-5)
    assert np.allclose(coadd.image[seen], image[seen], atol=3e-5)
    assert np.allclose(coadd.model[seen], model[seen], atol=3e-5)
    assert np.allclose(coadd.chi2[seen], chi2[seen], rtol=1e-3, atol=1e-4)


def test_threads_and_detail_change_nothing():
    target = make_target(90, 80)
    wcs = rotated_wcs(target, 33.0, 0.9, 80, 85)
    tim = make_tim(wcs, np.random.default_rng(0).normal(size=wcs.shape))
    one, four = (coadd_band([tim], "r", target, threads=n) for n in (1, 4))
    plain = coadd_band([tim], "r", target, detail="image")
    for name in ("image", "invvar", "psfsize", "depth", "nexp", "andmask"):
        assert np.array_equal(getattr(one, name), getattr(four, name)), name
    assert np.array_equal(plain.image, one.image) and plain.nexp is None and plain.model is None


def test_arguments_are_checked():
    target = make_target()
    tim = make_tim(target)
    with pytest.raises(ValueError, match="detail"):
        BandAccumulator("r", target, DateMaps([tim], target.shape), detail="everything")
    with pytest.raises(ValueError, match="model"):
        BandAccumulator("r", target, DateMaps([tim], target.shape), detail="models").add(tim, 0)


def test_local_area_scales_by_the_true_pixel_area(testdata):
    field = Field(testdata, "mzlsbass2")
    tim = next(t for t in field.tims if t.band == "z")
    nominal = coadd_band([tim], "z", field.target)
    local = coadd_band([tim], "z", field.target, local_area=True)
    ratio = np.median((local.image / nominal.image)[local.invvar > 0])
    assert ratio == pytest.approx((0.259601 / 0.257087) ** 2, rel=2e-5)
    pixel_map = PixelMap.build(field.target, tim.wcs)
    x, y = pixel_map.x0 + 60, pixel_map.y0 + 80
    step = 0.5
    (ax, ay), (bx, by) = (field.target.map_to(tim.wcs, x + d, y) for d in (-step, step))
    (cx, cy), (dx, dy) = (field.target.map_to(tim.wcs, x, y + d) for d in (-step, step))
    area = abs((bx - ax) * (dy - cy) - (by - ay) * (dx - cx))
    factor = (field.target.pixel_scale / tim.wcs.pixel_scale) ** 2
    here = local.image[y, x] / nominal.image[y, x] * factor
    assert here == pytest.approx(area, rel=1e-5)
    assert local.invvar[y, x] / nominal.invvar[y, x] == pytest.approx((factor / area) ** 2, rel=1e-5)


#: Fields without outliers, star halos or residuals of them.
SKY_ONLY = ("testcase3", "testcase9", "mzlsbass2")


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.compiled
def test_maps_equal_published_ones(testdata, name):
    field = Field(testdata, name)
    for band in field.bands:
        coadd = coadd_band(field.tims, band, field.target)
        nexp = field.coadd("nexp", band)
        same = coadd.nexp == nexp
        # Without the outlier stage 272 pixels of r and 228 of z are good in one exposure more.
        assert (~same).sum() == {"r": 272, "z": 228}.get(band, 0) * (name == "testcase6")
        for kind in ("depth", "galdepth", "psfsize"):
            expected = field.coadd(kind, band)
            assert np.allclose(getattr(coadd, kind)[same], expected[same], rtol=2.5e-7, atol=0), kind
        invvar = field.coadd("invvar", band)
        assert np.array_equal(coadd.invvar[same] == 0, invvar[same] == 0)
        ratio = (coadd.invvar / np.where(invvar > 0, invvar, 1))[same & (invvar > 0)]
        assert np.abs(ratio - 1).max() < 0.026


@pytest.mark.parametrize("name", SKY_ONLY)
@pytest.mark.compiled
def test_images_equal_published_ones(testdata, name):
    field = Field(testdata, name)
    for tim, row in zip(field.tims, field.ccds):
        tim.image[tim.inverr > 0] -= row["co_sky"]
    for band in field.bands:
        coadd = coadd_band(field.tims, band, field.target)
        assert np.abs(coadd.image - field.coadd("image", band)).max() < 5.1e-5


@pytest.mark.parametrize("name", SKY_ONLY)
def test_sky_levels_equal_published_ones(testdata, name):
    field = Field(testdata, name)
    blobmap = fitsio.read(str(field.product("metrics", "blobs-{}.fits.gz")), ext=1)
    levels = sky_levels(field.tims, field.bands, field.target, blobmap)
    for tim, row in zip(field.tims, field.ccds):
        assert levels[tim.band] == pytest.approx(float(row["co_sky"]), abs=2e-9)


def test_no_sky_level_without_pixels(testdata):
    field = Field(testdata, "testcase3")
    assert sky_levels(field.tims, field.bands, field.target, np.zeros(field.target.shape, np.int32)) == {}
