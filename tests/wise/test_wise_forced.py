"""Forced photometry: normal equations, their solution, fluxes and statistics."""

import numpy as np
import pytest
from wise_synthetic import MockTile

from legacypipe_lite.models import Patches, Source
from legacypipe_lite.wcs import target_wcs
from legacypipe_lite.wise import normal_kernels as kernels
from legacypipe_lite.wise import solve
from legacypipe_lite.wise.forced import forced_photometry
from legacypipe_lite.wise.images import TileImage, find_tile_files, read_tile_image
from legacypipe_lite.wise.psf import PsfModels
from legacypipe_lite.wise.solve import solve_fluxes
from legacypipe_lite.wise.stamps import ForcedSources, StampRenderer
from legacypipe_lite.wise.tiles import Tile, read_tile_table, tiles_of_brick

MOCK = MockTile("0010m015", 1.0, -1.514445, x0=1000, y0=1000, width=60, height=50)
TILE = Tile.on_grid(MOCK.coadd_id, MOCK.ra, MOCK.dec)
VEGA_TO_AB = {1: 2.699, 2: 3.339, 3: 5.174, 4: 6.620}

TESTCASE4 = """\
186.73496812 25.46899395 REX 0.28590
186.73548558 25.46478317 PSF
186.73605836 25.45740510 PSF
186.73613502 25.46118150 PSF
186.73697974 25.46868887 REX 0.44686
186.74033654 25.45382964 REX 0.41427
186.74895859 25.46609150 PSF
186.74929470 25.46198321 SER 1.06517 0.46131 0.26508 1.7663"""


@pytest.fixture(scope="module")
def psf():
    return PsfModels().at(1, 0, 0)


def field_sources():
    sources = []
    for line in TESTCASE4.split("\n"):
        ra, dec, kind, *shape = line.split()
        sources.append(Source(kind, float(ra), float(dec), [1.0], *(float(v) for v in shape)))
    return ForcedSources.from_sources(sources)


def photometry_of_testcase4(testdata, band):
    target = target_wcs(186.774193548387, 25.5, 3600, 3600, 0.262, (2050, 2300, 1150, 1400))
    (tile,) = tiles_of_brick(read_tile_table(testdata / "refdata" / "wise-tiles.fits", target), target)
    files = find_tile_files([str(testdata / "realdata" / "testcase4" / "images" / "unwise")], tile.coadd_id, band)
    image = read_tile_image(files, tile, band, target, shift_crpix=True)
    models = PsfModels(testdata / "refdata" / "unwise_psf")
    found = forced_photometry(field_sources(), [image], [models.at(band, tile.ra, tile.dec)])
    return found, 10 ** (-VEGA_TO_AB[band] / 2.5)


@pytest.mark.parametrize(
    "band, flux",
    [
        (1, [19.8801, 139.3124, 114.4467, 7.55897, 11.2175, 10.3613, 4.89916, 41.4009]),
        (2, [11.5062, 85.8494, 186.7624, 0.27375, 9.40368, 6.97329, 3.96528, 25.7928]),
        (3, [16.659, 66.306, 395.819, -44.553, 33.993, -15.582, 3.856, -44.189]),
        (4, [-164.7, -348.3, 1907.1, 215.6, 468.1, -437.7, -148.8, -179.9]),
    ],
)
def test_exact_fluxes_of_a_real_field(band, flux, testdata):
    found, factor = photometry_of_testcase4(testdata, band)
    error = found.flux_ivar**-0.5 * factor
    assert (np.abs(found.flux * factor - flux) / error).max() < 1e-3


