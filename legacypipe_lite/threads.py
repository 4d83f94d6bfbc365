"""Threads of one process, for compiled kernels: they run at the same time because they do not hold Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["default_threads", "map_in_threads", "rows_in_threads"]

_default_threads = ContextVar("threads", default=1)


@contextmanager
def default_threads(threads: int) -> Iterator[Any]:
    """Context manager within which `map_in_threads` uses so many threads unless told otherwise."""
    token = _default_threads.set(max(1, int(threads)))
    try:
        yield
    finally:
        _default_threads.reset(token)


def map_in_threads(function: Callable[..., Any], items: Iterable[Any], threads: int | None = None) -> Iterator[Any]:
    """Results of ``function(item)`` in order, computed by threads of this process a few items ahead.

    For compiled kernels, which run at the same time as others because they do not hold Python's lock.

    Parameters
    ----------
    function : callable
    items : iterable
    threads : int, optional
        Calls that are worked on at a time; so many results wait at most. 1: no threads. Default: `default_threads`.

    Yields
    ------
    object
    """
    threads = _default_threads.get() if threads is None else threads
    if threads <= 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def rows_in_threads(kernel: Callable[..., Any], n_rows: int, threads: int, *arguments: Any) -> None:
    """Call ``kernel(row0, row1, *arguments)`` for all rows, shared among threads.

    Parameters
    ----------
    kernel : callable
        A compiled function that does not hold Python's lock.
    n_rows, threads : int
    *arguments
        Further arguments of the kernel.
    """
    n = max(1, min(int(threads), n_rows))
    if n == 1:
        kernel(0, n_rows, *arguments)
        return
    edges = [n_rows * i // n for i in range(n + 1)]
    with ThreadPoolExecutor(n) as pool:
        for future in [pool.submit(kernel, a, b, *arguments) for a, b in zip(edges, edges[1:])]:
            future.result()
