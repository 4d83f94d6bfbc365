import numpy as np
import pytest

from legacypipe_lite.survey.polygons import clip_polygon, polygons_overlap

SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]


def moved(polygon, dx, dy):
    return [(x + dx, y + dy) for x, y in polygon]


@pytest.mark.parametrize(
    "other, expected",
    [
        (moved(SQUARE, 5, 5), True),
        (moved(SQUARE, 20, 0), False),
        (moved(SQUARE, 10, 0), True),  # a common edge
        (moved(SQUARE, 10, 10), True),  # a common corner
        ([(2, 2), (3, 2), (3, 3)], True),  # inside
        ([(-5, -5), (50, -5), (50, 50), (-5, 50)], True),  # around
        ([(4, -5), (6, -5), (6, 15), (4, 15)], True),  # a cross: no vertex inside the other
        ([(-6, 5), (5, -6), (-6, -6)], False),  # boxes overlap, polygons do not
        ([(12, 0), (20, 0), (20, -5)], False),  # on the same line as an edge
    ],
)
def test_overlap(other, expected):
    assert polygons_overlap(SQUARE, other) is expected
    assert polygons_overlap(other, SQUARE) is expected
    assert polygons_overlap(SQUARE[::-1], other) is expected


def area(polygon):
    x, y = np.asarray(polygon).T
    return 0.5 * abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


@pytest.mark.parametrize("reverse", [1, -1])
def test_clip(reverse):
    part = clip_polygon(SQUARE, moved(SQUARE, 4, 7)[::reverse])
    assert area(part) == pytest.approx(18)
    assert part.min(axis=0).tolist() == [4, 7] and part.max(axis=0).tolist() == [10, 10]


def test_clip_by_a_rotated_square():
    diamond = [(5, -2), (12, 5), (5, 12), (-2, 5)]
    assert area(clip_polygon(SQUARE, diamond)) == pytest.approx(100 - 4 * 0.5 * 3 * 3)


def test_clip_to_nothing_and_to_all():
    assert clip_polygon(SQUARE, moved(SQUARE, 30, 0)).shape == (0, 2)
    assert area(clip_polygon(SQUARE, [(-1, -1), (11, -1), (11, 11), (-1, 11)])) == pytest.approx(100)
