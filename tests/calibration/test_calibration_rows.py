import os

import numpy as np
import pytest
from synthetic_ccds import write_table

from legacypipe_lite.calibration.rows import ImageIdentity, find_row, identity_columns, write_row
from legacypipe_lite.errors import CalibrationError, InputError, OutputError
from legacypipe_lite.survey import read_table

IMAGE = ImageIdentity(17, "N4", "V4.8.2a", "9500000")


def write(path, **changes):
    columns = {
        "expnum": [17, 17],
        "ccdname": ["N4 ", "S10"],
        "plver": ["V4.8.2a", "V4.8.2a"],
        "plprocid": ["9500000", "9500000"],
        "value": [1.5, 2.5],
    }
    columns.update(changes)
    write_table(path, {name: values for name, values in columns.items() if values is not None})
    return path


def test_row_of_the_ccd(tmp_path):
    path = write(tmp_path / "a.fits")
    row, where = find_row([tmp_path / "none.fits", path], IMAGE)
    assert where == path and row["value"] == 1.5 and row["ccdname"] == "N4" and type(row["expnum"]) is int


def test_next_file_if_the_row_is_not_there(tmp_path):
    other = write(tmp_path / "a.fits", ccdname=["N5", "N6"])
    twice = write(tmp_path / "b.fits", ccdname=["N4", "N4"])
    good = write(tmp_path / "c.fits", value=[7.0, 8.0])
    row, where = find_row([other, twice, good], IMAGE)
    assert where == good and row["value"] == 7.0
    assert find_row([other], IMAGE) == (None, None)
    with pytest.raises(CalibrationError, match="b.fits: 2 rows of 17 N4, with different values"):
        find_row([other, twice], IMAGE)


def test_equal_rows_are_one(tmp_path, caplog):
    path = write(tmp_path / "a.fits", ccdname=["N4", "N4"], value=[3.0, 3.0])
    assert find_row([path], IMAGE)[0]["value"] == 3.0
    assert "2 equal rows of 17 N4" in caplog.text


@pytest.mark.parametrize("expnum", [["17", "17"], [17.0, 17.0], [b"17 ", b"17 "]])
def test_exposure_numbers_of_any_type_and_ccd_names_in_small_letters(tmp_path, expnum):
    path = write(tmp_path / "a.fits", expnum=expnum, ccdname=["n4", " s10"])
    assert find_row([path], IMAGE)[0]["value"] == 1.5


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"plver": ["V4.8.2a", "V4.9"]}, "plver is V4.9, the image has V4.8.2a"),  # of another row: all count
        ({"plprocid": ["9500001", "9500001"]}, "plprocid is 9500001"),
        ({"expnum": [17, 18]}, "expnum is 18"),
        ({"plprocid": None}, "plprocid is missing"),
    ],
)
def test_version_check(tmp_path, caplog, changes, message):
    path = write(tmp_path / "a.fits", **changes)
    with pytest.raises(CalibrationError, match=message):
        find_row([path], IMAGE)
    assert find_row([path], IMAGE, old_calibs_ok=True)[0]["value"] == 1.5
    assert "old-calibs-ok" in caplog.text


def test_strings_cut_short_agree(tmp_path, caplog):
    path = write(tmp_path / "a.fits", plver=["V4.8.2", "V4.8.2"])
    assert find_row([path], IMAGE)[0]["value"] == 1.5
    assert "V4.8.2 is taken for" in caplog.text


def test_unknown_version_of_the_image_is_not_checked(tmp_path):
    path = write(tmp_path / "a.fits", plver=["other", "other"], plprocid=None)
    assert find_row([path], ImageIdentity(17, "N4"))[0]["value"] == 1.5


def test_damaged_file(tmp_path):
    (tmp_path / "a.fits").write_text("junk")
    with pytest.raises(InputError, match="a.fits"):
        find_row([tmp_path / "a.fits"], IMAGE)
    import fitsio

    fitsio.write(str(tmp_path / "b.fits"), np.zeros((3, 3)))
    with pytest.raises(InputError, match="b.fits: HDU 1 is not a table"):
        find_row([tmp_path / "b.fits"], IMAGE)


def test_write_and_read_back(tmp_path):
    path = tmp_path / "x/y/z.fits"
    row = {
        "grid": np.arange(6, dtype=np.float32).reshape(2, 3),
        "order": np.uint8(3),
        "note": "",
        "flag": np.bool_(True),
    }
    identity = identity_columns(IMAGE, {"procdate": "2019", "imgdsum": 12}, "test 1")
    write_row(path, row | identity)
    found, _ = find_row([path], IMAGE)
    np.testing.assert_array_equal(found["grid"], row["grid"])
    assert found["order"] == 3 and found["note"] == "" and found["flag"] is True
    assert found["legpipev"] == "test 1" and found["procdate"] == "2019" and found["imgdsum"] == "12"
    assert read_table(path)["grid"].dtype == np.float32
    assert os.listdir(path.parent) == ["z.fits"]


def test_write_to_a_place_that_is_not_there(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="z.fits: cannot be written"):
        write_row(tmp_path / "file/z.fits", {"a": 1})


def test_protected_folders_are_left_alone(tmp_path):
    folder = tmp_path / "calib"
    folder.mkdir()
    folder.chmod(0o555)
    with pytest.raises(OutputError, match="calib is write-protected"):
        write_row(folder / "sky/x/z.fits", {"a": 1})
    assert os.listdir(folder) == []
    folder.chmod(0o755)
    write_row(folder / "sky/x/z.fits", {"a": 1})


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "z.fits"
    write_row(path, {"a": 1})

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="disk full"):
        write_row(path, {"a": 2})
    assert read_table(path)["a"][0] == 1 and os.listdir(tmp_path) == ["z.fits"]
