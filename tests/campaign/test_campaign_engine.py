"""Campaigns of stub bricks: what fails, dies or takes too long stops no other; what is done stays."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("distributed")

import stub_bricks

from legacypipe_lite import RunOptions
from legacypipe_lite.campaign import Where, run_campaign, status, status_lines, write_page
from legacypipe_lite.campaign.records import log_path, read_record, record_path
from legacypipe_lite.cli.main import main
from legacypipe_lite.errors import OutputError, UsageError

STATES = {
    "good": "done",
    "fails": "failed",
    "breaks": "failed",
    "nothing": "nothing",
    "diesonce": "done",
    "dies": "quarantined",
    "hungryonce": "done",
    "hungry": "quarantined",
    "allocates": "quarantined",
    "slow": "timed out",
    "lies": "failed",
    "faulty": "faults",
    "loses": "done",
}
KINDS = tuple(STATES)
RUNS_AGAIN = {"fails", "breaks", "lies"}


def campaign(names, outdir, work, **keywords):
    return run_campaign(
        stub_bricks.plan_of(names),
        RunOptions(outdir=str(outdir)),
        Where(workers=2, worker_memory=1.5e9),
        work=work,
        **keywords,
    )


def runs(outdir, kind):
    """How often a brick was run."""
    path = Path(outdir, f"seen-000{kind}0")
    return len(path.read_text()) if path.exists() else 0


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Output directory and tally of a campaign of all kinds of bricks."""
    outdir = tmp_path_factory.mktemp("campaign") / "out"
    outdir.mkdir()
    return outdir, campaign([f"000{kind}0" for kind in KINDS], outdir, stub_bricks.by_name, timeout=6)


def test_states(mixed):
    outdir, tally = mixed
    assert {kind: read_record(outdir, f"000{kind}0")["state"] for kind in KINDS} == STATES
    assert sum(tally.counts.values()) == tally.total == len(KINDS)
    assert tally.counts["done"] == 4 and tally.counts["quarantined"] == 3
    assert tally.reasons["images/bad.fits: cannot be read"] == 1
    assert tally.dropped["a.fits N1: is damaged"] == 1


def test_attempts(mixed):
    outdir, _ = mixed
    twice = {"diesonce", "dies", "hungryonce", "hungry", "allocates"}
    assert {kind for kind in KINDS if runs(outdir, kind) == 2} == twice
    assert all(runs(outdir, kind) == 1 for kind in set(KINDS) - twice)


def test_logs(mixed):
    outdir, _ = mixed
    assert "images/bad.fits: cannot be read" in log_path(outdir, "000fails0").read_text()
    text = log_path(outdir, "000breaks0").read_text()
    assert "Traceback" in text and "of all things" in text


def test_status(mixed, capsys):
    outdir, _ = mixed
    report = status(outdir)
    assert report["counts"]["done"] == 4 and report["counts"]["timed out"] == 1
    assert "waiting" not in report["counts"]
    lines = "\n".join(status_lines(report))
    assert "failed: images/bad.fits: cannot be read" in lines and "a.fits N1: is damaged" in lines
    assert main(["status", str(outdir), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report


def test_page(mixed):
    outdir, _ = mixed
    text = write_page(status(outdir)).read_text()
    assert "000good0" in text and "../logs/000/000good0.log" in text


def test_goes_on(mixed):
    """The second start runs only what failed; a wrong checksum makes a brick be run again."""
    outdir, _ = mixed
    catalog = outdir / "tractor/000/tractor-000good0.fits"
    catalog.write_bytes(catalog.read_bytes()[:-1] + b"x")
    before = {kind: runs(outdir, kind) for kind in KINDS}
    tally = campaign([f"000{kind}0" for kind in KINDS], outdir, stub_bricks.by_name, timeout=6)
    assert {kind for kind in KINDS if runs(outdir, kind) > before[kind]} == RUNS_AGAIN | {"good"}
    assert sum(tally.counts.values()) == tally.total == len(KINDS)
    before = {kind: runs(outdir, kind) for kind in KINDS}
    campaign([f"000{kind}0" for kind in ("good", "faulty", "nothing")], outdir, stub_bricks.by_name, redo=["faults"])
    assert {kind for kind in KINDS if runs(outdir, kind) > before[kind]} == {"faulty"}


def test_unknown_redo(tmp_path):
    with pytest.raises(UsageError, match="everything"):
        campaign(["000good0"], tmp_path, stub_bricks.by_name, redo=["everything"])


def test_disk_is_too_small(tmp_path):
    plan = stub_bricks.plan_of(["000good0"])
    plan.prices[0] = type(plan.prices[0])(disk=1e18)
    with pytest.raises(OutputError, match="free there"):
        run_campaign(plan, RunOptions(outdir=str(tmp_path)), Where(workers=1), work=stub_bricks.by_name)


def test_many_bricks(tmp_path):
    """2,000 bricks: never more than a window of tasks at a time, and all come to their end."""
    names = [f"{i % 10:03d}{i}" for i in range(2000)]
    most = []
    tally = campaign(names, tmp_path, stub_bricks.quick, on_change=lambda tally: most.append(tally.in_hand))
    assert tally.counts == {"done": 1900, "failed": 100}
    assert tally.reasons == {"images/bad.fits: cannot be read": 100}
    assert tally.sources == 3800
    assert max(most) <= 3 * 2


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import stub_bricks
from legacypipe_lite import RunOptions
from legacypipe_lite.campaign import Where, run_campaign
from legacypipe_lite.cli.program import terminable
if __name__ == "__main__":
    plan = stub_bricks.plan_of([f"000{{i}}" for i in range(40)])
    with terminable():
        run_campaign(plan, RunOptions(outdir={outdir!r}), Where(workers=2), work=stub_bricks.slowly)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_started_again(tmp_path, number):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent), outdir=str(tmp_path / "out")))
    process = subprocess.Popen([sys.executable, str(script)], env=os.environ, stderr=subprocess.PIPE)
    while len(list(tmp_path.glob("out/tractor/*/*.sha256sum"))) < 3 and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (143 if number == signal.SIGTERM else -9), errors
    done = {path: path.stat().st_mtime for path in tmp_path.glob("out/tractor/*/*.sha256sum")}
    assert 3 <= len(done) < 40
    tally = campaign([f"000{i}" for i in range(40)], tmp_path / "out", stub_bricks.slowly)
    assert tally.counts == {"done": 40}
    kept = [path for path, time in done.items() if path.stat().st_mtime == time]
    assert len(kept) >= len(done) - 2
    assert read_record(tmp_path / "out", "00039")["state"] == "done"
    assert record_path(tmp_path / "out", "00039").is_file()
