"""The commands evaluate, report and inject."""

import importlib.util
import json
import sys

import fitsio
import numpy as np
import pytest

from legacypipe_lite.cli import evaluate as command
from legacypipe_lite.cli.main import main

needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib not installed")


@pytest.fixture(scope="module")
def sim(testdata):
    """Catalogue and truth of the simulated field."""
    truth = testdata / "sim/simA/truth.fits"
    tree = testdata / "sim/simA-reference"
    if not truth.is_file():
        pytest.skip("no simulated field in the shared test data")
    return str(tree / "tractor/110/tractor-1102p240.fits"), str(truth), tree


@pytest.mark.realdata
def test_tables(sim, capsys):
    assert main(["evaluate", *sim[:2]]) == 0
    text = capsys.readouterr().out
    for title in ("162 catalogue rows", "Completeness", "Purity", "Types", "Fluxes", "Positions", "Shapes", "Reduced"):
        assert title in text
    assert "S/N 30-100" in text and "isolated PSF g  S/N" not in text


@pytest.mark.realdata
def test_two_runs_count_twice(sim, tmp_path, capsys):
    output = tmp_path / "scores.json"
    arguments = ["--detail", "--json", str(output), "--bands", "g,z", "--radius", "0.8", "--reference-band", "r"]
    assert main(["evaluate", *sim[:2], *sim[:2], *arguments]) == 0
    text = capsys.readouterr().out
    assert "of 2 runs" in text and "isolated PSF g  S/N" in text and "isolated PSF r" not in text
    scores = json.loads(output.read_text())
    assert scores["counts"]["catalogs"] == 2 and scores["counts"]["catalog"] == 324
    assert scores["counts"]["bands"] == ["g", "z"]
    assert any(row["percent"]["median"] is None for row in scores["flux"])  # not NaN, which is no JSON


@pytest.mark.realdata
@needs_matplotlib
def test_plots(sim, tmp_path, capsys):
    assert main(["evaluate", *sim[:2], "--plots", str(tmp_path / "new" / "plots")]) == 0
    names = {path.name for path in (tmp_path / "new" / "plots").iterdir()}
    assert names == {f"{n}.png" for n in ("completeness", "types", "pulls", "fluxes", "positions", "shapes")}


@pytest.mark.realdata
@pytest.mark.parametrize("width", [200, 60])
def test_tables_are_drawn_on_a_terminal(sim, monkeypatch, capsys, width):
    """Those that are wider than the terminal are shown as plain text."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["evaluate", *sim[:2]]) == 0
    lines = capsys.readouterr().out.splitlines()
    (stars,) = (line for line in lines if "isolated PSF g" in line)
    assert stars.startswith("│" if width == 200 else "  isolated") and "-0.67±0.42" in stars
    assert any("┃" in line and "best S/N" in line for line in lines)


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["a.fits"], "a.fits, has no truth"),
        (["a.fits", "b.fits"], "a.fits: does not exist"),
        (["a.fits", "b.fits", "--radius", "0"], "--radius must be positive"),
    ],
)
def test_wrong_arguments(arguments, text, capsys):
    assert main(["evaluate", *arguments]) == 1
    error = capsys.readouterr().err
    assert text in error and len(error.strip().splitlines()) == 1


@pytest.mark.realdata
def test_results_that_cannot_be_written(sim, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["evaluate", *sim[:2], "--json", str(tmp_path / "file" / "x.json")]) == 1
    assert "cannot write" in capsys.readouterr().err
    if importlib.util.find_spec("matplotlib"):
        assert main(["evaluate", *sim[:2], "--plots", str(tmp_path / "file")]) == 1
        assert "cannot write plots" in capsys.readouterr().err


def test_json_without_nan():
    assert command._without_nan({"a": [float("nan"), 1.5, "x"], "b": (None, True)}) == {
        "a": [None, 1.5, "x"],
        "b": [None, True],
    }


# --- report


@pytest.mark.realdata
def test_report(sim, tmp_path, caplog):
    path = tmp_path / "page.html"
    assert main(["report", str(sim[2]), "--output", str(path), "--truth", sim[1], "--no-plots"]) == 0
    text = path.read_text()
    assert "Brick 1102p240" in text and "<h2>Truth</h2>" in text and "Completeness" in text
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.realdata
def test_report_that_cannot_be_written(sim, tmp_path, capsys):
    assert main(["report", str(sim[2]), "--output", str(tmp_path / "none" / "page.html"), "--no-plots"]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_report_of_nothing(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 1
    assert "is it an output directory?" in capsys.readouterr().err


# --- inject


@pytest.mark.realdata
def test_inject(sim, tmp_path):
    path = tmp_path / "sources.fits"
    arguments = ["--number", "12", "--magnitudes", "20", "21", "--galaxies", "0.3", "--distance", "6", "--seed", "3"]
    assert main(["inject", str(sim[2]), str(path), *arguments]) == 0
    rows, known = fitsio.read(str(path)), fitsio.read(sim[0])
    assert len(rows) == 12 and {"id", "type", "ra", "dec", "flux_g", "flux_z", "sersic"} <= set(rows.dtype.names)
    cosine = np.cos(np.radians(24))
    for row in rows:
        distance = np.hypot((known["ra"] - row["ra"]) * cosine, known["dec"] - row["dec"]) * 3600
        assert distance.min() > 5.9
    assert main(["inject", str(sim[2]), str(path), *arguments]) == 0
    np.testing.assert_array_equal(fitsio.read(str(path)), rows)


@pytest.mark.realdata
def test_inject_says_if_there_is_no_room(sim, tmp_path, caplog, capsys):
    path = tmp_path / "sources.fits"
    assert main(["inject", str(sim[2]), str(path), "--number", "200", "--distance", "12"]) == 0
    assert 0 < len(fitsio.read(str(path))) < 200 and "there was place for" in caplog.text
    assert main(["inject", str(sim[2]), str(tmp_path / "none" / "x.fits")]) == 1
    assert "cannot write" in capsys.readouterr().err
