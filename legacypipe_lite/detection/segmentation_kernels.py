"""Kernels: watershed of a blob among its sources by priority flooding, and the sources' own discs."""

import math

import numpy as np
from numba import njit

__all__ = ["flood_from_seeds", "claim_discs"]


@njit(cache=True, inline="always")
def _before(sn, key, i, j):
    """True if heap entry i comes before entry j: higher signal first, then smaller key."""
    if sn[i] != sn[j]:
        return sn[i] > sn[j]
    return key[i] < key[j]


@njit(cache=True, inline="always")
def _swap(sn, key, i, j):
    sn[i], sn[j] = sn[j], sn[i]
    key[i], key[j] = key[j], key[i]


@njit(cache=True)
def _push(sn, key, n, value, number):
    """Add an entry to a binary heap of n entries."""
    sn[n], key[n] = value, number
    while n > 0:
        up = (n - 1) // 2
        if not _before(sn, key, n, up):
            break
        _swap(sn, key, n, up)
        n = up


@njit(cache=True)
def _pop(sn, key, n):
    """Remove the first entry of a heap of n entries; returns its key."""
    first = key[0]
    n -= 1
    sn[0], key[0] = sn[n], key[n]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= n:
            break
        if down + 1 < n and _before(sn, key, down + 1, down):
            down += 1
        if not _before(sn, key, down, i):
            break
        _swap(sn, key, i, down)
        i = down
    return first


@njit(cache=True)
def flood_from_seeds(sn, mask, xs, ys, source, max_radius2, out):
    """Flood the mask from the seeds, highest pixels first.

    The queue is ordered by decreasing `sn`, then by source number, x and y. A pixel gets the source of the
    first neighbour that queues it.

    Parameters
    ----------
    sn : float32 (h, w)
    mask : bool (h, w)
    xs, ys, source : int64 (n,)
        Seed pixels and their source numbers (>= 0).
    max_radius2 : float64 (n,)
        Largest squared distance from the seed.
    out : int32 (h, w)
        -1 on entry; out: source number.
    """
    h, w = sn.shape
    npix = h * w
    heap_sn = np.empty(npix + xs.size, np.float32)
    # The key packs the seed's rank by source number, x and y.
    heap_key = np.empty(npix + xs.size, np.int64)
    seed_of_rank = np.argsort(source, kind="mergesort")
    queued = np.zeros((h, w), np.bool_)
    n = 0
    for r in range(xs.size):
        i = seed_of_rank[r]
        queued[ys[i], xs[i]] = True
        _push(heap_sn, heap_key, n, sn[ys[i], xs[i]], np.int64(r) * npix + xs[i] * h + ys[i])
        n += 1
    while n > 0:
        key = _pop(heap_sn, heap_key, n)
        n -= 1
        r = key // npix
        x, y = (key % npix) // h, (key % npix) % h
        i = seed_of_rank[r]
        out[y, x] = source[i]
        for k in range(4):
            yy = y - (k == 0) + (k == 1)
            xx = x - (k == 2) + (k == 3)
            if not (0 <= yy < h and 0 <= xx < w) or queued[yy, xx] or not mask[yy, xx]:
                continue
            if (xx - xs[i]) ** 2 + (yy - ys[i]) ** 2 > max_radius2[i]:
                continue
            queued[yy, xx] = True
            _push(heap_sn, heap_key, n, sn[yy, xx], np.int64(r) * npix + xx * h + yy)
            n += 1


@njit(cache=True)
def claim_discs(segmentation, xs, ys, source, radius):
    """Give every pixel near a source to the nearest one; of equally near ones the first claims it.

    The distance is rounded to whole pixels.

    Parameters
    ----------
    segmentation : int32 (h, w)
        Changed.
    xs, ys, source : int64 (n,)
    radius : int
    """
    h, w = segmentation.shape
    nearest = np.full((h, w), radius + 1, np.int32)
    for i in range(xs.size):
        for y in range(max(0, ys[i] - radius), min(h, ys[i] + radius + 1)):
            for x in range(max(0, xs[i] - radius), min(w, xs[i] + radius + 1)):
                distance = int(math.sqrt(float((x - xs[i]) ** 2 + (y - ys[i]) ** 2)) + 0.5)
                if distance < nearest[y, x]:
                    nearest[y, x] = distance
                    segmentation[y, x] = source[i]
