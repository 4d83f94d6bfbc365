"""Stage fitblobs: fit the sources, blob by blob."""

import logging
from collections import Counter
from pathlib import Path

import numpy as np

from .. import catalog, detection
from ..errors import NothingToDo, WorkerError
from ..files import check_writable
from ..fitting import BlobContext, BlobPlan, FitOptions, fit_blob
from ..fitting.checkpoint import Checkpoint, fingerprint
from ..fitting.merge import merge_results
from ..models.sources import TYPES
from ..resources import rare_garbage_collection
from ..survey.products import mapper_for
from .base import Stage, StageResult

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)


def run_fitblobs(state, options, tools):
    """Fit all blobs and merge their results into one table."""
    selection = detection.select_blobs(
        options, state["blobmap"], state["blob_sources"], state["blob_slices"], state["target"]
    )
    plan = BlobPlan(state, options, selection)
    context = BlobContext(
        tims=state["tims"],
        bands=list(state["bands"]),
        target=state["target"],
        sources=state["sources"],
        refmap=plan.refmap,
        blobmap=plan.blobmap,
        options=fit_options(options),
    )
    results, failed = _fit_all(plan, context, state, options, tools)
    return _merged(plan, results, failed, state, options, tools)


def fit_options(options):
    """The part of the run's options that the fit of a blob depends on."""
    return FitOptions(
        iterative=options.iterative,
        iterative_nsigma=options.nsigma if options.iterative_nsigma is None else options.iterative_nsigma,
        saddle_fraction=options.saddle_fraction,
        saddle_min=options.saddle_min,
        segmentation=options.segmentation,
        less_masking=options.less_masking,
        galaxy_forces_psf=options.galaxy_forcepsf,
        shape_jacobian=options.shape_jacobian,
        reoptimize=options.reoptimize,
        marginal_ivars=options.ivars == "marginal",
    )


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
    }
    write_fitblobs({**state, **made}, options, tools)
    return StageResult(made, _header_cards(options))


def write_fitblobs(state, options, tools):
    """Write the map of blobs and the table of all models."""
    if options.skip_metrics:
        return
    cards = tools.header(state, _header_cards(options))
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


def _header_cards(options):
    """Header cards of this stage."""
    return [
        ("GALFRPSF", options.galaxy_forcepsf, "Large galaxies force PSF?"),
        ("LESSMASK", options.less_masking, "Less masking of medium-bright stars?"),
        ("COMMENT", "DCHISQ array model names", ""),
        *[(f"DCHISQ_{i}", name, "") for i, name in enumerate(TYPES)],
    ]


def _write_blobmap(products, blobmap, target, cards):
    """Write the map of blob numbers."""
    cards = [*cards, *target.header_cards(), ("EQUINOX", 2000.0, ""), ("IMTYPE", "blobmap", "LegacySurveys image type")]
    products.write_image("blobmap", blobmap, cards)


def _write_all_models(products, models, cards):
    """Write the table of all fitted models."""
    table = catalog.all_models_table(*models)
    products.write_table("all-models", table, primary_cards=[*cards, ("PRODTYPE", "catalog", "")])


def _check(options):
    """The folder of the checkpoint must be there, and writable."""
    if options.checkpoint is not None:
        check_writable(Path(options.checkpoint).resolve().parent)


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
    options=(
        "nsigma",
        "saddle_fraction",
        "saddle_min",
        "iterative",
        "iterative_nsigma",
        "max_blobsize",
        "sub_blobs",
        "bail_out",
        "segmentation",
        "less_masking",
        "galaxy_forcepsf",
        "reoptimize",
        "shape_jacobian",
        "ivars",
        "nblobs",
        "blob",
        "blobid",
        "blobxy",
        "blobradec",
    ),
    product_options=("skip_metrics",),
    check=_check,
    keyword="VER_FITB",
)
