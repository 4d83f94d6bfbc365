"""What a source looks like in an image: profiles, ellipses, PSFs, rendering."""

from .psf import PsfModel, gaussian_psf
from .sources import Motion, Source, moved_position
from .tim import CcdInfo, Tim

__all__ = ["PsfModel", "gaussian_psf", "Motion", "Source", "moved_position", "CcdInfo", "Tim"]
