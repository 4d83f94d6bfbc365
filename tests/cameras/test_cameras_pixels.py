"""Pixels, weights and data-quality codes that mean nothing: masked and said; the image stays."""

import numpy as np
import pytest
from astropy.io import fits
from synthetic_ccds import NOISE, SKY, SyntheticSurvey

from legacypipe_lite.bits import DQ
from legacypipe_lite.cameras import camera_class
from legacypipe_lite.cameras.dq import NO_CODE, describe_unknown, integer_codes
from legacypipe_lite.cameras.extent import Region
from legacypipe_lite.cameras.files import FitsImage
from legacypipe_lite.cameras.pixels import without_value
from legacypipe_lite.survey import SurveyDirectory

SHAPE = (120, 100)
BLOCK = np.s_[40:43, 50:54]


@pytest.fixture
def survey(tmp_path, monkeypatch):
    monkeypatch.delenv("SKY_TEMPLATE_DIR", raising=False)
    return SyntheticSurvey(tmp_path / "survey")


def read(survey, row, **options):
    return camera_class(row["camera"])(row, SurveyDirectory(survey.root), survey.options(**options)).read_tim()


def noise():
    return SKY + NOISE * np.random.default_rng(1).normal(size=SHAPE)


def with_block(value, dtype=np.float32):
    image = noise().astype(dtype)
    image[BLOCK] = value
    return image


def check_masked(tim, dq=DQ["badpix"]):
    """Only the block is masked, and nothing is left of its values."""
    masked = np.zeros(SHAPE, bool)
    masked[BLOCK] = True
    np.testing.assert_array_equal(tim.inverr == 0, masked)
    np.testing.assert_array_equal(tim.dq != 0, masked)
    assert np.all(tim.dq[BLOCK] == dq) and np.all(np.isfinite(tim.image)) and np.abs(tim.image).max() < 10 * tim.sig1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -1e30])
def test_pixels_without_a_value_get_no_weight(survey, caplog, value):
    check_masked(read(survey, survey.add_ccd(image=with_block(value))))
    what = "beyond what a telescope can give" if np.isfinite(value) else "not finite or blank"
    assert f"x_400000_ooi_r-N4: 12 of 12000 pixels get no weight: 12 {what}" in caplog.text


def test_a_frame_without_values(survey):
    image = np.full(SHAPE, np.nan)
    image[9:-20, 12:-30] = noise()[9:-20, 12:-30]
    tim = read(survey, survey.add_ccd(image=image))
    assert (tim.x0, tim.y0, tim.shape) == (12, 9, (91, 58)) and np.all(tim.inverr > 0)


def test_the_brightest_star_is_no_junk():
    image = np.array([0.0, 1e6, 1e8, 1e12], np.float32)
    assert without_value(image, 1.0).tolist() == [False, False, False, True]


def integer_image(path, bits, compressed, blank_card="BLANK"):
    """Replace an image by integers with a block of blank pixels."""
    with fits.open(path) as f:
        primary, header, data = f[0].header.copy(), f[1].header.copy(), np.array(f[1].data)
    step, blank = (0.5, -(2**15)) if bits == 16 else (0.01, -(2**31) + 1)
    values = np.round((data - SKY) / step).astype(f"i{bits // 8}")
    values[BLOCK] = blank
    header["BITPIX"] = bits
    hdu = fits.CompImageHDU(values, header, compression_type="RICE_1") if compressed else fits.ImageHDU(values, header)
    fits.HDUList([fits.PrimaryHDU(header=primary), hdu]).writeto(path, overwrite=True)
    with fits.open(path, mode="update", do_not_scale_image_data=True, disable_image_compression=True) as f:
        f[1].header.update({"BSCALE": step, "BZERO": SKY, blank_card: blank})


@pytest.mark.parametrize(
    "bits, compressed, card",
    [(16, False, "BLANK"), (32, False, "BLANK"), (16, True, "BLANK"), (32, True, "BLANK"), (32, True, "ZBLANK")],
)
def test_blank_pixels_of_integer_images(survey, bits, compressed, card):
    row = survey.add_ccd(image=noise())
    integer_image(survey.path(row["image_filename"]), bits, compressed, card)
    check_masked(read(survey, row))


def test_blank_pixels_of_quantised_images(survey):
    row = survey.add_ccd(image=with_block(np.nan))
    path = survey.path(row["image_filename"])
    with fits.open(path) as f:
        primary, header, data = f[0].header.copy(), f[1].header.copy(), np.array(f[1].data, np.float32)
    hdu = fits.CompImageHDU(data, header, compression_type="RICE_1", quantize_level=16)
    fits.HDUList([fits.PrimaryHDU(header=primary), hdu]).writeto(path, overwrite=True)
    check_masked(read(survey, row))


