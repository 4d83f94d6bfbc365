"""Which row of a catalogue belongs to which source of another table."""

import numpy as np
from scipy.spatial import cKDTree

__all__ = ["match", "sky_plane"]


def match(truth, catalog, radius, order_by):
    """Match true sources and catalogue rows one to one: the brightest first, each with the nearest row still free.

    Parameters
    ----------
    truth, catalog : Table
    radius : float
        Largest distance [arcsec].
    order_by : str
        Column of the truth that says what is brightest.

    Returns
    -------
    index : numpy.ndarray of int
        Catalogue row of each true source, -1 for none.
    distance : numpy.ndarray of float
        arcsec, NaN for none.
    """
    index, distance = np.full(len(truth), -1), np.full(len(truth), np.nan)
    if len(catalog) == 0 or len(truth) == 0:
        return index, distance
    origin = float(truth["ra"][0]), float(np.median(truth["dec"]))
    truth_xy, catalog_xy = sky_plane(truth, *origin), sky_plane(catalog, *origin)
    near = cKDTree(catalog_xy).query_ball_point(truth_xy, radius)
    free = np.ones(len(catalog), bool)
    for i in np.argsort(-np.asarray(truth[order_by], float), kind="stable"):
        rows = [row for row in near[i] if free[row]]
        if rows:
            separation = np.hypot(*(catalog_xy[rows] - truth_xy[i]).T)
            nearest = int(np.argmin(separation))
            if separation[nearest] < radius:
                index[i], distance[i] = rows[nearest], separation[nearest]
                free[rows[nearest]] = False
    return index, distance


def sky_plane(table, ra0, dec0):
    """Positions on the plane around (ra0, dec0) [arcsec], good for small fields."""
    dra = (np.asarray(table["ra"], np.float64) - ra0 + 180.0) % 360.0 - 180.0
    x = dra * np.cos(np.radians(dec0)) * 3600
    return np.column_stack([x, (np.asarray(table["dec"], np.float64) - dec0) * 3600])
