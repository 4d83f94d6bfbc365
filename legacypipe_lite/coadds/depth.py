"""Depth of a brick: histogram of the 5-sigma depths of its own pixels."""

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..units import point_source_depth_mag

__all__ = ["DEPTH_EDGES", "depth_counts", "depth_table"]


def _edges():
    edges = np.arange(20, 25.001, 0.1)
    edges[0], edges[-1] = 0.0, 100.0
    return edges


#: Edges of the bins of the depth histogram [AB mag]; the outermost bins are open.
DEPTH_EDGES = _edges()


def depth_counts(detection_invvar: NDArray[np.float32], unique: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Histogram of the 5-sigma depth.

    Parameters
    ----------
    detection_invvar : numpy.ndarray of float32, shape (H, W)
        Inverse variance of the flux of a source [1/nanomaggies^2]; 0 counts as depth 0.
    unique : numpy.ndarray of bool, shape (H, W)
        Pixels of the brick's own area.

    Returns
    -------
    numpy.ndarray of int32, shape (50,)
    """
    values = np.asarray(detection_invvar)[unique]
    # Neighbours mostly have the same depth: one magnitude for each run of equal values.
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])) if len(values) else np.zeros(0, int)
    lengths = np.diff(np.append(starts, len(values)))
    depth = point_source_depth_mag(values[starts])
    return np.histogram(depth, bins=DEPTH_EDGES, weights=lengths)[0].astype(np.int32)


def depth_table(counts: dict[str, tuple[NDArray, NDArray]]) -> Table:
    """Table of depth histograms.

    Parameters
    ----------
    counts : dict of str -> (numpy.ndarray, numpy.ndarray)
        Band -> `depth_counts` for point sources and for galaxies, in the order of the columns.

    Returns
    -------
    astropy.table.Table
        depthlo, depthhi, then counts_ptsrc_<band>, counts_gal_<band>.
    """
    table = Table()
    table["depthlo"] = DEPTH_EDGES[:-1].astype(np.float32)
    table["depthhi"] = DEPTH_EDGES[1:].astype(np.float32)
    for band, (point_source, galaxy) in counts.items():
        table["counts_ptsrc_" + band] = point_source
        table["counts_gal_" + band] = galaxy
    return table
