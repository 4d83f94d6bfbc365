"""WISE: forced photometry of a brick's sources on unWISE coadds, light curves, masks, coadds."""

from .coadds import wise_picture, wise_target
from .images import BANDS, candidate_paths, find_mask_file, sky_path
from .lightcurves import LIGHT_CURVE_BANDS, Atlas, atlas_path, choose_epochs
from .psf import PsfModels, psf_paths
from .stamps import ForcedSources
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
    "WiseJob",
    "atlas_path",
    "candidate_paths",
    "choose_epochs",
    "find_mask_file",
    "make_psf",
    "map_masks",
    "measure_band",
    "psf_paths",
    "read_tile_table",
    "scan_tiles",
    "sky_path",
    "tiles_of_brick",
    "wise_picture",
    "wise_target",
]

#: AB magnitude of a source of Vega magnitude 0, by band.
VEGA_TO_AB = {1: 2.699, 2: 3.339, 3: 5.174, 4: 6.620}
