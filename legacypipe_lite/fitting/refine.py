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

from .groups import coupled_groups, couplings, joint_windows
from .joint import fit_group

__all__ = ["refine"]

logger = logging.getLogger(__name__)

#: Rounds of types and detections after the first joint fits.
ROUNDS = 2
#: Members whose flux moved by more of its uncertainty than this choose their type again.
MOVED = 0.5
#: Residual detections must exceed this fraction of the models' signal to noise: after a joint fit, less is left of them.
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


class _Refinement:
    def __init__(self, blob, entries):
        self.blob, self.images, self.entries = blob, blob.images, list(entries)
        # Entries since whose last joint fit nothing happened.
        self.settled = set()

    def run(self):
        moved = self._fit_groups()
        for _ in range(ROUNDS):
            if not moved:
                break
            for entry in self._by_brightness(moved):
                self._select_again(entry)
            if self.blob.options.iterative:
                self.entries += self.blob.detect_in_residuals(self.entries, MIN_RESIDUAL_SN)
            moved = self._fit_groups()
        return self.entries

    def _members(self):
        """Entries that take part: those that are fitted, and on pixels without a fitted sky."""
        return [
            e
            for e in self.entries
            if not (e.removed or e.source.frozen or e.result.force_keep or e.result.fit_background)
        ]

    @staticmethod
    def _by_brightness(entries):
        return sorted(entries, key=lambda e: -e.brightness())

    def _fit_groups(self):
        """Fit all groups in which something changed; returns the entries that moved."""
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
            moved += self._fit_group(chosen, [windows[k] for k in group], own)
        return moved

    def _fit_group(self, group, windows, pairs):
        fit = fit_group(self.images, [e.source for e in group], windows, pairs, self.blob.is_inside)
        logger.debug(
            "blob %s: %d sources together: chi-squared %.1f -> %.1f in %d evaluations",
            self.blob.task.name, len(group), fit.chi2_before, fit.chi2, fit.evaluations,
        )  # fmt: skip
        for entry, source in zip(group, fit.sources):
            self._replace(entry, source)
            self.settled.add(id(entry))
        return [e for e, change, back in zip(group, fit.changed, fit.put_back) if change > MOVED or back]

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
        self.blob.select(entry, None)
        if entry.result.force_keep:
            entry.source, entry.result.force_keep = before, False
        if entry.removed:
            entry.patches = None
        else:
            entry.patches = self.images.render(entry.source)
            self.images.add(entry.patches, -1.0)
        self.settled.discard(id(entry))
