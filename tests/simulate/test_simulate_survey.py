"""Whole mock surveys: their files, and that the pipeline reads out of them what was put in."""

import json
import subprocess
import warnings

import fitsio
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table, vstack

from legacypipe_lite import BrickRun, RunOptions
from legacypipe_lite.errors import OutputError
from legacypipe_lite.models import Motion, Source
from legacypipe_lite.models.render import TimRenderer
from legacypipe_lite.simulate import SimulationOptions, simulate
from legacypipe_lite.simulate.files import ImageTriplet, write_table
from legacypipe_lite.simulate.populations import OPTICAL_BANDS

OPTIONS = SimulationOptions(
    cameras=("decam", "90prime", "mosaic"),
    exposures=2,
    width=160,
    height=140,
    density=2.0,
    artefacts=("trail", "cosmics", "saturation", "gap"),
)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("mock") / "survey", OPTIONS)


@pytest.fixture(scope="module")
def truth(survey):
    return read(survey.truth_path)


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units that FITS does not know
        table = Table.read(path, hdu=1)
    for name in table.colnames:
        if table[name].dtype.kind == "S":
            table[name] = np.char.strip(np.char.decode(np.asarray(table[name])))
    return table


def fits_files(survey):
    return sorted(path for path in survey.root.rglob("*") if ".fits" in path.name)


def true_sources(truth):
    sources = []
    for row in truth:
        motion = None
        if row["is_gaia"]:
            motion = Motion(row["pmra"], row["pmdec"], row["parallax"], row["ref_epoch"])
        flux = [row[f"flux_{band}"] for band in OPTICAL_BANDS]
        shape = {name: float(row[name]) for name in ("shape_r", "shape_e1", "shape_e2", "sersic")}
        sources.append(Source(str(row["type"]), row["ra"], row["dec"], flux, motion=motion, **shape))
    return sources


# --- the truth comes out again


@pytest.fixture(scope="module")
def clean_tims(tmp_path_factory):
    """Images without artefacts as the pipeline reads them, and the truth."""
    options = SimulationOptions(
        cameras=OPTIONS.cameras, exposures=1, width=160, height=140, density=2.0, artefacts=(), noisy_weights=False
    )
    survey = simulate(tmp_path_factory.mktemp("clean") / "survey", options)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in survey.environment.items():
            patch.setenv(name, value)
        run = BrickRun(
            RunOptions(
                brick=survey.field.brick.name,
                zoom=survey.field.zoom,
                survey_dir=str(survey.root),
                outdir=str(survey.root.parent),
                no_write=True,
                no_outliers=True,
            )
        )
        run.stage("halos")
    return run.state["tims"], true_sources(read(survey.truth_path))


def test_pipeline_sees_the_true_sources(clean_tims):
    """Images minus true sources, as the pipeline reads them, are noise of the stated size, also on the sources."""
    tims, sources = clean_tims
    assert {(t.ccd.camera, t.band) for t in tims} == {
        *(("decam", b) for b in "grz"), ("90prime", "g"), ("90prime", "r"), ("mosaic", "z")
    }  # fmt: skip
    for tim in tims:
        model = np.zeros(tim.shape, np.float32)
        renderer = TimRenderer(tim, OPTICAL_BANDS.index(tim.band))
        for source in sources:
            patch = renderer.patch(source)
            if patch is not None:
                x0, y0, values = patch
                model[y0 : y0 + values.shape[0], x0 : x0 + values.shape[1]] += values
        chi = (tim.image - model) * tim.inverr
        good = tim.inverr > 0
        assert good.mean() > 0.9
        bright = good & (model > 2 * tim.sig1)
        # The pipeline adds the photon noise of |image - sky|, noise included, to the northern cameras' weights.
        expected = 1.0 if tim.ccd.camera == "decam" else 0.975
        assert abs(chi[good].mean()) < 0.03 and abs(chi[good].std() - expected) < 0.025, tim.name
        assert bright.sum() > 300 and abs(chi[bright].mean()) < 0.15 and abs(chi[bright].std() - expected) < 0.08
        assert np.median(1 / tim.inverr[good]) == pytest.approx(tim.sig1, rel=0.03)


def test_brick_run(survey, truth, tmp_path, monkeypatch):
    """Everything works end to end; bright isolated sources come out as they went in."""
    for name, value in survey.environment.items():
        monkeypatch.setenv(name, value)
    # The northern cameras by themselves, as in the real surveys.
    options = RunOptions(
        brick=survey.field.brick.name,
        zoom=survey.field.zoom,
        run="south",
        survey_dir=str(survey.root),
        outdir=str(tmp_path),
        no_write=True,
    )
    run = BrickRun(options)
    catalog = run.stage("writecat")["tractor"]
    assert not run.report.dropped_ccds
    star = truth[truth["note"] == "saturated"][0]
    row = catalog[np.argmin(np.hypot(catalog["bx"] - star["bx"], catalog["by"] - star["by"]))]
    assert row["ref_id"] == star["source_id"] and row["type"] == "PSF"
    assert row["flux_r"] == pytest.approx(star["flux_r"], rel=0.02)
    galaxy = truth[truth["note"] == "biggal"][0]
    row = catalog[np.argmin(np.hypot(catalog["bx"] - galaxy["bx"], catalog["by"] - galaxy["by"]))]
    assert row["ref_cat"] == "L3"
    assert row["flux_r"] == pytest.approx(galaxy["flux_r"], rel=0.05)
    assert row["flux_w1"] == pytest.approx(galaxy["flux_w1"], rel=0.1)
    assert np.sum(row["lc_nobs_w1"] > 0) == 2


