"""Plain NumPy and SciPy twins of `peaks_kernels`."""

import numpy as np
from morphology_twins import dilate, fill_holes, label, max5
from scipy import ndimage


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
