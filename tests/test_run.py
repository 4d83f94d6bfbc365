import dataclasses
import gc
import logging
import os
import sys

import numpy as np
import pytest
from astropy.table import Table

import legacypipe_lite
from legacypipe_lite import results, stages
from legacypipe_lite.errors import (
    InputError,
    LegacypipeError,
    NothingToDo,
    OutputError,
    StateError,
    UsageError,
    WorkerError,
)
from legacypipe_lite.options import STAGE_ORDER, RunOptions
from legacypipe_lite.run import BrickRun, run_brick
from legacypipe_lite.stages import Stage, StageResult, load_stage, stage_order, tims
from legacypipe_lite.survey import Brick
from legacypipe_lite.wcs import TanWcs

PARENT = os.getpid()


PRODUCTS = {
    "tims": "ccds-table",
    "refs": "reference",
    "mask_junk": "injected",
    "image_coadds": "depth-table",
    "srcs": "sources",
    "fitblobs": "all-models",
    "coadds": "depth-table",
    "writecat": "tractor",
}


class FakeStages:
    """Ten small stages with the real names; each appends its name to `ran` when it runs."""

    def __init__(self):
        self.ran = []
        self.noise = 0

    def load(self, name):
        declared = load_stage(name)
        reads, makes = {
            "tims": ((), ("brick", "target", "bands", "images", "ccds", "dropped_ccds")),
            "image_coadds": (("images",), ()),
            "writecat": (("images", "result of coadds"), ("tractor",)),
        }.get(name, (("images",), ("result of " + name,)))
        return dataclasses.replace(
            declared,
            reads=reads,
            makes=makes,
            uses=(),
            run=lambda state, options, tools: StageResult(
                self.run(name, state, options, tools), cards=[("BANDS", "g", "")] if name == "tims" else []
            ),
            apply=apply_offset if name == "halos" else None,
            replaces=("image_coadds",) if name == "coadds" else (),
            write=self.write if name == "fitblobs" else None,
        )

    def write(self, state, options, tools):
        self.ran.append("write fitblobs")
        tools.products.write_table("all-models", {"x": np.arange(8)})

    def run(self, name, state, options, tools):
        self.ran.append(name)
        if name in PRODUCTS:
            tools.products.write_table(PRODUCTS[name], {"x": np.arange(len(name))})
        if name == "tims":
            tools.report.drop_ccd(logging.getLogger("test"), "c4d-N1", "no such file")
            wcs = TanWcs((110.2, 24.0), (50.5, 50.5), np.diag([-7e-5, 7e-5]), 100, 100)
            return {
                "brick": Brick("1102p240", 465217, 110.2, 24.0, 110.1, 110.3, 23.9, 24.1),
                "target": wcs,
                "bands": ["g"],
                "images": [np.arange(4, dtype=np.float32)],
                "ccds": Table({"image_filename": ["decam/c4d.fits"], "ccdname": ["N4"], "camera": ["decam"]}),
                "dropped_ccds": [("decam/gone.fits N1", "no such file")],
            }
        if name == "image_coadds":
            return {}
        tools.report.counts[name] = len(self.ran)
        if name == "writecat":
            return {"tractor": Table({"flux": state["images"][0] + state["result of coadds"]})}
        return {"result of " + name: np.float32(options.nsigma + self.noise)}


def apply_offset(state, made):
    for image in state["images"]:
        image += 10


@pytest.fixture
def fakes(monkeypatch):
    fake = FakeStages()
    monkeypatch.setattr(stages, "load_stage", fake.load)
    monkeypatch.setattr(tims, "camera_class", lambda name: FakeCamera)
    return fake


class FakeCamera:
    def __init__(self, row, survey, options):
        self.image = row["image_filename"]

    def dq_filename(self):
        return self.image + ".dq"


