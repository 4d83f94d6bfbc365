import logging

import numpy as np
import pytest
from synthetic_ccds import DEC, RA, SyntheticSurvey, write_table

from legacypipe_lite.errors import InputError
from legacypipe_lite.survey import SurveyDirectory, read_ccds
from legacypipe_lite.survey.ccds import good_ccds, near_ccds, touching
from legacypipe_lite.wcs import target_wcs

TARGET = target_wcs(RA, DEC, 60, 60, 0.262)


def row(**changes):
    s = 0.262 / 3600
    base = {
        "image_filename": "cam/x_ooi_r.fits  ",
        "image_hdu": 1,
        "camera": "decam ",
        "expnum": 1,
        "ccdname": "N4 ",
        "filter": "r ",
        "plver": "V4.8",
        "plprocid": "95",
        "propid": "p",
        "exptime": 90.0,
        "mjd_obs": 58000.0,
        "fwhm": 4.0,
        "width": 100,
        "height": 120,
        "crval1": RA,
        "crval2": DEC,
        "crpix1": 50.5,
        "crpix2": 60.5,
        "cd1_1": -s,
        "cd1_2": 0.0,
        "cd2_1": 0.0,
        "cd2_2": s,
        "ra": RA,
        "dec": DEC,
        "sig1": 0.01,
        "ccdzpt": 25.0,
        "ccdraoff": 0.1,
        "ccddecoff": 0.1,
        "ccd_cuts": 0,
    }
    return {**base, **changes}


def write(path, rows, without=()):
    write_table(path, {key: [r[key] for r in rows] for key in rows[0] if key not in without})
    return path


def test_read(tmp_path):
    path = write(tmp_path / "survey-ccds-1.fits.gz", [row(), row(expnum=2, ccdname="S10")])
    ccds = read_ccds([path], TARGET)
    assert list(ccds["ccdname"]) == ["N4", "S10"] and list(ccds["camera"]) == ["decam", "decam"]
    assert list(ccds["expnum"]) == [1, 2]
    assert all(ccds[name].dtype.isnative for name in ccds.colnames)
    assert ccds["ccdname"].dtype == "<U3" and ccds["filter"].dtype == "<U1"
    assert list(ccds["image_filename"]) == ["cam/x_ooi_r.fits"] * 2


def test_far_ccds_are_not_read(tmp_path):
    rows = [row(), row(expnum=2, ra=RA + 1.0, crval1=RA + 1.0), row(expnum=3, dec=DEC - 1, crval2=DEC - 1)]
    assert list(read_ccds([write(tmp_path / "c.fits.gz", rows)], TARGET)["expnum"]) == [1]
    assert len(read_ccds([write(tmp_path / "d.fits.gz", rows[1:])], TARGET)) == 0


def test_near_ra_zero(tmp_path):
    path = write(tmp_path / "c.fits.gz", [row(ra=359.999, crval1=359.999), row(ra=0.002, crval1=0.002)])
    target = target_wcs(0.0, DEC, 60, 60, 0.262)
    ccds = read_ccds([path], target)
    assert len(ccds) == 2 and touching(ccds, target).all()


def test_several_tables(tmp_path, caplog):
    first = write(tmp_path / "a.fits.gz", [row()], without=("ccd_cuts",))
    second = write(tmp_path / "b.fits.gz", [row(expnum=2, ccdname="CCD4", ccd_cuts=4)], without=("ccdraoff",))
    with caplog.at_level(logging.WARNING):
        ccds = read_ccds([first, second], TARGET)
    assert list(ccds["expnum"]) == [1, 2] and list(ccds["ccdname"]) == ["N4", "CCD4"]
    assert list(ccds["ccd_cuts"]) == [0, 4] and list(ccds["ccdraoff"]) == [0.1, 0.0]
    warnings = [r.getMessage() for r in caplog.records if "missing in some tables" in r.getMessage()]
    assert len(warnings) == 1 and "ccd_cuts, ccdraoff" in warnings[0]


