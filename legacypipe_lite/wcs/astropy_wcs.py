"""Any celestial WCS that astropy reads, as TAN or TAN-SIP.

SIP polynomials in pixels around a tangent point of one's own choice can follow every smooth map from an image to the
sky. They are fitted to astropy's positions on Chebyshev nodes and checked on a finer grid.
"""

import logging
import warnings

import numpy as np

from ..errors import InputError
from .base import great_circle_distance
from .projection_kernels import sky_to_plane
from .sip import MAX_ORDER, SipWcs
from .tan import TanWcs

__all__ = ["TOLERANCE", "wcs_from_astropy"]

logger = logging.getLogger(__name__)

#: Largest error of an approximation [pixel].
TOLERANCE = 1e-3
#: Errors below this need no higher order.
_GOOD_ENOUGH = 1e-5
#: The same WCS in other words.
_EXACT = 1e-6
_MARGIN = 16.0  # pixels around the image
_NODES, _CHECKS = 24, 41

_FRAMES = {
    ("GLON", "GLAT"): "Galactic",
    ("ELON", "ELAT"): "BarycentricMeanEcliptic",
    ("SLON", "SLAT"): "Supergalactic",
}


def wcs_from_astropy(cards, size, filename):
    """The WCS of a header, read by astropy.

    Parameters
    ----------
    cards : WcsCards
    size : (int, int)
        Width and height of the image.
    filename : str
        Named in messages.

    Returns
    -------
    TanWcs or SipWcs

    Raises
    ------
    InputError
        If astropy cannot read it, it is no celestial WCS or in a system that is not supported, or no polynomial
        approximates it.
    """
    sky = _Sky(cards, filename)
    wcs = _turned_tan(sky, cards, size, filename)
    if wcs is not None:
        return wcs
    wcs, error = _fitted(sky, size)
    name = "/".join(cards.ctype)
    if not error <= TOLERANCE:
        raise InputError(
            f"{filename}: WCS {name} is not supported on an image of {size[0]} x {size[1]} pixels: polynomials of order"
            f" {MAX_ORDER} differ from it by {error:.3g} pixel, more than {TOLERANCE:g}"
        )
    logger.info(
        "%s: WCS %s is approximated by polynomials of order %d; largest error %.1e pixel",
        filename,
        name,
        wcs.order,
        error,
    )
    return wcs


