"""Images of unWISE tiles: files, noise, masks, damage."""

import gzip

import fitsio
import numpy as np
import pytest
from wise_synthetic import NOISE, MockTile, write_tile

from legacypipe_lite.errors import InputError
from legacypipe_lite.wcs import target_wcs
from legacypipe_lite.wise.images import find_mask_file, find_tile_files, read_mask, read_tile_image
from legacypipe_lite.wise.tiles import Tile, read_tile_table, tiles_of_brick

MOCK = MockTile("0010m015", 1.0, -1.514445, x0=1000, y0=1000, width=60, height=50)


def mock_target(size=300):
    ra, dec = MOCK.wcs.pixel_to_sky(30, 25)
    return target_wcs(ra, dec, size, size, 0.262)


def read_mock(folder, band, **keywords):
    tile = Tile.on_grid(MOCK.coadd_id, MOCK.ra, MOCK.dec)
    return read_tile_image(find_tile_files([str(folder)], tile.coadd_id, band), tile, band, mock_target(), **keywords)


def real_image(testdata, case, band, **keywords):
    target = {
        "testcase4": target_wcs(186.774193548387, 25.5, 3600, 3600, 0.262, (2050, 2300, 1150, 1400)),
        "testcase12": target_wcs(346.684, 12.791, 100, 100, 0.262),
    }[case]
    (tile,) = tiles_of_brick(read_tile_table(testdata / "refdata" / "wise-tiles.fits", target), target)
    folder = testdata / "realdata" / case / "images" / "unwise"
    files = find_tile_files([str(folder)], tile.coadd_id, band)
    return read_tile_image(files, tile, band, target, **keywords)


@pytest.mark.parametrize(
    "case, sig1",
    [("testcase4", (1.46253, 5.54922, 488.531, 18013.42)), ("testcase12", (1.54700, 5.81053, 628.88, 22879.1))],
)
def test_noise_of_real_tiles(case, sig1, testdata):
    for band, expected in enumerate(sig1, 1):
        assert real_image(testdata, case, band).sig1 == pytest.approx(expected, rel=1e-5)


def test_real_tile(testdata):
    image = real_image(testdata, "testcase4", 1, shift_crpix=True)
    assert image.image.shape == (25, 25) and image.image.max() == pytest.approx(234.89, abs=0.01)
    assert image.wcs.crpix == pytest.approx((103.477295, 384.527100), abs=1e-6)
    assert (image.inverr > 0).all() and image.mjd == pytest.approx((55356.1540111 + 58265.61141994) / 2)
    assert real_image(testdata, "testcase4", 3).mjd == 0.0


def test_background_model(testdata):
    folder = str(testdata / "realdata" / "testcase12" / "images" / "unwise-mod")
    plain = real_image(testdata, "testcase12", 1)
    subtracted = real_image(testdata, "testcase12", 1, sky_folder=folder)
    assert np.median(plain.image - subtracted.image) == pytest.approx(-0.7454, abs=1e-4)
    with pytest.raises(InputError, match=r"3460p121.1.mod.fits: does not exist"):
        real_image(testdata, "testcase12", 1, sky_folder=folder + "x")
    # There are no such models of W3.
    real_image(testdata, "testcase12", 3, sky_folder=folder + "x")


def test_noise_model(tmp_path):
    image = np.full((50, 60), 100.0)
    image[:, 30:] = -100
    invvar = np.full(image.shape, 0.4675)
    write_tile(tmp_path, MOCK, 1, image, invvar=invvar)
    write_tile(tmp_path, MOCK, 4, image, invvar=invvar)
    w1 = read_mock(tmp_path, 1)
    column = w1.wcs.width // 2
    assert w1.inverr[10, 2] ** -2 == pytest.approx(2.1390 + 0.25 + 2.25, abs=1e-4)
    assert w1.inverr[10, -2] ** -2 == pytest.approx(2.1390 + 0.25, abs=1e-4)
    assert w1.sig1 == pytest.approx(0.4675**-0.5)
    assert read_mock(tmp_path, 4).inverr[10, 2] ** 2 == pytest.approx(0.4675 / 4)
    assert abs(column - (30 - w1.x0)) <= 1
    # A smooth model of the sources instead of the noisy image:
    again = w1.with_noise_of(np.full(w1.image.shape, 400, np.float32))
    np.testing.assert_allclose(again.inverr**-2.0, 2.1390 + 0.25 + 9, rtol=1e-4)


def test_masked_and_saturated_pixels(tmp_path):
    image = np.zeros((50, 60))
    image[25, 30] = 1e5
    n_masked, n_unmasked = np.full(image.shape, 10), np.full(image.shape, 12)
    n_masked[16, 20], n_unmasked[16, 20] = 0, 12
    n_masked[35, 40], n_unmasked[35, 40] = 0, 1
    invvar = np.ones(image.shape)
    invvar[25, 20], invvar[26, 20], invvar[27, 20] = np.nan, -1, 0
    image[35, 20] = np.inf
    for band in (1, 3):
        write_tile(tmp_path, MOCK, band, image, invvar=invvar, n_masked=n_masked, n_unmasked=n_unmasked)
    w1 = read_mock(tmp_path, 1)
    bad = np.zeros(image.shape, bool)
    bad[w1.y0 : w1.y0 + w1.wcs.height, w1.x0 : w1.x0 + w1.wcs.width] = w1.inverr == 0
    y, x = np.mgrid[:50, :60]
    expected = ((x - 30) ** 2 + (y - 25) ** 2 <= 9) | ((x - 20) ** 2 + (y - 16) ** 2 <= 9)
    for point in ((35, 40), (25, 20), (26, 20), (27, 20), (35, 20)):
        expected[point] = True
    inside = np.zeros(image.shape, bool)
    inside[w1.y0 : w1.y0 + w1.wcs.height, w1.x0 : w1.x0 + w1.wcs.width] = True
    np.testing.assert_array_equal(bad, expected & inside)
    assert np.isfinite(w1.image).all() and w1.sig1 == pytest.approx(1.0)
    w3 = read_mock(tmp_path, 3)
    assert w3.inverr[25 - w3.y0, 30 - w3.x0] > 0 and w3.inverr[35 - w3.y0, 40 - w3.x0] == 0


