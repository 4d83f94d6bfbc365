"""Robust summaries of samples, with the errors of the numbers themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Spread", "Fraction", "spread", "fraction"]

#: Standard error of the median, and of half the distance of the 16th and 84th percentiles, of normally distributed
#: values, in units of sigma / sqrt(n) (asymptotic, from the densities at these percentiles).
_MEDIAN_ERROR = 1.2533
_WIDTH_ERROR = 0.958


@dataclass(frozen=True)
class Spread:
    """Middle and width of a sample.

    Attributes
    ----------
    n : int
        Number of values.
    median : float
    median_error : float
        Standard error of the median, from the width.
    width : float
        Half the distance of the 16th and 84th percentiles.
    width_error : float
    outliers : float
        Fraction of values beyond 5 in absolute value (of pulls: beyond 5 sigma).
    """

    n: int
    median: float
    median_error: float
    width: float
    width_error: float
    outliers: float


@dataclass(frozen=True)
class Fraction:
    """How many of some objects have a property.

    Attributes
    ----------
    n, count : int
        Number of objects, and of those that have it.
    value : float
    error : float
        Half of the 68 per cent interval (Wilson).
    """

    n: int
    count: int
    value: float
    error: float


def spread(values: NDArray[Any] | Sequence[float]) -> Spread:
    """Summary of a sample; values that are not finite are left out.

    Parameters
    ----------
    values : array_like

    Returns
    -------
    Spread
        NaN where there are no values.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0:
        return Spread(0, math.nan, math.nan, math.nan, math.nan, math.nan)
    low, median, high = np.percentile(values, [16, 50, 84])
    width = float(high - low) / 2
    error = width / math.sqrt(n) if n > 1 else math.nan
    outliers = float(np.mean(np.abs(values) > 5))
    return Spread(n, float(median), _MEDIAN_ERROR * error, width, _WIDTH_ERROR * error, outliers)


def fraction(flags: ArrayLike) -> Fraction:
    """How many of some flags are set.

    Parameters
    ----------
    flags : array_like of bool

    Returns
    -------
    Fraction
        Value and error are NaN if there are no flags.
    """
    flags = np.asarray(flags, bool)
    n, count = len(flags), int(flags.sum())
    if n == 0:
        return Fraction(0, 0, math.nan, math.nan)
    p = count / n
    error = math.sqrt(p * (1 - p) / n + 0.25 / n**2) / (1 + 1 / n)
    return Fraction(n, count, p, error)
