"""Stage mask_junk: mask what only one exposure shows, and fill masked pixels with the mean of the others."""

import logging
from pathlib import Path

import numpy as np

from .. import coadds
from ..bits import DQ
from ..errors import InputError
from ..survey.tables import open_fits
from .base import Stage, version_card

__all__ = ["STAGE", "read_outlier_masks"]

logger = logging.getLogger(__name__)

_PRODUCT = "outlier-mask"


def run_mask_junk(state, options, tools):
    """Find outliers and the new values of masked pixels; write the masks and pictures of before and after."""
    tims, bands, target = state["tims"], state["bands"], state["target"]
    made = {
        "outlier_masks": [None] * len(tims),
        "outlier_patches": [None] * len(tims),
        "header_mask_junk": [version_card("VER_OUTL"), ("OUTLIER", not options.no_outliers, "Were outliers masked?")],
    }
    if options.no_outliers:
        return made
    cached = None
    if options.cache_outliers or options.remake_outlier_jpegs:
        cached = _cached_masks(state, tools)
    pictures = {"pre": [], "post": [], "masked-pos": [], "masked-neg": []}
    with_pictures = cached is None or options.remake_outlier_jpegs
    for band in bands:
        found = _outliers_of_band(band, state, options, tools, cached)
        for i in found.masks:
            made["outlier_masks"][i] = found.masks[i] if found.masks[i].any() else None
            made["outlier_patches"][i] = found.patches[i]
        if with_pictures:
            pictures["pre"].append(found.precoadd)
            pictures["post"].append(_coadd_after(tims, band, target, found, options))
            pictures["masked-pos"].append(found.positive)
            pictures["masked-neg"].append(found.negative)
    n_masked = sum(int(np.count_nonzero(mask)) for mask in made["outlier_masks"] if mask is not None)
    logger.info("%d outlier pixels masked", n_masked)
    tools.report.counts["outlier pixels"] = n_masked
    _write_masks(tims, bands, made, {**state, **made}, tools)
    if with_pictures:
        for name, images in pictures.items():
            picture = coadds.rgb(images, bands, stretch=options.rgb_stretch, bw=options.coadd_bw)
            tools.products.write_jpeg(f"outliers-{name}", picture)
    return made


def apply_mask_junk(state, made):
    """Fill masked pixels with the values found, then mask the outliers."""
    for tim, mask, patch in zip(state["tims"], made["outlier_masks"], made["outlier_patches"]):
        if patch is not None:
            tim.image[tim.inverr == 0] = patch
        if mask is not None:
            outlier = mask > 0
            tim.inverr[outlier] = 0.0
            tim.dq[outlier] |= tim.dq.dtype.type(DQ["outlier"])


def read_outlier_masks(path, tims):
    """Masks of an earlier run for the same sub-images.

    Parameters
    ----------
    path : Path
    tims : list of Tim

    Returns
    -------
    list of numpy.ndarray of uint8, or None
        None if the file lacks an image, or holds another part of it; the reason is logged.
    """
    masks = []
    with open_fits(path) as fits:
        names = {hdu.get_extname(): hdu for hdu in fits[1:]}
        for tim in tims:
            name = _extname(tim)
            hdu = names.get(name, names.get(name.removeprefix("MASK-")))
            if hdu is None:
                logger.warning("%s has no outlier mask %s", path, name)
                return None
            header, mask = hdu.read_header(), hdu.read()
            where = mask.shape, int(header["X0"]), int(header["Y0"])
            if where != (tim.shape, tim.x0, tim.y0):
                logger.warning(
                    "%s: outlier mask %s covers another part of the CCD (shape, x0, y0: %s, not %s)",
                    path,
                    name,
                    where,
                    (tim.shape, tim.x0, tim.y0),
                )
                return None
            masks.append(mask.astype(np.uint8))
    return masks


def _outliers_of_band(band, state, options, tools, cached):
    """`BandOutliers` of one band: searched for, or made of masks that were read."""
    tims, target, refs = state["tims"], state["target"], state["refs"]
    if cached is None:
        gaia = np.asarray(refs["isgaia"], bool)
        return coadds.find_outliers(
            tims,
            band,
            target,
            veto=coadds.star_veto(target, refs["ra"][gaia], refs["dec"][gaia]),
            leave_one_out=options.outlier_leave_one_out,
            threads=options.threads,
            mapper=tools.map,
        )
    found = coadds.BandOutliers()
    found.precoadd = _plain_coadd(tims, band, target, options)
    patches = [coadds.patch_values(t, found.precoadd, target) if t.band == band else None for t in tims]
    found.masks = {i: cached[i] for i, tim in enumerate(tims) if tim.band == band}
    found.patches = {i: patches[i] for i in found.masks}
    found.positive, found.negative = coadds.masked_pixel_means(tims, band, target, cached, patches)
    return found


def _coadd_after(tims, band, target, found, options):
    """Stack of a band with its outliers masked."""
    masked = [coadds.with_outliers_masked(tims[i], found.masks[i], found.patches[i]) for i in found.masks]
    return _plain_coadd(masked, band, target, options)


def _plain_coadd(tims, band, target, options):
    """Stack of a band in the units of its images."""
    return coadds.coadd_band(
        tims,
        band,
        target,
        detail="image",
        surface_brightness=False,
        threads=options.threads,
    ).image


def _cached_masks(state, tools):
    """Masks of an earlier run, from the output or the survey directory; None (with a warning) if there are none."""
    relative = tools.products.relative(_PRODUCT)
    candidates = [tools.products.path(_PRODUCT), Path(tools.survey.root) / relative]
    for path in candidates:
        if path.is_file():
            try:
                masks = read_outlier_masks(path, state["tims"])
            except InputError as error:
                logger.warning("%s", error)
                masks = None
            if masks is not None:
                logger.info("outlier masks from %s", path)
                return masks
    tools.report.warn_once(logger, f"no usable outlier masks ({relative}): searching for outliers")
    return None


def _write_masks(tims, bands, made, state, tools):
    """Write the masks of all images, also the empty ones, band by band."""
    hdus = []
    for band in bands:
        for tim, mask in zip(tims, made["outlier_masks"]):
            if tim.band == band:
                image = np.zeros(tim.shape, np.uint8) if mask is None else mask
                hdus.append((image, _extname(tim), coadds.outlier_mask_cards(tim)))
    tools.products.write_images(_PRODUCT, hdus, primary_cards=tools.header(state))


def _extname(tim):
    return f"MASK-{tim.ccd.camera}-{tim.ccd.expnum}-{tim.ccd.ccdname}"


STAGE = Stage(
    name="mask_junk",
    text="mask satellite trails, cosmic rays and other outliers",
    reads=("tims", "bands", "target", "refs"),
    makes=("outlier_masks", "outlier_patches"),
    run=run_mask_junk,
    apply=apply_mask_junk,
)
