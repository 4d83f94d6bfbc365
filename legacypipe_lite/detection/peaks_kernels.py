"""Kernels: peaks of a signal-to-noise map that are separated from their neighbours by deep enough saddles."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "SearchMaps",
    "Candidates",
    "Thresholds",
    "signal_to_noise",
    "find_candidates",
    "bridged_map",
    "paint_discs",
    "percentile",
    "select_peaks",
    "mark_owned",
]

#: Connections to other sources are followed within this many pixels of a peak.
WINDOW = 50
#: Value of saturated pixels in the bridged map: an infinitely high bridge.
BRIDGE = np.float32(1e9)
#: Radii of the annulus around a peak whose 16th percentile is its local background.
ANNULUS_INNER, ANNULUS_OUTER = 10, 20
ANNULUS_PERCENT = 16.0

# Verdicts on a candidate, as indices of the counts.
VETO, SADDLE, APERTURE, KEPT = 0, 1, 2, 3


class SearchMaps(NamedTuple):
    """Maps in which `select_peaks` decides on the candidates of one SED.

    Attributes
    ----------
    sn : numpy.ndarray of float32, shape (H, W)
        Signal to noise.
    covered : numpy.ndarray of bool, shape (H, W)
    bridged : numpy.ndarray of float32, shape (H, W)
        From `bridged_map`.
    areas : numpy.ndarray of int32, shape (H, W)
        Components that bound the search, numbered from 1.
    boxes : numpy.ndarray of int64, shape (number of components + 1, 4)
        Their half-open boxes y0, y1, x0, x1.
    veto : numpy.ndarray of bool, shape (H, W)
        No peak is accepted there; grows.
    source_here : numpy.ndarray of bool, shape (H, W)
        Pixels with a known source or an accepted peak; grows.
    """

    sn: NDArray[np.float32]
    covered: NDArray[np.bool_]
    bridged: NDArray[np.float32]
    areas: NDArray[np.int32]
    boxes: NDArray[np.int64]
    veto: NDArray[np.bool_]
    source_here: NDArray[np.bool_]


class Candidates(NamedTuple):
    """Candidates in decreasing order, and the verdicts on them.

    Attributes
    ----------
    y, x : numpy.ndarray of int64, shape (n,)
    keep : numpy.ndarray of bool, shape (n,)
    local : numpy.ndarray of float64, shape (n,)
        16th percentile of the annulus around each kept candidate.
    """

    y: NDArray[np.int64]
    x: NDArray[np.int64]
    keep: NDArray[np.bool_]
    local: NDArray[np.float64]


class Thresholds(NamedTuple):
    """What a peak must reach: its height above its surroundings, and above the saddles to others.

    Attributes
    ----------
    nsigma, saddle_min, saddle_fraction : float
        See `peaks.detect_sources`.
    """

    nsigma: float
    saddle_min: float
    saddle_fraction: float


class _Flood(NamedTuple):
    """Scratch of `_flood` and `_paint_filled`: a window's region, pixels to be visited, the region's half-open box."""

    region: np.ndarray
    stack: np.ndarray
    extent: np.ndarray


@njit(cache=True)
def signal_to_noise(detmap, detiv, weights, sn, covered):
    """Optimal combination of the bands for one SED.

    Parameters
    ----------
    detmap, detiv : float32 (bands, H, W)
    weights : float32 (bands,)
        Flux of the SED in each band; 0 = band not used.
    sn : float32 (H, W)
        Out: signal to noise, 0 where nothing is known.
    covered : bool (H, W)
        Out: True where the combined inverse variance is positive.
    """
    nband, h, w = detmap.shape
    tiny = np.float32(1e-16)
    numerator = np.empty(w, np.float32)
    ivar = np.empty(w, np.float32)
    for y in range(h):
        numerator[:] = 0.0
        ivar[:] = 0.0
        for b in range(nband):
            s = weights[b]
            if s == 0:
                continue
            s2 = s * s
            for x in range(w):
                numerator[x] += detmap[b, y, x] * detiv[b, y, x] / s
                ivar[x] += detiv[b, y, x] / s2
        for x in range(w):
            sn[y, x] = numerator[x] / max(tiny, ivar[x]) * np.sqrt(ivar[x])
            covered[y, x] = ivar[x] > 0


@njit(cache=True, inline="always")
def _is_peak(sn, y, x):
    v = sn[y, x]
    return (
        v >= sn[y - 1, x - 1]
        and v >= sn[y - 1, x]
        and v >= sn[y - 1, x + 1]
        and v >= sn[y, x - 1]
        and v >= sn[y, x + 1]
        and v >= sn[y + 1, x - 1]
        and v >= sn[y + 1, x]
        and v >= sn[y + 1, x + 1]
    )


@njit(cache=True)
def find_candidates(sn, threshold):
    """Pixels above the threshold, off the map's rim, that no neighbour of the eight exceeds; (y, x) in raster order."""
    h, w = sn.shape
    n = 0
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            if sn[y, x] > threshold and _is_peak(sn, y, x):
                n += 1
    ys = np.empty(n, np.int64)
    xs = np.empty(n, np.int64)
    n = 0
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            if sn[y, x] > threshold and _is_peak(sn, y, x):
                ys[n] = y
                xs[n] = x
                n += 1
    return ys, xs


