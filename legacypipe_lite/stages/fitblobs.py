"""Stage fitblobs: fit the sources, blob by blob."""

import logging
from collections import Counter

import numpy as np

from .. import catalog, detection
from ..bits import REFMAP
from ..errors import NothingToDo, WorkerError
from ..fitting import BlobContext, BlobResult, BlobTask, Detector, FitOptions, fit_blob
from ..fitting.checkpoint import Checkpoint, fingerprint
from ..fitting.merge import merge_results
from ..reference import mask_map
from ..resources import rare_garbage_collection
from .base import Stage, mapper_for, version_card

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)

_DETECTOR = Detector(detection.detection_maps, detection.sed_list, detection.detect_sources, detection.segmentation_map)


def run_fitblobs(state, options, tools):
    """Fit all blobs and merge their results into one table."""
    selection = detection.select_blobs(
        options, state["blobmap"], state["blob_sources"], state["blob_slices"], state["target"]
    )
    plan = _Plan(state, options, selection)
    context = BlobContext(
        tims=state["tims"],
        bands=list(state["bands"]),
        target=state["target"],
        sources=state["sources"],
        refmap=plan.refmap,
        blobmap=plan.blobmap,
        detector=_DETECTOR,
        options=fit_options(options),
    )
    results, failed = _fit_all(plan, context, state, options, tools)
    return _merged(plan, results, failed, state, options, tools)


def fit_options(options):
    """The part of the run's options that the fit of a blob depends on."""
    return FitOptions(
        iterative=not options.no_iterative,
        iterative_nsigma=options.nsigma if options.iterative_nsigma is None else options.iterative_nsigma,
        segmentation=not options.no_segmentation,
        less_masking=options.less_masking,
        galaxy_forces_psf=not options.no_galaxy_forcepsf,
        shape_jacobian=options.shape_jacobian,
        reoptimize=options.reoptimize,
        marginal_ivars=options.ivars == "marginal",
        reference_rule=options.like_reference,
        joint=not (options.like_reference or options.no_joint),
    )


