"""Tiling, field, observing plan, PSFs and skies."""

import numpy as np
import pytest

from legacypipe_lite.errors import UsageError
from legacypipe_lite.simulate.exposures import plan_ccds, plan_exposures
from legacypipe_lite.simulate.field import make_field
from legacypipe_lite.simulate.instruments import INSTRUMENTS
from legacypipe_lite.simulate.options import SimulationOptions
from legacypipe_lite.simulate.psf import ccd_psf, moffat_stamp, stamp_fwhm
from legacypipe_lite.simulate.sky import ccd_sky
from legacypipe_lite.simulate.tiling import brick_at, brick_row, unwise_tiles_near
from legacypipe_lite.wcs import great_circle_distance, wcs_from_header

# --- tiling


@pytest.mark.parametrize(
    "ra, dec, name, brickid, q, row, column",
    [
        (110.2, 24.0, "1102p240", 465217, 1, 456, 403),
        (177.3, 59.5, "1773p595", 616029, 1, 598, 361),
        (346.6, 12.75, "3465p127", 404635, 3, 411, 1353),
        (9.13, 3.5, "0091p035", 350562, 0, 374, 36),
    ],
)
def test_published_bricks(ra, dec, name, brickid, q, row, column):
    found = brick_row(brick_at(ra, dec))
    assert (found["brickname"], found["brickid"], found["brickq"]) == (name, brickid, q)
    assert (found["brickrow"], found["brickcol"]) == (row, column)
    assert found["dec2"] - found["dec1"] == pytest.approx(0.25)
    assert found["ra1"] <= ra < found["ra2"]


def test_southern_brick_names():
    assert brick_at(10.0, -5.01).name[4] == "m"


def test_unwise_tiles_are_where_the_real_ones_are(testdata):
    import fitsio

    real = fitsio.read(str(testdata / "refdata/wise-tiles.fits"), 1)
    for ra, dec in ((180.1, 33.0), (20.0, -41.0), (300.0, 2.0)):
        tiles = unwise_tiles_near(ra, dec, 0.2)
        assert 1 <= len(tiles) <= 9
        for tile in tiles:
            distance = great_circle_distance(real["ra"], real["dec"], tile.ra, tile.dec)
            assert distance.min() < 0.003
            assert real["coadd_id"][np.argmin(distance)].strip()[4:] == tile.name[4:]


# --- options


@pytest.mark.parametrize(
    "wrong, text",
    [
        ({"cameras": ("hsc",)}, "--cameras: hsc"),
        ({"cameras": ()}, "--cameras"),
        ({"bands": ("q",)}, "--bands: q"),
        ({"cameras": ("90prime",), "bands": ("z",)}, "--bands z"),
        ({"artefacts": ("rain",)}, "--artefacts: rain"),
        ({"exposures": 0}, "--exposures 0"),
        ({"width": 10}, "--width 10"),
        ({"dec": 89.0}, "--radec"),
        ({"seeing": 9.0}, "--seeing"),
    ],
)
def test_senseless_options_are_refused(wrong, text):
    with pytest.raises(UsageError, match=text):
        SimulationOptions(**wrong)


def test_fingerprint():
    assert SimulationOptions().fingerprint() == SimulationOptions(bands=["g", "r", "z"]).fingerprint()
    assert SimulationOptions().fingerprint() != SimulationOptions(seed=2).fingerprint()


# --- the plan


@pytest.fixture(scope="module")
def plan():
    options = SimulationOptions(cameras=("decam", "90prime", "mosaic"), width=300, height=200)
    field = make_field(options)
    return options, field, plan_exposures(options, field)


def test_exposures_and_filters(plan):
    _, _, exposures = plan
    taken = {(e.camera, e.band) for e in exposures}
    assert taken == {("decam", b) for b in "grz"} | {("90prime", "g"), ("90prime", "r"), ("mosaic", "z")}
    assert len(exposures) == 3 * len(taken)
    assert len({e.expnum for e in exposures}) == len(exposures)
    assert len({e.image_filename() for e in exposures}) == len(exposures)


