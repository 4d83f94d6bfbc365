"""Tables, comparisons and stored runs of the benchmarks."""

import json
import math
from argparse import Namespace

import common
import pytest
from common import BenchmarkError, Column, Session, Table, compare

COLUMNS = [
    Column("field", "key"),
    Column("images", "key"),
    Column("sources"),
    Column("CPU s", "time"),
    Column("per second", "rate", 1),
    Column("peak MB", "size", 0),
]


def table(*rows, title="a table", notes=()):
    return Table(title, COLUMNS, [list(row) for row in rows], list(notes))


def test_the_calibration_loop_does_what_it_always_did():
    # any other result would mean another load, and that stored runs can no longer be compared
    assert common.calibration_load() == pytest.approx(1855824.1026, rel=1e-6)
    assert all(sample > 0 for sample in common.calibration_samples(repeats=1))


def test_cpu_per_call():
    def work(n):
        return lambda: sum(range(n))

    little, much = common.cpu_per_call(work(1000), work(20000), seconds=0.01, blocks=3)
    assert 0 < little < much


def test_in_fresh_process():
    assert common.in_fresh_process(math.sqrt, 9) == 3


def test_table_is_aligned():
    lines = table(("simA", 9, 162, 3.14159, 51.57, 812.4), ("x", 30, None, 0.5, None, 9), notes=["a note"]).text()
    assert lines.splitlines() == [
        "a table",
        "field  images  sources  CPU s  per second  peak MB",
        "simA        9      162   3.14        51.6      812",
        "x          30        -   0.50           -        9",
        "a note",
    ]


def test_table_without_rows():
    assert table().text().splitlines()[1].startswith("field")


def test_comparison_is_in_calibration_units():
    then = table(("a", 1, 10, 1.0, 10.0, 100))
    now = table(("a", 1, 11, 2.0, 5.0, 105))
    # the machine is half as fast now, so the same work takes twice as long
    same = compare(now, then, 0.10, 0.05)
    assert [c.name for c in same.columns] == ["field", "images", "CPU s", "per second", "peak MB"]
    assert same.rows == [["a", 1, pytest.approx(1.0), pytest.approx(1.0), pytest.approx(1.05)]]
    assert "!" not in same.text()
    worse = compare(now, then, 0.05, 0.05)
    assert worse.rows[0][2:] == [pytest.approx(2.0), pytest.approx(2.0), pytest.approx(1.05)]
    assert "2.00!" in worse.text() and worse.notes[0].startswith("2 of these figures")


def test_only_what_both_runs_have_is_compared():
    then = table(("a", 1, 10, 1.0, None, 100), ("gone", 1, 10, 1.0, 1.0, 1))
    now = table(("a", 1, 10, 1.05, 5.0, None), ("new", 1, 10, 1.0, 1.0, 1))
    assert compare(now, then, 1, 1).rows == [["a", 1, pytest.approx(1.05), None, None]]
    assert compare(table(("new", 1, 0, 1.0, 1.0, 1)), then, 1, 1) is None


def arguments(save=None, compare=None):
    return Namespace(save=save, compare=compare)


def session(save=None, compare=None, name="bench", unit=0.05):
    return Session(name, arguments(save, compare), calibration=[unit])


def test_save_and_compare(tmp_path, capsys):
    path = str(tmp_path / "run.json")
    first = session(save=path)
    first.show(table(("a", 1, 10, 1.0, 10.0, 100)))
    assert first.finish() == 0
    stored = json.loads((tmp_path / "run.json").read_text())
    assert stored["calibration"] == 0.05 and stored["machine"]["versions"]["numpy"]
    assert "calibration loop: 0.0500 s" in capsys.readouterr().out

    second = session(compare=path)
    second.show(table(("a", 1, 10, 1.2, 10.0, 100)))
    out = capsys.readouterr().out
    assert "1.20!" in out and path in out
    second.show(table(title="another table"))
    assert "nothing to compare with" in capsys.readouterr().out
    second.show(Table("only words", [Column("a", "key")], [["b"]]))
    assert "compare" not in capsys.readouterr().out


def test_a_machine_that_is_not_quiet_is_noticed(monkeypatch, capsys):
    samples = iter([[0.05], [0.07]])
    monkeypatch.setattr(common, "calibration_samples", lambda: next(samples))
    noisy = Session("bench", arguments())
    assert noisy.calibrate() == pytest.approx(0.06)
    noisy.show(table())
    assert "not quiet" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "cannot be read"),
        ("{", "not a stored run"),
        ("[]", "this version"),
        ('{"format": 0}', "this version"),
        ('{"format": 1, "benchmark": "other"}', "a run of other, not of bench"),
    ],
)
def test_foreign_files_are_refused(tmp_path, content, words):
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BenchmarkError, match=words):
        session(compare=str(path))


def test_a_folder_that_does_not_exist_is_noticed_at_once(tmp_path):
    with pytest.raises(BenchmarkError, match="no such folder"):
        session(save=str(tmp_path / "nowhere" / "run.json"))


def test_errors_are_told_in_one_line(capsys):
    def fail():
        raise BenchmarkError("this\nand that")

    assert common.guarded(fail) == 1
    assert capsys.readouterr().err.endswith(": this and that\n")
    assert common.guarded(lambda: 0) == 0


def test_split_arguments():
    assert common.split_arguments(["a", "--", "--brick", "b"]) == (["a"], ["--brick", "b"])
    assert common.split_arguments(["a"]) == (["a"], [])
