"""Units and time conversions used everywhere: nanomaggies, magnitudes, Julian years.

Fluxes are nanomaggies (AB): ``mag = 22.5 - 2.5 log10(flux)``. Angles are degrees, sizes arcseconds unless a
name says otherwise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    pass

__all__ = [
    "FWHM_PER_SIGMA",
    "FWHM_PER_SIGMA_NEA",
    "GAUSSIAN_FWHM_PER_SIGMA",
    "SIGMA_PER_FWHM",
    "nanomaggies_to_mag",
    "mag_to_nanomaggies",
    "mjd_to_year",
    "utc_to_tai",
    "point_source_depth_mag",
]

#: FWHM of a Gaussian in units of its sigma: 2.35482...
GAUSSIAN_FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))
#: The same as the Legacy Surveys have it. Their value stays wherever a PSF or a seeing of an image is meant: with more
#: digits detection maps, fits and fiber fluxes would differ from theirs.
FWHM_PER_SIGMA = 2.35
SIGMA_PER_FWHM = 1.0 / FWHM_PER_SIGMA
#: The same as they have it for the noise-equivalent areas of blobs.
FWHM_PER_SIGMA_NEA = 2.3548


def nanomaggies_to_mag(flux: ArrayLike) -> NDArray[Any] | float:
    """AB magnitude of a flux in nanomaggies (NaN or inf for flux <= 0).

    Parameters
    ----------
    flux : array_like
        Nanomaggies.

    Returns
    -------
    numpy.ndarray or float
        Magnitudes.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return 22.5 - 2.5 * np.log10(flux)


def mag_to_nanomaggies(mag: ArrayLike) -> NDArray[np.float64]:
    """Flux in nanomaggies of an AB magnitude."""
    return 10.0 ** ((22.5 - np.asarray(mag, dtype=np.float64)) / 2.5)


def mjd_to_year(mjd: float) -> float:
    """Julian year of a Modified Julian Date (J2000.0 = MJD 51544.5)."""
    return 2000.0 + (mjd - 51544.5) / 365.25


def utc_to_tai(mjd_utc: float) -> float:
    """Convert a UTC Modified Julian Date to TAI (adds the leap seconds, 37 s since 2017).

    Parameters
    ----------
    mjd_utc : float
        MJD in UTC, e.g. a header's MJD-OBS.

    Returns
    -------
    float
        MJD in TAI.
    """
    from astropy.time import Time  # slow to import, and needed only when images are read

    return float(Time(mjd_utc, format="mjd", scale="utc").tai.mjd)


def point_source_depth_mag(detection_invvar: NDArray[np.float32]) -> NDArray[np.float32]:
    """5-sigma depth in AB magnitudes of a detection inverse variance (1/nanomaggies^2); 0 where it is 0."""
    detection_invvar = np.asarray(detection_invvar)
    with np.errstate(divide="ignore", invalid="ignore"):
        mag = -2.5 * (np.log10(5.0 / np.sqrt(detection_invvar)) - 9.0)
    return np.where(np.isfinite(mag), mag, 0.0)
