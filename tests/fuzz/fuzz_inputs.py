"""Damaged survey directories, by the thousand: whatever is wrong, a run ends well or says what is wrong.

    python tests/fuzz/fuzz_inputs.py --cases 1000 [--first 0] [--kinds card,table] [--keep DIR]

Every case damages one thing of a small simulated survey, chosen by a generator that is seeded with the number of the
case, and runs the brick in a child of this process (the kernels are loaded once; a crash costs its child only).
`test_fuzz_inputs.py` runs a few of them.
"""

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))

from damages import KINDS, damage

SIMULATION = (
    "--width 100 --height 100 --bands r,z --exposures 2 --no-wise --no-large-galaxy --artefacts= --density 6 --seed 3"
)
BRICK = "1801p330"
#: Four images: what happens to one of them is no matter of the others.
N_CCDS = 4
_TIME_LIMIT = 120  # seconds


@dataclass
class Outcome:
    """What a run of a damaged survey came to.

    Attributes
    ----------
    case : int
    what : str
        The damage.
    one_ccd : bool
        It concerns one CCD only.
    status : int or None
        Exit status; None after a crash.
    faults : list of str
        What should not be.
    text : str
        All that the run said.
    """

    case: int
    what: str
    one_ccd: bool
    status: int | None = None
    faults: list = field(default_factory=list)
    text: str = ""


def make_base(folder):
    """Simulate the survey that is damaged; returns its directory and the --zoom that covers its images."""
    from legacypipe_lite.cli import main

    base = Path(folder) / "base"
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        status = main.main(["simulate", str(base), *SIMULATION.split()])
    if status:
        raise RuntimeError(said.getvalue())
    zoom = re.search(r"--zoom ([\d ]+?) --", said.getvalue() + (base / "run.txt").read_text()).group(1)
    return base, zoom


def environment(survey):
    """What a run on a survey needs in the environment."""
    for name in ("LARGEGALAXIES_CAT", "SKY_TEMPLATE_DIR", "DUST_DIR"):
        os.environ.pop(name, None)
    os.environ.update(GAIA_CAT_DIR=str(survey / "gaia"), GAIA_CAT_VER="3", TYCHO2_KD_DIR=str(survey))
    os.environ.update(GAIA_CAT_PREFIX="chunk", GAIA_CAT_SCHEME="ring")


def run_survey(survey, zoom, out):
    """Run the brick; its exit status, and all that it said."""
    from legacypipe_lite.cli import runbrick

    environment(survey)
    arguments = ["--brick", BRICK, "--zoom", *zoom.split(), "--bands", "r,z", "--no-wise", "--survey-dir", str(survey)]
    arguments += ["--outdir", str(out), "--no-write", "--force-all", "--threads", "1"]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        try:
            status = runbrick.main(arguments)
        except SystemExit as e:
            status = e.code
        except BaseException:
            status = -1
            said.write(traceback.format_exc())
    return int(status or 0), said.getvalue()


def faults_of(status, text, out, one_ccd):
    """What is wrong with the end of a run."""
    faults = []
    for word in ("Traceback", "internal error", "RuntimeWarning"):
        if word in text:
            line = next(line for line in text.splitlines()[::-1] if word in line or "Error" in line)
            faults.append(f"{word}: {line[:300]}")
    if any(ord(c) < 32 and c not in "\n\r\t" for c in text):
        faults.append("control characters in messages")
    if status not in (0, 1, 255):
        faults.append(f"exit status {status}")
    if one_ccd and status != 0:
        faults.append(f"damage of one CCD ended the run: {text.strip().splitlines()[-1][:300] if text else ''}")
    if status != 0 and not re.search(r"^runbrick: .", text, re.M):
        faults.append("no message")
    catalogs = list(Path(out).glob("tractor/*/tractor-*.fits"))
    if status == 0 and catalogs:
        faults += _catalog_faults(catalogs[0])
    return faults + _lost_ccds(text, status)


