#!/usr/bin/env python3
"""What does a whole run cost, stage by stage?

Runs runbrick as a user would and prints, for each stage: wall and CPU seconds (worker processes included), the peak
memory of the main process and of the largest worker (RSS), the peak memory of all processes together (PSS: what they
share counts once; looked at every --interval seconds, Linux only), and the size of the files that it left: products and
pickles. The row "all" also has what happens before the first and after the last stage.

A field is a known test field, the folder of a mock survey (legacypipe-lite simulate), or any survey directory with
options of runbrick behind "--", where further ones can be given in any case.

    python benchmarks/bench_brick.py simA
    python benchmarks/bench_brick.py mock -- --threads 2 --zoom 1000 2000 1000 2000
    python benchmarks/bench_brick.py testcase3 --keep before    (for chi2_per_blob.py)
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from common import BenchmarkError, Column, Session, Table, guarded, make_parser, split_arguments
from fields import CALIBRATION_OF_REFERENCE, KNOWN, find_field
from processes import observe

STAGE_COLUMNS = [
    Column("stage", "key"),
    Column("wall s", "time"),
    Column("CPU s", "time"),
    Column("main MB", "size", 0),
    Column("worker MB", "size", 0),
    Column("all processes MB", "size", 0),
    Column("written MB", "size", 1),
]
RUN_COLUMNS = [
    Column("field", "key"),
    Column("images", "info"),
    Column("sources", "info"),
    Column("sources per core-second", "rate", 2),
    Column("CPU units", "info", 1),
    Column("reference units", "info", 0),
    Column("times faster", "info", 1),
    Column("fitblobs units", "info", 1),
    Column("reference units, fitblobs", "info", 0),
    Column("times faster, fitblobs", "info", 1),
]
_MEGABYTE = 1e6
_STAGE_LINE = re.compile(r"stage (\w+): (running|reading)")


def run(field, folder, extra, interval):
    """Run a field as a program.

    Parameters
    ----------
    field : Field
    folder : Path
        For products and pickles.
    extra : list of str
        Options of runbrick.
    interval : float
        Seconds between looks at the memory.

    Returns
    -------
    seen : Observed
    log : dict
        The log that the run left (``metrics/<brick>/run-<brick>.json``).
    """
    pickles = folder / "pickles" / "runbrick-%(brick)s-%%(stage)s.pickle"
    given = field.command(folder / "out", ["--force-all", "--pickle", str(pickles), *extra])
    command = [sys.executable, "-m", "legacypipe_lite.cli.runbrick", *given]
    environment = field.full_environment()
    root = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = ":".join(filter(None, [root, environment.get("PYTHONPATH")]))
    seen = observe(command, environment, interval=interval)
    logs = sorted((folder / "out" / "metrics").glob("*/run-*.json"), key=lambda path: path.stat().st_mtime)
    if seen.status or not logs:
        last = "\n".join(line for _, line in seen.lines[-5:])
        raise BenchmarkError(f"{field.name}: runbrick ended with status {seen.status}: {last}")
    return seen, json.loads(logs[-1].read_text())


def stage_table(name, seen, log, folder):
    """The table of a run's stages."""
    begins = {}
    for when, line in seen.lines:
        match = _STAGE_LINE.search(line)
        if match:
            begins[match[1]] = when
    times = [*begins.values(), seen.wall]
    spans = dict(zip(begins, zip(times, times[1:])))
    written = _written(folder, seen, spans)
    rows = []
    for stage in log["stages"]:
        begin, end = spans.get(stage["name"], (0.0, 0.0))
        together = seen.peak_memory(begin, end)
        rows.append(
            [
                stage["name"],
                stage["seconds"],
                stage["cpu_seconds"],
                stage["peak_memory"] / _MEGABYTE,
                stage["worker_memory"] / _MEGABYTE or None,
                None if together is None else together / _MEGABYTE,
                written.get(stage["name"], 0.0) / _MEGABYTE,
            ]
        )
    workers = [stage["worker_memory"] for stage in log["stages"]]
    together = seen.peak_memory()
    rows.append(
        [
            "all",
            seen.wall,
            seen.cpu,
            max(stage["peak_memory"] for stage in log["stages"]) / _MEGABYTE,
            max(workers) / _MEGABYTE or None,
            None if together is None else together / _MEGABYTE,
            sum(written.values()) / _MEGABYTE,
        ]
    )
    return Table(f"run of {name}, {log['threads']} threads", STAGE_COLUMNS, rows)


def _written(folder, seen, spans):
    """Bytes of the files that each stage wrote last; dict. What came after the last stage counts for it."""
    sizes = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            when = status.st_mtime - seen.started
            stages = [stage for stage, (begin, _) in spans.items() if begin <= when]
            if stages:
                sizes[stages[-1]] = sizes.get(stages[-1], 0) + status.st_size
    return sizes


def run_row(field, seen, log, unit):
    """Row of the table of runs."""
    counts = log["counts"]
    images = None
    for _, line in seen.lines:
        match = re.search(r"CCDs: (\d+) used", line)
        images = int(match[1]) if match else images
    sources = counts.get("sources")
    cpu = {stage["name"]: stage["cpu_seconds"] for stage in log["stages"]}.get("fitblobs")
    whole = _against(seen.cpu / unit, field.reference_run)
    fit = [None] * 3 if cpu is None else _against(cpu / unit, field.reference_fitblobs)
    return [field.name, images, sources, sources and sources / seen.cpu, *whole, *fit]


def _against(units, reference_seconds):
    """Own units, those of the reference, and their ratio."""
    if reference_seconds is None:
        return [units, None, None]
    reference = reference_seconds / CALIBRATION_OF_REFERENCE
    return [units, reference, reference / units if units else None]


def main(argv=None):
    own, extra = split_arguments(argv)
    parser = make_parser(__doc__)
    parser.add_argument(
        "fields", nargs="+", metavar="FIELD", help="survey directory, or one of " + ", ".join(KNOWN)
    )  # fmt: skip
    parser.add_argument("--keep", metavar="FOLDER", help="keep products and pickles in FOLDER/FIELD")
    parser.add_argument(
        "--interval", type=float, default=0.25, metavar="X", help="seconds between looks at the memory (default: 0.25)"
    )
    parser.add_argument(
        "--bricks", type=int, metavar="N", help="also say what N such bricks cost (a survey like DR10: 367000)"
    )
    arguments = parser.parse_args(own)
    fields = [find_field(name, extra) for name in arguments.fields]
    session = Session("bench_brick", arguments)
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as temporary:
        for field in fields:
            folder = Path(arguments.keep or temporary) / field.name
            folder.mkdir(parents=True, exist_ok=True)
            seen, log = run(field, folder, extra, arguments.interval)
            session.calibrate()
            session.show(stage_table(field.name, seen, log, folder))
            rows.append(run_row(field, seen, log, session.unit))
            if arguments.bricks:
                hours = arguments.bricks * seen.cpu / 3600
                notes.append(f"{arguments.bricks} bricks like {field.name}: {hours:.0f} core-hours of this machine")
    session.show(Table("whole runs", RUN_COLUMNS, rows, notes))
    return session.finish()


if __name__ == "__main__":
    sys.exit(guarded(main))
