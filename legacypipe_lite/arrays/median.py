"""Exact medians of large float32 arrays, without a copy that is sorted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import median_kernels as kernels

__all__ = ["median"]


def median(values: NDArray[np.float32], where: NDArray[np.float32] | None = None) -> float:
    """Median, as `numpy.median` gives it.

    Parameters
    ----------
    values : numpy.ndarray of float32
        Finite.
    where : numpy.ndarray of float32, same shape, optional
        Only values at which this is positive count.

    Returns
    -------
    float
        NaN if there are no values.
    """
    values = np.ascontiguousarray(values, np.float32).ravel()
    where = values[:0] if where is None else np.ascontiguousarray(where, np.float32).ravel()
    low, high = kernels.middle_values(values, where)
    return float((low + high) / np.float32(2))
