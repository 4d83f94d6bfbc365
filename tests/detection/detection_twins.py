"""Plain NumPy/SciPy twins of the detection kernels, and the synthetic field on which they are compared."""

import heapq

import numpy as np
from scipy import ndimage

from legacypipe_lite.detection import DetectionMaps

CROSS = ndimage.generate_binary_structure(2, 1)


def dilate(mask, n):
    return ndimage.binary_dilation(mask, CROSS, iterations=n) if n > 0 else mask.copy()


def label(mask):
    return ndimage.label(mask, CROSS)


def fill_holes(mask):
    return ndimage.binary_fill_holes(mask, CROSS)


def max5(image):
    return ndimage.maximum_filter(image, footprint=CROSS, mode="nearest")


def signal_to_noise(detmap, detiv, weights):
    numerator = np.zeros(detmap.shape[1:], np.float32)
    ivar = np.zeros(detmap.shape[1:], np.float32)
    for flux, iv, s in zip(detmap, detiv, np.asarray(weights, np.float32)):
        if s != 0:
            numerator += flux * iv / s
            ivar += iv / s**2
    return numerator / np.maximum(np.float32(1e-16), ivar) * np.sqrt(ivar), ivar > 0


def candidates(sn, threshold):
    peak = (sn > np.float32(threshold)) & (sn >= ndimage.maximum_filter(sn, size=3))
    peak[[0, -1]] = False
    peak[:, [0, -1]] = False
    return np.nonzero(peak)


def discs(shape, positions, radius):
    yy, xx = np.indices(shape)
    mask = np.zeros(shape, bool)
    for x, y in positions:
        mask |= np.sqrt((xx - x) ** 2 + (yy - y) ** 2) < radius
    return mask


def one_sed(sn, covered, saturated, omit, veto, nsigma, saddle_fraction, saddle_min, blob_dilate):
    """One SED pass: ([(x, y, peaksn, apsn)], counts, hot pixels)."""
    h, w = sn.shape
    yy, xx = np.indices(sn.shape)
    veto = veto | discs(sn.shape, omit, 4)
    dm = max5(sn)
    dm[saturated] = 1e9
    areas, _ = label(dilate(dm > np.float32(nsigma - saddle_min), 1) | saturated)
    boxes = ndimage.find_objects(areas)
    ys, xs = candidates(sn, nsigma)
    order = np.argsort(-sn[ys, xs], kind="stable")
    kept, counts = [], {"candidates": len(ys), "veto": 0, "saddle": 0, "aperture": 0, "kept": 0}
    for y, x in zip(ys[order], xs[order]):
        if veto[y, x]:
            counts["veto"] += 1
            continue
        peak = float(sn[y, x])
        level = np.float32(peak - max(saddle_min, peak * saddle_fraction))
        area = areas[y, x]
        by, bx = boxes[area - 1]
        window = (
            slice(max(by.start, y - 50), min(by.stop, y + 51)),
            slice(max(bx.start, x - 50), min(bx.stop, x + 51)),
        )
        labels, _ = label((dm[window] > level) & (areas[window] == area))
        component = labels == labels[y - window[0].start, x - window[1].start]
        known = np.zeros(sn.shape, bool)
        for ox, oy in [*omit, *((k[0], k[1]) for k in kept)]:
            if 0 <= ox < w and 0 <= oy < h:
                known[oy, ox] = True
        if np.any(known[window] & component):
            counts["saddle"] += 1
            veto[window] |= fill_holes(component)
            continue
        r2 = (xx - x) ** 2 + (yy - y) ** 2
        values = sn[(r2 >= 100) & (r2 <= 400) & covered]
        local = np.percentile(values.astype(float), 16) if len(values) else -1.0
        if peak - local < nsigma:
            counts["aperture"] += 1
            continue
        counts["kept"] += 1
        kept.append((int(x), int(y), peak, local))
        veto[window] |= fill_holes(component)
    hot_labels, _ = label(fill_holes(dilate(sn > np.float32(nsigma), blob_dilate)))
    owners = [*omit, *((k[0], k[1]) for k in kept)]
    owned = {hot_labels[min(max(y, 0), h - 1), min(max(x, 0), w - 1)] for x, y in owners} - {0}
    return kept, counts, np.isin(hot_labels, sorted(owned))


