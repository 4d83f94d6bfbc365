from pathlib import Path

import pytest

from legacypipe_lite.errors import InputError, UsageError
from legacypipe_lite.options import RunOptions
from legacypipe_lite.survey import SurveyDirectory, image_base_name


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "survey"
    folder.mkdir()
    return folder


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_base_name():
    assert image_base_name("decam/CP/X.fits.fz") == "X"
    assert image_base_name("decam/CP/X.N3.fits") == "X"


def test_root_must_exist(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        SurveyDirectory(tmp_path / "nowhere")


@pytest.mark.parametrize("keyword", ["cache_dir", "data_dir"])
def test_other_folders_must_exist(root, keyword):
    with pytest.raises(InputError, match=keyword[:4]):
        SurveyDirectory(root, **{keyword: root / f"no-{keyword[:4]}"})


def test_unknown_run(root):
    with pytest.raises(UsageError, match="--run odin"):
        SurveyDirectory(root, run="odin")


def test_from_options(root, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("LEGACY_SURVEY_DIR", str(root))
    monkeypatch.delenv("LEGACYPIPE_DATA_DIR", raising=False)
    survey = SurveyDirectory.from_options(RunOptions(brick="x", run="north"))
    assert survey.root == root and survey.default_release == 9009 and survey.data_dir is None
    monkeypatch.delenv("LEGACY_SURVEY_DIR")
    monkeypatch.chdir(tmp_path)
    survey = SurveyDirectory.from_options(RunOptions(brick="x"))
    assert survey.root == tmp_path and survey.default_release == 9999
    assert "current directory" in caplog.text


def test_bricks_file(root):
    survey = SurveyDirectory(root)
    assert survey.bricks_file() is None
    touch(root, "survey-bricks-dr9.fits.gz", "survey-bricks-dr8.fits.gz")
    assert survey.bricks_file().name == "survey-bricks-dr8.fits.gz"
    touch(root, "survey-bricks.fits.gz")
    assert survey.bricks_file().name == "survey-bricks.fits.gz"


def test_ccd_files(root):
    with pytest.raises(InputError, match="no survey-ccds"):
        SurveyDirectory(root).ccd_files()
    touch(root, "survey-ccds-mosaic.fits.gz", "survey-ccds-90prime.fits.gz", "survey-ccds-decam.fits.gz")
    names = [p.name for p in SurveyDirectory(root).ccd_files()]
    assert names == ["survey-ccds-90prime.fits.gz", "survey-ccds-decam.fits.gz", "survey-ccds-mosaic.fits.gz"]
    assert [p.name for p in SurveyDirectory(root, run="south").ccd_files()] == ["survey-ccds-decam.fits.gz"]
    touch(root, "survey-ccds-decam.kd.fits")
    assert [p.name for p in SurveyDirectory(root).ccd_files()] == ["survey-ccds-decam.kd.fits"]
    # The filter comes before the preference for .kd.fits, and looks at the file name only.
    assert len(SurveyDirectory(root, run="north").ccd_files()) == 2


def test_run_filter_ignores_folder_names(tmp_path):
    root = tmp_path / "decam-survey"
    touch(root, "survey-ccds-mosaic.fits.gz")
    with pytest.raises(InputError, match="'decam' in its name"):
        SurveyDirectory(root, run="decam").ccd_files()


def test_calibration_files(root):
    survey = SurveyDirectory(root)
    image = "decam/CP/V1/c4d_1_ooi_g.fits.fz"
    calib = root / "calib"
    merged, single, old = survey.calibration_files("psf", image, "N4")
    assert merged == calib / "psfex/decam/CP/V1/c4d_1_ooi_g-psfex.fits"
    assert single == calib / "psfex-single/decam/CP/V1/c4d_1_ooi_g/c4d_1_ooi_g-N4-psfex.fits"
    assert old == calib / "decam/CP/V1/c4d_1_ooi_g-psfex.fits"
    single, merged, old = survey.calibration_files("sky", image, "N4")
    assert single == calib / "sky-single/decam/CP/V1/c4d_1_ooi_g/c4d_1_ooi_g-N4-splinesky.fits"
    assert merged == calib / "sky/decam/CP/V1/c4d_1_ooi_g-splinesky.fits"
    assert old == calib / "decam/CP/V1/c4d_1_ooi_g-splinesky.fits"
    assert survey.single_calibration_file("sky", image, "N4") == single
    assert survey.source_extractor_file(image, "N4") == calib / "se/decam/CP/V1/c4d_1_ooi_g/c4d_1_ooi_g-N4-se.fits"


def test_cache(root, tmp_path):
    cache = tmp_path / "cache"
    touch(cache, "images/a.fits", "survey-ccds-1.fits.gz", "survey-bricks.fits.gz")
    survey = SurveyDirectory(root, cache_dir=cache)
    assert survey.image_file("a.fits") == cache / "images/a.fits"
    assert survey.image_file("b.fits") == root / "images/b.fits"
    assert survey.relative(survey.image_file("a.fits")) == "images/a.fits"
    assert survey.cached(Path("/elsewhere/c")) == Path("/elsewhere/c")
    assert survey.bricks_file() is None  # must exist in the survey directory itself
    touch(root, "survey-ccds-1.fits.gz")
    assert survey.ccd_files() == [cache / "survey-ccds-1.fits.gz"]


def test_relative_of_a_foreign_path(root):
    assert SurveyDirectory(root).relative("/elsewhere/x.fits") == "/elsewhere/x.fits"


def test_reference_catalogues(root, tmp_path, monkeypatch):
    for name in ("TYCHO2_KD_DIR", "LARGEGALAXIES_CAT"):
        monkeypatch.delenv(name, raising=False)
    survey = SurveyDirectory(root)
    assert survey.tycho2_file() is None and survey.large_galaxies_file() is None
    touch(root, "tycho2.kd.fits")
    assert survey.tycho2_file() == root / "tycho2.kd.fits"
    monkeypatch.setenv("TYCHO2_KD_DIR", str(tmp_path))
    assert survey.tycho2_file() == root / "tycho2.kd.fits"
    touch(tmp_path, "tycho2.kd.fits", "sga.fits")
    assert survey.tycho2_file() == tmp_path / "tycho2.kd.fits"
    monkeypatch.setenv("LARGEGALAXIES_CAT", str(tmp_path / "none.fits"))
    assert survey.large_galaxies_file() is None
    monkeypatch.setenv("LARGEGALAXIES_CAT", str(tmp_path / "sga.fits"))
    assert survey.large_galaxies_file() == tmp_path / "sga.fits"


def test_data_file(root, tmp_path):
    assert SurveyDirectory(root).data_file("table.fits") is None
    touch(tmp_path, "data/table.fits")
    survey = SurveyDirectory(root, data_dir=tmp_path / "data")
    assert survey.data_file("table.fits") == tmp_path / "data/table.fits"
    assert survey.data_file("other.fits") is None
