"""Stage srcs: detect sources, group their pixels into blobs, and measure the residual sky."""

import logging

import numpy as np
from astropy.table import Table

from .. import detection
from ..coadds import sky_levels
from ..errors import NothingToDo
from ..models import Source
from ..reference import file_columns, mask_map
from ..tables import stack_columns
from ..threads import map_in_threads
from .base import Stage, StageResult

__all__ = ["STAGE", "EDGE_TAPER", "brick_maps"]

logger = logging.getLogger(__name__)

#: Detection weights fall to zero over this many pixels at the edges of every image.
EDGE_TAPER = 10

#: Columns of a detected source; a reference table may add others.
_OWN_COLUMNS = ("ra", "dec", "ibx", "iby", "peaksn", "peaksed", "ref_cat", "ref_id")


def brick_maps(tims, target, bands, options):
    """Detection maps of a whole brick, as the stage srcs and the blob mask use them.

    Parameters
    ----------
    tims : list of Tim
    target : TanWcs
    bands : list of str
    options : RunOptions

    Returns
    -------
    detection.DetectionMaps
    """
    return detection.detection_maps(
        tims, target, bands, taper=EDGE_TAPER, nsatur=options.nsatur, threads=options.threads
    )


def run_srcs(state, options, tools):
    """Detect sources; make the blob map and the initial sources; measure the residual sky of each band."""
    tims, target, bands, refs = state["tims"], state["target"], state["bands"], state["refs"]
    maps = brick_maps(tims, target, bands, options)
    found = detection.detect_sources(
        maps,
        detection.sed_list(bands),
        omit_xy=detection.omitted_pixels(refs, [tim.mjd_tai for tim in tims], target),
        veto=_forbidden_pixels(refs, target),
        nsigma=options.nsigma,
        saddle_fraction=options.saddle_fraction,
        saddle_min=options.saddle_min,
        blob_dilate=options.blob_dilate,
    )
    for name, counts in found.counts.items():
        logger.debug("SED %s: %s", name, ", ".join(f"{k} {n}" for k, n in counts._asdict().items()))

    special = np.asarray(refs["ignore_source"], bool)
    new_rows = _new_rows(found, target)
    detections = Table(stack_columns([new_rows, refs[~special]]))
    if len(detections) == 0:
        raise NothingToDo("No sources passed significance tests")
    sources = _new_sources(new_rows, maps) + [s for s, skip in zip(state["ref_sources"], special) if not skip]

    hot = detection.merge_hot_saturated(found.hot, maps.saturated)
    blobmap, blob_sources, blob_slices = detection.segment_blobs(hot, detections["ibx"], detections["iby"])
    saturated = dict(zip(bands, maps.saturated))
    del maps, found.hot, hot  # The stacks that follow need the room.
    measured = bands if options.residual_sky else []
    co_sky = sky_levels(tims, measured, target, blobmap, threads=options.threads)
    logger.info("%d sources detected, %d from catalogues, %d blobs", len(found), sum(~special), len(blob_slices))
    tools.report.counts.update({"sources detected": len(found), "blobs": len(blob_slices)})
    _write_sources(detections, sources, blobmap, blob_slices, refs, bands, tools, state)
    made = {
        "detections": detections,
        "sources": sources,
        "special_refs": refs[special],
        "special_sources": [s for s, skip in zip(state["ref_sources"], special) if skip],
        "blobmap": blobmap,
        "blob_sources": blob_sources,
        "blob_slices": blob_slices,
        "saturated_maps": saturated,
        "co_sky": co_sky,
    }
    return StageResult(made)


def apply_srcs(state, made):
    """Subtract the residual sky from the good pixels of the images, and note it in the CCD table."""
    co_sky = made["co_sky"]

    def subtract(tim):
        if tim.band in co_sky:
            tim.image[tim.inverr > 0] -= np.float32(co_sky[tim.band])

    for _ in map_in_threads(subtract, state["tims"]):
        pass
    state["ccds"]["co_sky"] = np.array([co_sky.get(tim.band, 0.0) for tim in state["tims"]], np.float32)


def _forbidden_pixels(refs, target):
    """Pixels in star clusters, the Magellanic Clouds and frozen galaxies, where nothing is detected; or None."""
    rows = np.asarray(refs["iscluster"] | refs["ismcloud"] | refs["freezeparams"], bool)
    return mask_map(refs, target, rows) != 0 if rows.any() else None


def _new_rows(found, target):
    """Table of the detected sources."""
    ra, dec = target.pixel_to_sky(found.x.astype(float), found.y.astype(float))
    n = len(found)
    columns = (
        ra,
        dec,
        found.x,
        found.y,
        found.peaksn,
        np.array(found.sed, dtype=str if n else "U1"),
        np.full(n, "  "),
        np.zeros(n, np.int64),
    )
    return Table(dict(zip(_OWN_COLUMNS, columns)))


def _new_sources(rows, maps):
    """Point sources at the detected pixels, with the fluxes of the single-band detection maps."""
    fluxes = maps.detmap[:, rows["iby"], rows["ibx"]].T
    uncertain = maps.saturated[:, rows["iby"], rows["ibx"]].any(axis=0)
    return [
        Source("PSF", float(row["ra"]), float(row["dec"]), flux, needs_initial_flux=bool(flag))
        for row, flux, flag in zip(rows, fluxes, uncertain)
    ]


def _write_sources(detections, sources, blobmap, blob_slices, refs, bands, tools, state):
    """Write the table of initial sources to the metrics folder."""
    others = [*file_columns(refs), *refs.colnames] if len(refs) else []
    table = detections[list(dict.fromkeys((*_OWN_COLUMNS, *others)))]
    h, w = blobmap.shape
    blob = blobmap[np.clip(table["iby"], 0, h - 1), np.clip(table["ibx"], 0, w - 1)]
    boxes = np.array([(x.start, x.stop, y.start, y.stop) for y, x in blob_slices] + [(-1,) * 4], np.int64)
    table["blob"] = blob
    for i, name in enumerate(("blob_x0", "blob_x1", "blob_y0", "blob_y1")):
        table[name] = boxes[blob, i]  # the last box is that of blob -1
    table["needs_initial_flux"] = np.array([s is not None and s.needs_initial_flux for s in sources], bool)
    for i, band in enumerate(bands):
        table["flux_" + band] = np.array([0.0 if s is None else s.flux[i] for s in sources], np.float32)
    tools.products.write_table("sources", table, primary_cards=tools.header(state))


STAGE = Stage(
    name="srcs",
    text="detect sources, make the blob map, subtract the residual sky",
    reads=("target", "bands", "tims", "ccds", "refs", "ref_sources"),
    makes=(
        "detections",
        "sources",
        "special_refs",
        "special_sources",
        "blobmap",
        "blob_sources",
        "blob_slices",
        "saturated_maps",
        "co_sky",
    ),
    run=run_srcs,
    apply=apply_srcs,
    options=("residual_sky", "nsigma", "saddle_fraction", "saddle_min", "blob_dilate", "nsatur"),
    keyword="VER_SRCS",
)
