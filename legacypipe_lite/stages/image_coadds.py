"""Stage image_coadds: coadds and pictures of the images alone, before anything is fitted."""

import logging

import numpy as np
from scipy.ndimage import label

from .. import coadds, detection
from ..bits import maskbits_for_bands
from ..coadds.products import CoaddProducts, maskbits_of_state
from ..reference import mask_map
from ..survey.header import bit_cards, merge_cards
from .base import Stage, StageResult
from .srcs import brick_maps

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)

_PRODUCTS = ("image", "invvar", "nexp", "depth", "galdepth")
_MINIMAL_PRODUCTS = ("image", "invvar", "nexp")


def run_image_coadds(state, options, tools):
    """Write the early coadds; with options, also the blob mask or the blob map."""
    products = CoaddProducts(state, options, tools, tools.header(state))
    if options.blob_mask and "saturated_maps" not in state:
        state = {**state, "saturated_maps": _write_blob_mask(state, options, tools, products)}
    products.write_ccds()
    for band in state["bands"]:
        _stack_band(band, state, options, products)
    if not options.minimal_coadds:
        _write_maskbits(state, options, tools, products)
        products.write_depth_table()
    products.write_pictures(["image"])
    if "blobmap" in state:
        _write_blobs(state, options, tools, products)
    return StageResult()


def _stack_band(band, state, options, products):
    """Stack the images of a band and write the maps."""
    coadd = coadds.coadd_band(
        state["tims"],
        band,
        state["target"],
        local_area=options.local_pixel_area,
        lanczos=options.lanczos,
        threads=options.threads,
    )
    products.add_band(coadd, _MINIMAL_PRODUCTS if options.minimal_coadds else _PRODUCTS, ["image"])


def _write_blob_mask(state, options, tools, products):
    """Write the mask of everything that would be detected; returns the maps of saturated pixels by band."""
    bands = state["bands"]
    maps = brick_maps(state["tims"], state["target"], bands, options)
    hot = detection.hot_mask(maps, detection.sed_list(bands), options.nsigma, options.blob_dilate)
    _, n_blobs = label(hot)
    logger.info("blob mask: %d of %d pixels, %d blobs", np.count_nonzero(hot), hot.size, n_blobs)
    tools.products.write_image("blobmask", hot.astype(np.uint8), products.image_cards("blobmask"))
    return dict(zip(bands, maps.saturated))


def _write_maskbits(state, options, tools, products):
    """Write the mask bits that are known so far."""
    maskbits = maskbits_of_state(state, options, products, mask_map(state["refs"], state["target"]))
    bits = maskbits_for_bands(options.bands)
    cards = merge_cards(products.header, bit_cards(bits, "M", "maskbit"), products.wcs_cards)
    tools.products.write_image("maskbits", maskbits, cards)


def _write_blobs(state, options, tools, products):
    """Write the picture with blob outlines, and the map of blobs."""
    blobmap = state["blobmap"]
    tools.products.write_jpeg("imageblob-jpeg", coadds.with_outlines(products.picture("image"), blobmap >= 0))
    if not options.skip_metrics:
        tools.products.write_image("blobmap", blobmap, products.image_cards("blobmap"))


STAGE = Stage(
    name="image_coadds",
    text="coadds and pictures of the images, before fitting",
    reads=("brick", "tims", "bands", "target", "ccds", "refs"),
    makes=(),
    run=run_image_coadds,
    uses=("blobmap", "saturated_maps", "co_sky"),
    options=("nsigma", "blob_dilate", "nsatur", "blob_mask", "lanczos", "local_pixel_area", "minimal_coadds"),
    product_options=("rgb_stretch", "coadd_bw"),
    products_only=True,
)
