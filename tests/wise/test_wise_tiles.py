"""unWISE tiles: unique areas, the tiles of a brick."""

import fitsio
import numpy as np
import pytest
from wise_synthetic import MockTile, write_tile

from legacypipe_lite.errors import InputError
from legacypipe_lite.wcs import target_wcs
from legacypipe_lite.wise.tiles import Tile, read_tile_table, region_of_interest, scan_tiles, tiles_of_brick


@pytest.fixture
def table_path(testdata):
    return testdata / "refdata" / "wise-tiles.fits"


def small_target():
    return target_wcs(186.774193548387, 25.5, 3600, 3600, 0.262, (2050, 2300, 1150, 1400))


def test_unique_area_across_ra_zero():
    tile = Tile("0000m016", 0.0, -1.514444, 359.24369464, 0.75630536, -2.27, -0.757, {})
    np.testing.assert_array_equal(
        tile.contains([359.5, 0.5, 0.8, 359.2, 0.5], [-1.5, -1.5, -1.5, -1.5, -0.7]), [True, True, False, False, False]
    )


def test_borders_belong_to_one_tile():
    tile = Tile("x", 10.0, 0.0, 9.0, 11.0, -0.5, 0.5, {})
    np.testing.assert_array_equal(tile.contains([9.0, 11.0, 10.0, 10.0], [0, 0, -0.5, 0.5]), [True, False, True, False])


def test_grid_of_tiles_is_that_of_the_table(table_path):
    table = fitsio.read(str(table_path))
    for row in table[np.abs(table["dec"]) < 65][::37]:
        tile = Tile.on_grid(row["coadd_id"], row["ra"], row["dec"])
        for name in ("ra1", "ra2", "dec1", "dec2"):
            difference = (getattr(tile, name) - row[name] + 180) % 360 - 180
            assert abs(difference) < 5e-5, (row["coadd_id"], name)


def test_poles_belong_to_the_last_ring():
    tile = Tile.on_grid("0000p893", 0.0, 89.352222)
    assert tile.contains(5.0, 90.0) and Tile.on_grid("0000m893", 0.0, -89.352222).contains(5.0, -90.0)


def test_tiles_of_a_real_brick(table_path):
    target = small_target()
    near = read_tile_table(table_path, target)
    (tile,) = tiles_of_brick(near, target)
    assert tile.coadd_id == "1866p257" and tile.ra == pytest.approx(186.667667)
    assert tile.crpix_shift[1] == pytest.approx((-0.022705, 0.0271), abs=1e-6)
    assert tile.crpix_shift[2] == pytest.approx((-0.026978, 0.033447), abs=1e-6)


def test_brick_on_a_corner_of_tiles_needs_all_of_them(table_path):
    corner = target_wcs(187.501, 26.5028, 3600, 3600, 0.262)
    near = read_tile_table(table_path, corner)
    tiles = tiles_of_brick(near, corner)
    assert len(tiles) >= 3 and {t.coadd_id for t in tiles} <= {t.coadd_id for t in near}
    # Every pixel belongs to exactly one of them.
    ra, dec = corner.pixel_to_sky(*np.meshgrid(np.arange(0, 3600, 50), np.arange(0, 3600, 50)))
    np.testing.assert_array_equal(sum(t.contains(ra, dec).astype(int) for t in tiles), 1)


def test_tile_that_only_overlaps_has_no_share(table_path):
    # 10 pixels inside the border of the neighbouring tile's image, but far from its unique area.
    target = target_wcs(187.47, 25.5, 200, 200, 0.262)
    near = read_tile_table(table_path, target)
    assert len(near) > 1
    assert [t.coadd_id for t in tiles_of_brick(near, target)] == ["1866p257"]


def test_region_of_interest():
    tile = MockTile("1866p257", 186.667667, 25.745556, x0=921, y0=640, width=25, height=25)
    assert region_of_interest(tile.wcs, small_target()) == (0, 25, 0, 25)
    assert region_of_interest(tile.wcs, target_wcs(180.0, 25.5, 100, 100, 0.262)) is None
    assert region_of_interest(tile.wcs, target_wcs(6.0, -25.5, 100, 100, 0.262)) is None


def test_scan_finds_what_the_table_says(testdata, table_path):
    target = small_target()
    folder = testdata / "realdata" / "testcase4" / "images" / "unwise"
    (tile,), problems = scan_tiles([str(folder)], target)
    (expected,) = tiles_of_brick(read_tile_table(table_path, target), target)
    assert tile.coadd_id == expected.coadd_id and not problems and tile.crpix_shift == {}
    for name in ("ra", "dec", "ra1", "ra2", "dec1", "dec2"):
        assert getattr(tile, name) == pytest.approx(getattr(expected, name), abs=1e-4)


def test_scan_of_several_folders(tmp_path):
    near, far = MockTile("0010m015", 1.0, -1.514, width=8, height=8), MockTile("0500p000", 50.0, 0.0, width=8, height=8)
    for folder, tile in (("a", near), ("b", near), ("b", far)):
        write_tile(tmp_path / folder, tile, 2, np.zeros((8, 8)))
    (tmp_path / "a" / "001" / "notes").mkdir()
    (tmp_path / "a" / "001" / "0011m015").mkdir()
    target = target_wcs(1.05, -1.5, 100, 100, 0.262)
    tiles, problems = scan_tiles([str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "none")], target)
    assert [tile.coadd_id for tile in tiles] == ["0010m015"]
    assert problems == [f"unWISE tile {tmp_path}/a/001/0011m015: no images"]


def test_scan_names_damaged_headers(tmp_path):
    path = write_tile(tmp_path, MockTile("0010m015", 1.0, -1.514, width=8, height=8), 1, np.zeros((8, 8)))
    (path / "unwise-0010m015-w1-img-m.fits").write_bytes(b"no image")
    tiles, problems = scan_tiles([str(tmp_path)], target_wcs(1.05, -1.5, 100, 100, 0.262))
    assert tiles == [] and len(problems) == 1 and "w1-img-m.fits" in problems[0]


def test_damaged_table(tmp_path):
    path = tmp_path / "wise-tiles.fits"
    fitsio.write(str(path), np.zeros(3, [("ra", "f8"), ("dec", "f8")]))
    with pytest.raises(InputError, match="coadd_id"):
        read_tile_table(path, target_wcs(0.0, 0.0, 100, 100, 0.262))


def test_every_ring_has_the_number_of_tiles_of_the_table(table_path):
    table = fitsio.read(str(table_path), columns=["dec", "coadd_id", "ra"])
    rings, counts = np.unique(table["dec"], return_counts=True)
    for dec, count in zip(rings, counts):
        tile = Tile.on_grid("", 180.0, dec)
        assert 360 / (tile.ra2 - tile.ra1) == pytest.approx(count, abs=1e-6)
