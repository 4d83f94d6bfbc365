"""A run that is killed while it fits, and goes on from its checkpoint."""

import os
import re
import signal
import subprocess
import sys
import time

import fitsio
import numpy as np
import pytest


def _command(testdata, folder, *more):
    survey = testdata / "sim" / "simA"
    environment = {
        **os.environ,
        "TYCHO2_KD_DIR": str(survey),
        "GAIA_CAT_DIR": str(survey / "gaia"),
        "GAIA_CAT_VER": "2",
        "LEGACYPIPE_DATA_DIR": str(testdata / "refdata"),
    }
    arguments = [
        "--brick",
        "1102p240",
        "--zoom",
        "1500",
        "1800",
        "1000",
        "1300",
        "--no-wise",
        "--survey-dir",
        str(survey),
    ]
    command = [sys.executable, "-m", "legacypipe_lite.cli.runbrick", *arguments, "--outdir", "out", *more]
    return {"args": command, "env": environment, "cwd": folder}


def _catalogue(folder):
    return fitsio.read(folder / "out" / "tractor" / "110" / "tractor-1102p240.fits")


def _equal(a, b):
    return all(np.array_equal(a[n], b[n], equal_nan=a[n].dtype.kind == "f") for n in a.dtype.names)


@pytest.fixture(scope="module")
def undisturbed(testdata, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(**_command(testdata, folder, "-F", "-n"), check=True, capture_output=True)
    return _catalogue(folder)


def test_kill_and_go_on(testdata, tmp_path, undisturbed):
    checkpoint = tmp_path / "blobs.checkpoint"
    command = _command(testdata, tmp_path, "--checkpoint", str(checkpoint))
    process = subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 300
    while not (checkpoint.exists() and checkpoint.stat().st_size > 60_000):
        assert process.poll() is None and time.monotonic() < deadline, process.stdout.read()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run(**command, capture_output=True, text=True)
    log = again.stdout + again.stderr
    assert again.returncode == 0, log
    done = int(re.search(r"(\d+) finished blobs", log).group(1))
    assert done > 0
    assert len(re.findall(r"stage \w+: reading", log)) == 6  # tims to srcs
    assert _equal(_catalogue(tmp_path), undisturbed)
    # everything is finished now, so nothing is fitted
    third = subprocess.run(**command, capture_output=True, text=True)
    assert "stage fitblobs: reading" in third.stdout + third.stderr
    forced = subprocess.run(
        **_command(testdata, tmp_path, "--checkpoint", str(checkpoint), "--stage", "fitblobs"),
        capture_output=True,
        text=True,
    )
    log = forced.stdout + forced.stderr
    assert int(re.search(r"(\d+) finished blobs", log).group(1)) > done


def test_bail_out(testdata, tmp_path, undisturbed):
    """What the checkpoint holds is written; reference stars of other blobs stay, and their pixels are flagged."""
    checkpoint = str(tmp_path / "blobs.checkpoint")
    some = _command(testdata, tmp_path, "-F", "-n", "--checkpoint", checkpoint, "--max-blobsize", "600")
    subprocess.run(**some, check=True, capture_output=True)
    fitted = _catalogue(tmp_path)
    assert 0 < len(fitted) < len(undisturbed)
    size = os.path.getsize(checkpoint)
    bail = subprocess.run(
        **_command(testdata, tmp_path, "-F", "-n", "--checkpoint", checkpoint, "--bail-out"),
        capture_output=True,
        text=True,
    )
    assert bail.returncode == 0, bail.stdout + bail.stderr
    catalogue = _catalogue(tmp_path)
    stars = np.char.strip(catalogue["ref_cat"].astype(str)) != ""
    assert np.sum(~stars) == np.sum(np.char.strip(fitted["ref_cat"].astype(str)) == "")
    assert stars.sum() >= 1
    maskbits = fitsio.read(tmp_path / "out" / "coadd" / "110" / "1102p240" / "legacysurvey-1102p240-maskbits.fits.fz")
    assert np.any(maskbits & 0x400) and not np.all(maskbits & 0x400)
    assert os.path.getsize(checkpoint) == size


def test_bail_out_before_anything_was_fitted(testdata, tmp_path):
    bail = subprocess.run(**_command(testdata, tmp_path, "-F", "-n", "--bail-out"), capture_output=True, text=True)
    assert bail.returncode == 0, bail.stdout + bail.stderr
    catalogue = _catalogue(tmp_path)
    assert len(catalogue) and np.all(np.char.strip(catalogue["ref_cat"].astype(str)) != "")


@pytest.mark.parametrize("threads", ["2", "3"])
def test_threads_do_not_change_the_catalogue(testdata, tmp_path, undisturbed, threads):
    subprocess.run(**_command(testdata, tmp_path, "-F", "-n", "--threads", threads), check=True, capture_output=True)
    assert _equal(_catalogue(tmp_path), undisturbed)
