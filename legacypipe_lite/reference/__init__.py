"""Reference catalogues: Gaia, Tycho-2, large galaxies, star clusters; the masks and halos of what they hold."""

from .catalogs import RefCatalogs
from .halos import halo_image, has_halo_model
from .mask_map import mask_map
from .merge import FILE_UNITS, file_columns, reference_sources
from .sky_scene import SkySceneFinder

__all__ = [
    "FILE_UNITS",
    "RefCatalogs",
    "SkySceneFinder",
    "file_columns",
    "halo_image",
    "has_halo_model",
    "mask_map",
    "reference_sources",
]
