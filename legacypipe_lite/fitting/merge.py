"""From the results of all blobs to one table of fitted sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from ..models.ivars import ParameterIvars
from ..models.sources import TYPES
from ..tables import stack_columns

if TYPE_CHECKING:
    from ..models.sources import Source
    from ..survey import Brick
    from ..wcs import TanWcs
    from .tasks import BlobResult

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
    ivars : ParameterIvars
        Row by row.
    models : list of dict of str to FittedModel
    blobmap : numpy.ndarray of int32
        Renumbered: blobs with sources are 0, 1, ... by ascending old number, others -1.
    new_number : numpy.ndarray of int
        New number of each old blob, -1 if it has no source left.
    """

    table: Table
    sources: list
    ivars: ParameterIvars
    models: list
    blobmap: np.ndarray
    new_number: np.ndarray


def merge_results(
    results: list[BlobResult],
    detections: Table,
    unfitted: list[Table],
    unfitted_sources: list[list[Source | None]],
    bands: list[str],
    target: TanWcs,
    blobmap: NDArray[np.int32],
    brick: Brick,
) -> FittedCatalog:
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
    # A dictionary of columns until the end: to change a Table column by column takes long.
    columns = _rows_of(detections, np.array([s.row for s in found], np.int64))
    _set_fit_columns(columns, pairs, len(bands))
    columns["regular"] = np.ones(len(found), bool)
    columns = stack_columns([columns, *unfitted], empty_tables_count=False)
    sources = [s.source for s in found] + [s for part in unfitted_sources for s in part]
    ivars = ParameterIvars.zeros(len(bands), len(sources))
    for k, s in enumerate(found):
        ivars.values[k] = s.ivar.values
    models = [s.models for s in found] + [{} for _ in range(len(sources) - len(found))]
    _set_positions(columns, sources, target)
    _set_blend_columns(columns, pairs)
    new_map, new_number = _set_blobs(columns, blobmap)
    columns["brickid"] = np.full(len(sources), brick.brickid, np.int32)
    columns["brickname"] = np.full(len(sources), brick.name)
    return FittedCatalog(Table(columns, copy=False), sources, ivars, models, new_map, new_number)


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
    columns = {}
    known = rows >= 0
    for name in detections.colnames:
        column = np.asarray(detections[name])
        columns[name] = np.zeros((len(rows), *column.shape[1:]), column.dtype)
        if known.any():
            columns[name][known] = column[rows[known]]
    if "ref_cat" in columns:
        columns["ref_cat"] = np.where(known, columns["ref_cat"].astype("U2"), "  ")
    columns["iterative"] = ~known
    return columns


def _set_fit_columns(columns, pairs, nbands):
    """Columns that come from the fit."""

    def column(name, values, dtype, shape=()):
        columns[name] = np.array(values, dtype).reshape(len(pairs), *shape)

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
    column("dchisq", [s.dchisq for s in sources], np.float32, (len(TYPES),))
    column("force_keep_source", [s.force_keep for s in sources], bool)
    column("fit_background", [s.fit_background for s in sources], bool)
    column("forced_pointsource", [s.forced_pointsource for s in sources], bool)
    column("ran_on_gpu", [False] * len(pairs), bool)
    column("fit_flags", [s.fit_flags for s in sources], np.int32)
    joint = ParameterIvars.zeros(nbands, len(sources))
    for k, s in enumerate(sources):
        if s.joint_ivar is not None:
            joint.values[k] = s.joint_ivar.values
    joint = joint.finite()
    for i, axis in enumerate(("ra", "dec")):
        column(f"{axis}_ivar_joint", joint.position[:, i], np.float32)
    column("flux_ivar_joint", joint.flux, np.float32, (nbands,))
    for name in ("shape_r", "shape_e1", "shape_e2", "sersic"):
        column(f"{name}_ivar_joint", joint.shape(name), np.float32)
    column("blend_corr", [s.correlation for s in sources], np.float32)


def _set_blend_columns(columns, pairs):
    """objid of the neighbour that each fitted source is most blended with."""
    row_of = {(r.task.blob, r.task.piece, s.number): k for k, (r, s) in enumerate(pairs)}
    objid = np.full(len(columns["objid"]), -1, np.int32)
    for k, (r, s) in enumerate(pairs):
        row = row_of.get((r.task.blob, r.task.piece, s.neighbor))
        if s.neighbor >= 0 and row is not None:
            objid[k] = columns["objid"][row]
    columns["blend_objid"] = objid


#: Pixel of a source that does not project.
_NO_PIXEL = -(2**31) + 1


def _set_positions(columns, sources, target):
    """Sky and brick positions, in_bounds, objid."""
    n = len(sources)
    for axis in ("ra", "dec"):
        catalog = columns.get(axis, np.zeros(n))
        columns[axis] = np.array([getattr(s, axis) if s is not None else c for s, c in zip(sources, catalog)], float)
    x, y = target.sky_to_pixel(columns["ra"], columns["dec"]) if n else (np.zeros(0), np.zeros(0))
    ix, iy = (np.rint(np.where(np.isfinite(v), v, _NO_PIXEL)).astype(np.int32) for v in (x, y))
    inside = (ix >= 0) & (ix < target.width) & (iy >= 0) & (iy < target.height)
    rank = columns["ra"] - _IN_BOUNDS_RANK * inside - _REGULAR_RANK * columns["regular"]
    objid = np.empty(n, np.int32)
    objid[np.argsort(rank, kind="stable")] = np.arange(n)
    columns.update(bx=x.astype(np.float32), by=y.astype(np.float32), ibx=ix, iby=iy, in_bounds=inside, objid=objid)


def _set_blobs(columns, blobmap):
    """Blob of each row, renumbered, and the number of rows in it; returns the renumbered map and old -> new."""
    inside = columns["in_bounds"]
    blob = np.full(len(inside), -1, np.int64)
    blob[inside] = blobmap[columns["iby"][inside], columns["ibx"][inside]]
    old = np.unique(blob[blob >= 0])
    new_number = np.full(int(blobmap.max(initial=-1)) + 2, -1, np.int32)  # the last entry is that of -1
    new_number[old] = np.arange(len(old))
    blob = new_number[blob]
    columns["blob"] = blob.astype(np.int32)
    counts = np.bincount(blob[blob >= 0], minlength=len(old))
    columns["ninblob"] = np.where(blob >= 0, counts[blob] if len(counts) else 0, 0).astype(np.int32)
    return new_number[blobmap], new_number[:-1]
