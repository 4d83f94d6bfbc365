import functools
import shutil

import fitsio
import numpy as np
import pytest
from synthetic_ccds import BRICK, DEC, RA, SyntheticSurvey

from legacypipe_lite.errors import InputError, NoSuchBrickError, NothingToDo, UsageError, WorkerError
from legacypipe_lite.options import RunOptions
from legacypipe_lite.parallel import run_tasks
from legacypipe_lite.report import Report
from legacypipe_lite.stages.base import Tools
from legacypipe_lite.stages.tims import STAGE
from legacypipe_lite.survey import SurveyDirectory

CASES = {
    "testcase3": {"brick": "2447p120", "zoom": (1020, 1070, 2775, 2815)},
    "testcase4": {"brick": "1867p255", "zoom": (2050, 2300, 1150, 1400)},
    "testcase6": {"brick": "1102p240", "zoom": (500, 600, 650, 750)},
    "testcase9": {"radec": ("9.1228", "3.3975"), "width": 100, "height": 100},
    "testcase12": {"radec": ("346.684", "12.791"), "width": 100, "height": 100},
    "mzlsbass2": {"brick": "1773p595", "zoom": (1300, 1500, 700, 900)},
}
SKY_IS_MADE = "testcase4"


def tools_for(options, threads=1):
    pool = functools.partial(run_tasks, threads=threads)
    return Tools(survey=SurveyDirectory.from_options(options), products=None, map=pool, header=None, report=Report())


def run(options, threads=1):
    """What the stage makes, and the report."""
    tools = tools_for(options, threads)
    made = STAGE.run({}, options, tools)
    assert set(STAGE.makes) == set(made.items)
    return {**made.items, "cards": made.cards}, tools.report


def set_environment(monkeypatch, folder):
    values = {"GAIA_CAT_DIR": folder / "gaia", "GAIA_CAT_VER": "2", "TYCHO2_KD_DIR": folder}
    values |= {"GAIA_CAT_PREFIX": "chunk", "GAIA_CAT_SCHEME": "ring"}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    for name in ("LARGEGALAXIES_CAT", "SKY_TEMPLATE_DIR"):
        monkeypatch.delenv(name, raising=False)


# --- real images


@pytest.fixture(scope="module")
def real_results(testdata, tmp_path_factory):
    """Results of the stage by case, each computed once."""
    results = {}
    with pytest.MonkeyPatch.context() as patch:
        for case, what in CASES.items():
            folder = testdata / "realdata" / case
            if case == SKY_IS_MADE:  # a sky model is written into the survey directory
                copy = tmp_path_factory.mktemp("survey") / case
                ignore = shutil.ignore_patterns("unwise*", "sky-single")
                shutil.copytree(folder, copy, ignore=ignore, copy_function=shutil.copyfile)
                for path in (copy, *copy.rglob("*/")):
                    path.chmod(0o755)
                folder = copy
            set_environment(patch, folder)
            options = RunOptions(survey_dir=str(folder), data_dir=str(testdata / "refdata"), **what)
            results[case] = run(options)
    return results


@pytest.mark.realdata
@pytest.mark.parametrize("case", CASES)
def test_images_are_those_of_the_reference(testdata, real_results, case):
    made, report = real_results[case]
    reference = np.load(testdata / "reference/tims" / f"{case}.npz")
    names = {key.split("/")[0] for key in reference}
    assert {tim.name for tim in made["tims"]} == names and report.dropped_ccds == []
    for tim in made["tims"]:
        expected = {key: reference[f"{tim.name}/{key}"] for key in ("data", "inverr", "dq", "x0", "y0", "zpscale")}
        np.testing.assert_array_equal(tim.inverr, expected["inverr"])
        np.testing.assert_array_equal(tim.dq, expected["dq"])
        assert (tim.x0, tim.y0, tim.zpscale) == (expected["x0"], expected["y0"], expected["zpscale"])
        assert tim.image.dtype == tim.inverr.dtype == np.float32 and tim.dq.dtype == np.uint16
        if case == SKY_IS_MADE:
            np.testing.assert_allclose(tim.image, expected["data"], rtol=0, atol=1e-4 * tim.sig1)
            assert tim.midsky == pytest.approx(float(reference[f"{tim.name}/midsky"]), abs=1e-3)
        else:
            np.testing.assert_array_equal(tim.image, expected["data"])
            assert tim.midsky == reference[f"{tim.name}/midsky"]
        assert tim.psfnorm == pytest.approx(float(reference[f"{tim.name}/psfnorm"]), rel=1e-6)
        assert tim.galnorm == pytest.approx(float(reference[f"{tim.name}/galnorm"]), rel=1e-6)


