"""WISE: forced photometry of a brick's sources on unWISE coadds, light curves, masks, coadds."""

from .coadds import APERTURE_RADII, wise_picture, wise_target
from .images import BANDS
from .lightcurves import LIGHT_CURVE_BANDS, USUAL_EPOCHS, Atlas, choose_epochs
from .psf import PsfModels
from .stamps import ForcedSources
from .tasks import BandResult, WiseJob, make_psf, map_masks, measure_band
from .tiles import Tile, read_tile_table, scan_tiles, tiles_of_brick

__all__ = [
    "APERTURE_RADII",
    "BANDS",
    "LIGHT_CURVE_BANDS",
    "USUAL_EPOCHS",
    "VEGA_TO_AB",
    "Atlas",
    "BandResult",
    "ForcedSources",
    "PsfModels",
    "Tile",
    "WiseJob",
    "choose_epochs",
    "make_psf",
    "map_masks",
    "measure_band",
    "read_tile_table",
    "scan_tiles",
    "tiles_of_brick",
    "wise_picture",
    "wise_target",
]

#: AB magnitude of a source of Vega magnitude 0, by band.
VEGA_TO_AB = {1: 2.699, 2: 3.339, 3: 5.174, 4: 6.620}
