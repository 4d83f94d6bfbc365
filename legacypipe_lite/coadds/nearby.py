"""Which sources of a catalogue may reach into an image: a quick test before they are rendered."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..models import Source, Tim
from . import nearby_kernels as kernels

__all__ = ["SourceExtents"]

#: Sources are taken to reach so many times as far as their patches do, and so many pixels farther.
_RESERVE, _RESERVE_PIXELS = 2.0, 10.0
#: How far a star may be from its catalogue position [arcsec].
_MOTION = 300.0


@dataclass(frozen=True)
class SourceExtents:
    """Positions and sizes of the sources of a catalogue; arrays with one value per row.

    Attributes
    ----------
    ra, dec : numpy.ndarray of float64
        Degrees; NaN for rows without a source.
    extent : numpy.ndarray of float64
        How far a source reaches from there, apart from the PSF [arcsec].
    """

    ra: np.ndarray
    dec: np.ndarray
    extent: np.ndarray

    @classmethod
    def from_sources(cls, sources: Sequence[Source | None]) -> Self:
        """Of a list of `Source` or None."""
        ra, dec, extent = np.full((3, len(sources)), np.nan)
        for row, source in enumerate(sources):
            if source is None:
                continue
            ra[row], dec[row] = source.ra, source.dec
            extent[row] = source.extent + (_MOTION if source.motion is not None else 0.0)
        return cls(ra, dec, extent)

    def rows_near(self, tim: Tim) -> NDArray[np.integer]:
        """Rows whose source may have pixels on an image; some of them have none.

        Parameters
        ----------
        tim : Tim

        Returns
        -------
        numpy.ndarray of int
        """
        height, width = tim.shape
        psf_reach = _RESERVE * math.hypot(*tim.psf.stamp_shape) / 2 + _RESERVE_PIXELS
        near = np.empty(len(self.ra), bool)
        kernels.may_touch(tim.wcs.pack(), self.ra, self.dec, _RESERVE * self.extent, psf_reach, width, height, near)
        return np.flatnonzero(near)
