"""The WISE photometry of a brick as independent tasks: one per band, and per band and epoch.

Each function takes what all tasks share and the description of one task, and can run in a worker process.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..tables import open_fits
from ..wcs import ImageWcs, TanWcs, wcs_from_header
from .coadds import WiseCoadd, coadd_tiles, wise_target
from .forced import BandPhotometry, forced_photometry
from .images import BANDS, find_mask_file, find_tile_files, read_tile_image
from .lightcurves import LIGHT_CURVE_BANDS
from .masks import add_tile_mask
from .stamps import ForcedSources

if TYPE_CHECKING:
    from .psf import PsfModels, TilePsf
    from .tiles import Tile

__all__ = ["WiseJob", "BandResult", "make_psf", "measure_band", "map_masks"]


@dataclass
class WiseJob:
    """What all tasks of a brick share.

    Attributes
    ----------
    target : ImageWcs
        Of the brick.
    sources : ForcedSources
    tiles : list of Tile
        That have a share in the brick.
    folders : list of str
        Of full-depth coadds.
    epoch_folder : str or None
        Of time-resolved coadds.
    sky_folder : str or None
        Of background models.
    epochs : dict of (str, int) -> list of int
        (tile, band) -> numbers of its epochs.
    psfs : dict of (str, int) -> TilePsf
        By tile and band.
    make_coadds : bool
    noise : str
        See `forced_photometry`.
    """

    target: ImageWcs
    sources: ForcedSources
    tiles: list
    folders: list
    epoch_folder: str | None = None
    sky_folder: str | None = None
    epochs: dict = field(default_factory=dict)
    psfs: dict = field(default_factory=dict)
    make_coadds: bool = True
    noise: str = "data"

    @property
    def n_epochs(self) -> int:
        """Length of the longest light curve; epochs of different tiles are joined by their place in the list."""
        return max((len(numbers) for numbers in self.epochs.values()), default=0)

    def psf_tasks(self) -> list[tuple[Tile, int]]:
        """Tasks of `make_psf`: (tile, band)."""
        bands = BANDS if self.folders else LIGHT_CURVE_BANDS
        return [(tile, band) for tile in self.tiles for band in bands]

    def band_tasks(self) -> list[tuple[int, int | None]]:
        """Tasks of `measure_band`: (band, None) for the full depth, (band, slot in the light curve)."""
        full = [(band, None) for band in BANDS] if self.folders else []
        return full + [(band, slot) for band in LIGHT_CURVE_BANDS for slot in range(self.n_epochs)]


@dataclass
class BandResult:
    """Result of one task.

    Attributes
    ----------
    photometry : BandPhotometry
        Without its model images.
    coadd : WiseCoadd or None
        For full-depth images, if coadds are wanted.
    problems : list of str
        Images that could not be used, and why.
    """

    photometry: BandPhotometry
    coadd: WiseCoadd | None
    problems: list


def make_psf(models: PsfModels, task: tuple[Tile, int]) -> TilePsf:
    """`TilePsf` of a (tile, band); `models` is a `PsfModels`."""
    tile, band = task
    return models.at(band, tile.ra, tile.dec)


def measure_band(job: WiseJob, task: tuple[int, int | None]) -> BandResult:
    """Forced photometry in one band, of all epochs together or of one epoch.

    Parameters
    ----------
    job : WiseJob
    task : (int, int or None)
        Band, place in the light curve.

    Returns
    -------
    BandResult
    """
    band, slot = task
    problems, images = [], []
    for tile in job.tiles:
        try:
            image = _read(job, tile, band, slot)
        except InputError as error:
            problems.append(str(error))
            continue
        if image is not None:
            images.append(image)
    psfs = [job.psfs[image.tile.coadd_id, band] for image in images]
    photometry = forced_photometry(job.sources, images, psfs, job.noise)
    coadd = None
    if slot is None and job.make_coadds:
        coadd = coadd_tiles(wise_target(job.target), images, photometry.models)
    return BandResult(replace(photometry, models=[]), coadd, problems)


def _read(job, tile, band, slot):
    """One tile's image, or None if it has no share in the brick or no such epoch."""
    if slot is None:
        files = find_tile_files(job.folders, tile.coadd_id, band)
        return read_tile_image(files, tile, band, job.target, shift_crpix=True, sky_folder=job.sky_folder)
    numbers = job.epochs.get((tile.coadd_id, band), [])
    if slot >= len(numbers):
        return None
    files = find_tile_files([job.epoch_folder], tile.coadd_id, band, numbers[slot])
    return read_tile_image(files, tile, band, job.target, sky_folder=job.sky_folder)


def map_masks(job: WiseJob, task: object) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """WISE mask bits on the brick's pixels.

    Parameters
    ----------
    job : WiseJob
    task : object
        Not used: there is one such task.

    Returns
    -------
    masks : list of two numpy.ndarray of uint8
        Of W1 and W2.
    problems : list of str
    """
    masks = [np.zeros(job.target.shape, np.uint8) for _ in range(2)]
    problems = []
    for tile in job.tiles:
        path = find_mask_file(job.folders, tile.coadd_id)
        if path is None:
            problems.append(
                f"no mask unwise-{tile.coadd_id}-msk.fits[.gz] of tile {tile.coadd_id}: its WISE mask bits are 0"
            )
            continue
        try:
            add_tile_mask(masks, path, _w1_wcs(job, tile), tile, job.target)
        except InputError as error:
            problems.append(str(error))
    return masks, problems


def _w1_wcs(job, tile):
    """WCS of a tile, with the astrometric correction of W1; nominal if there is no W1 image."""
    try:
        path = find_tile_files(job.folders, tile.coadd_id, 1).image
        with open_fits(path) as fits:
            wcs = wcs_from_header(fits[0].read_header(), str(path))
    except InputError:
        wcs = tile.nominal_wcs()
    dx, dy = tile.crpix_shift.get(1, (0.0, 0.0))
    return TanWcs(wcs.crval, (wcs.crpix[0] + dx, wcs.crpix[1] + dy), wcs.cd, wcs.width, wcs.height)
