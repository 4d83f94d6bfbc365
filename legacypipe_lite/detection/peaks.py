"""Source detection: peaks of SED-matched signal-to-noise maps, and the pixels that belong to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import dilate
from . import peaks_kernels as kernels
from .detmaps import DetectionMaps
from .morphology_kernels import fill_holes, label, label_boxes, max5
from .sed import Sed

__all__ = ["Detections", "SedCounts", "detect_sources", "hot_pixels"]

#: No peaks are accepted closer than this to known and to found sources [pixel].
_OMIT_RADIUS = 4.0


class SedCounts(NamedTuple):
    """What became of the candidates of one SED."""

    candidates: int
    veto: int
    saddle: int
    aperture: int
    kept: int


@dataclass
class Detections:
    """Detected sources: by SED in the order of the list, within an SED by decreasing signal to noise.

    Attributes
    ----------
    x, y : numpy.ndarray of int64
        Pixel of the peak.
    sed : list of str
        SED that found it.
    peaksn : numpy.ndarray of float32
        Signal to noise at the peak.
    apsn : numpy.ndarray of float32
        16th percentile of the signal to noise at 10 to 20 pixels around it.
    hot : numpy.ndarray of bool, shape (H, W)
        Pixels near ones above the threshold in some SED, in patches that hold a detected or omitted position.
    counts : dict of str to SedCounts
        By SED name; without SEDs that have no data.
    """

    x: np.ndarray
    y: np.ndarray
    sed: list
    peaksn: np.ndarray
    apsn: np.ndarray
    hot: np.ndarray
    counts: dict

    def __len__(self) -> int:
        return len(self.x)


class _Rules(NamedTuple):
    nsigma: float
    saddle_fraction: float
    saddle_min: float
    blob_dilate: int

    def check(self):
        if not self.nsigma > 0:
            raise ValueError(f"nsigma must be positive, got {self.nsigma}")
        if not 0 <= self.saddle_fraction <= 1:
            raise ValueError(f"saddle_fraction must be between 0 and 1, got {self.saddle_fraction}")
        if not self.saddle_min >= 0:
            raise ValueError(f"saddle_min must not be negative, got {self.saddle_min}")
        if self.blob_dilate < 0:
            raise ValueError(f"blob_dilate must not be negative, got {self.blob_dilate}")


class _Sources:
    """Known positions while the SEDs are run: omitted ones, and those detected so far."""

    def __init__(self, omit_xy, veto, shape):
        omit = np.asarray(omit_xy, dtype=np.int64).reshape(-1, 2)
        self.x, self.y = omit[:, 0].copy(), omit[:, 1].copy()
        self.veto = np.zeros(shape, bool) if veto is None else np.array(veto, dtype=bool, order="C")
        self.here = np.zeros(shape, bool)
        inside = (self.x >= 0) & (self.x < shape[1]) & (self.y >= 0) & (self.y < shape[0])
        self.here[self.y[inside], self.x[inside]] = True
        kernels.paint_discs(self.veto, self.x, self.y, _OMIT_RADIUS)

    def add(self, x, y):
        """Append detected positions (already marked in `here`)."""
        self.x, self.y = np.concatenate([self.x, x]), np.concatenate([self.y, y])
        kernels.paint_discs(self.veto, x, y, _OMIT_RADIUS)


def detect_sources(
    maps: DetectionMaps,
    seds: Sequence[Sed],
    omit_xy: ArrayLike = (),
    veto: NDArray[np.bool_] | None = None,
    *,
    nsigma: float,
    saddle_fraction: float,
    saddle_min: float,
    blob_dilate: int = 8,
) -> Detections:
    """Find sources in detection maps.

    For each SED in turn, the local maxima of its signal-to-noise map above `nsigma` are visited by decreasing
    height. One is kept unless it lies where none are wanted, or is connected to a brighter or known source
    by pixels higher than its own peak minus ``max(saddle_min, saddle_fraction * peak)``, or does not stand out of its
    surroundings by `nsigma`. Saturated pixels are infinitely high bridges. A later SED adds only sources that no
    earlier one found.

    Parameters
    ----------
    maps : DetectionMaps
    seds : sequence of Sed
        Weights in the order of ``maps.bands``.
    omit_xy : array_like of int, shape (n, 2)
        Pixels (x, y) of known sources, also off the map.
    veto : numpy.ndarray of bool, shape (H, W), optional
        No peaks are accepted here.
    nsigma, saddle_fraction, saddle_min : float
    blob_dilate : int
        Hot pixels reach this far (city-block distance) around pixels above `nsigma`.

    Returns
    -------
    Detections

    Raises
    ------
    ValueError
        If a threshold is out of range.
    """
    rules = _Rules(float(nsigma), float(saddle_fraction), float(saddle_min), int(blob_dilate))
    rules.check()
    shape = maps.shape
    sources = _Sources(omit_xy, veto, shape)
    hot = np.zeros(shape, bool)
    found, names, counts = [], [], {}
    sn, covered = np.empty(shape, np.float32), np.empty(shape, bool)
    for sed in _with_data(seds, maps):
        kernels.signal_to_noise(maps.detmap, maps.detiv, sed.as_array(), sn, covered)
        peaks, counts[sed.name] = _one_sed(sn, covered, _saturated(maps, sed), sources, rules, hot)
        sources.add(peaks[0], peaks[1])
        found.append(peaks)
        names += [sed.name] * len(peaks[0])
    x, y, peaksn, apsn = (np.concatenate(column) for column in zip(_no_peaks(), *found))
    return Detections(x, y, names, peaksn, apsn, hot, counts)


def hot_pixels(
    maps: DetectionMaps, seds: Sequence[Sed], nsigma: float = 6.0, blob_dilate: int = 8
) -> NDArray[np.bool_]:
    """Pixels near ones above the threshold in some SED, holes filled, without any search for sources.

    Parameters
    ----------
    maps : DetectionMaps
    seds : sequence of Sed
    nsigma : float
    blob_dilate : int

    Returns
    -------
    numpy.ndarray of bool, shape (H, W)
    """
    _Rules(float(nsigma), 0.0, 0.0, int(blob_dilate)).check()
    hot = np.zeros(maps.shape, bool)
    sn, covered = np.empty(maps.shape, np.float32), np.empty(maps.shape, bool)
    for sed in _with_data(seds, maps):
        kernels.signal_to_noise(maps.detmap, maps.detiv, sed.as_array(), sn, covered)
        hot |= fill_holes(dilate(sn > np.float32(nsigma), blob_dilate))
    return hot


def _with_data(seds, maps):
    """The SEDs that use at least one band with data."""
    has_data = maps.detiv.any(axis=(1, 2))
    return [sed for sed in seds if np.any(has_data & (sed.as_array() != 0))]


def _saturated(maps, sed):
    """Grown saturation maps of the bands that the SED uses and that have any saturated pixel; (n, H, W)."""
    used = [i for i, weight in enumerate(sed.weights) if weight != 0 and maps.saturated[i].any()]
    return maps.saturated[used]


def _no_peaks():
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32)


def _one_sed(sn, covered, saturated, sources, rules, hot):
    """Peaks (x, y, peaksn, apsn) of one SED and their counts; adds to `hot` and to ``sources.here``."""
    threshold = np.float32(rules.nsigma)
    above = sn > threshold
    if not above.any():
        return _no_peaks(), SedCounts(0, 0, 0, 0, 0)
    ys, xs = kernels.find_candidates(sn, threshold)
    order = np.argsort(-sn[ys, xs], kind="stable")
    ys, xs = ys[order], xs[order]

    dm, grown = np.empty_like(sn), np.empty(sn.shape, bool)
    max5(sn, dm)
    kernels.bridged_map(dm, saturated, np.float32(rules.nsigma - rules.saddle_min), grown)
    areas, n_areas = label(_joined(dilate(grown, 1), saturated))
    maps = kernels.SearchMaps(
        sn, covered, dm, areas, label_boxes(areas, n_areas), veto=sources.veto.copy(), source_here=sources.here
    )
    candidates = kernels.Candidates(ys, xs, keep=np.zeros(len(xs), bool), local=np.zeros(len(xs)))
    thresholds = kernels.Thresholds(rules.nsigma, rules.saddle_min, rules.saddle_fraction)
    tally = np.zeros(4, np.int64)
    kernels.select_peaks(maps, candidates, thresholds, tally)
    keep = candidates.keep
    ys, xs = ys[keep], xs[keep]
    labels, count = label(fill_holes(dilate(above, rules.blob_dilate)))
    kernels.mark_owned(labels, count, np.concatenate([sources.x, xs]), np.concatenate([sources.y, ys]), hot)
    peaks = xs, ys, sn[ys, xs], candidates.local[keep].astype(np.float32)
    return peaks, SedCounts(len(keep), *(int(n) for n in tally))


def _joined(mask, others):
    """OR of a mask and a stack of masks (in place)."""
    for other in others:
        mask |= other
    return mask
