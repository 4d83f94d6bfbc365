"""Blobs: groups of connected hot pixels with the sources in them, which are fitted together."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import blobs_kernels as kernels
from .morphology_kernels import fill_holes, label, label_boxes

__all__ = [
    "BlobProperties",
    "SubBlob",
    "merge_hot_saturated",
    "segment_blobs",
    "blob_properties",
    "sub_blobs",
    "sub_blob_sources",
    "SUB_BLOB_OVERLAP",
    "SUB_BLOB_TARGET",
]

#: Overlap and intended size of the pieces of a large blob [pixel].
SUB_BLOB_OVERLAP = 32
SUB_BLOB_TARGET = 256


def merge_hot_saturated(hot: NDArray[np.bool_], saturated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Connect hot pixels of one image column across saturated ones.

    The bleed trails of the cameras run along image columns and cut the hot patch of a bright star into pieces.

    Parameters
    ----------
    hot : numpy.ndarray of bool, shape (H, W)
    saturated : numpy.ndarray of bool, shape (H, W) or (bands, H, W)
        Grown saturation maps; several are combined with OR.

    Returns
    -------
    numpy.ndarray of bool, shape (H, W)
    """
    if saturated.ndim == 3:
        saturated = np.any(saturated, axis=0)
    out = hot.copy()
    kernels.join_columns(hot, saturated, np.flatnonzero(saturated.any(axis=0)), out)
    return out


def segment_blobs(
    hot: NDArray[np.bool_], x: ArrayLike, y: ArrayLike
) -> tuple[NDArray[np.int32], list[NDArray[np.int64]], list[tuple[slice, slice]]]:
    """Number the connected hot patches (holes filled) that hold a source.

    Parameters
    ----------
    hot : numpy.ndarray of bool, shape (H, W)
    x, y : array_like of int
        Pixels of the sources; those off the map belong to the patch at the nearest edge pixel.

    Returns
    -------
    blobmap : numpy.ndarray of int32, shape (H, W)
        Blob numbers 0, 1, ... in raster order of the first pixels; -1 = none.
    blob_sources : list of numpy.ndarray of int64
        Per blob, ascending row numbers of the sources in it.
    blob_slices : list of (slice, slice)
        Per blob, bounding box (y, x).
    """
    h, w = hot.shape
    labels, count = label(fill_holes(np.ascontiguousarray(hot, bool)))
    boxes = label_boxes(labels, count)
    at_source = labels[np.clip(np.asarray(y, np.int64), 0, h - 1), np.clip(np.asarray(x, np.int64), 0, w - 1)]
    used = np.unique(at_source[at_source > 0])
    new_number = np.full(count + 1, -1, np.int32)
    new_number[used] = np.arange(len(used))
    kernels.number_blobs(labels, new_number)

    blob_of_source = new_number[at_source]
    order = np.argsort(blob_of_source, kind="stable")
    order = order[blob_of_source[order] >= 0]
    edges = np.searchsorted(blob_of_source[order], np.arange(len(used) + 1))
    blob_sources = [order[a:b] for a, b in zip(edges[:-1], edges[1:])]
    blob_slices = [(slice(int(y0), int(y1)), slice(int(x0), int(x1))) for y0, y1, x0, x1 in boxes[used]]
    return labels, blob_sources, blob_slices


class BlobProperties(NamedTuple):
    """Sizes of all blobs of a map; int64 arrays, one entry per blob.

    Attributes
    ----------
    npix : numpy.ndarray
        Pixels.
    npix_region : numpy.ndarray
        Pixels inside the region, e.g. the brick's unique area.
    first_x, first_y : numpy.ndarray
        First pixel in raster order.
    """

    npix: np.ndarray
    npix_region: np.ndarray
    first_x: np.ndarray
    first_y: np.ndarray

    def by_size(self) -> NDArray[np.integer]:
        """Blob numbers by decreasing size, ties in raster order of the first pixel."""
        return np.lexsort((self.first_x, self.first_y, -self.npix))


