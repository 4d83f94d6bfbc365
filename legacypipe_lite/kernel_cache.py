"""Keep numba's on-disk cache of this package consistent.

Numba recompiles a cached function when its own source file changes, but not when a function that it calls, in another
file, does. So the state of the kernel files that a room's kernels may use (its own, and those of `arrays`, `wcs` and
`models`) is remembered next to the room's cache; when it differs, the room's cached kernels are removed and compiled
anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["refresh"]

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
