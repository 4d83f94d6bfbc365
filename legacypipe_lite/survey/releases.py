"""Release numbers of catalogues, as published."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from ..options import RunOptions

__all__ = ["NO_RELEASE", "RUNS", "cameras_of_run", "release_number", "release_of_run"]

#: Release number where none of the published ones applies.
NO_RELEASE = 9999

_CAMERAS = {"south": ("decam",), "north": ("90prime", "mosaic")}

#: Names of survey configurations (``--run``) -> part of the surveys.
RUNS = {"south": "south", "decam": "south", "north": "north", "90prime-mosaic": "north"}

#: (Data model, part of the surveys) -> release number.
_PUBLISHED = {
    ("dr9", "south"): 9010,
    ("dr9", "north"): 9011,
    ("dr10", "south"): 10000,
    ("dr11", "south"): 11010,
    ("dr11", "north"): 11010,
}


def cameras_of_run(run: str | None) -> tuple[str, ...]:
    """Cameras that ``--run NAME`` selects; none if there is no ``--run``.

    Raises
    ------
    UsageError
        If there is no such configuration.
    """
    if run is None:
        return ()
    if run not in RUNS:
        raise UsageError(f"--run {run} is not known; there are {', '.join(RUNS)}")
    return _CAMERAS[RUNS[run]]


def release_number(data_model: str, cameras: Iterable[str]) -> int:
    """Default release number of a catalogue.

    Parameters
    ----------
    data_model : str
        "dr9", "dr10" or "dr11".
    cameras : iterable of str
        Of the images that it is made from.

    Returns
    -------
    int
        `NO_RELEASE` for cameras that are not those of one part of the surveys, or for a part that the data model was
        not published for.
    """
    cameras = {str(camera).strip().lower() for camera in cameras}
    parts = [part for part, own in _CAMERAS.items() if cameras and cameras <= set(own)]
    return _PUBLISHED.get((data_model, parts[0]), NO_RELEASE) if parts else NO_RELEASE


def release_of_run(options: RunOptions, ccds: Any = None) -> int:
    """Release number of a run's products: ``--release``, or the default for the cameras.

    Parameters
    ----------
    options : RunOptions
    ccds : Table or None
        The CCDs of the brick, if they are known; ``--run`` says the cameras, too.
    """
    if options.release is not None:
        return options.release
    cameras = cameras_of_run(options.run) or (() if ccds is None else ccds["camera"])
    return release_number(options.data_model, cameras)
