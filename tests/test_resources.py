import gc

import numpy as np
import pytest

from legacypipe_lite import resources
from legacypipe_lite.parallel import run_tasks
from legacypipe_lite.resources import measure, rare_garbage_collection


def burn(shared, task):
    values = np.random.default_rng(task).normal(size=300_000)
    for _ in range(20):
        np.sort(values)


def test_time_and_memory():
    with measure() as usage:
        block = np.ones(30_000_000, np.float32)
        burn(None, 1)
    assert usage.wall > 0 and usage.cpu > 0 and usage.worker_memory == 0
    assert usage.peak_memory > block.nbytes


def test_peaks_are_those_of_the_work_alone():
    with measure() as first:
        np.ones(60_000_000, np.float32)
    with measure() as second:
        burn(None, 1)
    assert second.peak_memory < first.peak_memory


def test_workers_count():
    with measure() as usage:
        run_tasks(burn, range(2), threads=2)
    assert usage.worker_memory > 1e7 and usage.cpu > 0


def test_filled_in_after_an_exception():
    with pytest.raises(ValueError), measure() as usage:
        raise ValueError
    assert usage.wall > 0 and usage.peak_memory > 0


def test_without_the_proc_file_system(monkeypatch):
    def missing(*args):
        raise FileNotFoundError

    monkeypatch.setattr(resources, "open", missing, raising=False)
    with measure() as usage:
        burn(None, 1)
    assert usage.peak_memory > 1e6


def test_rare_garbage_collection():
    before = gc.get_threshold()
    with pytest.raises(ValueError), rare_garbage_collection():
        assert gc.get_threshold()[0] > before[0]
        raise ValueError
    assert gc.get_threshold() == before
