"""WISE point spread functions at the position of an unWISE tile.

The PSF models (data of the ``unwise_psf`` package, Meisner & Schlafly) hold the PSF of one scan direction, with
ecliptic North up. A tile's coadds contain both scan directions, turned by the angle between ecliptic and equatorial
North and smeared by the change of this angle over a tile. Without these data, built-in profiles stand in.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from ..errors import InputError
from ..tables import open_fits, short_message
from . import psf_kernels as kernels
from .psf_tables import HARMONIC_RADII, HARMONICS, RADIAL_PROFILES, RADII

__all__ = ["PsfModels", "TilePsf", "psf_paths", "scan_angles"]

logger = logging.getLogger(__name__)

_FILES = {
    1: "psf_model_w1_neo6_unwisecat.fits",
    2: "psf_model_w2_neo6_unwisecat.fits",
    3: "psf_model_w3.fits",
    4: "psf_model_w4.fits",
}
#: Sum of the PSF image: fluxes of unWISE coadds come out on the scale of the AllWISE catalogue.
_SUM = {1: 1.04, 2: 1.005, 3: 1.0, 4: 1.0}

_OBLIQUITY = math.radians(23 + 26 / 60 + 21.448 / 3600)
_HALF_TILE = 1016 * 2.754 / 3600  # degrees

#: Inside this radius [model pixel] the model is interpolated twice, on a polar grid, as `unwise_psf` does.
_CORE = 20.0
_POLAR_MARGIN = 8.0
_HALF_TURN_NODES = 200
#: Angles over which the smearing is integrated (Gauss-Legendre); 2 are exact to 1e-8 of the peak.
_SMEARING_NODES = 2
_MARGIN = 6


#: Width [pixel] over which the harmonics of the profiles fade.
_TAPER = 2.0


@dataclass(frozen=True)
class TilePsf:
    """PSF of one band in one tile.

    Attributes
    ----------
    image : numpy.ndarray of float32, shape (n, n)
        n odd, centred on the central pixel, in pixels of the coadds (2.75 arcsec). It sums to 1.04 (W1), 1.005
        (W2) or 1.
    norm : float
        sqrt(sum of squares): the signal-to-noise ratio of a flux in units of the pixel noise.
    """

    image: np.ndarray
    norm: float


class PsfModels:
    """The PSF models of the four bands.

    Parameters
    ----------
    folder : str or Path or None
        Folder with the data of ``unwise_psf``. Bands without a readable file there have built-in
        profiles.

    Attributes
    ----------
    images : dict of int -> numpy.ndarray of float64
        Band -> model, made symmetric. Bands with built-in profiles are not in it.
    problems : list of str
        Damaged files.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.images = {}
        self.problems: list[str] = []
        if folder is None:
            return
        for band, path in psf_paths(folder).items():
            if not path.exists():
                continue
            try:
                self.images[band] = _read_model(path)
            except InputError as error:
                self.problems.append(str(error))

    @property
    def kind(self) -> str:
        """What the PSFs are made from, for the header."""
        if not self.images:
            return "built-in profiles"
        others = [f"W{band}" for band in _FILES if band not in self.images]
        return "unwise_psf" + (f"; built-in profiles: {','.join(others)}" if others else "")

    def at(self, band: int, ra: float, dec: float) -> TilePsf:
        """PSF of a tile.

        Parameters
        ----------
        band : int
        ra, dec : float
            Centre of the tile [deg].

        Returns
        -------
        TilePsf
        """
        if band not in self.images:
            image = _profile_image(band, scan_angles(ra, dec)[0])
        else:
            image = _turned(self.images[band], *scan_angles(ra, dec))
            if band == 4:
                image = _oversampled(image)
            image *= _SUM[band] / image.sum(dtype=np.float64)
        image = image.astype(np.float32)
        return TilePsf(image, float(np.sqrt(np.sum(image * image, dtype=np.float64))))


def psf_paths(folder: str | Path) -> dict[int, Path]:
    """Band -> path of its PSF model in a folder."""
    return {band: Path(folder) / name for band, name in _FILES.items()}


def scan_angles(ra: float, dec: float) -> tuple[float, float]:
    """Position angle of ecliptic North at a position, and how much the scans' angles spread over a tile there.

    Parameters
    ----------
    ra, dec : float
        Degrees.

    Returns
    -------
    angle, spread : float
        Degrees; the angle is counted from +y towards -x (East of North).
    """
    ra, dec = math.radians(ra), math.radians(dec)
    sin_beta = math.sin(dec) * math.cos(_OBLIQUITY) - math.cos(dec) * math.sin(_OBLIQUITY) * math.sin(ra)
    beta = math.asin(min(max(sin_beta, -1.0), 1.0))
    # Direction of the ecliptic pole in the local frame of East and North.
    east = -math.sin(_OBLIQUITY) * math.cos(ra)
    north = math.cos(_OBLIQUITY) * math.cos(dec) + math.sin(_OBLIQUITY) * math.sin(ra) * math.sin(dec)
    spread = min(90.0, _HALF_TILE / max(math.cos(beta), 1e-9))
    return math.degrees(math.atan2(east, north)) % 360.0, spread


