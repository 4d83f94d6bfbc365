"""Which class reads the images of which camera: built in, from installed packages, or registered by the user."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, UsageError
from ..names import did_you_mean
from .bok import BokImage
from .decam import DecamImage
from .mosaic import MosaicImage

if TYPE_CHECKING:
    from .base import CcdImage

__all__ = ["camera_class", "camera_name", "known_cameras", "load_camera_modules", "register_camera"]

logger = logging.getLogger(__name__)

_ENTRY_POINTS = "legacypipe_lite.cameras"

_BUILT_IN = {
    "decam": DecamImage,
    "decam+noise": DecamImage,
    "mosaic": MosaicImage,
    "mosaic3": MosaicImage,
    "90prime": BokImage,
}

_registered: dict[str, type[CcdImage]] = {}


def register_camera(name: str, cls: type) -> None:
    """Use a class for the images of a camera.

    Parameters
    ----------
    name : str
        Value of the column ``camera`` of the CCD table. A name that is known already is replaced.
    cls : type
        Subclass of `CcdImage`, or another class with its `read_tim` method.

    Raises
    ------
    TypeError
        If the class has no method ``read_tim``.
    """
    if not callable(getattr(cls, "read_tim", None)):
        raise TypeError(f"camera {name!r}: {cls!r} has no method read_tim; derive it from CcdImage")
    _registered[name] = cls


@functools.cache
def _entry_points() -> Any:
    return {e.name: e for e in importlib.metadata.entry_points(group=_ENTRY_POINTS)}


def known_cameras() -> list[str]:
    """Names of all cameras, sorted."""
    return sorted({*_BUILT_IN, *_registered, *_entry_points()})


def camera_name(name: str) -> str:
    """A camera's name as it is known; that of the CCD table may differ in letter case."""
    if name in known_cameras():
        return name
    same = [known for known in known_cameras() if known.lower() == name.lower()]
    return same[0] if len(same) == 1 else name


def camera_class(name: str) -> type:
    """The class for the images of a camera.

    Raises
    ------
    InputError
        If the camera is not known.
    """
    if name in _registered:
        return _registered[name]
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    if name in _entry_points():
        try:
            return _entry_points()[name].load()
        except (ImportError, AttributeError) as e:
            raise InputError(f"camera {name!r}: its class cannot be loaded: {e}") from None
    raise InputError(
        f"camera {name!r} of the CCD table is not known; there are {', '.join(known_cameras())}"
        f" (--camera-module can add one){did_you_mean(name, known_cameras())}"
    )


def load_camera_modules(modules: Sequence[str]) -> None:
    """Import modules that register camera classes.

    Parameters
    ----------
    modules : sequence of str
        Importable names, or paths of .py files. Modules that were imported before are not imported again.

    Raises
    ------
    UsageError
        If a module cannot be imported.
    """
    for module in modules:
        try:
            _import(module)
        except ModuleNotFoundError as e:
            where = " (not in Python's search path; a file is given as ./mycamera.py)" if e.name == module else ""
            raise UsageError(f"--camera-module {module}: {e}{where}") from e
        except Exception as e:  # a user's module may fail in any way
            raise UsageError(f"--camera-module {module}: {type(e).__name__}: {e}") from e


def _import(module: Any) -> None:
    if not module.endswith(".py"):
        importlib.import_module(module)
        return
    path = Path(module).resolve()
    name = f"legacypipe_lite_camera_{path.stem}"
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path):
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # there is a loader for the ending .py
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
