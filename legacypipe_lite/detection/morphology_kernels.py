"""Kernels: binary morphology with 4-connected pixels, linear in the number of pixels.

All masks are C-contiguous boolean arrays (height, width); outside the array everything is False. Components are
found by joining the horizontal runs of touching rows (union-find), so that their cost hardly depends on shape.
"""

import numpy as np
from numba import njit

__all__ = ["find_runs", "join_runs", "label", "label_boxes", "fill_holes", "max5"]


@njit(cache=True)
def max5(image, out):
    """Maximum over each pixel and its four neighbours (at the edges, the existing ones)."""
    h, w = image.shape
    for y in range(h):
        for x in range(w):
            m = image[y, x]
            if y > 0:
                m = max(m, image[y - 1, x])
            if y < h - 1:
                m = max(m, image[y + 1, x])
            if x > 0:
                m = max(m, image[y, x - 1])
            if x < w - 1:
                m = max(m, image[y, x + 1])
            out[y, x] = m


@njit(cache=True)
def find_runs(mask, value):
    """Horizontal runs of pixels that equal `value`.

    Returns
    -------
    row_first : int64 (height + 1,)
        Runs of row y are row_first[y] ... row_first[y + 1] - 1.
    start, stop : int32 (number of runs,)
        Half-open range of x.
    """
    h, w = mask.shape
    row_first = np.zeros(h + 1, np.int64)
    for y in range(h):
        n = 0
        before = not value
        for x in range(w):
            here = mask[y, x]
            if here == value and before != value:
                n += 1
            before = here
        row_first[y + 1] = row_first[y] + n
    start = np.empty(row_first[h], np.int32)
    stop = np.empty(row_first[h], np.int32)
    for y in range(h):
        k = row_first[y]
        before = not value
        for x in range(w):
            here = mask[y, x]
            if here == value and before != value:
                start[k] = x
            elif here != value and before == value:
                stop[k] = x
                k += 1
            before = here
        if before == value:
            stop[k] = w
    return row_first, start, stop


@njit(cache=True)
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True)
def join_runs(row_first, start, stop):
    """Number the components that the runs form (4-connected).

    Returns
    -------
    component : int32 (number of runs,)
        1, 2, ... in the raster order of each component's first pixel.
    count : int
    """
    parent = np.arange(start.size)
    for y in range(1, row_first.size - 1):
        a, a_end = row_first[y - 1], row_first[y]
        b, b_end = row_first[y], row_first[y + 1]
        while a < a_end and b < b_end:
            if start[a] < stop[b] and start[b] < stop[a]:
                ra, rb = _root(parent, a), _root(parent, b)
                if ra < rb:
                    parent[rb] = ra
                elif rb < ra:
                    parent[ra] = rb
            if stop[a] <= stop[b]:
                a += 1
            else:
                b += 1
    component = np.empty(start.size, np.int32)
    count = 0
    for i in range(start.size):
        # The root is the smallest, hence first, run of its component.
        root = _root(parent, i)
        if root == i:
            count += 1
            component[i] = count
        else:
            component[i] = component[root]
    return component, count


@njit(cache=True)
def label(mask):
    """4-connected components, numbered 1, 2, ... in raster order of their first pixels.

    Returns
    -------
    labels : int32 (height, width)
        0 = background.
    count : int
    """
    row_first, start, stop = find_runs(mask, True)
    component, count = join_runs(row_first, start, stop)
    labels = np.zeros(mask.shape, np.int32)
    for y in range(mask.shape[0]):
        for k in range(row_first[y], row_first[y + 1]):
            labels[y, start[k] : stop[k]] = component[k]
    return labels, count


@njit(cache=True)
def label_boxes(labels, count):
    """Half-open bounding boxes (y0, y1, x0, x1) of the labels 1 ... count; int64 (count + 1, 4), row 0 unused."""
    h, w = labels.shape
    boxes = np.empty((count + 1, 4), np.int64)
    boxes[:, 0] = h
    boxes[:, 1] = 0
    boxes[:, 2] = w
    boxes[:, 3] = 0
    for y in range(h):
        x = 0
        while x < w:
            k = labels[y, x]
            if k == 0:
                x += 1
                continue
            first = x
            while x < w and labels[y, x] == k:
                x += 1
            boxes[k, 0] = min(boxes[k, 0], y)
            boxes[k, 1] = y + 1
            boxes[k, 2] = min(boxes[k, 2], first)
            boxes[k, 3] = max(boxes[k, 3], x)
    return boxes


@njit(cache=True)
def fill_holes(mask):
    """`mask` and every False region that does not touch the edge of the array (a new array)."""
    h, w = mask.shape
    row_first, start, stop = find_runs(mask, False)
    component, count = join_runs(row_first, start, stop)
    open_ = np.zeros(count + 1, np.bool_)
    for y in range(h):
        for k in range(row_first[y], row_first[y + 1]):
            if y == 0 or y == h - 1 or start[k] == 0 or stop[k] == w:
                open_[component[k]] = True
    out = mask.copy()
    for y in range(h):
        for k in range(row_first[y], row_first[y + 1]):
            if not open_[component[k]]:
                out[y, start[k] : stop[k]] = True
    return out