def _read_model(path):
    """A PSF model, made symmetric under half a turn: the two directions of scans."""
    with open_fits(path) as fits:
        try:
            image = np.asarray(fits[0].read(), np.float64)
        except (OSError, TypeError) as error:
            raise InputError(f"{path}: cannot be read ({short_message(error)})") from None
    if image.ndim != 2 or image.shape[0] != image.shape[1] or image.shape[0] % 2 == 0 or image.shape[0] < 65:
        raise InputError(f"{path}: a PSF model is a square image with an odd number of pixels, at least 65")
    if not np.isfinite(image).all() or image.sum() <= 0:
        raise InputError(f"{path}: the PSF model is not finite or has no positive sum")
    return (image + image[::-1, ::-1]) / 2


def _turned(image, angle, spread):
    """A model turned by an angle and smeared over a spread of angles [deg]."""
    nodes, weights = np.polynomial.legendre.leggauss(_SMEARING_NODES)
    angles = np.radians(angle + spread / 2 * nodes)
    weights = weights / 2
    padded = np.pad(image, _MARGIN, mode="edge")
    coefficients = ndimage.spline_filter(padded, order=4)
    n = image.shape[0]
    # The spacing of the radii is that of unwise_psf; interpolation between them is what changes the PSF a little.
    radii = np.linspace(-5, n // 2 * math.sqrt(2), 2 * n)
    radii = radii[radii < _CORE + _POLAR_MARGIN]
    angle_step = math.pi / _HALF_TURN_NODES
    node_angles = angle_step * np.arange(_HALF_TURN_NODES)[:, np.newaxis] + angles
    polar = np.empty((len(radii), _HALF_TURN_NODES))
    kernels.polar_samples(
        coefficients, n // 2 + _MARGIN, radii, np.cos(node_angles), np.sin(node_angles), weights, polar
    )
    polar = ndimage.spline_filter1d(polar, order=4, axis=0)
    polar = ndimage.spline_filter1d(polar, order=4, axis=1, mode="grid-wrap")
    polar = np.pad(polar, ((0, 0), (3, 3)), mode="wrap")
    out = np.empty_like(image)
    kernels.turned_image(
        coefficients, _MARGIN, angles, weights, polar, (radii[0], radii[1] - radii[0], angle_step), _CORE, out
    )
    return out


def _oversampled(image):
    """An image on pixels of half the size, n -> 2 n - 1, by Lanczos-3 interpolation."""
    taps = np.arange(-2.5, 0.0)
    weights = np.sinc(taps) * np.sinc(taps / 3)
    weights = (weights / (2 * weights.sum())).astype(np.float32)
    image = image.astype(np.float32)
    for _ in range(2):
        n = len(image)
        padded = np.concatenate([image[:1], image[:1], image, image[-1:], image[-1:]])
        out = np.empty((2 * n - 1, image.shape[1]), np.float32)
        out[::2] = image
        # The six weights are symmetric.
        out[1::2] = sum(w * (padded[k : k + n - 1] + padded[5 - k : 4 - k + n]) for k, w in enumerate(weights))
        image = np.ascontiguousarray(out.T)
    return image


def _profile_image(band, angle):
    """PSF image from profiles, turned by an angle [deg]; zero beyond the last radius."""
    half = int(RADII[-1])
    x = np.arange(-half, half + 1)
    radius = np.hypot(x[:, np.newaxis], x[np.newaxis, :])
    logarithm = PchipInterpolator(RADII, np.log(RADIAL_PROFILES[band]))
    image = np.where(radius <= half, np.exp(logarithm(np.minimum(radius, half))), 0.0)
    # Position angle of each pixel, from ecliptic North towards East (-x).
    theta = np.arctan2(-x[np.newaxis, :], x[:, np.newaxis]) - math.radians(angle)
    last = HARMONIC_RADII[-1] + _TAPER
    factor = np.ones_like(image)
    for order, amplitudes in HARMONICS.get(band, {}).items():
        for values, wave in zip(amplitudes, (np.cos(order * theta), np.sin(order * theta))):
            amplitude = PchipInterpolator([*HARMONIC_RADII, last], [*values, 0.0])
            factor += amplitude(np.minimum(radius, last)) * wave
    return image * factor
