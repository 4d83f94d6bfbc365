"""Checks of fitted sources on all pixels of their models: what cannot be there does not stay.

A source is fitted on its own segment, but its model reaches farther. Where only a few pixels of the segment hold it, it
can grow without limit: nothing penalises what it does elsewhere. Each model is therefore held against all pixels that
it covers, when it is chosen (`bound_flux`) and when the blob is done (`check_sources`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..bits import FIT_FLAGS
from . import metrics_kernels as kernels

if TYPE_CHECKING:
    from ..models.patches import Patches
    from .images import BlobImages

__all__ = ["bound_flux", "check_sources", "kept_as_is", "patch_products"]

logger = logging.getLogger(__name__)

#: A band's flux is bounded if the model makes chi-squared of the pixels that it covers worse by this much.
WORSE = 25.0
#: Residuals are bad if chi-squared per pixel, weighted with the model, exceeds this in some band.
BAD_RCHISQ = 25.0


def patch_products(images: BlobImages, patches: Patches) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Noise-weighted products of a model with the images' data, and with itself, over all of its pixels.

    Parameters
    ----------
    images : BlobImages
    patches : Patches
        Of the model.

    Returns
    -------
    with_data, with_itself : numpy.ndarray of float64, shape (bands,)
        sum d m / sigma^2 and sum m^2 / sigma^2.
    """
    sums = np.zeros((images.nbands, 2))
    kernels.products_with_data(
        tuple(patches), (images.offset, images.width, images.data, images.inverr), images.band, sums
    )
    return sums[:, 0], sums[:, 1]


def bound_flux(images: BlobImages, entry) -> bool:
    """Bound the fluxes of a source, which is not subtracted, by all pixels of its model.

    In a band in which the model makes chi-squared worse, the flux takes its least-squares value on these pixels.

    Parameters
    ----------
    images : BlobImages
    entry : Entry
        With its `patches`; its source is changed.

    Returns
    -------
    bool
        Whether a flux was changed.
    """
    with_data, with_itself = patch_products(images, entry.patches)
    finite = np.isfinite(entry.source.flux)
    with np.errstate(invalid="ignore", over="ignore"):
        bad = ~finite | (with_itself - 2.0 * with_data > WORSE)
    if not bad.any():
        return False
    scale = np.where(with_itself > 0, with_data / np.where(with_itself > 0, with_itself, 1.0), 0.0)
    flux = np.where(finite, entry.source.flux, 0.0)
    entry.source = entry.source.copy(flux=np.where(bad, flux * np.clip(scale, 0.0, 1.0), flux))
    entry.result.fit_flags |= FIT_FLAGS["BOUNDED"] if finite.all() else FIT_FLAGS["NOT_FINITE"]
    return True


def kept_as_is(entry) -> bool:
    """True for sources that no check may change.

    They are frozen, or kept at the flux of their catalogue; or a sky was fitted with them, which is not subtracted from
    the images that the check sees.
    """
    return entry.source.frozen or entry.result.force_keep or entry.result.fit_background


def check_sources(blob, entries) -> None:
    """Hold every source against all pixels of its model; those that make the blob worse get a simpler type, or go.

    Parameters
    ----------
    blob : Blob
        Its images hold the residuals: all entries that are not removed are subtracted, as their `patches`.
    entries : list of Entry
        Changed in place. The brightest are checked first.
    """
    for entry in sorted(entries, key=lambda e: -e.brightness()):
        if entry.removed or kept_as_is(entry):
            continue
        blob.images.add(entry.patches, 1.0)
        if not _is_better(blob.images, entry):
            _replace(blob, entry, entries)
        if not entry.removed:
            blob.images.add(entry.patches, -1.0)


def _is_better(images, entry):
    """True if the blob is better off with a source than without it."""
    if not np.all(np.isfinite(entry.source.flux)):
        return False
    with_data, with_itself = patch_products(images, entry.patches)
    return float(np.sum(2.0 * with_data - with_itself)) > 0.0


def _replace(blob, entry, entries):
    """Give an entry that makes the blob worse another type or a bounded flux, or remove it."""
    before, result = entry.source, entry.result
    logger.debug("blob %s: a %s makes the blob worse", blob.task.name, before.type)
    result.fit_flags |= FIT_FLAGS["REPLACED"]
    blob.select(entry, None)
    if result.force_keep:
        # A reference star that is nowhere to be seen keeps what the pixels allow.
        entry.source, result.force_keep = before, False
    if not entry.removed:
        entry.patches = blob.images.render(entry.source)
        if bound_flux(blob.images, entry):
            entry.patches = blob.images.render(entry.source)
        if entry.source.flux.sum() <= 0 and not before.reference_star:
            entry.removed = True
    if entry.removed:
        for other in entries:
            if other is not entry and not other.removed and _touch(other.patches, entry.patches):
                other.result.fit_flags |= FIT_FLAGS["NEIGHBOR_REMOVED"]


def _touch(first, second):
    """True if the patches of two sources overlap in some image."""
    if first is None or second is None:
        return False
    a, b = first.rectangles, second.rectangles
    low = np.maximum(a[:, :2], b[:, :2])
    high = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    return bool(np.any(np.all(low < high, axis=1)))