def test_unique_area(tmp_path):
    write_tile(tmp_path, MOCK, 1, np.zeros((50, 60)))
    files = find_tile_files([str(tmp_path)], MOCK.coadd_id, 1)
    ra, _ = MOCK.wcs.pixel_to_sky(29.6, 25)
    tile = Tile(MOCK.coadd_id, MOCK.ra, MOCK.dec, ra, ra + 1, -3.0, 0.0, {})
    part = read_tile_image(files, tile, 1, mock_target())
    last = np.flatnonzero((part.inverr > 0).any(axis=0)).max()
    assert last + part.x0 == 29
    # Coadds get one pixel more.
    assert np.flatnonzero((part.coadd_invvar > 0).any(axis=0)).max() == last + 1
    elsewhere = Tile(MOCK.coadd_id, MOCK.ra, MOCK.dec, 50.0, 51.0, -3.0, 0.0, {})
    assert read_tile_image(files, elsewhere, 1, mock_target()) is None
    far = target_wcs(1.0, 5.0, 100, 100, 0.262)
    assert read_tile_image(files, tile, 1, far) is None


def test_nothing_good(tmp_path):
    write_tile(tmp_path, MOCK, 1, np.zeros((50, 60)), n_masked=np.zeros((50, 60)), n_unmasked=np.ones((50, 60)))
    image = read_mock(tmp_path, 1)
    assert np.isnan(image.sig1) and not image.inverr.any()


def test_first_folder_that_has_all_files(tmp_path):
    for name in ("a", "b"):
        write_tile(tmp_path / name, MOCK, 2, np.zeros((50, 60)), compress=name == "a")
    folders = [str(tmp_path / name) for name in ("none", "a", "b")]
    assert find_tile_files(folders, MOCK.coadd_id, 2).invvar.parent.is_relative_to(tmp_path / "a")
    (tmp_path / "a" / "001" / MOCK.coadd_id / f"unwise-{MOCK.coadd_id}-w2-n-u.fits.gz").unlink()
    found = find_tile_files(folders, MOCK.coadd_id, 2)
    assert found.n_unmasked.suffix == ".fits" and found.n_unmasked.is_relative_to(tmp_path / "b")
    with pytest.raises(InputError, match="w3-img-m.fits: does not exist"):
        find_tile_files(folders, MOCK.coadd_id, 3)


@pytest.mark.parametrize("name", ["img-m.fits", "invvar-m.fits.gz", "n-m.fits.gz"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "other size", "no image"])
def test_damaged_files_are_named(name, damage, tmp_path):
    path = write_tile(tmp_path, MOCK, 1, np.random.default_rng(1).normal(size=(50, 60)))
    path = path / f"unwise-{MOCK.coadd_id}-w1-{name}"
    data = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 3])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        header = MOCK.header(1) if "img" in name else None
        path.unlink()
        image = np.zeros((20, 20), np.float32) if damage == "other size" else np.zeros(7, np.float32)
        fitsio.write(str(path), image, header=header)
    if (name, damage) == ("img-m.fits", "other size"):
        # The image decides on the size; then the others do not fit.
        name = "invvar-m"
    with pytest.raises(InputError, match=name.split(".")[0]):
        read_mock(tmp_path, 1)


def test_image_without_wcs(tmp_path):
    path = write_tile(tmp_path, MOCK, 1, np.zeros((50, 60)))
    name = path / f"unwise-{MOCK.coadd_id}-w1-img-m.fits"
    fitsio.write(str(name), np.zeros((50, 60), np.float32), clobber=True)
    with pytest.raises(InputError, match="WCS"):
        read_mock(tmp_path, 1)


def test_mask(tmp_path):
    folder = tmp_path / "001" / MOCK.coadd_id
    folder.mkdir(parents=True)
    assert find_mask_file([str(tmp_path)], MOCK.coadd_id) is None
    mask = np.zeros((50, 60), np.int32)
    mask[3, 4] = -(2**31)  # bit 31
    path = folder / f"unwise-{MOCK.coadd_id}-msk.fits.gz"
    fitsio.write(str(path), mask)
    assert find_mask_file([str(tmp_path / "none"), str(tmp_path)], MOCK.coadd_id) == path
    values = read_mask(path, (2, 10, 1, 20))
    assert values.dtype == np.uint32 and values[2, 2] == 2**31 and (values != 0).sum() == 1
    path.write_bytes(gzip.compress(b"x"))
    with pytest.raises(InputError, match="msk"):
        read_mask(path, (0, 5, 0, 5))


def test_noise_is_what_the_mock_says(tmp_path):
    write_tile(tmp_path, MOCK, 2, np.zeros((50, 60)))
    assert read_mock(tmp_path, 2).sig1 == pytest.approx(NOISE[2], rel=1e-6)
