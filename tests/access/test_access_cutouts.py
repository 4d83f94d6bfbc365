"""Cutouts, sub-images, mosaics and tiles of bricks with images by formulas: numbers of the public viewer."""

import io

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from legacypipe_lite.access import NoOverlapError, crop, draw_tile, make_cutout, mosaic, subimages
from legacypipe_lite.access.grids import TileGrid, tile_of
from legacypipe_lite.access.rendering import render
from legacypipe_lite.errors import UsageError
from legacypipe_lite.wcs import target_wcs

RA0 = 244.72340425531914  # middle of 2447p120
EDGE = 244.85106382978722  # between 2447p120 and 2449p120


def steps(row):
    """Where the values of a row change, and the values."""
    places = [0, *(np.flatnonzero(np.abs(np.diff(row)) > 1e-3) + 1)]
    return [(int(place), round(float(row[place]), 4)) for place in places]


def test_at_a_brick_centre_the_pixels_are_those_of_the_brick(catalogue, synthetic_runs):
    cut = make_cutout(catalogue.find("syn"), RA0, 12.0, 40, bands="r")
    brick = fits.getdata(synthetic_runs / "syn/coadd/244/2447p120/legacysurvey-2447p120-image-r.fits.fz")
    assert np.array_equal(cut.image[0], brick[1780:1820, 1780:1820])
    assert cut.image[0, 0, 0] == pytest.approx(0.0534)


def test_an_odd_size_is_shifted_by_half_a_pixel(catalogue):
    cut = make_cutout(catalogue.find("syn"), RA0, 12.0, 41, bands="r")
    assert cut.image[0, 0, :3] == pytest.approx([0.053385, 0.053395, 0.053405], abs=1e-7)
    assert dict(cut.cards)["CRPIX1"] == 21


def test_fits_structure(catalogue):
    cut = make_cutout(catalogue.find("syn"), RA0, 12.0, 40, bands="gr", invvar=True, maskbits=True)
    with fits.open(io.BytesIO(cut.to_fits())) as hdus:
        assert [hdu.data.shape for hdu in hdus] == [(2, 40, 40), (2, 40, 40), (40, 40)]
        assert [hdu.header["IMAGETYP"] for hdu in hdus] == ["IMAGE", "INVVAR", "MASKBITS"]
        assert (hdus[1].data == 100).all() and (hdus[2].data == 2).all() and hdus[2].data.dtype == ">i4"
        keys = list(hdus[0].header)
        first = keys.index("SURVEY")
        assert keys[first : first + 6] == ["SURVEY", "VERSION", "IMAGETYP", "BANDS", "BAND0", "BAND1"]
        assert hdus[0].header["BANDS"] == "gr" and hdus[0].header["IMAGEW"] == 40


def test_without_flags_there_is_one_hdu_and_whole_blocks(catalogue):
    data = make_cutout(catalogue.find("syn"), RA0, 12.0, 40, bands="r").to_fits()
    assert len(data) % 2880 == 0
    with fits.open(io.BytesIO(data)) as hdus:
        assert len(hdus) == 1 and hdus[0].data.shape == (40, 40)


@pytest.mark.parametrize(
    ("layer", "ra", "expected"),
    [
        ("syn", EDGE, [(0, 0.2), (115, 0.15), (284, 0.1)]),
        ("syn-model", EDGE, [(0, 0.1), (200, 0.05)]),
        ("wrap", 0.0, [(0, 0.1), (115, 0.15), (284, 0.2)]),
        ("wrap", 360.0, [(0, 0.1), (115, 0.15), (284, 0.2)]),
        ("wrap-model", 0.0, [(0, 0.05), (200, 0.1)]),
    ],
)
def test_overlaps_are_averaged_and_models_have_a_seam(catalogue, layer, ra, expected):
    assert steps(make_cutout(catalogue.find(layer), ra, 12.0, 400, bands="g").image[0, 200]) == expected


def test_partly_off_the_bricks_is_zero(catalogue):
    image = make_cutout(catalogue.find("syn"), 244.596, 11.87, 100, bands="g").image
    assert set(np.unique(image.round(4)).tolist()) == {0.0, np.float32(0.1).round(4).item()}
    assert (image == 0).sum() == 3500


