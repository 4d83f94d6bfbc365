"""Kernels: joining hot pixels across saturated columns, and per-blob sums over the blob map."""

import numpy as np
from numba import njit

__all__ = ["join_columns", "number_blobs", "blob_sums"]


@njit(cache=True)
def _count_starts(mask):
    """Number of runs of True in a 1-d mask."""
    n = 0
    before = False
    for here in mask:
        if here and not before:
            n += 1
        before = here
    return n


@njit(cache=True)
def join_columns(hot, saturated, columns, out):
    """Join hot runs of an image column that saturated pixels connect.

    A column changes only if its runs of (hot or saturated) are fewer than its hot runs; then every run of (hot
    or saturated) that holds the starts of at least two hot runs becomes hot.

    Parameters
    ----------
    hot, saturated : bool (H, W)
    columns : int64
        Columns to look at.
    out : bool (H, W)
        A copy of `hot` on entry; changed.
    """
    h = hot.shape[0]
    line = np.empty(h, np.bool_)
    either = np.empty(h, np.bool_)
    for x in columns:
        for y in range(h):
            line[y] = hot[y, x]
            either[y] = hot[y, x] or saturated[y, x]
        if _count_starts(either) >= _count_starts(line):
            continue
        y = 0
        while y < h:
            if not either[y]:
                y += 1
                continue
            first = y
            starts = 0
            while y < h and either[y]:
                if line[y] and not (y > first and line[y - 1]):
                    starts += 1
                y += 1
            if starts >= 2:
                for yy in range(first, y):
                    out[yy, x] = True


@njit(cache=True)
def number_blobs(labels, new_number):
    """Replace every label k by new_number[k], in place."""
    h, w = labels.shape
    for y in range(h):
        for x in range(w):
            labels[y, x] = new_number[labels[y, x]]


@njit(cache=True)
def blob_sums(blobmap, region, npix, npix_region, first_y, first_x):
    """Pixels of each blob, those of them inside `region`, and each blob's first pixel in raster order."""
    h, w = blobmap.shape
    for y in range(h):
        for x in range(w):
            k = blobmap[y, x]
            if k >= 0:
                if npix[k] == 0:
                    first_y[k] = y
                    first_x[k] = x
                npix[k] += 1
                if region[y, x]:
                    npix_region[k] += 1