def _catalog_faults(path):
    from astropy.table import Table

    table = Table.read(path, unit_parse_strict="silent")
    names = [
        n for n in table.colnames if re.match(r"^(ra|dec|bx|by|sersic|(ra|dec)_ivar|(flux|shape|sersic|psfdepth)_)", n)
    ]
    return [f"{n} is not finite" for n in names if table[n].dtype.kind == "f" and not np.all(np.isfinite(table[n]))]


def _lost_ccds(text, status):
    """The CCDs of the summary must add up to those near the brick."""
    if status != 0:
        return []
    line = re.search(r"CCDs: (\d+) used[^\n]*", text)
    if not line:
        return []
    numbers = re.findall(r"(\d+) (?:used|dropped|not overlapping|not asked for|cut|not in)", line.group(0))
    total = sum(map(int, numbers))
    near = re.search(r"(\d+) CCDs (?:may touch|near) the brick", text)
    expected = int(near.group(1)) if near else N_CCDS
    return [] if total == expected else [f"{expected} CCDs, but the summary has {line.group(0)!r}"]


def one_case(case, base, zoom, folder, kinds=KINDS):
    """Damage a copy of the survey, run it, and judge."""
    survey, out = folder / f"case-{case}", folder / f"out-{case}"
    shutil.copytree(base, survey, copy_function=os.link)
    rng = np.random.default_rng(case)
    what, one_ccd = damage(rng, survey, kinds)
    outcome = Outcome(case, what, one_ccd)
    outcome.status, outcome.text = run_survey(survey, zoom, out)
    outcome.faults = faults_of(outcome.status, outcome.text, out, one_ccd)
    return outcome


def in_child(case, base, zoom, folder, kinds=KINDS):
    """`one_case` in a child process: a crash is an outcome, too."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        signal.alarm(_TIME_LIMIT)
        try:
            outcome = one_case(case, base, zoom, folder, kinds)
        except BaseException:
            outcome = Outcome(case, "the harness failed", False, None, [traceback.format_exc()])
        with os.fdopen(write_end, "w") as stream:
            json.dump(outcome.__dict__, stream)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        text = stream.read()
    _, state = os.waitpid(child, 0)
    if not text:
        rng = np.random.default_rng(case)
        shutil.rmtree(folder / "again", ignore_errors=True)
        shutil.copytree(base, folder / "again", copy_function=os.link)
        what, one_ccd = damage(rng, folder / "again", kinds)
        what_happened = f"signal {os.WTERMSIG(state)}" if os.WIFSIGNALED(state) else f"status {os.WEXITSTATUS(state)}"
        return Outcome(case, what, one_ccd, None, [f"crash: {what_happened}"])
    return Outcome(**json.loads(text))


def forget(folder, case):
    """Remove what a case left."""
    for name in (f"case-{case}", f"out-{case}"):
        shutil.rmtree(folder / name, ignore_errors=True)


def main():
    """The command of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS), help="comma-separated")
    parser.add_argument("--keep", type=Path, help="keep what faulty cases left in this folder")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    began, faulty, ends = time.time(), 0, {}
    base, zoom = make_base(folder)
    status, text = run_survey(base, zoom, folder / "whole")
    print(f"undamaged: status {status}", *faults_of(status, text, folder / "whole", True), flush=True)
    for case in range(args.first, args.first + args.cases):
        outcome = in_child(case, base, zoom, folder, tuple(args.kinds.split(",")))
        ends[outcome.status] = ends.get(outcome.status, 0) + 1
        if outcome.faults:
            faulty += 1
            print(f"{case}: {outcome.what}", *outcome.faults, sep="\n    ", flush=True)
            if args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                (args.keep / f"{case}.txt").write_text(f"{outcome.what}\n{outcome.faults}\n{outcome.text}")
        forget(folder, case)
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{args.cases} cases, {faulty} faulty; exit status: {ends}; {time.time() - began:.0f} s")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
