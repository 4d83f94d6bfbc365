"""Messages between processes: pickles through a pipe, and the data of large arrays behind them."""

from __future__ import annotations

import io
import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["content", "receive", "send"]

#: Arrays of so many bytes are sent without being pickled, in pieces of so many bytes.
_LARGE_ARRAY = 1 << 16
_PIECE = 1 << 24


class _Pickler(pickle.Pickler):
    """Puts the data of large arrays aside; small ones are pickled as by older protocols, which are read faster."""

    def __init__(self, stream: Any) -> None:
        self.large: list[Any] = []
        super().__init__(stream, protocol=5, buffer_callback=self._put_aside)

    def _put_aside(self, buffer: Any) -> bool:
        if buffer.raw().nbytes < _LARGE_ARRAY:
            return True
        self.large.append(buffer.raw())
        return False

    def reducer_override(self, value: Any) -> Any:
        if type(value) is np.ndarray and value.nbytes < _LARGE_ARRAY:
            return value.__reduce__()
        return NotImplemented


def send(connection: Connection, kind: str, value: Any) -> None:
    """Send a message through a pipe.

    The data of large arrays follow it as they are, without being copied into a pickle.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
    kind : str
        What the content is.
    value : object
        The content: anything that can be pickled.

    Raises
    ------
    BrokenPipeError
        If the other end is closed.
    """
    stream = io.BytesIO()
    pickler = _Pickler(stream)
    pickler.dump(value)
    connection.send((kind, [array.nbytes for array in pickler.large], stream.getvalue()))
    for array in pickler.large:
        while len(array):
            array = array[os.write(connection.fileno(), array[:_PIECE]) :]


def receive(connection: Connection) -> tuple[str, Any]:
    """What `send` sent; the arrays are read to where they stay.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection

    Returns
    -------
    kind : str
    packed : object
        For `content`.

    Raises
    ------
    EOFError
        If the other end is closed.
    """
    kind, sizes, text = connection.recv()
    arrays = [np.empty(size, np.uint8) for size in sizes]
    for array in arrays:
        rest = memoryview(array)  # type: ignore[arg-type]  # an array is a buffer from Python 3.12 on
        while len(rest):
            n = os.readv(connection.fileno(), [rest])
            if n == 0:
                raise EOFError
            rest = rest[n:]
    return kind, (text, arrays)


def content(packed: Any) -> Any:
    """The content of a message, from what `receive` returned.

    Parameters
    ----------
    packed : object

    Returns
    -------
    object
    """
    text, arrays = packed
    return pickle.loads(text, buffers=arrays)