def test_column_missing_everywhere(tmp_path):
    paths = [write(tmp_path / f"{i}.fits.gz", [row()], without=("sig1", "ccdzpt")) for i in range(2)]
    with pytest.raises(InputError, match=r"1.fits.gz: no column sig1, ccdzpt"):
        read_ccds(paths, TARGET)


def test_footprint_column_missing(tmp_path):
    path = write(tmp_path / "c.fits.gz", [row()], without=("width",))
    with pytest.raises(InputError, match="no column width"):
        read_ccds([path], TARGET)


def test_optional_columns(tmp_path, caplog):
    without = ("ccdraoff", "ccddecoff", "plver", "plprocid", "propid")
    ccds = read_ccds([write(tmp_path / "c.fits.gz", [row()], without=without)], TARGET)
    assert ccds["ccdraoff"][0] == 0 and ccds["plver"][0] == ""
    assert "no column ccdraoff" in caplog.text


def test_damaged_table(tmp_path):
    path = write(tmp_path / "c.fits.gz", [row()])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="c.fits.gz"):
        read_ccds([path], TARGET)
    with pytest.raises(InputError, match="does not exist"):
        read_ccds([tmp_path / "none.fits.gz"], TARGET)


def table(*rows):
    from astropy.table import Table

    return Table(rows=list(rows))


def test_touching_and_its_margin():
    # The target reaches 30 pixels from the centre, the CCD 50; so they touch up to a shift of 80 pixels.
    shifted = [row(crpix1=50.5 + d) for d in (0, 75, 120, 140, -120, -140)]
    ccds = table(*shifted)
    np.testing.assert_array_equal(touching(ccds, TARGET, margin=0), [1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(touching(ccds, TARGET), [1, 1, 1, 0, 1, 0])


@pytest.mark.parametrize(("column", "value"), [("crval1", np.nan), ("cd1_1", np.inf), ("width", -5), ("height", 0)])
def test_ccds_without_a_position_are_named(column, value, tmp_path):
    keep = touching(table(row(), row(ccdname="S7", **{column: value}), row()), TARGET)
    assert list(keep) == [True, False, True]
    path = write(tmp_path / "c.fits.gz", [row(), row(ccdname="S7", **{column: value})])
    near = near_ccds([path], TARGET)
    assert near.problems[0] == "" and column[:2] in near.problems[1]


def test_touching_behind_the_sphere():
    ccds = table(row(crval1=RA + 180, crval2=-DEC))
    assert not touching(ccds, TARGET).any()


def test_good_ccds(caplog):
    ccds = table(
        row(),
        row(ccd_cuts=0x10),
        row(filter="Y"),
        row(filter="g", mjd_obs=57000.0),
        row(filter="g", mjd_obs=59000.0),
    )
    ccds["filter"] = [f.strip() for f in ccds["filter"]]
    np.testing.assert_array_equal(good_ccds(ccds, ["g", "r"]), [1, 0, 0, 1, 1])
    np.testing.assert_array_equal(good_ccds(ccds, ["g", "r"], 58000.0, 59000.0), [1, 0, 0, 0, 1])
    np.testing.assert_array_equal(good_ccds(ccds, ["g"], max_mjd=57000.0), [0, 0, 0, 1, 0])
    ccds.remove_column("ccd_cuts")
    np.testing.assert_array_equal(good_ccds(ccds, ["r"]), [1, 1, 0, 0, 0])
    assert "ccd_cuts" in caplog.text


def test_kd_file(testdata):
    survey = SurveyDirectory(testdata / "realdata/testcase9")
    ccds = read_ccds(survey.ccd_files(), target_wcs(9.1228, 3.3975, 100, 100, 0.262))
    assert list(ccds["filter"]) == ["g", "r", "z"] and list(ccds["ccdname"]) == ["N26", "N26", "S21"]


def test_synthetic_survey_is_readable(tmp_path):
    survey = SyntheticSurvey(tmp_path)
    survey.add_ccd()
    survey.write()
    assert len(read_ccds(SurveyDirectory(tmp_path).ccd_files(), TARGET)) == 1
