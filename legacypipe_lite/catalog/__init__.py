"""The catalogues: their schema, and how they are put together."""

from .all_models import all_models_table
from .columns import (
    APERTURE_RADII,
    COADD_MAPS,
    DATA_MODELS,
    LIGHT_CURVE_EPOCHS,
    TRACTOR_SCHEMA,
    WISE_APERTURE_RADII,
    Column,
    catalog_bands,
    spelled_unit,
    tractor_columns,
)
from .derived import fitbits, ls_id, nearest_neighbor, source_types
from .dust import EXTINCTION, WISE_EXTINCTION, dust_map_files, reddening, transmission
from .format import tractor_table
from .gate import flag_impossible, flux_limits
from .intermediate import apply_measured_limits, file_form, intermediate_table
from .other_tables import DETECTED, REFERENCE, all_models_columns
from .read import read_catalog
from .sweep_columns import PUBLISHED_TABLES, data_model_columns
from .units import unit_of

__all__ = [
    "APERTURE_RADII",
    "COADD_MAPS",
    "DETECTED",
    "REFERENCE",
    "TRACTOR_SCHEMA",
    "WISE_APERTURE_RADII",
    "DATA_MODELS",
    "LIGHT_CURVE_EPOCHS",
    "Column",
    "all_models_columns",
    "catalog_bands",
    "data_model_columns",
    "read_catalog",
    "spelled_unit",
    "unit_of",
    "PUBLISHED_TABLES",
    "tractor_columns",
    "all_models_table",
    "dust_map_files",
    "fitbits",
    "ls_id",
    "nearest_neighbor",
    "source_types",
    "EXTINCTION",
    "flag_impossible",
    "flux_limits",
    "WISE_EXTINCTION",
    "reddening",
    "transmission",
    "tractor_table",
    "apply_measured_limits",
    "file_form",
    "intermediate_table",
]
