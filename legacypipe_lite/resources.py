"""Time and memory that a piece of work takes, worker processes included, and that a run will take."""

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

__all__ = [
    "Prediction",
    "Usage",
    "expected_sources",
    "give_back_freed_memory",
    "measure",
    "predict",
    "rare_garbage_collection",
]


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


# --- what a run will take

#: CPU seconds on the machine of docs/performance.md, from its tables: what a run costs that does nothing; per source,
#: and per source and image; per 1e6 pixels of images, and of the brick; per source with WISE; per CCD that is opened.
_CPU_START = 3.0
_CPU_PER_SOURCE, _CPU_PER_SOURCE_AND_IMAGE = 2.45e-3, 0.55e-3
_CPU_PER_IMAGE_MEGAPIXEL, _CPU_PER_BRICK_MEGAPIXEL = 0.48, 2.3
_CPU_PER_WISE_SOURCE = 1.7e-3
_CPU_PER_CCD = 0.03
#: Part of that which one process does alone.
_SERIAL_PART = 0.2
#: Bytes of memory: of the program; per pixel of an image (value, error, mask), and of the brick; of each worker.
_PROGRAM_MEMORY, _WORKER_MEMORY = 300e6, 350e6
_MEMORY_PER_IMAGE_PIXEL, _MEMORY_PER_BRICK_PIXEL = 10, 60
#: Bytes on disk: coadds per pixel and band, tables and metrics per source; pickles per pixel of an image and the brick.
_DISK_PER_PIXEL_AND_BAND, _DISK_PER_SOURCE = 5, 12e3
_PICKLE_PER_IMAGE_PIXEL, _PICKLE_PER_BRICK_PIXEL, _PICKLE_PER_SOURCE = 8, 8, 15e3
#: Objects per square arcmin that are detected at a 5-sigma depth of 24 mag, and how their number grows with depth.
_SOURCES_AT_24, _SOURCE_SLOPE = 35.0, 0.3


@dataclass(frozen=True)
class Prediction:
    """What the run of a brick will take, to a factor of about 1.5.

    Attributes
    ----------
    cpu_seconds : float
        Of one core of the machine of docs/performance.md, summed over all processes.
    seconds : float
        Wall time with the given number of processes.
    memory : float
        Bytes that all processes together need at most.
    disk : float
        Bytes of products, and of stage pickles if they are written.
    """

    cpu_seconds: float
    seconds: float
    memory: float
    disk: float


def expected_sources(square_arcmin: float, depth: float) -> float:
    """How many sources a typical field has.

    Parameters
    ----------
    square_arcmin : float
        Area.
    depth : float
        5-sigma depth for point sources in the deepest band [mag].
    """
    return square_arcmin * _SOURCES_AT_24 * 10.0 ** (_SOURCE_SLOPE * (depth - 24.0))


def predict(
    n_ccds: int,
    ccd_pixels: float,
    brick_pixels: float,
    n_bands: int,
    n_sources: float,
    *,
    wise: bool = False,
    threads: int = 1,
    pickles: bool = True,
) -> Prediction:
    """Time, memory and disk that the run of a brick will take; prices are those of docs/performance.md.

    Parameters
    ----------
    n_ccds : int
        Images.
    ccd_pixels : float
        Pixels of all images that lie on the brick.
    brick_pixels : float
        Width times height.
    n_bands : int
    n_sources : float
        See `expected_sources`.
    wise : bool
        With photometry on unWISE images.
    threads : int
        Processes.
    pickles : bool
        Results of the stages are kept.

    Returns
    -------
    Prediction
    """
    coverage = ccd_pixels / max(brick_pixels, 1.0)
    cpu = _CPU_START + _CPU_PER_CCD * n_ccds
    cpu += n_sources * (
        _CPU_PER_SOURCE + _CPU_PER_SOURCE_AND_IMAGE * coverage + (_CPU_PER_WISE_SOURCE if wise else 0.0)
    )
    cpu += 1e-6 * (_CPU_PER_IMAGE_MEGAPIXEL * ccd_pixels + _CPU_PER_BRICK_MEGAPIXEL * brick_pixels)
    memory = _PROGRAM_MEMORY + _MEMORY_PER_IMAGE_PIXEL * ccd_pixels + _MEMORY_PER_BRICK_PIXEL * brick_pixels
    disk = _DISK_PER_PIXEL_AND_BAND * brick_pixels * n_bands + _DISK_PER_SOURCE * n_sources
    if pickles:
        disk += _PICKLE_PER_IMAGE_PIXEL * ccd_pixels + _PICKLE_PER_BRICK_PIXEL * brick_pixels
        disk += _PICKLE_PER_SOURCE * n_sources
    return Prediction(
        cpu_seconds=cpu,
        seconds=cpu * (_SERIAL_PART + (1.0 - _SERIAL_PART) / threads),
        memory=memory + (_WORKER_MEMORY * threads if threads > 1 else 0.0),
        disk=disk,
    )
