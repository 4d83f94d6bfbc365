"""Pixels of a CCD before calibration, and why there may be none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .extent import Region

__all__ = ["RawImage", "UnusableImage"]


class UnusableImage(InputError):  # noqa: N818 - says what the image is
    """A CCD gives no image for this target.

    Attributes
    ----------
    expected : bool
        True if nothing is wrong: the CCD does not reach into the target.
    """

    def __init__(self, reason: str, expected: bool = False) -> None:
        super().__init__(reason)
        self.expected = expected


@dataclass
class RawImage:
    """Pixels of a region of a CCD before calibration.

    Attributes
    ----------
    image : numpy.ndarray of float32, shape (h, w)
        Counts or counts/s, sky included; a sky template is subtracted.
    dq : numpy.ndarray of uint16, shape (h, w)
        Bits of `bits.DQ`.
    invvar : numpy.ndarray of float32, shape (h, w)
        In the units of the image; 0 = masked.
    region : extent.Region
        In the CCD.
    primary_header, header : mapping
        Of the image file.
    """

    image: NDArray[np.float32]
    dq: NDArray[np.uint16]
    invvar: NDArray[np.float32]
    region: Region
    primary_header: Mapping[Any, Any]
    header: Mapping[Any, Any]

    def cut(self, y: slice, x: slice) -> None:
        """Keep the slices `y`, `x` only."""
        self.image = np.ascontiguousarray(self.image[y, x])
        self.dq = np.ascontiguousarray(self.dq[y, x])
        self.invvar = np.ascontiguousarray(self.invvar[y, x])
        r = self.region
        self.region = Region(r.x0 + x.start, r.x0 + x.stop, r.y0 + y.start, r.y0 + y.stop)
