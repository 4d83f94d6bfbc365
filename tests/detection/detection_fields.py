"""A made-up detection map with many sources."""

import numpy as np
from scipy import ndimage

from legacypipe_lite.detection import DetectionMaps


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
