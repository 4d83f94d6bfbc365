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
    tractor_columns,
)
from .derived import fitbits, ls_id, nearest_neighbor, source_types
from .dust import EXTINCTION, WISE_EXTINCTION, dust_map_files, reddening, transmission
from .format import tractor_table
from .intermediate import apply_measured_limits, file_form, intermediate_table
from .other_tables import DETECTED, REFERENCE, all_models_columns

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
    "tractor_columns",
    "all_models_table",
    "dust_map_files",
    "fitbits",
    "ls_id",
    "nearest_neighbor",
    "source_types",
    "EXTINCTION",
    "WISE_EXTINCTION",
    "reddening",
    "transmission",
    "tractor_table",
    "apply_measured_limits",
    "file_form",
    "intermediate_table",
]
