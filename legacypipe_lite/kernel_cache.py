"""Keep numba's on-disk cache of this package consistent.

Numba recompiles a cached function when its own source file changes, but not when a function that it calls, in another
file, does. So the state of the kernel files that a room's kernels may use (its own, and those of `arrays`, `wcs` and
`models`) is remembered next to the room's cache; when it differs, the room's cached kernels are removed and compiled
anew.

This is done when the first file of kernels is imported: importing the package alone reads and writes nothing.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

__all__ = ["refresh", "refresh_before_first_kernel"]

_PACKAGE = Path(__file__).resolve().parent
_STAMP = "kernels.stamp"
_USED_BY_ALL = ("arrays", "wcs", "models")


def _fingerprint(rooms: dict[str, None]) -> str:
    state = hashlib.sha256()
    for room in rooms:
        for path in sorted((_PACKAGE / room).glob("*_kernels.py")):
            status = path.stat()
            state.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return state.hexdigest()


def refresh() -> None:
    """Remove cached kernels of rooms in which any kernel file changed since they were made.

    Where the package folder cannot be written nothing is done: numba then keeps its cache elsewhere.
    """
    for room in sorted({path.parent.name for path in _PACKAGE.glob("*/*_kernels.py")}):
        cache = _PACKAGE / room / "__pycache__"
        stamp = cache / _STAMP
        current = _fingerprint(dict.fromkeys((*_USED_BY_ALL, room)))
        try:
            if stamp.exists() and stamp.read_text() == current:
                continue
            for compiled in cache.glob("*.nb[ic]"):
                compiled.unlink(missing_ok=True)
            cache.mkdir(exist_ok=True)
            stamp.write_text(current)
        except OSError:
            continue


class _FirstKernel:
    """Finder of modules that finds none, but refreshes the caches when it is first asked for a file of kernels."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> None:
        """Called by the import system for every module that is not loaded yet."""
        if name.startswith(f"{__package__}.") and name.endswith("_kernels"):
            refresh()
            if cls in sys.meta_path:  # another thread may have been as fast
                sys.meta_path.remove(cls)


def refresh_before_first_kernel() -> None:
    """Call `refresh` when the first file of kernels is imported, before numba looks at its cache."""
    if _FirstKernel not in sys.meta_path:
        sys.meta_path.insert(0, _FirstKernel)
