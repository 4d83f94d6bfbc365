"""What the benchmarks share: the unit of time, timing, tables, and storing and comparing runs.

Times of different machines, or of one machine on different days, can be compared after division by the time of a fixed
load, the *calibration loop*: that many *units* a piece of work takes.
"""

import argparse
import contextlib
import ctypes
import json
import logging
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

# Libraries read this when they are loaded. CPU time is only comparable if nothing spins in the background.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np  # noqa: E402

__all__ = [
    "BenchmarkError",
    "Column",
    "Session",
    "Table",
    "calibration_load",
    "calibration_samples",
    "compare",
    "cpu_per_call",
    "errors_only",
    "guarded",
    "in_fresh_process",
    "keep_freed_memory",
    "make_parser",
    "split_arguments",
]

#: What got worse by more than this fraction is marked.
TOLERANCE = 0.10
#: Changes when stored runs can no longer be read.
_FORMAT = 1
_COMPARED = ("time", "rate", "size")
_CALIBRATION_REPEATS = 7
_UNSTEADY = 0.10


class BenchmarkError(Exception):
    """Something that the user can mend; one line."""


# --- the unit of time


def calibration_load():
    """A fixed load in equal parts of NumPy and of plain Python: transforms, passes over an array, a dictionary.

    Returns
    -------
    float
        Depends on everything that was computed.
    """
    image = np.random.default_rng(1).normal(size=(128, 128))
    total = 0.0
    for _ in range(150):
        spectrum = np.fft.rfft2(image)
        correlation = np.fft.irfft2(spectrum * spectrum.conj())
        image = 0.9 * image + 0.1 * correlation / np.abs(correlation).max()
        total += float(np.exp(-image * image).sum())
    sums = {}
    for i in range(200_000):
        sums[i % 977] = sums.get(i % 977, 0) + i * 3 % 7
    return total + len(sums)


def calibration_samples(repeats=_CALIBRATION_REPEATS):
    """CPU seconds of the calibration loop, several times; a list. Their median is one unit."""
    calibration_load()
    samples = []
    for _ in range(repeats):
        began = time.process_time()
        calibration_load()
        samples.append(time.process_time() - began)
    return samples


# --- timing


def cpu_per_call(*functions, seconds=0.5, blocks=15):
    """CPU seconds per call of functions without arguments.

    They are called in turns, in blocks of many calls, and the fastest block of each counts: what else runs on the
    machine takes cache and memory bandwidth away, so that disturbances only ever make a block slower.

    Parameters
    ----------
    *functions : callable
    seconds : float
        About how long each function is called altogether.
    blocks : int

    Returns
    -------
    list of float
    """
    calls = []
    for function in functions:
        function()  # compiles, fills caches
        began = time.process_time()
        function()
        once = max(time.process_time() - began, 1e-7)
        calls.append(max(1, round(seconds / blocks / once)))
    fastest = [float("inf")] * len(functions)
    for _ in range(blocks):
        for k, (function, n) in enumerate(zip(functions, calls)):
            began = time.process_time()
            for _ in range(n):
                function()
            fastest[k] = min(fastest[k], (time.process_time() - began) / n)
    return fastest


@contextlib.contextmanager
def errors_only():
    """Keep the package's warnings from the terminal, where the tables are printed; a context manager."""
    logger = logging.getLogger("legacypipe_lite")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def keep_freed_memory():
    """Keep memory that is freed in this process (glibc only).

    In a brick run, images and models keep the heap large, and what a step of a fit frees stays there for the next one.
    A process that does nothing else may give it back to the system and get it again, page by page, at each step; or it
    may not, by chance: that makes steps on many images slower by half, or not.
    """
    trim_threshold, mmap_threshold = -1, -3
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(trim_threshold, 2**28)
    mallopt(mmap_threshold, 2**25)


def in_fresh_process(function, *arguments):
    """Result of a module-level function that is called in a new Python process, which then ends."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


# --- tables


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
        With its unit, if it has one.
    kind : str
        "key" (tells rows apart), "info" (not compared), "time" (the less the better), "rate" (per time, the more the
        better), "size" (the less the better, whatever the machine), "ratio" (how a figure changed).
    decimals : int
        Digits behind the point.
    """

    name: str
    kind: str = "info"
    decimals: int = 2

    def text(self, value):
        """A value as it is shown."""
        if value is None:
            return "-"
        if isinstance(value, str):
            return value
        if self.kind == "ratio":
            return f"{value:.2f}" + ("!" if value > 1 + TOLERANCE else " ")
        if isinstance(value, int | np.integer):
            return str(value)
        return f"{value:.{self.decimals}f}"


