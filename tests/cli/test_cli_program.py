"""Errors and signals become an exit status and one line."""

import logging
import os
import signal
import subprocess
import sys

import pytest

from legacypipe_lite.cli.program import run_guarded, terminable
from legacypipe_lite.errors import InputError


def guarded(work, **keywords):
    return run_guarded(work, "program", logging.NullHandler(), **keywords)


def raising(error):
    def work():
        raise error

    return work


def test_good_end(capsys):
    assert guarded(lambda: None) == 0 and guarded(lambda: 3) == 3
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error, status, text",
    [
        (InputError("x.fits\nis truncated"), InputError.exit_status, "x.fits is truncated"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ValueError("odd"), 1, "ValueError: odd: something that the program does not expect (--debug shows where)"),
        (MemoryError(), 1, "not enough memory: a smaller field, fewer --threads or another machine may help"),
        (OSError(28, "No space left on device", "x"), 1, "x: No space left on device (--debug shows where)"),
        (InputError("x\x1b[31m.fits is red"), 1, "x\\x1b[31m.fits is red"),
    ],
)
def test_errors_are_one_line(error, status, text, capsys, caplog):
    assert guarded(raising(error)) == status
    assert capsys.readouterr().err == f"program: {text}\n" and caplog.text == ""


def test_debug_shows_where(caplog):
    assert guarded(raising(ValueError("odd")), debug=True) == 1
    assert "in work" in caplog.text and "Traceback" in caplog.text


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_termination_has_the_status_of_the_signal(number, status, capsys):
    def work():
        os.kill(os.getpid(), number)
        signal.pause()

    assert guarded(work) == status
    assert capsys.readouterr().err == "program: terminated\n"


def test_hangups_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert guarded(lambda: os.kill(os.getpid(), signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_reader_that_has_enough():
    command = f"{sys.executable} -m legacypipe_lite.cli.runbrick --list-stages | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    module = subprocess.run([sys.executable, "-m", "legacypipe_lite", "--help"], capture_output=True, text=True)
    assert module.returncode == 0 and "simulate" in module.stdout


def test_termination_is_orderly():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end, terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert end.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_log_records_do_not_reach_the_terminal_raw(capsys):
    handler = logging.StreamHandler(sys.stdout)

    def work():
        logging.getLogger("legacypipe_lite.test").warning("file %s", "a\x1b[31m\nb")

    assert run_guarded(work, "program", handler) == 0
    assert capsys.readouterr().out == "file a\\x1b[31m\\nb\n"
