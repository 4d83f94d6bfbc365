import shutil

import fitsio
import numpy as np
import pytest
from astropy.table import Table
from synthetic_ccds import DEC, RA, SyntheticSurvey

from legacypipe_lite.cameras import camera_class
from legacypipe_lite.cameras.calibrations import CcdField
from legacypipe_lite.errors import InputError
from legacypipe_lite.models import Source
from legacypipe_lite.options import RunOptions
from legacypipe_lite.reference import sky_scene
from legacypipe_lite.reference.sky_scene import SkySceneFinder
from legacypipe_lite.survey import SurveyDirectory, read_ccds
from legacypipe_lite.wcs import target_wcs


def field_of(row, survey, options):
    """The field of a CCD, as it is handed over when its sky is made."""
    fields = []

    def note(ccd_field):
        fields.append(ccd_field)
        raise InputError("seen enough")

    with pytest.raises(InputError, match="seen enough"):
        camera_class(row["camera"])(row, survey, options).read_tim(scene=note)
    return fields[0]


@pytest.fixture
def real(testdata, tmp_path, monkeypatch):
    """Function: finder and field of the CCD whose sky model is missing."""
    folder = tmp_path / "testcase4"
    ignored = shutil.ignore_patterns("unwise*", "sky-single")
    shutil.copytree(testdata / "realdata/testcase4", folder, ignore=ignored, copy_function=shutil.copyfile)
    values = {"GAIA_CAT_DIR": folder / "gaia", "GAIA_CAT_VER": "2", "TYCHO2_KD_DIR": folder}
    values |= {"GAIA_CAT_PREFIX": "chunk", "GAIA_CAT_SCHEME": "ring"}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("LARGEGALAXIES_CAT", raising=False)
    survey = SurveyDirectory(folder)
    (row,) = read_ccds(survey.ccd_files(), target_wcs(186.745, 25.4615, 250, 250, 0.262))

    def prepare(**changes):
        options = RunOptions(brick="1867p255", **changes)
        return SkySceneFinder(survey, options), field_of(row, survey, options)

    return prepare


@pytest.mark.realdata
def test_halos_and_masks_of_a_real_field(real):
    finder, ccd_field = real()
    assert isinstance(ccd_field, CcdField) and ccd_field.shape == (251, 245)
    scene = finder(ccd_field)
    assert not scene.mask.any() and scene.galaxy_fraction == 0 and scene.halos and scene.galaxy_version == ""
    assert scene.light.max() == pytest.approx(1.226e-4, rel=1e-3)
    assert scene.light.mean() == pytest.approx(1.673e-5, rel=1e-3)
    assert scene.blobs is None


@pytest.mark.realdata
def test_blobs_of_an_earlier_run(real, testdata):
    finder, ccd_field = real(blob_mask_dir=str(testdata / "realdata/testcase4"))
    blobs = finder(ccd_field).blobs
    path = testdata / "realdata/testcase4/metrics/186/blobs-1867p255.fits.gz"
    brick_blobs = fitsio.read(str(path)) >= 0
    assert blobs.shape == (251, 245) and 0 < blobs.mean() < 0.9
    # One by one for some pixels.
    brick = target_wcs(186.7741935483871, 25.5, 3600, 3600, 0.262)  # the file has no WCS: the brick's whole grid
    rng = np.random.default_rng(1)
    for x, y in zip(rng.integers(0, 245, 100), rng.integers(0, 251, 100)):
        bx, by = (round(float(v)) for v in ccd_field.wcs.map_to(brick, float(x), float(y)))
        inside = 0 <= bx < brick.width and 0 <= by < brick.height
        assert blobs[y, x] == (inside and brick_blobs[by, bx])


@pytest.fixture
def synthetic(tmp_path, monkeypatch):
    """Finder and field of a synthetic CCD, with reference tables of the test's own."""
    survey = SyntheticSurvey(tmp_path / "survey")
    row = survey.add_ccd(sky=False)
    survey.write()
    directory = SurveyDirectory(survey.root)
    monkeypatch.setenv("LARGEGALAXIES_CAT", str(survey.root / "survey-bricks.fits.gz"))  # is only seen to exist

    def prepare(refs=None, sources=(), **changes):
        options = survey.options(no_gaia=True, no_tycho=True, **changes)
        refs = reference_table() if refs is None else refs
        monkeypatch.setattr(sky_scene, "reference_sources", lambda wcs, bands, catalogs: (refs, list(sources)))
        return SkySceneFinder(directory, options), field_of(row, directory, options)

    prepare.root = survey.root
    return prepare


FLAGS = ("isbright", "ismedium", "iscluster", "set_galaxy_maskbit", "isresolved", "ismcloud", "isgaia", "pointsource")


