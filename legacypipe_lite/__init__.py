"""The brick pipeline of the DESI Legacy Imaging Surveys, re-implemented.

>>> from legacypipe_lite import RunOptions, run_brick
>>> run = run_brick(RunOptions(brick="1102p240", survey_dir="mysurvey"))  # doctest: +SKIP
>>> run.tractor  # doctest: +SKIP

What can be made of its parts is in the rooms (`legacypipe_lite.models`, `legacypipe_lite.coadds`, ...), which are
imported when they are first used:

>>> import legacypipe_lite as ll
>>> source = ll.models.Source("PSF", 110.2, 24.0, [1.0, 1.2, 1.5])  # doctest: +SKIP
"""

from importlib import import_module
from pkgutil import iter_modules

from .errors import (
    CalibrationError,
    InputError,
    LegacypipeError,
    NoSuchBrickError,
    NothingToDo,
    OutputError,
    StateError,
    UsageError,
    WorkerError,
)
from .kernel_cache import refresh_before_first_kernel

refresh_before_first_kernel()

__all__ = [
    "BrickRun",
    "CalibrationError",
    "InputError",
    "LegacypipeError",
    "NoSuchBrickError",
    "NothingToDo",
    "OutputError",
    "RunOptions",
    "StateError",
    "UsageError",
    "WorkerError",
    "run_brick",
]

#: Where names come from that are imported on first use: the command line must answer --help without loading numpy and
#: numba.
_HOMES = {"BrickRun": "run", "RunOptions": "options", "run_brick": "run"}


def _modules():
    """Names of the rooms and modules of the package."""
    return [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if not name.startswith("_") and name in _modules():
        return import_module(f".{name}", __name__)
    if name == "__version__":
        return import_module(".versions", __name__).package_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*__all__, *_modules(), "__version__"})
