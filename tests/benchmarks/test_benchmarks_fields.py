"""Which field a benchmark's argument means."""

import os

import fields
import pytest
from common import BenchmarkError
from fields import find_field


def test_known_field(testdata, monkeypatch):
    monkeypatch.setenv("LEGACYPIPE_TESTDATA", str(testdata))
    monkeypatch.setenv("LARGEGALAXIES_CAT", "another.fits")
    field = find_field("testcase12")
    options = field.options("out", ["--threads", "2"])
    assert options.width == 100 and options.threads == 2 and options.outdir == "out"
    assert options.unwise_dir == f"{testdata}/realdata/testcase12/images/unwise"
    assert field.reference_output.is_dir()
    with field.in_environment():
        assert os.environ["UNWISE_MODEL_SKY_DIR"].endswith("testcase12/images/unwise-mod")
        assert "LARGEGALAXIES_CAT" not in os.environ
    assert os.environ["LARGEGALAXIES_CAT"] == "another.fits"


def test_every_known_field_is_there(testdata, monkeypatch):
    monkeypatch.setenv("LEGACYPIPE_TESTDATA", str(testdata))
    for name in fields.KNOWN:
        field = find_field(name)
        assert field.survey_dir.is_dir() and field.reference_output.is_dir()
        assert 0 < field.reference_fitblobs < field.reference_run
        field.options("out").validated()


def test_mock_survey(tmp_path):
    (tmp_path / "run.txt").write_text("--brick 1801p330 --zoom 1 2 3 4 --no-wise\n")
    (tmp_path / "environment.sh").write_text("# where\nexport GAIA_CAT_DIR='/a b/gaia'\nexport GAIA_CAT_VER=3\n")
    field = find_field(str(tmp_path))
    assert field.arguments == ("--brick", "1801p330", "--zoom", "1", "2", "3", "4", "--no-wise")
    assert field.environment == {"GAIA_CAT_DIR": "/a b/gaia", "GAIA_CAT_VER": "3"}
    assert field.options("out", ["--zoom", "5", "6", "7", "8"]).zoom == (5, 6, 7, 8)


def test_other_survey_directories_need_options(tmp_path):
    with pytest.raises(BenchmarkError, match="say which brick"):
        find_field(str(tmp_path))
    field = find_field(str(tmp_path), ["--brick", "1801p330"])
    assert field.options("out", ["--brick", "1801p330"]).survey_dir == str(tmp_path)


def test_unknown_field():
    with pytest.raises(BenchmarkError, match="no survey directory"):
        find_field("nowhere")


def test_no_test_data(monkeypatch):
    monkeypatch.setattr(fields, "find_testdata", lambda: None)
    with pytest.raises(BenchmarkError, match="LEGACYPIPE_TESTDATA"):
        find_field("simA")