@pytest.mark.realdata
@pytest.mark.parametrize("case", CASES)
def test_ccd_table_is_that_of_the_reference(testdata, real_results, case):
    ccds = real_results[case][0]["ccds"]
    (path,) = (testdata / "reference" / case).rglob("*-ccds.fits")
    expected = fitsio.read(str(path))
    assert [c for c in ccds.colnames if c != "co_sky"] == [c for c in expected.dtype.names if c != "co_sky"]
    for name in ccds.colnames:
        found, there = np.asarray(ccds[name]), expected[name]
        if name == "co_sky" or (name == "skyver" and case == SKY_IS_MADE):
            continue
        if there.dtype.kind in "SU":
            assert [str(v).strip() for v in found] == [str(v).strip() for v in there], name
            assert found.dtype == there.dtype, name
        else:
            assert found.dtype == there.dtype.newbyteorder("="), name
            np.testing.assert_allclose(found, there, rtol=3e-7, err_msg=name)


@pytest.mark.realdata
def test_made_sky(real_results):
    made, _ = real_results[SKY_IS_MADE]
    assert made["tims"][0].skyver[0].startswith("legacypipe_lite")
    assert made["bands"] == ["z"] and made["tims"][0].midsky == pytest.approx(3170.6, abs=0.5)


@pytest.mark.realdata
def test_header(real_results):
    cards = real_results["mzlsbass2"][0]["cards"]
    values = {keyword: value for keyword, value, _ in cards}
    assert list(values)[:3] == ["CCDFN_1", "BRICK_G", "CAMS_G"] and list(values)[-1] == "VER_TIMS"
    assert values["CCDFN_1"] == "survey-ccds-1.fits.gz"
    assert (values["BRICK_Z"], values["CAMS_Z"], values["CAMS_R"]) == (True, "mosaic", "90prime")
    assert (values["BANDS"], values["NBANDS"], values["BAND0"], values["BAND2"]) == ("g,r,z", 3, "g", "z")
    values = {keyword: value for keyword, value, _ in real_results["testcase12"][0]["cards"]}
    assert (values["BRICK_G"], values["CAMS_G"], values["BANDS"], values["NBANDS"]) == (False, "", "r", 1)
    assert "BAND1" not in values


@pytest.mark.realdata
def test_brick_and_target(real_results):
    made, _ = real_results["testcase3"]
    target = made["target"]
    assert target.shape == (40, 50) and target.crpix == (780.5, -974.5)
    np.testing.assert_allclose(target.pixel_to_sky(0, 0), (244.78141718, 12.07098868), atol=6e-9)
    made, _ = real_results["testcase9"]
    assert made["brick"].name == "custom-009122p03397" and made["brick"].custom and made["bands"] == ["g", "r", "z"]
    assert made["target"].crpix == (50.5, 50.5)


@pytest.mark.realdata
def test_positions_of_a_real_ccd(real_results):
    tim = next(t for t in real_results["testcase3"][0]["tims"] if t.ccd.ccdname == "N10" and t.band == "z")
    np.testing.assert_allclose(tim.wcs.pixel_to_sky(0, 0), (244.77774926, 12.07386497), atol=6e-9)
    assert tim.mjd_tai == pytest.approx(58167.38031133, abs=2e-8)
    assert tim.psf_fwhm == pytest.approx(3.29920, abs=1e-5)
    assert tim.psf.gaussian_sigma == pytest.approx(3.72136 / 2.35, abs=1e-5)


