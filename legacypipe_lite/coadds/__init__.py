"""Stacks of images and models on the target grid, and what is measured on them."""

from .accumulate import BandAccumulator, BandCoadd, DateMaps, coadd_band, coadd_bands, sky_levels
from .patch import dilate_cross, patch_masked

__all__ = [
    "BandAccumulator",
    "BandCoadd",
    "DateMaps",
    "coadd_band",
    "coadd_bands",
    "sky_levels",
    "patch_masked",
    "dilate_cross",
]
