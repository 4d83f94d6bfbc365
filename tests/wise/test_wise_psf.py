"""WISE PSFs: orientation, the recipe of unwise_psf, radial profiles."""

import fitsio
import numpy as np
import pytest
from scipy.ndimage import map_coordinates, spline_filter

from legacypipe_lite.wise import psf_kernels as kernels
from legacypipe_lite.wise.psf import PsfModels, scan_angles

TESTCASE4 = (186.667667, 25.745556)


@pytest.fixture(scope="module")
def models(testdata):
    models = PsfModels(testdata / "refdata" / "unwise_psf")
    assert not models.problems and models.kind == "unwise_psf"
    return models


def recipe(model, angle, spread):
    """The turned and smeared PSF as `unwise_psf` makes it, on a polar grid by scipy alone."""
    model = (model + model[::-1, ::-1]) / 2
    n = len(model)
    h, n_theta = n // 2, 8 * n
    radius = np.linspace(-5, h * np.sqrt(2), 2 * n)
    theta = 2 * np.pi * np.arange(n_theta) / n_theta
    r, t = np.meshgrid(radius, theta, indexing="ij")
    polar = map_coordinates(model, [h + r * np.cos(t), h + r * np.sin(t)], order=4, mode="nearest")
    f = np.fft.rfftfreq(n_theta)
    shifts = [np.exp(-2j * np.pi * f * ((a - angle) % 360) * n_theta / 360) for a in (0, 180)]
    polar = np.fft.irfft(np.fft.rfft(polar) * sum(shifts) / 2 * np.sinc(f * spread * n_theta / 360), n_theta)
    y, x = np.mgrid[-h : h + 1, -h : h + 1]
    at = [
        np.interp(np.hypot(y, x), radius, np.arange(2 * n)),
        np.interp(np.arctan2(x, y) % (2 * np.pi), theta, np.arange(n_theta)),
    ]
    return map_coordinates(polar, at, order=4, mode="wrap")


@pytest.mark.parametrize(
    "centre, expected", [(TESTCASE4, (26.10362, 0.865588)), ((346.094384, 12.115556), (336.23698, 0.811129))]
)
def test_angles(centre, expected):
    assert scan_angles(*centre) == pytest.approx(expected, abs=2e-5)


def test_angles_at_the_ecliptic_poles_are_finite():
    angle, spread = scan_angles(270.0, 66.56)
    assert np.isfinite(angle) and spread == 90.0
    assert scan_angles(90.0, -66.5607)[1] == 90.0


@pytest.mark.parametrize("band", [1, 3])
def test_recipe_is_followed(models, band):
    image = models.at(band, *TESTCASE4).image
    twin = recipe(models.images[band], *scan_angles(*TESTCASE4))
    twin *= image.sum(dtype=float) / twin.sum()
    assert np.abs(image - twin).max() < 1e-6 * twin.max()


@pytest.mark.parametrize(
    "band, peak, row, column, norm, sums",
    [
        (
            1, 0.137230, [0.075385, 0.011542, 0.002199], [0.086631, 0.021282, 0.002675], 0.238727,
            (1.00816, 1.02496, 1.03860),
        ),
        (2, 0.121183, None, None, 0.222059, (0.97702, 0.99230, 1.00350)),
        (3, 0.068278, None, None, 0.132660, (0.83983, 0.90362, 0.99533)),
        (4, None, None, None, 0.072574, (0.82701, 0.89084, 0.97830)),
    ],
)  # fmt: skip
def test_published_numbers(models, band, peak, row, column, norm, sums):
    psf = models.at(band, *TESTCASE4)
    scale = {1: 1.04, 2: 1.005}.get(band, 1.0)
    image, c = psf.image / scale, len(psf.image) // 2
    assert len(image) == (569 if band == 4 else 325) and psf.image.dtype == np.float32
    assert psf.image.sum(dtype=float) == pytest.approx(scale, rel=1e-6)
    assert psf.norm / scale == pytest.approx(norm, abs=1.5e-6)
    if peak is not None:
        assert image[c, c] == pytest.approx(peak, abs=1e-6)
    if row is not None:
        np.testing.assert_allclose(image[c, c + 1 : c + 4], row, atol=1e-6)
        np.testing.assert_allclose(image[c + 1 : c + 4, c], column, atol=1e-6)
    for half, total in zip((15, 30, 100), sums):
        box = psf.image[c - half : c + half + 1, c - half : c + half + 1]
        assert box.sum(dtype=float) == pytest.approx(total, abs=1e-5)