class _Sky:
    """ICRS positions of pixels, by astropy."""

    def __init__(self, cards, filename):
        from astropy.wcs import WCS

        self.filename, self.name = filename, "/".join(cards.ctype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about forms that are old, but legal
            try:
                self._wcs = WCS(_header(cards), naxis=2)
                self._wcs.wcs.set()
            except Exception as e:  # of many types, some of them not public
                raise InputError(f"{filename}: WCS {self.name} cannot be read ({_one_line(e)})") from None
        if self._wcs.wcs.lng < 0 or self._wcs.wcs.lat < 0:
            raise InputError(f"{filename}: WCS {self.name} is not supported: its two axes are not those of the sky")
        self._frame = self._sky_frame(cards)

    def _sky_frame(self, cards):
        """Astropy's frame of the positions; None for ICRS."""
        from astropy import coordinates
        from astropy.time import Time

        lng = self._wcs.wcs.lng
        kind = self._wcs.wcs.ctype[lng][:4].strip("-"), self._wcs.wcs.ctype[1 - lng][:4].strip("-")
        equinox = cards.numbers.get("EQUINOX")
        if kind in _FRAMES:
            frame = getattr(coordinates, _FRAMES[kind])
            if kind[0] == "ELON" and equinox is not None:
                return frame(equinox=Time(equinox, format="jyear"))
            return frame()
        system = cards.words.get("RADESYS", "")
        if kind == ("RA", "DEC"):
            if cards.is_icrs:
                return None
            system = system or ("FK4" if equinox < 1984.0 else "FK5")
            if system == "FK5":
                return coordinates.FK5(equinox=Time(equinox, format="jyear"))
            if system in ("FK4", "FK4-NO-E"):
                frame = coordinates.FK4 if system == "FK4" else coordinates.FK4NoETerms
                return frame(equinox=Time(1950.0 if equinox is None else equinox, format="byear"))
        raise InputError(f"{self.filename}: WCS {self.name} {system}: this system of coordinates is not supported")

    def positions(self, x, y, distorted=True):
        """RA, Dec [deg] of 0-based pixels (1-d arrays); NaN where there is none."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            convert = self._wcs.all_pix2world if distorted else self._wcs.wcs_pix2world
            try:
                world = convert(np.column_stack([x, y]), 0)
            except Exception as e:  # of many types, some of them not public
                raise InputError(f"{self.filename}: WCS {self.name} cannot be evaluated ({_one_line(e)})") from None
            lng = self._wcs.wcs.lng
            return self._icrs(world[:, lng], world[:, 1 - lng])

    def reference_point(self):
        """RA, Dec [deg] of the reference point."""
        crval, lng = self._wcs.wcs.crval, self._wcs.wcs.lng
        return tuple(float(v[0]) for v in self._icrs(np.array([crval[lng]]), np.array([crval[1 - lng]])))

    def _icrs(self, lon, lat):
        if self._frame is None:
            return lon % 360.0, lat
        from astropy import units
        from astropy.coordinates import SkyCoord

        good = np.isfinite(lon) & np.isfinite(lat)
        ra, dec = np.full(lon.shape, np.nan), np.full(lat.shape, np.nan)
        position = SkyCoord(lon[good] * units.deg, lat[good] * units.deg, frame=self._frame).icrs
        ra[good], dec[good] = position.ra.deg, position.dec.deg
        return ra, dec

    @property
    def is_tan(self):
        """It is a plain gnomonic projection (apart from SIP polynomials)."""
        ctype = [self._wcs.wcs.ctype[i].upper() for i in (0, 1)]
        # PV cards of the longitude are the native coordinates of the reference point.
        distorted = any(axis != self._wcs.wcs.lng + 1 for axis, _, _ in self._wcs.wcs.get_pv())
        return all("-TAN" in name for name in ctype) and not distorted


def _header(cards):
    """An astropy header of the cards."""
    from astropy.io.fits import Header

    header = Header()
    last = {key[:4]: key for key in sorted(cards.words) if key.startswith("WAT")}
    for key, value in cards.words.items():
        # A string of several cards may have blanks at the end of one.
        header[key] = value.ljust(68) if key.startswith("WAT") and key not in last.values() else value
    for key, value in cards.numbers.items():
        header[key] = int(value) if key.endswith("_ORDER") else value
    # Astropy evaluates SIP polynomials of both axes or of none.
    for name in ("A", "B"):
        if cards.has_sip and f"{name}_ORDER" not in header:
            header[f"{name}_ORDER"] = max([p + q for p, q in cards.sip(name)], default=1)
    return header


def _one_line(error):
    """The first line of an exception's text that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    wanted = [line for line in lines if not line.startswith("ERROR ")]
    return (wanted or lines or [type(error).__name__])[0]


# --- the same in other words


def _turned_tan(sky, cards, size, filename):
    """TAN or TAN-SIP whose plane is turned (LONPOLE, another system of coordinates); None if it is not such a WCS."""
    from .header import sip_polynomials

    if cards.has_sip:
        a, b = sip_polynomials(cards, filename)
    if not sky.is_tan:
        return None
    x, y = _grid(size, 8)
    crval = sky.reference_point()
    crpix = cards.numbers["CRPIX1"], cards.numbers["CRPIX2"]
    if abs(crval[1]) > 90.0:
        return None
    plane = _on_plane(crval, *sky.positions(x, y, distorted=False))
    if not np.all(np.isfinite(plane)):
        return None
    design = np.column_stack([x + 1.0 - crpix[0], y + 1.0 - crpix[1]])
    cd = np.linalg.lstsq(design, plane, rcond=None)[0].T
    if np.linalg.det(cd) == 0:
        return None
    wcs = SipWcs(crval, crpix, cd, *size, a, b) if cards.has_sip else TanWcs(crval, crpix, cd, *size)
    return wcs if _largest_error(wcs, sky) < _EXACT else None


# --- approximation


def _fitted(sky, size):
    """The best polynomial approximation, and its largest error [pixel] (infinite if there is none)."""
    width, height = size
    centre = (width - 1) / 2.0, (height - 1) / 2.0
    crval = tuple(float(v[0]) for v in sky.positions(*(np.array([c]) for c in centre)))
    x, y = _nodes(size)
    plane = _on_plane(crval, *sky.positions(x, y)) if np.all(np.isfinite(crval)) else np.full((1, 2), np.nan)
    if not np.all(np.isfinite(plane)):
        raise InputError(
            f"{sky.filename}: WCS {sky.name} gives no position, or one that is 90 degrees off, for a part of the image"
        )
    best, least = None, np.inf
    for order in range(1, MAX_ORDER + 1):
        wcs = _fit(crval, centre, size, x, y, plane, order)
        error = np.inf if wcs is None else _largest_error(wcs, sky)
        if error < least:
            best, least = wcs, error
        if least < _GOOD_ENOUGH:
            break
    return best, least


def _fit(crval, centre, size, x, y, plane, order):
    """Polynomials of one order; the linear terms become the CD matrix."""
    scale = max(size) / 2.0
    u, v = (x - centre[0]) / scale, (y - centre[1]) / scale
    terms = [(n - q, q) for n in range(1, order + 1) for q in range(n + 1)]
    design = np.column_stack([u**p * v**q for p, q in terms])
    coefficients = np.linalg.lstsq(design, plane, rcond=None)[0]
    cd = coefficients[:2].T / scale
    if not np.all(np.isfinite(cd)) or np.linalg.det(cd) == 0:
        return None
    in_pixels = np.linalg.solve(cd, coefficients.T)
    a, b = ({t: row[i] / scale ** sum(t) for i, t in enumerate(terms) if sum(t) > 1} for row in in_pixels)
    return SipWcs(crval, (centre[0] + 1.0, centre[1] + 1.0), cd, *size, a, b)


def _nodes(size):
    """Chebyshev nodes over the image and its margin."""
    t = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    axes = [(n - 1) / 2.0 + ((n - 1) / 2.0 + _MARGIN) * t for n in size]
    return tuple(a.ravel() for a in np.meshgrid(*axes))


def _grid(size, n):
    return tuple(a.ravel() for a in np.meshgrid(*(np.linspace(0, length - 1, n) for length in size)))


def _on_plane(crval, ra, dec):
    """Positions on the gnomonic plane [deg]; (n, 2)."""
    return np.array([sky_to_plane(crval[0], crval[1], float(a), float(d)) for a, d in zip(ra, dec)]).reshape(-1, 2)


def _largest_error(wcs, sky):
    """Largest distance [pixel] between the positions of a WCS and astropy's, over the image."""
    x, y = _grid((wcs.width, wcs.height), _CHECKS)
    ra, dec = sky.positions(x, y)
    off = 3600.0 * great_circle_distance(ra, dec, *wcs.pixel_to_sky(x, y)) / wcs.pixel_scale
    return np.inf if not np.all(np.isfinite(off)) else float(off.max())
