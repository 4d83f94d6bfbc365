"""Plain NumPy and SciPy twins of `blobs_kernels`."""

import numpy as np


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
