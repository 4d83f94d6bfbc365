"""Model images of a tim from the catalogue, the footprint of every source in them, and noise-equivalent areas."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models import Source, Tim
from ..units import FWHM_PER_SIGMA_NEA
from ..wcs import MapGrid, TanWcs
from ..wcs.resample_kernels import nearest_values
from .models_kernels import patch_sums

__all__ = ["TimModels", "Footprints", "noise_equivalent_areas", "tim_models"]

_SIGMA_PER_FWHM = 1 / FWHM_PER_SIGMA_NEA


@dataclass
class Footprints:
    """Size of the sources in one image; arrays of float64, one value per catalogue row, 0 where not rendered.

    Attributes
    ----------
    nea : numpy.ndarray
        Noise-equivalent area (sum p)^2 / sum p^2 of the rendered patch p [pixels of the image].
    blob_nea : numpy.ndarray
        flux^2 / sum p^2 over the pixels of the source's own blob [pixels of the image].
    fraction_in : numpy.ndarray
        sum p / flux.
    """

    nea: np.ndarray
    blob_nea: np.ndarray
    fraction_in: np.ndarray


@dataclass
class TimModels:
    """Model images of one tim (float32, its shape; nanomaggies per pixel) and the sources' footprints.

    `blobmodel` holds each source only on pixels of its own blob.
    """

    model: np.ndarray
    blobmodel: np.ndarray
    footprints: Footprints


def tim_models(
    tim: Tim,
    target: TanWcs,
    blobmap: NDArray[np.int32],
    sources: Sequence[Source | None],
    blobs: Sequence[int] | NDArray[np.integer],
    fluxes: Sequence[float] | NDArray[np.floating],
    render: Callable[[list[Source]], Iterable[Any]],
    frozen: Sequence[tuple[Source, Sequence[int]]] = (),
    rows: Sequence[int] | NDArray[np.integer] | None = None,
) -> TimModels:
    """Draw all sources of the catalogue into one image.

    Parameters
    ----------
    tim : Tim
    target : TanWcs
    blobmap : numpy.ndarray of int32, shape (H, W)
        On the target; -1 outside blobs.
    sources : list of Source or None
        Row by row; None for rows that are not drawn.
    blobs : array_like of int
        Blob of each row, -1 for none.
    fluxes : array_like of float
        Flux of each row in the image's band.
    render : callable
        ``render(sources)`` gives one by one a `models.patches.Patch`, or None if nothing of the source is seen.
    frozen : sequence of (Source, sequence of int)
        Galaxies that are not fitted and reach into blobs they do not belong to, with these blobs. They are drawn
        first; sources at the same position are then left out.
    rows : sequence of int, optional
        Rows to draw, increasing: all that may reach into the image; default all.

    Returns
    -------
    TimModels
    """
    n_rows = len(sources)
    models = TimModels(
        np.zeros(tim.shape, np.float32),
        np.zeros(tim.shape, np.float32),
        Footprints(np.zeros(n_rows), np.zeros(n_rows), np.zeros(n_rows)),
    )
    tim_blobs = _blobs_of_image(tim, target, blobmap)
    drawn = _draw_frozen(models, tim_blobs, target, blobmap, frozen, render)
    wanted = ((row, sources[row]) for row in (range(n_rows) if rows is None else rows))
    chosen = [(row, source) for row, source in wanted if source is not None and (source.ra, source.dec) not in drawn]
    for (row, _), rendered in zip(chosen, render([source for _, source in chosen])):
        if rendered is None:
            continue
        own = rendered.cut(tim_blobs) == int(blobs[row])
        rendered.add_to(models.model)
        rendered.add_to(models.blobmodel, own)
        total, square, blob_square = patch_sums(rendered.values, own)
        if total != 0:
            models.footprints.nea[row] = total**2 / square
            if blob_square != 0:
                models.footprints.blob_nea[row] = float(fluxes[row]) ** 2 / blob_square
        models.footprints.fraction_in[row] = total / float(fluxes[row])
    return models


def _blobs_of_image(tim, target, blobmap):
    """Blob of every pixel of the image: that of the nearest target pixel, -1 off the target."""
    tim_blobs = np.full(tim.shape, -1, np.int32)
    grid = MapGrid.build(tim.wcs, target)
    if grid is not None:
        part = np.full(grid.shape, -1, np.int32)
        nearest_values(grid.arrays, 0, grid.shape[0], np.ascontiguousarray(blobmap, np.int32), part)
        tim_blobs[grid.box] = part
    return tim_blobs


def _draw_frozen(models, tim_blobs, target, blobmap, frozen, render):
    """Draw the frozen galaxies that reach into blobs of this image; returns their positions."""
    drawn = set()
    if not frozen:
        return drawn
    present = set(np.unique(tim_blobs).tolist())
    for galaxy, blobs in frozen:
        touched = present & ({int(b) for b in blobs} | _own_blob(galaxy, target, blobmap))
        if not touched:
            continue
        drawn.add((galaxy.ra, galaxy.dec))
        (rendered,) = render([galaxy])
        if rendered is None:
            continue
        rendered.add_to(models.model)
        rendered.add_to(models.blobmodel, np.isin(rendered.cut(tim_blobs), list(touched)))
    return drawn


def _own_blob(galaxy, target, blobmap):
    """The blob at the galaxy's own pixel, as a set (empty off the target and outside blobs)."""
    x, y = target.sky_to_pixel(galaxy.ra, galaxy.dec)
    if not (np.isfinite(x) and np.isfinite(y)):
        return set()
    ix, iy = int(x), int(y)
    if not (0 <= ix < target.width and 0 <= iy < target.height) or blobmap[iy, ix] < 0:
        return set()
    return {int(blobmap[iy, ix])}


def noise_equivalent_areas(
    tims: Sequence[Tim], footprints: Sequence[Footprints], psfdepth: NDArray[np.float32], psfsize: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    """Noise-equivalent areas of all sources in one band.

    Parameters
    ----------
    tims : list of Tim
        The images of the band.
    footprints : list of Footprints
        Image by image, in the same order.
    psfdepth, psfsize : numpy.ndarray of float32, shape (rows,)
        Depth [1/nanomaggies^2] and PSF FWHM [arcsec] at the sources.

    Returns
    -------
    nea, blob_nea : numpy.ndarray of float32, shape (rows,)
        arcsec^2; 0 where there is none. `blob_nea` takes only the pixels of the source's blob into account.
    """
    psfdepth, psfsize = np.asarray(psfdepth, np.float64), np.asarray(psfsize, np.float64)
    numerator, denominator, blob_sum = np.zeros((3, len(psfdepth)))
    for tim, footprint in zip(tims, footprints):
        iv = 1.0 / tim.sig1**2
        seen = footprint.nea != 0
        weight = iv * footprint.fraction_in[seen]
        numerator[seen] += weight / (footprint.nea[seen] * tim.ccd.pixscale**2)
        denominator[seen] += weight
        seen = footprint.blob_nea != 0
        blob_sum[seen] += iv / footprint.blob_nea[seen]
    with np.errstate(divide="ignore", invalid="ignore"):
        nea = denominator / numerator
        blob_nea = psfdepth * 4 * math.pi * (psfsize * _SIGMA_PER_FWHM) ** 2 / blob_sum
    return tuple(np.where(np.isfinite(a), a, 0.0).astype(np.float32) for a in (nea, blob_nea))
