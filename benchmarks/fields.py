"""The fields that benchmarks run on: known test fields, mock surveys, or any survey directory."""

import os
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common import BenchmarkError

__all__ = ["CALIBRATION_OF_REFERENCE", "Field", "KNOWN", "find_field", "find_testdata"]

#: CPU seconds of the calibration loop on the machine on which the reference implementation was timed.
CALIBRATION_OF_REFERENCE = 0.0421


@dataclass(frozen=True)
class Field:
    """A field to run.

    Attributes
    ----------
    name : str
    survey_dir : Path
    arguments : tuple of str
        Of runbrick, but for ``--survey-dir`` and ``--outdir``.
    environment : dict of str to str
        Variables that the run needs; those of None must not be set.
    reference_fitblobs, reference_run : float or None
        CPU seconds of the reference implementation: stage fitblobs, whole run.
    reference_output : Path or None
        The reference implementation's output directory.
    """

    name: str
    survey_dir: Path
    arguments: tuple
    environment: dict
    reference_fitblobs: float | None = None
    reference_run: float | None = None
    reference_output: Path | None = None

    def command(self, outdir, extra=()):
        """Arguments of runbrick for a whole run; the last ones count."""
        return [*self.arguments, "--survey-dir", str(self.survey_dir), "--outdir", str(outdir), *extra]

    def options(self, outdir, extra=()):
        """`RunOptions` of such a run."""
        from legacypipe_lite.cli.runbrick import make_parser, parse_options

        return parse_options(make_parser().parse_args(self.command(outdir, extra)))

    def full_environment(self):
        """Environment of a process that runs the field."""
        merged = {**os.environ, **self.environment}
        return {name: value for name, value in merged.items() if value is not None}

    @contextmanager
    def in_environment(self):
        """Context in which this process has the field's environment."""
        before = dict(os.environ)
        environment = self.full_environment()
        os.environ.clear()
        os.environ.update(environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


@dataclass(frozen=True)
class _Known:
    arguments: str
    fitblobs: float
    run: float
    environment: tuple = ()


#: The test fields, with CPU seconds of the reference implementation. ``{}`` is the survey directory.
KNOWN = {
    "testcase3": _Known("--brick 2447p120 --zoom 1020 1070 2775 2815 --no-wise", 2.0, 3.8),
    "testcase4": _Known(
        "--brick 1867p255 --zoom 2050 2300 1150 1400 --coadd-bw --blob-image"
        " --unwise-dir {}/images/unwise --unwise-tr-dir {}/images/unwise-tr",
        0.46,
        8.0,
    ),
    "testcase6": _Known("--brick 1102p240 --zoom 500 600 650 750 --no-wise", 0.28, 2.1),
    "testcase9": _Known(
        "--radec 9.1228 3.3975 --width 100 --height 100 --no-wise", 2.3, 4.0,
        (("LARGEGALAXIES_CAT", "{}/sga-sub.kd.fits"),),
    ),
    "testcase12": _Known(
        "--radec 346.684 12.791 --width 100 --height 100 --unwise-dir {}/images/unwise", 0.25, 2.6,
        (("UNWISE_MODEL_SKY_DIR", "{}/images/unwise-mod"),),
    ),
    "mzlsbass2": _Known("--brick 1773p595 --zoom 1300 1500 700 900 --no-wise", 4.4, 6.0),
    "simA": _Known("--brick 1102p240 --zoom 1500 2100 1000 1600 --bands g,r,z --no-wise", 87.5, 95.3),
}  # fmt: skip


def find_testdata():
    """Folder of the test data ($LEGACYPIPE_TESTDATA or ../shared), or None."""
    named = os.environ.get("LEGACYPIPE_TESTDATA")
    for path in (Path(named) if named else None, Path(__file__).resolve().parents[2] / "shared"):
        if path is not None and (path / "realdata").is_dir():
            return path
    return None


def find_field(name, extra=()):
    """The field that a benchmark's argument means.

    Parameters
    ----------
    name : str
        A key of `KNOWN`, or a survey directory. That of a mock survey knows which field it holds; any other one needs
        options of runbrick.
    extra : sequence of str
        Options of runbrick that the user gave.

    Returns
    -------
    Field

    Raises
    ------
    BenchmarkError
    """
    if name in KNOWN:
        return _known_field(name)
    path = Path(name).absolute()
    if not path.is_dir():
        raise BenchmarkError(f"{name}: no survey directory, and not one of the fields {', '.join(KNOWN)}")
    if (path / "run.txt").is_file() and (path / "environment.sh").is_file():
        arguments = shlex.split((path / "run.txt").read_text())
        return Field(path.name, path, tuple(arguments), _exported(path / "environment.sh"))
    if not extra:
        raise BenchmarkError(f"{name}: say which brick to run, for example: {name} -- --brick 1102p240 --no-wise")
    return Field(path.name, path, (), {})


def _known_field(name):
    testdata = find_testdata()
    if testdata is None:
        raise BenchmarkError(
            f"{name}: no test data; name their folder in LEGACYPIPE_TESTDATA, or put them in ../shared"
        )
    known, simulated = KNOWN[name], name == "simA"
    survey = testdata / ("sim" if simulated else "realdata") / name
    environment = {
        "TYCHO2_KD_DIR": str(survey),
        "GAIA_CAT_DIR": str(survey / "gaia"),
        "GAIA_CAT_VER": "2",
        "GAIA_CAT_PREFIX": "chunk",
        "GAIA_CAT_SCHEME": "ring",
        "LEGACYPIPE_DATA_DIR": str(testdata / "refdata"),
        "LARGEGALAXIES_CAT": None,
        **{variable: value.format(survey) for variable, value in known.environment},
    }
    arguments = tuple(part.replace("{}", str(survey)) for part in known.arguments.split())
    output = testdata / "sim" / "simA-reference" if simulated else testdata / "reference" / name
    return Field(name, survey, arguments, environment, known.fitblobs, known.run, output)


def _exported(script):
    """Variables that a shell script exports; dict."""
    variables = {}
    for line in script.read_text().splitlines():
        words = shlex.split(line)
        if len(words) == 2 and words[0] == "export" and "=" in words[1]:
            variable, value = words[1].split("=", 1)
            variables[variable] = value
    return variables
