"""Are the stars of Gaia where an image has them?"""

import math

import numpy as np

from .findings import ODD, Finding

__all__ = ["astrometry_findings"]

_REACH = 12.0  # arcsec: larger offsets are not found
_BIN = 0.5  # arcsec
_FAINTEST = 20.5
_MIN_STARS = 4
#: Pairs in the peak, over what chance puts there, and over the stars of Gaia, from which on it is believed.
_MIN_EXCESS, _MIN_FRACTION = 4.0, 0.3
_LARGEST_OFFSET = 0.3  # arcsec
_DETECTION = 10.0  # sigma


def astrometry_findings(name: str, tim, stars) -> list[Finding]:
    """What looks wrong about the WCS of an image.

    Parameters
    ----------
    name : str
    tim : models.Tim
    stars : Table or None
        Gaia stars around the image: ra, dec, pmra, pmdec, ref_epoch, mag. None: nothing can be said.

    Returns
    -------
    list of Finding
    """
    if stars is None or len(stars) == 0:
        return []
    x, y = _star_pixels(tim, stars)
    h, w = tim.shape
    with np.errstate(invalid="ignore"):
        inside = (x > 0) & (x < w - 1) & (y > 0) & (y < h - 1) & (np.asarray(stars["mag"]) < _FAINTEST)
    x, y = x[inside], y[inside]
    found = _detected(tim)
    if len(x) < _MIN_STARS or len(found) < _MIN_STARS:
        return []
    scale = tim.wcs.pixel_scale
    dx = (found[:, 0][:, np.newaxis] - x).ravel() * scale
    dy = (found[:, 1][:, np.newaxis] - y).ravel() * scale
    near = np.hypot(dx, dy) < _REACH
    offset, number, chance = _peak(dx[near], dy[near])
    if number < max(_MIN_STARS, chance * _MIN_EXCESS) or number < _MIN_FRACTION * len(x):
        text = (
            f"only {number} of {len(x)} Gaia stars are found within {_REACH:.0f} arcsec of one common offset: is its"
            " WCS right?"
        )
        return [Finding(ODD, name, text)]
    if math.hypot(*offset) > _LARGEST_OFFSET:
        text = f"its stars are {math.hypot(*offset):.2f} arcsec from those of Gaia ({number} stars): its WCS is off"
        return [Finding(ODD, name, text)]
    return []


def _star_pixels(tim, stars):
    """Positions of stars on the image at its date."""
    years = 2000.0 + (tim.mjd_tai - 51544.5) / 365.25 - np.asarray(stars["ref_epoch"], float)
    dec = np.asarray(stars["dec"], float) + years * np.asarray(stars["pmdec"], float) / 3.6e6
    ra = np.asarray(stars["ra"], float) + years * np.asarray(stars["pmra"], float) / 3.6e6 / np.cos(np.deg2rad(dec))
    with np.errstate(invalid="ignore"):
        return tim.wcs.sky_to_pixel(ra, dec)


def _detected(tim):
    """Pixel positions (n, 2) of what sep finds; saturated pixels count, so that bright stars are found, too."""
    import sep

    masked = (tim.inverr == 0) & (tim.dq == 0)
    image = np.ascontiguousarray(tim.image, np.float32)
    image = np.where(np.isfinite(image), image, 0).astype(np.float32)
    background = sep.Background(image, mask=masked)
    try:
        objects = sep.extract(image - background.back(), _DETECTION, err=background.globalrms, mask=masked, minarea=5)
    except Exception:  # sep gives up on crowded fields with a plain Exception
        return np.zeros((0, 2))
    return np.column_stack([objects["x"], objects["y"]])


def _peak(dx, dy):
    """The most frequent offset [arcsec], the number of pairs there, and how many of them are there by chance."""
    edges = np.arange(-_REACH, _REACH + _BIN / 2, _BIN)
    counts, _, _ = np.histogram2d(dx, dy, bins=(edges, edges))
    i, j = np.unravel_index(np.argmax(counts), counts.shape)
    centre = edges[i] + _BIN / 2, edges[j] + _BIN / 2
    for _ in range(2):
        close = np.hypot(dx - centre[0], dy - centre[1]) < 2 * _BIN
        if not close.any():
            return centre, 0, 0.0
        centre = float(np.median(dx[close])), float(np.median(dy[close]))
    return centre, int(close.sum()), max(0.0, len(dx) - close.sum()) * (2 * _BIN / _REACH) ** 2
