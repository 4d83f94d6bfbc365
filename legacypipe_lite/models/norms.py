"""Norms of the PSF and of a standard galaxy, which set the depth of an image."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from .profiles import mixture

__all__ = ["psf_norm", "galaxy_norm", "STANDARD_GALAXY_RE"]

#: Half-light radius [arcsec] of the round exponential galaxy that defines "galdepth".
STANDARD_GALAXY_RE = 0.45
_FRAME = 128
_BOX_HALF = 32


def psf_norm(stamp: ArrayLike) -> float:
    """sqrt(sum P^2) of a PSF stamp."""
    return float(np.sqrt(np.sum(np.asarray(stamp, np.float64) ** 2)))


def galaxy_norm(stamp: NDArray[np.float32], cd: ArrayLike) -> float:
    """sqrt(sum G^2) of a unit-flux round exponential galaxy, r_e = 0.45 arcsec, convolved with the PSF.

    The galaxy is centred on a pixel; the sum goes over the 65 x 65 pixels around it.

    Parameters
    ----------
    stamp : numpy.ndarray, shape (ny, nx)
        PSF stamp centred on pixel (ny // 2, nx // 2).
    cd : array_like, shape (2, 2)
        CD matrix [deg/pixel] that gives the pixel scale and orientation.

    Returns
    -------
    float
    """
    size = _FRAME
    while size < max(stamp.shape):
        size *= 2
    ny, nx = stamp.shape
    frame = np.zeros((size, size))
    frame[:ny, :nx] = stamp
    frame = np.roll(frame, (-(ny // 2), -(nx // 2)), axis=(0, 1))
    c = np.linalg.inv(np.asarray(cd, float)) * (STANDARD_GALAXY_RE / 3600.0)
    v = c @ c.T
    nu_x, nu_y = np.fft.rfftfreq(size)[None, :], np.fft.fftfreq(size)[:, None]
    q = v[0, 0] * nu_x**2 + 2 * v[0, 1] * nu_x * nu_y + v[1, 1] * nu_y**2
    amp, var = mixture("EXP")
    profile = sum(a * np.exp(-2 * np.pi**2 * s * q) for a, s in zip(amp, var))
    model = fft.irfft2(fft.rfft2(frame) * profile, s=(size, size))
    offset = np.arange(-_BOX_HALF, _BOX_HALF + 1)
    return float(np.sqrt(np.sum(model[np.ix_(offset, offset)] ** 2)))
