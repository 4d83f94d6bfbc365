"""Model selection of one source: fit the candidate models on its segment and choose."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..models.ellipse import soft_from_hard
from ..models.sources import SOURCE_TYPES, TYPES
from . import geometry_kernels as kernels
from .optimizer import FitSettings, FittedModel, fit_model, largest_log_re
from .selection import (
    ELLIPTIC,
    REFERENCE_FRACTION,
    WITH_INDEX,
    galaxy_fraction,
    select_model,
    wants_galaxy_models,
)

if TYPE_CHECKING:
    from ..models.sources import Source
    from .images import BlobImages

__all__ = ["Choice", "choose_model"]

logger = logging.getLogger(__name__)

#: Start of ln(r_e/arcsec) for a source that arrives as a point source.
START_LOG_RE = -1.0
#: The same for elliptic models of a source that is round and small: with no size, there is no ellipticity to fit.
SMALL_LOG_RE = -1.5
#: A galaxy may not be larger than this fraction of the region it is fitted on.
MAX_RE_FRACTION = 0.8
#: Bands with less of the flux than this inside the fitted pixels have no measurement.
MIN_INSIDE = 1e-6
#: Galaxy models that do not fit, but could win, are fitted once more with exact derivatives: those whose gain in
#: chi-squared is within this of the best.
CLOSE = 100.0
#: Fits end where the next step is predicted to gain less than this in ln P, or less than this fraction of what the
#: source itself gains: models of bright sources are wrong by much more, whatever the step.
LEAST_GAIN, MOST_GAIN, RELATIVE_GAIN = FitSettings.tolerance, 0.1, 3e-8


@dataclass
class Choice:
    """Outcome of a model selection.

    Attributes
    ----------
    winner : FittedModel or None
        None: the source is dropped.
    models : dict of str to FittedModel
    dchisq : numpy.ndarray of float64, one value per type
    width, height, npix, nimages : int
        Region that was fitted.
    """

    winner: FittedModel | None
    models: dict
    dchisq: np.ndarray
    width: int = 0
    height: int = 0
    npix: int = 0
    nimages: int = 0


_DROPPED: tuple[None, dict[str, Any], np.ndarray] = (None, {}, np.zeros(len(TYPES)))


def choose_model(
    images: BlobImages,
    source: Source,
    rectangles: NDArray[np.int32],
    segments: NDArray[np.int32] | None,
    pixscale: float,
    *,
    forced_pointsource: bool = False,
    background: bool = False,
    marginal_ivars: bool = False,
    reference_rule: bool = False,
) -> Choice:
    """Fit all plausible models to a source and select one.

    Parameters
    ----------
    images : BlobImages
        With all other sources subtracted.
    source : Source
        As it is after the first round.
    rectangles : numpy.ndarray of int32, shape (n, 4)
        The source's model boxes.
    segments : numpy.ndarray of int32 or None
        Segmentation map of the blob.
    pixscale : float
        Of the blob grid [arcsec].
    forced_pointsource, background : bool
        What the reference masks at the source's position ask for.
    marginal_ivars : bool
        See `optimizer.catalogue_ivars`.
    reference_rule : bool
        Choose as the Legacy Surveys do; else by `selection.galaxy_fraction`. Reference sources with a fitted background
        always follow that rule: near the centres of saturated galaxies, models gain by how badly they fit.

    Returns
    -------
    Choice
    """
    region = _Region(images, source, rectangles, segments)
    if region.windows is None or (region.ordinary and not region.contains(source.ra, source.dec)):
        return Choice(*_DROPPED)
    reference_rule = reference_rule or (source.is_reference and background)
    selection = _Selection(images, source, region, pixscale, background, marginal_ivars, reference_rule)
    selection.run(forced_pointsource or source.forced_pointsource or source.sga_fit)
    winner = selection.best_so_far()
    dchisq = np.array([selection.gains.get(t, 0.0) for t in TYPES])
    if winner is not None and selection.gains[winner] == 0.0:
        winner = None
    return Choice(
        selection.models[winner] if winner is not None else None, selection.models, dchisq, region.width, region.height,
        int(region.windows.npix.sum()), len(region.windows.index),
    )  # fmt: skip


class _Region:
    """Pixels on which a source is fitted, and where in the blob it may move."""

    def __init__(self, images, source, rectangles, segments):
        self.images, self.windows = images, None
        self.ordinary = not (source.from_galaxy_catalog or source.fixed_position or source.sga_fit)
        boxes = np.empty_like(rectangles)
        if not kernels.boxes_with_data(rectangles, images.offset, images.width, images.inverr, boxes):
            return
        self._extent(boxes)
        label = -1
        if segments is not None:
            label = self._label(source, segments)
        windows = images.windows(boxes, segments if label >= 0 else None, label)
        if len(windows.index):
            self.windows = windows

    def _extent(self, boxes):
        """Bounding rectangle of the boxes in the blob, half-open."""
        xlo, xhi, ylo, yhi = kernels.extent_in_blob(boxes, self.images.packed, self.images.blob_wcs.pack())
        h, w = self.images.mask.shape
        if not np.all(np.isfinite((xlo, xhi, ylo, yhi))):  # no corner projects
            xlo, xhi, ylo, yhi = 0.0, -1.0, 0.0, -1.0
        self.x0, self.x1 = int(np.clip(np.floor(xlo), 0, w)), int(np.clip(np.ceil(xhi) + 1, 0, w))
        self.y0, self.y1 = int(np.clip(np.floor(ylo), 0, h)), int(np.clip(np.ceil(yhi) + 1, 0, h))
        self.width, self.height = self.x1 - self.x0, self.y1 - self.y0

    def _label(self, source, segments):
        x, y = self.images.blob_wcs.sky_to_pixel(source.ra, source.dec)
        if self.width < 1 or self.height < 1 or not (np.isfinite(x) and np.isfinite(y)):
            return -1
        ix = int(np.clip(np.rint(x), self.x0, self.x1 - 1))
        iy = int(np.clip(np.rint(y), self.y0, self.y1 - 1))
        return int(segments[iy, ix])

    def contains(self, ra, dec):
        """True if the pixel (truncated) of a position is in the extent and in the blob."""
        images = self.images
        return kernels.position_in_mask(
            images.blob_wcs.pack(), ra, dec, self.x0, self.x1, self.y0, self.y1, images.mask
        )


class _Selection:
    """The candidate models of one source, fitted one after the other."""

    def __init__(self, images, source, region, pixscale, background, marginal_ivars, reference_rule):
        self.images, self.source, self.region = images, source, region
        self.reference_rule = reference_rule
        self.marginal_ivars = marginal_ivars
        self.background = background
        self.chi2_none = images.chi2_without_source(region.windows, background)
        self.models, self.gains = {}, {}
        self.catalog_limit = None
        if source.from_galaxy_catalog:
            self.catalog_limit = math.log(2.0 * max(source.shape_r, 0.005))
        self.size_limit = math.log(max(MAX_RE_FRACTION * max(region.width, region.height) * pixscale, 0.01))

    def run(self, point_source_only):
        self._fit_all(point_source_only)
        best = max(self.gains.values(), default=0.0)
        for source_type, model in list(self.models.items()):
            if model.misfit and best - self.gains[source_type] < CLOSE and SOURCE_TYPES[source_type].nshape == 3:
                self.fit(source_type, model, exact=True)

    def _fit_all(self, point_source_only):
        galaxy = not self.source.kind.is_point
        self.fit("PSF", self._start("PSF"))
        if point_source_only and not galaxy:
            return
        self.fit("REX", self._start("REX"))
        if not galaxy and not wants_galaxy_models(self.gains):
            return
        for source_type in TYPES:
            if source_type in ELLIPTIC:
                self.fit(source_type, self._start(source_type))
        so_far = self.best_so_far()
        if so_far in ELLIPTIC:
            for source_type in WITH_INDEX:
                self.fit(source_type, self._start_with_index(source_type, self.models[so_far]))

    def best_so_far(self):
        """Type that the rule of selection picks among the models that were fitted, or None."""
        if self.reference_rule:
            return select_model(self.gains, REFERENCE_FRACTION)
        rex = self.models.get("REX")
        return select_model(self.gains, galaxy_fraction(rex.shape_r if rex is not None else 0.0, self.images.blur))

    def fit(self, source_type, start, exact=False):
        """Fit one candidate; it is left out if it wanders off the blob."""
        began = time.process_time()
        model = fit_model(self.images, self.region.windows, start, self.source, self._settings(source_type, exact))
        may_leave = self.source.from_galaxy_catalog or self.source.is_reference
        if not may_leave and not self.region.contains(model.ra, model.dec):
            return
        nothing = (model.inside < MIN_INSIDE) | (model.ivar.flux == 0)
        model.flux = np.where(nothing, 0.0, model.flux)
        model.cpu = start.cpu + time.process_time() - began
        model.steps += start.steps
        self.models[source_type] = model
        gain = self.chi2_none - model.chi2
        self.gains[source_type] = float(np.sum(np.where(model.flux > 0, gain, -np.abs(gain)) * (model.flux != 0)))

    def _settings(self, source_type, exact):
        if self.catalog_limit is not None:
            limit = self.catalog_limit
        else:
            limit = min(largest_log_re(SOURCE_TYPES[source_type]), self.size_limit)
        return FitSettings(
            background=self.background,
            fixed_position=self.source.fixed_position or self.source.sga_fit,
            max_log_re=limit,
            is_inside=self.region.contains if self.region.ordinary else None,
            marginal_ivars=self.marginal_ivars,
            exact=exact,
            tolerance=min(max(LEAST_GAIN, RELATIVE_GAIN * max(self.gains.values(), default=0.0)), MOST_GAIN),
        )

    def _start(self, source_type):
        s = self.source
        model = FittedModel(source_type, s.ra, s.dec, s.flux.copy())
        if model.kind.is_point:
            return model
        model.log_re = START_LOG_RE if s.kind.is_point else math.log(max(s.shape_r, 0.01))
        elliptic = model.kind.nshape == 3
        if elliptic and s.kind.nshape == 3:
            model.eps1, model.eps2 = soft_from_hard(s.shape_e1, s.shape_e2)
        rex = self.models.get("REX")
        if elliptic and s.kind.is_point and rex is not None and not rex.hit_r_limit:
            model.ra, model.dec, model.log_re = rex.ra, rex.dec, max(rex.log_re, SMALL_LOG_RE)
        return model

    def _start_with_index(self, source_type, other):
        """A model with a free Sersic index that starts from a fitted one of fixed profile."""
        start = FittedModel(source_type, other.ra, other.dec, other.flux.copy(), other.log_re, other.eps1, other.eps2)
        start.sersic = other.kind.sersic
        return start
