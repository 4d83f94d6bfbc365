"""Gnomonic (TAN) WCS, and the target grid of a brick."""

from .base import ImageWcs

__all__ = ["TanWcs", "target_wcs"]


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
