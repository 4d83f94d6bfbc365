"""Detection maps: matched filter, edge taper, mapping, saturation."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from legacypipe_lite.detection import detection_maps, detmaps
from legacypipe_lite.wcs import PixelMap, target_wcs

SCALE = 0.262


def make_image(data, sigma=2.0, sig1=0.01, wcs=None, band="r", masked=None, dq=None):
    data = np.ascontiguousarray(data, np.float32)
    inverr = np.full(data.shape, 1 / sig1, np.float32)
    if masked is not None:
        inverr[masked] = 0
    if wcs is None:
        wcs = target_wcs(150.0, 2.0, data.shape[1], data.shape[0], SCALE)
    return SimpleNamespace(image=data, inverr=inverr, dq=dq, wcs=wcs, band=band, sig1=sig1, psf_sigma=sigma)


def gaussian(sigma, dx=0.0, n=61):
    y, x = np.indices((n, n)) - n // 2
    return np.exp(-((x - dx) ** 2 + y**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


def test_ramp():
    expected = [0.024892, 0.061633, 0.119887, 0.219463, 0.389836, 0.610164, 0.780537, 0.880113, 0.938367, 0.975108]
    np.testing.assert_allclose(detmaps.edge_ramp(10), expected, atol=5e-7)
    assert detmaps.edge_ramp(0).shape == (0,)


def test_taper_multiplies_edges_and_corners():
    ramp = detmaps.edge_ramp(10)
    image = make_image(np.zeros((40, 50)), sigma=1.5)
    plain = detection_maps([image], image.wcs, ["r"]).detiv[0]
    tapered = detection_maps([image], image.wcs, ["r"], taper=10).detiv[0]
    ratio = tapered / plain
    np.testing.assert_allclose(ratio[:10, 25], ramp, rtol=1e-6)
    np.testing.assert_allclose(ratio[-10:, 25], ramp[::-1], rtol=1e-6)
    np.testing.assert_allclose(ratio[20, :10], ramp, rtol=1e-6)
    np.testing.assert_allclose(ratio[20, -10:], ramp[::-1], rtol=1e-6)
    np.testing.assert_allclose(ratio[0, 0], 0.000620, atol=5e-7)
    assert ratio[20, 25] == 1


@pytest.mark.parametrize(
    ("sigma", "flux", "ivar", "sn", "shifted"),
    [
        (1.2, 1.000008, 552.621, 23.508, 0.95753),
        (1.5, 1.000021, 353.678, 18.807, 0.97262),
        (2.0, 1.000035, 198.944, 14.105, 0.98453),
        (2.5, 1.000047, 127.324, 11.284, 0.99010),
    ],
)
def test_unit_source(sigma, flux, ivar, sn, shifted):
    image = make_image(gaussian(sigma), sigma)
    maps = detection_maps([image], image.wcs, ["r"])
    assert maps.detmap[0, 30, 30] == pytest.approx(flux, abs=1.5e-6)
    assert maps.detiv[0, 30, 30] == pytest.approx(ivar, abs=1e-3)
    assert maps.max_signal_to_noise()[30, 30] == pytest.approx(sn, abs=1e-3)
    image = make_image(gaussian(sigma, dx=0.5), sigma)
    assert detection_maps([image], image.wcs, ["r"]).detmap[0, 30, 30] == pytest.approx(shifted, abs=1e-5)


def test_masked_pixel_counts_zero_and_lowers_the_weight():
    bad = np.zeros((61, 61), bool)
    bad[30, 30] = True
    data = np.zeros((61, 61))
    data[30, 30] = 1e6
    image = make_image(data, 2.0, masked=bad)
    maps = detection_maps([image], image.wcs, ["r"])
    assert np.all(maps.detmap == 0)
    ratio = maps.detiv[0] / maps.detiv[0, 5, 5]
    assert ratio[30, 30] == pytest.approx(0.96021, abs=1e-5)
    assert ratio[30, 31] == pytest.approx(0.96489, abs=1e-5)


@pytest.fixture
def images():
    """Seven images of three bands, shifted against the 120 x 110 target; the last lies elsewhere."""
    rng = np.random.default_rng(5)
    images = []
    for i in range(6):
        wcs = target_wcs(150.0 + 0.001 * i, 2.0 - 0.0007 * i, 130 + i, 120, SCALE * (1 + 0.01 * i))
        dq = np.where(rng.random((120, 130 + i)) < 0.01, 2, 1).astype(np.uint16)
        data = rng.normal(size=(120, 130 + i))
        image = make_image(data, 1.2 + 0.1 * i, 0.5 + i, wcs, "grz"[i % 3], rng.random(data.shape) < 0.05, dq)
        images.append(image)
    images[1].dq = None
    far = target_wcs(151.0, 2.0, 30, 30, SCALE)
    images.append(make_image(np.ones((30, 30)), wcs=far, band="g", dq=np.full((30, 30), 2)))
    return images


def maps_twin(images, target, bands, taper=0, nsatur=None):
    shape = (len(bands), *target.shape)
    numerator, weight_sum = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    saturated, total = np.zeros(shape, int), np.zeros(shape, int)
    ramp = detmaps.edge_ramp(taper)
    for image in images:
        pixel_map = PixelMap.build(target, image.wcs)
        if pixel_map is None or image.band not in bands:
            continue
        p2 = 1 / (4 * np.pi * image.psf_sigma**2)
        good = image.inverr > 0
        flux = gaussian_filter(np.where(good, image.image, np.float32(0)), image.psf_sigma) / np.float32(p2)
        weight = gaussian_filter(np.where(good, np.float32(p2 / image.sig1**2), np.float32(0)), image.psf_sigma)
        for i in range(taper):
            for edge in (weight[i], weight[-1 - i], weight[:, i], weight[:, -1 - i]):
                edge *= ramp[i]
        y, x = np.nonzero(pixel_map.valid)
        yo, xo, yi, xi = y + pixel_map.y0, x + pixel_map.x0, pixel_map.iy[y, x], pixel_map.ix[y, x]
        b = bands.index(image.band)
        numerator[b, yo, xo] += (flux * weight)[yi, xi]
        weight_sum[b, yo, xo] += weight[yi, xi]
        if image.dq is not None:
            saturated[b, yo, xo] += (image.dq[yi, xi] & 2) > 0
            total[b, yo, xo] += 1
    enough = saturated > 0 if nsatur is None else (saturated >= nsatur) | ((saturated == total) & (total > 0))
    return numerator / np.maximum(np.float32(1e-16), weight_sum), weight_sum, enough


@pytest.mark.parametrize(("taper", "nsatur"), [(0, None), (10, 2), (10, 1)])
def test_maps_equal_their_twin(images, taper, nsatur):
    target = target_wcs(150.0, 2.0, 120, 110, SCALE)
    bands = ["g", "r", "z"]
    maps = detection_maps(images, target, bands, taper=taper, nsatur=nsatur)
    detmap, detiv, satmap = maps_twin(images, target, bands, taper, nsatur)
    np.testing.assert_allclose(maps.detiv, detiv, rtol=1e-6)
    np.testing.assert_allclose(maps.detmap, detmap, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(maps.satmap, satmap)
    assert satmap.any()


def nearest_pixels(target, image):
    """Flat index of the nearest image pixel of all target pixels."""
    nearest = np.full((target.height, target.width), -1, np.int32)
    pixel_map = PixelMap.build(target, image.wcs)
    if pixel_map is not None:
        index = pixel_map.iy * image.wcs.width + pixel_map.ix
        nearest[pixel_map.box] = np.where(pixel_map.valid, index, -1)
    return nearest


@pytest.mark.parametrize("nsatur", [None, 2])
def test_known_pixels_and_threads_change_nothing(images, nsatur):
    target = target_wcs(150.0, 2.0, 120, 110, SCALE)
    expected = detection_maps(images, target, ["g", "z"], taper=10, nsatur=nsatur)
    pixels = np.array([nearest_pixels(target, image) for image in images])
    assert (pixels[-1] < 0).all() and (pixels[0] >= 0).any()
    for keywords in ({"pixels": pixels}, {"threads": 3}):
        maps = detection_maps(images, target, ["g", "z"], taper=10, nsatur=nsatur, **keywords)
        for name in ("detmap", "detiv", "satmap"):
            np.testing.assert_array_equal(getattr(maps, name), getattr(expected, name))


def test_saturated_maps_grow_by_four():
    dq = np.zeros((61, 61), np.uint16)
    dq[30, 30] = 2
    image = make_image(np.zeros((61, 61)), dq=dq)
    maps = detection_maps([image], image.wcs, ["g", "r"])
    assert maps.satmap.sum(axis=(1, 2)).tolist() == [0, 1]
    assert maps.saturated.sum(axis=(1, 2)).tolist() == [0, 41]


def test_uncovered_pixels_are_zero():
    image = make_image(np.ones((20, 20)))
    target = target_wcs(150.0, 2.0, 60, 60, SCALE)
    maps = detection_maps([image], target, ["r"])
    assert np.all(maps.detiv[0][:15] == 0)
    assert np.all(maps.detmap[0][:15] == 0)
    assert np.all(maps.detiv[0, 25:35, 25:35] > 0)


def test_views_and_other_types_are_accepted():
    data = np.random.default_rng(6).normal(size=(40, 60))
    plain = make_image(data[::2, ::3])
    view = make_image(data[::2, ::3])
    view.image, view.inverr = data[::2, ::3], np.full((40, 60), 100.0)[::2, ::3]
    view.sig1 = np.float32(view.sig1)
    plain.sig1 = float(view.sig1)
    maps, expected = (detection_maps([im], plain.wcs, ["r"]) for im in (view, plain))
    np.testing.assert_array_equal(maps.detmap, expected.detmap)
    np.testing.assert_array_equal(maps.detiv, expected.detiv)


def test_senseless_nsatur_is_refused():
    with pytest.raises(ValueError, match="nsatur"):
        detection_maps([], target_wcs(1.0, 2.0, 5, 5, SCALE), ["r"], nsatur=0)
