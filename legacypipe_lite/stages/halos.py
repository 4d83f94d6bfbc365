"""Stage halos: subtract the halos of bright stars from DECam images."""

import logging

from ..reference import halo_image, has_halo_model
from ..threads import map_in_threads
from .base import Stage, StageResult

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)

_CAMERA = "decam"


def run_halos(state, options, tools):
    """Say for which bands there are no halo models; the halos themselves are made by `apply_halos`.

    They are as large as the images, but quickly made: so they are neither kept nor stored.
    """
    for band in dict.fromkeys(tim.band for tim in state["tims"] if tim.ccd.camera == _CAMERA):
        if not has_halo_model(_CAMERA, band):
            tools.report.warn_once(logger, f"no halo model for DECam band {band}: star halos are not subtracted there")
    return StageResult()


def apply_halos(state, made):
    """Subtract the halos from the images, also where they are masked."""
    tims, refs = state["tims"], state["refs"]

    def subtract(tim):
        halo = halo_image(
            refs,
            tim.wcs,
            tim.shape,
            tim.band,
            tim.ccd.camera,
            tim.ccd.ccdname,
            tim.ccd.pixscale,
            tim.mjd_tai,
            tim.psf.moffat,
        )
        if halo is not None:
            tim.image -= halo
        return halo is not None

    subtracted = sum(map_in_threads(subtract, tims))
    logger.info("star halos subtracted from %d of %d images", subtracted, len(tims))


STAGE = Stage(
    name="halos",
    text="subtract the halos of bright stars",
    reads=("tims", "refs"),
    makes=(),
    run=run_halos,
    apply=apply_halos,
    keyword="VER_HALO",
)
