"""The kernel with which images are smoothed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian_weights"]


def gaussian_weights(sigma: float) -> NDArray[np.float64]:
    """Half of a normalised Gaussian kernel, from its centre outwards, for `smooth_kernels.smooth`.

    Not a compiled kernel: only NumPy's exponential and order of summation give the weights of
    `scipy.ndimage.gaussian_filter` to the last bit.

    Parameters
    ----------
    sigma : float
        [pixel]

    Returns
    -------
    numpy.ndarray of float64
        Weights at distance 0 ... int(4 sigma + 0.5).
    """
    radius = int(4.0 * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / (sigma * sigma) * x**2)
    return (weights / weights.sum())[radius:].copy()
