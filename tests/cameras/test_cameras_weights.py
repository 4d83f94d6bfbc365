import fitsio
import numpy as np
import pytest

from legacypipe_lite.cameras.extent import Region
from legacypipe_lite.cameras.files import FitsImage
from legacypipe_lite.cameras.weights import Quantization, add_source_noise, apodize, clean_weights, hold_own_noise
from legacypipe_lite.errors import InputError

EXACT = Quantization("exact")
HUGE = 1e9


def clean(weights, dq=None, quantized=EXACT, first_row=0, limit=HUGE):
    weights = np.array(weights, np.float32)
    clean_weights(
        weights, np.zeros(weights.shape, np.uint16) if dq is None else dq, quantized, first_row, limit, "x-N4"
    )
    return weights


def test_masked_and_negative_weights():
    dq = np.array([[0, 1, 0]], np.uint16)
    assert clean([[2.0, 2.0, -1.0]], dq).tolist() == [[2.0, 0.0, 0.0]]


def test_glitches_are_clipped():
    np.testing.assert_allclose(clean([[1.0, 1.29, 1.31, 50.0]], limit=1.0), [[1.0, 1.29, 1.0, 1.0]])


def test_rows():
    steps = np.array([9.0, 0.2, 0.4, 9.0])
    weights = clean([[0.09, 0.11, 5.0], [0.09, 0.19, 0.21]], quantized=Quantization("rows", steps), first_row=1)
    np.testing.assert_allclose(weights, [[0.0, 0.11, 5.0], [0.0, 0.0, 0.21]])


def test_fallback(caplog):
    quantized = Quantization("unknown", reason="ZZERO is not 0")
    dq = np.array([[0, 0, 0, 0, 0, 1]], np.uint16)
    weights = clean([[10.0, 10.0, 10.0, 1.1, 0.9, 1e6]], dq, quantized)
    np.testing.assert_allclose(weights, [[10.0, 10.0, 10.0, 1.1, 0.0, 0.0]])
    assert "x-N4: weight map: ZZERO is not 0" in caplog.text
    caplog.clear()
    assert clean([[0.0, 0.0]], quantized=quantized).tolist() == [[0.0, 0.0]] and not caplog.text


@pytest.mark.parametrize("value, kind", [(np.nan, "not finite"), (np.inf, "not finite"), (-np.inf, "not finite")])
@pytest.mark.parametrize("quantized", [EXACT, Quantization("rows", np.array([0.1])), Quantization("unknown")])
def test_not_finite(value, kind, quantized, caplog):
    assert clean([[1.0, value, 1.0]], quantized=quantized).tolist() == [[1.0, 0.0, 1.0]]
    assert f"x-N4: weight map: pixels get no weight: 1 {kind}" in caplog.text


def test_weights_that_cannot_be(caplog):
    assert clean([[3e38, -2.0, 1.0]], limit=1.0).tolist() == [[0.0, 0.0, 1.0]]
    assert "1 beyond what a telescope can give, 1 negative" in caplog.text
    caplog.clear()
    assert clean([[-1e-3, 1.0]], quantized=Quantization("rows", np.array([0.1]))).tolist() == [[0.0, 1.0]]
    assert not caplog.text  # lossy compression makes them


def write(path, weights, **options):
    with fitsio.FITS(str(path), "rw", clobber=True) as fits:
        fits.write(None)
        fits.write(weights, **options)
    return path


def noisy_weights(shape=(40, 50)):
    weights = np.random.default_rng(1).normal(100, 4, shape).astype(np.float32)
    weights[10:20, 10:30] = 0
    return weights


def quantization_of(path):
    with FitsImage(path, 1) as image:
        return image.quantization(), image.read(Region(0, image.shape[1], 0, image.shape[0]))


