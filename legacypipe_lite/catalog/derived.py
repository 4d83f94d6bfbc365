"""Catalogue columns that follow from others: identifiers, neighbours, fit bits."""

import numpy as np
from scipy.spatial import cKDTree

from ..bits import FITBITS

__all__ = ["ls_id", "nearest_neighbor", "fitbits", "flag", "source_types"]

_NEIGHBOR_RADIUS = 60.0  # arcsec
_WALKED, _RAN = 1.0, 2.5  # arcsec

#: Fit bit -> boolean column that sets it.
_BIT_COLUMNS = {
    "FORCED_POINTSOURCE": "forced_pointsource",
    "FIT_BACKGROUND": "fit_background",
    "HIT_RADIUS_LIMIT": "hit_r_limit",
    "HIT_SERSIC_LIMIT": "hit_ser_limit",
    "FROZEN": "freezeparams",
    "BRIGHT": "isbright",
    "MEDIUM": "ismedium",
    "GAIA": "isgaia",
    "TYCHO2": "istycho",
    "LARGEGALAXY": "islargegalaxy",
    "GAIA_POINTSOURCE": "pointsource",
    "ITERATIVE": "iterative",
}


def ls_id(release, brickid, objid):
    """Number that identifies an object: release * 2^42 + brickid * 2^22 + objid (negative for custom bricks).

    Parameters
    ----------
    release, brickid : int
    objid : array_like of int

    Returns
    -------
    numpy.ndarray of int64
    """
    return (np.int64(release) << 42) | (np.int64(brickid) << 22) | np.asarray(objid, np.int64)


def nearest_neighbor(ra, dec):
    """Distance of each position to the nearest other one.

    Parameters
    ----------
    ra, dec : array_like
        Degrees.

    Returns
    -------
    numpy.ndarray of float32
        arcsec; 0 if there is none within 60 arcsec.
    """
    ra, dec = np.radians(np.asarray(ra, np.float64)), np.radians(np.asarray(dec, np.float64))
    if len(ra) < 2:
        return np.zeros(len(ra), np.float32)
    xyz = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    chord = cKDTree(xyz).query(xyz, k=2)[0][:, 1]
    distance = np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1))) * 3600
    return np.where(distance < _NEIGHBOR_RADIUS, distance, 0.0).astype(np.float32)


def fitbits(table, pixscale):
    """Fit bits of the rows of a fitted table.

    Parameters
    ----------
    table : Table
        With the fit's and the reference catalogues' boolean columns, as far as there are any, and positions
        bx, by and (before the fit) bx0, by0.
    pixscale : float
        arcsec per pixel of these positions.

    Returns
    -------
    numpy.ndarray of int16
    """
    moved = np.hypot(*(np.asarray(table[a], np.float64) - np.asarray(table[a + "0"]) for a in ("bx", "by"))) * pixscale
    conditions = {name: flag(table, column) for name, column in _BIT_COLUMNS.items()}
    conditions["WALKER"] = moved > _WALKED
    conditions["RUNNER"] = moved > _RAN
    bits = np.zeros(len(table), np.int16)
    for bit in FITBITS:
        bits[conditions[bit.name]] |= np.int16(bit.value)
    return bits


def flag(table, column):
    """A boolean column, or False for all rows if the table lacks it."""
    if column not in table.colnames:
        return np.zeros(len(table), bool)
    return np.asarray(table[column], bool)


def source_types(sources, duplicates):
    """Catalogue type of each row.

    Parameters
    ----------
    sources : list of Source or None
        None is a reference object without a model: NUN.
    duplicates : numpy.ndarray of bool
        Rows of stars that another row has fitted: DUP.

    Returns
    -------
    numpy.ndarray of str
    """
    types = np.array(["NUN" if source is None else source.type for source in sources], dtype="U3")
    types[duplicates] = "DUP"
    return types
