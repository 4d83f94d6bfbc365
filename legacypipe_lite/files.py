"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import OutputError

__all__ = ["atomic_file", "atomic_path", "check_writable", "plain_alias"]

#: Characters of paths that mean nothing but themselves, to CFITSIO and to the shell-like expansion before it.
_PLAIN = re.compile(r"/[A-Za-z0-9_./,:=-]*")


@contextmanager
def atomic_path(
    path: str | Path, make_folder: bool = True, failure: str = "cannot write {path}: {reason}"
) -> Iterator[Path]:
    """A temporary name in the folder of a file; it is renamed to the file at the end.

    After any failure, or an interruption, no temporary file is left, and what was there before is as it was.

    Parameters
    ----------
    path : str or Path
    make_folder : bool
        Make the folder if needed.
    failure : str
        The message if it cannot be written.

    Yields
    ------
    Path
        To write the file to.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    # Another run that writes the same file has a temporary one of its own.
    temporary = path.with_name(f"tmp-{os.getpid()}-{path.name}")
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(failure.format(path=path, reason=error.strerror or error)) from error


@contextmanager
def atomic_file(
    path: str | Path, sync: bool = False, make_folder: bool = True, failure: str = "cannot write {path}: {reason}"
) -> Iterator[Any]:
    """As `atomic_path`, with the file open for writing.

    Parameters
    ----------
    path : str or Path
    sync : bool
        Put the data on the disk before the file is renamed: it is then whole even after a power failure.
    make_folder : bool
    failure : str

    Yields
    ------
    binary file object

    Raises
    ------
    OutputError
    """
    with atomic_path(path, make_folder, failure) as temporary, open(temporary, "wb") as stream:
        yield stream
        if sync:
            stream.flush()
            os.fsync(stream.fileno())


def check_writable(folder: str | Path) -> None:
    """Find out whether files can be written to a folder, which need not exist yet, without creating anything.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    OutputError
        If it, or the folder in which it would be made, is not a folder or not writable.
    """
    folder = wanted = Path(folder)
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        is_folder = folder.is_dir()
    except (OSError, ValueError) as error:  # such as a name that is too long
        raise OutputError(f"cannot write to {wanted}: {getattr(error, 'strerror', None) or error}") from error
    if not is_folder:
        raise OutputError(f"cannot write to {wanted}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to {wanted}: no permission to write in {folder}")


@contextmanager
def plain_alias(path: Any) -> Any:
    """Another name of a file, for libraries to which some characters of a path have a meaning.

    CFITSIO takes ``[``, ``(``, ``+`` and a blank at the start for the beginning of its own syntax, and variables are
    expanded before it. If there are such characters in the path, a link to the file's folder is made in a temporary
    folder while the context lasts; if they are in the file's own name, a link to the file.

    Parameters
    ----------
    path : str or Path
        Of a file that exists, or may be created if its own name is plain.

    Yields
    ------
    str
    """
    path = Path(os.path.abspath(path))
    if _PLAIN.fullmatch(str(path)):
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="legacypipe-") as folder:
        if _PLAIN.fullmatch("/" + path.name):
            os.symlink(path.parent, Path(folder) / "folder")
            yield str(Path(folder) / "folder" / path.name)
        else:
            link = Path(folder) / ("file" + "".join(s for s in path.suffixes if _PLAIN.fullmatch("/" + s)))
            os.symlink(path, link)
            yield str(link)
