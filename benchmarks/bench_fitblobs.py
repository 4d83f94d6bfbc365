#!/usr/bin/env python3
"""How long does the fit of all sources of a field take?

Runs the stages up to srcs, and then stage fitblobs: cold (the first time in a process: compiled kernels are loaded) and
warm (again in the same process; the fastest of --repeats). Each field gets a process of its own. CPU times include
those of worker processes.

A field is a known test field, the folder of a mock survey (legacypipe-lite simulate), or any survey directory with
options of runbrick behind "--". For the test fields the CPU time of the reference implementation is shown, in units of
the calibration loop, and how many times faster the warm stage is.

    python benchmarks/bench_fitblobs.py testcase3 mzlsbass2
    python benchmarks/bench_fitblobs.py simA --profile 20
    python benchmarks/bench_fitblobs.py mysurvey -- --brick 1102p240 --zoom 100 700 100 700 --no-gaia
"""

import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

from common import Column, Session, Table, errors_only, guarded, in_fresh_process, make_parser, split_arguments
from fields import CALIBRATION_OF_REFERENCE, KNOWN, find_field

COLUMNS = [
    Column("field", "key"),
    Column("images", "info"),
    Column("sources", "info"),
    Column("cold CPU s", "time"),
    Column("cold wall s", "time"),
    Column("CPU s", "time"),
    Column("wall s", "time"),
    Column("sources per core-second", "rate", 1),
    Column("CPU units", "info", 1),
    Column("reference units", "info", 0),
    Column("times faster", "info", 1),
]
PROFILE_COLUMNS = [
    Column("function", "key"),
    Column("file", "key"),
    Column("calls", "info"),
    Column("own s", "info", 3),
    Column("own %", "info", 1),
    Column("with callees s", "info", 3),
]


def measure(field, extra, repeats, profile):
    """Stage fitblobs of a field in this process.

    Parameters
    ----------
    field : Field
    extra : list of str
        Options of runbrick.
    repeats : int
        How often the warm stage is run.
    profile : bool

    Returns
    -------
    dict
        images, sources, cold and warm (CPU and wall seconds each), compiled (seconds that the cold stage spent on
        compiling kernels), profile (rows of a table, or None).
    """
    from numba.core.event import install_recorder

    from legacypipe_lite.run import BrickRun

    with errors_only(), field.in_environment(), tempfile.TemporaryDirectory() as outdir:
        run = BrickRun(field.options(outdir, [*extra, "--no-write"]))
        run.stage("srcs")
        with install_recorder("numba:compile") as compiled:
            cold = _fitblobs(run)
        warm = min(_fitblobs(run) for _ in range(repeats))
        rows = _profile(run) if profile else None
        return {
            "images": len(run.state["tims"]),
            "sources": len(run.state["fit_table"]),
            "cold": cold,
            "warm": warm,
            "compiled": _seconds(compiled),
            "profile": rows,
        }


def _fitblobs(run):
    """CPU and wall seconds of the stage."""
    run.stage("fitblobs", force=True)
    usage = run.stages[-1].usage
    return usage.cpu, usage.wall


def _seconds(recorder):
    """Time between the first and the last of the recorded compilations."""
    times = [when for when, _ in recorder.buffer]
    return max(times) - min(times) if times else 0.0


def _profile(run):
    """The functions of the stage, those that take most time first."""
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(run.stage, "fitblobs", force=True)
    stats = pstats.Stats(profiler)
    rows = []
    for (path, _, name), (_, calls, own, total, _) in stats.stats.items():
        file = "" if path == "~" else "/".join(Path(path).parts[-2:])
        rows.append([name, file, calls, own, 100 * own / stats.total_tt, total])
    return sorted(rows, key=lambda row: -row[3])


def table_row(field, found, unit):
    """Row of the table."""
    cpu, wall = found["warm"]
    reference = factor = None
    if field.reference_fitblobs is not None:
        reference = field.reference_fitblobs / CALIBRATION_OF_REFERENCE
        factor = reference / (cpu / unit)
    return [
        field.name, found["images"], found["sources"], *found["cold"], cpu, wall, found["sources"] / cpu, cpu / unit,
        reference, factor,
    ]  # fmt: skip


def main(argv=None):
    own, extra = split_arguments(argv)
    parser = make_parser(__doc__)
    parser.add_argument(
        "fields", nargs="*", metavar="FIELD",
        help="survey directory, or one of " + ", ".join(KNOWN) + " (default: all of these)",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="warm runs per field (default: 3)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="worker processes (default: 1)")
    parser.add_argument(
        "--profile", type=int, default=0, metavar="N", help="also show the N functions that take most of the time"
    )
    arguments = parser.parse_args(own)
    fields = [find_field(name, extra) for name in arguments.fields or KNOWN]
    extra = ["--threads", str(arguments.threads), *extra]
    session = Session("bench_fitblobs", arguments)
    rows, profiles = [], []
    for field in fields:
        found = in_fresh_process(measure, field, extra, max(arguments.repeats, 1), arguments.profile > 0)
        if found["compiled"]:
            # Cold means: with kernels that were compiled earlier.
            found = in_fresh_process(measure, field, extra, max(arguments.repeats, 1), arguments.profile > 0)
        rows.append(table_row(field, found, session.calibrate()))
        if arguments.profile:
            top = found["profile"][: arguments.profile]
            profiles.append(Table(f"functions of stage fitblobs of {field.name}", PROFILE_COLUMNS, top))
    session.show(Table(f"stage fitblobs, {arguments.threads} threads", COLUMNS, rows))
    for table in profiles:
        session.show(table)
    return session.finish()


if __name__ == "__main__":
    sys.exit(guarded(main))
