import fitsio
import numpy as np
import pytest
from synthetic_ccds import write_table

from legacypipe_lite.calibration import ImageIdentity, find_sky_template
from legacypipe_lite.errors import InputError

IMAGE = ImageIdentity(17, "N4", "V4.8.2a", "9500000")


@pytest.fixture
def folder(tmp_path):
    columns = {
        "expnum": [17, 17, 18],
        "ccdname": ["N4", "S1", "N4"],
        "run": [12, -1, 13],
        "skyscale": np.array([0.5, 1.0, 2.0], np.float32),
        "plprocid": ["9500000", "9500000", "9400000"],
    }
    write_table(tmp_path / "plain.fits", columns)
    with fitsio.FITS(str(tmp_path / "sky-scales.kd.fits"), "rw") as f:
        f.write(None, header={"SKYTMPL": 3})
        f.write(fitsio.read(str(tmp_path / "plain.fits")))
    (tmp_path / "sky_templates").mkdir()
    with fitsio.FITS(str(tmp_path / "sky_templates/sky_template_r_12.fits"), "rw") as f:
        f.write(None)
        f.write(np.arange(12 * 10, dtype=np.float32).reshape(12, 10), extname="N4")
    return tmp_path


def test_template(folder):
    template = find_sky_template(str(folder), IMAGE, "r")
    assert (template.run, template.scale, template.version) == (12, 0.5, 3)
    expected = 0.5 * np.arange(120, dtype=np.float32).reshape(12, 10)[3:8, 2:6]
    image = template.image(2, 3, 4, 5)
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == np.float32


def test_none():
    assert find_sky_template(None, IMAGE, "r") is None


def test_no_template_for_this_ccd(folder):
    assert find_sky_template(folder, ImageIdentity(17, "S1", "", "9500000"), "r") is None
    assert find_sky_template(folder, ImageIdentity(19, "N4", "", "9500000"), "r") is None


def test_scale_of_another_version(folder, caplog):
    other = ImageIdentity(17, "N4", "V4.8.2a", "9400000")
    assert find_sky_template(folder, other, "r") is None
    assert "PLPROCID 9500000" in caplog.text
    assert find_sky_template(folder, other, "r", old_calibs_ok=True).run == 12


def test_whole_exposures(folder):
    write_table(folder / "plain.fits", {"expnum": [17], "run": [12], "skyscale": [0.25], "plprocid": ["9500000"]})
    (folder / "sky-scales.kd.fits").write_bytes((folder / "plain.fits").read_bytes())
    template = find_sky_template(folder, IMAGE, "r")
    assert template.scale == 0.25 and template.version == -1


def test_missing_files(folder):
    with pytest.raises(InputError, match="sky_template_g_12.fits"):
        find_sky_template(folder, IMAGE, "g")
    with pytest.raises(InputError, match="sky-scales.kd.fits: does not exist"):
        find_sky_template(folder / "sky_templates", IMAGE, "r")


def test_template_that_does_not_fit(folder):
    template = find_sky_template(folder, IMAGE, "r")
    with pytest.raises(InputError, match="smaller"):
        template.image(0, 0, 11, 12)
    (folder / "sky_templates/sky_template_r_12.fits").unlink()
    fitsio.write(str(folder / "sky_templates/sky_template_r_12.fits"), np.zeros((3, 3)))
    with pytest.raises(InputError, match="extension N4"):
        template.image(0, 0, 2, 2)
