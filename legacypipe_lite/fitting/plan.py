"""The plan of a run's fits: which blobs are fitted, as which tasks, in which order."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bits import REFMAP
from ..detection import blob_properties, sub_blob_sources, sub_blobs
from ..reference import mask_map
from .tasks import BlobResult, BlobTask

if TYPE_CHECKING:
    from ..detection.blob_selection import BlobSelection
    from ..options import RunOptions

__all__ = ["BlobPlan"]

logger = logging.getLogger(__name__)


class BlobPlan:
    """Which blobs are fitted, in which order, and what surrounds them."""

    def __init__(self, state: dict, options: RunOptions, selection: BlobSelection) -> None:
        self.blobmap, self.blob_sources, self.slices = selection.blobmap, selection.blob_sources, selection.blob_slices
        self.points = selection.points
        self.detections, self.target = state["detections"], state["target"]
        self.refmap = mask_map(state["refs"], self.target)
        self.unique = None if state["brick"].custom else state["brick"].unique_pixels(self.target)
        self.properties = blob_properties(self.blobmap, len(self.slices), self.unique)
        self.blob_sources = [np.asarray(rows) for rows in self.blob_sources]
        self.frozen = self._frozen_galaxies()
        self.sub_blob_mask = np.zeros(self.blobmap.shape, bool) if options.sub_blobs else None
        self.pieces: dict[Any, Any] = {}
        self.tasks = self._tasks(options)

    def _frozen_galaxies(self):
        """Row of each frozen galaxy -> blobs that it reaches into but does not belong to."""
        d = self.detections
        frozen = {}
        if not {"islargegalaxy", "freezeparams"} <= set(d.colnames):
            return frozen
        for row in np.flatnonzero(np.asarray(d["islargegalaxy"] & d["freezeparams"], bool)):
            ellipse = mask_map(d, self.target, [row]) & REFMAP["GALAXY"] != 0
            touched = {int(b) for b in np.unique(self.blobmap[ellipse]) if b >= 0}
            owners = {k for k, rows in enumerate(self.blob_sources) if row in rows}
            if d["in_bounds"][row]:
                touched -= owners
            else:
                for k in owners:
                    self.blob_sources[k] = self.blob_sources[k][self.blob_sources[k] != row]
            if touched:
                frozen[int(row)] = sorted(touched)
        return frozen

    def _tasks(self, options):
        """One task per blob, or per piece of a divided one, the most expensive first."""
        tasks, divided = [], False
        for rank, blob in enumerate(self.properties.by_size()):
            blob = int(blob)
            if self.unique is not None and self.properties.npix_region[blob] == 0:
                logger.debug("blob %d is outside the brick's unique area", blob)
                continue
            npix = int(self.properties.npix[blob])
            if options.max_blobsize is not None and npix > options.max_blobsize:
                logger.warning("blob %d has %d pixels, more than --max-blobsize; it is not fitted", blob, npix)
                continue
            pieces = self._pieces_of(blob, options)
            divided = divided or bool(pieces)
            tasks += self._piece_tasks(rank, blob, pieces) if pieces else [self._whole_task(rank, blob)]
        if divided:
            tasks.sort(key=lambda t: -len(t.rows))
        return [t for t in tasks if t.rows]

    def _pieces_of(self, blob, options):
        part = self.slices[blob]
        inside = self.blobmap[part] == blob
        in_cluster = bool(np.all(self.refmap[part][inside] & REFMAP["CLUSTER"]))
        if not (options.sub_blobs or in_cluster):
            return []
        if options.sub_blobs:
            self.sub_blob_mask[part] |= inside
        return sub_blobs(part)

    def _frozen_in(self, blob):
        return tuple(row for row, blobs in self.frozen.items() if blob in blobs)

    def _whole_task(self, rank, blob):
        y, x = self.slices[blob]
        box = (x.start, y.start, x.stop - x.start, y.stop - y.start)
        rows = tuple(int(r) for r in self.blob_sources[blob])
        return BlobTask(str(rank + 1), blob, -1, box, rows, int(self.properties.npix[blob]), self._frozen_in(blob))

    def _piece_tasks(self, rank, blob, pieces):
        tasks = []
        for piece in pieces:
            y, x = piece.box
            if self.points is not None and not any(
                x.start <= px < x.stop and y.start <= py < y.stop for px, py in self.points
            ):
                continue
            rows = sub_blob_sources(
                piece, self.blob_sources[blob], self.detections["ibx"], self.detections["iby"], self.blobmap.shape
            )
            box = (x.start, y.start, x.stop - x.start, y.stop - y.start)
            npix = int(np.count_nonzero(self.blobmap[y, x] == blob))
            task = BlobTask(
                f"{rank + 1}-{piece.index + 1}",
                blob,
                piece.index,
                box,
                tuple(int(r) for r in rows),
                npix,
                self._frozen_in(blob),
            )
            self.pieces[blob, piece.index] = piece
            tasks.append(task)
        return tasks

    def owned(self, result: BlobResult) -> BlobResult:
        """A piece's result without the sources that another piece is responsible for."""
        piece = self.pieces.get((result.task.blob, result.task.piece))
        if piece is None:
            return result
        sources = [s for s in result.sources if piece.owns(s.x0, s.y0)]
        return BlobResult(result.task, sources, result.nimages, result.total_pixels, result.cpu)