@pytest.mark.realdata
def test_rendered_field(testdata, monkeypatch):
    folder = testdata / "sim/simA"
    set_environment(monkeypatch, folder)
    made, report = run(RunOptions(survey_dir=str(folder), brick="1102p240", zoom=(1500, 2100, 1000, 1600)), threads=2)
    assert len(made["tims"]) == 9 and report.counts["CCDs"] == {"g": 3, "r": 3, "z": 3}
    (path,) = (testdata / "sim/simA-reference").rglob("*-ccds.fits")
    expected = fitsio.read(str(path))
    for name in ("ccd_x0", "ccd_x1", "ccd_y0", "ccd_y1", "brick_x0", "brick_x1", "brick_y0", "brick_y1"):
        np.testing.assert_array_equal(made["ccds"][name], expected[name])
    for name in ("psfnorm", "galnorm"):
        np.testing.assert_allclose(made["ccds"][name], expected[name], rtol=1e-6)
    # Zeros of the weight map that the compression turned into tiny positive numbers are zero again.
    lost = [int(((t.inverr == 0) & (t.dq == 0)).sum()) for t in made["tims"]]
    assert lost == [0, 0, 0, 0, 0, 0, 96, 60, 120]


# --- synthetic CCDs


@pytest.fixture
def survey(tmp_path, monkeypatch):
    set_environment(monkeypatch, tmp_path)
    monkeypatch.delenv("LEGACYPIPE_DATA_DIR", raising=False)
    return SyntheticSurvey(tmp_path / "survey")


def test_plain_run(survey):
    survey.add_ccd(band="r", expnum=400001, ccdname="N4")
    survey.add_ccd(band="g", expnum=400002, ccdname="S10")
    survey.add_ccd(band="r", expnum=400003, ccdname="N4", ccd_cuts=8)
    survey.add_ccd(band="Y", expnum=400004)
    survey.add_ccd(band="r", expnum=400005, shift=(105.0, 0.0))  # may touch by the table, but does not
    made, report = run(survey.write().options())
    assert made["brick"].name == BRICK and made["bands"] == ["g", "r"]
    assert [t.ccd.expnum for t in made["tims"]] == [400001, 400002] == list(made["ccds"]["expnum"])
    assert [t.ccd.row for t in made["tims"]] == [0, 1]
    assert made["dropped_ccds"] == report.dropped_ccds == []
    assert made["ccd_files"] == ["survey-ccds-decam-1.fits.gz"] and report.counts["CCDs"] == {"g": 1, "r": 1}
    row = made["ccds"][0]
    assert (row["ccd_x0"], row["ccd_x1"], row["ccd_y0"], row["ccd_y1"]) == (20, 81, 30, 91)
    # Tim pixel (0, 0) is target pixel -0.3 (0-based); the last row and column are left out, as published.
    assert (row["brick_x0"], row["brick_x1"], row["brick_y0"], row["brick_y1"]) == (0, 60, 0, 60)
    assert made["ccds"]["brick_x0"].dtype == np.int16 and made["ccds"]["psfnorm"].dtype == np.float32
    assert row["skyver"] == "test-1" and row["psfplver"] == "V4.8.2a" and row["propid"] == "test"


def test_order_of_bands(survey):
    survey.add_ccd(band="g", expnum=400001)
    survey.add_ccd(band="z", expnum=400002)
    made, _ = run(survey.write().options(bands=("z", "i", "g")))
    assert made["bands"] == ["z", "g"]
    assert [c[0] for c in made["cards"]][1:7] == ["BRICK_Z", "CAMS_Z", "BRICK_I", "CAMS_I", "BRICK_G", "CAMS_G"]