def reference_table(**columns):
    """A reference table with rows at the field's centre; flags are False unless given."""
    n = len(next(iter(columns.values()))) if columns else 0
    table = Table({"ra": np.full(n, RA), "dec": np.full(n, DEC), "radius": np.full(n, 20 * 0.262 / 3600)})
    for name in ("ba", "pa", "pmra", "pmdec", "parallax", "ref_epoch"):
        table[name] = np.ones(n) if name == "ba" else np.zeros(n)
    for name in (*FLAGS, "dup", "freezeparams"):
        table[name] = np.zeros(n, bool)
    table["ref_cat"] = np.full(n, "L3")
    table["decam_mag_r"] = np.full(n, 12.0)
    for name, values in columns.items():
        table[name] = values
    return table


def test_empty_field(synthetic):
    finder, ccd_field = synthetic()
    scene = finder(ccd_field)
    assert not scene.mask.any() and scene.light is None and not scene.halos and scene.galaxy_version == ""


def test_galaxies_and_clusters_are_masked_and_counted(synthetic):
    finder, ccd_field = synthetic(reference_table(iscluster=[True]), [None])
    scene = finder(ccd_field)
    assert scene.mask.sum() == pytest.approx(np.pi * 20**2, rel=0.05)
    assert scene.galaxy_fraction == pytest.approx(scene.mask.mean())
    finder, ccd_field = synthetic(reference_table(ismedium=[True]), [None])
    scene = finder(ccd_field)
    assert scene.mask.sum() > 1000 and scene.galaxy_fraction == 0


def test_halos_of_stars_that_are_not_duplicates(synthetic):
    stars = reference_table(isgaia=[True], pointsource=[True])
    finder, ccd_field = synthetic(stars, [None])
    scene = finder(ccd_field)
    assert scene.halos and scene.light.max() > 0
    stars["dup"] = True
    finder, ccd_field = synthetic(stars, [None])
    assert not finder(ccd_field).halos


def galaxy():
    return Source("EXP", RA, DEC, np.array([1000.0]), shape_r=3.0)


def test_frozen_galaxies(synthetic):
    refs = reference_table(freezeparams=[True, False, True])
    finder, ccd_field = synthetic(refs, [galaxy(), galaxy(), None])
    scene = finder(ccd_field)
    assert scene.light.shape == ccd_field.shape and scene.galaxy_version == "L3" and not scene.halos
    assert scene.light.sum() == pytest.approx(1000.0, rel=0.02)  # of one galaxy: the second is not frozen
    finder, ccd_field = synthetic(refs, [galaxy()] * 3, sky_no_subtract_large_galaxies=True)
    assert finder(ccd_field).light is None


def test_galaxies_and_halos_add_up(synthetic):
    refs = reference_table(freezeparams=[True, False], isgaia=[False, True], pointsource=[False, True])
    finder, ccd_field = synthetic(refs, [galaxy(), None])
    both = finder(ccd_field).light
    refs["freezeparams"] = False
    finder, ccd_field = synthetic(refs, [galaxy(), None])
    assert (both - finder(ccd_field).light).sum() == pytest.approx(1000.0, rel=0.02)


def write_blobs(root, name, blobs, wcs):
    path = root / "metrics" / "150" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cards = {keyword: value for keyword, value, _ in wcs.header_cards()}
    with fitsio.FITS(str(path), "rw", clobber=True) as fits:
        fits.write(None)
        fits.write(blobs, header=cards)


def test_blob_masks(synthetic, tmp_path):
    brick = target_wcs(RA, DEC, 200, 200, 0.262)
    mask = np.zeros((200, 200), np.uint8)
    mask[:, 100:] = 1
    write_blobs(tmp_path, "blobmask-1500p200.fits.gz", mask, brick)
    finder, ccd_field = synthetic(blob_mask_dir=str(tmp_path))
    blobs = finder(ccd_field).blobs
    assert blobs[:, 51:].all() and not blobs[:, :49].any()
    labels = np.full((200, 200), -1, np.int32)
    labels[100:] = 0
    write_blobs(tmp_path, "blobs-1500p200.fits.gz", labels, brick)  # comes first
    blobs = finder(ccd_field).blobs
    assert blobs[62:].all() and not blobs[:59].any()


def test_no_blobs_there(synthetic, tmp_path):
    finder, ccd_field = synthetic(blob_mask_dir=str(tmp_path))
    assert not finder(ccd_field).blobs.any()
    (synthetic.root / "survey-bricks.fits.gz").unlink()
    finder.bricks_file = None
    with pytest.raises(InputError, match="--blob-mask-dir needs survey-bricks"):
        finder(ccd_field)


def test_damaged_blobs(synthetic, tmp_path):
    path = tmp_path / "metrics/150/blobs-1500p200.fits.gz"
    path.parent.mkdir(parents=True)
    with fitsio.FITS(str(path), "rw") as fits:
        fits.write(None)
    finder, ccd_field = synthetic(blob_mask_dir=str(tmp_path))
    with pytest.raises(InputError, match="blobs-1500p200.fits.gz: holds no image"):
        finder(ccd_field)


def test_catalogues_are_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("GAIA_CAT_DIR", raising=False)
    finder = SkySceneFinder(SurveyDirectory(tmp_path), RunOptions(brick="x"))
    with pytest.raises(InputError, match="no reference catalogues .*GAIA_CAT_DIR"):
        finder(None)