# --- the files


def test_every_file_conforms_to_the_standard(survey):
    files = fits_files(survey)
    assert len(files) > 60
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in files:
            with fits.open(path, checksum=True, disable_image_compression=True) as hdus:
                hdus.verify("exception")
                for hdu in hdus:
                    assert "CHECKSUM" in hdu.header and "DATASUM" in hdu.header, (path, hdu.name)


def test_fitscheck(survey):
    from astropy.io.fits.scripts import fitscheck

    # It does not find the checksums of tile-compressed images (neither in files of the surveys).
    assert fitscheck.main(["--ignore-missing", *map(str, fits_files(survey))]) == 0


def test_fitsverify(survey):
    try:
        answer = subprocess.run(
            ["fitsverify", "-q", *map(str, fits_files(survey))], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("the program fitsverify is not installed")
    lines = answer.stdout.splitlines()
    assert len(lines) == len(fits_files(survey))
    assert [line for line in lines if not line.startswith("verification OK")] == []


def test_images_are_compressed_as_real_ones(survey):
    images = sorted((survey.root / "images/decam").rglob("*.fits.fz"))
    assert len(images) == 3 * 3 * 2
    for path in images:
        header = fitsio.read_header(str(path), 1)
        assert header["ZTILE1"] == header["ZNAXIS1"] and header["ZTILE2"] == 1
        if "_ood_" in path.name:
            assert header["ZCMPTYPE"] == "PLIO_1" and header["ZBITPIX"] == 32
        else:
            assert header["ZCMPTYPE"] == "RICE_1" and header["ZQUANTIZ"] == "SUBTRACTIVE_DITHER_1"
    weights = [path for path in images if "_oow_" in path.name]
    with fits.open(weights[0], disable_image_compression=True) as hdus:
        table = hdus[1].data
        assert np.all(table["ZZERO"] == 0) and table["ZSCALE"].max() > 0


def test_ccd_numbers_of_90prime_are_hdu_numbers(survey):
    table = read(survey.root / "survey-ccds-90prime-1.fits.gz")
    for row in table:
        assert row["ccdname"] == f"CCD{row['image_hdu']}"
        with fitsio.FITS(str(survey.root / "images" / row["image_filename"])) as f:
            assert f[int(row["image_hdu"])].get_extname() == row["ccdname"]
            assert f[int(row["image_hdu"])].get_dims() == [row["height"], row["width"]]


def test_ccd_tables_have_the_columns_of_real_ones(survey, testdata):
    real = read(testdata / "realdata/mzlsbass2/survey-ccds-1.fits.gz")
    for camera in OPTIONS.cameras:
        table = read(survey.root / f"survey-ccds-{camera}-1.fits.gz")
        assert set(real.colnames) <= set(table.colnames)
        for name in real.colnames:
            assert table[name].dtype.kind == real[name].dtype.kind, name
            if table[name].dtype.kind != "U":
                assert table[name].dtype.itemsize >= real[name].dtype.itemsize, name


#: Columns that only some PSF tables of the surveys have.
PATCH_COLUMNS = {"moffat_alpha", "moffat_beta", "psf_patch_ver", "sum_diff", "fit_original", "failure"}


def test_calibrations_have_the_columns_of_real_ones(survey, testdata):
    real = testdata / "realdata/testcase4/calib/psfex/decam/CP/V4.8.2/CP20170315"
    (real,) = real.glob("*-psfex.fits")
    ours = next((survey.root / "calib/psfex/decam").rglob("*-psfex.fits"))
    assert set(read(real).colnames) - PATCH_COLUMNS <= set(read(ours).colnames)
    sky = next((survey.root / "calib/sky/decam").rglob("*-splinesky.fits"))
    table = read(sky)
    assert table["skyclass"][0] == "tractor.splinesky.SplineSky" and table["gridvals"].shape[1:] == (17, 9)


def test_truth_has_the_columns_of_the_independent_simulation(survey, truth, testdata):
    other = read(testdata / "sim/simA/truth.fits")
    assert set(other.colnames) <= set(truth.colnames)
    for name in other.colnames:
        assert truth[name].dtype.kind == other[name].dtype.kind, name
    assert {f"flux_w{b}" for b in range(1, 5)} <= set(truth.colnames)


def test_truth(survey, truth):
    inside = truth["in_zoom"]
    x, y = survey.field.target.sky_to_pixel(np.asarray(truth["ra"]), np.asarray(truth["dec"]))
    assert np.allclose(x, truth["bx"], atol=1e-3) and np.allclose(y, truth["by"], atol=1e-3)
    assert np.all((truth["bx"][inside] > -0.5) & (truth["bx"][inside] < OPTIONS.width - 0.5))
    assert 10 < inside.sum() < len(truth)
    assert np.all((truth["source_id"] > 0) == truth["is_gaia"])
    assert set(truth["note"]) <= {"", "pair", "saturated", "biggal"}
    header = fitsio.read_header(str(survey.truth_path), 1)
    assert header["TUNIT1"] == "deg" and header["EXTNAME"] == "TRUTH"


def test_gaia_measures_the_true_stars(survey, truth):
    rows = [read(path) for path in (survey.root / "gaia").glob("chunk-*.fits")]
    gaia = vstack(rows, metadata_conflicts="silent")
    stars = truth[truth["is_gaia"]]
    index = [int(np.flatnonzero(gaia["source_id"] == i)[0]) for i in stars["source_id"]]
    found = gaia[index]
    for name in ("pmra", "pmdec", "parallax"):
        pull = (found[name] - stars[name]) / found[f"{name}_error"]
        assert np.all(np.abs(pull) < 5)
    assert np.all(np.abs(found["dec"] - stars["dec"]) * 3.6e6 < 6 * found["dec_error"])
    assert np.allclose(found["phot_g_mean_mag"], stars["gaia_g"], atol=1e-5)
    assert np.all(gaia["ref_epoch"] == 2016.0)


def test_tycho2_has_bright_stars(survey):
    table = read(survey.root / "tycho2.kd.fits")
    assert len(table) > 0 and np.all(table["mag_vt"] < 12.5)


def test_readme_names_the_commands(survey):
    text = (survey.root / "README.txt").read_text()
    assert f"runbrick --brick {survey.field.brick.name} --zoom" in text and "legacypipe-lite evaluate" in text
    assert "export GAIA_CAT_DIR=" in (survey.root / "environment.sh").read_text()
    assert (survey.root / "run.txt").read_text().split()[:2] == ["--brick", survey.field.brick.name]


# --- making it again

SMALL = SimulationOptions(width=100, height=100, exposures=1, bands=("r",), wise=False, large_galaxy=False)


def pixels(root):
    return {p.relative_to(root): [fitsio.read(str(p), 1)] for p in sorted((root / "images").rglob("*.fz"))}


def test_same_options_same_survey(tmp_path):
    one = simulate(tmp_path / "one", SMALL)
    other = simulate(tmp_path / "other", SMALL, threads=2)
    first, second = pixels(one.root), pixels(other.root)
    assert list(first) == list(second)
    assert all(np.array_equal(a, b) for a, b in zip(first.values(), second.values()))
    assert np.array_equal(fitsio.read(str(one.truth_path)), fitsio.read(str(other.truth_path)))


def test_survey_is_reused(tmp_path):
    survey = simulate(tmp_path / "s", SMALL)
    stamp = survey.truth_path.stat().st_mtime_ns
    assert simulate(tmp_path / "s", SMALL).truth_path.stat().st_mtime_ns == stamp
    # A half-finished one is not.
    (survey.root / "mock-survey.json").unlink()
    assert simulate(tmp_path / "s", SMALL).truth_path.stat().st_mtime_ns > stamp
    (survey.root / "mock-survey.json").write_text("[]")
    assert not survey.is_complete


def test_other_options_replace_the_survey(tmp_path):
    from dataclasses import replace

    simulate(tmp_path / "s", SMALL)
    other = simulate(tmp_path / "s", replace(SMALL, bands=("g",), cameras=("90prime",)))
    names = [p.name for p in other.root.rglob("*ooi*.fz")]
    assert len(names) == 1 and names[0].startswith("ksb")
    assert [p.name for p in other.root.glob("survey-ccds*")] == ["survey-ccds-90prime-1.fits.gz"]
    assert json.loads((other.root / "mock-survey.json").read_text())["brick"] == other.field.brick.name


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(OutputError, match="not empty"):
        simulate(tmp_path, SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        simulate(tmp_path / "file" / "survey", SMALL)


def test_nothing_half_written_remains(tmp_path, monkeypatch):
    from legacypipe_lite.simulate import survey as module

    def fail(*arguments):
        raise OutputError("no space left")

    monkeypatch.setattr(ImageTriplet, "add", fail)
    with pytest.raises(OutputError, match="no space left"):
        simulate(tmp_path / "s", SMALL)
    assert not list((tmp_path / "s").rglob("tmp-*")) and not list((tmp_path / "s").rglob("*.fz"))
    assert not module.MockSurvey(tmp_path / "s", SMALL).is_complete


def test_table_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.fits").mkdir()
    with pytest.raises(OutputError, match="folder.fits"):
        write_table(tmp_path / "folder.fits", {"a": np.arange(3)})
    assert [p.name for p in tmp_path.iterdir()] == ["folder.fits"]
