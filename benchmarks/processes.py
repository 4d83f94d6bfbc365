"""Programs under observation: wall and CPU time, memory of all their processes, and when they said what."""

import os
import resource
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Observed", "OtherPrograms", "observe", "tree_memory"]


@dataclass
class Observed:
    """What was seen of a program.

    Attributes
    ----------
    status : int
        Exit status.
    wall, cpu : float
        Seconds, from its start to its end; CPU time of all its processes.
    lines : list of (float, str)
        What it wrote, standard output and errors together, with seconds since its start.
    memory : list of (float, int)
        Seconds since its start, and bytes that all its processes had in memory together (PSS: memory that they share
        counts once). Empty where this cannot be found out.
    started : float
        Seconds since 1970.
    """

    status: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    lines: list = field(default_factory=list)
    memory: list = field(default_factory=list)
    started: float = 0.0

    def peak_memory(self, begin=0.0, end=float("inf")):
        """Largest memory within a span of time, or None if it was never looked at."""
        return max((size for when, size in self.memory if begin <= when <= end), default=None)


def observe(command, environment=None, cwd=None, interval=None):
    """Run a program to its end.

    Parameters
    ----------
    command : list of str
    environment : dict, optional
    cwd : path, optional
    interval : float, optional
        Seconds between looks at the memory of its processes; None: never.

    Returns
    -------
    Observed
    """
    seen = Observed(started=time.time())
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=cwd
    )
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            size = tree_memory(process.pid)
            if size is not None:
                seen.memory.append((time.perf_counter() - began, size))
            stop.wait(interval)

    watcher = threading.Thread(target=watch, daemon=True)
    if interval is not None:
        watcher.start()
    try:
        for line in process.stdout:
            seen.lines.append((time.perf_counter() - began, line.rstrip("\n")))
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        stop.set()
        process.stdout.close()
    seen.wall = time.perf_counter() - began
    seen.cpu = usage.ru_utime + usage.ru_stime
    seen.status = process.returncode = os.waitstatus_to_exitcode(status)
    if interval is not None:
        watcher.join()
    return seen


def tree_memory(pid):
    """Bytes (PSS) of a process and all its descendants; None if the system does not tell."""
    sizes = [_pss(p) for p in _family(pid)]
    sizes = [size for size in sizes if size is not None]
    return sum(sizes) if sizes else None


def _family(pid):
    """A process and its descendants."""
    found, waiting = [], [str(pid)]
    while waiting:
        member = waiting.pop()
        found.append(member)
        for children in Path("/proc", member, "task").glob("*/children"):
            try:
                waiting += children.read_text().split()
            except OSError:
                continue  # it has ended
    return found


def _pss(pid):
    """Bytes (PSS) of one process; None if the system does not tell, or the process has ended meanwhile."""
    with suppress(OSError):
        for line in Path("/proc", pid, "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return None


class OtherPrograms:
    """Context manager that finds out how busy other programs keep the machine meanwhile (Linux).

    Attributes
    ----------
    share : float or None
        CPU time of other programs, as a fraction of that of all cores; None if the system does not tell.
    """

    share = None

    def __enter__(self):
        self._before = self._times()
        return self

    def __exit__(self, *exception):
        if self._before is None:
            return
        wall, busy, own = (now - before for now, before in zip(self._times(), self._before))
        self.share = max(busy - own, 0.0) / (wall * os.cpu_count())

    @staticmethod
    def _times():
        """Wall time, CPU time of all programs, and of this one with its ended children [s]."""
        try:
            user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split(maxsplit=8)[1:8])
        except (OSError, ValueError):
            return None
        ticks = user + nice + system + sum(interrupts)
        own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), own
