"""Blends put right: joint fits of overlapping sources, then types and detections once more on what these leave.

The first pass over a blob fits one source at a time on its own segment. It decides well what is there, but not who owns
the light between two sources. From there:

1. Sources whose models overlap are fitted together, group by group (`groups`, `joint`).
2. Those whose flux changed choose their type again, now on all pixels, with their neighbours rightly subtracted.
3. What the neighbours' light had hidden is detected in the residuals, with a lower bar than in the first detection.
4. Groups in which anything changed are fitted again; so are 2 and 3, once.
"""

import logging

import numpy as np

from ..bits import FIT_FLAGS
from ..models.sources import TYPES
from .groups import coupled_groups, couplings, joint_windows, selection_boxes
from .joint import fit_group

__all__ = ["refine"]

logger = logging.getLogger(__name__)

#: Rounds of types and detections after the first joint fits.
ROUNDS = 2
#: Members whose flux moved by more of its uncertainty than this choose their type again.
MOVED = 0.5
#: A type stays if it leads by this much in chi-squared, and by this many times what the flux's change can undo.
SAFE_LEAD, SAFE_CHANGE = 50.0, 4.0
#: Galaxies are wide from this r_e on [arcsec].
WIDE = 3.0
#: Joint fits end where the next step would gain less than this per member in ln P: in those that others follow, and in
#: the last ones.
FIRST_GAIN, LAST_GAIN = 0.05, 0.01
#: Residual detections must exceed this fraction of the models' signal to noise (less than in the first detection: joint
#: fits leave less of the sources).
MIN_RESIDUAL_SN = 0.05


def refine(blob, entries):
    """Fit blended sources together and find those that were hidden.

    Parameters
    ----------
    blob : Blob
        Its images hold the residuals: all entries that are not removed are subtracted, as their `patches`.
    entries : list of Entry
        Changed in place.

    Returns
    -------
    list of Entry
        All entries: those given, and new ones.
    """
    return _Refinement(blob, entries).run()


def _is_safe(entry, change):
    """True if the type of a source cannot change because its flux did, by `change` sigmas.

    A wide elliptic galaxy must only stay one: to choose its profile again costs more than all of its neighbours
    together, and the joint fit finds the Sersic index anyway.
    """
    gains = dict(zip(TYPES, entry.result.dchisq))
    best = gains.pop(entry.source.type)
    if entry.source.shape_r > WIDE and entry.source.type in ("DEV", "EXP", "SER"):
        gains = {t: gains[t] for t in ("PSF", "REX")}
    return bool(best - max(gains.values()) > SAFE_LEAD + SAFE_CHANGE * change * change)


class _Refinement:
    def __init__(self, blob, entries):
        self.blob, self.images, self.entries = blob, blob.images, list(entries)
        # Entries since whose last joint fit nothing happened.
        self.settled = set()
        bands = blob.context.bands
        self.reference_band = bands.index("r") if "r" in bands else 0

    def run(self):
        moved = self._fit_groups(FIRST_GAIN)
        for left in reversed(range(ROUNDS)):
            if not moved:
                break
            for entry, change in sorted(moved, key=lambda m: -m[0].brightness()):
                if not _is_safe(entry, change):
                    self._select_again(entry)
            if self.blob.options.iterative:
                self.entries += self.blob.detect_in_residuals(self.entries, MIN_RESIDUAL_SN)
            moved = self._fit_groups(FIRST_GAIN if left else LAST_GAIN)
        return self.entries

    def _members(self):
        """Entries that take part: those that are fitted, and on pixels without a fitted sky."""
        return [
            e
            for e in self.entries
            if not (e.removed or e.source.frozen or e.result.force_keep or e.result.fit_background)
        ]

    def _fit_groups(self, gain):
        """Fit all groups in which something changed; returns the entries that moved, and by how many sigmas."""
        members = self._members()
        if len(members) < 2:
            return []
        windows = [joint_windows(self.images, e.source) for e in members]
        pairs = couplings(self.images, [e.patches for e in members], windows)
        moved = []
        for group in coupled_groups(pairs, len(members)):
            chosen = [members[k] for k in group]
            if all(id(e) in self.settled for e in chosen):
                continue
            place = {k: i for i, k in enumerate(group)}
            own = [(place[p.first], place[p.second]) for p in pairs if p.first in place and p.second in place]
            moved += self._fit_group(chosen, [windows[k] for k in group], own, gain)
        return moved

    def _fit_group(self, group, windows, pairs, gain):
        fit = fit_group(self.images, [e.source for e in group], windows, pairs, self.blob.is_inside, gain)
        logger.debug(
            "blob %s: %d sources together: chi-squared %.1f -> %.1f in %d evaluations",
            self.blob.task.name, len(group), fit.chi2_before, fit.chi2, fit.evaluations,
        )  # fmt: skip
        for k, (entry, source) in enumerate(zip(group, fit.sources)):
            self._replace(entry, source)
            self.settled.add(id(entry))
            entry.result.joint_ivar = fit.ivars[k]
            entry.result.fit_flags |= FIT_FLAGS["JOINT"] | (FIT_FLAGS["PUT_BACK"] if fit.put_back[k] else 0)
            self._set_correlation(entry.result, fit, k, group)
        # One that ran away is not what it was taken for.
        changes = np.where(fit.put_back, np.inf, fit.changed)
        return [(e, change) for e, change in zip(group, changes) if change > MOVED]

    def _set_correlation(self, result, fit, k, group):
        """The neighbour whose flux is most correlated with that of member `k`, and by how much."""
        band = self.reference_band
        if not fit.ivars[k].flux[band] > 0:
            band = int(np.argmax(fit.ivars[k].flux))
        row = fit.correlations[band, k].copy()
        row[k] = 0.0
        most = int(np.argmax(np.abs(row)))
        result.correlation = float(row[most])
        result.neighbor = group[most].result.number if row[most] else -1

    def _replace(self, entry, source):
        """Give an entry another source, and its images' residuals what follows from it."""
        self.images.add(entry.patches, 1.0)
        entry.source = source
        entry.patches = self.images.render(source)
        self.images.add(entry.patches, -1.0)

    def _select_again(self, entry):
        """Choose the type of a source on all pixels of its model."""
        self.images.add(entry.patches, 1.0)
        before = entry.source
        self.blob.select(entry, None, selection_boxes(self.images, entry.source))
        if entry.result.force_keep:
            entry.source, entry.result.force_keep = before, False
        if entry.removed:
            entry.patches = None
        else:
            entry.patches = self.images.render(entry.source)
            self.images.add(entry.patches, -1.0)
        self.settled.discard(id(entry))
        entry.result.fit_flags |= FIT_FLAGS["RESELECTED"]
        entry.result.joint_ivar = None
