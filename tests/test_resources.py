import dataclasses
import gc

import numpy as np
import pytest

from legacypipe_lite import resources
from legacypipe_lite.parallel import run_tasks
from legacypipe_lite.resources import expected_sources, measure, predict, rare_garbage_collection


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


@pytest.mark.parametrize(
    # As measured: images, their pixels, brick, bands, sources, WISE, processes; CPU s, wall s, memory, disk (MB).
    ("case", "measured"),
    [
        ((164, 520e6, 13e6, 4, 8621, True, 2), (457, 282, 6623, 4682)),
        ((22, 63e6, 12.7e6, 3, 9939, False, 1), (116, 116, None, None)),
        ((6, 22.8e6, 3.8e6, 3, 3588, False, 1), (41.5, 41.5, None, None)),
        ((9, 3.24e6, 0.36e6, 3, 162, False, 1), (5.4, 5.4, None, None)),
    ],
)
def test_predictions_are_what_was_measured(case, measured):
    *what, wise, threads = case
    found = predict(*what, wise=wise, threads=threads)
    numbers = (found.cpu_seconds, found.seconds, found.memory / 1e6, found.disk / 1e6)
    for number, expected in zip(numbers, measured):
        assert expected is None or expected / 1.6 < number < 1.6 * expected


def test_predictions_grow_with_the_work():
    small, large = (predict(n, n * 1e6, 1e6, 3, 100 * n, pickles=n > 5) for n in (3, 30))
    assert all(a < b for a, b in zip(dataclasses.astuple(small), dataclasses.astuple(large)))
    assert expected_sources(247, 24.5) > 2 * expected_sources(247, 23.4) > 0
