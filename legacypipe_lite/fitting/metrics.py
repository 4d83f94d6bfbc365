"""Quality measures and final uncertainties of the sources of a blob."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..models.ivars import ParameterIvars
from . import metrics_kernels as kernels
from .optimizer import FitSettings, information, start_model

if TYPE_CHECKING:
    from ..models.patches import Patches
    from ..models.sources import Source
    from .images import BlobImages
    from .tasks import SourceResult

__all__ = ["measure"]


def measure(
    images: BlobImages,
    results: list[SourceResult],
    marginal_ivars: bool = False,
    patches: list[Patches] | None = None,
) -> None:
    """Set `ivar`, `joint_ivar` (unless it is known), `fracflux`, `fracin`, `fracmasked` and `rchisq` of fitted sources.

    Everything is measured on the whole blob, at the catalogue fluxes, in the sources' natural patches. Per band,
    with P a source's patch in an image, c its flux and M the sum of all patches:

    * ``fin = clip(sum P / c, 0, 1)``
    * ``fracflux = sum_i fin [sum (M - P)|P| / sum P^2] / sum_i fin``
    * ``fracmasked = sum_i clip(sum P [ie = 0] / c, 0, 1) / sum_i fin``
    * ``fracin = sum_i |sum P| / sum_i c``
    * ``rchisq = sum_i |sum ((data - M) ie)^2 P / c| / sum_i |sum P| / c``

    Parameters
    ----------
    images : BlobImages
        With the data from which no source is subtracted.
    results : list of SourceResult
    marginal_ivars : bool
        Let `ivar` be the joint one.
    patches : list of Patches, optional
        The sources' models, if at hand.
    """
    if patches is None:
        patches = [images.render(r.source) for r in results]
    total = np.zeros_like(images.data)
    for p in patches:
        images.add(p, data=total, everywhere=True)
    sums = np.empty((images.n, 6))
    for result, p in zip(results, patches):
        kernels.patch_sums(p, images.offset, images.width, images.data, images.inverr, total, sums)
        _set_fractions(result, sums, images)
        if result.force_keep:
            result.ivar = result.joint_ivar = ParameterIvars.zeros(images.nbands)
        else:
            result.ivar, marginal = final_ivars(images, result.source, p)
            if result.joint_ivar is None:
                result.joint_ivar = marginal
            if marginal_ivars:
                result.ivar = result.joint_ivar


def final_ivars(images: BlobImages, source: Source, patches: Patches) -> tuple[ParameterIvars, ParameterIvars]:
    """Diagonal and marginal inverse variances of a source's catalogue parameters from its natural patches.

    Other sources are ignored.
    """
    windows = images.windows(patches.rectangles)
    settings = FitSettings(fixed_position=source.fixed_position, max_log_re=np.inf, exact=False)
    return information(images, windows, start_model(source), source, settings)


def _set_fractions(result, sums, images):
    nb = images.nbands
    flux = np.abs(result.source.flux[images.band])
    used = (flux > 0) & (sums[:, 5] > 0)
    c = np.where(used, flux, 1.0)
    inside = np.where(used, np.clip(sums[:, 0] / c, 0, 1), 0.0)
    squared = np.where(sums[:, 2] > 0, sums[:, 2], 1.0)
    per_image = {
        "fin": inside,
        "flux": inside * np.where(used, sums[:, 1] / squared, 0.0),
        "masked": np.where(used, np.clip(sums[:, 3] / c, 0, 1), 0.0),
        "absolute": np.where(used, np.abs(sums[:, 0]), 0.0),
        "counts": np.where(used, flux, 0.0),
        "chi": np.where(used, np.abs(sums[:, 4] / c), 0.0),
        "weight": np.where(used, np.abs(sums[:, 0]) / c, 0.0),
    }
    band = {k: np.bincount(images.band, weights=v, minlength=nb) for k, v in per_image.items()}
    result.fracflux = _ratio(band["flux"], band["fin"])
    result.fracmasked = _ratio(band["masked"], band["fin"])
    result.fracin = band["absolute"] / np.maximum(band["counts"], 1e-9)
    result.rchisq = _ratio(band["chi"], band["weight"])


def _ratio(a, b):
    return np.where(b > 0, a / np.where(b > 0, b, 1.0), 0.0)