def test_windows_cover_the_field(plan):
    options, field, exposures = plan
    target = field.target
    x, y = np.array([0, target.width - 1]), np.array([0, target.height - 1])
    ra, dec = target.pixel_to_sky(*(v.ravel() for v in np.meshgrid(x, y)))
    for exposure in exposures:
        (ccd,) = plan_ccds(exposure, options, field)
        assert np.all(ccd.wcs.contains(*ccd.wcs.sky_to_pixel(ra, dec)))
        assert 0 <= ccd.window.x0 < ccd.window.x1 <= ccd.place.width
        assert 0 <= ccd.window.y0 < ccd.window.y1 <= ccd.place.height


def test_header_and_correction_give_the_true_wcs(plan):
    options, field, exposures = plan
    for exposure in exposures[::3]:
        (ccd,) = plan_ccds(exposure, options, field)
        cards = {key: value for key, value, _ in ccd.header_wcs.header_cards()}
        cards |= {"NAXIS1": ccd.window.width, "NAXIS2": ccd.window.height}
        corrected = wcs_from_header(cards, correction=ccd.offset)
        x, y = np.array([0.0, 50.0, 200.0]), np.array([10.0, 0.0, 99.0])
        for found, true in zip(corrected.pixel_to_sky(x, y), ccd.wcs.pixel_to_sky(x, y)):
            assert np.allclose(found, true, atol=1e-9)
        uncorrected = wcs_from_header(cards).pixel_to_sky(x, y)
        assert 3600 * np.abs(uncorrected[1] - ccd.wcs.pixel_to_sky(x, y)[1]).max() < 0.1


def test_distortion_is_that_of_the_cameras(plan):
    _, _, exposures = plan
    for exposure in exposures:
        instrument = exposure.instrument
        place = instrument.ccds[0]
        wcs = exposure.ccd_wcs(place)
        jacobian = wcs.local_jacobian(place.crpix[0] - 1, place.crpix[1] - 1)
        scale = 3600 * np.sqrt(abs(np.linalg.det(jacobian)))
        assert scale == pytest.approx(instrument.pixel_scale, rel=3e-3)


def test_noise_is_that_of_the_surveys(plan):
    """sig1 of real exposures: decam g 0.005-0.008, r 0.008-0.012, z 0.022-0.043; 90prime g 0.015, r 0.023."""
    limits = {("decam", "g"): (0.004, 0.009), ("decam", "r"): (0.006, 0.013), ("decam", "z"): (0.018, 0.045)}
    limits |= {("90prime", "g"): (0.010, 0.020), ("90prime", "r"): (0.018, 0.032), ("mosaic", "z"): (0.018, 0.032)}
    _, _, exposures = plan
    for e in exposures:
        low, high = limits[e.camera, e.band]
        assert low < e.sky_noise / e.counts_per_nanomaggy < high


def test_flaws_are_spread():
    options = SimulationOptions(artefacts=("trail", "gap", "amplifier"))
    exposures = plan_exposures(options, make_field(options))
    assert [(e.band, e.number) for e in exposures if "trail" in e.flaws] == [("r", 0)]
    assert [(e.band, e.number) for e in exposures if "amplifier" in e.flaws] == [("z", 2)]
    assert [(e.band, e.number) for e in exposures if "gap" in e.flaws] == [(b, 1) for b in "grz"]
    field = make_field(options)
    ra, dec = field.target.pixel_to_sky(*(np.array([0.0, 399.0]) for _ in range(2)))
    for e in exposures:
        covered = [np.all(c.wcs.contains(*c.wcs.sky_to_pixel(ra, dec))) for c in plan_ccds(e, options, field)]
        assert any(covered) == ("gap" not in e.flaws)


def test_same_conditions_with_other_artefacts():
    field = make_field(SimulationOptions())
    first, second = (plan_exposures(SimulationOptions(artefacts=a), field) for a in ((), ("trail",)))
    assert [e.seeing for e in first] == [e.seeing for e in second]
    assert [e.crval for e in first] == [e.crval for e in second]


