"""The command line: what it accepts, what it says, and its exit status."""

import argparse
import logging
import subprocess
import sys
import textwrap

import pytest

from legacypipe_lite import run as run_module
from legacypipe_lite.cli.runbrick import main, make_parser, parse_options
from legacypipe_lite.errors import NothingToDo, WorkerError
from legacypipe_lite.options import STAGE_ORDER, RunOptions, option_infos
from legacypipe_lite.refused_flags import REFUSED


def parse(*argv):
    from legacypipe_lite.cli.runbrick import _protect_negative

    return parse_options(make_parser().parse_args(_protect_negative(list(argv))))


class FakeRun:
    """Stands for a brick run; remembers how it was made."""

    error = None
    last = None

    def __init__(self, options, progress=None, command=None, frugal=False):
        options.validated()
        FakeRun.last = self
        self.options, self.progress, self.command = options, progress, command

    def run(self):
        logging.getLogger("legacypipe_lite.test").info("working")
        if self.error is not None:
            raise self.error


@pytest.fixture
def fake(monkeypatch):
    from legacypipe_lite.cli import summary

    monkeypatch.setattr(run_module, "BrickRun", FakeRun)
    monkeypatch.setattr(summary, "summary_lines", lambda run: ["the summary", "  of the run"])
    monkeypatch.setattr(FakeRun, "error", None)
    return FakeRun


# --- options


def test_defaults():
    assert parse("--brick", "1102p240") == RunOptions(brick="1102p240")


WHAT = "-b 1102p240 -W 100 -H 200 --pixscale 0.3 --zoom 1 2 3 4 --bands g,z --threads 4 -d out --nsigma 5"
STAGES = "-s srcs -s coadds -f refs --force-stage halos -w srcs -n -F -P p/%(brick)s-%%(stage)s -v -v"
OTHERS = "--blobxy 10 20 --blobxy 30 40 --blobradec 1.5 -2.5 --release 10002 --data-model dr9 --camera-module m"


def test_values():
    options = parse(*f"{WHAT} {STAGES} {OTHERS}".split())
    assert (options.width, options.height, options.pixscale, options.zoom) == (100, 200, 0.3, (1, 2, 3, 4))
    assert options.bands == ("g", "z") and options.threads == 4 and options.outdir == "out" and options.nsigma == 5.0
    assert (
        options.stage == ("srcs", "coadds") and options.force == ("refs", "halos") and options.write_stage == ("srcs",)
    )
    assert options.no_write and options.force_all and options.verbose == 2
    assert options.pickle == "p/%(brick)s-%%(stage)s"
    assert options.blobxy == ((10, 20), (30, 40)) and options.blobradec == ((1.5, -2.5),)
    assert options.release == 10002 and options.data_model == "dr9" and options.camera_module == ("m",)


@pytest.mark.parametrize("dec", ["-3.5", "-03:30:00", "+03:30:00"])
def test_negative_declinations(dec):
    assert parse("--radec", "9.1", dec, "--no-wise").radec == ("9.1", dec)


def test_every_option_has_a_flag():
    known = set(make_parser()._option_string_actions)
    for info in option_infos():
        assert set(info.flags) <= known, info.name


