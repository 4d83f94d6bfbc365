"""Colour pictures."""

import io

import numpy as np
import pytest
from PIL import Image
from real_tims import FIELDS, Field

from legacypipe_lite.coadds import coadd_band, rgb, with_outlines
from legacypipe_lite.outliers import find_outliers


def jpeg_bytes(picture):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture[::-1])).save(buffer, format="JPEG", dpi=(100, 100))
    return buffer.getvalue()


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.compiled
def test_pictures_equal_published_ones(testdata, name):
    field = Field(testdata, name)
    found = [find_outliers(field.tims, band, field.target) for band in field.bands]
    images = {
        "pre": [f.precoadd for f in found],
        "masked-pos": [f.masked_means[0].dense() for f in found],
        "masked-neg": [f.masked_means[1].dense() for f in found],
    }
    for kind, maps in images.items():
        picture = rgb(maps, field.bands, bw=name == "testcase4")
        assert jpeg_bytes(picture) == field.product("metrics", f"outliers-{kind}-{{}}.jpg").read_bytes(), kind


def test_zero_image_is_dark_and_bright_one_saturates():
    zero, bright = np.zeros((4, 5), np.float32), np.full((4, 5), 1e4, np.float32)
    dark = rgb([zero, zero, zero], "grz")
    # I = 0.03: arcsinh(20 * 0.03) / sqrt(20) = 0.1272 on all planes
    assert np.all(dark == int(255 * np.arcsinh(0.6) / np.sqrt(20)))
    assert np.all(rgb([bright, zero, zero], "grz")[:, :, 2] == 255)
    assert np.all(rgb([zero], "r")[:, :, [0, 2]] == 0)


def test_planes_of_bands():
    flux = np.full((2, 2), 0.2, np.float32)
    zero = np.zeros((2, 2), np.float32)
    for band, plane in (("z", 0), ("r", 1), ("g", 2)):
        picture = rgb([flux if b == band else zero for b in "grz"], "grz")
        assert np.argmax(picture[0, 0]) == plane
    # Of two bands on one plane the later one is seen.
    assert np.array_equal(rgb([flux, zero], ["z", "Y"], "residual"), rgb([zero], ["Y"], "residual"))


def test_residual_mapping_is_linear():
    image = np.array([[-1.0, -0.1, 0.0, 0.05, 0.1, 1.0]], np.float32) / np.float32(3.4)
    picture = rgb([image], ["r"], "residual")
    assert picture[0, :, 1].tolist() == [0, 0, 127, 191, 255, 255]
    assert np.array_equal(rgb([image / 2], ["r"], "residual", stretch=2.0), picture)


def test_four_bands_are_mixed():
    flux, zero = np.full((1, 1), 0.05, np.float32), np.zeros((1, 1), np.float32)
    low = rgb([zero] * 4, "griz", "residual")[0, 0].astype(int)
    high = rgb([zero, zero, flux, zero], "griz", "residual")[0, 0].astype(int)
    # i gives a quarter of red and half of green.
    assert (high - low)[2] == 0 and (high - low)[1] == pytest.approx(2 * (high - low)[0], abs=2)


def test_five_bands_show_the_first_three():
    rng = np.random.default_rng(1)
    images = [rng.normal(0, 0.05, (6, 7)).astype(np.float32) for _ in range(5)]
    assert np.array_equal(rgb(images, ["u", "g", "r", "i", "z"]), rgb(images[:3], ["u", "g", "r"]))


def test_grey_picture_of_one_band():
    image = np.linspace(0, 0.2, 300, dtype=np.float32).reshape(1, 300)
    picture = rgb([image], ["z"], bw=True)
    assert picture.shape == (1, 300, 3) and picture[0, 0, 0] == 0 and picture[0, -1, 0] == 255
    assert np.all(picture == picture[:, :, :1]) and np.all(np.diff(picture[0, :, 0].astype(int)) >= 0)
    assert np.all(rgb([np.ones((3, 3), np.float32)], ["z"], bw=True) == 0)
    colored = rgb([image, image], ["r", "z"], bw=True)
    assert not np.array_equal(colored[:, :, 0], colored[:, :, 2])


def test_unknown_bands():
    image = np.linspace(0, 0.2, 9, dtype=np.float32).reshape(3, 3)
    grey = rgb([image], ["X9"])
    assert np.all(grey == grey[:, :, :1]) and grey.max() == 255
    two = rgb([image, 2 * image], ["X8", "X9"])
    assert two[:, :, 2].max() > 0 and two[:, :, 1].max() > 0 and two[:, :, 0].max() == 0


def test_unknown_mapping():
    with pytest.raises(ValueError, match="mapping"):
        rgb([np.zeros((2, 2), np.float32)], "r", "log")


def test_outlines():
    mask = np.zeros((7, 8), bool)
    mask[2:4, 3:5] = True
    picture = np.zeros((7, 8, 3), np.uint8)
    outlined = with_outlines(picture, mask)
    green = (outlined == (0, 255, 0)).all(axis=2)
    assert green.sum() == 4 * 4 - 4 and green[1, 2] and not green[2, 3] and not picture.any()


def test_image_picture_of_a_field(testdata):
    field = Field(testdata, "mzlsbass2")
    for tim, row in zip(field.tims, field.ccds):
        tim.image[tim.inverr > 0] -= row["co_sky"]
    images = [coadd_band(field.tims, band, field.target, detail="image").image for band in field.bands]
    assert jpeg_bytes(rgb(images, field.bands)) == field.product("coadd", "image.jpg").read_bytes()
