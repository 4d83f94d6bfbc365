"""Calibrations of CCD images: PSF and sky models, read, evaluated, and made when missing."""

from .make_psf import BOK_RECIPE, STANDARD_RECIPE, PsfRecipe, make_psf
from .make_sky import FittedSky, SkyScene, box_size, fit_sky, sky_row
from .psf_checks import equivalent_fwhm, stamp_problem
from .psfex import psf_from_row, read_psf
from .rows import ImageIdentity, identity_columns, write_row
from .sky import ConstantSky, JumpSky, SplineSky, read_sky, sky_from_row
from .sky_templates import SkyTemplate, find_sky_template
from .versions import plver_at_least

__all__ = [
    "BOK_RECIPE",
    "ConstantSky",
    "FittedSky",
    "ImageIdentity",
    "JumpSky",
    "PsfRecipe",
    "STANDARD_RECIPE",
    "SkyScene",
    "SkyTemplate",
    "SplineSky",
    "box_size",
    "find_sky_template",
    "equivalent_fwhm",
    "fit_sky",
    "identity_columns",
    "make_psf",
    "plver_at_least",
    "psf_from_row",
    "read_psf",
    "read_sky",
    "sky_from_row",
    "sky_row",
    "stamp_problem",
    "write_row",
]
