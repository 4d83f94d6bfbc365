"""What kind of mock survey is wanted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from .instruments import INSTRUMENTS

if TYPE_CHECKING:
    pass

__all__ = ["ARTEFACTS", "SimulationOptions"]

#: Flaws that images can be given.
ARTEFACTS = {
    "trail": "a satellite trail in one exposure, not flagged",
    "cosmics": "cosmic rays, half of them flagged",
    "saturation": "a bright star that saturates, with bleed trails",
    "amplifier": "a dead amplifier in one exposure",
    "gap": "one exposure per band in which a gap between CCDs crosses the field",
}

_MIN_SIZE, _MAX_SIZE = 100, 3600

#: Raised whenever the same options give other files.
_FORMAT = 1


@dataclass(frozen=True)
class SimulationOptions:
    """Options of a mock survey; the same options give the same files.

    Attributes
    ----------
    seed : int
        Of all random numbers.
    ra, dec : float
        A position in the brick that is simulated [deg].
    cameras : tuple of str
        "decam", "mosaic", "90prime".
    bands : tuple of str
        Of "g", "r", "i", "z". Every camera takes exposures in those of them that it has filters for.
    exposures : int
        Per camera and band.
    depth : float
        Magnitudes by which an exposure is deeper than a typical one of the surveys.
    seeing : float or None
        Median FWHM [arcsec]; None: what is typical of the camera.
    width, height : int
        Size of the field, in the middle of the brick [brick pixels].
    density : float
        Number of sources, in units of that of the sky.
    blends : float
        Fraction of the sources brighter than 23 that get a close companion.
    artefacts : tuple of str
        Of `ARTEFACTS`.
    large_galaxy : bool
        Put a galaxy into the field that is in the catalogue of large galaxies.
    wise : bool
        Write unWISE images.
    noisy_weights : bool
        DECam weight maps hold the noise of the image itself, as the Community Pipeline's do. False: the expected
        noise.
    full_brick : bool
        Whole CCDs that cover the whole brick.
    """

    seed: int = 1
    ra: float = 180.0
    dec: float = 33.0
    cameras: tuple[str, ...] = ("decam",)
    bands: tuple[str, ...] = ("g", "r", "z")
    exposures: int = 3
    depth: float = 0.0
    seeing: float | None = None
    width: int = 400
    height: int = 400
    density: float = 1.0
    blends: float = 0.05
    artefacts: tuple[str, ...] = ("trail", "cosmics", "saturation")
    large_galaxy: bool = True
    wise: bool = True
    noisy_weights: bool = True
    full_brick: bool = False

    def __post_init__(self) -> None:
        for name in ("cameras", "bands", "artefacts"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_names("cameras", INSTRUMENTS)
        self._check_names("bands", ("g", "r", "i", "z"))
        self._check_names("artefacts", ARTEFACTS, may_be_empty=True)
        for band in self.bands:
            if not any(band in INSTRUMENTS[camera].bands for camera in self.cameras):
                raise UsageError(f"--bands {band}: none of the cameras {', '.join(self.cameras)} has such a filter")
        if not (0 <= self.ra < 360 and -85 <= self.dec <= 85):
            raise UsageError(f"--radec {self.ra} {self.dec}: RA must be within 0 to 360, Dec within -85 to 85")
        for name, low, high in (
            ("exposures", 1, 1000),
            ("width", _MIN_SIZE, _MAX_SIZE),
            ("height", _MIN_SIZE, _MAX_SIZE),
            ("depth", -3, 5),
            ("density", 0, 20),
            ("blends", 0, 1),
            ("seeing", 0.3, 4),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"--{name} {value}: must be within {low} to {high}")

    def _check_names(self, name: str, known: Iterable[str], may_be_empty: bool = False) -> None:
        values = getattr(self, name)
        unknown = [value for value in values if value not in known]
        if unknown:
            raise UsageError(f"--{name}: {', '.join(unknown)} is not known; there are {', '.join(known)}")
        if not values and not may_be_empty:
            raise UsageError(f"--{name}: give at least one of {', '.join(known)}")

    def fingerprint(self) -> str:
        """Hexadecimal digest of the options and the version of the simulation."""
        values = {"format": _FORMAT, **dataclasses.asdict(self)}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
