"""Polygons in the plane: do two overlap, and the part of one inside another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["polygons_overlap", "clip_polygon"]


def polygons_overlap(first: ArrayLike, second: ArrayLike) -> bool:
    """True if two simple polygons have a point in common.

    Parameters
    ----------
    first, second : array_like, shape (n, 2)
        Vertices in order, not closed.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    return bool(
        np.any(_points_inside(first, second))
        or np.any(_points_inside(second, first))
        or np.any(_edges_cross(first, second))
    )


def _points_inside(points: NDArray[np.float64], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Even-odd rule, for each point."""
    x, y = points[:, 0, np.newaxis], points[:, 1, np.newaxis]
    x1, y1 = polygon.T
    x2, y2 = np.roll(polygon, -1, axis=0).T
    straddles = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
    return np.sum(straddles & (x < crossing), axis=1) % 2 == 1


def _edges_cross(first: Any, second: Any) -> Any:
    """For each pair of edges whether they meet, end points included."""
    a, b = first[:, np.newaxis, :], np.roll(first, -1, axis=0)[:, np.newaxis, :]
    c, d = second[np.newaxis, :, :], np.roll(second, -1, axis=0)[np.newaxis, :, :]

    def side(p: Any, q: Any, r: Any) -> Any:
        return np.sign(
            (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])
        )

    apart = np.zeros(np.broadcast_shapes(a.shape, c.shape)[:2], bool)
    for k in range(2):  # edges on one line meet only if their boxes do
        apart |= np.maximum(a[..., k], b[..., k]) < np.minimum(c[..., k], d[..., k])
        apart |= np.maximum(c[..., k], d[..., k]) < np.minimum(a[..., k], b[..., k])
    return (side(a, b, c) * side(a, b, d) <= 0) & (side(c, d, a) * side(c, d, b) <= 0) & ~apart


def clip_polygon(subject: NDArray[Any] | Sequence[Sequence[float]], clip: ArrayLike) -> NDArray[Any]:
    """The part of a polygon inside a convex one (Sutherland and Hodgman 1974).

    Parameters
    ----------
    subject : array_like, shape (n, 2)
    clip : array_like, shape (m, 2)
        Convex, in either orientation.

    Returns
    -------
    numpy.ndarray, shape (k, 2)
        k = 0 if nothing is left.
    """
    clip = np.asarray(clip, float)
    x, y = clip.T
    area = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
    if area < 0:
        clip = clip[::-1]
    points = [np.asarray(p, float) for p in subject]
    for a, b in zip(clip, np.roll(clip, -1, axis=0)):
        points = _clip_half_plane(points, a, b)
    return np.array(points).reshape(-1, 2)


def _clip_half_plane(
    points: list[NDArray[np.float64]], a: NDArray[np.float64], b: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Vertices of a polygon left of the line from a to b."""

    def distance(p: NDArray[np.float64]) -> float:
        return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])

    kept = []
    for p, q in zip(points, points[1:] + points[:1]):
        dp, dq = distance(p), distance(q)
        if dp >= 0:
            kept.append(p)
        if (dp >= 0) != (dq >= 0):
            kept.append(p + (q - p) * (dp / (dp - dq)))
    return kept
