"""Kernel: a mixture of Gaussians sampled at pixel centres."""

import math

from numba import njit

#: Terms beyond this squared Mahalanobis distance are left out.
_FARTHEST = 100.0


@njit(cache=True, nogil=True)
def gaussian_mixture(x0, y0, px, py, amplitudes, covariances, out):
    """Density of a mixture at the pixel centres of a box.

    Parameters
    ----------
    x0, y0 : int
        Origin of the box.
    px, py : float
        Centre of the mixture.
    amplitudes : float64 (k,)
    covariances : float64 (k, 3)
        xx, xy, yy [pixel^2].
    out : float32 (h, w)
    """
    h, w = out.shape
    out[:] = 0.0
    for k in range(len(amplitudes)):
        xx, xy, yy = covariances[k]
        determinant = xx * yy - xy * xy
        scale = amplitudes[k] / (2 * math.pi * math.sqrt(determinant))
        a, b, c = yy / determinant, -xy / determinant, xx / determinant
        for i in range(h):
            dy = y0 + i - py
            for j in range(w):
                dx = x0 + j - px
                distance = a * dx * dx + 2 * b * dx * dy + c * dy * dy
                if distance < _FARTHEST:
                    out[i, j] += scale * math.exp(-0.5 * distance)