@pytest.fixture
def options(tmp_path):
    folder = tmp_path / "survey"
    (folder / "images" / "decam").mkdir(parents=True)
    (folder / "survey-bricks.fits.gz").write_text("bricks")
    (folder / "survey-ccds-1.fits.gz").write_text("ccds")
    (folder / "images" / "decam" / "c4d.fits").write_text("image")

    def make(**changes):
        settings = {
            "brick": "1102p240",
            "survey_dir": str(folder),
            "outdir": str(tmp_path / "out"),
            "no_gaia": True,
            "pickle": str(tmp_path / "pickles" / "%(brick)s-%%(stage)s.pickle"),
        }
        return RunOptions(**{**settings, **changes})

    return make


ALL = list(STAGE_ORDER)


def test_order(options):
    assert stage_order(RunOptions()) == ALL
    changed = stage_order(RunOptions(blob_image=True))
    assert changed.index("image_coadds") == changed.index("srcs") + 1
    identity = BrickRun(options()).results.identity("srcs")
    assert identity["stages"] == ["tims", "refs", "mask_junk", "halos", "srcs"]
    with pytest.raises(KeyError):
        load_stage("os")


def test_package_exports():
    assert legacypipe_lite.run_brick is run_brick
    assert legacypipe_lite.RunOptions is RunOptions
    assert {"BrickRun", "InputError", "models", "__version__"} <= set(dir(legacypipe_lite))
    assert legacypipe_lite.models is sys.modules["legacypipe_lite.models"]
    assert legacypipe_lite.NothingToDo is NothingToDo
    assert set(legacypipe_lite.errors.__all__) <= set(legacypipe_lite.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        legacypipe_lite.nonsense  # noqa: B018


def test_default_run(fakes, options):
    run = run_brick(options())
    assert fakes.ran == ALL
    np.testing.assert_array_equal(run.tractor["flux"], np.arange(4) + 16)
    assert [record.name for record in run.stages] == ALL
    assert run.stages[0].usage.wall > 0 and run.stages[0].usage.peak_memory > 1e6


def test_resume_reads_back(fakes, options, caplog):
    run_brick(options(stage=("srcs",)))
    assert fakes.ran == ALL[: ALL.index("srcs") + 1]
    fakes.ran.clear()
    with caplog.at_level(logging.INFO):
        resumed = run_brick(options())
    assert fakes.ran == ["fitblobs", "coadds", "wise_forced", "writecat"]
    assert "stage srcs: reading" in caplog.text
    assert [r.name for r in resumed.stages if r.read] == ALL[: ALL.index("fitblobs")]
    assert resumed.report.dropped_ccds == [("c4d-N1", "no such file")]
    assert resumed.report.counts["srcs"] == 6
    # bit for bit what an undisturbed run gives
    fresh = run_brick(options(force_all=True, no_write=True))
    np.testing.assert_array_equal(resumed.tractor["flux"], fresh.tractor["flux"])
    # a default run always writes the catalogue
    fakes.ran.clear()
    run_brick(options())
    assert fakes.ran == ["writecat"]


def test_named_stages_are_forced(fakes, options):
    run_brick(options())
    fakes.ran.clear()
    run_brick(options(stage=("coadds",)))
    assert fakes.ran == ["coadds"]
    fakes.ran.clear()
    run_brick(options(stage=("srcs", "fitblobs")))
    assert fakes.ran == ["srcs", "fitblobs"]
    fakes.ran.clear()
    # the pickles of later stages belong to the same results, which have been made again exactly
    run_brick(options(force=("refs",)))
    assert fakes.ran == ["refs", "writecat"]


def test_results_of_changed_stages_are_not_mixed(fakes, options, caplog):
    run_brick(options())
    fakes.ran.clear()
    fakes.noise = 1
    run_brick(options(force=("srcs",)))
    assert fakes.ran == ["srcs", "fitblobs", "coadds", "wise_forced", "writecat"]
    assert "it was made from an earlier result of stage srcs" in caplog.text


def test_forced_stage_that_is_not_saved(fakes, options):
    run_brick(options())
    fakes.ran.clear()
    run_brick(options(force=("coadds",), no_write=True))
    assert fakes.ran == ["coadds", "wise_forced", "writecat"]


def test_force_all_and_no_write(fakes, options, tmp_path):
    run_brick(options(no_write=True))
    assert not (tmp_path / "pickles").exists()
    run_brick(options())
    fakes.ran.clear()
    run_brick(options(force_all=True))
    assert fakes.ran == ALL


def test_write_stage(fakes, options, tmp_path):
    run_brick(options(write_stage=("srcs", "tims"), no_write=True))
    assert sorted(os.listdir(tmp_path / "pickles")) == ["1102p240-srcs.pickle", "1102p240-tims.pickle"]
    fakes.ran.clear()
    run_brick(options(no_write=True))
    # the stages in between leave no pickle; what they give is the same
    assert fakes.ran == [name for name in ALL if name not in ("tims", "srcs")]


def test_changed_option(fakes, options, caplog):
    run_brick(options())
    fakes.ran.clear()
    run_brick(options(nsigma=5.0))
    assert fakes.ran == ["image_coadds", "srcs", "fitblobs", "coadds", "wise_forced", "writecat"]
    assert "was made with other options: --nsigma was 6.0, is 5.0" in caplog.text


def test_options_that_do_not_matter(fakes, options):
    run_brick(options())
    fakes.ran.clear()
    run_brick(options(threads=2, verbose=1, data_model="dr9"))
    assert fakes.ran == ["writecat"]


def test_options_that_only_change_files(fakes, options, caplog):
    caplog.set_level("INFO", logger="legacypipe_lite")
    run_brick(options())
    fakes.ran.clear()
    run_brick(options(rgb_stretch=2.0))
    assert fakes.ran == ["mask_junk", "image_coadds", "coadds", "writecat"]
    assert "stage mask_junk runs again: --rgb-stretch was 1.0, is 2.0" in caplog.text
    fakes.ran.clear()
    run_brick(options(rgb_stretch=2.0, skip_metrics=True))
    assert fakes.ran == ["write fitblobs", "writecat"]
    fakes.ran.clear()
    run_brick(options(rgb_stretch=2.0, skip_metrics=True))
    assert fakes.ran == ["writecat"]


def test_frugal_run_keeps_what_later_stages_use(fakes, options, monkeypatch):
    loaded = fakes.load
    monkeypatch.setattr(
        stages,
        "load_stage",
        lambda name: dataclasses.replace(loaded(name), uses=("result of refs",) if name == "srcs" else ()),
    )
    seen = {}
    plain = fakes.run

    def run_stage(name, state, options, tools):
        seen[name] = set(state)
        return plain(name, state, options, tools)

    fakes.run = run_stage
    run = BrickRun(options(no_write=True), frugal=True)
    run.run()
    assert "result of refs" in seen["srcs"] and "result of refs" not in seen["fitblobs"]
    assert "images" in seen["writecat"] and "result of fitblobs" not in seen["writecat"] and "tractor" in run.state


def test_runs_leave_nothing_behind_in_the_process(fakes, options):
    """Many bricks can be run one after the other."""

    def process():
        package = logging.getLogger("legacypipe_lite")
        return gc.get_freeze_count(), gc.get_threshold(), list(package.handlers), package.level, dict(os.environ)

    before = process()
    first = run_brick(options(no_write=True), frugal=True)
    assert process() == before
    second = run_brick(options(no_write=True), frugal=True)
    assert process() == before and second.report.dropped_ccds == first.report.dropped_ccds
    np.testing.assert_array_equal(second.tractor["flux"], first.tractor["flux"])


def test_early_coadds_may_come_after_detection(fakes, options):
    run_brick(options())
    fakes.ran.clear()
    run_brick(options(blob_image=True))
    # The final coadds are written anew, since the early ones have replaced them.
    assert fakes.ran == ["image_coadds", "coadds", "writecat"]
    fakes.ran.clear()
    run_brick(options(blob_image=True, force_all=True))
    assert fakes.ran.index("image_coadds") == fakes.ran.index("srcs") + 1


@pytest.mark.parametrize("name", ["survey-ccds-1.fits.gz", "images/decam/c4d.fits"])
def test_changed_input_file(name, fakes, options, tmp_path, caplog):
    run_brick(options())
    (tmp_path / "survey" / name).write_text("changed")
    fakes.ran.clear()
    run_brick(options())
    assert fakes.ran[0] == "tims"
    assert name in caplog.text


def test_new_input_files(fakes, options, tmp_path, caplog):
    run_brick(options())
    (tmp_path / "survey" / "survey-ccds-2.fits.gz").write_text("more")
    fakes.ran.clear()
    run_brick(options())
    assert fakes.ran[0] == "tims" and "survey-ccds-2.fits.gz" in caplog.text
    calibration = tmp_path / "survey" / "calib" / "psfex" / "decam" / "c4d-psfex.fits"
    calibration.parent.mkdir(parents=True)
    calibration.write_text("new")
    fakes.ran.clear()
    run_brick(options())
    assert fakes.ran[0] == "tims" and "c4d-psfex.fits has changed" in caplog.text
    # an image that was missing the last time, and a file that belongs to one that was there
    for name in ("gone.fits", "c4d.fits.dq"):
        (tmp_path / "survey" / "images" / "decam" / name).write_text("now")
        fakes.ran.clear()
        run_brick(options())
        assert fakes.ran[0] == "tims" and f"{name} has changed" in caplog.text


def test_gaia_files(options, tmp_path, monkeypatch):
    monkeypatch.setenv("GAIA_CAT_DIR", str(tmp_path))
    run = BrickRun(options(no_gaia=False))
    state = {"target": TanWcs((110.2, 24.0), (50.5, 50.5), np.diag([-7e-5, 7e-5]), 100, 100)}
    files = list(load_stage("refs").input_files(state, run.survey, run.options, run.report))
    assert files and all(str(tmp_path / "chunk-") in str(path) for path in files)


def test_changed_environment(fakes, options, monkeypatch, caplog):
    monkeypatch.setenv("GAIA_CAT_DIR", "/one")
    run_brick(options())
    monkeypatch.setenv("GAIA_CAT_DIR", "/two")
    fakes.ran.clear()
    run_brick(options())
    assert fakes.ran[0] == "refs"
    assert "environment variables: GAIA_CAT_DIR was /one, is /two" in caplog.text


def test_bad_pickles_are_refused_and_made_anew(fakes, options, tmp_path, caplog):
    good = run_brick(options())
    path = tmp_path / "pickles" / "1102p240-srcs.pickle"
    # truncated
    path.write_bytes(path.read_bytes()[:200])
    fakes.ran.clear()
    again = run_brick(options())
    assert "not using" in caplog.text and "it is truncated" in caplog.text
    assert fakes.ran == ["srcs", "writecat"]
    np.testing.assert_array_equal(again.tractor["flux"], good.tractor["flux"])
    # of another brick
    other = RunOptions(**{**vars(options()), "brick": "2447p120"})
    run_brick(other)
    os.replace(tmp_path / "pickles" / "2447p120-srcs.pickle", path)
    fakes.ran.clear()
    run_brick(options())
    assert "it was made for brick 2447p120, not 1102p240" in caplog.text
    assert fakes.ran == ["srcs", "writecat"]


def test_headers(fakes, options, tmp_path):
    run = run_brick(options(release=10002), command="runbrick --brick 1102p240")
    cards = {key: value for key, value, _ in run.header()}
    assert cards["DRVERSIO"] == 10002 and cards["CMDLINE"] == "runbrick --brick 1102p240"
    assert cards["BRICKID"] == 465217 and cards["BANDS"] == "g" and cards["LSDR"] == "DR10"
    keys = [key for key, _, _ in run.header() if key != "COMMENT"]
    assert len(keys) == len(set(keys))
    order = [keys.index(k) for k in ("LEGPIPEV", "DEPNAM00", "CMDLINE", "BRICK", "CORN4DEC", "BANDS", "VER_REFS")]
    assert order == sorted(order)
    cards = {key: value for key, value, _ in BrickRun(options()).header()}
    assert cards["CMDLINE"].startswith("run_brick(RunOptions(brick='1102p240'") and "BRICK" not in cards


def test_unwise_directories_in_the_header(fakes, options, monkeypatch):
    monkeypatch.setenv("UNWISE_MODEL_SKY_DIR", "/sky")
    run = BrickRun(options(unwise_dir="/a:/b", unwise_tr_dir="/tr"))
    cards = {key: value for key, value, _ in run.header()}
    assert (cards["UNWISD1"], cards["UNWISD2"], cards["UNWISTD"], cards["UNWISSKY"]) == ("/a", "/b", "/tr", "/sky")
    cards = {key: value for key, value, _ in BrickRun(options(unwise_dir="/a", no_wise=True)).header()}
    assert "UNWISD1" not in cards


def test_products_of_earlier_runs_are_listed(fakes, options):
    run_brick(options(stage=("srcs",)))
    run = run_brick(options())
    assert "metrics/110/sources-1102p240.fits" in run.products.checksums


def test_products_that_replace_those_of_earlier_stages(fakes, options, caplog):
    first = run_brick(options())
    fakes.ran.clear()
    caplog.clear()
    caplog.set_level("INFO", logger="legacypipe_lite")
    run = run_brick(options())
    assert fakes.ran == ["writecat"] and "again" not in caplog.text
    assert run.products.checksums == first.products.checksums
    depth = run.products.path("depth-table")
    final = depth.read_bytes()
    fakes.ran.clear()
    run_brick(options(force=("image_coadds",)))
    assert fakes.ran == ["image_coadds", "coadds", "writecat"] and depth.read_bytes() == final
    # Alone, the early coadds may take the place of the final ones ...
    run_brick(options(force=("image_coadds",), stage=("image_coadds",)))
    assert depth.read_bytes() != final
    # ... which come back.
    fakes.ran.clear()
    run_brick(options())
    assert fakes.ran == ["coadds", "writecat"] and depth.read_bytes() == final


def test_other_output_directory(fakes, options, tmp_path, caplog):
    """Stages run again for their files; what takes long only writes them; nothing is made anew because of that."""
    caplog.set_level("INFO", logger="legacypipe_lite")
    first = run_brick(options())
    fakes.ran.clear()
    other = tmp_path / "other"
    moved = run_brick(options(outdir=str(other)))
    assert fakes.ran == [
        "tims", "refs", "mask_junk", "image_coadds", "srcs", "write fitblobs", "coadds", "writecat"
    ]  # fmt: skip
    assert "stage srcs runs again: 1 of its files are not in" in caplog.text
    assert moved.products.checksums == first.products.checksums
    assert list(moved.tractor["flux"]) == list(first.tractor["flux"])
    fakes.ran.clear()
    caplog.clear()
    run_brick(options(outdir=str(other)))
    assert fakes.ran == ["writecat"] and "again" not in caplog.text
    (other / "metrics/110/all-models-1102p240.fits").write_text("damaged")
    fakes.ran.clear()
    run_brick(options(outdir=str(other)))
    assert fakes.ran == ["write fitblobs", "writecat"]


def test_stage_by_stage(fakes, options):
    run = BrickRun(options(no_write=True))
    assert run.tractor is None
    made = run.stage("srcs")
    assert made == {"result of srcs": np.float32(6.0)}
    assert fakes.ran == ALL[: ALL.index("srcs") + 1]
    assert run.stage("srcs") == made and len(fakes.ran) == 6
    run.stage("coadds")
    assert fakes.ran[-1] == "coadds" and len(fakes.ran) == 8
    with pytest.raises(UsageError, match="no stage 'cook'"):
        run.stage("cook")


def test_stage_again_with_other_options(fakes, options):
    run = BrickRun(options(no_write=True))
    run.stage("coadds")
    fakes.ran.clear()
    run.options.nsigma = 4.0
    assert run.stage("srcs", force=True) == {"result of srcs": np.float32(4.0)}
    assert fakes.ran == ["srcs"]
    assert "result of coadds" not in run.state
    # mask_junk comes before halos, which changed the images in place
    fakes.ran.clear()
    run.stage("mask_junk", force=True)
    assert fakes.ran == ["tims", "refs", "mask_junk"]
    np.testing.assert_array_equal(run.state["images"][0], np.arange(4))


def test_missing_and_forgotten_items(fakes, options, monkeypatch):
    greedy = Stage("refs", "", ("nothing makes this",), (), lambda *args: StageResult())
    monkeypatch.setattr(stages, "load_stage", lambda name: greedy if name == "refs" else fakes.load(name))
    with pytest.raises(LegacypipeError, match="stage refs needs nothing makes this"):
        run_brick(options())
    lazy = Stage("refs", "", (), ("refs",), lambda *args: StageResult())
    monkeypatch.setattr(stages, "load_stage", lambda name: lazy if name == "refs" else fakes.load(name))
    with pytest.raises(LegacypipeError, match="did not make refs"):
        run_brick(options())


def test_pickle_pattern(options, fakes, tmp_path):
    for bad in ("fixed.pickle", "%(brick)s.pickle", "%(brick)s-%%(what)s", "%(who)s-%%(stage)s", "%q"):
        with pytest.raises(UsageError, match="--pickle"):
            BrickRun(options(pickle=bad))
    run_brick(options(stage=("tims",), pickle=str(tmp_path / "%%(stage)s" / "%(brick)s.p")))
    assert (tmp_path / "tims" / "1102p240.p").exists()


def test_unwritable_pickles(fakes, options, tmp_path):
    (tmp_path / "pickles").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot write .*tims.pickle.*--no-write"):
        run_brick(options())


def test_result_that_cannot_be_stored(fakes, options, monkeypatch, caplog):
    def refuse(*args):
        raise StateError("cannot be stored: x is not a value class")

    monkeypatch.setattr(results, "save_state", refuse)
    run_brick(options())
    assert "the result of stage tims cannot be stored: x is not a value class; no pickle is written" in caplog.text


def test_custom_brick_name(fakes, options):
    run = BrickRun(options(brick=None, radec=("9.1228", "3.3975")))
    assert run.brickname == "custom-009122p03397"


def test_skip_and_check_done(fakes, options, tmp_path, caplog):
    with pytest.raises(InputError, match="not done: .* does not exist") as caught:
        run_brick(options(check_done=True))
    assert caught.value.exit_status == 255
    run = run_brick(options(skip=True))
    for flag in ("skip", "check_done"):
        with pytest.raises(NothingToDo, match="tractor-1102p240.fits exists"):
            run_brick(options(**{flag: True}))
    run.products.path("tractor").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        run_brick(options(check_done=True))
    fakes.ran.clear()
    run_brick(options(skip=True))
    assert fakes.ran == ["writecat"]
    run_brick(options(skip_coadd=True))
    run.products.write_jpeg("image-jpeg", np.zeros((8, 8), np.uint8))
    with pytest.raises(NothingToDo, match="image.jpg exists"):
        run_brick(options(skip_coadd=True))


def square(shared, task):
    return task**2


def die(shared, task):
    if os.getpid() != PARENT:
        os._exit(3)
    raise ValueError("not here either")


def test_map(options, fakes):
    told = []
    run = BrickRun(options(threads=2), progress=lambda *args: told.append(args))
    tools = run._tools()
    assert tools.map(square, range(4), label="squares") == [0, 1, 4, 9]
    assert told[-1] == ("squares", 4, 4)
    with pytest.raises(WorkerError, match="failed twice"):
        tools.map(die, range(2))
    failures = tools.map(die, range(2), on_result=lambda index, result: None)
    assert all(isinstance(f, WorkerError) for f in failures)