@dataclass
class Table:
    """A table of results.

    Attributes
    ----------
    title : str
    columns : list of Column
    rows : list of list
        Text, numbers, or None where there is nothing to tell.
    notes : list of str
        Lines below the table.
    """

    title: str
    columns: list
    rows: list
    notes: list = field(default_factory=list)

    def text(self):
        """The table as plain text: title, names, rows, notes."""
        cells = [[column.text(value) for column, value in zip(self.columns, row)] for row in self.rows]
        left = [all(isinstance(row[k], str) for row in self.rows) for k in range(len(self.columns))]
        names = [column.name for column in self.columns]
        widths = [max(map(len, column)) for column in zip(names, *cells)]
        lines = [self.title]
        for line in [names, *cells]:
            padded = [cell.ljust(w) if l else cell.rjust(w) for cell, w, l in zip(line, widths, left)]
            lines.append("  ".join(padded).rstrip())
        return "\n".join([*lines, *self.notes])

    def key(self, row):
        """What tells a row apart; a tuple of str."""
        return tuple(c.text(value) for c, value in zip(self.columns, row) if c.kind == "key")

    @classmethod
    def from_dict(cls, stored):
        """A table that was stored as a dictionary (see `dataclasses.asdict`)."""
        columns = [Column(**column) for column in stored["columns"]]
        return cls(stored["title"], columns, stored["rows"], stored["notes"])


def compare(now, then, unit_now, unit_then):
    """How the figures of a table changed.

    Parameters
    ----------
    now, then : Table
        Rows are matched by their keys, columns by their names.
    unit_now, unit_then : float
        Seconds of the calibration loop; times and rates are compared in these units.

    Returns
    -------
    Table or None
        Ratios; above 1: slower, or more. None if the tables have nothing in common.
    """
    earlier = {then.key(row): dict(zip([c.name for c in then.columns], row)) for row in then.rows}
    compared = [c for c in now.columns if c.kind in _COMPARED]
    columns = [c for c in now.columns if c.kind == "key"] + [Column(c.name, "ratio") for c in compared]
    rows, worse = [], 0
    for row in now.rows:
        old = earlier.get(now.key(row))
        if old is None:
            continue
        new = dict(zip([c.name for c in now.columns], row))
        ratios = [_ratio(c.kind, new[c.name], old.get(c.name), unit_now / unit_then) for c in compared]
        worse += sum(r is not None and r > 1 + TOLERANCE for r in ratios)
        rows.append([value for c, value in zip(now.columns, row) if c.kind == "key"] + ratios)
    if not rows or not compared:
        return None
    notes = [f"{worse} of these figures got worse by more than {TOLERANCE:.0%} (marked !)"] if worse else []
    return Table(f"{now.title}: cost now / then, in calibration units", columns, rows, notes)


def _ratio(kind, new, old, unit):
    """New over old cost, or None if one of them is missing; `unit`: how much slower the machine is now."""
    if not new or not old:
        return None
    if kind == "time":
        return new / old / unit
    return old / new / unit if kind == "rate" else new / old


# --- a run of a benchmark


