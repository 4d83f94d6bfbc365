"""Projections against astropy, their inverses and local derivatives."""

import pickle

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from legacypipe_lite.wcs import (
    SipWcs,
    TanWcs,
    TpvWcs,
    cd_pixel_scale,
    great_circle_distance,
    plane_to_sky,
    target_wcs,
    wcs_from_header,
)

CD = np.array([[-7.3e-5, 2e-6], [3e-6, 7.2e-5]])


def _header(wcs):
    header = fits.Header()
    for key, value, _ in wcs.header_cards():
        header[key] = value
    header["NAXIS"], header["NAXIS1"], header["NAXIS2"] = 2, wcs.width, wcs.height
    return header


def _tpv(highest=39, seed=0):
    rng = np.random.default_rng(seed)
    pv = []
    for _ in range(2):
        c = rng.normal(size=40) * 10.0 ** -np.array([3, 3, 3, 3] + [2] * 36)
        c[1] += 1.0
        c[highest + 1 :] = 0.0
        pv.append(c)
    return TpvWcs((150.3, 31.2), (300.5, 820.1), CD, 900, 1200, *pv)


def _sip():
    a = {(2, 0): 1e-6, (1, 1): -4e-7, (0, 2): 2e-7, (3, 0): 1e-10, (0, 3): -2e-10}
    b = {(2, 0): -3e-7, (1, 1): 6e-7, (0, 2): 5e-7, (2, 1): 1e-10}
    return SipWcs((150.3, -61.2), (300.5, 820.1), CD, 900, 1200, a, b)


