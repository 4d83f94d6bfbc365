"""WISE coadds and pictures, and mask bits."""

from types import SimpleNamespace

import fitsio
import numpy as np
import pytest
from wise_synthetic import MockTile

from legacypipe_lite.bits import WISEMASK
from legacypipe_lite.errors import InputError
from legacypipe_lite.wcs import target_wcs
from legacypipe_lite.wise.coadds import coadd_tiles, wise_picture, wise_target
from legacypipe_lite.wise.masks import add_tile_mask, collapse_mask
from legacypipe_lite.wise.tiles import Tile

MOCK = MockTile("0010m015", 1.0, -1.514445, x0=1000, y0=1000, width=60, height=50)


def mock_image(image, invvar, mock=MOCK):
    return SimpleNamespace(wcs=mock.wcs, image=image.astype(np.float32), coadd_invvar=invvar.astype(np.float32))


def test_grid_of_the_real_field():
    wcs = wise_target(target_wcs(186.774193548387, 25.5, 3600, 3600, 0.262, (2050, 2300, 1150, 1400)))
    assert (wcs.width, wcs.height) == (23, 23) and wcs.crpix == (12.0, 12.0)
    assert wcs.crval == pytest.approx((186.743965949365, 25.4617885773523), abs=1e-10)
    assert wise_target(target_wcs(10.0, 0.0, 5, 5, 0.262)).shape == (1, 1)


def test_first_tile_wins():
    wcs = target_wcs(*MOCK.wcs.pixel_to_sky(29.5, 24.5), 40, 30, 2.75)
    left = np.zeros((50, 60))
    left[:, :30] = 4.0
    everywhere = np.full((50, 60), 9.0)
    ones = np.ones((50, 60))
    coadd = coadd_tiles(wcs, [mock_image(ones, left), mock_image(2 * ones, everywhere)], [3 * ones, 5 * ones])
    np.testing.assert_array_equal(np.unique(coadd.invvar), [4, 9])
    first = coadd.invvar == 4
    assert first[:, :19].all() and not first[:, 21:].any()
    np.testing.assert_allclose(coadd.image, np.where(first, 1, 2), rtol=1e-6)
    np.testing.assert_allclose(coadd.model, np.where(first, 3, 5), rtol=1e-6)


def test_no_data_gives_zeros():
    far = target_wcs(20.0, 30.0, 10, 12, 2.75)
    ones = np.ones((50, 60))
    coadd = coadd_tiles(far, [mock_image(ones, ones)], [ones])
    assert all((plane == 0).all() and plane.shape == (12, 10) and plane.dtype == np.float32 for plane in coadd)
    here = target_wcs(*MOCK.wcs.pixel_to_sky(29.5, 24.5), 40, 30, 2.75)
    assert not coadd_tiles(here, [mock_image(ones, 0 * ones)], [ones]).image.any()


def test_image_is_interpolated():
    y, x = np.mgrid[:50, :60]
    wcs = target_wcs(*MOCK.wcs.pixel_to_sky(29.3, 24.6), 21, 21, 2.75)
    coadd = coadd_tiles(wcs, [mock_image(x + 2 * y, np.ones((50, 60)))], [x - y])
    assert coadd.image[10, 10] == pytest.approx(29.3 + 2 * 24.6, abs=0.05)
    assert coadd.model[10, 10] == pytest.approx(29.3 - 24.6, abs=0.05)


def test_picture():
    picture = wise_picture(np.array([[0.0, 50.0, 1e6, -1e4]]), np.array([[0.0, 150.0, 0.0, 0.0]]))
    assert picture.shape == (1, 4, 3) and picture.dtype == np.uint8
    low, high = np.arcsinh(-1), np.arcsinh(100)
    black, blue, red = (int(255 * (v - low) / (high - low)) for v in (0, np.arcsinh(2) / 2, 3 * np.arcsinh(2) / 2))
    assert picture[0, 0].tolist() == [black, black // 2 * 2, black]
    assert picture[0, 1].tolist() == [red, red // 2 + blue // 2, blue]
    assert picture[0, 2, 2] == 255 and picture[0, 3, 2] == 0


def test_picture_of_the_reference(testdata):
    from PIL import Image

    folder = testdata / "reference" / "testcase4" / "coadd" / "186" / "1867p255"
    planes = [fitsio.read(str(folder / f"legacysurvey-1867p255-image-W{b}.fits.fz"), ext=1) for b in (1, 2)]
    ours = wise_picture(*planes)
    theirs = np.asarray(Image.open(folder / "legacysurvey-1867p255-wise.jpg"))[::-1]
    # JPEG with subsampled colours.
    assert np.abs(ours.mean(axis=2) - theirs.mean(axis=2)).mean() < 6


def test_mask_bits():
    value = np.array([2**27 + 2**4 + 2**30, 0, 2**0, 2**3, 2**26, 2**31], np.uint32)
    np.testing.assert_array_equal(collapse_mask(value, 1), [2 + 64, 0, 1, 0, 4, 0])
    np.testing.assert_array_equal(collapse_mask(value, 2), [128, 0, 0, 1, 0, 0])
    assert collapse_mask(np.zeros(3, np.uint32), 1).tolist() == [0, 0, 0]
    # Every unWISE bit in the table belongs to one bit of one band.
    all_bits = [int(collapse_mask(np.array([1 << n], np.uint32), band)[0]) for n in range(31) for band in (1, 2)]
    assert sum(bin(v).count("1") for v in all_bits) == 24
    assert {bit.value for bit in WISEMASK} <= set(all_bits)


def test_mask_of_a_brick(tmp_path):
    tile = Tile.on_grid(MOCK.coadd_id, MOCK.ra, MOCK.dec)
    target = target_wcs(*MOCK.wcs.pixel_to_sky(30.0, 25.0), 200, 200, 0.262)
    mask = np.zeros((50, 60), np.int32)
    mask[25, 30] = 2**27 + 2**28
    path = tmp_path / "msk.fits"
    fitsio.write(str(path), mask)
    masks = [np.zeros(target.shape, np.uint8) for _ in range(2)]
    add_tile_mask(masks, path, MOCK.wcs, tile, target)
    # One WISE pixel is 10.5 brick pixels wide.
    for found in masks:
        y, x = np.nonzero(found)
        assert set(found[y, x].tolist()) == {2}
        assert 9.5**2 < len(y) < 11.5**2 and abs(y.mean() - 99.5) < 0.6 and abs(x.mean() - 99.5) < 0.6
    elsewhere = Tile("x", 1.0, 0.0, 50.0, 60.0, -5.0, 5.0, {})
    masks = [np.zeros(target.shape, np.uint8) for _ in range(2)]
    add_tile_mask(masks, path, MOCK.wcs, elsewhere, target)
    assert not masks[0].any()
    fitsio.write(str(path), np.zeros((50, 60), np.int32), clobber=True)
    add_tile_mask(masks, path, MOCK.wcs, tile, target)
    add_tile_mask(masks, path, MOCK.wcs, tile, target_wcs(20.0, 30.0, 10, 12, 0.262))
    assert not masks[0].any()
    fitsio.write(str(path), np.zeros((20, 20), np.int32), clobber=True)
    with pytest.raises(InputError, match="20 x 20"):
        add_tile_mask(masks, path, MOCK.wcs, tile, target)