class _Plan:
    """Which blobs are fitted, in which order, and what surrounds them."""

    def __init__(self, state, options, selection):
        self.blobmap, self.blob_sources, self.slices = selection.blobmap, selection.blob_sources, selection.blob_slices
        self.points = selection.points
        self.detections, self.target = state["detections"], state["target"]
        self.refmap = mask_map(state["refs"], self.target)
        self.unique = None if state["brick"].custom else state["brick"].unique_pixels(self.target)
        self.properties = detection.blob_properties(self.blobmap, len(self.slices), self.unique)
        self.blob_sources = [np.asarray(rows) for rows in self.blob_sources]
        self.frozen = self._frozen_galaxies()
        self.sub_blob_mask = np.zeros(self.blobmap.shape, bool) if options.sub_blobs else None
        self.pieces = {}
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
        return detection.sub_blobs(part)

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
            rows = detection.sub_blob_sources(
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

    def owned(self, result):
        """A piece's result without the sources that another piece is responsible for."""
        piece = self.pieces.get((result.task.blob, result.task.piece))
        if piece is None:
            return result
        sources = [s for s in result.sources if piece.owns(s.x0, s.y0)]
        return BlobResult(result.task, sources, result.nimages, result.total_pixels, result.cpu)


def _fit_all(plan, context, state, options, tools):
    """Results of all tasks in their order, and the tasks that gave none (bailed out, or their worker died)."""
    done, checkpoint = {}, None
    if options.checkpoint is not None:
        identity = fingerprint(context, state["brick"].name)
        checkpoint = Checkpoint(options.checkpoint, identity, options.checkpoint_period)
        done = checkpoint.read()
        done = {key: r for key, r in done.items() if any((t.blob, t.piece) == key and t == r.task for t in plan.tasks)}
    waiting = [t for t in plan.tasks if (t.blob, t.piece) not in done]
    if options.bail_out:
        logger.warning("--bail-out: %d blobs are not fitted", len(waiting))
        waiting = []

    def finished(index, result):
        if isinstance(result, WorkerError):
            task = waiting[index]
            tools.report.warn_once(
                logger, f"blob {task.name} (number {task.blob}, {len(task.rows)} sources) is not fitted: {result}"
            )
            return
        if checkpoint is not None:
            checkpoint.append(result)

    try:
        with rare_garbage_collection():
            results = tools.map(fit_blob, waiting, shared=context, label="blobs", on_result=finished)
    finally:
        if checkpoint is not None:
            checkpoint.close()
    done.update({(r.task.blob, r.task.piece): r for r in results if not isinstance(r, WorkerError)})
    ordered = [plan.owned(done[t.blob, t.piece]) for t in plan.tasks if (t.blob, t.piece) in done]
    failed = [t for t in plan.tasks if (t.blob, t.piece) not in done]
    return ordered, failed


def _merged(plan, results, failed, state, options, tools):
    """The state items of this stage, and its products."""
    detections, bands = state["detections"], list(state["bands"])
    bailed, bailed_rows = _bailed(plan, failed, detections)
    special = state["special_refs"]
    special_sources = list(state["special_sources"])
    bailed_sources = [state["sources"][row].copy(flux=np.zeros(len(bands))) for row in bailed_rows]
    if not any(r.sources for r in results) and not failed:
        raise NothingToDo("No sources passed significance tests")
    fitted = merge_results(
        results, detections, [special, _bailed_table(detections, bailed_rows, len(bands))],
        [special_sources, bailed_sources], bands, state["target"], plan.blobmap, state["brick"],
    )  # fmt: skip
    regular = np.asarray(fitted.table["regular"], bool)
    types = Counter(s.type for s, keep in zip(fitted.sources, regular) if keep)
    tools.report.counts.update({"sources": int(regular.sum()), "types": dict(types), "blobs fitted": len(results)})
    made = {
        "fit_table": fitted.table,
        "fit_sources": fitted.sources,
        "fit_ivars": fitted.ivars,
        "fit_models": fitted.models,
        "fit_blobmap": fitted.blobmap,
        "refmap": plan.refmap,
        "bailout_mask": bailed,
        "sub_blob_mask": plan.sub_blob_mask,
        "frozen_galaxies": [
            (state["sources"][row], [int(n) for n in fitted.new_number[blobs] if n >= 0])
            for row, blobs in plan.frozen.items()
        ],
        "header_fitblobs": _header(options),
    }
    write_fitblobs({**state, **made}, options, tools)
    return made


def write_fitblobs(state, options, tools):
    """Write the map of blobs and the table of all models."""
    if options.skip_metrics:
        return
    cards = tools.header(state)
    jobs = [(_write_blobmap, (state["fit_blobmap"], state["target"], cards))]
    table = state["fit_table"]
    if np.any(table["regular"]):
        models = (table, state["fit_models"], list(state["bands"]), options.bands, state["fit_sources"])
        jobs.append((_write_all_models, (models, cards)))
    tools.products.write_all(jobs, mapper_for(tools, state["fit_blobmap"].size))


def _bailed(plan, failed, detections):
    """Mask of blobs that were not fitted (or None), and their reference rows."""
    if not failed:
        return None, []
    blobs = sorted({t.blob for t in failed})
    mask = np.isin(plan.blobmap, blobs)
    rows = sorted({row for t in failed for row in t.rows})
    reference = np.char.strip(np.asarray(detections["ref_cat"], "U2")) != ""
    return mask, [row for row in rows if reference[row]]


def _bailed_table(detections, rows, nbands):
    """Reference rows of blobs that were not fitted, kept at their catalogue values."""
    table = detections[np.asarray(rows, np.int64)]
    table["fracin"] = np.ones((len(rows), nbands), np.float32)
    return table


def _header(options):
    """Header cards of this stage."""
    names = ("PSF", "REX", "DEV", "EXP", "SER")
    return [
        version_card("VER_FITB"),
        ("GALFRPSF", not options.no_galaxy_forcepsf, "Large galaxies force PSF?"),
        ("LESSMASK", options.less_masking, "Less masking of medium-bright stars?"),
        ("COMMENT", "DCHISQ array model names", ""),
        *[(f"DCHISQ_{i}", name, "") for i, name in enumerate(names)],
    ]


def _write_blobmap(products, blobmap, target, cards):
    """Write the map of blob numbers."""
    cards = [*cards, *target.header_cards(), ("EQUINOX", 2000.0, ""), ("IMTYPE", "blobmap", "LegacySurveys image type")]
    products.write_image("blobmap", blobmap, cards)


def _write_all_models(products, models, cards):
    """Write the table of all fitted models."""
    table = catalog.all_models_table(*models)
    products.write_table("all-models", table, primary_cards=[*cards, ("PRODTYPE", "catalog", "")])


STAGE = Stage(
    name="fitblobs",
    text="fit the sources of every blob and choose their types",
    reads=(
        "brick",
        "target",
        "bands",
        "tims",
        "refs",
        "detections",
        "sources",
        "special_refs",
        "special_sources",
        "blobmap",
        "blob_sources",
        "blob_slices",
    ),
    makes=(
        "fit_table",
        "fit_sources",
        "fit_ivars",
        "fit_models",
        "fit_blobmap",
        "refmap",
        "bailout_mask",
        "sub_blob_mask",
        "frozen_galaxies",
    ),
    run=run_fitblobs,
    replaces=("image_coadds",),
    write=write_fitblobs,
)
