"""Plain NumPy and SciPy twins of `segmentation_kernels`."""

import heapq

import numpy as np


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
