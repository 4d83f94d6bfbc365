"""Sky geometry of the reference room: margins around an image, matching of positions."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ..wcs import ImageWcs, TanWcs

__all__ = ["angular_radius", "centre", "grown_tangent_wcs", "nearest_within", "shifted"]

_MAS_PER_DEGREE = 3.6e6


def centre(wcs: ImageWcs) -> tuple[float, float]:
    """RA, Dec [deg] of the centre of an image."""
    return wcs.pixel_to_sky((wcs.width - 1) / 2.0, (wcs.height - 1) / 2.0)


def angular_radius(wcs: ImageWcs) -> float:
    """Radius [deg] of the circle around an image, by its nominal pixel scale."""
    return wcs.pixel_scale / 3600.0 * np.hypot(wcs.width, wcs.height) / 2.0


def grown_tangent_wcs(wcs: ImageWcs, margin: int) -> TanWcs:
    """Plain TAN WCS of an image, grown by `margin` pixels on all sides.

    A distortion polynomial means nothing far outside its image, so a distorted WCS is replaced by the tangent
    plane at the image's centre.
    """
    if isinstance(wcs, TanWcs):
        plain = wcs
    else:
        x, y = (wcs.width - 1) / 2.0, (wcs.height - 1) / 2.0
        plain = TanWcs(wcs.pixel_to_sky(x, y), (x + 1.0, y + 1.0), wcs.local_jacobian(x, y), wcs.width, wcs.height)
    return plain.subimage(-margin, -margin, wcs.width + 2 * margin, wcs.height + 2 * margin)


def _unit_vectors(ra, dec):
    a, d = np.deg2rad(np.asarray(ra, float)), np.deg2rad(np.asarray(dec, float))
    return np.column_stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


def nearest_within(
    ra: ArrayLike, dec: ArrayLike, ra_catalog: ArrayLike, dec_catalog: ArrayLike, radius: float
) -> NDArray[np.integer]:
    """For each position, the nearest one of a catalogue.

    Parameters
    ----------
    ra, dec : array_like
        Degrees.
    ra_catalog, dec_catalog : array_like
    radius : float
        Largest distance [arcsec].

    Returns
    -------
    numpy.ndarray of int
        Row of the catalogue, or -1 where none is that near.
    """
    if np.size(ra) == 0 or np.size(ra_catalog) == 0:
        return np.full(np.size(ra), -1)
    chord = 2.0 * np.sin(np.deg2rad(radius / 3600.0) / 2.0)
    tree = cKDTree(_unit_vectors(ra_catalog, dec_catalog))
    _, index = tree.query(_unit_vectors(ra, dec), distance_upper_bound=chord)
    return np.where(index < np.size(ra_catalog), index, -1)


def shifted(ra: Any, dec: Any, pmra: Any, pmdec: Any, years: Any) -> tuple[Any, Any]:
    """Positions [deg] moved by their proper motions [mas/yr; pmra includes cos Dec] over some years."""
    ra1 = ra + years * pmra / _MAS_PER_DEGREE / np.cos(np.deg2rad(dec))
    return ra1, dec + years * pmdec / _MAS_PER_DEGREE
