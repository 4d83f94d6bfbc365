"""Amplifier corrections and the static mask: the packaged tables against the survey's files."""

import numpy as np
import pytest
from synthetic_ccds import write_table

from legacypipe_lite.cameras.amplifiers import CORRECTIONS_FILE, amplifier_scales
from legacypipe_lite.cameras.extent import Region
from legacypipe_lite.cameras.static_mask import STATIC_MASK_FILE, static_mask
from legacypipe_lite.errors import InputError

CASES = [
    (camera, band, ccdname, mjd)
    for camera, bands in (("90prime", "gr"), ("mosaic", "z"))
    for band in bands
    for ccdname in ("CCD1", "CCD2", "CCD3", "CCD4")
    for mjd in (57000.0, 57700.0, 58000.0, 58400.0)
]


@pytest.mark.parametrize("case", CASES)
def test_amplifiers_as_in_the_survey_table(testdata, case):
    builtin = amplifier_scales(*case)
    table = amplifier_scales(*case, path=testdata / "refdata" / CORRECTIONS_FILE)
    assert len(builtin) == len(table) == 4
    assert {where for _, where in builtin} == {where for _, where in table}
    for scale, where in builtin:
        (other,) = [s for s, w in table if w == where]
        assert -2.5 * np.log10(scale / other) == pytest.approx(0, abs=6e-6)


def test_amplifier_of_a_corner():
    scales = {where: s for s, where in amplifier_scales("90prime", "r", "CCD4", 57873.0)}
    assert scales[0, 2016, 0, 2048] == pytest.approx(10 ** (0.4 * 0.00415))
    assert sum((x1 - x0) * (y1 - y0) for x0, x1, y0, y1 in scales) == 4032 * 4096


def test_no_amplifiers():
    assert amplifier_scales("decam", "r", "N4", 57873.0) == []
    assert amplifier_scales("90prime", "i", "CCD4", 57873.0) == []


def test_amplifier_table_of_the_user(tmp_path):
    row = {"camera": ["90prime  "], "filter": ["r"], "ccdname": ["CCD4 "], "mjd_start": [-np.inf], "mjd_end": [np.inf]}
    row |= {"dzp": [0.25], "xlo": [0], "xhi": [10], "ylo": [20], "yhi": [30]}
    write_table(tmp_path / "amp.fits", row)
    ((scale, where),) = amplifier_scales("90prime", "r", "CCD4", 5e4, tmp_path / "amp.fits")
    assert scale == pytest.approx(10**0.1) and where == (0, 10, 20, 30)
    write_table(tmp_path / "bad.fits", {**row, "dzp": [np.nan]})
    with pytest.raises(InputError, match="bad.fits: column dzp"):
        amplifier_scales("90prime", "r", "CCD4", 5e4, tmp_path / "bad.fits")
    del row["dzp"]
    write_table(tmp_path / "part.fits", row)
    with pytest.raises(InputError, match="no column dzp"):
        amplifier_scales("90prime", "r", "CCD4", 5e4, tmp_path / "part.fits")


@pytest.mark.parametrize("hdu", [1, 2, 3, 4])
def test_static_mask_is_nearly_that_of_the_survey(testdata, hdu):
    whole = Region(0, 4032, 0, 4096)
    builtin = static_mask(hdu, whole)
    exact = static_mask(hdu, whole, testdata / "refdata" / STATIC_MASK_FILE)
    assert builtin.shape == exact.shape == (4096, 4032)
    assert (exact & ~builtin).sum() < 250  # of 86 000 to 122 000
    assert (builtin & ~exact).sum() < 9000
    part = Region(560, 640, 4000, 4096)
    np.testing.assert_array_equal(static_mask(hdu, part), builtin[4000:, 560:640])


def test_static_mask_elsewhere(testdata):
    assert not static_mask(7, Region(0, 50, 0, 50)).any()
    with pytest.raises(InputError, match="smaller"):
        static_mask(1, Region(0, 4033, 0, 10), testdata / "refdata" / STATIC_MASK_FILE)
