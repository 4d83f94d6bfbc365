"""Blobs: joining across saturated columns, segmentation, sizes, pieces of large blobs."""

import blobs_twins
import numpy as np
import pytest

from legacypipe_lite.detection import (
    blob_properties,
    merge_hot_saturated,
    segment_blobs,
    sub_blob_sources,
    sub_blobs,
)


def column(*pixels, n=10):
    line = np.zeros((n, 1), bool)
    line[list(pixels), 0] = True
    return line


@pytest.mark.parametrize(
    ("hot", "saturated", "expected"),
    [
        ((1, 2, 5), (3, 4), (1, 2, 3, 4, 5)),
        ((1, 2, 5), (3, 4, 8), (1, 2, 5)),  # an isolated saturated run hides the junction
        ((1, 2, 5), (2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 6)),
        ((0, 2, 4, 9), (1, 3, 7), (0, 1, 2, 3, 4, 9)),
        ((1, 2), (), (1, 2)),
    ],
)
def test_joining_a_column(hot, saturated, expected):
    joined = merge_hot_saturated(column(*hot), column(*saturated))
    assert tuple(np.flatnonzero(joined[:, 0])) == expected


def test_joining_equals_its_twin():
    rng = np.random.default_rng(2)
    hot, saturated = rng.random((40, 300)) < 0.35, rng.random((2, 40, 300)) < 0.2
    saturated[:, :, :100] = False
    before = hot.copy()
    joined = merge_hot_saturated(hot, saturated)
    np.testing.assert_array_equal(joined, blobs_twins.join_columns(hot, saturated.any(axis=0)))
    np.testing.assert_array_equal(hot, before)
    assert joined.sum() > hot.sum()


ROWS = """
0110000000
1001000111
0110000111
0000000000
1000010000
0000101000
0000010001
"""


@pytest.fixture
def segmented():
    hot = np.array([[c == "1" for c in row] for row in ROWS.split()])
    return segment_blobs(hot, [1, -3, 8, 20], [1, 9, 2, 30])


def test_segmentation(segmented):
    blobmap, blob_sources, blob_slices = segmented
    assert blobmap.dtype == np.int32
    assert [rows.tolist() for rows in blob_sources] == [[0], [2], [3]]
    assert blob_slices == [
        (slice(0, 3), slice(0, 4)),
        (slice(1, 3), slice(7, 10)),
        (slice(6, 7), slice(9, 10)),
    ]
    expected = np.full((7, 10), -1)
    expected[0, 1:3] = expected[2, 1:3] = expected[1, 0:4] = 0
    expected[1:3, 7:10] = 1
    expected[6, 9] = 2
    np.testing.assert_array_equal(blobmap, expected)


def test_segmentation_without_sources_or_pixels():
    hot = np.ones((4, 5), bool)
    blobmap, blob_sources, blob_slices = segment_blobs(hot, [], [])
    assert np.all(blobmap == -1)
    assert blob_sources == blob_slices == []
    blobmap, blob_sources, _ = segment_blobs(~hot, [1], [1])
    assert np.all(blobmap == -1)
    assert blob_sources == []


def test_sources_of_a_blob_ascend():
    hot = np.zeros((9, 9), bool)
    hot[1:3] = hot[6:8] = True
    _, blob_sources, _ = segment_blobs(hot, [1, 2, 3, 4, 5], [7, 1, 7, 4, 2])
    assert [rows.tolist() for rows in blob_sources] == [[1, 4], [0, 2]]


def test_properties(segmented):
    blobmap, _, blob_slices = segmented
    region = np.zeros(blobmap.shape, bool)
    region[:2, :8] = True
    sizes = blob_properties(blobmap, len(blob_slices), region)
    assert sizes.npix.tolist() == [8, 6, 1]
    assert sizes.npix_region.tolist() == [6, 1, 0]
    assert list(zip(sizes.first_x, sizes.first_y)) == [(1, 0), (7, 1), (9, 6)]
    assert blob_properties(blobmap, 3).npix_region.tolist() == [8, 6, 1]


def test_order_by_size_breaks_ties_by_the_first_pixel():
    blobmap = np.full((5, 6), -1, np.int32)
    blobmap[0, 3] = 2
    blobmap[2, 0:2] = 0
    blobmap[1, 4:6] = 1
    blobmap[2, 4:6] = 3
    assert blob_properties(blobmap, 4).by_size().tolist() == [1, 0, 3, 2]


def test_pieces_of_a_large_blob():
    pieces = sub_blobs((slice(20, 420), slice(10, 810)))
    assert [piece.index for piece in pieces] == list(range(6))
    boxes = [(p.box[1].start, p.box[1].stop, p.box[0].start, p.box[0].stop) for p in pieces]
    x_boxes, y_boxes = [(10, 298), (266, 554), (522, 810)], [(20, 236), (204, 420)]
    assert boxes == [(*x, *y) for y in y_boxes for x in x_boxes]
    assert [p.unique_x for p in pieces[:3]] == [(10, 282), (282, 538), (538, 810)]
    assert [p.unique_y for p in pieces[::3]] == [(20, 220), (220, 420)]


@pytest.mark.parametrize(
    ("width", "n", "size"), [(368, 2, 200), (500, 2, 266), (1000, 4, 274), (2000, 9, 251), (3600, 16, 255)]
)
def test_number_and_size_of_pieces(width, n, size):
    pieces = sub_blobs((slice(0, 50), slice(0, width)))
    assert len(pieces) == n
    assert pieces[0].box == (slice(0, 50), slice(0, size))
    assert pieces[-1].box[1].stop == width


def test_small_blobs_are_not_cut():
    assert sub_blobs((slice(0, 367), slice(5, 372))) == []


def test_pieces_own_every_position_once():
    pieces = sub_blobs((slice(3, 900), slice(7, 600)))
    y, x = np.indices((897, 593)) + np.array([3, 7])[:, None, None]
    assert np.all(sum(piece.owns(x, y).astype(int) for piece in pieces) == 1)


def test_sources_of_a_piece():
    piece = sub_blobs((slice(0, 400), slice(0, 800)))[0]
    x, y = np.array([5, 270, 300, -40, 5]), np.array([5, 5, 5, 210, 300])
    rows = sub_blob_sources(piece, np.array([0, 1, 2, 3, 4]), x, y, (400, 800))
    assert rows.tolist() == [0, 1, 3]
