"""Forced photometry on unWISE images: the fluxes of all sources of a brick in one band, solved at once.

Positions and shapes are those of the catalogue. The images of all tiles of a band share the fluxes; each pixel
belongs to one tile only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..models.patches import EVERYWHERE, add_patches
from . import normal_kernels as kernels
from .solve import solve_fluxes
from .stamps import StampRenderer, stamp_radii

if TYPE_CHECKING:
    from .images import TileImage
    from .psf import TilePsf
    from .stamps import ForcedSources

__all__ = ["BandPhotometry", "forced_photometry", "W4_FLUX_IVAR_FACTOR"]

#: The noise of W4 fluxes is doubled once more, for the correlation of the pixels.
W4_FLUX_IVAR_FACTOR = 0.25


@dataclass
class BandPhotometry:
    """Photometry of a list of sources in one band; arrays of one length.

    Attributes
    ----------
    flux, flux_ivar : numpy.ndarray of float64
        Vega nanomaggies; the inverse variance is that for known neighbours. Both 0 without data.
    rchisq : numpy.ndarray of float64
        Chi-squared per pixel, weighted with the profile.
    fracflux : numpy.ndarray of float64
        Flux of other sources over own flux, weighted with the profile.
    nobs : numpy.ndarray of int16
        Number of exposures at the source.
    mjd : numpy.ndarray of float64
        Mean date of the tile image at the source.
    psfdepth : numpy.ndarray of float64
        Inverse variance of a point source without neighbours at the median noise of the image.
    coadd_id : numpy.ndarray of str
        Name of the tile in whose unique area the source lies.
    x, y : numpy.ndarray of float64
        0-based position in this tile.
    models : list of numpy.ndarray of float32
        Model image of each tile image, in the same order.
    """

    flux: np.ndarray
    flux_ivar: np.ndarray
    rchisq: np.ndarray
    fracflux: np.ndarray
    nobs: np.ndarray
    mjd: np.ndarray
    psfdepth: np.ndarray
    coadd_id: np.ndarray
    x: np.ndarray
    y: np.ndarray
    models: list

    @classmethod
    def empty(cls, n: int) -> BandPhotometry:
        """Without any data."""
        return cls(
            np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, np.int16), np.zeros(n), np.zeros(n),
            np.zeros(n, "U8"), np.zeros(n), np.zeros(n), [],
        )  # fmt: skip


def forced_photometry(
    sources: ForcedSources, images: list[TileImage], psfs: list[TilePsf], noise: str = "data"
) -> BandPhotometry:
    """Measure the fluxes of all sources in one band.

    Parameters
    ----------
    sources : ForcedSources
    images : list of TileImage
        Of one band (and epoch).
    psfs : list of TilePsf
        Of each image.
    noise : str
        "data": the noise that sources add to W1 and W2 is estimated from the images themselves, as in the published
        catalogues. "model": from the model of a first solution, which makes the fluxes unbiased.

    Returns
    -------
    BandPhotometry
    """
    result = BandPhotometry.empty(len(sources))
    if not images:
        return result
    positions = [image.wcs.sky_to_pixel(sources.ra, sources.dec) for image in images]
    central = np.zeros(len(sources))
    for image, psf, position in zip(images, psfs, positions):
        _look_up(result, central, sources, image, psf, *position)
    stamps = [
        StampRenderer(psf.image).render(sources, *position, stamp_radii(central, image.band), image.wcs)
        for image, psf, position in zip(images, psfs, positions)
    ]
    _solve(result, images, stamps)
    if noise == "model":
        images = [image.with_noise_of(model) for image, model in zip(images, result.models)]
        _solve(result, images, stamps)
    return result


def _solve(result, images, stamps):
    """Fluxes, inverse variances, statistics and models from the images."""
    n = len(result.flux)
    diagonal, right = np.zeros(n), np.zeros(n)
    pairs, products = [], []
    for image, drawn in zip(images, stamps):
        found = kernels.normal_equations(_by_row(drawn.rectangles), drawn, image.image, image.inverr, diagonal, right)
        pairs.append(found[0])
        products.append(found[1])
    result.flux = solve_fluxes(diagonal, np.concatenate(pairs), np.concatenate(products), right)
    result.flux_ivar = diagonal * (W4_FLUX_IVAR_FACTOR if images[0].band == 4 else 1.0)
    _set_statistics(result, images, stamps)


def _look_up(result, central, sources, image, psf, px, py):
    """What the pixel of each source in the image's unique area says."""
    ix, iy = (np.rint(np.where(np.isfinite(p), p, -1)).astype(np.int64) for p in (px, py))
    inside = (ix >= 0) & (ix < image.wcs.width) & (iy >= 0) & (iy < image.wcs.height)
    own = np.flatnonzero(inside & image.tile.contains(sources.ra, sources.dec))
    ix, iy = ix[own], iy[own]
    central[own] = image.image[iy, ix]
    result.nobs[own] = image.n_unmasked[iy, ix]
    result.mjd[own] = image.mjd
    result.coadd_id[own] = image.tile.coadd_id
    result.x[own] = px[own] + image.x0
    result.y[own] = py[own] + image.y0
    if np.isfinite(image.sig1):
        result.psfdepth[own] = (psf.norm / image.sig1) ** 2


def _by_row(rectangles):
    """Sources with a stamp, sorted by the stamps' first rows."""
    present = np.flatnonzero(rectangles[:, 2] > 0)
    return present[np.argsort(rectangles[present, 1], kind="stable")]


def _set_statistics(result, images, stamps):
    n = len(result.flux)
    chi2, contamination, weight = np.zeros(n), np.zeros(n), np.zeros(n)
    result.models = []
    for image, drawn in zip(images, stamps):
        model = np.zeros(image.image.shape, np.float32)
        start, width = np.zeros(n, np.int64), np.full(n, model.shape[1])
        add_patches(drawn, result.flux.astype(np.float32), start, width, EVERYWHERE, model.ravel())
        kernels.fit_sums(drawn, result.flux, image.image, image.inverr, model, chi2, contamination, weight)
        result.models.append(model)
    result.rchisq = chi2
    result.fracflux = contamination / np.maximum(weight, 1)
