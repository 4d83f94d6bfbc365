"""Reference catalogues: Gaia, Tycho-2, large galaxies, star clusters; the masks and halos of what they hold."""

from .catalogs import RefCatalogs
from .check import check_files
from .halos import halo_image, has_halo_model
from .mask_map import mask_map
from .merge import file_columns, file_units, reference_sources
from .sky_scene import SkySceneFinder

__all__ = [
    "RefCatalogs",
    "SkySceneFinder",
    "check_files",
    "file_columns",
    "file_units",
    "halo_image",
    "has_halo_model",
    "mask_map",
    "reference_sources",
]
