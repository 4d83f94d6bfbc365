"""WISE light curves: which epochs a tile has, and which of them the catalogue keeps."""

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..tables import read_table

__all__ = ["LIGHT_CURVE_BANDS", "Atlas", "atlas_path", "choose_epochs"]

LIGHT_CURVE_BANDS = (1, 2)

_ATLAS = "time_resolved_atlas.fits"
#: Epochs with so many exposures are as good as any other.
_ENOUGH_EXPOSURES = 12
_HALF_YEAR = 182.625  # days
#: WISE was switched off for so many days after this MJD.
_HIBERNATION_START, _HIBERNATION_END, _HIBERNATION = 55593.0, 56000.0, 1046.0


def atlas_path(folder):
    """Path of the atlas in a folder of time-resolved coadds."""
    return Path(folder) / _ATLAS


class Atlas:
    """Which epochs of which tiles a folder of time-resolved coadds has.

    Parameters
    ----------
    folder : str

    Attributes
    ----------
    coadd_ids : list of str
    ra, dec : numpy.ndarray of float64
        Centres of the tiles [deg].

    Raises
    ------
    InputError
        If the atlas, ``time_resolved_atlas.fits``, is missing or damaged.
    """

    def __init__(self, folder):
        path = atlas_path(folder)
        table = read_table(path, columns=["coadd_id", "ra", "dec", "epoch_bitmask"])
        if table["epoch_bitmask"].ndim != 2:
            raise InputError(f"{path}: column epoch_bitmask must be an array of epochs")
        self.coadd_ids = [name.strip() for name in table["coadd_id"]]
        self.ra, self.dec = table["ra"], table["dec"]
        self._bits = table["epoch_bitmask"]

    def epochs(self, coadd_id, band):
        """Numbers of the epochs (folders ``e000``, ``e001`` ...) of a tile in a band, in order.

        Raises
        ------
        KeyError
            If the atlas does not have the tile.
        """
        if coadd_id not in self.coadd_ids:
            raise KeyError(coadd_id)
        return np.flatnonzero(self._bits[self.coadd_ids.index(coadd_id)] & band).tolist()


def choose_epochs(nobs, mjd, length):
    """Which epochs of each source a light curve of fixed length keeps.

    If there are more than fit, those with many exposures are kept, as evenly spaced in time as possible.

    Parameters
    ----------
    nobs : numpy.ndarray of int, shape (n, epochs)
        Number of exposures.
    mjd : numpy.ndarray of float64, shape (n, epochs)
    length : int

    Returns
    -------
    numpy.ndarray of int, shape (n, length)
        Numbers of the epochs, in order; -1 in places that stay empty.
    """
    n, epochs = nobs.shape
    if epochs <= length:
        return np.tile(np.append(np.arange(epochs), np.full(length - epochs, -1)), (n, 1))
    enough = np.minimum(-np.sort(-nobs, axis=1)[:, length - 1], _ENOUGH_EXPOSURES)
    candidate = nobs >= enough[:, np.newaxis]
    kept = candidate.copy()
    crowded = np.flatnonzero(candidate.sum(axis=1) > length)
    kept[crowded] = _evenly_spaced(candidate[crowded], mjd[crowded], length)
    return np.nonzero(kept)[1].reshape(n, length)


def _evenly_spaced(candidate, mjd, length):
    """Of the candidates of each row: the first one, and those nearest to every half year after it."""
    rows = np.arange(len(mjd))
    excluded = np.where(candidate, 0.0, 1e6)
    first = np.argmin(mjd + excluded, axis=1)
    start = mjd[rows, first]
    kept = np.zeros(mjd.shape, bool)
    for j in range(length):
        time = start + j * _HALF_YEAR
        asleep = (start < _HIBERNATION_END) & (time > _HIBERNATION_START)
        time = np.where(asleep, time + _HIBERNATION - _HALF_YEAR, time)
        nearest = first if j == 0 else np.argmin(np.abs(mjd - time[:, np.newaxis]) + excluded, axis=1)
        kept[rows, nearest] = True
        excluded[rows, nearest] = 1e6
    return kept
