"""Exceptions that a user of the pipeline can cause.

Every one carries a single line that names the culprit (file, column, flag) and says what to do. The command
line prints that line and exits with `exit_status`; a traceback is shown only with ``--debug``.
"""

from typing import Any

__all__ = [
    "LegacypipeError",
    "UsageError",
    "InputError",
    "NoSuchBrickError",
    "CalibrationError",
    "OutputError",
    "NothingToDo",
    "WorkerError",
    "StateError",
]


class LegacypipeError(Exception):
    """Base class: an error with a one-line message for the user.

    Attributes
    ----------
    exit_status : int
        Process exit status when the error ends a command.
    """

    exit_status = 1


class UsageError(LegacypipeError):
    """A flag or option is unknown, contradictory, or not supported."""

    exit_status = 1


class InputError(LegacypipeError):
    """An input file is missing, damaged or does not hold what is needed."""

    exit_status = 1


class NoSuchBrickError(InputError):
    """The brick name is not in the bricks table."""

    exit_status = 255


class CalibrationError(InputError):
    """A PSF or sky calibration is missing, invalid or cannot be made."""


class OutputError(LegacypipeError):
    """A product cannot be written (permissions, full disk)."""


class WorkerError(LegacypipeError):
    """A worker process died and its task could not be finished."""

    exit_status = 255


class StateError(LegacypipeError):
    """A stage pickle cannot be used: truncated, foreign, stale, or not safe to load."""


class NothingToDo(LegacypipeError):  # noqa: N818 - not an error: a normal, early end
    """The run ends early without anything being wrong (no CCDs, no sources).

    Attributes
    ----------
    run : run.BrickRun or None
        What there is of the run, if it had begun.
    """

    exit_status = 0
    run: Any = None
