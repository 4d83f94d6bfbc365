"""Fitting: a blob's life, from images and initial sources to fitted ones."""

from .blob import fit_blob
from .selection import select_model
from .tasks import BlobContext, BlobResult, BlobTask, Detector, FitOptions, SourceResult

__all__ = [
    "fit_blob",
    "select_model",
    "BlobContext",
    "BlobTask",
    "BlobResult",
    "SourceResult",
    "Detector",
    "FitOptions",
]
