"""Kernels: unit-flux images ("stamps") of point sources and galaxies on a tile.

Stamps are `models.patches.Patches`: of many sources in one image.
"""

import numpy as np
from numba import njit

from ..models.render_kernels import point_source, round_half_even


@njit(cache=True)
def point_stamps(members, psf, size, px, py, stamps):
    """Point sources that share one cropped PSF.

    Parameters
    ----------
    members : int64 (m,)
        Sources to render.
    psf : float32 (size + 2 PAD, size + 2 PAD)
        Padded PSF.
    px, py : float64 (n,)
        Positions on the image.
    stamps : Patches
        Parts of the rectangles of `size` x `size` pixels around the sources; `values` are set.
    """
    rectangles, values = stamps.rectangles, stamps.values
    planes = np.empty(size * size, np.float32)
    scratch = np.empty(psf.size, np.float32)
    for i in members:
        point_source(psf, size, size, px[i], py[i], rectangles[i], False, scratch, planes)
        start = stamps.offset[i]
        for k in range(rectangles[i, 2] * rectangles[i, 3]):
            values[start + k] = planes[k]


@njit(cache=True)
def cut_stamps(members, frames, centre, px, py, stamps):
    """Copy the rectangles of galaxies out of their frames (m, 1, size, size)."""
    rectangles, values = stamps.rectangles, stamps.values
    for k in range(members.size):
        i = members[k]
        w, h = rectangles[i, 2], rectangles[i, 3]
        dx = rectangles[i, 0] - round_half_even(px[i]) + centre
        dy = rectangles[i, 1] - round_half_even(py[i]) + centre
        for y in range(h):
            start = stamps.offset[i] + y * w
            for x in range(w):
                values[start + x] = frames[k, 0, y + dy, x + dx]