def detect(maps, seds, omit, veto, nsigma=6.0, saddle_fraction=0.1, saddle_min=2.0, blob_dilate=8):
    """All SEDs: (rows (x, y, sed, peaksn, apsn), counts by SED, hot pixels)."""
    omit = list(omit)
    rows, counts = [], {}
    hot = np.zeros(maps.shape, bool)
    for name, weights in seds:
        sn, covered = signal_to_noise(maps.detmap, maps.detiv, weights)
        saturated = np.zeros(maps.shape, bool)
        for mask, weight in zip(maps.satmap, weights):
            if weight != 0:
                saturated |= dilate(mask, 4)
        kept, counts[name], sed_hot = one_sed(
            sn, covered, saturated, omit, veto, nsigma, saddle_fraction, saddle_min, blob_dilate
        )
        hot |= sed_hot
        omit += [(k[0], k[1]) for k in kept]
        rows += [(k[0], k[1], name, k[2], k[3]) for k in kept]
    return rows, counts, hot


def runs(line):
    """Half-open runs of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, line, False].astype(int)))
    return list(zip(edges[::2], edges[1::2]))


def join_columns(hot, saturated):
    out = hot.copy()
    for x in range(hot.shape[1]):
        hot_runs, all_runs = runs(hot[:, x]), runs(hot[:, x] | saturated[:, x])
        if len(all_runs) < len(hot_runs):
            for a, b in all_runs:
                if sum(a <= start < b for start, _ in hot_runs) >= 2:
                    out[a:b, x] = True
    return out


def watershed(sn, mask, xs, ys, source, max_radius):
    h, w = sn.shape
    out = np.full((h, w), -1)
    queued = np.zeros((h, w), bool)
    queue = []
    for i, (x, y) in enumerate(zip(xs, ys)):
        queued[y, x] = True
        queue.append((-float(sn[y, x]), source[i], x, y, i))
    heapq.heapify(queue)
    while queue:
        _, number, x, y, i = heapq.heappop(queue)
        out[y, x] = number
        for nx, ny in ((x, y - 1), (x, y + 1), (x - 1, y), (x + 1, y)):
            if not (0 <= nx < w and 0 <= ny < h) or not mask[ny, nx] or queued[ny, nx]:
                continue
            if (nx - xs[i]) ** 2 + (ny - ys[i]) ** 2 > max_radius[i] ** 2:
                continue
            queued[ny, nx] = True
            heapq.heappush(queue, (-float(sn[ny, nx]), number, nx, ny, i))
    return out


def kingdoms(segmentation, xs, ys, source):
    out = segmentation.copy()
    yy, xx = np.indices(out.shape)
    best = np.full(out.shape, 99)
    for x, y, number in zip(xs, ys, source):
        distance = np.trunc(np.hypot(xx - x, yy - y) + 0.5)
        claim = (distance <= 10) & (distance < best)
        best[claim] = distance[claim]
        out[claim] = number
    return out


def synthetic_field(h=300, w=400, n=200, n_omit=6):
    """Three bands of stars and galaxies with saturated stars, bleed trails, gaps and shallow rows.

    Returns the detection maps, the pixels of the `n_omit` first bright sources, and a veto map. The random stream is
    frozen, so the numbers that follow from the defaults are, too.
    """
    rs = np.random.RandomState(42)
    x, y = rs.uniform(0, w, n), rs.uniform(0, h, n)
    a, c = 10 ** rs.uniform(0.5, 2.7, n), rs.uniform(-1, 1, n)
    yy, xx = np.indices((h, w))
    detmap, detiv = np.empty((3, h, w), np.float32), np.empty((3, h, w), np.float32)
    satmap = np.empty((3, h, w), bool)
    for k in range(3):
        sigma, variance = (1.8, 1.5, 1.3)[k], (16, 9, 4)[k]
        sn = ndimage.gaussian_filter(rs.standard_normal((h, w)), sigma)
        sn /= sn.std()
        peak = a * 10 ** (0.4 * c * (k - 1))
        for i in range(n):
            width = sigma * (1.4 if i % 5 else 3.0)
            sn += peak[i] * np.exp(-((xx - x[i]) ** 2 + (yy - y[i]) ** 2) / (2 * width**2))
        satmap[k] = sn > 350
        for i in np.flatnonzero(peak > 250):
            satmap[k] |= (abs(yy - int(y[i])) <= 25) & (abs(xx - int(x[i])) <= 1)
        detiv[k] = variance
        detiv[k][satmap[k]] = 0
        detiv[k][:, 120:123] = 0
        detiv[k][200:230, 300:340] = 0
        detiv[k][: 15 * (k + 1)] *= 0.25
        detmap[k] = sn / np.sqrt(variance)
        detmap[k][detiv[k] == 0] = 0
    omit = [(round(x[i]), round(y[i])) for i in range(n) if a[i] > 300][:n_omit]
    veto = ((xx - 330) / 45) ** 2 + ((yy - 60) / 25) ** 2 < 1
    return DetectionMaps(["g", "r", "z"], detmap, detiv, satmap), omit, veto