@njit(cache=True)
def bridged_map(sn, saturated, lowest, grown):
    """Turn the 5-pixel maximum of `sn` into the map in which saddles are measured.

    Parameters
    ----------
    sn : float32 (H, W)
        In: maximum over each pixel and its four neighbours. Out: the same, `BRIDGE` where saturated.
    saturated : bool (bands, H, W)
    lowest : float32
    grown : bool (H, W)
        Out: where the result exceeds `lowest`.
    """
    nband, h, w = saturated.shape
    for y in range(h):
        for b in range(nband):
            for x in range(w):
                if saturated[b, y, x]:
                    sn[y, x] = BRIDGE
        for x in range(w):
            grown[y, x] = sn[y, x] > lowest


@njit(cache=True)
def paint_discs(mask, xs, ys, radius):
    """Set the pixels closer than `radius` to the given ones, which may lie off the map."""
    h, w = mask.shape
    reach = int(math.ceil(radius))
    for i in range(xs.size):
        for y in range(max(0, ys[i] - reach), min(h, ys[i] + reach + 1)):
            for x in range(max(0, xs[i] - reach), min(w, xs[i] + reach + 1)):
                if (x - xs[i]) ** 2 + (y - ys[i]) ** 2 < radius * radius:
                    mask[y, x] = True


