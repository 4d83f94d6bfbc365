"""Stage halos: subtract the halos of bright stars from DECam images."""

import logging

from ..reference import halo_image, has_halo_model
from .base import Stage, version_card

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)

_CAMERA = "decam"


def _halo_of_tim(shared, index):
    refs, tims = shared
    tim = tims[index]
    return halo_image(
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


def run_halos(state, options, tools):
    """Model the halos on every image."""
    tims = state["tims"]
    for band in dict.fromkeys(tim.band for tim in tims if tim.ccd.camera == _CAMERA):
        if not has_halo_model(_CAMERA, band):
            tools.report.warn_once(logger, f"no halo model for DECam band {band}: star halos are not subtracted there")
    images = tools.map(_halo_of_tim, range(len(tims)), shared=(state["refs"], tims), label="star halos")
    logger.info("star halos subtracted from %d of %d images", sum(h is not None for h in images), len(tims))
    return {"halo_images": images, "header_halos": [version_card("VER_HALO")]}


def apply_halos(state, made):
    """Subtract the halos from the images, also where they are masked."""
    for tim, halo in zip(state["tims"], made["halo_images"]):
        if halo is not None:
            tim.image -= halo


STAGE = Stage(
    name="halos",
    text="subtract the halos of bright stars",
    reads=("tims", "refs"),
    makes=("halo_images",),
    run=run_halos,
    apply=apply_halos,
)
