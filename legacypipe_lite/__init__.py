"""The brick pipeline of the DESI Legacy Imaging Surveys, re-implemented.

>>> from legacypipe_lite import RunOptions, run_brick
>>> run = run_brick(RunOptions(brick="1102p240", survey_dir="mysurvey"))  # doctest: +SKIP
>>> run.tractor  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

from .kernel_cache import refresh as _refresh_kernels

_refresh_kernels()  # before any kernel is loaded; takes 2 ms

__all__ = ["BrickRun", "RunOptions", "run_brick"]

_HOMES = {"BrickRun": "pipeline", "RunOptions": "options", "run_brick": "pipeline"}


def __getattr__(name: str) -> type:
    # Imported on first use: the command line must answer --help without loading numpy and numba.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> Any:
    return sorted([*globals(), *__all__])
