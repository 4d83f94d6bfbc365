import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline
from synthetic_ccds import write_row_table

from legacypipe_lite.calibration import (
    ConstantSky,
    ImageIdentity,
    JumpSky,
    SkyTemplate,
    SplineSky,
    read_sky,
)
from legacypipe_lite.calibration.sky import sky_from_row
from legacypipe_lite.errors import CalibrationError

IMAGE = ImageIdentity(17, "N4", "V4.8.2a", "9500000")
XGRID = np.array([-6, 26, 58, 90, 122, 154])
YGRID = np.array([-3, 29, 61, 93, 125])


def spline_row(function, pad=(0, 0), **changes):
    x, y = np.meshgrid(XGRID, YGRID)
    values = np.zeros((len(YGRID) + pad[0], len(XGRID) + pad[1]), np.float32)
    values[: len(YGRID), : len(XGRID)] = function(x, y)
    base = {
        "skyclass": "tractor.splinesky.SplineSky",
        "gridw": len(XGRID),
        "gridh": len(YGRID),
        "gridvals": values,
        "xgrid": np.append(XGRID, [0] * pad[1]),
        "ygrid": np.append(YGRID, [0] * pad[0]),
        "order": 3,
        "x0": 0,
        "y0": 0,
    }
    return {**base, **changes}


def plane(x, y):
    return 100.0 + 0.25 * x - 0.5 * y


def cubic(x, y):
    return 8.0 + (x / 32.0) ** 3 - (y / 32.0) ** 2


@pytest.mark.parametrize("function", [plane, cubic])
def test_spline_reproduces_polynomials(function):
    sky = sky_from_row(spline_row(function), "x")
    x, y = np.meshgrid(np.arange(20, 60), np.arange(10, 30))
    image = sky.image(20, 10, 40, 20)
    assert image.dtype == np.float32 and image.shape == (20, 40)
    np.testing.assert_allclose(image, function(x, y), rtol=1e-5)
    spline = RectBivariateSpline(sky.xgrid, sky.ygrid, sky.values.T, kx=3, ky=3)
    np.testing.assert_array_equal(image, spline(x[0], y[:, 0]).T.astype(np.float32))


def test_origin_of_the_row_is_added():
    whole = sky_from_row(spline_row(plane), "x").image(30, 20, 10, 10)
    part = sky_from_row(spline_row(plane, x0=25, y0=12), "x").image(5, 8, 10, 10)
    np.testing.assert_array_equal(part, whole)


def test_outside_the_grid_the_edge_holds():
    image = sky_from_row(spline_row(plane), "x").image(-10, -10, 200, 150)
    np.testing.assert_allclose(image[:, 0], image[:, 4], rtol=1e-6)
    np.testing.assert_allclose(image[-1], image[-10], rtol=1e-6)


def test_padded_arrays_are_cut():
    padded = sky_from_row(spline_row(plane, pad=(2, 1)), "x")
    np.testing.assert_array_equal(padded.image(0, 0, 9, 9), sky_from_row(spline_row(plane), "x").image(0, 0, 9, 9))


def test_jump_in_a_spline():
    row = spline_row(plane, skyclass="legacypipe.jumpsky.JumpSky", xbreak=50, xjump=7.5, x0=10)
    flat = sky_from_row(spline_row(plane, x0=10), "x").image(30, 0, 20, 5)
    image = sky_from_row(row, "x").image(30, 0, 20, 5)
    np.testing.assert_allclose((image - flat)[0], [0.0] * 10 + [7.5] * 10, atol=1e-5)


def test_constant():
    sky = sky_from_row({"skyclass": "tractor.sky.ConstantSky", "value": 12.5}, "x")
    image = sky.image(3, 4, 5, 6)
    assert sky == ConstantSky(12.5) and image.shape == (6, 5) and image.dtype == np.float32
    assert np.all(image == 12.5) and sky.shifted(3, 4) is sky


