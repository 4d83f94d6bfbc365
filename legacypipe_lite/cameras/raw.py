"""Pixels of a CCD before calibration, and why there may be none."""

from dataclasses import dataclass

import numpy as np

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

    image: np.ndarray
    dq: np.ndarray
    invvar: np.ndarray
    region: Region
    primary_header: dict
    header: dict

    def cut(self, y: slice, x: slice) -> None:
        """Keep the slices `y`, `x` only."""
        parts = (array[y, x] for array in (self.image, self.dq, self.invvar))
        self.image, self.dq, self.invvar = (np.ascontiguousarray(part) for part in parts)
        r = self.region
        self.region = Region(r.x0 + x.start, r.x0 + x.stop, r.y0 + y.start, r.y0 + y.stop)
