"""From the results of all blobs to one table of fitted sources."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

__all__ = ["FittedCatalog", "merge_results"]

#: Ranks: sources inside the brick come first, fitted ones before others.
_IN_BOUNDS_RANK = 2000.0
_REGULAR_RANK = 1000.0


@dataclass
class FittedCatalog:
    """All sources of a run after the fit: fitted ones, then reference objects that were not fitted.

    Attributes
    ----------
    table : astropy.table.Table
    sources : list of Source or None
    ivars : numpy.ndarray of float64, shape (rows, 2 + nbands + 4)
    models : list of dict of str to FittedModel
    blobmap : numpy.ndarray of int32
        Renumbered: blobs with sources are 0, 1, ... by ascending old number, others -1.
    new_number : numpy.ndarray of int
        New number of each old blob, -1 if it has no source left.
    """

    table: Table
    sources: list
    ivars: np.ndarray
    models: list
    blobmap: np.ndarray
    new_number: np.ndarray


def merge_results(results, detections, unfitted, unfitted_sources, bands, target, blobmap, brick):
    """Join the results of the blobs.

    Parameters
    ----------
    results : list of BlobResult
        In the order in which rows are wanted.
    detections : Table
        Rows that the results refer to.
    unfitted : list of Table
        Further reference rows (special ones, those of blobs that were not fitted).
    unfitted_sources : list of list
        Their sources (None where there is no source model).
    bands : list of str
    target : TanWcs
    blobmap : numpy.ndarray of int32, shape (H, W)
    brick : Brick

    Returns
    -------
    FittedCatalog
    """
    pairs = _surviving(results)
    found = [source for _, source in pairs]
    table = _rows_of(detections, np.array([s.row for s in found], np.int64))
    _set_fit_columns(table, pairs, len(bands))
    table["regular"] = np.ones(len(table), bool)
    table = _stacked([table, *unfitted])
    sources = [s.source for s in found] + [s for part in unfitted_sources for s in part]
    nivar = 2 + len(bands) + 4
    ivars = np.zeros((len(sources), nivar))
    for k, s in enumerate(found):
        ivars[k] = s.ivar
    models = [s.models for s in found] + [{} for _ in range(len(sources) - len(found))]
    _set_positions(table, sources, target)
    new_map, new_number = _set_blobs(table, blobmap)
    table["brickid"] = np.full(len(table), brick.brickid, np.int32)
    table["brickname"] = np.full(len(table), brick.name)
    return FittedCatalog(table, sources, ivars, models, new_map, new_number)


def _surviving(results):
    """(blob result, source result) of all sources that stay: each row once, and not those that left their blob."""
    seen, pairs = set(), []
    for result in results:
        for source in result.sources:
            if source.row >= 0:
                if source.row in seen:
                    continue
                seen.add(source.row)
            if source.started_in_blob and not source.finished_in_blob:
                continue
            pairs.append((result, source))
    return pairs


def _rows_of(detections, rows):
    """Rows of the detection table; -1 gives a row of zeros with blank `ref_cat` that is marked `iterative`."""
    table = Table()
    known = rows >= 0
    for name in detections.colnames:
        column = np.asarray(detections[name])
        values = np.zeros((len(rows), *column.shape[1:]), column.dtype)
        if known.any():
            values[known] = column[rows[known]]
        table[name] = values
    if "ref_cat" in table.colnames:
        table["ref_cat"] = np.where(known, np.asarray(table["ref_cat"], "U2"), "  ")
    table["iterative"] = ~known
    return table


def _set_fit_columns(table, pairs, nbands):
    """Columns that come from the fit."""

    def column(name, values, dtype, shape=()):
        table[name] = np.array(values, dtype).reshape(len(pairs), *shape)

    sources = [s for _, s in pairs]
    for name in ("fracflux", "fracin", "fracmasked", "rchisq"):
        column(name, [getattr(s, name) for s in sources], np.float32, (nbands,))
    column("cpu_arch", [""] * len(pairs), "U3")
    column("cpu_source", [s.cpu for s in sources], np.float32)
    column("cpu_blob", [r.cpu for r, _ in pairs], np.float32)
    column("blob_width", [r.task.box[2] for r, _ in pairs], np.int16)
    column("blob_height", [r.task.box[3] for r, _ in pairs], np.int16)
    column("blob_npix", [r.task.npix for r, _ in pairs], np.int32)
    column("blob_nimages", [r.nimages for r, _ in pairs], np.int16)
    column("blob_totalpix", [r.total_pixels for r, _ in pairs], np.int32)
    column("blob_symm_width", [s.symm_width for s in sources], np.int16)
    column("blob_symm_height", [s.symm_height for s in sources], np.int16)
    column("blob_symm_npix", [s.symm_npix for s in sources], np.int32)
    column("blob_symm_nimages", [s.symm_nimages for s in sources], np.int16)
    column("bx0", [s.x0 for s in sources], np.float32)
    column("by0", [s.y0 for s in sources], np.float32)
    for name in ("hit_limit", "hit_ser_limit", "hit_r_limit"):
        column(name, [getattr(s, name) for s in sources], bool)
    column("dchisq", [s.dchisq for s in sources], np.float32, (5,))
    column("force_keep_source", [s.force_keep for s in sources], bool)
    column("fit_background", [s.fit_background for s in sources], bool)
    column("forced_pointsource", [s.forced_pointsource for s in sources], bool)
    column("ran_on_gpu", [False] * len(pairs), bool)


def _stacked(tables):
    """Tables one below the other; columns that one lacks are zeros there."""
    tables = [t for t in tables if len(t)] or tables[:1]
    out = Table()
    for name in dict.fromkeys(n for t in tables for n in t.colnames):
        have = [np.asarray(t[name]) for t in tables if name in t.colnames]
        dtype, shape = np.result_type(*have), have[0].shape[1:]
        out[name] = np.concatenate(
            [np.asarray(t[name], dtype) if name in t.colnames else np.zeros((len(t), *shape), dtype) for t in tables]
        )
    return out


def _set_positions(table, sources, target):
    """Sky and brick positions, in_bounds, objid."""
    for axis in ("ra", "dec"):
        catalog = np.asarray(table[axis], float) if axis in table.colnames else np.zeros(len(table))
        table[axis] = np.array([getattr(s, axis) if s is not None else c for s, c in zip(sources, catalog)], float)
    if len(table) == 0:
        x = y = np.zeros(0)
    else:
        x, y = target.sky_to_pixel(np.asarray(table["ra"]), np.asarray(table["dec"]))
    table["bx"], table["by"] = x.astype(np.float32), y.astype(np.float32)
    table["ibx"], table["iby"] = np.rint(x).astype(np.int32), np.rint(y).astype(np.int32)
    inside = (table["ibx"] >= 0) & (table["ibx"] < target.width) & (table["iby"] >= 0) & (table["iby"] < target.height)
    table["in_bounds"] = np.asarray(inside, bool)
    rank = np.asarray(table["ra"]) - _IN_BOUNDS_RANK * inside - _REGULAR_RANK * np.asarray(table["regular"])
    objid = np.empty(len(table), np.int32)
    objid[np.argsort(rank, kind="stable")] = np.arange(len(table))
    table["objid"] = objid


def _set_blobs(table, blobmap):
    """Blob of each row, renumbered, and the number of rows in it; returns the renumbered map and old -> new."""
    inside = np.asarray(table["in_bounds"])
    blob = np.full(len(table), -1, np.int64)
    blob[inside] = blobmap[np.asarray(table["iby"])[inside], np.asarray(table["ibx"])[inside]]
    old = np.unique(blob[blob >= 0])
    new_number = np.full(int(blobmap.max(initial=-1)) + 2, -1, np.int32)  # the last entry is that of -1
    new_number[old] = np.arange(len(old))
    blob = new_number[blob]
    table["blob"] = blob.astype(np.int32)
    counts = np.bincount(blob[blob >= 0], minlength=len(old))
    table["ninblob"] = np.where(blob >= 0, counts[blob] if len(counts) else 0, 0).astype(np.int32)
    return new_number[blobmap], new_number[:-1]
