"""What stage wise_forced needs: the tiles of a brick, their epochs, PSF models, and the sources to measure."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..bits import MASKBITS_FIXED
from ..errors import InputError
from .folders import WiseFolders
from .images import BANDS, candidate_paths, find_mask_file, sky_path
from .lightcurves import LIGHT_CURVE_BANDS, Atlas, atlas_path
from .psf import PsfModels, psf_paths
from .tiles import Tile, read_tile_table, scan_tiles, tiles_of_brick

if TYPE_CHECKING:
    from astropy.table import Table

    from ..models import Source
    from ..options import RunOptions
    from ..survey import SurveyDirectory
    from ..wcs import ImageWcs

__all__ = ["WiseInputs", "input_files", "psf_models", "sources_to_measure"]

logger = logging.getLogger(__name__)

_CLUSTER = next(bit.value for bit in MASKBITS_FIXED if bit.name == "CLUSTER")


class WiseInputs:
    """What there is of unWISE images for a brick.

    Parameters
    ----------
    target : ImageWcs
        Of the brick.
    folders : WiseFolders
    survey : SurveyDirectory

    Attributes
    ----------
    folders : WiseFolders
    tiles : list of Tile
        That have a share in the brick. They are taken from the table of tiles in the data directory. Without it the
        folders of images are scanned, or, if there are only time-resolved coadds, their atlas serves.
    epochs : dict of (str, int) to list of int
        (tile, band) -> numbers of its epochs.
    problems : list of str
        Files that could not be used, and why.
    """

    def __init__(self, target: ImageWcs, folders: WiseFolders, survey: SurveyDirectory) -> None:
        self.folders = folders
        self.problems: list[str] = []
        atlas = self._atlas()
        self.tiles = tiles_of_brick(self._tiles(target, survey, atlas), target) if folders else []
        self.epochs = {} if atlas is None else self._epochs(atlas)

    def _atlas(self) -> Atlas | None:
        """The atlas of time-resolved coadds, or None if there is no folder of them, or it has no usable atlas."""
        if self.folders.epochs is None:
            return None
        try:
            return Atlas(self.folders.epochs)
        except InputError as error:
            self.problems.append(str(error))
            return None

    def _tiles(self, target: ImageWcs, survey: SurveyDirectory, atlas: Atlas | None) -> list[Tile]:
        """Tiles near the brick."""
        table = survey.data_file("wise-tiles.fits")
        if table is not None:
            try:
                return read_tile_table(table, target)
            except InputError as error:
                self.problems.append(str(error))
        logger.info("no table of unWISE tiles (wise-tiles.fits): tiles without astrometric corrections")
        if self.folders.full:
            tiles, problems = scan_tiles(self.folders.full, target)
            self.problems += problems
            return tiles
        if atlas is not None:
            return [Tile.on_grid(*row) for row in zip(atlas.coadd_ids, atlas.ra.tolist(), atlas.dec.tolist())]
        return []

    def _epochs(self, atlas: Atlas) -> dict[tuple[str, int], list[int]]:
        epochs = {}
        for tile in self.tiles:
            for band in LIGHT_CURVE_BANDS:
                try:
                    epochs[tile.coadd_id, band] = atlas.epochs(tile.coadd_id, band)
                except KeyError:
                    self.problems.append(f"the atlas of the time-resolved unWISE coadds has no tile {tile.coadd_id}")
                    break
        return epochs


def psf_models(survey: SurveyDirectory) -> PsfModels:
    """PSF models from ``WISE_PSF_DIR``, or ``unwise_psf`` in the data directory; else built-in profiles."""
    folder = _psf_folder(survey)
    models = PsfModels(folder)
    if folder is not None and not folder.is_dir():
        models.problems.insert(0, f"WISE_PSF_DIR {folder}: no such directory")
    return models


def _psf_folder(survey: SurveyDirectory) -> Path | None:
    named = os.environ.get("WISE_PSF_DIR")
    return Path(named) if named else survey.data_file("unwise_psf")


def input_files(target: ImageWcs, options: RunOptions, survey: SurveyDirectory) -> Iterator[Path]:
    """Files that the stage reads for a brick, or looks for.

    Parameters
    ----------
    target : ImageWcs
    options : RunOptions
    survey : SurveyDirectory

    Yields
    ------
    Path
    """
    folders = WiseFolders.from_options(options)
    if not folders:
        return
    psf_folder = _psf_folder(survey)
    if psf_folder is not None:
        yield from psf_paths(psf_folder).values()
    if survey.data_file("wise-tiles.fits") is not None:
        yield survey.data_file("wise-tiles.fits")
    if folders.epochs is not None:
        yield atlas_path(folders.epochs)
    inputs = WiseInputs(target, folders, survey)  # its problems were told when the stage ran
    for tile in inputs.tiles:
        for folder in folders.full:
            for band in BANDS:
                yield from candidate_paths(folder, tile.coadd_id, band)
        mask = find_mask_file(folders.full, tile.coadd_id)
        if mask is not None:
            yield mask
        if folders.sky is not None:
            yield from (sky_path(folders.sky, tile.coadd_id, band) for band in LIGHT_CURVE_BANDS)
    for (coadd_id, band), numbers in inputs.epochs.items():
        for number in numbers:
            yield from candidate_paths(folders.epochs, coadd_id, band, number)


def sources_to_measure(
    table: Table, sources: list[Source | None], maskbits: NDArray[np.int32], stars_only: bool
) -> NDArray[np.integer]:
    """Rows of the catalogue that WISE photometry is made for.

    Parameters
    ----------
    table : Table
        The fitted catalogue.
    sources : list of Source or None
        Row by row.
    maskbits : numpy.ndarray of int32, shape (H, W)
    stars_only : bool
        Only objects of reference catalogues (``--wise-gaia-only``).

    Returns
    -------
    numpy.ndarray of int
    """
    wanted = np.asarray(table["regular"], bool) & np.array([source is not None for source in sources], bool)
    inside = np.flatnonzero(np.asarray(table["in_bounds"], bool))
    ix, iy = np.asarray(table["ibx"])[inside], np.asarray(table["iby"])[inside]
    # The cores of star clusters are too crowded for it.
    wanted[inside[(maskbits[iy, ix] & _CLUSTER) != 0]] = False
    if stars_only:
        if "ref_cat" not in table.colnames:
            return np.zeros(0, np.int64)
        wanted &= np.char.strip(np.asarray(table["ref_cat"]).astype("U2")) != ""
    return np.flatnonzero(wanted)
