"""Which part of a CCD covers a target image."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..survey.polygons import clip_polygon
from ..wcs import ImageWcs, TanWcs

__all__ = ["Region", "covering_region", "MIN_SIZE"]

#: Regions with fewer pixels along an axis are not used.
MIN_SIZE = 10

# A distortion moves a position by less than this many pixels and this fraction of its distance from the image.
_MOVED_PIXELS = 100.0
_MOVED_FRACTION = 0.1


class Region(NamedTuple):
    """A rectangle of CCD pixels, 0-based, half-open."""

    x0: int
    x1: int
    y0: int
    y1: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    @property
    def is_usable(self) -> bool:
        """True if it is large enough to work with."""
        return self.width >= MIN_SIZE and self.height >= MIN_SIZE

    def intersection(self, other: Region) -> Region:
        """The common part; may be empty (negative sizes)."""
        return Region(max(self.x0, other.x0), min(self.x1, other.x1), max(self.y0, other.y0), min(self.y1, other.y1))


def covering_region(wcs: ImageWcs, target_wcs: ImageWcs) -> Region | None:
    """Smallest rectangle of an image that covers its overlap with a target image.

    Parameters
    ----------
    wcs : wcs.ImageWcs
        Of the image.
    target_wcs : wcs.ImageWcs

    Returns
    -------
    Region or None
        None if they do not overlap.
    """
    w, h = wcs.width, wcs.height
    corners = _target_corners(wcs, target_wcs)
    if not np.all(np.isfinite(corners)):  # a target that reaches behind the tangent plane
        return Region(0, w, 0, h)
    part = clip_polygon([(0, 0), (0, h - 1), (w - 1, h - 1), (w - 1, 0)], corners)
    if len(part) == 0:
        return None
    (xlo, ylo), (xhi, yhi) = part.min(axis=0), part.max(axis=0)
    x0, x1 = (min(max(int(v), 0), w - 1) for v in (math.floor(xlo), math.ceil(xhi)))
    y0, y1 = (min(max(int(v), 0), h - 1) for v in (math.floor(ylo), math.ceil(yhi)))
    return Region(x0, x1 + 1, y0, y1 + 1)


def _target_corners(wcs: ImageWcs, target_wcs: ImageWcs) -> NDArray[np.float64]:
    """The target's corner pixels in image pixels, (4, 2)."""
    tw, th = target_wcs.width - 1.0, target_wcs.height - 1.0
    ra, dec = target_wcs.pixel_to_sky(np.array([0.0, tw, tw, 0.0]), np.array([0.0, 0.0, th, th]))
    exact = np.column_stack(wcs.sky_to_pixel(ra, dec))
    plain = np.column_stack(TanWcs(wcs.crval, wcs.crpix, wcs.cd, wcs.width, wcs.height).sky_to_pixel(ra, dec))
    # Far outside its image a distortion polynomial may have no inverse, or fold the plane over.
    moved = np.hypot(*(exact - plain).T)
    far = np.hypot(*(plain - (wcs.width / 2, wcs.height / 2)).T)
    trusted = moved <= _MOVED_PIXELS + _MOVED_FRACTION * far
    return np.where(trusted[:, np.newaxis], exact, plain)
