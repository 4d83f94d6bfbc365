"""Campaigns of real, small bricks on a mock survey: the products are those of runs alone."""

import shutil

import fitsio
import numpy as np
import pytest
from astropy.table import Table

pytest.importorskip("distributed")

from legacypipe_lite import RunOptions, run_brick
from legacypipe_lite.campaign import by_names
from legacypipe_lite.cli.main import main
from legacypipe_lite.survey import SurveyDirectory

SMALL = ["--width", "100", "--height", "100", "--exposures", "1", "--bands", "r", "--no-wise", "--no-large-galaxy"]
OPTIONS = ["--bands", "r", "--no-wise", "--no-gaia", "--no-tycho", "--no-large-galaxies"]


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A mock survey with one CCD, which lacks its sky model."""
    folder = tmp_path_factory.mktemp("survey") / "s"
    assert main(["simulate", str(folder), *SMALL, "--seed", "3", "--artefacts", ""]) == 0
    for kept in (folder / "calib").glob("sky*"):
        shutil.rmtree(kept)
    return folder


@pytest.fixture(scope="module")
def positions(survey):
    """A table of positions: two are 2 arcsec apart, one is outside of all images, one is there twice."""
    centre = by_names(SurveyDirectory(survey), ["1801p330"])[0]
    ra = centre.ra + np.array([0.0, 2 / 3600, -8 / 3600, 5.0, 0.0])
    path = survey.parent / "targets.csv"
    Table({"RA": ra, "Dec": np.full(5, centre.dec)}).write(path)
    return path


def contents(folder):
    """All data of the FITS files below a folder, by file and HDU; without CPU columns."""
    found = {}
    for path in sorted(folder.glob("**/*.fits*")):
        with fitsio.FITS(str(path)) as fits:
            for number, hdu in enumerate(fits):
                data = hdu.read() if hdu.has_data() else None
                if data is not None and data.dtype.names:
                    data = data[[name for name in data.dtype.names if "cpu" not in name.lower()]]
                found[str(path.relative_to(folder)), number] = None if data is None else data.tobytes()
    return found


@pytest.mark.compiled
def test_positions(survey, positions, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["campaign", str(survey), "--outdir", str(out), "--positions", str(positions)]
    command += ["--width", "40", "--height", "40", "--workers", "2"]
    assert main([*command, "--plan", "--", *OPTIONS]) == 0
    text = capsys.readouterr().out
    assert "4 bricks, 1 of them without CCDs; 1 CCDs" in text and "1 CCDs of 1 image files" in text
    assert not out.exists()
    assert main([*command, "--", *OPTIONS]) == 0
    assert "3 done" in capsys.readouterr().out
    assert list(survey.glob("calib/sky*/**/*.fits"))
    names = sorted(path.stem[len("tractor-") :] for path in out.glob("tractor/*/tractor-*.fits"))
    assert len(names) == 3
    for name in names:
        ra, dec = name[len("custom-") :].split("p")
        alone = RunOptions(
            radec=(repr(int(ra) / 1e6), repr(int(dec) / 1e6)), custom_name=name, width=40, height=40, bands=("r",),
            survey_dir=str(survey), outdir=str(tmp_path / "alone"), wise=False, gaia=False, tycho=False,
            large_galaxies=False, write=False,
        )  # fmt: skip
        run_brick(alone)
    assert contents(out) == contents(tmp_path / "alone")
    assert main(["status", str(out)]) == 0
    assert "3  done" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "which bricks"),
        (["--brick", "1801p330", "--touched"], "which bricks"),
        (["--brick", "9999p330"], "No such brick: 9999p330"),
        (["--region", "10", "20", "5", "-5"], "DEC1 <= DEC2"),
        (["--region", "10", "20", "5", "6"], "no brick"),
        (["--positions", "nowhere.fits", "--width", "9", "--height", "9"], "does not exist"),
        (["--brick", "1801p330", "--", "--outdir", "x"], "--outdir cannot follow --"),
        (["--brick", "1801p330", "--width", "9"], "--positions"),
        (["--brick", "1801p330", "--", "--zoom", "5", "5", "1", "2"], "--zoom"),
    ],
)
def test_mistakes(survey, tmp_path, capsys, arguments, text):
    assert main(["campaign", str(survey), "--outdir", str(tmp_path), *arguments]) != 0
    assert text in capsys.readouterr().err


def test_touched(survey, tmp_path, capsys):
    command = ["campaign", str(survey), "--outdir", str(tmp_path), "--plan"]
    assert main([*command, "--touched", "--", "--bands", "r"]) == 0
    assert "1 CCDs" in capsys.readouterr().out
    assert main([*command, "--brick", "1801p330", "--brick", "1801p330", "--", "--bands", "r"]) == 0
    assert capsys.readouterr().out.startswith("1 bricks, 0 of them without CCDs")
