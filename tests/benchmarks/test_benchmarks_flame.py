"""Flame graphs of recorded stacks."""

import pytest
from common import BenchmarkError
from flame_graph import boxes, main, read_stacks

STACKS = """\
process 1:"python x";main (x.py:1);fit_blob (legacypipe_lite/fitting/blob.py:4);render (legacypipe_lite/models/a.py:7) 6
process 1:"python x";main (x.py:1);fit_blob (legacypipe_lite/fitting/blob.py:9);render (legacypipe_lite/models/a.py:8) 1
process 1:"python x";main (x.py:2);fit_blob (legacypipe_lite/fitting/blob.py:5);fft (scipy/fft.py:3) 2
process 1:"python x";main (x.py:2);fit_blob (legacypipe_lite/fitting/blob.py:6) 1
process 1:"python x";main (x.py:3);other (y.py:3) 90
"""


def test_boxes(tmp_path):
    (tmp_path / "stacks").write_text(STACKS)
    found = {
        (depth, function): (start, width)
        for depth, start, width, (function, _) in boxes(read_stacks(tmp_path / "stacks", "fit_blob"))
    }
    assert found == {
        (0, "fit_blob"): (0.0, pytest.approx(1.0)),
        (1, "render"): (0.0, pytest.approx(0.7)),
        (1, "fft"): (pytest.approx(0.7), pytest.approx(0.2)),
    }


def test_picture(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "stacks").write_text(STACKS)
    assert main([str(tmp_path / "stacks"), str(tmp_path / "flame.png")]) == 0
    assert (tmp_path / "flame.png").read_bytes().startswith(b"\x89PNG")


def test_function_that_was_not_seen(tmp_path):
    (tmp_path / "stacks").write_text(STACKS)
    with pytest.raises(BenchmarkError, match="function nothing"):
        read_stacks(tmp_path / "stacks", "nothing")
