import fitsio
import numpy as np
import pytest
from synthetic_ccds import write_table

from legacypipe_lite.errors import InputError
from legacypipe_lite.tables import native_array, open_fits, read_columns, read_table, short_message


def test_native_array():
    foreign = np.zeros(2, [("a", ">f4"), ("name", "S5"), ("grid", ">i2", (3,)), ("text", "U4")])
    foreign["a"] = [1.5, 2.5]
    foreign["name"] = [b"N4", b"S10"]
    foreign["grid"] = [[1, 2, 3], [4, 5, 6]]
    native = native_array(foreign)
    assert native.dtype == [("a", "<f4"), ("name", "<U5"), ("grid", "<i2", (3,)), ("text", "<U4")]
    assert native["name"].tolist() == ["N4", "S10"] and native["grid"][1].tolist() == [4, 5, 6]
    assert native_array(foreign[:0]).dtype == native.dtype


def test_rows_and_columns(tmp_path):
    path = tmp_path / "t.fits"
    write_table(path, {"A": [1, 2, 3], "b": ["x", "y", "z"]})
    assert read_table(path, columns=["a"])["a"].tolist() == [1, 2, 3]
    with open_fits(path) as fits:
        assert read_columns(fits, path, columns=["a"], rows=[1, 2])["a"].tolist() == [2, 3]
        empty = read_columns(fits, path, rows=[])
    assert len(empty) == 0 and empty.dtype.names == ("a", "b")


def test_empty_table(tmp_path):
    fitsio.write(str(tmp_path / "t.fits"), np.zeros(0, [("a", "f8")]))
    assert len(read_table(tmp_path / "t.fits")) == 0
    with open_fits(tmp_path / "t.fits") as fits:
        assert len(read_columns(fits, tmp_path / "t.fits", rows=[])) == 0


def test_errors(tmp_path):
    with pytest.raises(InputError, match="none.fits: does not exist"):
        read_table(tmp_path / "none.fits")
    (tmp_path / "junk.fits").write_text("junk")
    with pytest.raises(InputError, match="junk.fits: cannot be read"):
        read_table(tmp_path / "junk.fits")
    write_table(tmp_path / "t.fits", {"a": [1]})
    with pytest.raises(InputError, match="no column b, c in HDU 1"):
        read_table(tmp_path / "t.fits", columns=["a", "b", "c"])
    fitsio.write(str(tmp_path / "image.fits"), np.zeros((3, 4)))
    with pytest.raises(InputError, match="image.fits: table in HDU 1 cannot be read"):
        read_table(tmp_path / "image.fits")  # there is no HDU 1
    fitsio.write(str(tmp_path / "image.fits"), np.zeros((3, 4)))
    with pytest.raises(InputError, match="image.fits: table in HDU 1 cannot be read"):
        read_table(tmp_path / "image.fits")  # it is an image


def test_short_message():
    assert short_message(OSError("\n first \n second")) == "first"
    assert short_message(ValueError()) == "ValueError"
