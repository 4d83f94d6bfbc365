"""Pixels of known sources."""

import numpy as np
import pytest
from astropy.table import Table

from legacypipe_lite.detection import omitted_pixels
from legacypipe_lite.models import Motion, moved_position
from legacypipe_lite.wcs import target_wcs

WCS = target_wcs(0.0001, 45.0, 100, 80, 0.262)


def references(*rows):
    """Table of (x, y, ref_epoch, pmra, pmdec, parallax, in_bounds, islargegalaxy)."""
    names = ("x", "y", "ref_epoch", "pmra", "pmdec", "parallax", "in_bounds", "islargegalaxy")
    refs = Table(rows=[tuple(map(float, row)) for row in rows], names=names)
    refs["in_bounds"], refs["islargegalaxy"] = refs["in_bounds"] > 0, refs["islargegalaxy"] > 0
    refs["ra"], refs["dec"] = WCS.pixel_to_sky(np.array(refs["x"]), np.array(refs["y"]))
    refs["ibx"], refs["iby"] = np.rint(refs["x"]).astype(np.int32), np.rint(refs["y"]).astype(np.int32)
    return refs


def test_no_references():
    assert omitted_pixels(references((1, 1, 0, 0, 0, 0, 1, 0))[:0], [57000.0], WCS).shape == (0, 2)


def test_fixed_sources_are_at_their_catalogue_pixels():
    refs = references(
        (10.2, 20.4, 0, 0, 0, 0, True, False),
        (10.4, 20.3, 0, 0, 0, 0, True, False),
        (30, 40, 2015.5, 5e3, 0, 0, True, True),
        (120, 40, 0, 0, 0, 0, False, False),
    )
    assert omitted_pixels(refs, [57000.0, 58000.0], WCS).tolist() == [[10, 20], [30, 40]]


def test_stars_are_at_the_dates_of_the_images():
    refs = references((50, 40, 2015.5, 400.0, -300.0, 20.0, True, False), (-9, 40, 2015.5, 0, 0, 0, False, False))
    dates = [51544.5, 57388.0, 59215.0, 57388.0]
    pixels = omitted_pixels(refs, dates, WCS)
    assert pixels.dtype == np.int64
    motion = Motion(400.0, -300.0, 20.0, 2015.5)
    expected = set()
    for date in dates:
        x, y = WCS.sky_to_pixel(*moved_position(float(refs["ra"][0]), float(refs["dec"][0]), motion, date))
        expected.add((round(x), round(y)))
    assert set(map(tuple, pixels.tolist())) == expected
    assert len(pixels) == len(expected) == 3


@pytest.mark.parametrize("epoch", [1991.25, 2015.5])
def test_a_star_that_leaves_the_brick_is_entered_off_the_brick(epoch):
    refs = references((1, 40, epoch, 3000.0, 0, 0, True, False))
    (x, y), *rest = omitted_pixels(refs, [62000.0], WCS).tolist()
    assert rest == []
    assert x > 100 or x < 0 or y != 40
