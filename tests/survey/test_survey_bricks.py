import numpy as np
import pytest
from synthetic_ccds import BRICK, write_bricks, write_table

from legacypipe_lite.errors import InputError, NoSuchBrickError, UsageError
from legacypipe_lite.survey import Brick, SurveyDirectory, find_brick, parse_radec
from legacypipe_lite.wcs import target_wcs


def test_find_brick(tmp_path):
    path = tmp_path / "survey-bricks.fits.gz"
    write_bricks(path)
    brick = find_brick(path, BRICK)
    assert (brick.name, brick.brickid, brick.ra, brick.dec, brick.custom) == (BRICK, 7, 150.0, 20.0, False)
    assert (brick.dec1, brick.dec2) == (19.875, 20.125)


def test_no_such_brick(tmp_path):
    path = tmp_path / "survey-bricks.fits.gz"
    write_bricks(path)
    with pytest.raises(NoSuchBrickError, match="No such brick: 9999p999") as e:
        find_brick(path, "9999p999")
    assert e.value.exit_status == 255


def test_bricks_table_absent_or_incomplete(tmp_path):
    with pytest.raises(InputError, match="survey-bricks"):
        find_brick(None, BRICK)
    write_table(tmp_path / "b.fits", {"brickname": [BRICK], "brickid": [1]})
    with pytest.raises(InputError, match="no column ra"):
        find_brick(tmp_path / "b.fits", BRICK)


def test_contains():
    brick = Brick("x", 1, 10.0, 0.0, 9.5, 10.5, -0.5, 0.5)
    assert brick.contains(10.0, 0.0) and brick.contains(9.5, -0.5)
    assert not brick.contains(10.5, 0.0) and not brick.contains(10.0, 0.5) and not brick.contains(350.0, 0.0)


def test_contains_across_ra_zero():
    brick = Brick("x", 1, 0.0, 0.0, 359.5, 0.5, -0.5, 0.5)
    np.testing.assert_array_equal(brick.contains([359.6, 0.1, 0.5, 359.4, 180.0], 0.0), [1, 1, 0, 0, 0])


@pytest.mark.parametrize("ra", [150.0, 0.05])
def test_unique_pixels(ra):
    target = target_wcs(ra, 20.0, 700, 300, 1.0)
    brick = Brick("x", 1, ra, 20.0, (ra - 0.08) % 360, (ra + 0.09) % 360, 19.97, 20.02)
    unique = brick.unique_pixels(target)
    x, y = np.meshgrid(np.arange(700.0), np.arange(300.0))
    pixel_ra, pixel_dec = target.pixel_to_sky(x, y)
    offset = (pixel_ra - ra + 180) % 360 - 180
    np.testing.assert_array_equal(
        unique, (offset >= -0.08) & (offset < 0.09) & (pixel_dec >= 19.97) & (pixel_dec < 20.02)
    )
    assert 0 < unique.sum() < unique.size


def test_unique_pixels_of_a_survey_brick(testdata):
    brick = find_brick(SurveyDirectory(testdata / "realdata/mzlsbass2").bricks_file(), "1773p595")
    assert brick.unique_pixels(target_wcs(brick.ra, brick.dec, 3600, 3600, 0.262)).sum() == 11_749_770


def test_custom_brick():
    brick = Brick.around(9.1228, 3.3975, target_wcs(9.1228, 3.3975, 100, 100, 0.262))
    assert brick.name == "custom-009122p03397" and brick.brickid == -1 and brick.custom
    np.testing.assert_allclose(
        [brick.ra1, brick.ra2, brick.dec1, brick.dec2],
        [9.119191157, 9.126408843, 3.3938975000, 3.4011025000],
        atol=6e-10,
    )
    south = Brick.around(346.684, -12.791, target_wcs(346.684, -12.791, 100, 100, 0.262))
    assert south.name == "custom-346684m12791"


@pytest.mark.parametrize(
    "ra, dec, expected",
    [
        ("9.1228", "3.3975", (9.1228, 3.3975)),
        (9.1228, -3.3975, (9.1228, -3.3975)),
        ("00:36:29.472", "03:23:51", (9.1228, 3.3975)),
        ("23:00", "-00:30:36", (345.0, -0.51)),
        ("-10", "+5", (350.0, 5.0)),
    ],
)
def test_parse_radec(ra, dec, expected):
    np.testing.assert_allclose(parse_radec(ra, dec), expected, atol=1e-12)


@pytest.mark.parametrize(
    "ra, dec", [("x", "0"), ("1:2:3:4", "0"), ("1:70:00", "0"), ("10", "91"), ("nan", "0"), ("1:-2:3", "0"), ("", "0")]
)
def test_parse_radec_refuses(ra, dec):
    with pytest.raises(UsageError, match="--radec"):
        parse_radec(ra, dec)