@pytest.mark.parametrize(
    "options, kind, reason",
    [
        ({}, "exact", ""),
        ({"compress": "RICE", "qmethod": "SUBTRACTIVE_DITHER_2", "tile_dims": (1, 50)}, "exact", ""),
        ({"compress": "GZIP", "qlevel": 0, "tile_dims": (1, 50)}, "exact", ""),
        ({"compress": "RICE", "qmethod": "NO_DITHER", "tile_dims": (1, 50)}, "unknown", "NO_DITHER"),
        ({"compress": "RICE", "qmethod": "SUBTRACTIVE_DITHER_1", "tile_dims": (20, 25)}, "unknown", "not rows"),
    ],
)
def test_quantization(tmp_path, options, kind, reason):
    quantized, _ = quantization_of(write(tmp_path / "w.fits.fz", noisy_weights(), **options))
    assert quantized.kind == kind and reason in quantized.reason


def test_zeros_of_rows_that_start_at_zero(testdata):
    image = next((testdata / "sim/simA/images").rglob("*_oow_z_*.fits.fz"))
    quantized, weights = quantization_of(image)
    assert quantized.kind == "rows" and quantized.steps.shape == (weights.shape[0],)
    step = quantized.steps[:, np.newaxis]
    tiny = (weights != 0) & (np.abs(weights) <= 0.5 * step)
    assert tiny.any()  # zeros that the compression lost
    cleaned = clean(weights, quantized=quantized)
    assert not (cleaned[tiny] > 0).any() and (cleaned > 0).sum() > 0.9 * cleaned.size
    part = clean(weights[100:200], quantized=quantized, first_row=100)
    np.testing.assert_array_equal(part, cleaned[100:200])


def test_rows_with_an_offset(testdata):
    image = next((testdata / "realdata/mzlsbass2/images").rglob("*_oow_r_*.fits"))
    quantized, _ = quantization_of(image)
    assert quantized.kind == "unknown" and "ZZERO" in quantized.reason


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
def test_damaged_table_behind_a_compressed_image(tmp_path):
    path = write(
        tmp_path / "w.fits.fz", noisy_weights(), compress="RICE", qmethod="SUBTRACTIVE_DITHER_1", tile_dims=(1, 50)
    )
    with FitsImage(path, 1) as image:
        path.write_bytes(path.read_bytes()[:3000])
        with pytest.raises(InputError, match="w.fits.fz: HDU 1: cannot be read"):
            image.quantization()


def test_source_noise():
    weights = np.array([[4.0, 4.0, 4.0, 0.0, 4.0]], np.float32)
    image = np.array([[10.0, 20.0, 0.0, 20.0, 20.0]], np.float32)
    dq = np.array([[0, 0, 0, 0, 1]], np.uint16)
    result = add_source_noise(weights, image, dq, 10.0, 40.0)
    np.testing.assert_allclose(result, [[4.0, 2.0, 2.0, 0.0, 0.0]])
    assert result.dtype == np.float32


def test_apodize():
    weights = np.ones((250, 60), np.float32)
    apodize(weights)
    assert weights[0].max() == 0 and weights[-1].max() == 0 and weights[:, 0].max() == 0 and weights[:, -1].max() == 0
    np.testing.assert_allclose(weights, weights[::-1], atol=1e-6)
    np.testing.assert_allclose(weights, weights[:, ::-1], atol=1e-6)
    t = np.linspace(-np.pi, np.pi, 100)
    ramp = (np.arctan(t) - np.arctan(-np.pi)) / (2 * np.arctan(np.pi))
    np.testing.assert_allclose(weights[:100, 30] / weights[125, 30], ramp, atol=1e-6)
    assert weights.dtype == np.float32


def test_weights_tell_whether_they_hold_the_images_noise():
    rng = np.random.default_rng(4)
    sky, gain = 400.0, 2.0
    counts = rng.poisson(sky * gain, (120, 120)) / gain
    image = (counts - sky).astype(np.float32)
    own = (gain / counts).astype(np.float32)
    expected = np.full(image.shape, gain / sky, np.float32)
    unrelated = (gain / rng.permuted(counts)).astype(np.float32)
    assert hold_own_noise(image, own)
    assert not hold_own_noise(image, expected)
    assert not hold_own_noise(image, unrelated)
    assert not hold_own_noise(image, np.zeros_like(own))
