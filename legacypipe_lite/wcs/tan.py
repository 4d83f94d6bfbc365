"""Gnomonic (TAN) WCS, and the target grid of a brick."""

import numpy as np

from . import projection_kernels as kernels
from .base import ImageWcs

__all__ = ["TanWcs", "plane_to_sky", "target_wcs"]


class TanWcs(ImageWcs):
    """Plain gnomonic projection."""


def target_wcs(
    ra: float, dec: float, width: int, height: int, pixscale: float, zoom: tuple[int, int, int, int] | None = None
) -> TanWcs:
    """TAN grid of a brick: East left, North up, centred on (ra, dec).

    Parameters
    ----------
    ra, dec : float
        Centre of the full grid [deg].
    width, height : int
        Size of the full grid in pixels.
    pixscale : float
        Pixel scale [arcsec].
    zoom : (x0, x1, y0, y1), optional
        Half-open sub-window of the full grid, in its pixels.

    Returns
    -------
    TanWcs
    """
    s = pixscale / 3600.0
    full = TanWcs((ra, dec), (width / 2.0 + 0.5, height / 2.0 + 0.5), [[-s, 0.0], [0.0, s]], width, height)
    if zoom is None:
        return full
    x0, x1, y0, y1 = zoom
    return full.subimage(x0, y0, x1 - x0, y1 - y0)


def plane_to_sky(ra0, dec0, xi, eta):
    """RA, Dec of points of tangent planes, each with its own tangent point.

    Parameters
    ----------
    ra0, dec0 : array_like
        Tangent points [deg].
    xi, eta : array_like
        Coordinates to the East and the North [deg]; all arguments are broadcast against each other.

    Returns
    -------
    ra, dec : numpy.ndarray of float64
        Degrees, RA in [0, 360).
    """
    arrays = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (ra0, dec0, xi, eta)))
    sky = np.array([kernels.plane_to_sky(*point) for point in zip(*(a.ravel().tolist() for a in arrays))])
    return tuple(sky.reshape(-1, 2).T.reshape(2, *arrays[0].shape))
