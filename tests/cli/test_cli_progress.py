import io
import logging
from types import SimpleNamespace

import numpy as np
from astropy.table import Table
from rich.console import Console

from legacypipe_lite.cli import progress as progress_module
from legacypipe_lite.cli.progress import PlainDisplay, RichDisplay, make_display
from legacypipe_lite.cli.summary import summary_lines
from legacypipe_lite.report import Report
from legacypipe_lite.resources import Usage
from legacypipe_lite.results import StageRecord
from legacypipe_lite.survey import OutputTree


def record(text):
    return logging.LogRecord("legacypipe_lite.test", logging.INFO, "", 0, text, None, None)


def test_plain_lines():
    stream = io.StringIO()
    with make_display(stream) as display:
        assert isinstance(display, PlainDisplay)
        display.handler.handle(record("hello"))
        display.show(["a", " b"])
    assert stream.getvalue().startswith("[INFO legacypipe_lite.test ")
    assert stream.getvalue().endswith("] hello\na\n b\n")


def test_plain_progress_is_rare(monkeypatch, caplog):
    now = iter([0.0, 0.0, 1.0, 30.0, 31.0, 60.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(now))
    display = PlainDisplay(io.StringIO())
    with caplog.at_level(logging.INFO):
        for done in (0, 1, 2, 3, 4):
            display.progress("blobs", done, 4)
    assert [r.getMessage() for r in caplog.records] == ["blobs: 2 of 4 done"]


def test_bars_on_a_terminal(monkeypatch):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with RichDisplay(console) as display:
        display.handler.handle(record("hello"))
        display.progress("blobs", 0, 4)
        display.progress("blobs", 2, 4)
        assert "2/4" in stream.getvalue() or "blobs" in stream.getvalue()
        display.progress("blobs", 4, 4)
        display.progress("coadds", 0, 1)
        display.progress("models", 0, 1)
        display.show(["x" * 150, "[bold] 5"])
    assert "x" * 150 in stream.getvalue() and "[bold] 5" in stream.getvalue()
    assert "hello" in stream.getvalue()
    assert not display._bars.live.is_started


def test_bars_have_no_thread():
    display = RichDisplay(Console(file=io.StringIO(), force_terminal=True))
    assert display._bars.live.auto_refresh is False


def test_terminal_gets_bars():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert isinstance(make_display(Terminal()), RichDisplay)


def test_summary(tmp_path):
    report = Report(warnings=["a", "b"])
    report.counts.update({"CCDs": {"g": 2, "r": 1}, "blobs": 5, "types": {"PSF": 3}, "sources": 3})
    report.dropped_ccds.append(("decam/x.fits N4", "no such file"))
    products = OutputTree(tmp_path, "1102p240")
    run = SimpleNamespace(
        brickname="1102p240",
        tractor=Table({"type": np.array([b"PSF", b"PSF", b"REX"])}),
        report=report,
        state={"ccds": [1, 2, 3]},
        stages=[
            StageRecord("tims", True, Usage(0.5, 0.4, 200_000_000, 0)),
            StageRecord("refs", False, Usage(1.5, 1.0, 300_000_000, 100_000_000)),
        ],
        products=products,
    )
    lines = summary_lines(run)
    text = "\n".join(lines)
    assert "sources: 3 (2 PSF, 1 REX)" in text and "blobs: 5" in text and "types" not in text
    assert "CCDs: 3 used (g 2, r 1), 1 dropped" in text and "dropped decam/x.fits N4: no such file" in text
    assert any(line.split() == ["refs", "1.50", "1.00", "300", "100"] for line in lines)
    assert any(line.split() == ["tims", "0.50", "0.40", "200", "-", "read", "back"] for line in lines)
    assert any(line.split() == ["all", "2.00", "1.40", "300"] for line in lines)
    assert "no files written" in text and "2 warnings" in text
    products.write_table("tractor", {"x": np.zeros(1)})
    run.tractor, run.state, run.stages = None, {}, []
    report.warnings[:] = ["a"]
    text = "\n".join(summary_lines(run))
    assert "1 files below" in text and "tractor-1102p240.fits" in text and "1 warning, see above" in text
    assert "sources" not in text and "CCDs" not in text
