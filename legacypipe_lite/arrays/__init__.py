"""Plain operations on whole arrays that several rooms need: medians, smoothing."""

from .median import median

__all__ = ["median"]
