"""What is on disk: the survey directory that is read, and the tree of products that is written."""

from .products import OutputTree

__all__ = ["OutputTree"]
