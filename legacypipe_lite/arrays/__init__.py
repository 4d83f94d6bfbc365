"""Plain operations on whole arrays that several rooms need: medians, smoothing."""

from .median import median
from .smooth import gaussian_weights

__all__ = ["gaussian_weights", "median"]
