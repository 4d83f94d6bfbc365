import logging

import pytest

from legacypipe_lite.errors import InputError
from legacypipe_lite.options import RunOptions
from legacypipe_lite.reference import RefCatalogs
from legacypipe_lite.report import Report
from legacypipe_lite.survey import SurveyDirectory

VARIABLES = ("GAIA_CAT_DIR", "GAIA_CAT_PREFIX", "GAIA_CAT_SCHEME", "GAIA_CAT_VER", "TYCHO2_KD_DIR", "LARGEGALAXIES_CAT")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Empty survey, data and catalogue folders, and an environment without catalogues."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("survey", "data", "gaia", "tycho"):
        (tmp_path / name).mkdir()
    return tmp_path


def catalogs(folders, report=None, **options):
    survey = SurveyDirectory(folders / "survey", data_dir=folders / "data")
    return RefCatalogs.from_environment(survey, RunOptions(brick="x", **options), report)


def test_everything_is_there(folders, monkeypatch):
    for name in ("tycho/tycho2.kd.fits", "survey/tycho2.kd.fits", "sga.fits", "data/NGC-star-clusters.fits"):
        (folders / name).touch()
    monkeypatch.setenv("GAIA_CAT_DIR", str(folders / "gaia"))
    monkeypatch.setenv("GAIA_CAT_PREFIX", "healpix")
    monkeypatch.setenv("GAIA_CAT_SCHEME", "nested")
    monkeypatch.setenv("GAIA_CAT_VER", "3")
    monkeypatch.setenv("TYCHO2_KD_DIR", str(folders / "tycho"))
    monkeypatch.setenv("LARGEGALAXIES_CAT", str(folders / "sga.fits"))
    report = Report()
    assert catalogs(folders, report) == RefCatalogs(
        gaia_dir=str(folders / "gaia"),
        gaia_prefix="healpix",
        gaia_scheme="nested",
        gaia_version="3",
        tycho2_file=str(folders / "tycho" / "tycho2.kd.fits"),
        large_galaxies_file=str(folders / "sga.fits"),
        clusters_file=str(folders / "data" / "NGC-star-clusters.fits"),
    )
    assert report.warnings == []
    off = catalogs(folders, no_gaia=True, no_tycho=True, no_large_galaxies=True)
    assert (off.gaia_dir, off.tycho2_file, off.large_galaxies_file) == (None, None, None)


def test_absent_optional_catalogues_are_said_once(folders, monkeypatch):
    monkeypatch.setenv("GAIA_CAT_DIR", str(folders / "gaia"))
    report = Report()
    first = catalogs(folders, report)
    assert catalogs(folders, report) == first
    assert (first.tycho2_file, first.large_galaxies_file, first.clusters_file) == (None, None, None)
    assert (first.gaia_prefix, first.gaia_scheme, first.gaia_version) == ("chunk", "ring", "1")
    assert len(report.warnings) == 3
    for words in ("tycho2.kd.fits", "LARGEGALAXIES_CAT is not set", "NGC-star-clusters.fits"):
        assert sum(words in text for text in report.warnings) == 1


def test_warnings_without_a_report(folders, caplog):
    with caplog.at_level(logging.WARNING):
        catalogs(folders, no_gaia=True, no_tycho=True, no_large_galaxies=True)
    assert [r.message.split(":")[0] for r in caplog.records] == [f"no NGC-star-clusters.fits in {folders / 'data'}"]


def test_large_galaxy_file_that_does_not_exist(folders, monkeypatch):
    monkeypatch.setenv("LARGEGALAXIES_CAT", "/nowhere/sga.fits")
    report = Report()
    catalogs(folders, report, no_gaia=True)
    assert any("LARGEGALAXIES_CAT=/nowhere/sga.fits is not a file" in text for text in report.warnings)


def test_gaia_is_necessary(folders, monkeypatch):
    with pytest.raises(InputError, match="GAIA_CAT_DIR is not set.*--no-gaia"):
        catalogs(folders)
    monkeypatch.setenv("GAIA_CAT_DIR", str(folders / "absent"))
    with pytest.raises(InputError, match="absent is not a folder.*--no-gaia"):
        catalogs(folders)


@pytest.mark.parametrize("keywords", [{"gaia_scheme": "nest"}, {"gaia_version": "DR3"}])
def test_wrong_settings(keywords):
    with pytest.raises(InputError, match="GAIA_CAT_(SCHEME|VER)"):
        RefCatalogs(**keywords)
