"""Initial fluxes of sources whose starting values cannot be trusted (saturated stars, large galaxies)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..models.sources import Source
    from .images import BlobImages

__all__ = ["fit_initial_fluxes"]


def fit_initial_fluxes(images: BlobImages, sources: list[Source]) -> None:
    """Least-squares fluxes of some sources together, band by band, all others ignored.

    Changes the sources' fluxes and clears `needs_initial_flux`. A band without information keeps its flux.

    Parameters
    ----------
    images : BlobImages
    sources : list of Source
    """
    unit = [s.copy(flux=np.ones(images.nbands)) for s in sources]
    weighted_models = []
    for source in unit:
        model = np.zeros_like(images.data)
        images.add(images.render(source), data=model, everywhere=True)
        weighted_models.append(model * images.inverr)
    models = np.array(weighted_models)
    weighted = images.data * images.inverr
    for band in range(images.nbands):
        used = np.concatenate(
            [np.arange(images.offset[i], images.offset[i] + images.height[i] * images.width[i])
             for i in np.flatnonzero(images.band == band)]
            or [np.zeros(0, int)]
        )  # fmt: skip
        a = models[:, used].astype(np.float64)
        matrix = a @ a.T
        good = np.diag(matrix) > 0
        if not good.any():
            continue
        fluxes = np.linalg.lstsq(matrix[np.ix_(good, good)], a[good] @ weighted[used].astype(np.float64), rcond=None)[0]
        for k, flux in zip(np.flatnonzero(good), fluxes):
            sources[k].flux[band] = flux
    for source in sources:
        source.needs_initial_flux = False
