"""PSFs of the mock images: elliptical Moffat profiles that vary over the CCD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..models import PsfModel
from ..units import SIGMA_PER_FWHM

if TYPE_CHECKING:
    from .exposures import CcdPlan

__all__ = ["ccd_psf", "moffat_stamp", "stamp_fwhm"]

_SUBPIXELS = 7
_TAPER_FROM = 0.85  # of the stamp's half size
_GRID = 4  # PSFs per axis to which the polynomial is fitted
_DEGREE = 2


def moffat_stamp(fwhm: float, beta: float, e1: float, e2: float, size: int) -> NDArray[np.float64]:
    """Elliptical Moffat profile, integrated over pixels.

    Parameters
    ----------
    fwhm : float
        Pixels; of the round profile of the same area.
    beta : float
    e1, e2 : float
        (a - b) / (a + b), times the cosine and sine of twice the angle of the major axis from x.
    size : int
        Odd; the stamp is square, and falls smoothly to zero towards the circle that touches its edges.

    Returns
    -------
    numpy.ndarray of float64, shape (size, size)
        Sum 1.
    """
    half = size // 2
    alpha = fwhm / (2.0 * np.sqrt(2.0 ** (1.0 / beta) - 1.0))
    nodes, weights = np.polynomial.legendre.leggauss(_SUBPIXELS)
    position = (np.arange(-half, half + 1)[:, np.newaxis] + nodes / 2.0).ravel()
    x, y = position[np.newaxis, :], position[:, np.newaxis]
    scale = 1.0 / (1.0 - e1**2 - e2**2)
    # The inverse of the shear matrix, of determinant 1 with `scale`.
    u = scale**0.5 * ((1.0 - e1) * x - e2 * y)
    v = scale**0.5 * ((1.0 + e1) * y - e2 * x)
    profile = (1.0 + (u**2 + v**2) / alpha**2) ** -beta
    n = 2 * half + 1
    binned = profile.reshape(n, _SUBPIXELS, n, _SUBPIXELS)
    stamp = np.einsum("iajb,a,b->ij", binned, weights, weights)
    r = np.hypot(*np.mgrid[-half : half + 1, -half : half + 1]) / half
    stamp *= 0.5 * (1.0 + np.cos(np.pi * np.clip((r - _TAPER_FROM) / (1.0 - _TAPER_FROM), 0.0, 1.0)))
    return stamp / stamp.sum()


def stamp_fwhm(stamp: NDArray[np.float32]) -> float:
    """FWHM [pixel] of a PSF stamp: diameter of the circle of the area above half the central value."""
    from scipy.ndimage import zoom

    half = stamp.shape[0] // 2
    inner = stamp[half - 8 : half + 9, half - 8 : half + 9]
    factor = 8
    fine = zoom(inner, factor, order=3)
    step = (inner.shape[0] - 1) / (fine.shape[0] - 1)
    return float(2.0 * step * np.sqrt(np.count_nonzero(fine > 0.5 * inner.max()) / np.pi))


def ccd_psf(plan: CcdPlan) -> PsfModel:
    """The PSF of a CCD image.

    Parameters
    ----------
    plan : CcdPlan

    Returns
    -------
    PsfModel
        In pixels of the plan's window; a polynomial of degree 2 of the position in the whole CCD.
    """
    place, window, instrument = plan.place, plan.window, plan.exposure.instrument
    shapes = _shapes(plan)
    u = np.linspace(-0.5, 0.5, _GRID)
    u, v = (grid.ravel() for grid in np.meshgrid(u, u))
    stamps = np.array([moffat_stamp(*shapes(a, b), instrument.stamp).ravel() for a, b in zip(u, v)])
    terms = np.column_stack([u**i * v**j for j in range(_DEGREE + 1) for i in range(_DEGREE + 1 - j)])
    basis = np.linalg.lstsq(terms, stamps, rcond=None)[0]
    psf = PsfModel(
        basis.reshape(-1, instrument.stamp, instrument.stamp).astype(np.float32),
        degree=_DEGREE,
        x_zero=place.width / 2.0 - window.x0,
        x_scale=float(place.width),
        y_zero=place.height / 2.0 - window.y0,
        y_scale=float(place.height),
    )
    fwhm = stamp_fwhm(psf.stamp(psf.x_zero, psf.y_zero))
    return replace(psf, gaussian_sigma=fwhm * SIGMA_PER_FWHM)


def _shapes(plan: CcdPlan) -> Callable[[float, float], tuple[float, float, float, float]]:
    """Function of the position in the CCD (-0.5 to 0.5 in both axes): FWHM [pixel], beta, e1, e2."""
    exposure = plan.exposure
    whole = exposure.generator("psf")
    beta = whole.uniform(2.8, 3.6)
    ellipticity = whole.normal(0.0, 0.02, 2)
    rng = plan.generator("psf")
    slope = rng.normal(0.0, 0.02, 2)
    bowl = rng.normal(0.01, 0.01)
    gradient = rng.normal(0.0, 0.02, (2, 2))
    fwhm = exposure.seeing / exposure.instrument.pixel_scale

    def shape(u: float, v: float) -> tuple[float, float, float, float]:
        e1, e2 = ellipticity + gradient @ (u, v)
        return fwhm * (1.0 + slope[0] * u + slope[1] * v + bowl * (u**2 + v**2)), beta, e1, e2

    return shape