def test_other_numbers_of_a_real_field(testdata):
    w1, factor = photometry_of_testcase4(testdata, 1)
    ivar = [3.03423, 1.58327, 1.77245, 3.37257, 3.20988, 3.34712, 3.61717, 2.44423]
    np.testing.assert_allclose(w1.flux_ivar / factor**2, ivar, rtol=3e-6)
    # The published statistics belong to fluxes that are 1e-4 off.
    rchisq = [1.962, 3.572, 8.987, 0.908, 3.829, 0.928, 1.054, 1.392]
    np.testing.assert_allclose(w1.rchisq, rchisq, rtol=3e-3)
    fracflux = [0.24728, 0.00832, 0.00669, 0.89739, 0.59082, 0.12348, 0.17950, 0.00587]
    np.testing.assert_allclose(w1.fracflux, fracflux, rtol=2e-3)
    np.testing.assert_array_equal(w1.nobs, [170, 170, 170, 169, 171, 170, 172, 169])
    x = [22.9351, 22.3207, 21.6387, 21.5507, 20.5574, 16.5793, 6.3976, 5.9970]
    y = [21.4995, 15.9874, 6.3289, 11.2728, 21.1014, 1.6509, 17.7091, 12.3311]
    np.testing.assert_allclose(w1.x, x, atol=1e-4)
    np.testing.assert_allclose(w1.y, y, atol=1e-4)
    assert set(w1.coadd_id) == {"1866p257"} and w1.psfdepth[0] / factor**2 == pytest.approx(4.15778, rel=1e-5)
    w4, factor = photometry_of_testcase4(testdata, 4)
    assert w4.psfdepth[0] / factor**2 == pytest.approx(3.209e-6, rel=1e-4)
    assert w4.flux_ivar[0] / factor**2 == pytest.approx(6.238e-7, rel=2e-4)


def mock_image(image, band=1, inverr=None, tile=TILE, mock=MOCK):
    image = image.astype(np.float32)
    inverr = np.ones_like(image) if inverr is None else inverr.astype(np.float32)
    return TileImage(
        tile, band, mock.x0, mock.y0, mock.wcs, image, inverr, inverr**2, inverr**2,
        np.full(image.shape, 12, np.int16), 1.0, 55500.0,
    )  # fmt: skip


def sources_at(*positions, mock=MOCK, kind="PSF", **shape):
    ra, dec = mock.wcs.pixel_to_sky(*np.array(positions, float).T)
    return ForcedSources.from_sources([Source(kind, r, d, [1.0], **shape) for r, d in zip(ra, dec)])


def stamp_on_image(sources, i, psf, mock=MOCK):
    px, py = mock.wcs.sky_to_pixel(sources.ra[i : i + 1], sources.dec[i : i + 1])
    x0, y0, values = StampRenderer(psf.image).render(sources[i : i + 1], px, py, np.array([15]), mock.wcs).patch(0)
    out = np.zeros((mock.height, mock.width))
    out[y0 : y0 + values.shape[0], x0 : x0 + values.shape[1]] = values
    return out


def test_unit_star(psf):
    sources = sources_at((30.3, 25.4))
    stamp = stamp_on_image(sources, 0, psf)
    found = forced_photometry(sources, [mock_image(7 * stamp)], [psf])
    assert found.flux[0] == pytest.approx(7, rel=1e-6)
    assert found.flux_ivar[0] == pytest.approx((stamp**2).sum(), rel=1e-6)
    assert found.rchisq[0] < 1e-9 and found.fracflux[0] < 1e-5
    assert found.nobs[0] == 12 and found.mjd[0] == 55500.0 and found.psfdepth[0] == pytest.approx(psf.norm**2)
    assert (found.x[0], found.y[0]) == pytest.approx((1030.3, 1025.4))
    np.testing.assert_allclose(found.models[0], 7 * stamp, atol=1e-5)


def test_w4_errors_are_doubled(psf):
    sources = sources_at((30.3, 25.4))
    stamp = stamp_on_image(sources, 0, psf)
    w3, w4 = (forced_photometry(sources, [mock_image(stamp, band)], [psf]) for band in (3, 4))
    assert w4.flux_ivar[0] == pytest.approx(w3.flux_ivar[0] / 4)


