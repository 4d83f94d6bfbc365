"""Detection: from calibrated images to a source list, a map of blobs, and the segmentation of a blob."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .blob_selection import BlobSelection, select_blobs
from .blobs import (
    BlobProperties,
    SubBlob,
    blob_properties,
    merge_hot_saturated,
    segment_blobs,
    sub_blob_sources,
    sub_blobs,
)
from .detmaps import DetectionMaps, detection_maps
from .known import omitted_pixels
from .peaks import Detections, SedCounts, detect_sources, hot_pixels
from .sed import Sed, sed_list
from .segmentation import kingdoms, segmentation_map, watershed

__all__ = [
    "DetectionMaps",
    "detection_maps",
    "omitted_pixels",
    "Sed",
    "sed_list",
    "Detections",
    "SedCounts",
    "detect_sources",
    "hot_pixels",
    "hot_mask",
    "merge_hot_saturated",
    "segment_blobs",
    "BlobProperties",
    "blob_properties",
    "SubBlob",
    "sub_blobs",
    "sub_blob_sources",
    "BlobSelection",
    "select_blobs",
    "watershed",
    "kingdoms",
    "segmentation_map",
]


def hot_mask(maps: DetectionMaps, seds: Sequence[Sed], nsigma: float = 6.0, blob_dilate: int = 8) -> NDArray[np.bool_]:
    """Blob mask from detection maps alone, for sky calibrations (option ``--blob-mask``).

    Parameters
    ----------
    maps : DetectionMaps
        With the edge taper of 10 pixels that `stages.srcs` uses, too.
    seds : sequence of Sed
    nsigma : float
    blob_dilate : int

    Returns
    -------
    numpy.ndarray of bool, shape (H, W)
        Pixels near ones above the threshold, holes filled, joined across saturated columns.
    """
    return merge_hot_saturated(hot_pixels(maps, seds, nsigma, blob_dilate), maps.saturated)