def test_full_brick_has_whole_ccds():
    options = SimulationOptions(full_brick=True, exposures=1, bands=("r",))
    field = make_field(options)
    assert field.zoom is None and field.target.width == 3600
    (exposure,) = plan_exposures(options, field)
    ccds = plan_ccds(exposure, options, field)
    assert 2 <= len(ccds) <= 8
    assert all(c.window == (0, 2046, 0, 4094) for c in ccds)
    assert [c.hdu for c in ccds] == list(range(1, len(ccds) + 1))


def test_focal_planes():
    names = {place.name for place in INSTRUMENTS["decam"].ccds}
    assert len(names) == 61 and {"N1", "N31", "S1", "S31"} <= names
    # Neighbours do not overlap, and leave gaps of a few hundred pixels at most.
    centres = {p.name: np.array(p.crpix) for p in INSTRUMENTS["decam"].ccds}
    assert np.abs(centres["N1"] - centres["N2"]) == pytest.approx([0.0, 4256.67])
    assert 2048 < abs(centres["S31"] - centres["S28"])[0] < 2300
    for camera in ("mosaic", "90prime"):
        assert {p.name for p in INSTRUMENTS[camera].ccds} == {"CCD1", "CCD2", "CCD3", "CCD4"}


# --- PSF and sky


def test_moffat_stamp():
    stamp = moffat_stamp(4.0, 3.0, 0.1, -0.05, 63)
    assert stamp.sum() == pytest.approx(1.0) and stamp.shape == (63, 63)
    assert np.unravel_index(np.argmax(stamp), stamp.shape) == (31, 31)
    # The pixel broadens the profile a little.
    assert 4.0 < stamp_fwhm(moffat_stamp(4.0, 3.0, 0, 0, 63)) < 4.2
    y, x = np.mgrid[-5:6, -5:6]
    core = stamp[26:37, 26:37] * np.exp(-(x**2 + y**2) / 18.0)
    xx, yy, xy = (core * x * x).sum(), (core * y * y).sum(), (core * x * y).sum()
    assert xx > yy and xy < 0
    assert (xx - yy) / (2 * xy) == pytest.approx(0.1 / -0.05, rel=0.1)
    assert stamp[0, 0] == 0 and stamp[31, 0] < 1e-12


def test_ccd_psf_varies_smoothly(plan):
    options, field, exposures = plan
    (ccd,) = plan_ccds(exposures[0], options, field)
    psf = ccd_psf(ccd)
    assert psf.degree == 2 and psf.stamp_shape == (63, 63)
    stamps = [psf.stamp(x, y) for x, y in ((0, 0), (ccd.window.width, ccd.window.height))]
    assert not np.array_equal(*stamps)
    expected = exposures[0].seeing / exposures[0].instrument.pixel_scale
    for stamp in stamps:
        assert stamp.sum() == pytest.approx(1.0, abs=1e-5)
        assert stamp_fwhm(stamp) == pytest.approx(expected, rel=0.12)
    assert psf.gaussian_sigma * 2.35 == pytest.approx(expected, rel=0.1)


def test_ccd_sky(plan):
    options, field, exposures = plan
    for exposure in (exposures[0], exposures[-1]):
        (ccd,) = plan_ccds(exposure, options, field)
        sky = ccd_sky(ccd)
        image = sky.image(0, 0, ccd.window.width, ccd.window.height)
        assert np.median(image) == pytest.approx(exposure.sky_level, rel=0.05)
        assert 0 < image.max() / image.min() - 1 < 0.05
    # The grid of real sky models of DECam.
    (ccd,) = plan_ccds(exposures[0], options, field)
    sky = ccd_sky(ccd)
    assert (sky.xgrid[0], sky.xgrid[1], sky.xgrid[-1]) == (-1, 255, 2047)
    assert sky.values.shape == (17, 9)
