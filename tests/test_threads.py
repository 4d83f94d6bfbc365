"""Threads of one process."""

import threading

import numpy as np
import pytest

from legacypipe_lite.threads import default_threads, map_in_threads, rows_in_threads


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_results_in_order(threads):
    assert list(map_in_threads(lambda i: i * i, range(20), threads)) == [i * i for i in range(20)]


def test_default_number_of_threads():
    here = threading.get_ident()

    def elsewhere(_):
        return threading.get_ident() != here

    assert not any(map_in_threads(elsewhere, range(4)))
    with default_threads(2):
        assert all(map_in_threads(elsewhere, range(4)))
        assert not any(map_in_threads(elsewhere, range(4), 1))
    assert not any(map_in_threads(elsewhere, range(4)))


def test_few_results_wait():
    begun = []
    results = map_in_threads(begun.append, range(50), 2)
    next(results)
    assert len(begun) <= 4
    results.close()
    assert len(begun) <= 4


@pytest.mark.parametrize("threads", [1, 2])
def test_errors_come_through(threads):
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(lambda i: 1 // i, range(3), threads))


@pytest.mark.parametrize("n_rows, threads", [(0, 2), (1, 4), (10, 1), (10, 3)])
def test_every_row_once(n_rows, threads):
    rows = np.zeros(n_rows, int)

    def kernel(row0, row1, step):
        rows[row0:row1] += step

    rows_in_threads(kernel, n_rows, threads, 1)
    assert np.all(rows == 1)
