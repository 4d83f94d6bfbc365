#!/usr/bin/env python3
"""How long until it works?

Wall seconds from the start of a process: to the end of an import, of "runbrick --help", to the first stage of a run,
and to the end of a run on a tiny mock field. The first time everything is as after an installation: the package's
Python files and kernels are compiled, and kept (libraries are as they are). Later times find them; the fastest of
--repeats is shown, with its CPU time.

A copy of the package in a temporary folder is used: what is compiled already in the checkout stays as it is.

    python benchmarks/bench_startup.py
    python benchmarks/bench_startup.py --no-run        (the first run compiles kernels for a minute)
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from common import BenchmarkError, Column, Session, Table, guarded, make_parser
from fields import find_field
from processes import observe

PACKAGE = Path(__file__).resolve().parents[1] / "legacypipe_lite"
COLUMNS = [
    Column("what", "key"),
    Column("first s", "time"),
    Column("later s", "time"),
    Column("later CPU s", "time"),
]
_FIRST_STAGE = "stage tims: running"


def copy_package(folder):
    """Copy the package without anything that was compiled."""
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))


def environment(folder, variables=()):
    """Environment in which Python finds the copy, and keeps what it compiles next to it."""
    result = {**os.environ, **dict(variables), "PYTHONPATH": str(folder)}
    for name in ("NUMBA_CACHE_DIR", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE"):
        result.pop(name, None)
    return result


def tiny_survey(folder):
    """A mock field of 150 x 150 pixels, one exposure each in g, r, z."""
    from legacypipe_lite.simulate import SimulationOptions, simulate

    options = SimulationOptions(width=150, height=150, exposures=1, artefacts=(), large_galaxy=False, wise=False)
    return find_field(str(simulate(folder, options).root))


def commands(run):
    """What is timed: description -> arguments of Python."""
    imports = "from legacypipe_lite.stages import load_stage; from legacypipe_lite.options import STAGE_ORDER; "
    result = {
        "python alone": ["-c", "pass"],
        "import legacypipe_lite": ["-c", "import legacypipe_lite"],
        "runbrick --help": ["-m", "legacypipe_lite.cli.runbrick", "--help"],
        "import all stages": ["-c", imports + "[load_stage(name) for name in STAGE_ORDER]"],
    }
    if run is not None:
        result["run"] = ["-m", "legacypipe_lite.cli.runbrick", *run]
    return result


def time_command(arguments, variables, folder):
    """Run Python; seconds to the first stage (None if there is none), and to the end, wall and CPU."""
    seen = observe([sys.executable, *arguments], variables, cwd=folder)
    if seen.status:
        last = seen.lines[-1][1] if seen.lines else ""
        raise BenchmarkError(f"python {' '.join(arguments)} ended with status {seen.status}: {last}")
    stage = next((when for when, line in seen.lines if _FIRST_STAGE in line), None)
    return stage, seen.wall, seen.cpu


def measure(name, arguments, variables, folder, repeats):
    """Rows of the table for one command."""
    first = time_command(arguments, variables, folder)
    later = [time_command(arguments, variables, folder) for _ in range(repeats)]
    _, wall, cpu = min(later, key=lambda times: times[1])
    rows = [[name, first[1], wall, cpu]]
    if first[0] is not None:
        stage = min(times[0] for times in later)
        rows = [["start to first stage", first[0], stage, None], ["whole run of a tiny field", first[1], wall, cpu]]
    return rows


def main(argv=None):
    parser = make_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="later times (default: 5)")
    parser.add_argument("--no-run", action="store_true", help="imports and help only")
    arguments = parser.parse_args(argv)
    session = Session("bench_startup", arguments)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy_package(folder)
        run, variables = None, {}
        if not arguments.no_run:
            field = tiny_survey(folder / "survey")
            run, variables = field.command(folder / "out", ["--no-write", "--force-all"]), field.environment
        for name, command in commands(run).items():
            rows += measure(name, command, environment(folder, variables), folder, max(arguments.repeats, 1))
    session.calibrate()
    session.show(Table("wall seconds after the start of a process", COLUMNS, rows))
    return session.finish()


if __name__ == "__main__":
    sys.exit(guarded(main))
