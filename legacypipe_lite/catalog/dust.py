"""Galactic reddening from the SFD98 maps, and what it does to fluxes.

Schlegel, Finkbeiner & Davis 1998, ApJ 500, 525; coefficients for a 7000 K star after Schlafly & Finkbeiner 2011.
"""

import math
from pathlib import Path

import fitsio
import numpy as np

from ..errors import InputError

__all__ = ["EXTINCTION", "WISE_EXTINCTION", "dust_map_files", "reddening", "galactic", "transmission"]

#: A / E(B-V) of the optical bands (DECam; used for all cameras).
EXTINCTION = {"u": 3.995, "g": 3.214, "r": 2.165, "i": 1.592, "z": 1.211, "Y": 1.064}

#: A / E(B-V) of the WISE bands.
WISE_EXTINCTION = {"w1": 0.184, "w2": 0.113, "w3": 0.0241, "w4": 0.00910}

_FILES = {1: "SFD_dust_4096_ngp.fits", -1: "SFD_dust_4096_sgp.fits"}

# Galactic pole and the position angle of the celestial pole from it (J2000, Hipparcos vol. 1, sec. 1.5.3).
_POLE_RA, _POLE_DEC = math.radians(192.85948), math.radians(27.12825)
_L_OF_CELESTIAL_POLE = math.radians(122.93192)


def dust_map_files(dust_dir):
    """The two map files below a folder like $DUST_DIR.

    Parameters
    ----------
    dust_dir : str or Path

    Returns
    -------
    dict of int -> Path
        1: northern, -1: southern Galactic hemisphere.

    Raises
    ------
    InputError
        If one of them is missing.
    """
    paths = {sign: Path(dust_dir) / "maps" / name for sign, name in _FILES.items()}
    for path in paths.values():
        if not path.is_file():
            raise InputError(f"{path} is missing: DUST_DIR must name the folder that holds maps/{path.name}")
    return paths


def galactic(ra, dec):
    """Galactic longitude and latitude [rad] of equatorial positions [deg] (J2000)."""
    ra, dec = np.radians(ra), np.radians(dec)
    sin_b = np.sin(dec) * math.sin(_POLE_DEC) + np.cos(dec) * math.cos(_POLE_DEC) * np.cos(ra - _POLE_RA)
    east = np.cos(dec) * np.sin(ra - _POLE_RA)
    north = np.sin(dec) * math.cos(_POLE_DEC) - np.cos(dec) * math.sin(_POLE_DEC) * np.cos(ra - _POLE_RA)
    return np.mod(_L_OF_CELESTIAL_POLE - np.arctan2(east, north), 2 * math.pi), np.arcsin(np.clip(sin_b, -1, 1))


def reddening(ra, dec, dust_dir):
    """E(B-V) at sky positions, bilinear in the SFD98 maps.

    Parameters
    ----------
    ra, dec : array_like
        Degrees.
    dust_dir : str or Path
        Folder with ``maps/SFD_dust_4096_ngp.fits`` and ``..._sgp.fits``.

    Returns
    -------
    numpy.ndarray of float32
        Magnitudes.

    Raises
    ------
    InputError
        If a map is missing or damaged.
    """
    paths = dust_map_files(dust_dir)
    longitude, latitude = galactic(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    ebv = np.zeros(longitude.shape, np.float32)
    for sign, path in paths.items():
        rows = (latitude >= 0) if sign == 1 else (latitude < 0)
        if rows.any():
            root = np.sqrt(1 - sign * np.sin(latitude[rows]))
            x = 2048 * root * np.cos(longitude[rows]) + 2047.5
            y = -2048 * sign * root * np.sin(longitude[rows]) + 2047.5
            ebv[rows] = _bilinear(_read_map(path), x, y)
    return ebv


def _read_map(path):
    try:
        values = fitsio.read(str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if values is None or values.ndim != 2:
        raise InputError(f"{path} is not a dust map: it holds no image")
    return values


def _bilinear(values, x, y):
    """Bilinear interpolation; where one of two neighbours is exactly 0 (no data), the other one alone counts."""
    height, width = values.shape
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - x0, y - y0
    xs = [np.clip(x0 + i, 0, width - 1) for i in (0, 1)]
    rows = []
    for i in (0, 1):
        row = np.clip(y0 + i, 0, height - 1)
        rows.append(_mix(values[row, xs[0]].astype(np.float64), values[row, xs[1]].astype(np.float64), fx))
    return _mix(rows[0], rows[1], fy)


def _mix(a, b, fraction):
    return np.where(a == 0, b, np.where(b == 0, a, a * (1 - fraction) + b * fraction))


def transmission(ebv, coefficient):
    """Fraction of the light that passes, 10^(-0.4 A), with A = coefficient * E(B-V); float32."""
    return (10.0 ** (-0.4 * coefficient * np.asarray(ebv, np.float64))).astype(np.float32)
