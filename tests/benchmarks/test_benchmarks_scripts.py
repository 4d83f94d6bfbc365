"""Each benchmark on a tiny input: it runs, and its tables say what they should. No times are checked."""

import json
import sys
from types import SimpleNamespace

import bench_accuracy
import bench_brick
import bench_engine
import bench_fitblobs
import bench_injection
import bench_scaling
import bench_startup
import bench_wise
import chi2_per_blob
import numpy as np
import pytest
from common import BenchmarkError

SCRIPTS = [
    bench_accuracy,
    bench_brick,
    bench_engine,
    bench_fitblobs,
    bench_injection,
    bench_scaling,
    bench_startup,
    bench_wise,
    chi2_per_blob,
]

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def in_this_process(monkeypatch):
    """Measure in this process: starting others takes long."""
    for script in (bench_fitblobs, bench_scaling):
        monkeypatch.setattr(script, "in_fresh_process", lambda function, *arguments: function(*arguments))


def stored(path):
    """Tables of a stored run: list of list of dict, column name -> value."""
    tables = json.loads(path.read_text())["tables"]
    return [[dict(zip([c["name"] for c in t["columns"]], row)) for row in t["rows"]] for t in tables]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_help(script, capsys):
    with pytest.raises(SystemExit) as end:
        script.main(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert "--save FILE" in text and "--compare FILE" in text
    usage, question, *_ = text.split("\n\n")
    assert usage.startswith("usage: ") and question.endswith("?")


@pytest.mark.compiled
def test_engine(tmp_path, capsys, monkeypatch):
    few = ("bright star, known as one", 'bright EXP 1"')
    monkeypatch.setattr(bench_engine, "SOURCES", {name: bench_engine.SOURCES[name] for name in few})
    path = tmp_path / "run.json"
    command = ["--images", "1", "--models", 'PSF,EXP .8"', "--fit-images", "3", "--seconds", "0.001"]
    assert bench_engine.main([*command, "--save", str(path)]) == 0
    steps, fits, published = stored(path)
    assert steps[0]["images"] == 1 and set(steps[0]) == {"images", "PSF", 'EXP .8"'}
    fits = {row["source"]: row for row in fits}
    assert fits["bright star, known as one"]["models fitted"] == "PSF"
    assert fits['bright EXP 1"']["models fitted"] == "PSF REX DEV EXP SER"
    assert fits["galaxy, fit only"]["region"] == "48 x 48"
    assert all(row["selection ms"] > 0 for row in fits.values())
    assert [row["program"] for row in published] == ["ngmix", "photutils", "crowdsource"]
    assert published[0]["ms"] == fits["galaxy, fit only"]["selection ms"]
    assert bench_engine.main([*command, "--compare", str(path)]) == 0
    assert "in calibration units" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--images", "2"], ["--models", "XYZ"], ["--fit-images", "-3"]])
def test_engine_refuses(wrong):
    with pytest.raises(SystemExit):
        bench_engine.main(wrong)


@pytest.mark.compiled
def test_fitblobs(mock_survey, tmp_path, in_this_process):
    path = tmp_path / "run.json"
    command = [str(mock_survey), "--repeats", "1", "--profile", "5", "--save", str(path)]
    assert bench_fitblobs.main([*command, "--", "--no-iterative"]) == 0
    (row,), functions = stored(path)
    assert row["field"] == "survey" and row["images"] == 2 and row["sources"] > 0
    assert row["times faster"] is None
    assert len(functions) == 5 and functions[0]["own s"] >= functions[4]["own s"]


def test_fitblobs_compares_with_the_reference():
    field = SimpleNamespace(name="x", reference_fitblobs=0.0421 * 100)
    row = bench_fitblobs.table_row(field, {"images": 3, "sources": 4, "cold": (9, 9), "warm": (0.1, 0.2)}, 0.05)
    row = dict(zip([c.name for c in bench_fitblobs.COLUMNS], row))
    assert row["CPU units"] == pytest.approx(2) and row["reference units"] == pytest.approx(100)
    assert row["times faster"] == pytest.approx(50) and row["sources per core-second"] == pytest.approx(40)


@pytest.fixture(scope="module")
def whole_run(mock_survey, tmp_path_factory):
    """Tables of bench_brick, and the folder with what the run left."""
    folder = tmp_path_factory.mktemp("run")
    path = folder / "run.json"
    command = [str(mock_survey), "--keep", str(folder), "--interval", "0.05", "--bricks", "10", "--save", str(path)]
    assert bench_brick.main(command) == 0
    return stored(path), folder / "survey" / "out"


@pytest.mark.compiled
def test_brick(whole_run):
    (stages, (run,)), out = whole_run
    stages = {row["stage"]: row for row in stages}
    assert list(stages)[0] == "tims" and list(stages)[-1] == "all"
    assert stages["all"]["CPU s"] >= sum(row["CPU s"] for row in stages.values() if row is not stages["all"])
    assert stages["tims"]["main MB"] > 10
    assert stages["tims"]["written MB"] > 0 and stages["fitblobs"]["written MB"] > 0
    size = sum(path.stat().st_size for path in out.parent.rglob("*") if path.is_file())
    assert stages["all"]["written MB"] == pytest.approx(size / 1e6)
    assert run["images"] == 2 and run["sources"] > 0 and run["reference units"] is None


@pytest.mark.compiled
def test_brick_that_fails(mock_survey):
    with pytest.raises(BenchmarkError, match="No such brick"):
        bench_brick.main([str(mock_survey), "--", "--brick", "0000p000"])


@pytest.mark.compiled
def test_chi2_per_blob(whole_run, mock_survey, tmp_path, capsys):
    _, out = whole_run
    path = tmp_path / "run.json"
    same = [str(mock_survey), str(out), str(out), "--before", "--save", str(path)]
    assert chi2_per_blob.main(same) == 0
    (rows,) = stored(path)
    assert rows and all(row["difference"] == 0 for row in rows)
    assert "0 blobs are worse" in capsys.readouterr().out
    assert chi2_per_blob.main([*same, "--limit", "-1"]) == 1


def test_chi2_per_blob_needs_something_to_compare_with(mock_survey):
    with pytest.raises(SystemExit):
        chi2_per_blob.main([str(mock_survey), "out"])
    with pytest.raises(BenchmarkError, match="no catalogue"):
        chi2_per_blob.main([str(mock_survey), str(mock_survey), str(mock_survey)])


def test_worst_blobs():
    chi2, other, prior = np.array([10.0, 7, 5]), np.array([10.0, 3, 6]), np.array([0.0, -3.5, 0.2])
    table = chi2_per_blob.worst_table(chi2, other, prior, [1, 2, 3], 2, "before")
    assert table.rows == [[1, 2, 7.0, 3.0, 4.0, -3.5], [0, 1, 10.0, 10.0, 0.0, 0.0]]
    assert table.notes == ["3 blobs, total chi2 22.0, before 19.0: +3.0"]


@pytest.mark.compiled
def test_accuracy(monkeypatch, tmp_path):
    mock = bench_accuracy.Mock("DECam", "decam", ("r",), 3, side=400)
    monkeypatch.setattr(bench_accuracy, "MOCKS", (mock,))
    path = tmp_path / "run.json"
    command = ["--fields", "1", "--cache", str(tmp_path / "mocks"), "--keep", str(tmp_path / "kept")]
    assert bench_accuracy.main([*command, "--plots", str(tmp_path), "--save", str(path)]) == 0
    tables = stored(path)
    assert len(tables) == 6
    better, clear = (
        next(row for row in table if (row["sources"], row["quantity"]) == ("galaxies, any type", "flux"))
        for table in tables[2:4]
    )
    assert all([row["sources"] for row in table] == [row["sources"] for row in tables[0]] for table in tables)
    assert better["n"] > clear["n"] > 5 and abs(better["median"]) < 1 and 0.5 < better["width"] < 2
    assert (tmp_path / "accuracy-pulls.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr("legacypipe_lite.run.run_brick", None)  # what was kept is not run again
    assert bench_accuracy.main([*command, "--settings", "options", "--save", str(path)]) == 0
    assert stored(path) == tables[2:4]
    with pytest.raises(SystemExit):
        bench_accuracy.main(["--mocks", "90Prime"])


@pytest.mark.compiled
@pytest.mark.realdata
def test_injection(tmp_path, testdata):
    path = tmp_path / "run.json"
    assert bench_injection.main(["--runs", "2", "--number", "5", "--save", str(path)]) == 0
    tables = stored(path)
    assert len(tables) == 4 and [row["sources"] for row in tables[0]][-1] == "stars and galaxies"
    (row,) = [row for row in tables[0] if (row["sources"], row["quantity"]) == ("stars and galaxies", "flux")]
    assert row["n"] > 5 and abs(row["median"]) < 2 and 0.2 < row["width"] < 3
    with pytest.raises(SystemExit):
        bench_injection.main(["--runs", "0"])


@pytest.mark.compiled
def test_scaling(monkeypatch, tmp_path, in_this_process):
    monkeypatch.setattr(bench_scaling, "side_for", lambda sources: 100)
    monkeypatch.setattr(bench_scaling, "BANDS", ("r",))
    path = tmp_path / "run.json"
    command = ["--exposures", "2", "--sources", "", "--threads", "1,2", "--cache", str(tmp_path), "--save", str(path)]
    assert bench_scaling.main([*command, "--repeats", "1,3"]) == 0
    rows, repeated = stored(path)
    assert [row["images"] for row in repeated] == [2, 6] and repeated[0]["sources"] == repeated[1]["sources"]
    assert all(abs(row["above the line, %"]) < 1e-6 for row in repeated)
    assert [row["field"] for row in rows] == ["100 x 100"]
    assert rows[0]["CCD images"] == 2 and 1.5 < rows[0]["coverage"] < 2.5
    assert "speed-up with 2" in rows[0]
    assert (tmp_path / "field-100-2" / "survey-bricks.fits.gz").exists()


def test_speed_up_is_shown_only_if_the_machine_was_quiet():
    mock = bench_scaling.Mock(100, 2)
    found = {
        "images": 6, "coverage": 6.0, "sources": 10, "megapixels": 0.06, "fitblobs": {1: (4.0, 4.0), 2: (4.2, 2.2)},
        "other_stages": 1.0, "other_programs": 0.01,
    }  # fmt: skip
    assert bench_scaling.table_row(mock, found, [1, 2])[-1] == pytest.approx(4.0 / 2.2)
    assert bench_scaling.table_row(mock, {**found, "other_programs": 0.3}, [1, 2])[-1] is None
    assert bench_scaling.table_row(mock, {**found, "other_programs": None}, [1, 2])[-1] is not None


def test_scaling_has_fields_of_all_sizes():
    assert bench_scaling.side_for(100) < 400 and bench_scaling.side_for(20000) == 3600


def test_startup(monkeypatch, tmp_path):
    monkeypatch.setattr(bench_startup, "commands", lambda run: {"python alone": ["-c", "pass"]})
    path = tmp_path / "run.json"
    assert bench_startup.main(["--no-run", "--repeats", "1", "--save", str(path)]) == 0
    ((row,),) = stored(path)
    assert row["what"] == "python alone" and row["first s"] > 0


def test_startup_uses_the_copy(tmp_path):
    bench_startup.copy_package(tmp_path)
    assert not list(tmp_path.rglob("__pycache__"))
    code = "import legacypipe_lite; print('stage tims: running'); print(legacypipe_lite.__file__)"
    environment = bench_startup.environment(tmp_path)
    assert "NUMBA_CACHE_DIR" not in environment
    seen = bench_startup.observe([sys.executable, "-c", code], environment, cwd=tmp_path)
    assert seen.lines[-1][1] == str(tmp_path / "legacypipe_lite" / "__init__.py")
    rows = bench_startup.measure("run", ["-c", code], environment, tmp_path, 1)
    assert [row[0] for row in rows] == ["start to first stage", "whole run of a tiny field"]
    with pytest.raises(BenchmarkError, match="status 1"):
        bench_startup.measure("x", ["-c", "raise SystemExit(1)"], environment, tmp_path, 1)


def test_startup_commands_exist():
    commands = bench_startup.commands(["--brick", "x"])
    assert commands["run"][-2:] == ["--brick", "x"] and "runbrick --help" in commands


def test_wise(monkeypatch, tmp_path):
    monkeypatch.setattr(bench_wise, "write_mock", lambda *arguments: None)
    monkeypatch.setattr(bench_wise, "run_stage", lambda *arguments: ({}, None, 2.0, 3.0))
    monkeypatch.setattr(bench_wise, "pulls", lambda *arguments: [("isolated", 20, 0.01, 1.02)])
    path = tmp_path / "run.json"
    assert bench_wise.main(["--sources", "50", "--save", str(path)]) == 0
    (cost,), pulls = stored(path)
    assert cost["sources per core-second"] == 25 and cost["first wall s"] == 3
    assert [row["band"] for row in pulls] == ["W1", "W2", "W3", "W4"]