def test_help_is_complete(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for info in option_infos():
        assert info.flags[-1] in text, info.name
    assert not any(f"{flag.flags[-1]} " in text for flag in REFUSED) and "exit status" in text


@pytest.mark.parametrize("flag", REFUSED, ids=lambda flag: flag.name)
def test_refused_flags_say_why(fake, flag, capsys):
    values = [] if flag.convert is None else ["1"] * (flag.nargs or 1)
    assert main(["--brick", "1102p240", flag.flags[-1], *values]) == 1
    assert capsys.readouterr().err == f"runbrick: {flag.flags[-1]} is not supported: {flag.why}\n"


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("legacypipe_lite 0.")


def test_help_loads_nothing_heavy():
    program = """
        import sys
        from legacypipe_lite.cli.runbrick import main
        try:
            main(["--help"])
        except SystemExit:
            pass
        print([name for name in ("numpy", "numba", "astropy", "scipy", "rich") if name in sys.modules])
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_list_stages(capsys):
    assert main(["--list-stages"]) == 0
    text = capsys.readouterr().out
    positions = [("\n" + text).index(f"\n{name}: ") for name in STAGE_ORDER]
    assert positions == sorted(positions)
    assert "    reads: " in text and "    makes: files only" in text
    assert main(["--list-stages", "--blob-image"]) == 0
    text = capsys.readouterr().out
    assert text.index("\nsrcs: ") < text.index("\nimage_coadds: ")


# --- exit status


def test_no_arguments(capsys):
    assert main([]) == 255
    assert "usage: runbrick" in capsys.readouterr().out


def test_unknown_flag(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--brick", "1102p240", "--nonsense"])
    assert end.value.code == 2
    assert "--nonsense" in capsys.readouterr().err


def test_good_run(fake, capsys):
    assert main(["--brick", "1102p240", "--survey-dir", "a b"]) == 0
    out, err = capsys.readouterr()
    assert fake.last.command == "runbrick --brick 1102p240 --survey-dir 'a b'"
    assert "] working" in out and "\nthe summary\n  of the run\n" in out and err == ""
    fake.last.progress("blobs", 0, 2)


@pytest.mark.parametrize(
    "argv, culprit",
    [
        (["--brick", "1102p240", "--galex"], "--galex is not supported"),
        (["--brick", "1102p240", "--forced-bands", "i"], "--forced-bands is not supported"),
        (["--brick", "1102p240", "--radec", "1", "2"], "not both"),
        (["--no-wise"], "either --brick NAME or --radec"),
        (["--brick", "1102p240", "--stage", "cook"], "no stage 'cook'"),
        (["--brick", "1102p240", "--zoom", "5", "5", "0", "9"], "--zoom"),
    ],
)
def test_wrong_use(fake, argv, culprit, capsys):
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert err.startswith("runbrick: ") and culprit in err and err.count("\n") == 1


def test_errors_are_one_line(fake, capsys, monkeypatch):
    monkeypatch.setattr(fake, "error", WorkerError("a worker\ndied"))
    assert main(["--brick", "1102p240"]) == 255
    out, err = capsys.readouterr()
    assert err == "runbrick: a worker died\n" and "the summary" not in out and "Traceback" not in out
    assert main(["--brick", "1102p240", "--debug"]) == 255
    assert "Traceback" in capsys.readouterr().out
    monkeypatch.setattr(fake, "error", ZeroDivisionError("division by zero"))
    assert main(["--brick", "1102p240"]) == 1
    assert capsys.readouterr().err.startswith("runbrick: internal error: ZeroDivisionError: division by zero (--debug")
    monkeypatch.setattr(fake, "error", KeyboardInterrupt())
    assert main(["--brick", "1102p240"]) == 130
    assert "interrupted" in capsys.readouterr().err
    monkeypatch.setattr(fake, "error", SystemExit(143))
    assert main(["--brick", "1102p240"]) == 143
    assert "terminated" in capsys.readouterr().err


def test_nothing_to_do(fake, capsys, monkeypatch):
    monkeypatch.setattr(fake, "error", NothingToDo("No CCDs touching brick"))
    assert main(["--brick", "1102p240"]) == 0
    out, err = capsys.readouterr()
    assert "nothing to do: No CCDs touching brick" in out and "the summary" in out and err == ""


def test_flags_that_change_nothing_say_so(fake, capsys):
    assert main(["--brick", "1102p240", "--ceres"]) == 0
    assert "--ceres changes nothing" in capsys.readouterr().out


def test_check_done_and_skip(fake, tmp_path, capsys):
    assert main(["--brick", "1102p240", "--check-done", "--outdir", str(tmp_path)]) == 255
    assert "tractor-1102p240.fits does not exist" in capsys.readouterr().err


def test_logging_is_left_as_it_was(fake):
    root, package = logging.getLogger(), logging.getLogger("legacypipe_lite")
    before = root.level, package.level, list(root.handlers)
    main(["--brick", "1102p240", "--verbose"])
    assert (root.level, package.level, list(root.handlers)) == before


def test_parser_is_argparse():
    assert isinstance(make_parser(), argparse.ArgumentParser)
