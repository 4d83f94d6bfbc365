import fitsio
import numpy as np
import pytest
from astropy.table import Table

from legacypipe_lite.bits import REFMAP
from legacypipe_lite.reference import mask_map, reference_sources
from legacypipe_lite.reference import mask_map_kernels as kernels
from legacypipe_lite.reference.tables import add_missing_columns
from legacypipe_lite.wcs import TanWcs, target_wcs


def disc_twin(mask, x, y, radius, bit):
    iy, ix = np.indices(mask.shape)
    mask[(ix - x) ** 2 + (iy - y) ** 2 <= radius**2] |= np.uint8(bit)


def ellipse_twin(mask, x, y, radius, ba, pa, cd, bit):
    iy, ix = np.indices(mask.shape)
    u = cd[0, 0] * (ix - x) + cd[0, 1] * (iy - y)
    v = cd[1, 0] * (ix - x) + cd[1, 1] * (iy - y)
    t = np.deg2rad(90 + pa)
    along, across = u * np.cos(t) - v * np.sin(t), u * np.sin(t) + v * np.cos(t)
    box = (ix >= np.floor(x - radius)) & (ix < np.ceil(x + 1 + radius))
    box &= (iy >= np.floor(y - radius)) & (iy < np.ceil(y + 1 + radius))
    mask[box & (along**2 / radius**2 + across**2 / (radius * ba) ** 2 < 1)] |= np.uint8(bit)


@pytest.mark.parametrize(
    "x, y, radius", [(20.3, 15.7, 7), (-3.2, 10, 9), (45, 33, 12), (-20, 5, 4), (20, 80, 1000), (7, 7, 0)]
)
def test_disc_kernel_equals_its_twin(x, y, radius):
    ours, twin = np.full((30, 40), 16, np.uint8), np.full((30, 40), 16, np.uint8)
    kernels.paint_disc(ours, x, y, radius, 2)
    disc_twin(twin, x, y, radius, 2)
    np.testing.assert_array_equal(ours, twin)


@pytest.mark.parametrize(
    "x, y, radius, ba, pa", [(20.3, 15.7, 9, 0.4, 30), (-3, 10, 14, 0.9, 200), (39, 29, 25, 0.2, -45)]
)
@pytest.mark.parametrize("cd", [[[-1, 0], [0, 1]], [[0.8, -0.6], [0.6, 0.8]], [[0, 1], [1, 0]]])
def test_ellipse_kernel_equals_its_twin(x, y, radius, ba, pa, cd):
    ours, twin = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    kernels.paint_ellipse(ours, x, y, radius, ba, pa, np.array(cd, float), 8)
    ellipse_twin(twin, x, y, radius, ba, pa, np.array(cd, float), 8)
    np.testing.assert_array_equal(ours, twin)
    assert ours.any()


def table(wcs, x, y, radius_pix, **columns):
    ra, dec = wcs.pixel_to_sky(np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float)))
    radius = np.atleast_1d(radius_pix).astype("f4") * np.float32(wcs.pixel_scale / 3600 * 0.999)
    refs = Table({"ra": ra, "dec": dec, "radius": radius, **{k: np.atleast_1d(v) for k, v in columns.items()}})
    return add_missing_columns(refs)


WCS = target_wcs(200.0, -30.0, 80, 60, 0.262)


def test_bright_stars_have_half_the_radius():
    refs = table(WCS, 40.25, 30.125, 9, isbright=True, ismedium=True)
    mask = mask_map(refs, WCS)
    expected = np.zeros((60, 80), np.uint8)
    disc_twin(expected, 40.25, 30.125, 5, REFMAP["BRIGHT"])
    disc_twin(expected, 40.25, 30.125, 9, REFMAP["MEDIUM"])
    np.testing.assert_array_equal(mask, expected)
    assert mask.dtype == np.uint8


