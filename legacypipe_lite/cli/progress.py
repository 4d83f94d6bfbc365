"""What a run shows while it works: a progress bar on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

__all__ = ["PlainDisplay", "RichDisplay", "make_display"]

_SECONDS_BETWEEN_LINES = 20.0
_SECONDS_BETWEEN_FRAMES = 0.1


def make_display(stream: Any = None) -> RichDisplay | PlainDisplay:
    """The display that suits a stream: bars if it is a terminal."""
    stream = sys.stdout if stream is None else stream
    return RichDisplay() if stream.isatty() else PlainDisplay(stream)


class PlainDisplay:
    """Log lines ``[LEVEL logger seconds] message``, and now and then one that says how far the tasks are."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._handler = logging.StreamHandler(stream)
        self._handler.setFormatter(_Formatter())
        self._last = time.monotonic()

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._handler.flush()

    @property
    def handler(self) -> logging.StreamHandler:
        """The `logging.Handler` that shows log records."""
        return self._handler

    def progress(self, label: str, done: int, total: int) -> None:
        """Say how far the tasks are, not too often."""
        now = time.monotonic()
        if done == 0:
            self._last = now
        elif now - self._last > _SECONDS_BETWEEN_LINES and done < total:
            self._last = now
            logging.getLogger("legacypipe_lite.progress").info("%s: %d of %d done", label, done, total)

    def show(self, lines: list[str]) -> None:
        """Show lines of text as they are."""
        self._stream.write("".join(line + "\n" for line in lines))


class RichDisplay:
    """A progress bar below the log lines.

    The bar is drawn when there is something new, not by a thread of its own: worker processes are forked while it
    is shown, and a fork must not happen in the middle of what another thread does.
    """

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console
        from rich.logging import RichHandler
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console() if console is None else console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            auto_refresh=False,
        )
        self._console = console
        self._handler = RichHandler(
            console=console, show_path=False, omit_repeated_times=False, log_time_format="%H:%M:%S"
        )
        self._task: Any = None
        self._last = 0.0

    def __enter__(self) -> RichDisplay:
        self._bars.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bars.stop()

    @property
    def handler(self) -> logging.Handler:
        """The `logging.Handler` that shows log records."""
        return self._handler

    def progress(self, label: str, done: int, total: int) -> None:
        """Draw the bar."""
        if self._task is None or done == 0:
            self._forget()
            self._task = self._bars.add_task(label, total=total)
        self._bars.update(self._task, completed=done)
        now = time.monotonic()
        if done == total:
            self._forget()
            self._bars.refresh()
        elif now - self._last > _SECONDS_BETWEEN_FRAMES:
            self._last = now
            self._bars.refresh()

    def show(self, lines: list[str]) -> None:
        """Show lines of text as they are."""
        for line in lines:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _forget(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


class _Formatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._start = time.time()

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return f"[{record.levelname} {record.name} {record.created - self._start:.1f}] {message}"
