"""What a server is told."""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ServerOptions", "DEFAULT_PORT"]

DEFAULT_PORT = 8642


@dataclass(frozen=True)
class ServerOptions:
    """Settings of a server.

    Attributes
    ----------
    survey_dirs : dict of str -> Path
        Run -> survey directory, for CCDs and PSFs.
    portals : dict of str -> str
        Run -> "release/region" of the path of its files below the portal; by default "<run>/south".
    cache_dir : Path or None
        For tiles, levels of images and uploaded catalogues; None: nothing is kept, nothing can be uploaded.
    hosts : tuple of str
        Values of the header Host that are answered, without port.
    largest_size : int
        Pixels on a side of a cutout; larger requests get this.
    waiting : int
        Requests that may wait; more are told to come again.
    threads : int
        Requests that are worked on at once.
    seconds : float
        Longest time for a request.
    """

    survey_dirs: dict = field(default_factory=dict)
    portals: dict = field(default_factory=dict)
    cache_dir: Path | None = None
    hosts: tuple = ("localhost", "127.0.0.1", "[::1]")
    largest_size: int = 3000
    waiting: int = 256
    threads: int = 8
    seconds: float = 120.0
