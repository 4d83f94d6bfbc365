"""The commands legacypipe-lite and legacypipe-lite simulate."""

import importlib

import pytest

from legacypipe_lite.cli import main as umbrella
from legacypipe_lite.cli.main import SUBCOMMANDS, main
from legacypipe_lite.simulate import SimulationOptions

SMALL = ["--width", "100", "--height", "100", "--exposures", "1", "--bands", "r", "--no-wise", "--no-large-galaxy"]


@pytest.mark.parametrize("argv", [[], ["--help"], ["help"]])
def test_overview(argv, capsys):
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert all(name in text and command.text in text for name, command in SUBCOMMANDS.items())


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("legacypipe_lite ")


def test_unknown_command(capsys):
    assert main(["calibrate"]) == 2
    assert "no command calibrate" in capsys.readouterr().err


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: legacypipe-lite {name}") and "--debug" in text
    module = importlib.import_module("legacypipe_lite.cli." + SUBCOMMANDS[name].module)
    assert module.DESCRIPTION.strip()[:40] in text


def test_simulate(tmp_path, capsys):
    assert main(["simulate", str(tmp_path / "s"), *SMALL, "--seed", "3", "--artefacts", ""]) == 0
    captured = capsys.readouterr()
    assert "runbrick --brick 1801p330 --zoom 1750 1850 1750 1850 --bands r --no-wise" in captured.out
    assert "1 exposures, 1 CCD images" in captured.err
    assert (tmp_path / "s/truth.fits").exists()
    assert main(["simulate", str(tmp_path / "s"), *SMALL, "--seed", "3", "--artefacts", ""]) == 0
    assert "holds this survey already" in capsys.readouterr().err


def test_all_options_arrive(tmp_path, monkeypatch):
    from legacypipe_lite import simulate as room

    class Stop(Exception):
        pass

    def fake(outdir, options, threads, progress):
        fake.seen = outdir, options, threads
        raise Stop

    monkeypatch.setattr(room, "simulate", fake)
    flags = "--seed 5 --radec -10 -5 --width 300 --height 200 --density 2 --blends 0.2 --no-large-galaxy --exposures 4"
    more = "--cameras 90prime,mosaic --bands g,z --depth 1 --seeing 1.1 --artefacts gap --no-wise --expected-weights"
    assert main(["simulate", "out", *flags.split(), *more.split(), "--full-brick", "--threads", "2"]) == 1
    assert fake.seen == (
        "out",
        SimulationOptions(
            seed=5, ra=350.0, dec=-5.0, cameras=("90prime", "mosaic"), bands=("g", "z"), exposures=4, depth=1.0,
            seeing=1.1, width=300, height=200, density=2.0, blends=0.2, artefacts=("gap",), large_galaxy=False,
            wise=False, noisy_weights=False, full_brick=True,
        ),
        2,
    )  # fmt: skip


def test_errors_are_one_line(tmp_path, capsys):
    (tmp_path / "x").write_text("")
    assert main(["simulate", str(tmp_path), *SMALL]) == 1
    error = capsys.readouterr().err
    assert error.startswith("legacypipe-lite simulate: ") and error.count("\n") == 1
    assert main(["simulate", str(tmp_path / "y"), "--bands", "q"]) == 1
    assert "--bands: q is not known" in capsys.readouterr().err


def test_internal_errors_and_interruptions(tmp_path, monkeypatch, capsys):
    from legacypipe_lite.cli import simulate as command

    for error, status, text in (
        (RuntimeError("broken"), 1, "internal error: RuntimeError: broken"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(143), 143, "terminated"),
    ):

        def fail(arguments, error=error):
            raise error

        monkeypatch.setattr(command, "run", fail)
        assert main(["simulate", str(tmp_path)]) == status
        assert text in capsys.readouterr().err
    monkeypatch.setattr(command, "run", lambda arguments: 1 / 0)
    assert main(["simulate", str(tmp_path), "--debug"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_commands_are_imported_only_when_asked_for():
    assert umbrella.PROGRAM == "legacypipe-lite"
    import subprocess
    import sys

    code = "import sys; from legacypipe_lite.cli.main import main; main(['--help']); print('numpy' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.endswith("False\n")
