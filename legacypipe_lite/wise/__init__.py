"""WISE: forced photometry of a brick's sources on unWISE coadds, light curves, masks, coadds."""

from .coadds import wise_picture, wise_target
from .folders import WiseFolders
from .images import BANDS, VEGA_TO_AB, candidate_paths, find_mask_file, sky_path
from .inputs import WiseInputs, input_files, psf_models, sources_to_measure
from .lightcurves import LIGHT_CURVE_BANDS, Atlas, atlas_path, choose_epochs
from .psf import PsfModels, psf_paths
from .stamps import ForcedSources
from .table import tractor_form, wise_table
from .tasks import BandResult, WiseJob, make_psf, map_masks, measure_band
from .tiles import Tile, read_tile_table, scan_tiles, tiles_of_brick

__all__ = [
    "BANDS",
    "LIGHT_CURVE_BANDS",
    "VEGA_TO_AB",
    "Atlas",
    "BandResult",
    "ForcedSources",
    "PsfModels",
    "Tile",
    "WiseFolders",
    "WiseInputs",
    "WiseJob",
    "atlas_path",
    "candidate_paths",
    "choose_epochs",
    "find_mask_file",
    "input_files",
    "make_psf",
    "map_masks",
    "measure_band",
    "psf_models",
    "psf_paths",
    "read_tile_table",
    "scan_tiles",
    "sky_path",
    "sources_to_measure",
    "tiles_of_brick",
    "tractor_form",
    "wise_picture",
    "wise_table",
    "wise_target",
]