def blob_properties(blobmap: NDArray[np.int32], count: int, region: NDArray[np.bool_] | None = None) -> BlobProperties:
    """Measure all blobs of a map in one pass.

    Parameters
    ----------
    blobmap : numpy.ndarray of int32, shape (H, W)
    count : int
        Number of blobs.
    region : numpy.ndarray of bool, shape (H, W), optional
        Default: everything.

    Returns
    -------
    BlobProperties
    """
    if region is None:
        region = np.ones(blobmap.shape, bool)
    npix, inside, first_y, first_x = (np.zeros(count, np.int64) for _ in range(4))
    kernels.blob_sums(blobmap, region, npix, inside, first_y, first_x)
    return BlobProperties(npix, inside, first_x, first_y)


class SubBlob(NamedTuple):
    """One of the overlapping pieces of a large blob.

    Attributes
    ----------
    index : int
        Row by row.
    box : (slice, slice)
        Pixels (y, x) of the brick.
    unique_x, unique_y : (int, int)
        Half-open interval of positions that this piece is responsible for; those of all pieces tile the blob.
    """

    index: int  # type: ignore[assignment]  # not the method of a tuple
    box: tuple
    unique_x: tuple
    unique_y: tuple

    def owns(self, x: Any, y: Any) -> Any:
        """True where brick positions are this piece's responsibility."""
        (x0, x1), (y0, y1) = self.unique_x, self.unique_y
        return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)


def sub_blobs(
    blob_slice: tuple[slice, slice], overlap: int = SUB_BLOB_OVERLAP, target: int = SUB_BLOB_TARGET
) -> list[SubBlob]:
    """Cut the bounding box of a large blob into overlapping pieces.

    Parameters
    ----------
    blob_slice : (slice, slice)
        Bounding box (y, x).
    overlap, target : int
        Overlap and intended size of the pieces [pixel].

    Returns
    -------
    list of SubBlob
        Empty if the blob is too small to be cut: both sides below ``1.5 (target - overlap) + overlap``.
    """
    along_y, along_x = blob_slice
    limit = 1.5 * (target - overlap) + overlap
    if max(along_y.stop - along_y.start, along_x.stop - along_x.start) < limit:
        return []
    pieces_x = _cut(along_x.start, along_x.stop, overlap, target)
    pieces_y = _cut(along_y.start, along_y.stop, overlap, target)
    return [
        SubBlob(iy * len(pieces_x) + ix, (box_y, box_x), unique_x, unique_y)
        for iy, (box_y, unique_y) in enumerate(pieces_y)
        for ix, (box_x, unique_x) in enumerate(pieces_x)
    ]


def _cut(start, stop, overlap, target):
    """Pieces of one axis: list of (slice, unique interval)."""
    size = stop - start
    n = max(1, round((size - overlap) / (target - overlap)))
    width = (size + (n - 1) * overlap + n - 1) // n
    step = width - overlap
    edges = [0, *(k * step + overlap // 2 for k in range(1, n)), size]
    return [
        (
            slice(start + i * step, start + min(i * step + width, size)),
            (start + edges[i], start + edges[i + 1]),
        )
        for i in range(n)
    ]


def sub_blob_sources(
    piece: SubBlob, sources: NDArray[np.integer], x: NDArray[np.integer], y: NDArray[np.integer], shape: tuple[int, int]
) -> NDArray[np.integer]:
    """Rows of a blob's sources whose pixel, clipped to the brick, lies in a piece.

    Parameters
    ----------
    piece : SubBlob
    sources : numpy.ndarray of int
        Row numbers of the blob's sources.
    x, y : numpy.ndarray of int
        Pixels of all rows.
    shape : (int, int)
        (H, W) of the brick.

    Returns
    -------
    numpy.ndarray of int
    """
    sources = np.asarray(sources)
    sx = np.clip(np.asarray(x)[sources], 0, shape[1] - 1)
    sy = np.clip(np.asarray(y)[sources], 0, shape[0] - 1)
    box_y, box_x = piece.box
    inside = (sx >= box_x.start) & (sx < box_x.stop) & (sy >= box_y.start) & (sy < box_y.stop)
    return sources[inside]
