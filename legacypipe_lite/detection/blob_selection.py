"""Fitting only some blobs: the options --nblobs, --blob, --blobid, --blobxy and --blobradec."""

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import NothingToDo, UsageError
from ..options import RunOptions
from ..wcs import ImageWcs
from .blobs_kernels import number_blobs

__all__ = ["BlobSelection", "select_blobs"]

logger = logging.getLogger(__name__)


class BlobSelection(NamedTuple):
    """The blobs to be fitted, renumbered in the order of the selection.

    Attributes
    ----------
    blobmap : numpy.ndarray of int32, shape (H, W)
    blob_sources, blob_slices : list
    points : numpy.ndarray of int, shape (n, 2), or None
        Pixels (x, y) of --blobxy or --blobradec: of a blob that is cut into pieces, only those with one of these
        points are wanted.
    """

    blobmap: np.ndarray
    blob_sources: list
    blob_slices: list
    points: np.ndarray | None


def select_blobs(
    options: RunOptions,
    blobmap: NDArray[np.int32],
    blob_sources: list[NDArray[np.integer]],
    blob_slices: list[tuple[slice, slice]],
    target_wcs: ImageWcs,
) -> BlobSelection:
    """Reduce the blobs to those that the command line asks for.

    ``--blobradec`` replaces ``--blobxy``; ``--blobid`` overrides both; ``--blob`` and ``--nblobs`` override all.

    Parameters
    ----------
    options : RunOptions
    blobmap, blob_sources, blob_slices
        As `segment_blobs` made them.
    target_wcs : ImageWcs

    Returns
    -------
    BlobSelection

    Raises
    ------
    UsageError
        If a blob number is not a number or does not exist.
    NothingToDo
        If none of the given positions lies in a blob.
    """
    count = len(blob_slices)
    points = _points(options, blobmap.shape, target_wcs)
    wanted = None
    if points is not None:
        wanted = _blobs_at(points, blobmap)
    if options.blobid is not None:
        wanted = _listed_blobs(options.blobid, count)
    if options.blob is not None or (options.nblobs is not None and options.nblobs < count):
        wanted = _range_of_blobs(options.blob, options.nblobs, count)
    if wanted is None:
        return BlobSelection(blobmap, blob_sources, blob_slices, points)
    new_number = np.full(count + 1, -1, np.int32)  # the last entry is that of -1
    new_number[wanted] = np.arange(len(wanted))
    blobmap = blobmap.copy()
    number_blobs(blobmap, new_number)
    return BlobSelection(blobmap, [blob_sources[i] for i in wanted], [blob_slices[i] for i in wanted], points)


def _points(options, shape, target_wcs):
    """Pixels of --blobradec or --blobxy, moved into the brick; int (n, 2) or None."""
    h, w = shape
    if options.blobradec:
        ra, dec = np.array(options.blobradec, float).reshape(-1, 2).T
        x, y = target_wcs.sky_to_pixel(ra, dec)
        if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
            raise UsageError("--blobradec: a position is more than 90 degrees from the brick")
        given = np.stack([np.trunc(x), np.trunc(y)], axis=1).astype(np.int64)
        flag = "--blobradec"
    elif options.blobxy:
        given = np.array(options.blobxy, np.int64).reshape(-1, 2)
        flag = "--blobxy"
    else:
        return None
    points = np.clip(given, 0, [w - 1, h - 1])
    for (x, y), (cx, cy) in zip(given, points):
        if (x, y) != (cx, cy):
            logger.warning("%s: pixel %d %d is outside the brick, using %d %d", flag, x, y, cx, cy)
    return points


def _blobs_at(points, blobmap):
    """Sorted numbers of the blobs at the given pixels."""
    blobs = blobmap[points[:, 1], points[:, 0]]
    for (x, y), blob in zip(points, blobs):
        if blob < 0:
            logger.warning("--blobxy/--blobradec: there is no blob at pixel %d %d", x, y)
    wanted = np.unique(blobs[blobs >= 0])
    if len(wanted) == 0:
        raise NothingToDo("--blobxy/--blobradec: no blob at any of the given positions")
    return wanted


def _listed_blobs(text, count):
    """Blob numbers of --blobid, each once, in the order given."""
    try:
        wanted = [int(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(f"--blobid {text!r}: expected blob numbers separated by commas") from None
    for blob in wanted:
        _check_exists("--blobid", blob, count)
    return np.array(list(dict.fromkeys(wanted)))


def _range_of_blobs(first, number, count):
    """Blob numbers of --blob and --nblobs; the end of the list limits them."""
    first = 0 if first is None else first
    _check_exists("--blob", first, count)
    if number is not None and number < 1:
        raise UsageError(f"--nblobs must be at least 1, got {number}")
    stop = count if number is None else min(count, first + number)
    return np.arange(first, stop)


def _check_exists(flag, blob, count):
    if not 0 <= blob < count:
        raise UsageError(f"{flag}: there is no blob {blob}; this brick has blobs 0 to {count - 1}")
