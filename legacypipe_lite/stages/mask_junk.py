"""Stage mask_junk: mask what only one exposure shows, and fill masked pixels with the mean of the others."""

import logging
from pathlib import Path

import numpy as np

from .. import coadds, outliers
from ..bits import DQ
from ..errors import InputError
from ..survey.products import mapper_for
from ..tables import open_fits
from ..threads import map_in_threads
from .base import Stage, StageResult

__all__ = ["STAGE", "read_outlier_masks"]

logger = logging.getLogger(__name__)

_PRODUCT = "outlier-mask"
_PICTURES = ("pre", "post", "masked-pos", "masked-neg")


def run_mask_junk(state, options, tools):
    """Find outliers and the new values of masked pixels; write the masks and pictures of before and after."""
    tims, bands, target = state["tims"], state["bands"], state["target"]
    made = {
        "outlier_masks": [None] * len(tims),
        "outlier_patches": [None] * len(tims),
    }
    cards = [("OUTLIER", options.outliers, "Were outliers masked?")]
    if not options.outliers:
        return StageResult(made, cards)
    cached = None
    if options.cache_outliers or options.remake_outlier_jpegs:
        cached = _cached_masks(state, tools)
    pictures = {name: [] for name in _PICTURES}
    with_pictures = cached is None or options.remake_outlier_jpegs
    for band in bands:
        found = _outliers_of_band(band, state, options, tools, cached)
        for i, mask in found.outliers.items():
            made["outlier_masks"][i] = mask if len(mask) else None
            made["outlier_patches"][i] = found.patches[i]
        if with_pictures:
            after = coadds.stacked_image(
                tims, band, target, changes=found.changes(tims), grids=found.grids, threads=options.threads
            )
            images = (found.precoadd, coadds.ChangedImage(found.precoadd, after), *found.masked_means)
            for name, image in zip(_PICTURES, images):
                pictures[name].append(image)
    n_masked = sum(len(mask) for mask in made["outlier_masks"] if mask is not None)
    logger.info("%d outlier pixels masked", n_masked)
    tools.report.counts["outlier pixels"] = n_masked
    _write_masks(tims, bands, made, tools.header(state, cards), tools)
    if with_pictures:
        jobs = [(_write_picture, (name, images, bands, options)) for name, images in pictures.items()]
        tools.products.write_all(jobs, mapper_for(tools, target.width * target.height))
    return StageResult(made, cards)


def apply_mask_junk(state, made):
    """Fill masked pixels with the values found, then mask the outliers."""

    def apply(i):
        tim, mask, patch = state["tims"][i], made["outlier_masks"][i], made["outlier_patches"][i]
        if patch is not None:
            tim.image[tim.inverr == 0] = patch
        if mask is not None:
            tim.inverr[mask.pixels] = 0.0
            tim.dq[mask.pixels] |= tim.dq.dtype.type(DQ["outlier"])

    for _ in map_in_threads(apply, range(len(state["tims"]))):
        pass


def _write_picture(products, name, images, bands, options):
    """Write the picture of one kind of stack."""
    picture = coadds.rgb(images, bands, stretch=options.rgb_stretch, bw=options.coadd_bw)
    products.write_jpeg(f"outliers-{name}", picture)


def read_outlier_masks(path, tims):
    """Masks of an earlier run for the same sub-images.

    Parameters
    ----------
    path : Path
    tims : list of Tim

    Returns
    -------
    list of SparseImage of uint8, or None
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
            masks.append(coadds.SparseImage.from_dense(mask.astype(np.uint8)))
    return masks


def _outliers_of_band(band, state, options, tools, cached):
    """`BandOutliers` of one band: searched for, or made of masks that were read."""
    tims, target, refs = state["tims"], state["target"], state["refs"]
    if cached is None:
        gaia = np.asarray(refs["isgaia"], bool)
        return outliers.find_outliers(
            tims,
            band,
            target,
            veto=outliers.star_veto(target, refs["ra"][gaia], refs["dec"][gaia]),
            leave_one_out=options.outlier_leave_one_out,
            threads=options.threads,
        )
    found = outliers.BandOutliers(precoadd=coadds.stacked_image(tims, band, target, threads=options.threads))
    patches = [coadds.patch_values(t, found.precoadd, target) if t.band == band else None for t in tims]
    found.outliers = {i: cached[i] for i, tim in enumerate(tims) if tim.band == band}
    found.patches = {i: patches[i] for i in found.outliers}
    found.masked_means = outliers.masked_pixel_means(tims, band, target, cached, patches)
    return found


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


def _write_masks(tims, bands, made, header, tools):
    """Write the masks of all images, also the empty ones, band by band."""
    hdus = []
    for band in bands:
        for tim, mask in zip(tims, made["outlier_masks"]):
            if tim.band == band:
                mask = outliers.no_outliers(tim) if mask is None else mask
                hdus.append((mask, _extname(tim), coadds.outlier_mask_cards(tim)))
    mapper = mapper_for(tools, sum(tim.image.size for tim in tims))
    tools.products.write_images(_PRODUCT, hdus, primary_cards=header, mapper=mapper)


def _extname(tim):
    return f"MASK-{tim.ccd.camera}-{tim.ccd.expnum}-{tim.ccd.ccdname}"


STAGE = Stage(
    name="mask_junk",
    text="mask satellite trails, cosmic rays and other outliers",
    reads=("tims", "bands", "target", "refs"),
    makes=("outlier_masks", "outlier_patches"),
    run=run_mask_junk,
    apply=apply_mask_junk,
    options=("outliers", "cache_outliers", "remake_outlier_jpegs", "outlier_leave_one_out"),
    product_options=("rgb_stretch", "coadd_bw"),
    keyword="VER_OUTL",
)