def test_constant_jump_counts_columns_of_the_ccd():
    row = {"skyclass": "legacypipe.jumpsky.ConstantJumpSky", "xbreak": 1023, "left": 10.0, "right": 12.0}
    image = sky_from_row(row, "x").image(1020, 0, 6, 2)
    assert image.tolist() == [[10, 10, 10, 12, 12, 12]] * 2
    assert np.all(sky_from_row(row, "x").image(0, 0, 100, 2) == 10)
    assert JumpSky(3, 1.0, 2.0).shifted(-1, 0).image(0, 0, 6, 1).tolist() == [[1, 1, 1, 1, 2, 2]]


@pytest.mark.parametrize(
    "row, message",
    [
        ({"skyclass": "tractor.sky.NoSky"}, "NoSky"),
        ({"value": 1.0}, "class None"),
        ({"skyclass": "tractor.sky.ConstantSky"}, "value"),
        (spline_row(plane, order=5), "degree 5"),
        (spline_row(plane, gridw=7), "gridvals"),
        (spline_row(lambda x, y: np.nan * x), "finite"),
        (spline_row(plane, xgrid=XGRID[::-1]), "grid"),
        (spline_row(plane, skyclass="a.JumpSky", xjump=1.0), "xbreak"),
    ],
)
def test_unusable(row, message):
    with pytest.raises(CalibrationError, match=message):
        sky_from_row(row, "x.fits")


def write(path, **changes):
    identity = {"expnum": 17, "ccdname": "N4", "plver": "V4.8.2a", "plprocid": "9500000", "legpipev": "dr9"}
    write_row_table(path, {"skyclass": "tractor.sky.ConstantSky", "value": 5.0, **identity, **changes})
    return path


def test_search_order(tmp_path):
    single, merged = tmp_path / "single.fits", tmp_path / "merged.fits"
    write(merged, value=6.0)
    assert read_sky([single, merged], IMAGE) == (ConstantSky(6.0), ("dr9", "V4.8.2a"))
    write(single)
    assert read_sky([single, merged], IMAGE)[0] == ConstantSky(5.0)
    with pytest.raises(CalibrationError, match="no sky model of 17 N5: looked for .*single.fits, .*merged.fits"):
        read_sky([single, merged], ImageIdentity(17, "N5"))


TEMPLATE = SkyTemplate("t.fits", "N4", run=12, scale=0.1, version=3)


def test_template_must_be_the_same(tmp_path, caplog):
    path = write(tmp_path / "a.fits", templ_ver=3, templ_run=12, templ_scale=np.float32(0.1))
    assert read_sky([path], IMAGE, template=TEMPLATE)[0] == ConstantSky(5.0)
    assert caplog.text == ""
    for changes in ({"templ_ver": 4}, {"templ_run": 13}, {"templ_scale": np.float32(0.2)}):
        other = {"templ_ver": 3, "templ_run": 12, "templ_scale": np.float32(0.1), **changes}
        path = write(tmp_path / "b.fits", **other)
        with pytest.raises(CalibrationError, match="fitted with sky template version"):
            read_sky([path], IMAGE, template=TEMPLATE)
        assert read_sky([path], IMAGE, old_calibs_ok=True, template=TEMPLATE)[0] == ConstantSky(5.0)


def test_template_not_known_or_not_there(tmp_path, caplog):
    read_sky([write(tmp_path / "a.fits")], IMAGE, template=TEMPLATE)
    assert "does not say" in caplog.text
    read_sky([write(tmp_path / "b.fits", templ_run=12)], IMAGE)
    assert "SKY_TEMPLATE_DIR" in caplog.text


def test_shifted_spline():
    sky = SplineSky(XGRID, YGRID, np.arange(30, dtype=np.float32).reshape(5, 6))
    np.testing.assert_array_equal(sky.shifted(3, 4).image(10, 10, 5, 5), sky.image(13, 14, 5, 5))
