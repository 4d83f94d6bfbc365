"""What the commands have in common while they work: log records, signals, and errors that become an exit status."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from ..errors import LegacypipeError
from ..names import printable

__all__ = ["logging_to", "run_guarded", "terminable", "until_the_pipe_is_closed"]

logger = logging.getLogger(__name__)


def run_guarded(
    work: Callable[..., Any], program: str, handler: logging.Handler, *, verbose: bool = False, debug: bool = False
) -> int:
    """Do the work of a command; what goes wrong is said in one line on the standard error stream.

    Parameters
    ----------
    work : callable
        Without arguments; returns an exit status, or None for 0.
    program : str
        Name of the command, for messages.
    handler : logging.Handler
        Shows the log records.
    verbose : bool
        Log more.
    debug : bool
        Log more, and where an error comes from.

    Returns
    -------
    int
        Exit status.
    """

    def say(text: str, status: Any, error: Any = None) -> int:
        if debug and error is not None:
            logger.error("", exc_info=error)
        print(printable(f"{program}: {' '.join(text.split())}"), file=sys.stderr)
        return status

    with logging_to(handler, logging.DEBUG if verbose or debug else logging.INFO), terminable():
        try:
            return work() or 0
        except LegacypipeError as error:
            return say(str(error), error.exit_status, error)
        except KeyboardInterrupt:
            return say("interrupted", 130)
        except SystemExit as end:
            return say("terminated", end.code)
        except BrokenPipeError:
            raise  # see `until_the_pipe_is_closed`
        except MemoryError as error:
            return say("not enough memory: a smaller field, fewer --threads or another machine may help", 1, error)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return say(f"{where}{error.strerror or error} (--debug shows where)", 1, error)
        except Exception as error:
            text = f"{type(error).__name__}: {error}: something that the program does not expect (--debug shows where)"
            return say(text, 1, error)


def until_the_pipe_is_closed(main: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a command's main function: it ends with status 1 when who reads its output has enough."""

    @wraps(main)
    def guarded_main(argv: list[str] | None = None) -> int:
        try:
            status = main(argv)
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            # Nothing may complain at the end, either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1

    return guarded_main


@contextmanager
def logging_to(handler: logging.Handler, level: int) -> Iterator[Any]:
    """Send the package's log records, and Python warnings, to a handler."""
    handler.addFilter(_make_printable)
    root, package = logging.getLogger(), logging.getLogger("legacypipe_lite")
    before = root.level, package.level
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    package.setLevel(level)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.removeFilter(_make_printable)
        root.setLevel(before[0])
        package.setLevel(before[1])


def _make_printable(record: Any) -> Any:
    """Names of files and headers may hold characters that a terminal obeys; messages are one line each."""
    message = record.getMessage()
    if not message.isprintable():
        record.msg, record.args = printable(message), ()
    return True


@contextmanager
def terminable() -> Iterator[Any]:
    """Let SIGTERM and SIGHUP end the program in an orderly way: workers are ended, half-written files removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: Any, frame: Any) -> None:
        raise SystemExit(128 + number)

    # With nohup, SIGHUP is ignored, and stays so.
    numbers = [signal.SIGTERM, signal.SIGHUP]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] != signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])
