"""The log that a run leaves."""

import json
import logging

import numpy as np
import pytest

from legacypipe_lite import stages
from legacypipe_lite.options import RunOptions
from legacypipe_lite.run import BrickRun
from legacypipe_lite.runlog import collected_warnings
from legacypipe_lite.stages.base import Stage, StageResult

STAGES = {}


def make_stage(name, run):
    STAGES[name] = Stage(name=name, text="", reads=(), makes=(), run=run)


@pytest.fixture
def small_pipeline(monkeypatch, tmp_path):
    """A pipeline of three stages that do next to nothing."""

    def first(state, options, tools):
        tools.report.drop_ccd(logging.getLogger("legacypipe_lite.test"), "image N4", "it is damaged")
        tools.report.counts["things"] = {"a": np.int64(3)}
        return StageResult()

    def last(state, options, tools):
        for _ in range(2):
            logging.getLogger("legacypipe_lite.test").warning("mind the %s", "gap")
        logging.getLogger("legacypipe_lite.test").info("nothing")
        tools.products.write_json("run-log", {})  # a product with a checksum that the run writes again
        return StageResult()

    make_stage("tims", first)
    make_stage("wise_forced", lambda state, options, tools: StageResult())
    make_stage("writecat", last)
    monkeypatch.setattr(stages, "stage_order", lambda options: ["tims", "wise_forced", "writecat"])
    monkeypatch.setattr(stages, "load_stage", STAGES.__getitem__)
    (tmp_path / "survey").mkdir()
    return RunOptions(
        brick="1102p240", survey_dir=str(tmp_path / "survey"), outdir=str(tmp_path / "out"), no_gaia=True, no_wise=True,
        pickle=str(tmp_path / "%(brick)s-%%(stage)s.pickle"),
    )  # fmt: skip


def log_of(options):
    run = BrickRun(options, command="runbrick --brick 1102p240")
    run.run()
    return json.loads(run.products.path("run-log").read_text()), run


def test_log(small_pipeline):
    log, run = log_of(small_pipeline)
    assert log["brick"] == "1102p240" and log["command"] == "runbrick --brick 1102p240" and log["threads"] == 1
    assert [stage["name"] for stage in log["stages"]] == ["tims", "wise_forced", "writecat"]
    assert all(stage["seconds"] >= 0 and stage["peak_memory"] > 0 for stage in log["stages"])
    assert not any(stage["read_back"] for stage in log["stages"])
    assert log["dropped_ccds"] == [{"name": "image N4", "reason": "it is damaged"}]
    assert log["counts"] == {"things": {"a": 3}}
    assert log["warnings"] == ["dropping CCD image N4: it is damaged", "mind the gap"]
    assert log["options"]["no_gaia"] is True and "nsigma" not in log["options"]
    assert {"numpy", "python", "legacypipe_lite"} <= set(log["versions"])
    assert log["started"] <= log["finished"]


def test_log_has_no_checksum(small_pipeline):
    _, run = log_of(small_pipeline)
    assert run.products.checksums == {}


def test_log_of_a_resumed_run(small_pipeline):
    log_of(small_pipeline)
    log, _ = log_of(small_pipeline)
    assert [stage["read_back"] for stage in log["stages"]] == [True, True, False]
    assert len(log["dropped_ccds"]) == 1


def test_warnings_are_collected_only_inside():
    logger = logging.getLogger("legacypipe_lite.elsewhere")
    with collected_warnings() as texts:
        logger.warning("one")
    logger.warning("two")
    assert texts == ["one"]
    assert not any(type(h).__name__ == "_Collector" for h in logging.getLogger("legacypipe_lite").handlers)
