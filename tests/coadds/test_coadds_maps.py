"""Depth histogram, mask bits, samples at sources, mean PSF."""

import fitsio
import numpy as np
import pytest
from real_tims import FIELDS, Field
from synthetic_tims import make_target, make_tim

from legacypipe_lite.bits import REFMAP
from legacypipe_lite.coadds import (
    coadd_band,
    coadd_psf,
    depth_counts,
    depth_table,
    maskbits_map,
    pixel_of,
    sample_coadd,
)
from legacypipe_lite.models import gaussian_psf
from legacypipe_lite.survey.bricks import Brick


def brick_of(field):
    if field.brick is None:
        ra, dec = FIELDS[field.name][1]
        return Brick.around(ra, dec, field.target)
    row = field.brick
    bounds = (float(row[c]) for c in ("ra", "dec", "ra1", "ra2", "dec1", "dec2"))
    return Brick(field.brickname, int(row["brickid"]), *bounds)


@pytest.mark.parametrize("name", FIELDS)
def test_depth_table_equals_published_one(testdata, name):
    field = Field(testdata, name)
    unique = brick_of(field).unique_pixels(field.target)
    counts = {}
    for band in field.bands:
        maps = [field.coadd(kind, band) for kind in ("depth", "galdepth")]
        counts[band] = tuple(depth_counts(m, unique) for m in maps)
    table = depth_table(counts)
    published = fitsio.read(str(field.product("coadd", "depth.fits")))
    assert tuple(table.colnames) == published.dtype.names
    for column in table.colnames:
        assert np.array_equal(table[column], published[column]), column
        assert table[column].dtype == published[column].dtype.newbyteorder("=")


def test_depth_bins():
    unique = np.array([[True, True, True, False]])
    counts = depth_counts(np.array([[1.0, 0.0, 1e8, 1.0]], np.float32), unique)
    # 1 / nmgy^2 is 20.753 mag
    assert counts[0] == 1 and counts[7] == 1 and counts[49] == 1 and counts.sum() == 3


BANDS = {
    "g,r,z": {"SATUR_G": 4, "SATUR_R": 8, "SATUR_Z": 16, "ALLMASK_G": 32, "ALLMASK_R": 64, "ALLMASK_Z": 128},
    "g,r,i,z": {"SATUR_I": 0x10, "ALLMASK_I": 0x80, "SATUR_Z": 0x4000, "ALLMASK_Z": 0x8000},
    "g,r,z,i": {"SATUR_Z": 0x10, "ALLMASK_Z": 0x80, "SATUR_I": 0x4000, "ALLMASK_I": 0x8000},
    "z": {"SATUR_Z": 4, "ALLMASK_Z": 0x20},
}


@pytest.mark.parametrize("bands", BANDS)
def test_band_bits_follow_the_bands_of_the_run(bands):
    here, nowhere = np.ones((2, 2), bool), np.zeros((2, 2), bool)
    for name, value in BANDS[bands].items():
        kind, band = name.split("_")
        maps = {band.lower(): here}
        options = {"saturated" if kind == "SATUR" else "allmask": maps}
        assert np.all(maskbits_map((2, 2), bands.split(","), **options) == value)
    assert not maskbits_map((2, 2), ["g"], saturated={"g": nowhere}, unique=here).any()


def test_other_bits():
    one = np.ones((1, 1), bool)
    refmap = np.full((1, 1), sum(REFMAP.values()), np.uint8)
    bits = maskbits_map((1, 1), ["g"], refmap=refmap, unique=~one, bailout=one, sub_blob=one)
    assert bits.dtype == np.int32
    assert bits[0, 0] == 0x1 | 0x2 | 0x400 | 0x800 | 0x1000 | 0x2000 | 0x10000 | 0x20000 | 0x40000
    assert maskbits_map((1, 1), ["g"], allmask={"g": np.full((1, 1), 64, np.int16)})[0, 0] == 0x20


def test_pixel_of_rounds_half_to_even_and_clips():
    ix, iy = pixel_of([0.5, 1.5, -7.0, 1e6, np.nan], [2.5, 3.49, 2.0, -3.0, 0.0], (10, 20))
    assert ix.tolist() == [0, 2, 0, 19, 0] and iy.tolist() == [2, 3, 2, 0, 0]


def test_samples():
    target = make_target(40, 30)
    wcs = target.subimage(0, 0, 20, 30)
    coadd = coadd_band([make_tim(wcs, dq=np.full(wcs.shape, 4))], "r", target)
    samples = sample_coadd(coadd, np.array([3, 39]), np.array([4, 4]))
    assert samples["nobs"].tolist() == [1, 0] and samples["ngood"].tolist() == [1, 0]
    assert samples["anymask"].tolist() == [4, 0] and samples["allmask"].tolist() == [4, 0]
    assert samples["psfdepth"][0] == np.float32(0.15**2) and samples["galdepth"][0] == np.float32(0.1**2)
    assert samples["psfsize"][1] == 0 and samples["nobs"].dtype == np.int16


def test_mean_psf_on_another_pixel_scale():
    target = make_target(pixscale=0.2)
    tims = [
        make_tim(target, psf=gaussian_psf(2.0, 15), sig1=0.1),
        make_tim(target, psf=gaussian_psf(3.0, 20), sig1=0.2),
    ]
    psf = coadd_psf(tims, target)
    scale = 0.262 / 0.2
    assert psf.shape[0] == 2 * (int(np.ceil(41 * scale)) // 2) + 1
    assert psf.sum() == pytest.approx(1, abs=1e-6)
    r = np.arange(psf.shape[0]) - psf.shape[0] // 2
    expected = 0
    for sigma, weight in ((2.0, 0.8), (3.0, 0.2)):
        g = np.exp(-0.5 * (r / (sigma * scale)) ** 2)
        expected = expected + weight * np.outer(g, g) / g.sum() ** 2
    assert np.abs(psf - expected).max() < 1e-4
