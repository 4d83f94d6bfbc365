"""Plain operations on whole arrays that several rooms need: medians, smoothing, dilation."""

from .dilation import dilate
from .median import median
from .smooth import gaussian_weights

__all__ = ["dilate", "gaussian_weights", "median"]
