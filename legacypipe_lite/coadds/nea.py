"""Noise-equivalent area of the sources in the stacked images of a band."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..models import Tim
from ..units import FWHM_PER_SIGMA_NEA
from .tim_models import Footprints

__all__ = ["noise_equivalent_areas"]

_SIGMA_PER_FWHM = 1 / FWHM_PER_SIGMA_NEA


def noise_equivalent_areas(
    tims: Sequence[Tim], footprints: Sequence[Footprints], psfdepth: NDArray[np.float32], psfsize: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    """Noise-equivalent areas of all sources in one band.

    Parameters
    ----------
    tims : list of Tim
        The images of the band.
    footprints : list of Footprints
        Image by image, in the same order.
    psfdepth, psfsize : numpy.ndarray of float32, shape (rows,)
        Depth [1/nanomaggies^2] and PSF FWHM [arcsec] at the sources.

    Returns
    -------
    nea, blob_nea : numpy.ndarray of float32, shape (rows,)
        arcsec^2; 0 where there is none. `blob_nea` takes only the pixels of the source's blob into account.
    """
    psfdepth, psfsize = np.asarray(psfdepth, np.float64), np.asarray(psfsize, np.float64)
    numerator, denominator, blob_sum = np.zeros((3, len(psfdepth)))
    for tim, footprint in zip(tims, footprints):
        iv = 1.0 / tim.sig1**2
        seen = footprint.nea != 0
        weight = iv * footprint.fraction_in[seen]
        numerator[seen] += weight / (footprint.nea[seen] * tim.ccd.pixscale**2)
        denominator[seen] += weight
        seen = footprint.blob_nea != 0
        blob_sum[seen] += iv / footprint.blob_nea[seen]
    with np.errstate(divide="ignore", invalid="ignore"):
        nea = denominator / numerator
        blob_nea = psfdepth * 4 * math.pi * (psfsize * _SIGMA_PER_FWHM) ** 2 / blob_sum
    return tuple(np.where(np.isfinite(a), a, 0.0).astype(np.float32) for a in (nea, blob_nea))