def test_position_angle_is_east_of_north():
    """North is up and East left: a galaxy with PA 45 points to the upper left."""
    refs = table(WCS, 40, 30, 20, set_galaxy_maskbit=True, ba=0.2, pa=45.0)
    mask = mask_map(refs, WCS)
    assert mask[42, 28] == REFMAP["GALAXY"] and mask[18, 52] == REFMAP["GALAXY"]
    assert mask[42, 52] == 0 and mask[18, 28] == 0
    north = mask_map(table(WCS, 40, 30, 20, iscluster=True, ba=0.2, pa=np.nan), WCS)
    assert north[45, 40] == REFMAP["CLUSTER"] and north[30, 55] == 0


def test_position_angle_in_a_rotated_image():
    s = 0.262 / 3600
    wcs = TanWcs((200, -30), (40, 30), [[0, s], [s, 0]], 80, 60)  # North to the right, East up
    mask = mask_map(table(wcs, 40, 30, 20, isresolved=True, ba=0.2, pa=0.0), wcs)
    assert mask[30, 55] == REFMAP["RESOLVED"] and mask[45, 40] == 0


def test_all_bits_and_row_selection():
    refs = table(
        WCS,
        [10, 30, 50, 70],
        [10, 10, 40, 40],
        [6, 6, 6, 6],
        ismedium=[True, False, False, False],
        ismcloud=[False, True, False, False],
        isresolved=[False, False, True, False],
        set_galaxy_maskbit=[False, False, False, True],
        ba=np.ones(4),
        pa=np.zeros(4),
    )
    mask = mask_map(refs, WCS)
    assert [mask[10, 10], mask[10, 30], mask[40, 50], mask[40, 70]] == [2, 32, 16, 8]
    only = mask_map(refs, WCS, refs["ismcloud"] | refs["ismedium"])
    assert sorted(set(only.ravel())) == [0, 2, 32]
    by_index = mask_map(refs, WCS, np.array([3]))
    assert sorted(set(by_index.ravel())) == [0, 8]


def test_nothing_to_paint():
    refs = table(WCS, [10, 20], [10, 20], [0, 5], ismedium=[True, False])
    assert not mask_map(refs, WCS).any()
    assert not mask_map(refs[:0], WCS).any()
    flat = table(WCS, 10, 10, 6, set_galaxy_maskbit=True, ba=0.0, pa=0.0)
    assert not mask_map(flat, WCS).any()
    opposite = table(WCS, 10, 10, 6, ismedium=True)
    opposite["ra"], opposite["dec"] = 20.0, 30.0
    assert not mask_map(opposite, WCS).any()


@pytest.mark.parametrize(
    "name, counts",
    [
        ("mzlsbass2", {0: 40000}),
        ("testcase3", {0: 2000}),
        ("testcase6", {3: 10000}),
        ("testcase9", {0: 5598, 8: 4402}),
        ("testcase12", {0: 5167, 4: 4833}),
    ],
)
def test_numbers_of_pixels(real_field, name, counts):
    field = real_field(name)
    refs, _ = reference_sources(field.wcs, ["g", "r", "z"], field.catalogs)
    values, numbers = np.unique(mask_map(refs, field.wcs), return_counts=True)
    assert dict(zip(values.tolist(), numbers.tolist())) == counts


@pytest.mark.parametrize(
    "name, allowed", [("testcase4", 0), ("testcase6", 0), ("testcase9", 0), ("testcase12", 0), ("simA", 2)]
)
def test_mask_bits_of_the_reference_implementation(real_field, name, allowed):
    """Two pixels of simA lie on the circle to 1e-12."""
    field = real_field(name)
    refs, _ = reference_sources(field.wcs, ["g", "r", "z"], field.catalogs)
    mask = mask_map(refs, field.wcs)
    maskbits = fitsio.read(field.product("coadd/*/*/legacysurvey-*-maskbits.fits.fz"), ext=1)
    for bit, published in (("BRIGHT", 0x2), ("MEDIUM", 0x800), ("GALAXY", 0x1000), ("CLUSTER", 0x2000)):
        different = ((mask & REFMAP[bit]) > 0) != ((maskbits & published) > 0)
        assert different.sum() <= allowed, bit
