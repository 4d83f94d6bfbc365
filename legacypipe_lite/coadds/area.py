"""True pixel areas: how many image pixels one target pixel covers, place by place."""

import numpy as np
from scipy.interpolate import RectBivariateSpline

__all__ = ["area_factors"]

_NODES = 12


def area_factors(target, wcs, grid):
    """Ratio of the true area of a target pixel to that of the image pixel it falls on.

    Parameters
    ----------
    target, wcs : ImageWcs
    grid : MapGrid
        From target to image.

    Returns
    -------
    numpy.ndarray of float32, shape of the map's box
        The areas are smooth: they are evaluated on a coarse grid and interpolated (bicubic, 1e-7 or better).
    """
    height, width = grid.shape
    ys = np.linspace(grid.y0, grid.y0 + max(height - 1, 1), _NODES)
    xs = np.linspace(grid.x0, grid.x0 + max(width - 1, 1), _NODES)
    ratios = np.empty((_NODES, _NODES))
    for i, y in enumerate(ys):
        for j, x in enumerate(xs):
            there = wcs.local_jacobian(*target.map_to(wcs, x, y))
            ratios[i, j] = abs(np.linalg.det(target.local_jacobian(x, y)) / np.linalg.det(there))
    spline = RectBivariateSpline(ys, xs, ratios)
    return spline(grid.y0 + np.arange(height), grid.x0 + np.arange(width)).astype(np.float32)
