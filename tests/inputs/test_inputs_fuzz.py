"""Junk in tables and calibrations: nothing but a reason comes of it. LEGACYPIPE_FUZZ sets the number of cases."""

import os

import fitsio
import numpy as np
import pytest
from input_runs import NUMBERS, ThreeCcds, quiet

from legacypipe_lite.errors import LegacypipeError

#: In short; LEGACYPIPE_FUZZ=1000 tries more.
CASES = int(os.environ.get("LEGACYPIPE_FUZZ", "60"))
JUNK = (
    *(np.nan, np.inf, -np.inf, 0.0, -1.0, 1e30, -1e30, 1e-30, 3e38, 2.0**31, 2.0**63, -99.0, 0.5, 1e5),
    *("", " ", "x", "NaN", "inf", "1e400", "null", "True", "../../x", "a/b", "[1]", "\x1b[31m", "12,5", "1.0.0"),
)


@pytest.fixture
def three(tmp_path, monkeypatch):
    monkeypatch.setenv("GAIA_CAT_DIR", str(tmp_path))
    for name in ("LARGEGALAXIES_CAT", "SKY_TEMPLATE_DIR", "LEGACYPIPE_DATA_DIR", "TYCHO2_KD_DIR"):
        monkeypatch.delenv(name, raising=False)
    with quiet():
        yield ThreeCcds(tmp_path)


def outcome(three):
    """Numbers of the images that are used, after checks; None if the run ends with one line."""
    try:
        used, others = three.outcome()
    except LegacypipeError as error:
        assert str(error) and "\n" not in str(error) and "internal" not in str(error)
        return None
    assert set(used) <= set(NUMBERS)
    for name, reason in others.items():
        assert (name + reason).isprintable() and "Traceback" not in reason
        assert "cannot be read: " not in reason or "Error:" not in reason, reason
    assert len(used) + len(others) == 3
    return used


def spoilt(value, junk):
    """Junk of the type of a value, if it can be."""
    if isinstance(value, str) or isinstance(junk, str):
        return str(junk)
    return junk


def test_junk_in_ccd_tables(three):
    rng = np.random.default_rng(20)
    clean = [dict(row) for row in three.rows]
    names = list(clean[0])
    for i in range(CASES):
        name, junk = names[i % len(names)], JUNK[rng.integers(len(JUNK))]
        rows = [dict(row) for row in clean]
        value = spoilt(rows[0][name], junk)
        if isinstance(value, str):
            for row in rows:
                row[name] = str(row[name])
        rows[0][name] = value
        three.write(rows=rows)
        used = outcome(three)
        assert used is None or set(used) >= {400002, 400003}, (name, value)


def calibration_cases(kind):
    rng = np.random.default_rng({"psfex": 21, "sky": 22}[kind])
    return [(int(rng.integers(1000)), JUNK[rng.integers(len(JUNK))]) for _ in range(CASES)]


@pytest.mark.parametrize("kind", ["psfex", "sky"])
def test_junk_in_calibrations(three, kind):
    path = three.survey.calibration_path(kind, three.rows[0])
    if kind == "sky":
        grid = np.arange(-10, 121, 10)
        spline = {"gridvals": np.full((14, 14), 100.0, np.float32), "xgrid": grid, "ygrid": grid, "gridw": 14}
        three.survey.write_sky(
            three.rows[0], skyclass="legacypipe.jumpsky.JumpSky", **spline, gridh=14, order=3, xbreak=50, xjump=1.0
        )
    good = fitsio.read(str(path))
    names = list(good.dtype.names)
    for number, junk in calibration_cases(kind):
        name = names[number % len(names)]
        column = good[name]
        if isinstance(junk, str) or column.dtype.kind in "SU":
            changed = np.full(1, str(junk) or " ", "S12")
        else:
            changed = np.array(column, np.float64)
            changed.reshape(-1)[: 1 + number % 3] = junk
        columns = {n: changed if n == name else good[n] for n in names}
        dtype = [(n, c.dtype, c.shape[1:]) for n, c in columns.items()]
        table = np.zeros(1, dtype)
        for n, c in columns.items():
            table[n] = c
        path.unlink()
        fitsio.write(str(path), table, clobber=True)
        used = outcome(three)
        assert used is not None and set(used) >= {400002, 400003}, (name, junk)


def test_bytes_flipped_in_tables(three):
    rng = np.random.default_rng(23)
    paths = [three.survey.calibration_path(kind, three.rows[0]) for kind in ("psfex", "sky")]
    clean = {path: path.read_bytes() for path in paths}
    for i in range(CASES // 2):
        path = paths[i % 2]
        data = bytearray(clean[path])
        for place in rng.integers(0, len(data), 1 + i % 5):
            data[place] = rng.integers(256)
        path.write_bytes(bytes(data))
        used = outcome(three)
        assert used is not None and set(used) >= {400002, 400003}
        path.write_bytes(clean[path])
