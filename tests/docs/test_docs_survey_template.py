"""The template of a survey directory works as its README says."""

import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from legacypipe_lite.simulate import SimulationOptions, simulate
from legacypipe_lite.survey import find_brick
from legacypipe_lite.survey.ccds import OPTIONAL_COLUMNS, REQUIRED_COLUMNS

TEMPLATE = Path(__file__).resolve().parents[2] / "survey-dir-template"


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    options = SimulationOptions(
        cameras=("decam", "mosaic"), bands=("r", "z"), exposures=1, width=100, height=100, wise=False
    )
    return simulate(tmp_path_factory.mktemp("mock") / "survey", options)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(TEMPLATE, tmp_path / "mysurvey")
    return tmp_path / "mysurvey"


def make_tables(folder, *arguments):
    command = [sys.executable, "make_tables.py", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_bricks(copy):
    answer = make_tables(copy, "bricks")
    assert answer.returncode == 0, answer.stderr
    brick = find_brick(copy / "survey-bricks.fits.gz", "1501p022")
    assert (brick.brickid, brick.dec1, brick.ra2) == (1, 2.125, 150.25)


def test_ccds_of_a_mock_survey(mock, copy):
    """The table that is made from the images is the one that the simulation wrote."""
    for camera, options in (("decam", []), ("mosaic", ["--zeropoint", "26.0", "--fwhm-card", "SEEINGP1"])):
        shutil.copytree(mock.root / "images" / camera, copy / "images" / camera)
        images = sorted((copy / "images" / camera).rglob("*_ooi_*"))
        answer = make_tables(copy, "ccds", "--camera", camera, *options, *images)
        assert answer.returncode == 0, answer.stderr
        assert f"{len(images)} CCD images" in answer.stdout
        made = Table.read(copy / f"survey-ccds-{camera}-1.fits.gz")
        true = Table.read(mock.root / f"survey-ccds-{camera}-1.fits.gz", hdu=1)
        made.sort("expnum"), true.sort("expnum")
        assert {*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, "ccd_cuts"} == set(made.colnames)
        for name in ("expnum", "image_hdu", "width", "height", "ccd_cuts"):
            assert np.array_equal(made[name], true[name]), name
        for name in ("crval1", "crpix2", "cd1_2", "ra", "dec", "exptime", "mjd_obs"):
            assert np.allclose(made[name], true[name], rtol=1e-6), name
        assert np.allclose(made["fwhm"], true["fwhm"], rtol=1e-3)
        for name in ("image_filename", "ccdname", "plver"):
            assert [str(v).strip() for v in made[name]] == [str(v).strip() for v in true[name]], name
        factor = 1.0 if camera == "decam" else 10 ** ((true["ccdzpt"] - 26.0) / 2.5)
        assert np.allclose(made["sig1"], true["sig1"] * factor, rtol=0.02)


def test_missing_cards_are_named(mock, copy):
    shutil.copytree(mock.root / "images/decam", copy / "images/decam")
    images = sorted((copy / "images/decam").rglob("*_ooi_*"))
    for option, text in (("--fwhm-card", "no header card SEE"), ("--magzero-card", "no card SEE")):
        answer = make_tables(copy, "ccds", "--camera", "decam", option, "SEE", *images)
        assert answer.returncode == 1 and text in answer.stderr and "Traceback" not in answer.stderr
    answer = make_tables(copy, "ccds", "--camera", "decam", images[0].parent / "x.fits")
    assert answer.returncode == 1 and "no _ooi_" in answer.stderr


def test_readme_lists_the_columns():
    text = (TEMPLATE / "README.md").read_text()
    named = set(re.findall(r"`([a-z0-9_]+)`", text.split("The columns:")[1].split("## 3.")[0]))
    assert {*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS, "ccd_cuts"} - named <= {"cd1_2", "cd2_1"}


def test_environment_names_what_the_program_reads():
    from legacypipe_lite.cli.runbrick import make_parser

    text = (TEMPLATE / "environment.sh").read_text()
    known = make_parser().epilog + "GAIA_CAT_PREFIX GAIA_CAT_SCHEME"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in re.findall(r"export ([A-Z0-9_]+)=", text):
            assert name in known, name
    answer = subprocess.run(
        ["bash", "-c", f". {TEMPLATE}/environment.sh; echo $GAIA_CAT_DIR"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == str(TEMPLATE / "gaia")