def test_psf_is_symmetric_under_half_a_turn(models):
    image = models.at(2, 10.0, -40.0).image
    np.testing.assert_array_equal(image, image[::-1, ::-1])


@pytest.mark.parametrize(
    "band, box, difference", [(1, 1.0079, 0.012), (2, 0.9778, 0.006), (3, 0.8409, 0.01), (4, 0.8257, 0.025)]
)
@pytest.mark.parametrize("centre", [TESTCASE4, (10.0, -40.0)])
def test_built_in_profiles(models, centre, band, box, difference):
    built_in = PsfModels()
    psf, true = built_in.at(band, *centre), models.at(band, *centre)
    c, half = len(psf.image) // 2, len(true.image) // 2
    assert built_in.kind == "built-in profiles" and psf.image.dtype == np.float32
    assert psf.image[c - 15 : c + 16, c - 15 : c + 16].sum(dtype=float) == pytest.approx(box, abs=5e-4)
    assert psf.norm == pytest.approx(true.norm, rel=3e-3)
    ours, theirs = (image[m - 9 : m + 10, m - 9 : m + 10] for image, m in ((psf.image, c), (true.image, half)))
    assert np.abs(ours - theirs).max() < difference * theirs.max()


def test_missing_and_damaged_models(tmp_path, testdata):
    names = [f"psf_model_w{b}.fits" for b in (3, 4)] + [f"psf_model_w{b}_neo6_unwisecat.fits" for b in (1, 2)]
    good = fitsio.read(str(testdata / "refdata" / "unwise_psf" / names[0]))
    fitsio.write(str(tmp_path / names[0]), good)
    fitsio.write(str(tmp_path / names[1]), good[:-1])
    fitsio.write(str(tmp_path / names[2]), np.full_like(good, np.nan))
    (tmp_path / names[3]).write_bytes(b"nothing")
    models = PsfModels(tmp_path)
    assert models.kind == "unwise_psf; built-in profiles: W1,W2,W4"
    assert len(models.problems) == 3
    for name, words in zip(names[1:], ("odd", "finite", "cannot be read")):
        assert any(name in problem and words in problem for problem in models.problems)


def test_kernels_equal_scipy():
    rng = np.random.default_rng(2)
    image = np.pad(rng.normal(size=(31, 31)), 6, mode="edge")
    image = (image + image[::-1, ::-1]) / 2
    coefficients = spline_filter(image, order=4)
    radii, angles = np.array([-3.0, 0.0, 4.2, 11.7]), np.array([[0.1, 0.3], [2.0, 2.2], [5.0, 5.1]])
    weights = np.array([0.25, 0.75])
    out = np.empty((4, 3))
    kernels.polar_samples(coefficients, 21, radii, np.cos(angles), np.sin(angles), weights, out)
    y = 21 + radii[:, None, None] * np.cos(angles)
    x = 21 + radii[:, None, None] * np.sin(angles)
    expected = map_coordinates(image, [y, x], order=4, mode="mirror") @ weights
    np.testing.assert_allclose(out, expected, atol=1e-10)

    turned = np.empty((31, 31))
    kernels.turned_image(
        coefficients, 6, np.array([0.4, 0.5]), weights, np.zeros((6, 16)), (0.0, 1.0, 0.3), 0.0, turned
    )
    rows, columns = np.mgrid[-15:16, -15:16].astype(float)
    total = 0
    for angle, weight in zip((0.4, 0.5), weights):
        y = np.clip(15 + rows * np.cos(angle) - columns * np.sin(angle), 0, 30) + 6
        x = np.clip(15 + rows * np.sin(angle) + columns * np.cos(angle), 0, 30) + 6
        total = total + weight * map_coordinates(image, [y, x], order=4, mode="mirror")
    np.testing.assert_allclose(turned[:16], total[:16], atol=1e-10)
