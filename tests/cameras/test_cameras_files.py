import fitsio
import numpy as np
import pytest

from legacypipe_lite.calibration import ImageIdentity
from legacypipe_lite.cameras.extent import Region
from legacypipe_lite.cameras.files import FitsImage, check_version, exposure_number
from legacypipe_lite.errors import InputError

IMAGE = ImageIdentity(17, "N4", "V4.8", "9500000")


@pytest.mark.parametrize(
    "header, expected",
    [
        ({"EXPNUM": 722778}, 722778),
        ({"EXPNUM": "722778 "}, 722778),
        ({"EXPNUM": 722778.0}, 722778),
        ({"EXPNUM": "", "OBSID": "kp4m.20160319T075112"}, 160319075112),
        ({"OBSID": "kp4m.20160319T075112"}, 160319075112),
        ({"EXPNUM": None, "OBSID": "ksb170430055945", "DTACQNAM": "/descache/bass/20170429/d7873.0103.fits"}, 78730103),
        ({"EXPNUM": "", "OBSID": "ksb1", "DTACQNAM": "d7873.0103.fits.fz"}, 78730103),
        ({"OBSID": "ksb1"}, None),
        ({"OBSID": "ct4m2018"}, None),
        ({}, None),
    ],
)
def test_exposure_number(header, expected):
    assert exposure_number(header) == expected


def header(**changes):
    return {"PLVER": "V4.8", "PLPROCID": "9500000", "EXPNUM": 17, **changes}


def test_right_version(caplog):
    check_version("x.fits", header(PLVER="V4.8 "), IMAGE)
    assert caplog.text == ""
    check_version("x.fits", header(PLVER="other", PLPROCID=None), ImageIdentity(17, "N4"))  # nothing to compare with


def test_header_string_longer_than_the_column(caplog):
    check_version("x.fits", header(PLVER="V4.8.2a"), IMAGE)
    assert "x.fits: PLVER V4.8.2a is taken for" in caplog.text


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"PLVER": "V4.9"}, "PLVER is V4.9, the CCD table has V4.8"),
        ({"PLVER": "V4"}, "PLVER is V4,"),
        ({"PLPROCID": None}, "PLPROCID is missing"),
        ({"EXPNUM": 18}, "EXPNUM is 18"),
        ({"EXPNUM": "x"}, "EXPNUM is missing"),
    ],
)
def test_wrong_version(changes, message, caplog):
    with pytest.raises(InputError, match=f"x.fits: {message}.*--old-calibs-ok"):
        check_version("x.fits", header(**changes), IMAGE)
    check_version("x.fits", header(**changes), IMAGE, old_ok=True)
    assert message in caplog.text


@pytest.fixture
def path(tmp_path):
    with fitsio.FITS(str(tmp_path / "x.fits"), "rw") as fits:
        fits.write(None, header={"PLVER": "V4.8"})
        fits.write(np.arange(200, dtype=np.float32).reshape(10, 20), header={"FWHM": 4.0})
        fits.write(np.zeros(2, [("a", "f4")]))
    return tmp_path / "x.fits"


def test_read(path):
    with FitsImage(path, 1, (10, 20)) as image:
        assert image.shape == (10, 20) and image.header["FWHM"] == 4.0 and image.primary_header["PLVER"] == "V4.8"
        pixels = image.read(Region(3, 6, 2, 4))
    np.testing.assert_array_equal(pixels, [[43, 44, 45], [63, 64, 65]])


@pytest.mark.parametrize(
    "hdu, shape, message",
    [
        (1, (20, 10), "expected 20 rows of 10 pixels"),
        (2, None, "no readable image"),
        (5, None, "no readable image"),
        (0, None, "expected a two-dimensional image"),
    ],
)
def test_not_such_an_image(path, hdu, shape, message):
    with pytest.raises(InputError, match=f"x.fits: HDU {hdu}: .*{message}"):
        FitsImage(path, hdu, shape)


def test_beyond_the_image(path):
    with FitsImage(path, 1) as image, pytest.raises(InputError, match="smaller"):
        image.read(Region(10, 25, 0, 10))


def test_truncated(path, tmp_path, testdata):
    source = next((testdata / "sim/simA/images").rglob("*_ooi_r_*.fits.fz"))
    half = tmp_path / "half.fits.fz"
    half.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with FitsImage(half, 1) as image, pytest.raises(InputError, match="half.fits.fz: HDU 1: pixels cannot be read"):
        image.read(Region(0, 700, 700, 750))
    header_only = tmp_path / "header.fits.fz"
    header_only.write_bytes(source.read_bytes()[:2880])
    with pytest.raises(InputError, match="header.fits.fz"):
        FitsImage(header_only, 1)
