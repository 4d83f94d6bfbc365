"""Time and memory that a piece of work takes, worker processes included."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from .parallel import take_worker_peak_memory

__all__ = ["Usage", "give_back_freed_memory", "measure", "rare_garbage_collection"]


@dataclass
class Usage:
    """What a piece of work took.

    Attributes
    ----------
    wall, cpu : float
        Seconds; CPU time of this process and of the worker processes that ended meanwhile.
    peak_memory : int
        Bytes that were resident in this process at most.
    worker_memory : int
        The same of the largest worker process, images shared with this one included; 0 if there were none.
    """

    wall: float = 0.0
    cpu: float = 0.0
    peak_memory: int = 0
    worker_memory: int = 0


@contextmanager
def measure() -> Iterator[Usage]:
    """Context manager that gives a `Usage`, filled in at the end also if an exception ends the work."""
    usage = Usage()
    take_worker_peak_memory()
    _reset_peak_memory()
    wall, cpu = time.perf_counter(), _cpu_seconds()
    try:
        yield usage
    finally:
        usage.wall = time.perf_counter() - wall
        usage.cpu = _cpu_seconds() - cpu
        usage.peak_memory = _peak_memory()
        usage.worker_memory = take_worker_peak_memory()


#: Numbers of new objects after which Python searches for garbage in cycles (three generations).
_RARELY = (100_000, 50, 50)


@contextmanager
def rare_garbage_collection() -> Iterator[Any]:
    """Context manager within which this process, and those that it forks, search less often for garbage in cycles.

    For work that leaves no cycles behind: each search goes through all results so far, and in a forked process copies
    memory that it shares. Work that does leave cycles would hold on to its memory.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


#: Arrays of so many bytes are returned to the system as soon as they are freed.
_LARGE_ARRAY = 1 << 22
_M_MMAP_THRESHOLD = -3


def give_back_freed_memory() -> None:
    """Have the memory of large arrays returned to the system when they are freed (GNU C library only).

    By default that library keeps freed arrays of up to 32 MB for later, and ever more of them: for hundreds of
    images of 10 MB, which are freed in another order than they were made in, this adds up to a gigabyte.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _LARGE_ARRAY)


def _cpu_seconds() -> float:
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total


def _reset_peak_memory() -> None:
    """Let the kernel's peak count start anew (Linux); elsewhere peaks are those of the whole run so far."""
    # Other systems have no such file, and containers may forbid to write it.
    with suppress(OSError), open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")


def _peak_memory() -> int:
    # Only Linux has this file; what getrusage tells instead cannot be reset.
    with suppress(OSError), open("/proc/self/status") as stream:
        for line in stream:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