@njit(cache=True)
def _select(values, n, k):
    """Partially sort values[:n] so that values[k] is the k-th smallest and all before it are no larger."""
    lo, hi = 0, n - 1
    while lo < hi:
        pivot = values[(lo + hi) // 2]
        i, j = lo, hi
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            hi = j
        elif k >= i:
            lo = i
        else:
            break
    return values[k]


@njit(cache=True)
def percentile(values, n, percent):
    """Percentile of values[:n] (n >= 1), linear between order statistics; reorders `values`."""
    position = percent / 100.0 * (n - 1)
    k = int(math.floor(position))
    low = _select(values, n, k)
    if k == n - 1:
        return np.float64(low)
    high = values[k + 1]
    for i in range(k + 2, n):
        high = min(high, values[i])
    return low + (position - k) * (np.float64(high) - low)


@njit(cache=True)
def _annulus_percentile(sn, covered, y, x, values):
    """16th percentile of `sn` in the covered part of the annulus around a pixel; -1 if there is none."""
    h, w = sn.shape
    n = 0
    for yy in range(max(0, y - ANNULUS_OUTER), min(h, y + ANNULUS_OUTER + 1)):
        for xx in range(max(0, x - ANNULUS_OUTER), min(w, x + ANNULUS_OUTER + 1)):
            r2 = (xx - x) ** 2 + (yy - y) ** 2
            if ANNULUS_INNER**2 <= r2 <= ANNULUS_OUTER**2 and covered[yy, xx]:
                values[n] = sn[yy, xx]
                n += 1
    if n == 0:
        return -1.0
    return percentile(values, n, ANNULUS_PERCENT)


@njit(cache=True)
def _flood(maps, level, y, x, box, flood):
    """Component of {bridged > level, same area} that holds (y, x), within the half-open `box`.

    Sets the region (origin at the box's corner) to 1 there and `extent` to its bounding box; returns whether the
    component holds a known source. The region must be 0.
    """
    dm, areas, source_here = maps.bridged, maps.areas, maps.source_here
    region, stack, extent = flood
    y0, y1, x0, x1 = box
    area = areas[y, x]
    extent[0], extent[1], extent[2], extent[3] = y, y + 1, x, x + 1
    found = False
    region[y - y0, x - x0] = 1
    stack[0, 0], stack[0, 1] = y, x
    n = 1
    while n > 0:
        n -= 1
        yy, xx = stack[n, 0], stack[n, 1]
        extent[0], extent[1] = min(extent[0], yy), max(extent[1], yy + 1)
        extent[2], extent[3] = min(extent[2], xx), max(extent[3], xx + 1)
        if source_here[yy, xx]:
            found = True
        for k in range(4):
            ny = yy + (k == 0) - (k == 1)
            nx = xx + (k == 2) - (k == 3)
            if (
                y0 <= ny < y1
                and x0 <= nx < x1
                and region[ny - y0, nx - x0] == 0
                and areas[ny, nx] == area
                and dm[ny, nx] > level
            ):
                region[ny - y0, nx - x0] = 1
                stack[n, 0], stack[n, 1] = ny, nx
                n += 1
    return found


@njit(cache=True)
def _paint_filled(flood, y0, x0, mask):
    """Set `mask` in the region and its holes, and clear the region again.

    Holes are what cannot be reached from the rim of the region's bounding box, which is the same as from the
    rim of the whole window.
    """
    region, stack, extent = flood
    top, bottom = extent[0] - y0, extent[1] - y0
    left, right = extent[2] - x0, extent[3] - x0
    n = 0
    for yy in range(top, bottom):
        for xx in range(left, right):
            rim = yy == top or yy == bottom - 1 or xx == left or xx == right - 1
            if rim and region[yy, xx] == 0:
                region[yy, xx] = 2
                stack[n, 0], stack[n, 1] = yy, xx
                n += 1
    while n > 0:
        n -= 1
        yy, xx = stack[n, 0], stack[n, 1]
        for k in range(4):
            ny = yy + (k == 0) - (k == 1)
            nx = xx + (k == 2) - (k == 3)
            if top <= ny < bottom and left <= nx < right and region[ny, nx] == 0:
                region[ny, nx] = 2
                stack[n, 0], stack[n, 1] = ny, nx
                n += 1
    for yy in range(top, bottom):
        for xx in range(left, right):
            if region[yy, xx] != 2:
                mask[y0 + yy, x0 + xx] = True
            region[yy, xx] = 0


@njit(cache=True)
def _clear(region, y0, x0, extent):
    region[extent[0] - y0 : extent[1] - y0, extent[2] - x0 : extent[3] - x0] = 0


@njit(cache=True)
def select_peaks(maps, candidates, thresholds, counts):
    """Decide on every candidate, brightest first.

    Parameters
    ----------
    maps : SearchMaps
        Changed: veto and source_here.
    candidates : Candidates
        Out: keep and local.
    thresholds : Thresholds
    counts : int64 (4,)
        Out: how many fell to the veto map, the saddle test, the aperture test, and were kept.
    """
    sn, dm, areas, boxes, veto = maps.sn, maps.bridged, maps.areas, maps.boxes, maps.veto
    ys, xs, keep = candidates.y, candidates.x, candidates.keep
    size = 2 * WINDOW + 1
    flood = _Flood(np.zeros((size, size), np.uint8), np.empty((size * size, 2), np.int32), np.empty(4, np.int64))
    values = np.empty((2 * ANNULUS_OUTER + 1) ** 2, np.float32)
    for i in range(ys.size):
        y, x = ys[i], xs[i]
        keep[i] = False
        if veto[y, x]:
            counts[VETO] += 1
            continue
        peak = np.float64(sn[y, x])
        level = np.float32(peak - max(thresholds.saddle_min, peak * thresholds.saddle_fraction))
        if not dm[y, x] > level:
            # Only without any drop: nothing separates the peak.
            counts[SADDLE] += 1
            continue
        box = boxes[areas[y, x]]
        y0, y1 = max(box[0], y - WINDOW), min(box[1], y + WINDOW + 1)
        x0, x1 = max(box[2], x - WINDOW), min(box[3], x + WINDOW + 1)
        if _flood(maps, level, y, x, (y0, y1, x0, x1), flood):
            _paint_filled(flood, y0, x0, veto)
            counts[SADDLE] += 1
            continue
        background = _annulus_percentile(sn, maps.covered, y, x, values)
        if peak - background < thresholds.nsigma:
            _clear(flood.region, y0, x0, flood.extent)
            counts[APERTURE] += 1
            continue
        _paint_filled(flood, y0, x0, veto)
        maps.source_here[y, x] = True
        keep[i] = True
        candidates.local[i] = background
        counts[KEPT] += 1


@njit(cache=True)
def mark_owned(labels, count, xs, ys, mask):
    """Set `mask` in the components that hold one of the pixels (clipped to the map)."""
    h, w = labels.shape
    owned = np.zeros(count + 1, np.bool_)
    for i in range(xs.size):
        owned[labels[min(max(ys[i], 0), h - 1), min(max(xs[i], 0), w - 1)]] = True
    owned[0] = False
    for y in range(h):
        for x in range(w):
            if owned[labels[y, x]]:
                mask[y, x] = True
