"""Outliers: pixels that only one exposure of a band shows."""

from .masks import OUTLIER_NEG, OUTLIER_POS, masked_pixel_means, no_outliers, star_veto
from .search import BandOutliers, find_outliers

__all__ = [
    "OUTLIER_NEG",
    "OUTLIER_POS",
    "BandOutliers",
    "find_outliers",
    "masked_pixel_means",
    "no_outliers",
    "star_veto",
]
