"""Globular and open clusters, planetary nebulae, reflection nebulae: areas to be masked."""

import numpy as np
from astropy.table import Table

from ..wcs import great_circle_distance
from .tables import CatalogFile

__all__ = ["star_clusters"]

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
    with CatalogFile(path, required=_COLUMNS) as catalog:
        raw = catalog.read(_COLUMNS)
    rows = np.flatnonzero(great_circle_distance(raw["ra"], raw["dec"], ra, dec) < radius + raw["radius"])
    n = len(rows)
    table = Table({name: np.asarray(raw[name][rows], np.float64) for name in _COLUMNS})
    table["ref_cat"] = np.full(n, "CL", dtype="U2")
    table["ref_id"] = rows.astype(np.int64)
    table["iscluster"] = np.ones(n, bool)
    table["ignore_source"] = np.ones(n, bool)
    return table
