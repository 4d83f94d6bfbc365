"""Globular and open clusters, planetary nebulae, reflection nebulae: areas to be masked."""

import logging

import numpy as np
from astropy.table import Table

from ..wcs import great_circle_distance
from .repairs import replace_impossible, without_positions
from .tables import CatalogFile

__all__ = ["star_clusters"]

logger = logging.getLogger(__name__)

#: Columns without which a file is of no use.
REQUIRED_COLUMNS = ("ra", "dec", "radius")
_LARGEST = 10.0  # degrees
_COLUMNS = ("ra", "dec", "radius", "pa", "ba")


def star_clusters(ra: float, dec: float, radius: float, path: str) -> Table:
    """Clusters and nebulae whose circle reaches into that around a position.

    Parameters
    ----------
    ra, dec, radius : float
        Degrees.
    path : str
        Table with columns ra, dec, radius (deg), pa (deg, East of North), ba (axis ratio).

    Returns
    -------
    Table
        Columns of the reference table; `ref_id` is the row number in the file.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column.
    """
    with CatalogFile(path, required=REQUIRED_COLUMNS, types=dict.fromkeys(_COLUMNS, "number")) as catalog:
        raw = catalog.read(_COLUMNS)
    for name, round_shape in (("pa", 0.0), ("ba", 1.0)):
        if name not in raw.colnames:
            logger.warning("%s: no column %s: the areas are taken for round", path, name)
            raw[name] = np.full(len(raw), round_shape)
    replace_impossible(raw, "radius", 0.0, _LARGEST, 0.0, path, "left out")
    replace_impossible(raw, "pa", -360.0, 360.0, 0.0, path, "taken for 0")
    replace_impossible(raw, "ba", 1e-3, 1.0, 1.0, path, "taken for 1")
    with np.errstate(invalid="ignore"):
        near = great_circle_distance(raw["ra"], raw["dec"], ra, dec) < radius + raw["radius"]
    rows = np.flatnonzero(near & (raw["radius"] > 0) & ~without_positions(raw["ra"], raw["dec"], path))
    n = len(rows)
    table = Table({name: np.asarray(raw[name][rows], np.float64) for name in _COLUMNS})
    table["ref_cat"] = np.full(n, "CL", dtype="U2")
    table["ref_id"] = rows.astype(np.int64)
    table["iscluster"] = np.ones(n, bool)
    table["ignore_source"] = np.ones(n, bool)
    return table
