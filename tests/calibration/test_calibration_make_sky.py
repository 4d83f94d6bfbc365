import numpy as np
import pytest
from scipy.stats import sigmaclip

from legacypipe_lite.calibration import ConstantSky, JumpSky, SkyScene, SplineSky, box_size, fit_sky, sky_row
from legacypipe_lite.calibration.make_sky import _mode, grid_positions
from legacypipe_lite.calibration.sky import sky_from_row
from legacypipe_lite.errors import CalibrationError

NOISE = 5.0


@pytest.mark.parametrize(
    "height, width, expected",
    [
        (4094, 2046, 512),  # DECam
        (4096, 4032, 512),  # 90Prime
        (4079, 4054, 512),  # Mosaic-3
        (4061, 4096, 512),
        (251, 245, 64),
        (50, 40, 32),  # not smaller
    ],
)
def test_box_size(height, width, expected):
    assert box_size(height, width) == expected


def test_box_size_by_option():
    assert box_size(251, 245, 128) == 64
    assert box_size(4094, 2046, 256) == 256
    assert box_size(4094, 2046, 100) == 100


@pytest.mark.parametrize(
    "length, box, first, last, number",
    [
        (2046, 512, -1, 2047, 9),
        (4094, 512, -1, 4095, 17),
        (4032, 512, -32, 4064, 17),
        (4096, 512, -128, 4224, 18),
        (245, 64, -6, 250, 9),
        (251, 64, -3, 253, 9),
    ],
)
def test_grid_positions(length, box, first, last, number):
    grid = grid_positions(length, box)
    assert (grid[0], grid[-1], len(grid)) == (first, last, number)
    assert np.all(np.diff(grid) == box // 2)


def noisy(sky, seed=1, shape=(300, 280)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    noise = np.random.default_rng(seed).normal(0, NOISE, shape)
    return (sky(x, y) + noise).astype(np.float32), np.full(shape, NOISE**-2, np.float32)


def slope(x, y):
    return 500 + 0.02 * x - 0.01 * y


def test_sloping_sky_with_stars():
    image, invvar = noisy(slope)
    truth = slope(*np.meshgrid(np.arange(280), np.arange(300)))
    for x, y in ((50, 60), (200, 100), (140, 250)):
        r2 = (np.arange(280) - x) ** 2 + (np.arange(300)[:, None] - y) ** 2
        image += (5000 * np.exp(-0.5 * r2 / 4)).astype(np.float32)
    fitted = fit_sky(image, invvar, box=box_size(*image.shape))
    model = fitted.sky.image(0, 0, 280, 300)
    assert isinstance(fitted.sky, SplineSky) and fitted.sky.order == 3
    assert fitted.sig1 == pytest.approx(NOISE)
    assert abs(np.median(model - truth)) < 0.1 and np.abs(model - truth).max() < 2.0
    statistics = fitted.statistics
    assert statistics["sky_john"] == pytest.approx(500 + 0.02 * 140 - 1.5, abs=0.2)
    assert statistics["sky_p50"] == pytest.approx(0, abs=0.1)
    assert statistics["sky_p10"] == pytest.approx(-1.2816 * NOISE, rel=0.05)
    assert 0.01 < statistics["sky_fmasked"] < 0.2
    assert statistics["sky_med"] == pytest.approx(statistics["sky_mode"], abs=0.5)
    assert all(isinstance(v, np.float32) for v in statistics.values())


def test_grid_values_are_medians_of_good_pixels():
    image, invvar = noisy(lambda x, y: 0.0 * x + 100)
    fitted = fit_sky(image, invvar, box=150)
    # Far from any outlier only the 3-sigma mask matters: compare with a direct median.
    sky = fitted.sky
    i, j = 2, 2
    x, y = sky.xgrid[i], sky.ygrid[j]
    assert min(x, y) >= 75
    box = image[y - 75 : y + 75, x - 75 : x + 75]
    assert sky.values[j, i] == pytest.approx(np.median(box), abs=0.05)


def test_masked_corner_takes_the_overall_level():
    image, invvar = noisy(lambda x, y: 0.0 * x + 100)
    invvar[:120, :120] = 0
    image[:120, :120] = 1e4
    fitted = fit_sky(image, invvar, box=64)
    assert fitted.sky.values[0, 0] == fitted.statistics["sky_john"]
    assert np.abs(fitted.sky.image(0, 0, 280, 300) - 100).max() < 3


def test_scene_masks():
    image, invvar = noisy(lambda x, y: 100 + 50.0 * (x > 140))
    mask = np.zeros(image.shape, bool)
    mask[:, 141:] = True
    for scene in (SkyScene(mask=mask), SkyScene(blobs=mask)):
        assert fit_sky(image, invvar, scene, box=64).statistics["sky_john"] == pytest.approx(100, abs=0.3)


def test_constant_on_request_or_among_galaxies():
    image, invvar = noisy(slope)
    fitted = fit_sky(image, invvar, spline=False)
    assert isinstance(fitted.sky, ConstantSky)
    assert fitted.sky.value == pytest.approx(501.3, abs=0.3)
    assert isinstance(fit_sky(image, invvar, SkyScene(galaxy_fraction=0.1)).sky, ConstantSky)
    assert isinstance(fit_sky(image, invvar, SkyScene(galaxy_fraction=0.09), box=64).sky, SplineSky)


def step(x, y):
    return 100 + 8.0 * (x >= 140)


def test_jump_in_a_spline():
    image, invvar = noisy(step)
    sky = fit_sky(image, invvar, box=64, jump=True).sky
    assert sky.xbreak == 140 and sky.xjump == pytest.approx(8.0, abs=0.2)
    truth = step(*np.meshgrid(np.arange(280), np.arange(300)))
    assert np.abs(sky.image(0, 0, 280, 300) - truth).max() < 3.5
    smooth = fit_sky(image, invvar, box=64).sky
    assert np.abs((smooth.image(0, 0, 280, 300) - truth)[:, 130:150]).mean() > 2.0


def test_jump_of_a_constant():
    image, invvar = noisy(lambda x, y: 100 + 1.5 * (x >= 140))
    sky = fit_sky(image, invvar, spline=False, jump=True).sky
    assert isinstance(sky, JumpSky) and sky.xbreak == 140
    assert (sky.left, sky.right) == (pytest.approx(100, abs=0.3), pytest.approx(101.5, abs=0.3))
    invvar[:, 140:] = 0
    invvar[0, 140:150] = 1
    assert isinstance(fit_sky(image, invvar, spline=False, jump=True).sky, ConstantSky)


def test_small_images_get_splines_of_lower_degree():
    image, invvar = noisy(slope, shape=(20, 24))
    sky = fit_sky(image, invvar, box=box_size(20, 24)).sky
    assert sky.order == 2 and len(sky.ygrid) == 3
    assert np.abs(sky.image(0, 0, 24, 20) - 500).max() < 10


def test_no_good_pixels():
    image, invvar = noisy(slope)
    with pytest.raises(CalibrationError, match="no good pixels"):
        fit_sky(image, np.zeros_like(invvar))


def test_nearly_all_is_masked():
    image, invvar = noisy(lambda x, y: 0.0 * x + 100)
    mask = np.ones(image.shape, bool)
    mask[0, 0] = False
    fitted = fit_sky(image, invvar, SkyScene(mask=mask), box=64)
    assert fitted.statistics["sky_john"] == pytest.approx(100, abs=0.3)
    np.testing.assert_allclose(fitted.sky.image(0, 0, 280, 300), fitted.statistics["sky_john"], rtol=1e-6)


def test_mode():
    values = np.random.default_rng(3).normal(50, 4, 100_000)
    skewed = np.concatenate([values, np.random.default_rng(4).exponential(20, 20_000) + 52])
    assert _mode(skewed) == pytest.approx(50, abs=0.5)
    assert abs(_mode(skewed) - 50) < abs(np.median(sigmaclip(skewed, 2, 2).clipped) - 50)
    assert _mode(np.full(10, 3.0)) == 3.0
    assert _mode(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)


@pytest.mark.parametrize("spline, jump", [(True, False), (True, True), (False, False), (False, True)])
def test_row_gives_the_model_back(spline, jump):
    image, invvar = noisy(step)
    fitted = fit_sky(image, invvar, box=64, spline=spline, jump=jump)
    scene = SkyScene(halos=True, galaxy_version="L3", blobs=np.zeros(image.shape, bool))
    row = sky_row(fitted, (10, 20), scene, 29.5, None, {"expnum": np.int64(17)})
    sky = sky_from_row(row, "x")
    np.testing.assert_array_equal(sky.image(10, 20, 280, 300), fitted.sky.image(0, 0, 280, 300))
    np.testing.assert_array_equal(sky.image(0, 0, 99, 99), fitted.sky.shifted(-10, -20).image(0, 0, 99, 99))
    assert row["halo_zpt"] == 29.5 and row["blob_masked"] and row["sub_sga_ver"] == "L3" and row["templ_run"] == -1
    assert row["sig1"] == np.float32(fitted.sig1) and row["expnum"] == 17
    assert sky_row(fitted, (0, 0), SkyScene(), 29.5, None, {})["halo_zpt"] == 0