def test_custom_brick(survey):
    survey.add_ccd()
    (survey.write().root / "survey-bricks.fits.gz").unlink()  # not needed
    made, _ = run(survey.options(brick=None, radec=(f"{RA}", f"{DEC}")))
    assert made["brick"].name == "custom-150000p20000" and len(made["tims"]) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_damaged_ccds_are_dropped(survey, threads, caplog):
    survey.add_ccd(expnum=400001)
    missing = survey.add_ccd(expnum=400002)
    survey.path(missing["image_filename"]).unlink()
    truncated = survey.add_ccd(expnum=400003)
    path = survey.path(truncated["image_filename"].replace("_ooi_", "_oow_"))
    path.write_bytes(path.read_bytes()[:-20000])
    survey.add_ccd(expnum=400004, image=np.full((120, 100), np.nan))
    survey.add_ccd(expnum=400005, weight=np.zeros((120, 100)))
    survey.add_ccd(expnum=400006, sky=False)
    survey.add_ccd(expnum=400007, primary={"PLVER": "V1.0"})
    survey.add_ccd(expnum=400008, psf=False)
    survey.add_ccd(expnum=400009)
    made, report = run(survey.write().options(skip_calibs=True), threads)
    assert [t.ccd.expnum for t in made["tims"]] == [400001, 400009] and len(made["ccds"]) == 2
    reasons = dict(made["dropped_ccds"])
    assert made["dropped_ccds"] == report.dropped_ccds and len(reasons) == 7
    expected = {2: "does not exist", 3: "cannot be read", 4: "no pixel is finite", 5: "all weights are zero"}
    expected |= {6: "no sky model", 7: "PLVER is V1.0", 8: "no PSF model"}
    for expnum, reason in expected.items():
        assert reason in reasons[f"cam/CP/x_40000{expnum}_ooi_r.N4.fits N4"]
    assert "dropping CCD cam/CP/x_400002_ooi_r.N4.fits N4" in caplog.text


def test_all_ccds_damaged(survey):
    row = survey.add_ccd()
    survey.path(row["image_filename"]).unlink()
    with pytest.raises(InputError, match=r"none of the 1 CCDs can be used; .*does not exist"):
        run(survey.write().options())


def test_missing_catalogues_matter_only_if_a_sky_is_made(survey, monkeypatch):
    monkeypatch.delenv("GAIA_CAT_DIR")
    survey.add_ccd(expnum=400001)
    survey.add_ccd(expnum=400002, sky=False)
    made, _ = run(survey.write().options())
    assert len(made["tims"]) == 1
    assert "GAIA_CAT_DIR is not set" in made["dropped_ccds"][0][1]


@pytest.mark.parametrize(
    "columns, options, message",
    [
        ({"ra": RA + 1, "CRVAL1": RA + 1}, {}, "No CCDs touching brick"),
        ({"ccd_cuts": 1}, {}, r"No photometric CCDs touching brick\."),
        ({"band": "Y"}, {}, r"No photometric CCDs touching brick\."),
        ({}, {"min_mjd": 58001.0}, r"No photometric CCDs touching brick\."),
        ({}, {"max_mjd": 57999.0}, r"No photometric CCDs touching brick\."),
        ({"shift": (105.0, 0.0)}, {}, r"No photometric CCDs touching brick\."),
        ({"weight": np.zeros((120, 100))}, {}, r"No photometric CCDs touching brick\."),
    ],
)
def test_nothing_to_do(survey, columns, options, message):
    columns = {key.lower(): value for key, value in columns.items()}
    survey.add_ccd(**columns)
    with pytest.raises(NothingToDo, match=message) as e:
        run(survey.write().options(**options))
    assert e.value.exit_status == 0


def test_mjd_limits_are_inclusive(survey):
    survey.add_ccd()
    assert len(run(survey.write().options(min_mjd=58000.0, max_mjd=58000.0))[0]["tims"]) == 1


def test_no_such_brick(survey):
    survey.add_ccd()
    with pytest.raises(NoSuchBrickError) as e:
        run(survey.write().options(brick="9999p999"))
    assert e.value.exit_status == 255


def test_no_ccd_tables(survey):
    survey.add_ccd()
    with pytest.raises(InputError, match="90prime"):
        run(survey.write().options(run="north"))


def test_column_missing(survey):
    survey.add_ccd()
    with pytest.raises(InputError, match="no column sig1"):
        run(survey.write(without=("sig1",)).options())


def test_tables_without_optional_columns(survey):
    survey.add_ccd()
    without = ("ccdraoff", "ccddecoff", "propid", "plver", "plprocid", "ccd_cuts")
    made, _ = run(survey.write(without=without).options())
    assert list(made["ccds"]["propid"]) == ["test"] and list(made["ccds"]["plver"]) == ["V4.8.2a"]


def test_several_tables(survey):
    first, second = survey.add_ccd(expnum=400001), survey.add_ccd(expnum=400002, ccdname="S10")
    survey.write("survey-ccds-decam-1.fits.gz", rows=[first])
    survey.write("survey-ccds-decam-2.fits.gz", rows=[second], without=("ccdraoff",))
    made, _ = run(survey.options())
    assert [t.ccd.ccdname for t in made["tims"]] == ["N4", "S10"]
    assert [c[:2] for c in made["cards"][:2]] == [
        ("CCDFN_1", "survey-ccds-decam-1.fits.gz"),
        ("CCDFN_2", "survey-ccds-decam-2.fits.gz"),
    ]


