"""Which part of a CCD covers a target image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..survey.polygons import clip_polygon
from ..wcs import ImageWcs, TanWcs, great_circle_distance

__all__ = ["Region", "check_place", "covering_region", "MIN_SIZE"]

#: Regions with fewer pixels along an axis are not used.
MIN_SIZE = 10

#: The centre of a CCD in its own header and in the CCD table: pixels, and half diagonals, that may lie between.
_PLACE_PIXELS = 100.0
_PLACE_DIAGONALS = 0.5

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


def check_place(wcs: ImageWcs, ccd: Mapping[str, Any], name: str) -> None:
    """Check that an image is where the CCD table says.

    Parameters
    ----------
    wcs : wcs.ImageWcs
        Of the whole CCD.
    ccd : mapping
        Row of the CCD table.
    name : str
        For messages.

    Raises
    ------
    InputError
        If its centre is far away from there, or nowhere.
    """
    cd = [[float(ccd["cd1_1"]), float(ccd["cd1_2"])], [float(ccd["cd2_1"]), float(ccd["cd2_2"])]]
    crval, crpix = ((float(ccd[f"{c}1"]), float(ccd[f"{c}2"])) for c in ("crval", "crpix"))
    x, y = (wcs.width - 1) / 2.0, (wcs.height - 1) / 2.0
    tabulated = TanWcs(crval, crpix, cd, wcs.width, wcs.height)
    apart = float(great_circle_distance(*wcs.pixel_to_sky(x, y), *tabulated.pixel_to_sky(x, y)))
    allowed = (_PLACE_PIXELS + _PLACE_DIAGONALS * math.hypot(wcs.width, wcs.height) / 2) * tabulated.pixel_scale / 3600
    if not apart <= allowed:
        raise InputError(f"{name}: its header puts it {apart:.4g} degrees from where the CCD table does")


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
    finite = np.isfinite(corners)
    if not finite.any():  # the target lies behind the tangent plane
        return None
    if not finite.all():  # it reaches behind it
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
