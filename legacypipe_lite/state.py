"""Files that keep the result of a stage: written whole or not at all, and never trusted.

A file holds the pickled payload, its SHA-256, and what it was made from (its *identity*: brick, stage, options,
... and the input files with size and time). Reading refuses, with a one-line reason, what is truncated, damaged,
made from something else, or stale. Unpickling admits plain Python containers, numpy arrays, astropy tables and the
package's own value classes, each named below; nothing else is imported or called.

Arrays and tables do not go through their own pickling, whose reconstruction functions can be misused, but through
`_array`, `_scalar` and `_table` of this module.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import pickle
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import StateError
from .files import atomic_file

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["Loaded", "save_state", "load_state", "dump_value", "load_value", "file_stamp"]

#: Changes whenever files of older versions cannot be read any more.
FORMAT = 3

_MAGIC = b"legacypipe_lite state\n"
_END = b"end of state\n"
_LENGTH = struct.Struct(">Q")

#: The package's value classes that may be stored, by module.
_VALUE_CLASSES = {
    "legacypipe_lite.survey.bricks": {"Brick"},
    "legacypipe_lite.wcs.tan": {"TanWcs"},
    "legacypipe_lite.wcs.tpv": {"TpvWcs"},
    "legacypipe_lite.wcs.sip": {"SipWcs"},
    "legacypipe_lite.models.ivars": {"ParameterIvars"},
    "legacypipe_lite.models.psf": {"PsfModel"},
    "legacypipe_lite.models.tim": {"Tim", "CcdInfo"},
    "legacypipe_lite.models.sources": {"Source", "Motion"},
    "legacypipe_lite.coadds.sparse": {"SparseImage"},
    "legacypipe_lite.fitting.tasks": {"BlobTask", "BlobResult", "SourceResult"},
    "legacypipe_lite.fitting.optimizer": {"FittedModel"},
}

#: Harmless types of the standard library.
_PLAIN_CLASSES = {
    "builtins": {"set", "frozenset", "slice", "range", "complex", "bytearray"},
    "collections": {"OrderedDict"},
    "pathlib": {"PosixPath", "PurePosixPath"},
}

_REBUILDERS = {__name__: {"_array", "_scalar", "_table"}}


class Loaded(NamedTuple):
    """Content of a state file.

    Attributes
    ----------
    payload : object
    digest : str
        SHA-256 of the pickled payload.
    notes : dict
        What else the writer noted.
    """

    payload: Any
    digest: str
    notes: dict[Any, Any]


def save_state(
    path: str | Path,
    payload: Any,
    identity: dict[Any, Any],
    files: Iterable[str | Path] = (),
    notes: dict[Any, Any] | None = None,
) -> str:
    """Write a state file: under a temporary name in the same folder, then renamed.

    Parameters
    ----------
    path : str or Path
    payload : object
        Containers, arrays, tables and value classes.
    identity : dict
        What the payload was made from; JSON types only. A reader must present an equal one.
    files : iterable of str or Path
        Input files that the payload depends on; a reader checks that they have not changed.
    notes : dict or None
        Handed to the reader as they are; JSON types only.

    Returns
    -------
    str
        SHA-256 of the pickled payload.

    Raises
    ------
    StateError
        If the payload holds something that must not be stored.
    OutputError
        If the file cannot be written.
    """
    with atomic_file(path) as stream:
        stream.write(_MAGIC)
        writer = _HashingWriter(stream)
        _Pickler(writer, protocol=5).dump(payload)
        header = {
            "format": FORMAT,
            "identity": identity,
            "files": {str(f): file_stamp(f) for f in files},
            "notes": notes or {},
            "size": writer.size,
            "sha256": writer.hash.hexdigest(),
        }
        text = json.dumps(header, default=_plain_number).encode()
        stream.write(text + _LENGTH.pack(len(text)) + _END)
    return writer.hash.hexdigest()


def load_state(path: str | Path, identity: dict[Any, Any], objection: Callable[..., Any] | None = None) -> Loaded:
    """Read a state file, if it is whole, was made from `identity`, and its input files are unchanged.

    Parameters
    ----------
    path : str or Path
    identity : dict
    objection : callable or None
        ``objection(notes)`` gives the reason why the file cannot be used, or None.

    Returns
    -------
    Loaded

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    StateError
        With the reason why it cannot be used, as a clause that follows "it".
    """
    try:
        with open(path, "rb") as stream:
            return _load(stream, identity, objection)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StateError(f"cannot be read: {error.strerror or error}") from error


def _load(stream: Any, identity: dict[str, Any], objection: Callable[..., Any] | None) -> Any:
    header = _read_header(stream)
    reason = _difference(header["identity"], json.loads(json.dumps(identity))) or _stale_file(header["files"])
    if reason is None and objection is not None:
        reason = objection(header["notes"])
    if reason is not None:
        raise StateError(reason)
    stream.seek(len(_MAGIC))
    if _digest(stream, header["size"]) != header["sha256"]:
        raise StateError("is damaged: its checksum is wrong")
    stream.seek(len(_MAGIC))
    return Loaded(_unpickle(stream), header["sha256"], header["notes"])


def dump_value(value: Any) -> bytes:
    """Bytes of one value, with the same rules as `save_state`."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump(value)
    return buffer.getvalue()


def load_value(data: bytes) -> Any:
    """The value of `dump_value`'s bytes; anything that is not admitted raises `StateError`."""
    return _unpickle(io.BytesIO(data))


