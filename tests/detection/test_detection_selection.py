"""Fitting only some blobs."""

import numpy as np
import pytest

from legacypipe_lite.detection import segment_blobs, select_blobs
from legacypipe_lite.errors import NothingToDo, UsageError
from legacypipe_lite.options import RunOptions
from legacypipe_lite.wcs import target_wcs


@pytest.fixture
def blobs():
    """Six 2 x 2 blobs in a row at x = 2, 7, ..., with two sources in the third."""
    hot = np.zeros((10, 32), bool)
    for x in range(2, 32, 5):
        hot[4:6, x : x + 2] = True
    return segment_blobs(hot, [2, 7, 12, 13, 17, 22, 27], [4] * 7)


WCS = target_wcs(359.9999, 60.0, 32, 10, 0.262)


def select(blobs, **options):
    return select_blobs(RunOptions(brick="x", **options), *blobs, WCS)


def kept(selection):
    """Old numbers (by their x) of the blobs kept, in the new order."""
    return [(box[1].start - 2) // 5 for box in selection.blob_slices]


def test_no_option_keeps_all(blobs):
    selection = select(blobs)
    assert selection.blobmap is blobs[0]
    assert kept(selection) == [0, 1, 2, 3, 4, 5]
    assert selection.points is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"nblobs": 2}, [0, 1]),
        ({"nblobs": 6}, [0, 1, 2, 3, 4, 5]),
        ({"nblobs": 99}, [0, 1, 2, 3, 4, 5]),
        ({"blob": 4}, [4, 5]),
        ({"blob": 1, "nblobs": 3}, [1, 2, 3]),
        ({"blob": 4, "nblobs": 9}, [4, 5]),
        ({"blobid": "3,1"}, [3, 1]),
        ({"blobid": "3, 1,3"}, [3, 1]),
        ({"blobxy": ((23, 5), (2, 4), (3, 4), (0, 0))}, [0, 4]),
        ({"blobxy": ((23, 5),), "blobid": "2"}, [2]),
        ({"blobid": "2", "blob": 5}, [5]),
    ],
)
def test_selection(blobs, options, expected):
    blobmap, blob_sources, _ = blobs
    before = blobmap.copy()
    selection = select(blobs, **options)
    assert kept(selection) == expected
    for new, old in enumerate(expected):
        np.testing.assert_array_equal(selection.blobmap == new, before == old)
        np.testing.assert_array_equal(selection.blob_sources[new], blob_sources[old])
    assert np.sum(selection.blobmap >= 0) == 4 * len(expected)
    np.testing.assert_array_equal(blobmap, before)


def test_points_are_moved_into_the_brick(blobs, caplog):
    hot = np.zeros((10, 32), bool)
    hot[:, 30:] = True
    selection = select(segment_blobs(hot, [31], [3]), blobxy=((40, -7),))
    assert selection.points.tolist() == [[31, 0]]
    assert "outside the brick" in caplog.text


def test_sky_positions_are_truncated_and_replace_pixels(blobs):
    ra, dec = WCS.pixel_to_sky(22.9, 5.9)
    assert ra < 360
    selection = select(blobs, blobradec=((ra, dec),), blobxy=((2, 4),))
    assert selection.points.tolist() == [[22, 5]]
    assert kept(selection) == [4]
    selection = select(blobs, blobradec=((ra - 360, dec),))
    assert kept(selection) == [4]


def test_missed_positions_are_named(blobs, caplog):
    select(blobs, blobxy=((2, 4), (0, 9)))
    assert "no blob at pixel 0 9" in caplog.text


def test_only_missed_positions_are_nothing_to_do(blobs):
    with pytest.raises(NothingToDo, match="blobxy"):
        select(blobs, blobxy=((0, 0),))


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"blobid": "1,6"}, "--blobid: there is no blob 6"),
        ({"blobid": "-1"}, "--blobid"),
        ({"blobid": "one"}, "--blobid 'one'"),
        ({"blob": 6}, "--blob: there is no blob 6"),
        ({"blob": -2}, "--blob"),
        ({"nblobs": 0}, "--nblobs"),
        ({"blobradec": ((180.0, -60.0),)}, "--blobradec"),
    ],
)
def test_senseless_selections_are_refused(blobs, options, flag):
    with pytest.raises(UsageError, match=flag):
        select(blobs, **options)
