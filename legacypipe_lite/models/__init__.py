"""What a source looks like in an image: profiles, ellipses, PSFs, rendering."""

from .ivars import ParameterIvars
from .patches import Patch, Patches
from .psf import PsfModel, gaussian_psf
from .sources import SOURCE_TYPES, Motion, Source, SourceType, moved_position
from .tim import CcdInfo, Tim

__all__ = [
    "SOURCE_TYPES",
    "CcdInfo",
    "Motion",
    "ParameterIvars",
    "Patch",
    "Patches",
    "PsfModel",
    "Source",
    "SourceType",
    "Tim",
    "gaussian_psf",
    "moved_position",
]
