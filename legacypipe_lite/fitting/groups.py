"""Which sources of a blob are fitted together: those whose models overlap, in groups of limited size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import joint_kernels as kernels
from . import windows_kernels

if TYPE_CHECKING:
    from ..models.patches import Patches
    from ..models.sources import Source
    from .images import BlobImages

__all__ = ["Coupling", "joint_windows", "selection_boxes", "couplings", "coupled_groups", "COUPLED", "MOST_MEMBERS"]

#: Sources are coupled if their noise-weighted models have at least this cosine in some band.
COUPLED = 0.02
#: A larger group is cut at its weakest couplings: the work grows with the cube of the number of members.
MOST_MEMBERS = 60
#: Windows reach so many FWHM of the PSF ...
REACH_FWHM = 3.0
#: ... and from a galaxy so many r_e, and so much of the nominal extent of its profile.
REACH_RE, REACH_EXTENT = 2.0, 0.375
#: The same where types are chosen again, with at least so large an r_e [arcsec].
LEAST_REACH_RE, LEAST_SIZE = 5.0, 0.5
_NO_SEGMENTS = np.zeros(1, np.int32)


@dataclass(frozen=True)
class Coupling:
    """Two sources whose models overlap.

    Attributes
    ----------
    first, second : int
        Their numbers, first < second.
    cosine : float
        Largest of the bands: noise-weighted product of their models, over the product of the models' norms.
    """

    first: int
    second: int
    cosine: float


def selection_boxes(images: BlobImages, source: Source) -> NDArray[np.int32]:
    """The part of each image on which all types of a source are tried again: wide enough for the widest profile.

    Returns
    -------
    numpy.ndarray of int32, shape (n, 4)
        x0, y0, w, h; w = 0: none.
    """
    return _squares(images, source, LEAST_REACH_RE * max(source.shape_r, LEAST_SIZE))


def joint_windows(images: BlobImages, source: Source) -> NDArray[np.int32]:
    """The pixels of each image on which a source takes part in a joint fit.

    Parameters
    ----------
    images : BlobImages
    source : Source

    Returns
    -------
    numpy.ndarray of int32, shape (n, 4)
        x0, y0, w, h: the smallest rectangle with all good pixels near the source; w = 0: none, or no flux in the band.
    """
    rectangles = _squares(images, source, (REACH_RE + REACH_EXTENT * source.kind.extent) * source.shape_r)
    window = np.zeros((images.n, 4), np.int32)
    arrays = windows_kernels.ImageArrays(images.offset, images.width, images.data, images.inverr, images.blob_pixel)
    windows_kernels.tighten(rectangles, tuple(arrays), _NO_SEGMENTS, -1, window, np.zeros(images.n, np.int64))
    return window


def _squares(images, source, extent):
    """Squares that reach an extent [arcsec] and `REACH_FWHM` from a source, in images in which it has a flux."""
    px, py, cinv = images.locate(source)
    scale = np.sqrt(np.abs(cinv[:, 0] * cinv[:, 3] - cinv[:, 1] * cinv[:, 2]))
    rectangles = np.empty((images.n, 4), np.int32)
    reach = REACH_FWHM * images.fwhm + extent * scale
    kernels.windows_around(px, py, reach, (images.height, images.width), rectangles)
    rectangles[source.flux[images.band] == 0.0] = 0
    return rectangles


def couplings(images: BlobImages, patches: list[Patches], windows: list[NDArray[np.int32]]) -> list[Coupling]:
    """Pairs of sources whose windows and models overlap.

    Parameters
    ----------
    images : BlobImages
    patches : list of Patches
        The sources' models.
    windows : list of numpy.ndarray
        From `joint_windows`.

    Returns
    -------
    list of Coupling
    """
    arrays = images.offset, images.width, images.inverr
    packed = [tuple(p) for p in patches]
    bounds = _bounds(windows)
    norms = {}

    def norm(k):
        if k not in norms:
            sums = np.empty(images.nbands)
            kernels.patch_products(packed[k], packed[k], windows[k], arrays, images.band, sums)
            norms[k] = sums
        return norms[k]

    found = []
    common, sums = np.empty((images.n, 4), np.int32), np.empty(images.nbands)
    for i in range(len(windows)):
        near = np.all((bounds[i + 1 :, 0] < bounds[i, 1]) & (bounds[i, 0] < bounds[i + 1 :, 1]), axis=-1).any(axis=-1)
        for j in i + 1 + np.flatnonzero(near):
            if not kernels.intersections(windows[i], windows[j], common):
                continue
            kernels.patch_products(packed[i], packed[j], common, arrays, images.band, sums)
            scale = norm(i) * norm(j)
            cosine = float(np.max(np.abs(sums[scale > 0]) / np.sqrt(scale[scale > 0]), initial=0.0))
            found.append(Coupling(i, int(j), cosine))
    return found


def _bounds(windows):
    """Lower and upper corners of all windows: (sources, 2, images, 2); nothing overlaps an empty one."""
    w = np.array(windows, np.int64).reshape(len(windows), -1, 4)
    low, high = w[..., :2], w[..., :2] + w[..., 2:]
    return np.stack([low, np.where(w[..., 2:3] > 0, high, low - 1)], axis=1)


def coupled_groups(pairs: list[Coupling], count: int, most: int = MOST_MEMBERS) -> list[list[int]]:
    """Groups of sources that are coupled, directly or through others.

    The strongest couplings join first; those that would make a group larger than `most` do not join any more. So a
    large group is cut where its sources hardly touch.

    Parameters
    ----------
    pairs : list of Coupling
    count : int
        Number of sources.
    most : int
        Largest size of a group.

    Returns
    -------
    list of list of int
        Groups of two or more, each in ascending order; the groups in the order of their first members.
    """
    group = list(range(count))
    members = {k: [k] for k in range(count)}
    for pair in sorted(pairs, key=lambda p: (-p.cosine, p.first, p.second)):
        a, b = group[pair.first], group[pair.second]
        if pair.cosine < COUPLED or a == b or len(members[a]) + len(members[b]) > most:
            continue
        if len(members[a]) < len(members[b]):
            a, b = b, a
        for k in members[b]:
            group[k] = a
        members[a] += members.pop(b)
    return sorted(sorted(m) for m in members.values() if len(m) > 1)