class Session:
    """One run of a benchmark: shows its tables as they come, compares them, and stores them at the end.

    Parameters
    ----------
    name : str
        Of the benchmark.
    arguments : argparse.Namespace
        With `save` and `compare`, see `make_parser`.
    calibration : list of float, optional
        Samples of the calibration loop; they are measured if none are given.

    Attributes
    ----------
    unit : float
        CPU seconds of the calibration loop: the median of all samples of this run.
    """

    def __init__(self, name, arguments, calibration=None):
        self.name = name
        self._save, self._compare = arguments.save, arguments.compare
        if self._save is not None and not Path(self._save).absolute().parent.is_dir():
            raise BenchmarkError(f"--save {self._save}: there is no such folder")
        self._earlier = None if self._compare is None else _read(self._compare, name)
        self._given = calibration is not None
        self._samples = [list(calibration) if self._given else calibration_samples()]
        self.tables = []

    @property
    def unit(self):
        return float(np.median(np.concatenate(self._samples)))

    def calibrate(self):
        """Measure the calibration loop once more: to be called after each long measurement; returns `unit`."""
        if not self._given:
            self._samples.append(calibration_samples())
        return self.unit

    def show(self, table):
        """Print a table, and how it compares with the earlier run."""
        self.tables.append(table)
        print(table.text())
        print(f"calibration loop: {self.unit:.4f} s CPU{self._doubt()}\n", flush=True)
        if self._earlier is not None and any(column.kind in _COMPARED for column in table.columns):
            self._show_comparison(table)

    def finish(self):
        """Store the run if that was asked for; returns exit status 0."""
        if self._save is not None:
            text = json.dumps(self.as_dict(), indent=1, default=_plain)
            Path(self._save).write_text(text + "\n")
            print(f"stored in {self._save}")
        return 0

    def as_dict(self):
        """The run as it is stored."""
        return {
            "format": _FORMAT,
            "benchmark": self.name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "calibration": self.unit,
            "machine": machine(),
            "tables": [asdict(table) for table in self.tables],
        }

    def _doubt(self):
        medians = [float(np.median(samples)) for samples in self._samples]
        if max(medians) > (1 + _UNSTEADY) * min(medians):
            return f" ({min(medians):.4f} to {max(medians):.4f}: the machine was not quiet)"
        return ""

    def _show_comparison(self, table):
        then = next((t for t in self._earlier["tables"] if t["title"] == table.title), None)
        ratios = None
        if then is not None:
            ratios = compare(table, Table.from_dict(then), self.unit, self._earlier["calibration"])
        if ratios is None:
            print(f"nothing to compare with in {self._compare}\n")
            return
        print(ratios.text())
        print(
            f"compared with {self._compare}: {self._earlier['date']}, {self._earlier['machine']['processor']},"
            f" calibration loop {self._earlier['calibration']:.4f} s\n",
            flush=True,
        )


def _read(path, benchmark):
    """A stored run of a benchmark."""
    try:
        stored = json.loads(Path(path).read_text())
    except OSError as error:
        raise BenchmarkError(f"--compare {path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BenchmarkError(f"--compare {path}: not a stored run ({error})") from error
    if not isinstance(stored, dict) or stored.get("format") != _FORMAT:
        raise BenchmarkError(f"--compare {path}: not a run that this version of the benchmarks has stored")
    if stored["benchmark"] != benchmark:
        raise BenchmarkError(f"--compare {path}: a run of {stored['benchmark']}, not of {benchmark}")
    return stored


def _plain(value):
    """NumPy scalars in JSON."""
    return value.item()


def machine():
    """What ran the benchmark: processor, cores, versions; dict."""
    versions = {"python": platform.python_version()}
    for package in ("legacypipe-lite", "numpy", "scipy", "numba"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {"processor": _processor(), "cores": os.cpu_count(), "versions": versions}


def _processor():
    # Only Linux has this file, and not all processors have a name in it.
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


# --- command line


def make_parser(text):
    """Parser of a benchmark's command line, with the options that all have.

    Parameters
    ----------
    text : str
        The script's docstring.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_argument_group("storing and comparing")
    group.add_argument("--save", metavar="FILE", help="store this run (JSON)")
    group.add_argument(
        "--compare",
        metavar="FILE",
        help=f"show how the figures differ from a stored run; ! marks what got worse by more than {TOLERANCE:.0%}%",
    )
    return parser


def split_arguments(argv):
    """Arguments of a benchmark, and those behind ``--``, which are options of runbrick."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if "--" not in argv:
        return argv, []
    k = argv.index("--")
    return argv[:k], argv[k + 1 :]


def guarded(main):
    """Exit status of a script's main function; what the user can mend is told in one line."""
    from legacypipe_lite.errors import LegacypipeError

    try:
        return main()
    except (BenchmarkError, LegacypipeError) as error:
        print(f"{Path(sys.argv[0]).stem}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Who reads the output has enough of it; nothing may complain at the end, either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
