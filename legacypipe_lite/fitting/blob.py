"""The life of one blob: from its images and initial sources to fitted, measured sources."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import numpy as np

from ..bits import FIT_FLAGS, REFMAP
from ..detection import detect_sources, detection_maps, sed_list, segmentation_map
from ..models.sources import Source
from .candidates import choose_model
from .check import BAD_RCHISQ, bound_flux, check_sources, kept_as_is
from .cutouts import blob_wcs, cut_tims
from .geometry_kernels import position_in_mask
from .images import BlobImages
from .initial import fit_initial_fluxes
from .metrics import measure
from .optimizer import FitSettings, fit_model, start_model
from .refine import refine
from .tasks import BlobResult, SourceResult

if TYPE_CHECKING:
    from .tasks import BlobContext, BlobTask

__all__ = ["fit_blob"]

logger = logging.getLogger(__name__)

#: Reference sources are fitted before all others.
_REFERENCE_FIRST = 1e6
_REMOVED_LAST = -1000.0
#: A forced point source's segment ends at this distance [pixel].
FORCED_PSF_RADIUS = 25.0
#: Sources of the large-galaxy catalogue stay this close to their position in the first round [arcsec].
GALAXY_POSITION_BOX = 5.0
#: Residual detections must exceed this fraction of the models' own signal to noise.
MIN_RESIDUAL_SN = 0.2


def fit_blob(context: BlobContext, task: BlobTask) -> BlobResult:
    """Fit all sources of one blob.

    Parameters
    ----------
    context : BlobContext
    task : BlobTask

    Returns
    -------
    BlobResult
        Without sources if no image or no source is left.
    """
    return _Blob(context, task).run()


class _Entry:
    """A source during the fit, with its record."""

    def __init__(self, source, result):
        self.source, self.result = source, result
        self.initial_flux = source.flux.copy()
        self.removed = False
        self.patches = None

    def brightness(self, reference_first=True):
        if self.removed:
            return _REMOVED_LAST
        extra = _REFERENCE_FIRST if reference_first and self.source.is_reference else 0.0
        return float(self.source.flux.sum()) + extra


class _Blob:
    """The images, sources and masks of a blob while it is fitted."""

    def __init__(self, context, task):
        self.context, self.task = context, task
        self.options = context.options
        self.count = 0
        x0, y0, w, h = task.box
        part = slice(y0, y0 + h), slice(x0, x0 + w)
        self.mask = context.blobmap[part] == task.blob
        self.refmap = context.refmap[part]
        self.wcs = blob_wcs(context.target, task.box)
        self.pixscale = context.target.pixel_scale
        cutouts = cut_tims(context, task.box)
        self.images = BlobImages(cutouts, self.wcs, self.mask, len(context.bands), self.options.shape_jacobian)

    def run(self):
        began = time.process_time()
        result = BlobResult(self.task, [], self.images.n, self.images.total_pixels())
        if self.images.n and self.task.rows:
            self._subtract_frozen()
            original = self.images.data.copy()
            entries = [self._entry(row, self.context.sources[row].copy()) for row in self.task.rows]
            self._fit(entries)
            if self.options.iterative:
                entries += self.detect_in_residuals(entries, MIN_RESIDUAL_SN)
            if self.options.joint:
                entries = refine(self, entries)
            if self.options.check:
                check_sources(self, entries)
            self.images.data[:] = original
            if self.options.reoptimize:
                self._first_round([e for e in entries if not e.removed])
            result.sources = self._finish([e for e in entries if not e.removed])
        result.cpu = time.process_time() - began
        return result

    # --- set-up

    def _entry(self, row, source):
        x, y = self.wcs.sky_to_pixel(source.ra, source.dec)
        ix, iy = self._clipped(x, y)
        self.count += 1
        return _Entry(
            source,
            SourceResult(
                row, source, x + self.task.box[0], y + self.task.box[1], started_in_blob=bool(self.mask[iy, ix]),
                number=self.count - 1,
            ),
        )  # fmt: skip

    def _clipped(self, x, y):
        """Nearest pixel of the blob's box; its first one for a position that is not finite."""
        h, w = self.mask.shape
        # max(0, NaN) is 0.
        return int(min(max(0, np.rint(x)), w - 1)), int(min(max(0, np.rint(y)), h - 1))

    def _pixel(self, source):
        return self.wcs.sky_to_pixel(source.ra, source.dec)

    def is_inside(self, ra, dec):
        """True if a position is on the blob."""
        h, w = self.mask.shape
        return position_in_mask(self.wcs.pack(), ra, dec, 0, w, 0, h, self.mask)

    def _subtract_frozen(self):
        self.frozen_model = np.zeros_like(self.images.data)
        for row in self.task.frozen:
            patches = self.images.render(self.context.sources[row])
            self.images.add(patches, -1.0)
            self.images.add(patches, 1.0, self.frozen_model)

    # --- the fit

    def _fit(self, entries):
        """Initial fluxes, first round, masks, segmentation and model selection of a set of sources."""
        waiting = [e for e in entries if e.source.needs_initial_flux]
        if waiting:
            fit_initial_fluxes(self.images, [e.source for e in waiting])
        self._first_round(entries)
        for entry in entries:
            self._masks_at(entry)
        segments = self._segment(entries) if self.options.segmentation else None
        self._select_models(entries, segments)

    def _by_brightness(self, entries):
        return sorted(entries, key=lambda e: -e.brightness())

    def _first_round(self, entries):
        """Fit every source on its own, the brightest first, with all others subtracted."""
        several = len(entries) > 1
        order = self._by_brightness(entries)
        saved = self.images.data.copy()
        for e in order:
            e.patches = self.images.render(e.source)
            if several:
                self.images.add(e.patches, -1.0)
        for e in order:
            if e.source.frozen or not e.patches.rectangles[:, 2].any():
                continue
            if several:
                self.images.add(e.patches, 1.0)
            began = time.process_time()
            self._fit_as_is(e, several)
            e.result.cpu += time.process_time() - began
            if several:
                e.patches = self.images.render(e.source)
                self.images.add(e.patches, -1.0)
        self.images.data[:] = saved

    def _fit_as_is(self, entry, several):
        """Fit a source with its present type on its model boxes."""
        source = entry.source
        windows = self.images.windows(entry.patches.rectangles)
        if len(windows.index) == 0:
            return
        settings = FitSettings(
            fixed_position=source.fixed_position,
            position_box=GALAXY_POSITION_BOX if source.from_galaxy_catalog else None,
            max_log_re=source.max_log_re,
            is_inside=None if source.fixed_position and several else self.is_inside,
            # The size that a catalogue galaxy has now limits the one that it may get.
            exact=source.from_galaxy_catalog,
        )
        fitted = fit_model(self.images, windows, start_model(source), source, settings)
        entry.source = fitted.to_source(source)

    def _masks_at(self, entry):
        """What the reference masks at a source's position mean for its fit."""
        h, w = self.refmap.shape
        x, y = self._pixel(entry.source)
        bits = int(self.refmap[int(min(max(0, y), h - 1)), int(min(max(0, x), w - 1))])
        psf_bits = REFMAP["BRIGHT"] | REFMAP["CLUSTER"] | REFMAP["MCLOUDS"]
        if self.options.galaxy_forces_psf:
            psf_bits |= REFMAP["GALAXY"]
        sky_bits = REFMAP["BRIGHT"] | REFMAP["GALAXY"]
        if not self.options.less_masking:
            sky_bits |= REFMAP["MEDIUM"]
        entry.result.forced_pointsource = bool(bits & psf_bits) and not entry.source.from_galaxy_catalog
        entry.result.fit_background = bool(bits & sky_bits)

    def _detection_maps(self, data):
        """Detection maps of flat images on the blob's grid."""
        images = [_MapImage(c, self.images.view(data, i)) for i, c in enumerate(self.images.cutouts)]
        return detection_maps(images, self.wcs, self.context.bands, pixels=self.images.target_pixels())

    def _segment(self, entries):
        """Segmentation map: which source each pixel of the blob belongs to."""
        present = [i for i, e in enumerate(entries) if not e.removed]
        pixels = [self._clipped(*self._pixel(entries[i].source)) for i in present]
        radius = [
            FORCED_PSF_RADIUS
            if entries[i].source.forced_pointsource or entries[i].result.forced_pointsource
            else np.inf
            for i in present
        ]
        cluster = (self.refmap & REFMAP["CLUSTER"]) != 0
        if len(present) > 1:
            signal = self._detection_maps(self.images.data).max_signal_to_noise()
        else:
            # A source alone floods all that it can reach, in whatever order.
            signal = np.zeros(self.mask.shape, np.float32)
        return segmentation_map(
            signal,
            self.mask,
            [p[0] for p in pixels],
            [p[1] for p in pixels],
            [entries[i].brightness(reference_first=False) for i in present],
            source=present,
            max_radius=radius,
            cluster=cluster if cluster.any() else None,
        )

    def _select_models(self, entries, segments):
        """Model selection of every source, the brightest first; leaves the residual images."""
        order = self._by_brightness(entries)
        for e in order:
            e.patches = self.images.render(e.source)
            self.images.add(e.patches, -1.0)
        for e in order:
            if e.source.frozen and not (e.source.sga_fit and e.source.kind.is_point):
                continue
            self.images.add(e.patches, 1.0)
            began = time.process_time()
            self.select(e, segments)
            e.result.cpu += time.process_time() - began
            e.patches = None if e.removed else self.images.render(e.source)
            if e.patches is not None:
                if self.options.check and not kept_as_is(e) and bound_flux(self.images, e):
                    e.patches = self.images.render(e.source)
                self.images.add(e.patches, -1.0)

    def select(self, entry, segments, boxes=None):
        """Choose the type of an entry, which is not subtracted.

        It is fitted on its segment (`segments` None: on all pixels) of its model's patches, or of other `boxes`.
        """
        source, result = entry.source, entry.result
        choice = choose_model(
            self.images, source, entry.patches.rectangles if boxes is None else boxes, segments, self.pixscale,
            forced_pointsource=result.forced_pointsource, background=result.fit_background,
            marginal_ivars=self.options.marginal_ivars, reference_rule=self.options.reference_rule,
        )  # fmt: skip
        result.models, result.dchisq = choice.models, choice.dchisq
        if self.options.check and not np.all(np.isfinite(choice.dchisq)):
            result.dchisq = np.where(np.isfinite(choice.dchisq), choice.dchisq, 0.0)
            result.fit_flags |= FIT_FLAGS["NOT_FINITE"]
        result.symm_width, result.symm_height = choice.width, choice.height
        result.symm_npix, result.symm_nimages = choice.npix, choice.nimages
        if choice.winner is not None:
            entry.source = choice.winner.to_source(source)
            result.hit_limit = choice.winner.hit_limit
            result.hit_r_limit = choice.winner.hit_r_limit
            result.hit_ser_limit = choice.winner.hit_ser_limit
        elif source.reference_star:
            entry.source = source.copy(flux=entry.initial_flux)
            result.force_keep = True
        else:
            entry.removed = True

    # --- sources in the residuals

    def detect_in_residuals(self, entries, least_fraction):
        """Detect sources in the residuals and fit them; returns the entries of the new ones.

        They must exceed `least_fraction` of the models' own signal to noise.
        """
        options = self.options
        maps = self._detection_maps(self.images.data)
        model = self.frozen_model.copy()
        for e in entries:
            if not e.removed:
                self.images.add(e.patches, 1.0, model)
        omit = [self._clipped(e.result.x0 - self.task.box[0], e.result.y0 - self.task.box[1]) for e in entries]
        veto = self.refmap != 0
        found = detect_sources(
            maps,
            sed_list(self.context.bands),
            omit,
            veto=veto,
            nsigma=options.iterative_nsigma,
            saddle_fraction=options.saddle_fraction,
            saddle_min=options.saddle_min,
        )
        new = []
        if len(found):
            model_sn = self._detection_maps(model).max_signal_to_noise()
            residual_sn = maps.max_signal_to_noise()
            for x, y in zip(found.x, found.y):
                if residual_sn[y, x] > least_fraction * max(model_sn[y, x], 1.0):
                    new.append(self._new_entry(int(x), int(y), maps))
        if new:
            logger.debug("blob %s: %d sources in the residuals", self.task.name, len(new))
            self._fit(new)
        return [e for e in new if not e.removed]

    def _new_entry(self, x, y, maps):
        ra, dec = self.wcs.pixel_to_sky(x, y)
        flux = maps.detmap[:, y, x].astype(np.float64)
        source = Source("PSF", ra, dec, flux, needs_initial_flux=bool(maps.saturated[:, y, x].any()))
        entry = self._entry(-1, source)
        entry.result.x0, entry.result.y0 = x + self.task.box[0], y + self.task.box[1]
        return entry

    # --- measurements

    def _finish(self, entries):
        """Final uncertainties and quality measures; sources without any information are dropped."""
        results = []
        for e in entries:
            e.result.source = e.source
            results.append(e.result)
        patches = None
        if self.options.reoptimize:
            # What the joint fit found is not where the sources are now.
            for r in results:
                r.joint_ivar = None
        else:
            patches = [e.patches for e in entries]
        measure(self.images, results, self.options.marginal_ivars, patches)
        kept = [
            r
            for r in results
            # A star whose flux had to be bounded to nothing is still one of the catalogue's.
            if r.force_keep or r.ivar.any() or (self.options.check and r.source.reference_star)
        ]
        for r in kept:
            if np.any(r.rchisq > BAD_RCHISQ):
                r.fit_flags |= FIT_FLAGS["BAD_RESIDUALS"]
            ix, iy = self._clipped(*self._pixel(r.source))
            r.finished_in_blob = bool(self.mask[iy, ix])
        return kept


class _MapImage:
    """What detection maps need of an image: a cut-out with other pixel values."""

    def __init__(self, cutout, image):
        self.image, self.inverr, self.dq = image, cutout.inverr, cutout.dq
        self.wcs, self.band, self.sig1, self.psf_sigma = cutout.wcs, cutout.band, cutout.sig1, cutout.psf_sigma
