"""Segmentation of a blob: which source a pixel belongs to when its galaxy models are chosen."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import segmentation_kernels as kernels

__all__ = ["watershed", "kingdoms", "segmentation_map", "KINGDOM_RADIUS"]

#: Every source owns the pixels up to this rounded distance unless another source is nearer.
KINGDOM_RADIUS = 10


def watershed(
    sn: NDArray[np.float32],
    mask: NDArray[np.bool_],
    x: ArrayLike,
    y: ArrayLike,
    source: ArrayLike | None = None,
    max_radius: ArrayLike | None = None,
) -> NDArray[np.int32]:
    """Divide a blob among its sources by priority flooding of the signal-to-noise map.

    Parameters
    ----------
    sn : numpy.ndarray of float32, shape (h, w)
    mask : numpy.ndarray of bool, shape (h, w)
        The blob. Seeds get their pixel even outside.
    x, y : array_like of int
        Seed pixels, one per source, inside the map. Of several at one pixel, the one with the largest number owns
        it, and the one with the smallest number floods from there.
    source : array_like of int, optional
        Source number of each seed, written into the map; default 0, 1, ...
    max_radius : array_like of float, optional
        Largest distance [pixel] of a source's pixels from its seed (inf = none); default no limit.

    Returns
    -------
    numpy.ndarray of int32, shape (h, w)
        Source number; -1 where no source reaches.
    """
    xs, ys, numbers = _columns(x, y, source)
    radii = np.full(len(xs), np.inf) if max_radius is None else np.asarray(max_radius, np.float64)
    out = np.full(sn.shape, -1, np.int32)
    sn = np.ascontiguousarray(sn, np.float32)
    kernels.flood_from_seeds(sn, np.ascontiguousarray(mask, bool), xs, ys, numbers, radii**2, out)
    return out


def kingdoms(
    segmentation: NDArray[np.int32],
    x: ArrayLike,
    y: ArrayLike,
    source: ArrayLike | None = None,
    radius: int = KINGDOM_RADIUS,
) -> NDArray[np.int32]:
    """Give every source its immediate surroundings, in place.

    Pixels whose rounded distance from a source is at most `radius` go to the nearest source, also outside the
    blob; of equally near ones, the first in the list has precedence.

    Parameters
    ----------
    segmentation : numpy.ndarray of int32, shape (h, w)
        From `watershed`; changed.
    x, y : array_like of int
        Pixels of the sources by decreasing brightness.
    source : array_like of int, optional
        Their numbers; default 0, 1, ...
    radius : int

    Returns
    -------
    numpy.ndarray of int32
        `segmentation`.
    """
    xs, ys, numbers = _columns(x, y, source)
    kernels.claim_discs(segmentation, xs, ys, numbers, radius)
    return segmentation


def segmentation_map(
    sn: NDArray[np.float32],
    mask: NDArray[np.bool_],
    x: ArrayLike,
    y: ArrayLike,
    brightness: ArrayLike,
    source: ArrayLike | None = None,
    max_radius: ArrayLike | None = None,
    cluster: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """Segmentation of a blob: watershed, then the kingdoms of all sources.

    Parameters
    ----------
    sn : numpy.ndarray of float32, shape (h, w)
        Largest signal to noise of the bands, not negative (`DetectionMaps.max_signal_to_noise`).
    mask : numpy.ndarray of bool, shape (h, w)
        The blob.
    x, y : array_like of int
        Pixels of the sources, inside the map.
    brightness : array_like of float
        Decides between equally near sources.
    source : array_like of int, optional
        Source numbers; default 0, 1, ...
    max_radius : array_like of float, optional
        As for `watershed`.
    cluster : numpy.ndarray of bool, shape (h, w), optional
        Inside star clusters the signal counts as 0, and sources have no seed but their kingdom.

    Returns
    -------
    numpy.ndarray of int32, shape (h, w)
        Source number; -1 where no source reaches.
    """
    xs, ys, numbers = _columns(x, y, source)
    radii = np.full(len(xs), np.inf) if max_radius is None else np.asarray(max_radius, np.float64)
    seeds = np.ones(len(xs), bool)
    if cluster is not None:
        sn = np.where(cluster, np.float32(0), sn)
        seeds = ~cluster[ys, xs]
    out = watershed(sn, mask, xs[seeds], ys[seeds], numbers[seeds], radii[seeds])
    order = np.argsort(-np.asarray(brightness, np.float64), kind="stable")
    return kingdoms(out, xs[order], ys[order], numbers[order])


def _columns(x, y, source):
    xs, ys = np.asarray(x, np.int64), np.asarray(y, np.int64)
    source = np.arange(len(xs)) if source is None else source
    return xs, ys, np.asarray(source, np.int64)