def test_no_brick(catalogue):
    with pytest.raises(NoOverlapError, match="No overlap"):
        make_cutout(catalogue.find("syn"), 10.0, 12.0, 40)
    assert (make_cutout(catalogue.find("syn"), 10.0, 12.0, 40, blank=True).picture() == 32).all()


def test_coarse_pixels_come_from_a_level_and_have_no_mask(catalogue):
    cut = make_cutout(catalogue.find("syn"), RA0, 12.0, 50, pixscale=1.1, bands="r", invvar=True, maskbits=True)
    assert cut.image[0, 24:26, 24:26].mean() == pytest.approx(0.053985, abs=3e-6)
    assert cut.image[0, 0, 0] == pytest.approx(0.050899, abs=3e-6)
    assert cut.invvar is None and cut.maskbits is None


@pytest.mark.parametrize(
    ("asked", "given"), [("griz", "grz"), ("zg", "zg"), (None, "grz"), ("g,z", "gz"), ("q", "grz")]
)
def test_bands(catalogue, asked, given):
    assert "".join(catalogue.find("syn").select_bands(asked)) == given


def test_rotation(catalogue):
    cards = dict(make_cutout(catalogue.find("syn"), RA0, 12.0, 40, rotate=30.0).cards)
    found = [cards[f"CD{i}_{j}"] for i in (1, 2) for j in (1, 2)]
    assert found == pytest.approx([-6.30274e-5, -3.63889e-5, -3.63889e-5, 6.30274e-5], abs=1e-10)


def test_subimages(catalogue):
    layer = catalogue.find("syn")
    with fits.open(io.BytesIO(subimages(layer, EDGE, 12.0, 100, 100))) as hdus:
        assert len(hdus) == 13
        assert [hdus[i].header["BRICK_X0"] for i in (1, 7)] == [34, 3465]
        assert len({hdu.header["BRICK_Y0"] for hdu in hdus[1:]}) == 1
        kinds = [(hdu.header["BAND"], hdu.header["IMAGETYP"]) for hdu in hdus[1:4]]
        assert kinds == [("g", "image"), ("g", "invvar"), ("r", "image")]
        assert [float(hdus[i].data.sum()) for i in (1, 7)] == pytest.approx([1000, 2000], rel=1e-6)
    with fits.open(io.BytesIO(subimages(layer, 244.85, 12.125, 100, 100, "g"))) as hdus:
        corners = [(h.header["BRICK"], h.header["BRICK_X0"], h.header["BRICK_Y0"]) for h in hdus[1::2]]
        assert corners == [("2447p120", 49, 3467), ("2449p120", 3479, 3467), ("2448p122", 1284, 32)]
    assert len(subimages(layer, 245.17, 12.0, 10, 10)) == 2880
    with pytest.raises(NoOverlapError):
        subimages(layer, 245.4, 12.0, 10, 10)


def test_pictures(catalogue):
    layer = catalogue.find("syn")

    def pixel(bands):
        return make_cutout(layer, RA0, 12.0, 40, bands=bands).picture()[20, 20].astype(int)

    assert np.abs(pixel(None) - (14, 103, 255)).max() <= 3
    assert pixel("g").tolist() == [0, 0, 184] and pixel("r").tolist() == [0, 123, 0]
    picture = make_cutout(layer, RA0, 12.0, 3000).picture().astype(int)
    for place, color in (((0, 0), (13, 123, 255)), ((-1, 0), (16, 32, 255)), ((0, -1), (14, 161, 255))):
        assert np.abs(picture[place] - color).max() <= 3


def test_tiles(catalogue):
    grid = TileGrid(14, 5246, 7641)
    pixels = render(catalogue.find("syn"), grid, ["r"])[0]
    assert [pixels[128, 128], pixels[0, 0], pixels[255, 255]] == pytest.approx(
        [0.0563218, 0.0577987, 0.0548573], abs=3e-7
    )
    picture = np.array(Image.open(io.BytesIO(draw_tile(catalogue.find("syn"), 14, 5246, 7641)))).astype(int)
    for place, color in (((128, 128), (14, 105, 254)), ((0, 0), (14, 109, 255)), ((255, 255), (14, 103, 255))):
        assert np.abs(picture[place] - color).max() <= 3
    residual = np.array(Image.open(io.BytesIO(draw_tile(catalogue.find("syn-resid"), 14, 5246, 7641)))).astype(int)
    assert np.abs(residual[128, 128] - (19, 83, 219)).max() <= 3
    assert all(draw_tile(catalogue.find("wrap"), 14, x, 7641) is not None for x in (0, 16383))
    assert draw_tile(catalogue.find("syn"), 14, 0, 0) is None