CASES = {
    "tan": TanWcs((359.99, 62.0), (450.5, 600.5), CD, 900, 1200),
    "tpv": _tpv(),
    "tpv3": _tpv(10, 1),
    "sip": _sip(),
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_astropy(name):
    wcs = CASES[name]
    x, y = np.random.default_rng(5).uniform(-50, 1250, (2, 300))
    ra, dec = wcs.pixel_to_sky(x, y)
    want = WCS(_header(wcs)).all_pix2world(np.stack([x, y], 1), 0)
    assert np.abs((ra - want[:, 0] + 180) % 360 - 180).max() < 1e-11
    assert np.abs(dec - want[:, 1]).max() < 1e-11
    assert ra.min() >= 0 and ra.max() < 360


@pytest.mark.parametrize("name", CASES)
def test_inverse(name):
    wcs = CASES[name]
    x, y = np.random.default_rng(6).uniform(0, 1200, (2, 20, 10))
    back = wcs.sky_to_pixel(*wcs.pixel_to_sky(x, y))
    assert np.abs(back[0] - x).max() < 1e-8 and np.abs(back[1] - y).max() < 1e-8


@pytest.mark.parametrize("name", CASES)
def test_local_jacobian(name):
    wcs = CASES[name]
    got = wcs.local_jacobian(100.0, 900.0)
    ra, dec = wcs.pixel_to_sky(np.array([100.5, 99.5, 100, 100]), np.array([900, 900, 900.5, 899.5]))
    c = np.cos(np.deg2rad(dec.mean()))
    want = np.array([[(ra[0] - ra[1]) * c, (ra[2] - ra[3]) * c], [dec[0] - dec[1], dec[2] - dec[3]]])
    assert np.abs(got - want).max() < 1e-6 * np.abs(want).max()


@pytest.mark.parametrize("name", CASES)
def test_header_round_trip_and_subimage(name):
    wcs = CASES[name]
    again = wcs_from_header(_header(wcs), "x.fits")
    assert type(again) is type(wcs)
    assert again.pixel_to_sky(3.0, 4.0) == pytest.approx(wcs.pixel_to_sky(3.0, 4.0), abs=1e-12)
    part = wcs.subimage(10, 20, 100, 50)
    assert part.shape == (50, 100)
    assert part.pixel_to_sky(1.5, 2.5) == pytest.approx(wcs.pixel_to_sky(11.5, 22.5), abs=1e-12)
    assert wcs.shape == (1200, 900)
    copy = pickle.loads(pickle.dumps(wcs))
    assert copy.pixel_to_sky(3.0, 4.0) == wcs.pixel_to_sky(3.0, 4.0)


def test_map_to_goes_over_the_sky():
    a, b = CASES["tpv"], target_wcs(150.3, 31.2, 1000, 1000, 0.262)
    x, y = b.map_to(a, [10.0, 600.0], [20.0, 700.0])
    want = a.sky_to_pixel(*b.pixel_to_sky(np.array([10.0, 600.0]), np.array([20.0, 700.0])))
    np.testing.assert_allclose([x, y], want, atol=1e-9)
    assert a.map_to(b, 1.0, 2.0) == pytest.approx(b.sky_to_pixel(*a.pixel_to_sky(1.0, 2.0)), abs=1e-9)


def test_points_behind_the_tangent_plane_have_no_pixel():
    assert np.isnan(CASES["tan"].sky_to_pixel(180.0, -62.0)).all()
    assert np.isnan(CASES["tpv"].sky_to_pixel(330.3, -31.2)).all()


def test_target_grid():
    wcs = target_wcs(244.78, 12.1, 3600, 3600, 0.262, (1020, 1070, 2775, 2815))
    assert (wcs.width, wcs.height) == (50, 40) and wcs.crpix == (780.5, -974.5)
    assert wcs.pixel_scale == pytest.approx(0.262)
    assert wcs.contains(np.array([-0.6, 0.0, 49.4, 49.6]), 5.0).tolist() == [False, True, True, False]
    assert "TanWcs" in repr(wcs)


def test_correction_moves_crval():
    header = _header(CASES["tan"])
    moved = wcs_from_header(header, correction=(1.0, -2.0))
    assert (moved.crval[0] - 359.99) * 3600 * np.cos(np.deg2rad(62)) == pytest.approx(1.0)
    assert (moved.crval[1] - 62.0) * 3600 == pytest.approx(-2.0)


def test_tan_with_pv_cards_is_tpv():
    header = _header(CASES["tpv3"])
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    assert isinstance(wcs_from_header(header), TpvWcs)
    for i in range(40):
        header.remove(f"PV2_{i}", ignore_missing=True)
    one_axis = wcs_from_header(header)
    assert one_axis.pv2[1] == 1.0 and np.count_nonzero(one_axis.pv2) == 1


def test_image_size_of_a_compressed_image():
    header = _header(CASES["tan"])
    header["ZNAXIS1"], header["ZNAXIS2"] = 77, 88
    assert wcs_from_header(header).shape == (88, 77)


def test_sip_order_is_limited():
    with pytest.raises(ValueError, match="SIP order 12"):
        SipWcs((0, 0), (1, 1), CD, 10, 10, {(6, 6): 1e-30}, {})


def test_great_circle():
    assert great_circle_distance(0.0, 0.0, 180.0, 0.0) == pytest.approx(180)
    assert great_circle_distance(10.0, 60.0, 10.0 + 1e-6, 60.0) == pytest.approx(0.5e-6, rel=1e-6)


def test_cd_pixel_scale():
    matrices = [[[-0.262 / 3600, 0], [0, 0.262 / 3600]], [[0, 2e-4], [2e-4, 0]], [[0, 0], [0, 0]], [[np.nan] * 2] * 2]
    np.testing.assert_allclose(cd_pixel_scale(matrices), [0.262, 0.72, 0, np.nan])
    assert cd_pixel_scale(matrices[0]) == pytest.approx(0.262)


def test_plane_to_sky_of_many_planes():
    """Each point has its own tangent point."""
    points = [(10.0, 20.0, 0.3, -0.4), (359.9, -89.5, 2.0, 1.0), (0.0, 0.0, 0.0, 0.0)]
    ra, dec = plane_to_sky(*np.array(points).T)
    for i, (ra0, dec0, xi, eta) in enumerate(points):
        wcs = TanWcs((ra0, dec0), (1, 1), np.eye(2), 3, 3)
        np.testing.assert_allclose((ra[i], dec[i]), wcs.pixel_to_sky(xi, eta), rtol=1e-13)
    ra, dec = plane_to_sky(np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((2, 3)), np.array([np.nan, 1.0, 2.0]))
    assert ra.shape == (2, 3) and np.isnan(dec[:, 0]).all() and (dec[:, 1] > 0.99).all()
