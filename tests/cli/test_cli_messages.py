"""Mistakes on the command line: each message names the culprit and the way out."""

import fitsio
import numpy as np
import pytest
from synthetic_ccds import BRICK, DEC, RA, SyntheticSurvey

from legacypipe_lite.cli.main import main as umbrella
from legacypipe_lite.cli.runbrick import main
from legacypipe_lite.errors import NothingToDo, OutputError
from legacypipe_lite.options import RunOptions
from legacypipe_lite.run import BrickRun, look_for_earlier_results
from legacypipe_lite.survey import OutputTree
from legacypipe_lite.survey.bricks import Brick
from legacypipe_lite.survey.header import brick_cards
from legacypipe_lite.validation.products import with_band_names
from legacypipe_lite.wcs import target_wcs


@pytest.fixture
def survey(tmp_path, monkeypatch):
    for name in ("GAIA_CAT_DIR", "LARGEGALAXIES_CAT", "SKY_TEMPLATE_DIR", "LEGACYPIPE_DATA_DIR", "TYCHO2_KD_DIR"):
        monkeypatch.delenv(name, raising=False)
    survey = SyntheticSurvey(tmp_path / "survey")
    survey.add_ccd()
    return survey.write()


def run(survey, *arguments, stage="refs"):
    size = ["--width", "60", "--height", "60", "--no-write", "--stage", stage]
    return main(["--survey-dir", str(survey.root), "--outdir", str(survey.root / "out"), *size, *arguments])


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (["--brik", BRICK], "did you mean --brick"),
        (["--brick", BRICK, "--no-gai"], "did you mean --no-gaia"),
        (["--brick", BRICK, "--No_Wise"], "did you mean --no-wise"),
        (["--brick", BRICK, "--thread=2"], "did you mean --threads"),
    ],
)
def test_mistyped_flags(survey, capsys, flags, hint):
    with pytest.raises(SystemExit) as end:
        run(survey, *flags)
    assert end.value.code == 2 and hint in capsys.readouterr().err


def test_mistyped_commands(capsys):
    assert umbrella(["check-input"]) == 2
    assert "there is no command check-input; did you mean check-inputs?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--brick", "1500p201"], 255, "No such brick: 1500p201 .*; did you mean 1500p200"),
        (["--brick", "../../x"], 1, "--brick is '../../x', which cannot be part of a file name"),
        (["--brick", BRICK, "--bands", "r,R"], 1, "r and R differ in case only"),
        (["--brick", BRICK, "--bands", "a/../r"], 1, "'a/../r' is no name of a band"),
        (["--brick", BRICK, "--force", "src"], 1, "no stage 'src'; .* did you mean srcs"),
        (["--brick", BRICK, "--bands", "r,z", "--require-bands", "--no-gaia"], 1, "no image in band z"),
        (["--brick", BRICK], 1, "GAIA_CAT_DIR is not set"),
    ],
)
def test_what_is_wrong_is_named(survey, capsys, arguments, status, text):
    import re

    assert run(survey, *arguments) == status
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and re.search(text, err) and "internal" not in err, err


def test_wrong_folders_of_catalogues_are_noticed_before_images_are_read(survey, capsys, monkeypatch, tmp_path):
    survey.path(survey.rows[0]["image_filename"]).unlink()  # would be the first complaint of stage tims
    monkeypatch.setenv("GAIA_CAT_DIR", str(tmp_path))
    assert run(survey, "--brick", BRICK) == 1
    assert "Gaia file" in capsys.readouterr().err
    monkeypatch.setenv("TYCHO2_KD_DIR", str(tmp_path / "nowhere"))
    assert run(survey, "--brick", BRICK, "--no-gaia") == 1
    assert "TYCHO2_KD_DIR" in capsys.readouterr().err
    monkeypatch.setenv("TYCHO2_KD_DIR", str(tmp_path))
    fitsio.write(str(tmp_path / "tycho2.kd.fits"), np.zeros(3, [("ra", "f8"), ("dec", "f8"), ("flux", "f4")]))
    assert run(survey, "--brick", BRICK, "--no-gaia") == 1
    assert "is it the Tycho-2 catalogue?" in capsys.readouterr().err


def test_names_that_are_too_long(survey, capsys):
    assert main(["--brick", BRICK, "--survey-dir", str(survey.root), "--outdir", "x" * 300, "--no-gaia"]) == 1
    err = capsys.readouterr().err
    assert "cannot write to" in err and "too long" in err.lower()


def test_the_summary_accounts_for_all_ccds(survey, capsys):
    survey.add_ccd(expnum=400002, ccd_cuts=4)
    survey.add_ccd(expnum=400003, ccdzpt=-99.0)
    survey.write()
    assert run(survey, "--brick", BRICK, "--no-gaia", "--bands", "r,z") == 0
    out = capsys.readouterr().out
    assert "CCDs: 1 used (r 1), 1 dropped, 1 not asked for, of 3 near the brick" in out
    assert "dropped cam/CP/x_400003_ooi_r.N4.fits N4: ccdzpt is -99" in out
    assert "not asked for (ccd_cuts is not 0): cam/CP/x_400002_ooi_r.N4.fits N4" in out
    assert "bands without images: z" in out


# --- fields of one name


def write_catalog(outdir, ra, dec, width=60):
    """The header of the catalogue of a custom field, and the options that made it."""
    target = target_wcs(ra, dec, width, width, 0.262)
    brick = Brick.around(ra, dec, target)
    tree = OutputTree(outdir, brick.name)
    tree.write_table("tractor", {"ra": np.zeros(1)}, primary_cards=brick_cards(brick, target))


def options(outdir, ra, dec, **changes):
    return RunOptions(radec=(ra, dec), **{"width": 60, "height": 60, "outdir": str(outdir), **changes})


def test_another_field_of_the_same_name_is_not_skipped(survey, tmp_path):
    write_catalog(tmp_path, RA + 0.0001, DEC)
    with pytest.raises(NothingToDo, match="exists"):
        look_for_earlier_results(options(tmp_path, RA + 0.0001, DEC, skip=True))
    look_for_earlier_results(options(tmp_path, RA + 0.0009, DEC, skip=True))
    look_for_earlier_results(options(tmp_path, RA + 0.0001, DEC, skip=True, width=80))
    look_for_earlier_results(options(tmp_path, RA + 0.0001, DEC, skip=True, pixscale=0.3))
    with pytest.raises(OutputError, match="is of another field of the same name, around 150.00010 .*--outdir"):
        BrickRun(options(tmp_path, RA + 0.0009, DEC, survey_dir=str(survey.root), gaia=False)).run()


def test_columns_of_bands_with_capitals_and_digits():
    table = np.zeros(2, [("flux_f200w", "f4"), ("flux_ivar_f200w", "f4"), ("flux_z", "f4"), ("ra", "f8")])
    assert with_band_names(table, ["F200W", "Z"]).dtype.names == ("flux_F200W", "flux_ivar_F200W", "flux_Z", "ra")
    assert with_band_names(table, ["z"]) is table