def test_statistics_equal_twins(psf):
    rng = np.random.default_rng(5)
    sources = sources_at((30.3, 25.4), (33.0, 27.1), (2.0, 3.0), (50.0, 45.0))
    stamps = [stamp_on_image(sources, i, psf) for i in range(4)]
    image = rng.normal(size=(50, 60)) + 40 * stamps[0] + 90 * stamps[1] + 5 * stamps[2]
    inverr = np.where(rng.uniform(size=image.shape) < 0.1, 0, rng.uniform(0.5, 2, image.shape))
    inverr = inverr.astype(np.float32).astype(float)
    found = forced_photometry(sources, [mock_image(image, inverr=inverr)], [psf])
    design = np.stack([(s * inverr).ravel() for s in stamps], axis=1)
    flux = np.linalg.lstsq(design, (image * inverr).ravel(), rcond=None)[0]
    np.testing.assert_allclose(found.flux, flux, rtol=2e-5)
    model = sum(f * s for f, s in zip(flux, stamps))
    chi2 = ((image - model) * inverr) ** 2
    for i, (f, p) in enumerate(zip(flux, stamps)):
        good = (p != 0) & (inverr > 0)
        assert found.flux_ivar[i] == pytest.approx(((p * inverr) ** 2).sum(), rel=1e-5)
        assert found.rchisq[i] == pytest.approx((np.abs(p) * chi2)[good].sum(), rel=1e-3)
        other = (np.abs(model / f - p) * np.abs(p))[good].sum() / (p[good] ** 2).sum()
        assert found.fracflux[i] == pytest.approx(other / max(1, np.abs(p)[good].sum() / abs(f)), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("max_dense", [400, 0])
def test_sources_at_the_same_place_share_the_flux(psf, max_dense, monkeypatch):
    monkeypatch.setattr(solve, "_MAX_DENSE", max_dense)
    sources = sources_at((30.3, 25.4), (30.3, 25.4), (30.3 + 1e-7, 25.4), (31.0, 40.0))
    image = 30 * stamp_on_image(sources, 0, psf) + 4 * stamp_on_image(sources, 3, psf)
    found = forced_photometry(sources, [mock_image(image)], [psf])
    assert found.flux[:3].sum() == pytest.approx(30, rel=1e-5) and found.flux[3] == pytest.approx(4, rel=1e-5)
    assert np.isfinite(found.flux).all() and found.flux[0] == pytest.approx(found.flux[1], rel=1e-3)


def test_sources_without_data(psf):
    sources = sources_at((30.0, 25.0), (-40.0, 25.0), (-5.0, 25.0))
    inverr = np.ones((50, 60))
    image = stamp_on_image(sources, 0, psf)
    found = forced_photometry(sources, [mock_image(image, inverr=inverr)], [psf])
    assert found.flux[1] == 0 and found.flux_ivar[1] == 0 and found.rchisq[1] == 0
    # A source off the image whose wings fall on it is fitted, but has no exposures of its own.
    assert found.flux_ivar[2] > 0 and found.nobs[2] == 0 and found.coadd_id[2] == ""
    nothing = forced_photometry(sources, [mock_image(image, inverr=0 * inverr)], [psf])
    assert (nothing.flux == 0).all() and (nothing.flux_ivar == 0).all() and nothing.nobs[0] == 12
    empty = forced_photometry(sources, [], [])
    assert (empty.flux == 0).all() and empty.models == [] and len(empty.coadd_id) == 3
    none = forced_photometry(sources[:0], [mock_image(image)], [psf])
    assert len(none.flux) == 0 and none.models[0].shape == image.shape and not none.models[0].any()


def test_two_tiles_share_the_fluxes(psf):
    ra, _ = MOCK.wcs.pixel_to_sky(29.5, 25)
    west = Tile("0010m015", MOCK.ra, MOCK.dec, ra - 2, ra, -3.0, 0.0, {})
    east = Tile("0011m015", MOCK.ra, MOCK.dec, ra, ra + 2, -3.0, 0.0, {})
    sources = sources_at((28.0, 25.0), (31.2, 26.0))
    image = 10 * stamp_on_image(sources, 0, psf) + 20 * stamp_on_image(sources, 1, psf)
    noisy = image + np.random.default_rng(7).normal(size=image.shape)
    column = np.arange(60)[np.newaxis, :] + np.zeros((50, 1))
    images = [
        mock_image(noisy, inverr=np.where(column > 29.5, 1, 0), tile=west),
        mock_image(noisy, inverr=np.where(column < 29.5, 1, 0), tile=east),
    ]
    together = forced_photometry(sources, images, [psf, psf])
    single = forced_photometry(sources, [mock_image(noisy)], [psf])
    np.testing.assert_allclose(together.flux, single.flux, rtol=1e-6)
    np.testing.assert_allclose(together.flux_ivar, single.flux_ivar, rtol=1e-6)
    assert together.coadd_id.tolist() == ["0011m015", "0010m015"] and (together.nobs == 12).all()


def test_noise_from_the_model(psf):
    rng = np.random.default_rng(8)
    sources = sources_at((30.3, 25.4))
    stamp = stamp_on_image(sources, 0, psf)
    bias = {"data": [], "model": []}
    for _ in range(60):
        image = mock_image(200 * stamp + rng.normal(size=stamp.shape))
        image.detector_invvar = np.ones_like(image.image)
        image.inverr = (1 / np.sqrt(1.25 + 0.15**2 * np.maximum(0, image.image))).astype(np.float32)
        for noise, values in bias.items():
            found = forced_photometry(sources, [image], [psf], noise)
            values.append((found.flux[0] - 200) * np.sqrt(found.flux_ivar[0]))
    # The same noise in both: the difference is what the weights do.
    shift = np.mean(bias["data"]) - np.mean(bias["model"])
    assert -0.12 < shift < -0.02


def test_kernel_equals_twin():
    rng = np.random.default_rng(9)
    shape, n = (40, 45), 12
    rectangles = np.zeros((n, 4), np.int32)
    for i in range(1, n):
        w, h = rng.integers(3, 20, 2)
        rectangles[i] = rng.integers(0, 45 - w), rng.integers(0, 40 - h), w, h
    stamps = Patches.empty(rectangles)
    stamps.values[:] = rng.normal(size=stamps.values.size)
    image, inverr = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    inverr = np.abs(inverr)
    diagonal, right = np.zeros(n), np.zeros(n)
    order = 1 + np.argsort(rectangles[1:, 1], kind="stable")
    pairs, products = kernels.normal_equations(order, stamps, image, inverr, diagonal, right)
    full = np.zeros((n, *shape))
    for i in range(1, n):
        stamps.patch(i).cut(full[i])[:] = stamps.patch(i).values
    white = full * inverr
    matrix = np.einsum("iyx,jyx->ij", white, white)
    np.testing.assert_allclose(diagonal, np.diag(matrix), rtol=1e-5)
    np.testing.assert_allclose(right, np.einsum("iyx,yx->i", white, image * inverr), rtol=1e-4, atol=1e-5)
    ours = np.zeros((n, n))
    ours[pairs[:, 0], pairs[:, 1]] = products
    assert len(np.unique(np.sort(pairs, axis=1), axis=0)) == len(pairs)
    np.testing.assert_allclose(ours + ours.T, matrix - np.diag(np.diag(matrix)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", [3, 60, 700])
def test_solution_is_exact(n):
    rng = np.random.default_rng(n)
    near = [(i, j) for i in range(n) for j in range(i + 1, min(i + 6, n))]
    pairs = np.array([(i, j) if rng.uniform() < 0.5 else (j, i) for i, j in near], np.int32)
    products = rng.uniform(-0.15, 0.15, len(pairs))
    scale = 10 ** rng.uniform(-6, 6, n)
    diagonal = scale**2
    products = products * scale[pairs[:, 0]] * scale[pairs[:, 1]]
    dead = n // 2
    diagonal[dead] = 0
    right = rng.normal(size=n) * scale
    # A pair that two tiles have in common comes twice.
    flux = solve_fluxes(diagonal, np.concatenate([pairs, pairs]), np.concatenate([products, products]) / 2, right)
    matrix = np.diag(diagonal)
    matrix[pairs[:, 0], pairs[:, 1]] += products
    matrix[pairs[:, 1], pairs[:, 0]] += products
    used = np.arange(n) != dead
    residual = (matrix[used][:, used] @ flux[used] - right[used]) / scale[used]
    assert np.abs(residual).max() < 1e-7 and flux[dead] == 0


def test_no_sources_to_solve():
    assert len(solve_fluxes(np.zeros(0), np.zeros((0, 2), np.int32), np.zeros(0), np.zeros(0))) == 0
    assert solve_fluxes(np.zeros(2), np.array([[0, 1]], np.int32), np.zeros(1), np.zeros(2)).tolist() == [0, 0]
