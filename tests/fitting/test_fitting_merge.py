"""From blob results to the table of fitted sources, and the checkpoint file."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from fitting_scenes import context, make_tims, sky, star, target, whole_task

from legacypipe_lite.fitting import BlobResult, BlobTask, SourceResult, fit_blob
from legacypipe_lite.fitting.checkpoint import Checkpoint, fingerprint
from legacypipe_lite.fitting.merge import merge_results
from legacypipe_lite.models import ParameterIvars
from legacypipe_lite.survey import Brick

BRICK = Brick("0001p000", 7, 150.0, 31.5, 149.9, 150.1, 31.4, 31.6, False)


def _result(row, x, y, **more):
    values = {"started_in_blob": True, "finished_in_blob": True, **more}
    source = SourceResult(row, star(x, y, [1.0, 2.0]), x, y, ivar=ParameterIvars(np.arange(8.0)), **values)
    source.fracflux = source.fracin = source.fracmasked = source.rchisq = np.ones(2)
    return source


def _blob(number, sources, box=(0, 0, 90, 90)):
    task = BlobTask(str(number), number, -1, box, tuple(s.row for s in sources if s.row >= 0), 100)
    return BlobResult(task, sources, 4, 400, 0.5)


def _detections(n):
    ra, dec = zip(*[sky(10 * k, 10) for k in range(n)])
    return Table(
        {"ra": ra, "dec": dec, "ibx": 10 * np.arange(n), "iby": np.full(n, 10), "ref_cat": ["G2"] * n,
         "ref_id": np.arange(n) + 100, "peaksn": np.ones(n, np.float32), "isgaia": np.ones(n, bool)}
    )  # fmt: skip


def _merge(results, n=5, special=None, special_sources=(), blobmap=None):
    blobmap = np.zeros((90, 90), np.int32) if blobmap is None else blobmap
    special = _detections(n)[:0] if special is None else special
    return merge_results(
        results, _detections(n), [special], [list(special_sources)], ["g", "r"], target(), blobmap, BRICK
    )


def test_rows_and_columns():
    merged = _merge([_blob(0, [_result(2, 30, 40), _result(-1, 50, 60)]), _blob(1, [_result(0, 10, 20)])])
    t = merged.table
    assert len(t) == len(merged.sources) == len(merged.models) == 3 and merged.ivars.values.shape == (3, 8)
    assert t["iterative"].tolist() == [False, True, False]
    assert t["ref_id"].tolist() == [102, 0, 100] and t["ref_cat"].tolist() == ["G2", "  ", "G2"]
    assert t["isgaia"].tolist() == [True, False, True]
    np.testing.assert_allclose(t["bx"], [30, 50, 10], atol=1e-3)
    assert t["ibx"].dtype == np.int32 and t["bx"].dtype == np.float32 and t["ra"].dtype == np.float64
    assert t["in_bounds"].all() and t["regular"].all()
    assert t["dchisq"].shape == (3, 5) and t["fracflux"].shape == (3, 2)
    assert t["blob_nimages"].tolist() == [4, 4, 4] and t["brickid"].tolist() == [7] * 3
    assert t["ninblob"].tolist() == [3, 3, 3]
    # objid by RA, which decreases with x
    assert t["objid"].tolist() == [1, 0, 2]


def test_first_of_duplicate_rows_and_leavers():
    merged = _merge(
        [_blob(0, [_result(1, 30, 40)]), _blob(1, [_result(1, 31, 40), _result(2, 10, 10, finished_in_blob=False)])]
    )
    assert merged.table["ref_id"].tolist() == [101]
    outside = _merge([_blob(0, [_result(2, 10, 10, started_in_blob=False, finished_in_blob=False)])])
    assert len(outside.table) == 1


def test_special_rows_come_last_and_keep_their_position():
    special = _detections(5)[:2]
    special["ra"][1], special["dec"][1] = 151.0, 31.5
    merged = _merge([_blob(0, [_result(0, 30, 40)])], special=special, special_sources=[star(5, 5, [0.0, 0.0]), None])
    t = merged.table
    assert t["regular"].tolist() == [True, False, False]
    assert t["in_bounds"].tolist() == [True, True, False]
    assert t["objid"].tolist() == [0, 1, 2] and t["ra"][2] == 151.0
    assert t["blob"].tolist() == [0, 0, -1] and t["ninblob"].tolist() == [2, 2, 0]
    assert merged.sources[2] is None and not merged.ivars.values[1:].any()
    assert t["fracin"][1].tolist() == [0, 0]


def test_blobs_are_renumbered():
    blobmap = np.full((90, 90), -1, np.int32)
    blobmap[:20], blobmap[30:50], blobmap[60:80] = 0, 1, 2
    merged = _merge([_blob(2, [_result(0, 10, 70)]), _blob(0, [_result(1, 10, 5)])], blobmap=blobmap)
    assert merged.table["blob"].tolist() == [1, 0]
    assert merged.new_number.tolist() == [0, -1, 1]
    assert np.unique(merged.blobmap).tolist() == [-1, 0, 1]
    assert merged.blobmap[40, 5] == -1 and merged.blobmap[70, 5] == 1


def test_nothing_fitted():
    merged = _merge([])
    assert len(merged.table) == 0 and merged.blobmap.max() == -1
    assert "dchisq" in merged.table.colnames


# --- checkpoint


@pytest.fixture(scope="module")
def blob():
    ctx = context(make_tims([star(30, 30, [5.0, 5.0])]), [star(30, 30, [1.0, 1.0])])
    return ctx, fit_blob(ctx, whole_task([0]))


def test_checkpoint_round_trip(tmp_path, blob):
    ctx, result = blob
    path = tmp_path / "folder" / "checkpoint"
    identity = fingerprint(ctx, "0001p000")
    assert Checkpoint(path, identity).read() == {}
    writer = Checkpoint(path, identity)
    writer.append(result)
    other = BlobResult(BlobTask("2", 1, 3, (0, 0, 5, 5), (), 7), [])
    # what was appended is there even if the writer is never closed
    assert list(Checkpoint(path, identity).read()) == [(0, -1)]
    writer.append(other)
    writer.close()
    read = Checkpoint(path, identity).read()
    assert list(read) == [(0, -1), (1, 3)] and read[1, 3].task == other.task
    again = read[0, -1].sources[0]
    assert (again.source.type, again.source.ra) == (result.sources[0].source.type, result.sources[0].source.ra)
    np.testing.assert_array_equal(again.ivar.values, result.sources[0].ivar.values)
    np.testing.assert_array_equal(again.source.flux, result.sources[0].source.flux)
    assert set(again.models) == set(result.sources[0].models)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_incomplete_record_is_dropped(tmp_path, blob, cut, caplog):
    ctx, result = blob
    path, identity = tmp_path / "checkpoint", fingerprint(ctx, "0001p000")
    writer = Checkpoint(path, identity)
    for _ in range(2):
        writer.append(result)
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    reader = Checkpoint(path, identity)
    assert len(reader.read()) == 1 and "incomplete" in caplog.text
    reader.append(result)
    reader.close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "spoil,reason",
    [
        (lambda p, i: p.write_text("what is this\n"), "not a checkpoint"),
        (lambda p, i: p.write_bytes(b"\xff\xfe\n"), "not a checkpoint"),
        (lambda p, i: i.update(brick="0002p000"), "belongs to brick 0001p000"),
        (lambda p, i: i.update(run="x"), "other images, sources or options"),
    ],
)
def test_foreign_checkpoint_is_put_aside(tmp_path, blob, spoil, reason, caplog):
    ctx, result = blob
    path, identity = tmp_path / "checkpoint", fingerprint(ctx, "0001p000")
    writer = Checkpoint(path, identity)
    writer.append(result)
    writer.close()
    spoil(path, identity)
    before = path.read_bytes()
    assert Checkpoint(path, identity).read() == {}
    assert reason in caplog.text
    assert not path.exists() and (tmp_path / "checkpoint.old").read_bytes() == before


def test_fingerprint_follows_images_sources_and_options():
    tims, sources = make_tims([star(30, 30, [5.0, 5.0])]), [star(30, 30, [1.0, 1.0])]
    base = fingerprint(context(tims, sources), "b")
    assert base == fingerprint(context(make_tims([star(30, 30, [5.0, 5.0])]), sources), "b")
    assert base != fingerprint(context(tims, [star(30, 30, [1.0, 1.5])]), "b")
    assert base != fingerprint(context(tims, sources, iterative=False), "b")
    for changes in ({"shape_r": 0.5, "type": "REX"}, {"forced_pointsource": True}, {"frozen": True}):
        assert base != fingerprint(context(tims, [sources[0].copy(**changes)]), "b")
    narrower = [replace(tim, psf=replace(tim.psf, basis=tim.psf.basis / 2)) for tim in tims]
    assert base != fingerprint(context(narrower, sources), "b")
    assert base != fingerprint(context([replace(tim, dq=tim.dq | 1) for tim in tims], sources), "b")
    tims[1].image[3, 3] += 1
    assert base != fingerprint(context(tims, sources), "b")


def test_malicious_record_is_not_executed(tmp_path, blob):
    import hashlib
    import os
    import pickle
    import struct

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'owned'}",)

    ctx, result = blob
    path, identity = tmp_path / "checkpoint", fingerprint(ctx, "0001p000")
    writer = Checkpoint(path, identity)
    writer.append(result)
    writer.close()
    payload = pickle.dumps(Evil())
    with open(path, "ab") as f:
        f.write(struct.pack(">Q", len(payload)) + hashlib.sha256(payload).digest() + payload)
    assert list(Checkpoint(path, identity).read()) == [(0, -1)]
    assert not (tmp_path / "owned").exists()
