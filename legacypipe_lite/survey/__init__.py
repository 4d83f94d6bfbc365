"""What is on disk: the survey directory that is read, and the tree of products that is written."""

from ..tables import read_table
from .bricks import Brick, find_brick, parse_radec
from .ccds import read_ccds
from .directory import RUNS, SurveyDirectory, image_base_name
from .products import OutputTree

__all__ = [
    "Brick",
    "OutputTree",
    "RUNS",
    "SurveyDirectory",
    "find_brick",
    "image_base_name",
    "parse_radec",
    "read_ccds",
    "read_table",
]
