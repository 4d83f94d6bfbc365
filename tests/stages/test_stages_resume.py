"""Resuming, and working on several processes, changes nothing in the catalogue of a real field."""

import dataclasses
import logging

import numpy as np
import pytest
from real_fields import brick_run

from legacypipe_lite.options import STAGE_ORDER
from legacypipe_lite.run import run_brick


@pytest.fixture
def options(testdata, tmp_path, monkeypatch):
    pickles = str(tmp_path / "pickles" / "%(brick)s-%%(stage)s.pickle")
    run = brick_run("mzlsbass2", testdata, tmp_path / "out", monkeypatch, no_wise=True, pickle=pickles)
    return dataclasses.replace(run.options, no_write=False)


def same_tables(a, b):
    assert a.colnames == b.colnames
    for name in a.colnames:
        np.testing.assert_array_equal(np.asarray(a[name]), np.asarray(b[name]), err_msg=name)


def test_resumed_run_equals_an_undisturbed_one(options, tmp_path, caplog):
    first = run_brick(dataclasses.replace(options, stage=("srcs",)))
    assert first.tractor is None
    with caplog.at_level(logging.INFO):
        resumed = run_brick(options)
    read = [record.name for record in resumed.stages if record.read]
    assert read == list(STAGE_ORDER[: STAGE_ORDER.index("fitblobs")])
    assert all(f"stage {name}: reading" in caplog.text for name in read)
    fresh = run_brick(dataclasses.replace(options, outdir=str(tmp_path / "fresh"), force_all=True, no_write=True))
    same_tables(resumed.tractor, fresh.tractor)
    for product in ("maskbits", "checksums"):
        assert resumed.products.path(product).exists()
    names = [
        {line.split(" *")[1] for line in run.products.path("checksums").read_text().splitlines()}
        for run in (resumed, fresh)
    ]
    assert names[0] == names[1]
    # and once more, from the pickles of all stages
    again = run_brick(options)
    assert [record.name for record in again.stages if not record.read] == ["writecat"]
    same_tables(again.tractor, fresh.tractor)
    assert again.report.dropped_ccds == fresh.report.dropped_ccds


def test_number_of_processes_does_not_matter(options, tmp_path):
    one = run_brick(dataclasses.replace(options, no_write=True))
    two = run_brick(dataclasses.replace(options, no_write=True, threads=2, outdir=str(tmp_path / "two")))
    same_tables(one.tractor, two.tractor)
    assert one.state["fit_table"].colnames == two.state["fit_table"].colnames


@pytest.mark.parametrize("damage", ["truncated", "other brick", "other options", "malicious"])
def test_bad_pickles_are_refused(damage, options, tmp_path, caplog):
    good = run_brick(dataclasses.replace(options, stage=("srcs",)))
    path = tmp_path / "pickles" / "1773p595-srcs.pickle"
    data = path.read_bytes()
    target = tmp_path / "made by the payload"
    changed = options
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
        reason = "it is truncated"
    elif damage == "other brick":
        path.write_bytes(data.replace(b'"brick": "1773p595"', b'"brick": "1773p600"'))
        reason = "it was made for brick 1773p600, not 1773p595"
    elif damage == "other options":
        changed = dataclasses.replace(options, saddle_min=3.0)
        reason = "it was made with other options: --saddle-min was 2.0, is 3.0"
    else:
        path.write_bytes(with_payload(data, malicious(target)))
        reason = "it is not safe to read: it asks for posix.mkdir"
    run = run_brick(dataclasses.replace(changed, stage=("fitblobs",)))
    assert reason in caplog.text
    assert [record.name for record in run.stages if not record.read] == ["srcs", "fitblobs"]
    np.testing.assert_array_equal(run.state["blobmap"], good.state["blobmap"])
    assert not target.exists()


def malicious(target):
    import os
    import pickle

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(target),)

    return pickle.dumps({"detections": Evil()})


def with_payload(data, payload):
    """A stage file whose description fits a foreign payload."""
    import hashlib
    import json
    import struct

    magic, end = data[: data.index(b"\n") + 1], b"end of state\n"
    (length,) = struct.unpack(">Q", data[-len(end) - 8 : -len(end)])
    header = json.loads(data[-len(end) - 8 - length : -len(end) - 8])
    header.update(size=len(payload), sha256=hashlib.sha256(payload).hexdigest())
    text = json.dumps(header).encode()
    return magic + payload + text + struct.pack(">Q", len(text)) + end


def test_everything_that_a_run_makes_can_be_stored(options, tmp_path):
    run = run_brick(options)
    assert {p.name for p in (tmp_path / "pickles").iterdir()} == {f"1773p595-{name}.pickle" for name in STAGE_ORDER}
    assert not any("cannot be stored" in text for text in run.report.warnings)
    assert all(record.digest and not record.digest.startswith("not saved") for record in run.stages)
