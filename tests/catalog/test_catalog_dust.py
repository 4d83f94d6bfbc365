import fitsio
import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord

from legacypipe_lite.catalog.dust import (
    EXTINCTION,
    _bilinear,
    dust_map_files,
    galactic,
    reddening,
    transmission,
)
from legacypipe_lite.errors import InputError


@pytest.fixture
def dust_dir(tmp_path):
    """Small maps would do for the format, but the projection has a fixed size."""
    (tmp_path / "maps").mkdir()
    y, x = np.mgrid[:4096, :4096].astype(np.float32)
    fitsio.write(str(tmp_path / "maps" / "SFD_dust_4096_ngp.fits"), 0.1 + x * 1e-5 + y * 2e-5)
    fitsio.write(str(tmp_path / "maps" / "SFD_dust_4096_sgp.fits"), 0.5 - x * 1e-5)
    return tmp_path


def random_sky(n=200):
    rng = np.random.default_rng(4)
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def test_galactic_coordinates():
    ra, dec = random_sky()
    longitude, latitude = galactic(ra, dec)
    theirs = SkyCoord(ra, dec, unit="deg").galactic
    away = np.abs(theirs.b.deg) < 89.9
    ours = SkyCoord(np.degrees(longitude) * units.deg, np.degrees(latitude) * units.deg, frame="galactic")
    assert ours[away].separation(theirs[away]).deg.max() < 1e-5


def test_reddening_is_linear_in_linear_maps(dust_dir):
    ra, dec = random_sky()
    longitude, latitude = galactic(ra, dec)
    north = latitude >= 0
    n = np.where(north, 1, -1)
    root = np.sqrt(1 - n * np.sin(latitude))
    x, y = 2048 * root * np.cos(longitude) + 2047.5, -2048 * n * root * np.sin(longitude) + 2047.5
    expected = np.where(north, 0.1 + x * 1e-5 + y * 2e-5, 0.5 - x * 1e-5)
    np.testing.assert_allclose(reddening(ra, dec, dust_dir), expected, atol=2e-6)


def test_interpolation_skips_missing_values():
    values = np.array([[0.0, 2.0], [4.0, 6.0]], np.float32)
    at = np.array
    assert _bilinear(values, at([0.5]), at([1.0])) == 5.0
    # a zero is no data: its neighbour stands for it
    assert _bilinear(values, at([0.25]), at([0.0])) == 2.0
    assert _bilinear(values, at([0.0]), at([0.25])) == 2.5
    # beyond the edge the last pixel counts
    assert _bilinear(values, at([5.0]), at([7.0])) == 6.0


def test_missing_and_damaged_maps(tmp_path, dust_dir):
    with pytest.raises(InputError, match="SFD_dust_4096_ngp.fits is missing: DUST_DIR"):
        dust_map_files(tmp_path / "nowhere")
    (dust_dir / "maps" / "SFD_dust_4096_ngp.fits").write_text("not fits")
    with pytest.raises(InputError, match="ngp.fits cannot be read"):
        reddening([192.86], [27.13], dust_dir)
    fitsio.write(str(dust_dir / "maps" / "SFD_dust_4096_ngp.fits"), np.zeros(3, dtype=[("x", "f4")]), clobber=True)
    with pytest.raises(InputError, match="holds no image"):
        reddening([192.86], [27.13], dust_dir)


def test_transmission():
    ebv = np.array([0.0, 0.1], np.float32)
    values = transmission(ebv, EXTINCTION["g"])
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, [1.0, 10 ** (-0.4 * 3.214 * np.float32(0.1))], rtol=1e-7)


def test_transmission_of_the_reference(testdata):
    rows = fitsio.read(str(testdata / "reference/testcase6/tractor/110/tractor-1102p240.fits"))
    for band in "grz":
        ours = transmission(rows["ebv"], EXTINCTION[band])
        np.testing.assert_allclose(ours, rows[f"mw_transmission_{band}"], rtol=1e-7)