def test_blank_of_an_image_that_is_only_shifted(tmp_path):
    values = np.full((20, 20), 40000, np.uint16)
    values[3, 4] = 32768  # stored as 0
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values)]).writeto(tmp_path / "u.fits")
    with fits.open(tmp_path / "u.fits", mode="update", do_not_scale_image_data=True) as f:
        f[1].header["BLANK"] = 0
    with FitsImage(tmp_path / "u.fits", 1) as image:
        pixels = image.read(Region(0, 20, 0, 20))
    assert np.argwhere(np.isnan(pixels)).tolist() == [[3, 4]] and np.nanmin(pixels) == 40000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 0.0, 3e38])
def test_weights_that_are_none(survey, caplog, value):
    weight = np.full(SHAPE, NOISE**-2, np.float32)
    weight[BLOCK] = value
    tim = read(survey, survey.add_ccd(weight=weight))
    assert np.count_nonzero(tim.inverr == 0) == 12 and np.all(tim.inverr[BLOCK] == 0)
    assert ("weight map: pixels get no weight: 12" in caplog.text) == (value != 0)


@pytest.mark.parametrize("camera", ["decam", "mosaic", "90prime"])
@pytest.mark.parametrize("code", [9, 16, 64, -1])
def test_unknown_codes_are_masked_and_said(survey, caplog, camera, code):
    codes = np.zeros(SHAPE, np.int32)
    codes[BLOCK] = code
    others = {"ccdname": "CCD1", "band": "z", "primary": {"SKYADU": SKY, "EXPTIME": 100.0}}
    tim = read(survey, survey.add_ccd(codes=codes, camera=camera, **(others if camera != "decam" else {})))
    assert np.all(tim.inverr[40:43, 50 - tim.x0 : 54 - tim.x0] == 0)
    assert f"masked, 12 pixels: code (pixels) {code} (12)" in caplog.text


def test_known_codes_are_not_mentioned(survey, caplog):
    codes = np.zeros(SHAPE, np.int32)
    codes[BLOCK] = np.arange(12).reshape(3, 4) % 9
    read(survey, survey.add_ccd(codes=codes))
    assert "data-quality" not in caplog.text


def test_old_bit_masks_have_no_unknown_codes(survey, caplog):
    codes = np.zeros(SHAPE, np.int32)
    codes[BLOCK] = 16 | 1024
    tim = read(survey, survey.add_ccd(codes=codes, plver="V3.1"))
    check_masked(tim, 16 | 1024)
    assert "data-quality" not in caplog.text


def test_codes_of_any_type(survey, caplog):
    values = np.array([[0.0, 3.0, np.nan, np.inf, 0.5, 3e38]])
    assert integer_codes(values).tolist() == [[0, 3, NO_CODE, NO_CODE, NO_CODE, NO_CODE]]
    assert integer_codes(np.array([[2**31 + 5, 7]], np.uint32)).tolist() == [[NO_CODE, 7]]
    assert integer_codes(np.array([[2**40, -1]], np.int64)).tolist() == [[NO_CODE, -1]]
    assert integer_codes(np.array([[255, 7]], np.uint8)).dtype == np.int32
    row = survey.add_ccd()
    path = survey.path(row["image_filename"].replace("_ooi_", "_ood_"))
    with fits.open(path) as f:
        codes = f[1].data.astype(np.float32)
        codes[BLOCK] = np.nan
        hdus = fits.HDUList([fits.PrimaryHDU(header=f[0].header), fits.ImageHDU(codes)])
        hdus.writeto(path, overwrite=True)
    check_masked(read(survey, row))
    assert "no code (12)" in caplog.text


def test_many_unknown_codes_are_one_line():
    text = describe_unknown("x", np.repeat(np.arange(10, 30), 3).astype(np.int32))
    assert "60 pixels: code (pixels) 10 (3), 11 (3), 12 (3), 13 (3), 14 (3), ...;" in text


def test_cards_of_the_primary_header_hold_for_the_image(survey):
    """WCS and seeing in the primary header, INHERIT = T in the image."""
    row = survey.add_ccd()
    want = read(survey, row)
    path = survey.path(row["image_filename"])
    with fits.open(path, mode="update") as f:
        f[0].header["EXTNAME"] = "OTHER"
        for key in (
            "FWHM",
            "CTYPE1",
            "CTYPE2",
            "CRVAL1",
            "CRVAL2",
            "CRPIX1",
            "CRPIX2",
            "CD1_1",
            "CD1_2",
            "CD2_1",
            "CD2_2",
        ):
            f[0].header[key] = f[1].header.pop(key)
        f[1].header["INHERIT"] = True
    tim = read(survey, row)
    np.testing.assert_allclose(tim.wcs.pack(), want.wcs.pack(), rtol=1e-12)
    with FitsImage(path, 1) as image:
        assert (
            image.header["EXTNAME"] == "N4"
            and image.header["NAXIS"] == 2
            and image.header["FWHM"] == pytest.approx(3.76)
        )
