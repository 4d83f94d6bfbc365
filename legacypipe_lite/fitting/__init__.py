"""Fitting: a blob's life, from images and initial sources to fitted ones."""

from .blob import fit_blob
from .plan import BlobPlan
from .selection import select_model
from .tasks import BlobContext, BlobResult, BlobTask, FitOptions, SourceResult

__all__ = [
    "fit_blob",
    "select_model",
    "BlobContext",
    "BlobPlan",
    "BlobTask",
    "BlobResult",
    "SourceResult",
    "FitOptions",
]
