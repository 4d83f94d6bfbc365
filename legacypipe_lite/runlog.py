"""The log of a brick run: what it was asked for, what it did, what it took, and what it warned of."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from .options import changed_options
from .stages import load_stage
from .versions import package_version, software_versions

__all__ = ["collected_warnings", "run_log"]

#: Changes when the meaning of a key changes.
FORMAT = 1


class _Collector(logging.Handler):
    """Keeps the text of warnings and errors, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self.texts:
            self.texts.append(text)


@contextmanager
def collected_warnings() -> Iterator[list[Any]]:
    """Context manager that gives a list, to which the package's warnings are added while it is active."""
    collector, package = _Collector(), logging.getLogger("legacypipe_lite")
    package.addHandler(collector)
    try:
        yield collector.texts
    finally:
        package.removeHandler(collector)


def run_log(run: Any, command: str, warnings: list[str], started: datetime) -> dict[Any, Any]:
    """What there is to say about a run.

    Parameters
    ----------
    run : run.BrickRun
        After its stages ran.
    command : str
    warnings : list of str
    started : datetime.datetime

    Returns
    -------
    dict
        JSON types: format, brick, command, started and finished (ISO, UTC), versions, environment, options (those that
        differ from their defaults), threads, stages (name, read_back, seconds, cpu_seconds, peak_memory and
        worker_memory in bytes), counts, ccds (name, fate,
        reason; all that are near the brick), dropped_ccds (name, reason), warnings.
    """
    return {
        "format": FORMAT,
        "brick": run.brickname,
        "command": command,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "legacypipe_lite": package_version(),
            "python": platform.python_version(),
            **software_versions(),
        },
        "environment": _environment(run.order),
        "options": _plain(changed_options(run.options)),
        "threads": run.options.threads,
        "stages": [
            {
                "name": record.name,
                "read_back": record.read,
                "seconds": round(record.usage.wall, 3),
                "cpu_seconds": round(record.usage.cpu, 3),
                "peak_memory": int(record.usage.peak_memory),
                "worker_memory": int(record.usage.worker_memory),
            }
            for record in run.stages
        ],
        "counts": _plain(run.report.counts),
        "ccds": [{"name": n, "fate": f, "reason": r} for n, f, r in run.state.get("ccd_fates", ())],
        "dropped_ccds": [{"name": name, "reason": reason} for name, reason in run.report.dropped_ccds],
        "warnings": list(warnings),
    }


def _environment(order: Any) -> dict[str, str]:
    """Environment variables that are set, of those that the stages read."""
    names = [variable for stage in order for variable in load_stage(stage).variables]
    return {name: os.environ[name] for name in names if name in os.environ}


def _plain(value: Any) -> Any:
    """The same in JSON types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        return value.item()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