def test_tile_positions():
    assert TileGrid(14, 5246, 7641).pixel_to_sky(0, 0) == pytest.approx((244.7314024, 12.0177884), abs=1e-7)
    assert TileGrid(14, 5246, 7641).pixel_to_sky(255, 255) == pytest.approx((244.7095156, 11.9963804), abs=1e-7)
    assert TileGrid(10, 100, 300).pixel_to_sky(0, 0) == pytest.approx((324.8430634, 59.5339699), abs=1e-7)
    assert TileGrid(12, 4095, 100).pixel_to_sky(255, 255) == pytest.approx((0.00017166, 84.2231249), abs=1e-7)
    assert [TileGrid(z, 0, 2**z // 2 - 1).level(0.262, 7) for z in (14, 13, 12, 11, 10, 9, 8)] == [0, 1, 2, 3, 4, 5, 6]
    rng = np.random.default_rng(4)
    for ra, dec in zip(rng.uniform(0, 360, 20), rng.uniform(-80, 80, 20)):
        grid = TileGrid(13, *tile_of(ra, dec, 13))
        x, y = grid.sky_to_pixel(ra, dec)
        assert -0.5 <= x <= 255.5 and -0.5 <= y <= 255.5
        assert grid.pixel_to_sky(x, y) == pytest.approx((ra, dec), abs=1e-9)


@pytest.mark.parametrize("tile", [(21, 0, 0), (3, 8, 0), (3, 0, -1), (-1, 0, 0)])
def test_tiles_that_do_not_exist(tile):
    with pytest.raises(UsageError, match="no tile"):
        TileGrid(*tile)


def test_mosaic_takes_every_pixel_from_one_brick(catalogue):
    run = catalogue.runs["syn"]
    joined = mosaic(run, target_wcs(EDGE, 12.125, 300, 300, 0.262), products=("image", "invvar", "maskbits"))
    image, invvar = joined.planes["image"][0], joined.planes["invvar"][0]
    assert (invvar > 0).all()
    assert np.allclose(image * 1000, invvar, rtol=1e-5)
    assert set(np.unique(invvar)) == {100.0, 200.0, 300.0}
    assert joined.wcs.pixel_to_world_values(149.5, 149.5) == pytest.approx((EDGE, 12.125))


def test_crop_keeps_its_shape_off_the_image(catalogue):
    run = catalogue.runs["syn"]
    cut = crop(run, 244.5975, 11.877, 300)
    assert {k: v.shape for k, v in cut.planes.items()} == {
        "image": (3, 300, 300),
        "invvar": (3, 300, 300),
        "maskbits": (300, 300),
    }
    off = cut.planes["invvar"][0] == 0
    assert off.any() and (cut.planes["maskbits"][off] == 1).all() and (cut.planes["image"][0][off] == 0).all()
    inner = crop(run, RA0, 12.0, (50, 40))
    assert inner.planes["image"].shape == (3, 40, 50)
    assert inner.wcs.pixel_to_world_values(25.5, 20.5) == pytest.approx((RA0, 12.0), abs=1e-9)


@pytest.mark.parametrize(
    "keywords",
    [
        {"ra": np.nan},
        {"ra": np.inf},
        {"dec": 91.0},
        {"size": 0},
        {"pixscale": 0.0},
        {"pixscale": -1.0},
        {"pixscale": 1e-9},
        {"bands": ""},
        {"size": 20000},
        {"combine": "sum"},
    ],
)
def test_requests_that_make_no_sense(catalogue, keywords):
    with pytest.raises(UsageError):
        make_cutout(catalogue.find("syn"), **{"ra": RA0, "dec": 12.0, "size": 40, **keywords})


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (None, "syn"),
        ("ls-dr9", "syn"),
        ("ls-dr10-south-model-grz", "syn-model"),
        ("wrap-resid", "wrap-resid"),
        ("syn-wise", None),
        ("no-such", None),
        ("ls-dr9-no", None),
        ("../../etc", None),
        ("", None),
        ("x" * 10000, None),
    ],
)
def test_layer_names(catalogue, asked, name):
    assert getattr(catalogue.find(asked), "name", None) == name
