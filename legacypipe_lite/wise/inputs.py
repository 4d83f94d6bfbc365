"""What stage wise_forced needs: the tiles of a brick, their epochs, PSF models, and the sources to measure."""

import logging
import os
from pathlib import Path

import numpy as np

from ..bits import MASKBITS_FIXED
from ..errors import InputError
from .folders import WiseFolders
from .images import BANDS, candidate_paths, find_mask_file, sky_path
from .lightcurves import LIGHT_CURVE_BANDS, Atlas, atlas_path
from .psf import PsfModels, psf_paths
from .tiles import Tile, read_tile_table, scan_tiles, tiles_of_brick

__all__ = ["epochs_of_tiles", "find_tiles", "input_files", "open_atlas", "psf_models", "sources_to_measure"]

logger = logging.getLogger(__name__)

_CLUSTER = next(bit.value for bit in MASKBITS_FIXED if bit.name == "CLUSTER")


def open_atlas(folders, problems):
    """The atlas of time-resolved coadds, or None if there is no folder of them, or it has no usable atlas."""
    if folders.epochs is None:
        return None
    try:
        return Atlas(folders.epochs)
    except InputError as error:
        problems.append(str(error))
        return None


def find_tiles(target, folders, atlas, survey, problems):
    """The unWISE tiles that have a share in a brick.

    They are taken from the table of tiles in the data directory. Without it the folders of images are scanned, or,
    if there are only time-resolved coadds, their atlas serves.

    Parameters
    ----------
    target : ImageWcs
    folders : WiseFolders
    atlas : Atlas or None
    survey : SurveyDirectory
    problems : list of str
        Messages about damaged files are added.

    Returns
    -------
    list of Tile
    """
    table = survey.data_file("wise-tiles.fits")
    if table is not None:
        try:
            return tiles_of_brick(read_tile_table(table, target), target)
        except InputError as error:
            problems.append(str(error))
    logger.info("no table of unWISE tiles (wise-tiles.fits): tiles without astrometric corrections")
    if folders.full:
        tiles = scan_tiles(folders.full, target, problems)
    elif atlas is not None:
        tiles = [Tile.on_grid(*row) for row in zip(atlas.coadd_ids, atlas.ra.tolist(), atlas.dec.tolist())]
    else:
        tiles = []
    return tiles_of_brick(tiles, target)


def epochs_of_tiles(tiles, atlas, problems):
    """Numbers of the epochs of each tile and band: dict (tile, band) -> list of int."""
    epochs = {}
    if atlas is None:
        return epochs
    for tile in tiles:
        for band in LIGHT_CURVE_BANDS:
            try:
                epochs[tile.coadd_id, band] = atlas.epochs(tile.coadd_id, band)
            except KeyError:
                problems.append(f"the atlas of the time-resolved unWISE coadds has no tile {tile.coadd_id}")
                break
    return epochs


def psf_models(survey, problems):
    """PSF models from ``WISE_PSF_DIR``, or ``unwise_psf`` in the data directory; else built-in profiles."""
    folder = _psf_folder(survey)
    if folder is not None and not folder.is_dir():
        problems.append(f"WISE_PSF_DIR {folder}: no such directory")
    return PsfModels(folder, problems)


def _psf_folder(survey):
    named = os.environ.get("WISE_PSF_DIR")
    return Path(named) if named else survey.data_file("unwise_psf")


def input_files(target, options, survey):
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
    # What is wrong with the files was said when the stage ran.
    atlas = open_atlas(folders, [])
    tiles = find_tiles(target, folders, atlas, survey, [])
    for tile in tiles:
        for folder in folders.full:
            for band in BANDS:
                yield from candidate_paths(folder, tile.coadd_id, band)
        mask = find_mask_file(folders.full, tile.coadd_id)
        if mask is not None:
            yield mask
        if folders.sky is not None:
            yield from (sky_path(folders.sky, tile.coadd_id, band) for band in LIGHT_CURVE_BANDS)
    for (coadd_id, band), numbers in epochs_of_tiles(tiles, atlas, []).items():
        for number in numbers:
            yield from candidate_paths(folders.epochs, coadd_id, band, number)


def sources_to_measure(table, sources, maskbits, stars_only):
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
