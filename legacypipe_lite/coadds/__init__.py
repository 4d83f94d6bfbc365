"""Stacks of images and models on the target grid, and what is measured on them."""

from .accumulate import (
    BandAccumulator,
    BandCoadd,
    DateMaps,
    coadd_band,
    coadd_psf,
    map_grids,
    sky_levels,
    stacked_image,
)
from .apertures import AperturePhotometry, aperture_photometry
from .depth import depth_counts, depth_table
from .fiberflux import fiber_fluxes
from .headers import (
    PRODUCT_TYPES,
    band_cards,
    outlier_mask_cards,
    target_wcs_cards,
    type_cards,
)
from .maskbits import maskbits_map
from .nearby import SourceExtents
from .patched import Changes, masked_places, patch_values, patched_image
from .pictures import picture_sources
from .rgb import rgb, with_outlines
from .samples import pixel_of, sample_coadd
from .sparse import ChangedImage, MaskedImage, SparseImage
from .tim_models import Footprints, TimModels, noise_equivalent_areas, tim_models

__all__ = [
    "BandAccumulator",
    "BandCoadd",
    "DateMaps",
    "coadd_band",
    "map_grids",
    "sky_levels",
    "stacked_image",
    "AperturePhotometry",
    "aperture_photometry",
    "coadd_psf",
    "depth_counts",
    "depth_table",
    "fiber_fluxes",
    "PRODUCT_TYPES",
    "band_cards",
    "outlier_mask_cards",
    "target_wcs_cards",
    "type_cards",
    "maskbits_map",
    "noise_equivalent_areas",
    "SourceExtents",
    "Changes",
    "masked_places",
    "patch_values",
    "patched_image",
    "rgb",
    "with_outlines",
    "pixel_of",
    "sample_coadd",
    "picture_sources",
    "ChangedImage",
    "MaskedImage",
    "SparseImage",
    "Footprints",
    "TimModels",
    "tim_models",
]
