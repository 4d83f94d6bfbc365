"""Checkpoint file: finished blobs, appended as they come, so that a killed run loses nothing.

The file starts with a line that identifies the run; then every finished blob is a record of length, SHA-256 and
content. A record cut short by a kill is dropped when the file is read; everything before it counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import time
import zlib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OutputError, StateError
from ..state import dump_value, load_value

if TYPE_CHECKING:
    from .tasks import BlobContext, BlobResult

__all__ = ["Checkpoint", "fingerprint"]

logger = logging.getLogger(__name__)

_MAGIC = "legacypipe_lite blob checkpoint 2"
_LENGTH = struct.Struct(">Q")


def fingerprint(context: BlobContext, brickname: str) -> dict[str, str]:
    """What the results of blobs depend on: brick, options, images, sources, blob map.

    Parameters
    ----------
    context : BlobContext
    brickname : str

    Returns
    -------
    dict
        JSON types; `brick` is kept apart to give a better reason when it differs.
    """
    digest = hashlib.sha256()

    def add(*values):
        digest.update(repr([_plain(value) for value in values]).encode())

    add(context.options, context.bands, context.target.header_cards(), context.blobmap, context.refmap)
    for tim in context.tims:
        add(tim.name, tim.band, tim.sig1, tim.psf_sigma, tim.mjd_tai, tim.wcs.pack(), tim.psf)
        add(tim.image, tim.inverr, tim.dq)
    add(*context.sources)
    return {"brick": brickname, "run": digest.hexdigest()}


def _plain(value):
    """What identifies a value, whatever it was read from: fields of value classes, checksums of arrays, else itself."""
    if is_dataclass(value):
        return [type(value).__name__, *(_plain(getattr(value, f.name)) for f in fields(value))]
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, zlib.crc32(np.ascontiguousarray(value))
    return value.item() if isinstance(value, np.generic) else value


class Checkpoint:
    """A checkpoint file of one run.

    Parameters
    ----------
    path : str or Path
    identity : dict
        From `fingerprint`.
    period : float
        The file is forced to disk at least this often [s]; records reach the operating system at once.
    """

    def __init__(self, path: str | Path, identity: dict[str, str], period: float = 600.0) -> None:
        self.path, self.identity, self.period = Path(path), identity, period
        self._stream: Any = None
        self._synced = time.monotonic()

    def read(self) -> dict[tuple[int, int], BlobResult]:
        """Finished blobs of an earlier run.

        Returns
        -------
        dict
            (blob, piece) -> BlobResult. Empty if there is no file, or if it belongs to another run (then it is put
            aside under another name, and the reason is logged).
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise OutputError(f"--checkpoint {self.path}: cannot be read: {error.strerror}") from error
        reason, start = self._check_header(content)
        if reason is not None:
            aside = self.path.with_name(self.path.name + ".old")
            logger.warning("not using checkpoint %s: %s; it is kept as %s", self.path, reason, aside.name)
            os.replace(self.path, aside)
            return {}
        results, good = self._records(content, start)
        if good < len(content):
            logger.warning("checkpoint %s: the last record is incomplete and is dropped", self.path)
            os.truncate(self.path, good)
        logger.info("checkpoint %s: %d finished blobs", self.path, len(results))
        return results

    def _check_header(self, content):
        end = content.find(b"\n")
        try:
            header = json.loads(content[:end].decode()) if end > 0 else None
        except (UnicodeDecodeError, json.JSONDecodeError):
            header = None
        if not isinstance(header, dict) or header.get("magic") != _MAGIC:
            return "it is not a checkpoint of this version", 0
        if header.get("brick") != self.identity["brick"]:
            return f"it belongs to brick {header.get('brick')}", 0
        if header.get("run") != self.identity["run"]:
            return "it was made with other images, sources or options", 0
        return None, end + 1

    @staticmethod
    def _records(content, start):
        """Complete records, and where they end."""
        results = {}
        while start + _LENGTH.size + 32 <= len(content):
            (size,) = _LENGTH.unpack_from(content, start)
            first = start + _LENGTH.size + 32
            payload = content[first : first + size]
            if len(payload) < size or hashlib.sha256(payload).digest() != content[first - 32 : first]:
                break
            try:
                result = load_value(payload)
            except StateError as error:
                logger.warning("a checkpoint record is not used: %s", error)
                break
            results[result.task.blob, result.task.piece] = result
            start = first + size
        return results, start

    def append(self, result: BlobResult) -> None:
        """Add a finished blob."""
        payload = dump_value(result)
        try:
            if self._stream is None:
                self._open()
            self._stream.write(_LENGTH.pack(len(payload)) + hashlib.sha256(payload).digest() + payload)
            self._stream.flush()
            if time.monotonic() - self._synced >= self.period:
                self._sync()
        except OSError as error:
            raise OutputError(f"--checkpoint {self.path}: cannot be written: {error.strerror}") from error

    def _open(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        self._stream = open(self.path, "ab")  # noqa: SIM115 - stays open while blobs arrive
        if new:
            self._stream.write((json.dumps({"magic": _MAGIC, **self.identity}) + "\n").encode())

    def _sync(self):
        os.fsync(self._stream.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Force everything to disk."""
        if self._stream is not None:
            self._sync()
            self._stream.close()
            self._stream = None
