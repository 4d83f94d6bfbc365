import fitsio
import numpy as np
import pytest
from astropy.table import Table
from synthetic_ccds import write_table

from legacypipe_lite.errors import InputError
from legacypipe_lite.tables import (
    fits_bytes,
    fits_cards,
    gzipped,
    native_array,
    open_fits,
    read_columns,
    read_table,
    short_message,
    stack_columns,
    structured_array,
)


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


# --- stacking


def test_stack_fills_and_promotes():
    a = Table({"x": np.array([1, 2], "f4"), "name": np.array(["G2", "G2"])})
    b = Table({"x": np.array([3], "f8"), "flag": np.array([True])})
    table = Table(stack_columns([a, b]))
    assert table.colnames == ["x", "name", "flag"]
    assert table["x"].dtype == np.float64 and table["x"].tolist() == [1, 2, 3]
    assert table["name"].tolist() == ["G2", "G2", ""]
    assert table["flag"].tolist() == [False, False, True]


def test_stack_takes_tables_of_any_kind():
    first = np.zeros(2, [("x", "f4"), ("v", "f8", (3,))])
    stacked = stack_columns([first, {"x": np.array([5], "i2")}, Table({"y": [1]})])
    assert stacked["x"].tolist() == [0, 0, 5, 0] and stacked["v"].shape == (4, 3)
    assert stacked["y"].tolist() == [0, 0, 0, 1]


def test_tables_without_rows_need_not_count():
    full, empty = {"x": np.ones((2, 3), "f4")}, {"x": np.zeros(0), "name": np.zeros(0, "U5")}
    stacked = stack_columns([empty, full], empty_tables_count=False)
    assert stacked["x"].dtype == np.float32 and stacked["x"].shape == (2, 3)
    assert stacked["name"].tolist() == ["", ""] and stacked["name"].dtype == "U5"


# --- what is written


def test_structured_array():
    table = Table({"name": np.array(["a", ""], "U4"), "big": np.array([1, 2], ">i4"), "v": np.ones((2, 2), np.float32)})
    rows = structured_array(table)
    assert rows["name"].tolist() == [b"a", b""] and rows.dtype["name"] == "S4"
    assert rows.dtype["big"] == np.int32 and rows["v"].shape == (2, 2)
    assert structured_array(table, declared_widths=False).dtype["name"] == "S1"
    assert structured_array({"empty": np.array(["", ""])}).dtype["empty"] == "S1"
    assert len(structured_array({})) == 0
    with pytest.raises(ValueError, match="objects"):
        structured_array({"x": np.array([None])})


def test_cards():
    cards = fits_cards(
        [("A", np.float32(0.5), "half"), ("B", np.nan, None), ("COMMENT", "told", ""), ("HISTORY", None, "old")]
    )
    assert cards == [
        {"name": "A", "value": 0.5, "comment": "half"},
        {"name": "B", "value": None, "comment": ""},
        {"name": "COMMENT", "value": "told", "comment": ""},
        {"name": "HISTORY", "value": "old", "comment": ""},
    ]


def test_bytes_are_those_of_a_file(tmp_path):
    def build(fits):
        fits.write(np.arange(12, dtype=np.int16).reshape(3, 4), header=fits_cards([("X", 1.5, "")]))

    (tmp_path / "a.fits.gz").write_bytes(gzipped(fits_bytes(build)))
    with open_fits(tmp_path / "a.fits.gz") as fits:
        assert fits[0].read().tolist()[2] == [8, 9, 10, 11] and fits[0].read_header()["X"] == 1.5
    assert gzipped(b"abc") == gzipped(b"abc")
