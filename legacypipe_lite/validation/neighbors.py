"""How much light of its neighbours falls on a source.

A distance says little about that: at 4 arcsec from a star there is nothing left of it, at 4 arcsec from the centre of
a galaxy with a half-light radius of 3 arcsec there is a third of its light.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..errors import InputError
from ..models.profiles import mixture
from ..units import GAUSSIAN_FWHM_PER_SIGMA

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["light_in_errors", "neighbor_light"]

_REACH = 30.0  # arcsec; light from further away is the business of those who look for large galaxies
_PAIRS_AT_ONCE = 20_000
_SIGMA_PER_FWHM = 1 / GAUSSIAN_FWHM_PER_SIGMA


def neighbor_light(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    shapes: Sequence[tuple[type, Any, Any]],
    flux: NDArray[np.float64],
    fwhm: float,
    reach: float = _REACH,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Light that a fit of its flux would find at each source, if only its neighbours were there.

    With P the profile of the source, Q_k those of its neighbours and F_k their fluxes, all of them seen through the
    atmosphere, this is ``sum_k F_k <P, Q_k> / <P, P>``. Profiles are taken to be round, the PSF to be Gaussian.

    Parameters
    ----------
    x, y : numpy.ndarray of float64, shape (n,)
        Positions [arcsec].
    shapes : sequence of (type, shape_r, sersic)
        Profile of each source.
    flux : numpy.ndarray of float64, shape (n,)
    fwhm : float
        Of the PSF [arcsec].
    reach : float
        Neighbours further away do not count [arcsec].

    Returns
    -------
    light : numpy.ndarray of float64, shape (n,)
        In the units of `flux`.
    area : numpy.ndarray of float64, shape (n,)
        Noise-equivalent area of each source, ``1 / <P, P>`` [arcsec^2].
    """
    amplitude, variance = _mixtures(shapes)
    psf = (_SIGMA_PER_FWHM * fwhm) ** 2
    own = _overlap(amplitude, variance, amplitude, variance, np.zeros(len(x)), psf)
    light = np.zeros(len(x))
    position = np.column_stack([x, y])
    pairs = cKDTree(position).query_pairs(reach, output_type="ndarray")
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        i, j = pairs[start : start + _PAIRS_AT_ONCE].T
        distance2 = np.sum((position[i] - position[j]) ** 2, axis=1)
        shared = _overlap(amplitude[i], variance[i], amplitude[j], variance[j], distance2, psf)
        for source, other in ((i, j), (j, i)):
            np.add.at(light, source, flux[other] * shared / own[source])
    return light, 1.0 / own


def _mixtures(shapes: Any) -> Any:
    """Amplitudes and variances [arcsec^2] of the Gaussians of all profiles; components that are not there have 0."""
    found = [mixture(kind, sersic) for kind, _, sersic in shapes]
    amplitude = np.zeros((len(found), max((len(a) for a, _ in found), default=1)))
    variance = np.zeros_like(amplitude)
    for row, ((a, v), (_, radius, _)) in enumerate(zip(found, shapes)):
        amplitude[row, : len(a)], variance[row, : len(v)] = a, v * radius**2
    return amplitude, variance


def _overlap(amplitude1: Any, variance1: Any, amplitude2: Any, variance2: Any, distance2: Any, psf: Any) -> Any:
    """Integral of the product of two profiles, each convolved with the PSF, row by row [1/arcsec^2]."""
    variance = variance1[:, :, np.newaxis] + variance2[:, np.newaxis, :] + 2 * psf
    density = np.exp(-0.5 * distance2[:, np.newaxis, np.newaxis] / variance) / (2 * np.pi * variance)
    return np.einsum("ik,il,ikl->i", amplitude1, amplitude2, density)


def light_in_errors(
    plane: NDArray[np.float64], sources: Table, catalog: Table, index: NDArray[np.integer], bands: list[str]
) -> NDArray[np.float64]:
    """Light of its neighbours on each source, in units of the error of its flux.

    The error is the one that the depth of the images at this place gives to a profile of this kind. It does not know
    the noise of the source's own light and that its shape is not known, so that it is smaller than the stated one;
    but it does not depend on what was measured either, so that choosing sources by it prefers no result.

    Parameters
    ----------
    plane : numpy.ndarray of float64, shape (n, 2)
        Positions [arcsec].
    sources : Table
        type, shape_r, sersic, flux_<band> of all sources, also those that are not scored.
    catalog : Table
        With psfdepth_<band> and psfsize_<band>.
    index : numpy.ndarray of int, shape (n,)
        Catalogue row of each source; -1 for none.
    bands : list of str

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        That of the band where it is largest; NaN if no band has a depth.

    Raises
    ------
    InputError
        If the catalogue does not say how deep the images are.
    """
    missing = [f"{name}_{band}" for band in bands for name in ("psfdepth", "psfsize")]
    missing = [name for name in missing if name not in catalog.colnames]
    if missing:
        raise InputError(f"{catalog.meta.get('path')}: no column {', '.join(missing)}: neighbours cannot be judged")
    shapes = list(zip(*(np.asarray(sources[name]).tolist() for name in ("type", "shape_r", "sersic"))))
    result = np.full(len(sources), np.nan)
    for band in bands:
        depth, fwhm = (np.asarray(catalog[f"{name}_{band}"], np.float64) for name in ("psfdepth", "psfsize"))
        good = (depth > 0) & (fwhm > 0)
        if not good.any():
            continue
        typical = float(np.median(fwhm[good]))
        here = np.where((index >= 0) & good[index], depth[index], np.median(depth[good]))
        flux = np.maximum(np.asarray(sources[f"flux_{band}"], np.float64), 0.0)
        light, area = neighbor_light(plane[:, 0], plane[:, 1], shapes, flux, typical)
        point = 4 * np.pi * (_SIGMA_PER_FWHM * typical) ** 2
        result = np.fmax(result, light * np.sqrt(here * point / area))
    return result
