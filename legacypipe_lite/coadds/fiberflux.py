"""Fibre fluxes: what a spectrograph fibre of 1.5 arcsec collects of a source in 1 arcsec seeing."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..models import Source
from ..models.ellipse import shape_tensor
from ..models.profiles import mixture
from ..units import SIGMA_PER_FWHM
from ..wcs import TanWcs
from .apertures_kernels import single_aperture
from .fiberflux_kernels import gaussian_mixture

__all__ = ["fiber_fluxes", "FIBER_EPOCH_MJD"]

#: Positions of moving stars are taken at J2020.0.
FIBER_EPOCH_MJD = 51544.5 + 20.0 * 365.25

_SEEING_FWHM = 1.0  # arcsec
_FIBER_RADIUS = 0.75  # arcsec
_HALF_BOX = 25  # pixels


def fiber_fluxes(
    sources: Sequence[Source | None],
    target: TanWcs,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    flux: NDArray[np.floating],
    flux_ivar: NDArray[np.floating],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fibre fluxes of catalogue sources.

    Parameters
    ----------
    sources : list of Source or None
        Row by row.
    target : TanWcs
        Grid on which the sources are drawn.
    x, y : array_like, shape (rows,)
        Catalogue positions on the grid, where the total fibre flux is measured.
    flux, flux_ivar : numpy.ndarray, shape (rows, bands)
        A source takes part in a band if both are positive.

    Returns
    -------
    fiberflux, fibertotflux : numpy.ndarray of float32, shape (rows, bands)
        Nanomaggies in the fibre, of the source alone (at its position in 2020) and of all sources together. Zero
        where the fibre is off the grid.
    """
    n_rows, n_bands = flux.shape
    scale = target.pixel_scale
    radius = _FIBER_RADIUS / scale
    used = (flux > 0) & (flux_ivar > 0)
    total = np.zeros((n_bands, *target.shape), np.float32)
    fiberflux = np.zeros((n_rows, n_bands), np.float32)
    fibertotflux = np.zeros((n_rows, n_bands), np.float32)
    for row, source in enumerate(sources):
        if source is None or not used[row].any():
            continue
        px, py = target.sky_to_pixel(*source.position_at(FIBER_EPOCH_MJD))
        drawn = _unit_patch(source, target, px, py)
        if drawn is None:
            continue
        x0, y0, patch = drawn
        fraction = single_aperture(patch, x0, y0, px, py, radius)
        h, w = patch.shape
        for band in np.flatnonzero(used[row]):
            total[band, y0 : y0 + h, x0 : x0 + w] += patch * np.float32(flux[row, band])
            fiberflux[row, band] = fraction * flux[row, band]
    for row in range(n_rows):
        if np.isfinite(x[row]) and np.isfinite(y[row]):
            for plane in range(n_bands):
                fibertotflux[row, plane] = single_aperture(total[plane], 0, 0, float(x[row]), float(y[row]), radius)
    return fiberflux, fibertotflux


def _unit_patch(source, target, px, py):
    """(x0, y0, image) of a unit-flux source in 1 arcsec seeing on the grid; None off the grid."""
    if not (math.isfinite(px) and math.isfinite(py)):
        return None
    seeing = (_SEEING_FWHM / target.pixel_scale * SIGMA_PER_FWHM) ** 2
    if source.kind.is_point:
        amplitudes, covariances = np.ones(1), np.array([[seeing, 0.0, seeing]])
        x0, y0 = math.floor(px - _HALF_BOX), math.floor(py - _HALF_BOX)
        x1, y1 = math.ceil(px + _HALF_BOX), math.ceil(py + _HALF_BOX)
    else:
        amplitudes, variances = mixture(source.type, source.sersic)
        covariances = variances[:, np.newaxis] * _pixel_covariance(source, target)
        covariances += np.array([seeing, 0.0, seeing])
        half = _galaxy_half_size(source, target, px, py)
        x0, y0 = math.floor(px - half), math.floor(py - half)
        x1, y1 = math.ceil(px + half + 1), math.ceil(py + half + 1)
    x0, y0 = max(x0, 0), max(y0, 0)
    x1, y1 = min(x1, target.width - 1), min(y1, target.height - 1)
    if x0 > x1 or y0 > y1:
        return None
    patch = np.empty((y1 - y0 + 1, x1 - x0 + 1), np.float32)
    gaussian_mixture(x0, y0, px, py, amplitudes, covariances, patch)
    return x0, y0, patch


def _pixel_covariance(source, target):
    """(xx, xy, yy) [pixel^2] of a component of unit variance."""
    ee, en, nn = shape_tensor(source.shape_r, source.shape_e1, source.shape_e2)
    to_pixels = np.linalg.inv(target.cd) / 3600.0
    covariance = to_pixels @ np.array([[ee, en], [en, nn]]) @ to_pixels.T
    return np.array([covariance[0, 0], covariance[0, 1], covariance[1, 1]])


def _galaxy_half_size(source, target, px, py):
    extent = max(1.0, source.extent / target.pixel_scale)
    farthest = max(px, target.width - 1 - px, py, target.height - 1 - py) + 1
    return math.ceil(max(_HALF_BOX, min(extent, farthest)))
