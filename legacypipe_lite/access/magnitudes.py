"""Magnitudes of fluxes in nanomaggies, and back.

AB magnitudes have zero point 22.5; the asinh magnitudes are those of the Sloan Digital Sky Survey (Lupton, Gunn &
Szalay 1999, AJ 118, 1406).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ab_magnitude", "magnitude_error", "flux_of_magnitude", "depth_magnitude", "asinh_magnitude", "vega_to_ab"]

_ZERO_POINT = 22.5
#: Softening of the asinh magnitudes [nanomaggies].
_SOFTENING = {"u": 0.14, "g": 0.09, "r": 0.12, "i": 0.18, "z": 0.74}
#: AB - Vega of the WISE bands [mag].
_VEGA_TO_AB = {"W1": 2.699, "W2": 3.339, "W3": 5.174, "W4": 6.620}


def ab_magnitude(flux: ArrayLike, transmission: ArrayLike = 1.0) -> NDArray:
    """AB magnitude of a flux [nanomaggies]; NaN where the flux is not above 0.

    Parameters
    ----------
    flux : array_like
    transmission : array_like
        Galactic transmission (``mw_transmission_*``) by which the flux is divided.
    """
    flux = np.asarray(flux, float) / np.asarray(transmission, float)
    return _ZERO_POINT - 2.5 * np.log10(flux, out=np.full(flux.shape, np.nan), where=flux > 0)


def magnitude_error(flux: ArrayLike, flux_ivar: ArrayLike) -> NDArray:
    """Error of a magnitude from flux and inverse variance; NaN where either is not above 0."""
    flux, ivar = np.broadcast_arrays(np.asarray(flux, float), np.asarray(flux_ivar, float))
    good = (flux > 0) & (ivar > 0)
    product = np.where(good, flux * np.sqrt(np.where(good, ivar, 1)), np.nan)
    return 2.5 / np.log(10) / product


def flux_of_magnitude(magnitude: ArrayLike) -> NDArray:
    """Flux [nanomaggies] of an AB magnitude."""
    return 10 ** ((_ZERO_POINT - np.asarray(magnitude, float)) / 2.5)


def depth_magnitude(depth: ArrayLike, nsigma: float = 5.0) -> NDArray:
    """Magnitude at `nsigma` of a depth (inverse variance of a flux [1/nanomaggies^2]); NaN where it is not above 0."""
    depth = np.asarray(depth, float)
    return ab_magnitude(nsigma / np.sqrt(np.where(depth > 0, depth, np.nan)))


def asinh_magnitude(flux: ArrayLike, band: str) -> NDArray:
    """Magnitude of the Sloan survey's definition, which is finite at any flux.

    Parameters
    ----------
    flux : array_like
        Nanomaggies.
    band : str
        u, g, r, i or z.
    """
    b = _SOFTENING[band]
    return _ZERO_POINT - 2.5 / np.log(10) * (np.arcsinh(np.asarray(flux, float) / (2 * b)) + np.log(b))


def vega_to_ab(flux: ArrayLike, band: str) -> NDArray:
    """AB nanomaggies of the Vega nanomaggies that WISE coadds are in (catalogue columns are AB already).

    Parameters
    ----------
    flux : array_like
    band : str
        W1 ... W4.
    """
    return np.asarray(flux, float) * 10 ** (-_VEGA_TO_AB[band] / 2.5)