def file_stamp(path: Path | str) -> list[int] | None:
    """[size, modification time in ns] of a file, or None if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


# --- reading


def _read_header(stream: Any) -> Any:
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise StateError("is not a state file")
    tail = _LENGTH.size + len(_END)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - tail))
    end = stream.read(tail)
    if size < len(_MAGIC) + tail or not end.endswith(_END):
        raise StateError("is truncated")
    (length,) = _LENGTH.unpack(end[: _LENGTH.size])
    start = size - tail - length
    try:
        stream.seek(start)
        header = json.loads(stream.read(length))
        version = header["format"]
        if version == FORMAT and header["size"] != start - len(_MAGIC):
            raise StateError("is truncated")
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise StateError("is damaged: its description cannot be read") from error
    if version != FORMAT:
        raise StateError(f"has format {version}, not {FORMAT}")
    return header


def _digest(stream: Any, size: int) -> str:
    digest = hashlib.sha256()
    while size > 0:
        block = stream.read(min(size, 1 << 22))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def _unpickle(stream: Any) -> Any:
    try:
        return _Unpickler(stream).load()
    except StateError:
        raise
    except Exception as error:
        raise StateError(f"cannot be unpickled: {type(error).__name__}: {error}") from error


def _difference(recorded: dict[str, Any], current: dict[str, Any]) -> str | None:
    """Reason why two identities differ, or None."""
    if recorded == current:
        return None
    if not isinstance(recorded, dict):
        return "is damaged: its description is not one of a stage"
    for key in current:
        old, new = recorded.get(key), current[key]
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            changes = ", ".join(f"{n} was {_short(old.get(n))}, is {_short(new.get(n))}" for n in names[:3])
            return f"was made with other {key}: {changes}" + (", ..." if len(names) > 3 else "")
        return f"was made for {key} {_short(old)}, not {_short(new)}"
    return "is damaged: its description holds more than it should"


def _stale_file(files: dict[str, Any]) -> str | None:
    for path, stamp in files.items():
        now = file_stamp(path)
        if now != stamp:
            return f"is stale: input file {path} {'is gone' if now is None else 'has changed'}"
    return None


def _short(value: Any) -> str:
    text = "unset" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        for table in (_REBUILDERS, _VALUE_CLASSES, _PLAIN_CLASSES):
            if name in table.get(module, ()):
                return getattr(importlib.import_module(module), name)
        raise StateError(f"is not safe to read: it asks for {module}.{name}")

    def persistent_load(self, pid: str) -> None:
        raise StateError("is not safe to read: it refers to outside objects")


# --- writing


class _HashingWriter:
    """Writes through to a stream, keeping size and SHA-256."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        self.hash.update(data)
        self.size += memoryview(data).nbytes
        return self.stream.write(data)


def _plain_number(value: Any) -> int:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in the description of a state file")


class _Pickler(pickle.Pickler):
    """Pickles only what `_Unpickler` admits."""

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is np.ndarray or kind is np.memmap:
            return _reduce_array(obj)
        if isinstance(obj, np.generic):
            return _scalar, (obj.dtype.str, obj.tobytes())
        if kind.__module__.startswith("astropy.table") and kind.__name__ == "Table":
            return _reduce_table(obj)
        subject = obj if kind is type or callable(obj) and hasattr(obj, "__qualname__") else kind
        for table in (_REBUILDERS, _VALUE_CLASSES, _PLAIN_CLASSES):
            if subject.__qualname__ in table.get(subject.__module__, ()):
                return NotImplemented
        raise StateError(f"cannot be stored: {subject.__module__}.{subject.__qualname__} is not a value class")


def _reduce_array(array: NDArray[Any]) -> tuple[Any, ...]:
    dtype = array.dtype
    if dtype.hasobject:
        raise StateError("cannot be stored: an array holds Python objects")
    layout = dtype.descr if dtype.names else dtype.str
    if np.dtype(layout) != dtype:
        raise StateError(f"cannot be stored: an array has the dtype {dtype}")
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    data = np.ascontiguousarray(array.T if fortran else array)
    # A bytearray, so that the array is writable when it is read back.
    buffer = (
        bytearray(data.tobytes())
        if data.size == 0 or not data.flags.writeable
        else pickle.PickleBuffer(data.view(np.uint8))  # type: ignore[arg-type]  # as in messages
    )
    return _array, (layout, array.shape, fortran, buffer)


def _array(layout: Any, shape: tuple[Any, ...], fortran: bool, buffer: Any) -> NDArray[Any]:
    dtype = np.dtype(layout)
    if dtype.hasobject:
        raise StateError("is not safe to read: it holds an array of objects")
    if fortran:
        return np.frombuffer(buffer, dtype=dtype).reshape(shape[::-1]).T
    if 0 in shape:
        return np.empty(shape, dtype=dtype)
    return np.frombuffer(buffer, dtype=dtype).reshape(shape)


def _scalar(dtype: str, data: bytes) -> bool | float:
    return _array(dtype, (1,), False, data)[0]


def _reduce_table(table: Table) -> tuple[Any, ...]:
    columns = []
    for name in table.colnames:
        column = table[name]
        if type(column).__name__ not in ("Column", "MaskedColumn"):
            raise StateError(f"cannot be stored: column {name!r} is a {type(column).__name__}")
        mask = getattr(column, "mask", None)
        data = np.asarray(column.data if mask is None else column.data.data)
        unit = None if column.unit is None else str(column.unit)
        columns.append((name, data, None if mask is None else np.asarray(mask), unit, column.description))
    return _table, (columns, dict(table.meta))


def _table(columns: list[tuple[NDArray[Any] | str | None, ...]], meta: dict[str, str]) -> Table:
    from astropy.table import Column, MaskedColumn, Table

    table = Table(meta=meta)
    for name, data, mask, unit, description in columns:
        if mask is None:
            column = Column(data, name=name, unit=unit, description=description, copy=False)
        else:
            column = MaskedColumn(data, name=name, mask=mask, unit=unit, description=description, copy=False)
        table.add_column(column, copy=False)
    return table