def test_unknown_camera(survey):
    survey.add_ccd(camera="lsst")
    with pytest.raises(InputError, match="camera 'lsst' .* is not known"):
        run(survey.write().options())


def test_camera_module(survey, tmp_path, monkeypatch):
    from legacypipe_lite.cameras import registry

    monkeypatch.setattr(registry, "_registered", {})
    module = tmp_path / "lsst_camera.py"
    module.write_text(
        "from legacypipe_lite.cameras import DecamImage, register_camera\n"
        "class LsstImage(DecamImage):\n"
        "    def zeropoint(self):\n"
        "        return 27.0\n"
        "register_camera('lsst', LsstImage)\n"
    )
    survey.add_ccd(camera="lsst")
    made, _ = run(survey.write().options(camera_module=(str(module),)), threads=2)
    assert made["tims"][0].zpscale == pytest.approx(10**1.8)
    with pytest.raises(UsageError, match="--camera-module"):
        run(survey.options(camera_module=("no_such_module",)))
    with pytest.raises(UsageError, match=r"No module named 'lsst_camera' .*a file is given as ./mycamera.py"):
        run(survey.options(camera_module=("lsst_camera",)))


def test_mistake_in_a_camera_class(survey, tmp_path, monkeypatch):
    from legacypipe_lite.cameras import registry

    monkeypatch.setattr(registry, "_registered", {})
    module = tmp_path / "wrong_camera.py"
    module.write_text(
        "from legacypipe_lite.cameras import DecamImage, register_camera\n"
        "class WrongImage(DecamImage):\n"
        "    def zeropoint(self):\n"
        "        return {}['boo']\n"
        "register_camera('wrong', WrongImage)\n"
    )
    row = survey.add_ccd(camera="wrong")
    for threads in (1, 2):
        with pytest.raises(InputError) as caught:
            run(survey.write().options(camera_module=(str(module),)), threads=threads)
        name = f"{row['image_filename']} {row['ccdname']}"
        assert f"{name}: cannot be read: KeyError: 'boo' (camera wrong" in str(caught.value)


def test_memory_limit(survey):
    survey.add_ccd(expnum=400001)
    survey.add_ccd(expnum=400002)
    gigabytes = 2 * 61 * 61 * 10 / 1e9
    with pytest.raises(InputError, match=r"2 CCDs need about 7.44e-05 GB, more than --max-memory-gb 7e-05"):
        run(survey.write().options(max_memory_gb=7e-5))
    assert len(run(survey.options(max_memory_gb=gigabytes * 1.01))[0]["tims"]) == 2


def test_read_serial(survey):
    survey.add_ccd()
    options = survey.write().options(read_serial=True)
    tools = tools_for(options)
    tools.map = None  # must not be used
    assert len(STAGE.run({}, options, tools).items["tims"]) == 1


def test_crashed_worker_costs_its_ccd_only(survey):
    survey.add_ccd(expnum=400001)
    survey.add_ccd(expnum=400002)
    options = survey.write().options()
    tools = tools_for(options)

    def crashing(function, tasks, shared=None, label="", on_result=None):
        results = [function(shared, task) for task in tasks]
        results[0] = WorkerError("task 1 of CCD images failed twice")
        return results

    tools.map = crashing
    made = STAGE.run({}, options, tools).items
    assert [t.ccd.expnum for t in made["tims"]] == [400002] and "failed twice" in made["dropped_ccds"][0][1]


def test_workers_give_the_same(survey):
    for i in range(4):
        survey.add_ccd(expnum=400000 + i, band="grz"[i % 3])
    options = survey.write().options()
    serial, parallel = run(options)[0], run(options, threads=2)[0]
    for a, b in zip(serial["tims"], parallel["tims"], strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.wcs.pack(), b.wcs.pack())
        assert a.ccd == b.ccd and a.psfnorm == b.psfnorm
    assert serial["ccds"].colnames == parallel["ccds"].colnames
