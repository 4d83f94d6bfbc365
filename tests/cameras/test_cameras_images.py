"""The camera classes on synthetic CCDs: what no real test image exercises."""

import fitsio
import numpy as np
import pytest
from synthetic_ccds import DEC, NOISE, RA, SKY, SyntheticSurvey, gaussian_stamp, write_table

from legacypipe_lite.bits import DQ
from legacypipe_lite.calibration import SkyScene
from legacypipe_lite.cameras import DecamImage, UnusableImage, camera_class
from legacypipe_lite.cameras.extent import Region
from legacypipe_lite.errors import CalibrationError, InputError
from legacypipe_lite.models.norms import psf_norm
from legacypipe_lite.survey import SurveyDirectory
from legacypipe_lite.wcs import target_wcs

TARGET = target_wcs(RA, DEC, 60, 60, 0.262)
SHAPE = (120, 100)


@pytest.fixture
def survey(tmp_path, monkeypatch):
    monkeypatch.delenv("SKY_TEMPLATE_DIR", raising=False)
    return SyntheticSurvey(tmp_path / "survey")


def ccd_image(survey, row, **options):
    return camera_class(row["camera"])(row, SurveyDirectory(survey.root), survey.options(**options))


def read(survey, row, target=None, scene=None, **options):
    return ccd_image(survey, row, **options).read_tim(target, scene)


# --- the common way


def test_a_plain_ccd(survey):
    tim = read(survey, survey.add_ccd(), TARGET)
    zpscale = 10 ** ((25.0 + 5.0 - 22.5) / 2.5)
    assert tim.name == "x_400000_ooi_r-N4" and tim.band == "r"
    assert (tim.x0, tim.y0, tim.shape) == (20, 30, (61, 61))
    assert tim.zpscale == pytest.approx(zpscale) and tim.midsky == SKY
    assert tim.image.dtype == tim.inverr.dtype == np.float32 and tim.dq.dtype == np.uint16
    assert np.median(tim.image) == pytest.approx(0, abs=0.3 * NOISE / zpscale)
    assert np.std(tim.image * tim.inverr) == pytest.approx(1, abs=0.03)
    assert tim.psf_sigma == pytest.approx(1.6) and tim.psfnorm == pytest.approx(psf_norm(gaussian_stamp()))
    assert 0 < tim.galnorm < tim.psfnorm
    assert tim.skyver == tim.psfver == ("test-1", "V4.8.2a") and tim.plver == "V4.8.2a"
    assert tim.ccd.camera == "decam" and tim.ccd.propid == "test" and tim.mjd_tai > 58000.0
    np.testing.assert_allclose(tim.wcs.pixel_to_sky(29.8, 29.8), (RA, DEC), atol=1e-12)
    assert set(tim.primary_cards) >= {"TELESCOP", "OBS-LAT"}


def test_whole_ccd(survey):
    assert read(survey, survey.add_ccd()).shape == SHAPE


def test_astrometric_correction(survey):
    tim = read(survey, survey.add_ccd(ccdraoff=np.float32(0.5), ccddecoff=np.float32(-0.25)))
    assert tim.wcs.crval[0] == pytest.approx(RA + 0.5 / 3600 / np.cos(np.deg2rad(DEC)), abs=1e-12)
    assert tim.wcs.crval[1] == pytest.approx(DEC - 0.25 / 3600, abs=1e-12)


def test_name_without_ccdname(survey):
    row = survey.add_ccd()
    assert ccd_image(survey, {**row, "ccdname": ""}).name == "x_400000_ooi_r"


def test_outside_the_target(survey):
    with pytest.raises(UnusableImage, match="does not overlap") as e:
        read(survey, survey.add_ccd(shift=(500.0, 0.0)), TARGET)
    assert e.value.expected
    with pytest.raises(UnusableImage):
        read(survey, survey.add_ccd(expnum=2, shift=(75.0, 0.0)), TARGET)  # five columns


def test_masked_edges_are_trimmed(survey):
    weight = np.full(SHAPE, NOISE**-2, np.float32)
    weight[:, :37] = 0
    weight[-40:] = 0
    tim = read(survey, survey.add_ccd(weight=weight), TARGET)
    assert (tim.x0, tim.y0, tim.shape) == (37, 30, (50, 44))


@pytest.mark.parametrize("first, message", [(0, "all weights are zero"), (95, "less than 10 good")])
def test_too_little_is_left(survey, first, message):
    weight = np.zeros(SHAPE, np.float32)
    weight[:, first or 100 :] = 1
    with pytest.raises(UnusableImage, match=message) as e:
        read(survey, survey.add_ccd(weight=weight))
    assert not e.value.expected


def test_source_noise_that_leaves_nothing(survey):
    row = survey.add_ccd(camera="mosaic", ccdname="CCD1", band="z", primary={"SKYADU": 1e30, "EXPTIME": 1e-30})
    with pytest.raises(UnusableImage, match="all weights are zero"):
        read(survey, row)


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"image": np.full(SHAPE, np.nan)}, "no pixel is finite"),
        ({"weight": np.full(SHAPE, np.inf)}, "all weights are zero"),
        ({"header": {"FWHM": 0.0}}, "FWHM is 0.0"),
        ({"header": {"FWHM": "NaN"}, "fwhm": np.nan}, "no seeing in FWHM"),
        ({"sig1": 0.0}, "sig1 is 0.0"),
        ({"sig1": np.nan}, "sig1 is nan"),
        ({"exptime": 0.0}, "exptime is 0, which is no exposure time"),
        ({"ccdzpt": np.nan}, "no zero point"),
        ({"fwhm": 0.0}, "fwhm is 0, which is no seeing"),
        ({"header": {"FWHM": 1e30}}, "FWHM is 1e.30"),
        ({"mjd_obs": np.nan}, "no mjd_obs in the CCD table, and no card MJD-OBS or DATE-OBS"),
        ({"primary": {"PLVER": "V9"}}, "PLVER is V9"),
        ({"dq_plver": "V9"}, "_ood_.* PLVER is V9"),
        ({"width": 101}, "expected 120 rows of 101 pixels"),
        ({"header": {"CTYPE1": "RA---XYZ"}}, "RA---XYZ"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_damaged(survey, columns, message):
    row = survey.add_ccd(**columns)
    with pytest.raises(InputError, match=message):
        read(survey, row)


@pytest.mark.parametrize("kind", ["_ooi_", "_ood_", "_oow_"])
def test_missing_file(survey, kind):
    row = survey.add_ccd()
    survey.path(row["image_filename"].replace("_ooi_", kind)).unlink()
    with pytest.raises(InputError, match=f"{kind}.*does not exist"):
        read(survey, row)


def test_file_names(survey):
    row = survey.add_ccd()
    image = ccd_image(survey, {**row, "image_filename": "a_oki_b/x_oki_r.fits"})
    assert image.dq_filename() == "a_ood_b/x_ood_r.fits" and image.weight_filename() == "a_oow_b/x_oow_r.fits"
    with pytest.raises(InputError, match="no _ooi_ or _oki_"):
        ccd_image(survey, {**row, "image_filename": "x_r.fits"}).dq_filename()


def test_other_extension_name_only_warns(survey, caplog):
    read(survey, survey.add_ccd(header={"EXTNAME": "S30"}))
    assert "named S30, not N4" in caplog.text


def test_old_calibrations(survey, caplog):
    row = survey.add_ccd(plver="V4.8.2a", primary={"PLVER": "V4.7"})
    tim = read(survey, row, old_calibs_ok=True)
    assert tim.plver == "V4.7"
    assert "PLVER is V4.7, but that of its PSF model V4.8.2a" in caplog.text


def test_gaussian_psf_needs_no_calibration(survey):
    tim = read(survey, survey.add_ccd(psf=False), gpsf=True)
    assert tim.psfver == ("", "") and tim.psf.gaussian_sigma == pytest.approx(1.6)
    assert tim.psfnorm == pytest.approx(1 / (2 * np.sqrt(np.pi) * 1.6), rel=1e-4)


def test_no_hybrid_psf(survey):
    row = survey.add_ccd()
    assert read(survey, row).psf.gaussian_sigma > 1
    assert read(survey, row, no_hybrid_psf=True).psf.gaussian_sigma == 0


def test_psf_normalisation(survey):
    row = survey.add_ccd()
    survey.write_psf(row, psf_mask=2 * gaussian_stamp()[np.newaxis])
    assert read(survey, row).psfnorm == pytest.approx(psf_norm(gaussian_stamp()))
    assert read(survey, row, no_normalize_psf=True).psfnorm == pytest.approx(2 * psf_norm(gaussian_stamp()))


def test_psf_in_pixels_of_the_tim(survey):
    row = survey.add_ccd()
    stamp = gaussian_stamp()
    mask = np.stack([stamp, 0.1 * stamp, 0 * stamp])
    survey.write_psf(row, psf_mask=mask, poldeg1=1, polzero1=20.0, polscal1=10.0)
    tim = read(survey, row, TARGET, no_normalize_psf=True)
    assert tim.x0 == 20 and tim.psf.stamp(0, 0).sum() == pytest.approx(1.0, abs=1e-5)
    assert tim.psf.stamp(10, 0).sum() == pytest.approx(1.1, abs=1e-5)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_norms_that_are_not_finite(survey):
    row = survey.add_ccd()
    huge = np.full((25, 25), 3e38, np.float32)
    survey.write_psf(row, poldeg1=1, psf_mask=np.stack([gaussian_stamp(), huge, huge]))
    with pytest.raises(InputError, match="the PSF model is useless here"):
        read(survey, row)


def test_apodize(survey):
    row = survey.add_ccd()
    plain, tapered = read(survey, row), read(survey, row, apodize=True)
    assert tapered.inverr[0].max() == 0 and (tapered.inverr[60, 50] / plain.inverr[60, 50]) < 1.0
    np.testing.assert_array_equal(plain.image, tapered.image)


def test_edges_and_dq(survey):
    codes = np.zeros(SHAPE, np.int32)
    codes[50:53, 0:4] = 3
    codes[80, 50] = 3
    tim = read(survey, survey.add_ccd(codes=codes))
    assert (tim.dq[50:53, 0:4] == DQ["edge"]).all() and tim.dq[80, 50] == DQ["satur"]
    assert (tim.inverr[tim.dq != 0] == 0).all() and (tim.inverr[tim.dq == 0] > 0).all()


# --- DECam


@pytest.mark.parametrize("plver, cosmic, crosstalk", [("V4.8.2", DQ["cr"], 0), ("V4.7.9", 0, 0)])
def test_decam_codes(survey, plver, cosmic, crosstalk):
    codes = np.zeros(SHAPE, np.int32)
    codes[60, 40:46] = [2, 5, 6, 7, 8, 1]
    tim = read(survey, survey.add_ccd(codes=codes, plver=plver))
    assert tim.dq[60, 40:46].tolist() == [1, cosmic, 1, DQ["trans"], crosstalk, 1]


def test_decam_bleeds_are_cleaned(survey):
    codes = np.zeros(SHAPE, np.int32)
    codes[60:70, 40:50] = 4
    tim = read(survey, survey.add_ccd(codes=codes))
    assert not tim.dq.any()


def test_decam_bit_masks_of_old_processing(survey):
    codes = np.zeros(SHAPE, np.int32)
    codes[60, 40:44] = [DQ["badpix"] | DQ["satur"], DQ["satur"], DQ["cr"] | DQ["satur"], DQ["bleed"]]
    tim = read(survey, survey.add_ccd(codes=codes, plver="V3.4.1"))
    assert tim.dq[60, 40:44].tolist() == [DQ["badpix"], DQ["satur"], DQ["cr"] | DQ["satur"], DQ["bleed"]]


@pytest.mark.parametrize("plver", ["test", "", "w_2024_12"])
def test_plver_of_another_program_means_todays_codes(survey, plver):
    codes = np.zeros(SHAPE, np.int32)
    codes[60, 40] = 5  # a cosmic ray; ignored in files before version 4.8.0
    assert read(survey, survey.add_ccd(plver=plver, codes=codes)).dq[60, 40] == DQ["cr"]


@pytest.mark.parametrize(
    ("columns", "header", "name", "value"),
    [
        ({"fwhm": np.nan}, {"FWHM": 3.3}, "fwhm", 3.3),
        ({"exptime": np.nan}, {"EXPTIME": 55.0}, "exptime", 55.0),
        ({"mjd_obs": np.nan}, {"MJD-OBS": 57000.25}, "mjd_obs", 57000.25),
        ({"mjd_obs": np.nan}, {"DATE-OBS": "2014-12-09T06:00:00"}, "mjd_obs", 57000.25),
    ],
)
def test_headers_stand_in_for_the_table(survey, columns, header, name, value):
    tim = read(survey, survey.add_ccd(**columns, header=header))
    assert getattr(tim.ccd, name) == pytest.approx(value, abs=1e-9)


def test_the_table_stands_in_for_the_header(survey):
    tim = read(survey, survey.add_ccd(header={"FWHM": "unknown"}))
    assert tim.psf_fwhm == pytest.approx(1.6 * 2.35)


def test_seeing_in_the_primary_header(survey):
    tim = read(survey, survey.add_ccd(primary={"FWHM": 3.1}, header={"FWHM": "NaN"}, fwhm=np.nan))
    assert tim.psf_fwhm == tim.ccd.fwhm == 3.1


def test_header_that_puts_the_image_elsewhere(survey):
    row = survey.add_ccd(header={"CRVAL1": 330.0})
    with pytest.raises(InputError, match="its header puts it .* degrees from where the CCD table does"):
        read(survey, row, TARGET)


def test_decam_s17(survey):
    image = ccd_image(survey, {**survey.add_ccd(ccdname="S17"), "width": 2046, "height": 4094})
    region = Region(530, 560, 3880, 3900)
    dq = image.remap_dq(np.zeros((20, 30), np.int32), "V4.8.2", region)
    expected = np.zeros((20, 30), bool)
    expected[:9, 8:14] = True
    np.testing.assert_array_equal(dq == DQ["badpix"], expected)
    assert not image.remap_dq(np.zeros((20, 30), np.int32), "V4.8.2", Region(0, 30, 0, 20)).any()


@pytest.mark.parametrize(
    "ccdname, plver, flagged", [("S19", "V4.8.2", True), ("S19", "V4.9.0", False), ("S20", "V4.8.2", False)]
)
def test_decam_s19_saturation(survey, ccdname, plver, flagged):
    image = np.full(SHAPE, SKY)
    image[60, 40:43] = [46001.0, 45999.0, 50000.0]
    weight = np.full(SHAPE, NOISE**-2, np.float32)
    weight[60, 42] = 0
    tim = read(survey, survey.add_ccd(ccdname=ccdname, image=image, weight=weight, plver=plver))
    assert tim.dq[60, 40:43].tolist() == [DQ["satur"] if flagged else 0, 0, 0]
    assert (tim.inverr[60, 40] == 0) == flagged and tim.inverr[60, 41] > 0


@pytest.mark.parametrize(
    "ccdname, band, expnum, expected",
    [
        ("N4", "r", 298251, (0, 2046, 0, 4094)),
        ("N4", "r", 298250, (0, 2046, 100, 4094)),
        ("S4", "r", 298250, (0, 2046, 0, 3994)),
        ("S4", "g", 298250, (0, 2046, 0, 4094)),
        ("S7", "z", 400000, (0, 1023, 0, 4094)),
        ("S7", "r", 1000, (0, 1023, 0, 3994)),
    ],
)
def test_decam_good_region(survey, ccdname, band, expnum, expected):
    row = {**survey.add_ccd(ccdname=ccdname, band=band, expnum=expnum), "width": 2046, "height": 4094}
    assert ccd_image(survey, row).good_region() == expected


def test_decam_good_region_cuts_the_tim(survey):
    tim = read(survey, survey.add_ccd(expnum=1000, shape=(300, 100)), target_wcs(RA, DEC, 60, 260, 0.262))
    assert tim.y0 == 100 and tim.shape == (181, 61)


@pytest.mark.parametrize("frame", [0, 1])
def test_decam_weight_map_with_a_frame(survey, frame):
    weight = np.full((SHAPE[0] + 2 * frame, SHAPE[1] + 2 * frame), NOISE**-2, np.float32)
    weight[60 + frame, 40 + frame] = 0
    tim = read(survey, survey.add_ccd(weight=weight), TARGET)
    assert np.argwhere(tim.inverr == 0).tolist() == [[60 - 30, 40 - 20]]


def test_decam_weight_map_of_another_shape(survey):
    with pytest.raises(InputError, match=r"_oow_.*shape is \(121, 100\)"):
        read(survey, survey.add_ccd(weight=np.ones((121, 100))))


def test_decam_glitches_in_the_weights(survey):
    weight = np.full(SHAPE, NOISE**-2, np.float32)
    weight[60, 40] = 1000.0
    row = survey.add_ccd(weight=weight, sig1=NOISE / 1000.0)
    tim = read(survey, row)
    assert tim.inverr[60, 40] == pytest.approx(1000.0 / NOISE, rel=1e-5)


def test_decam_zero_point(survey):
    image = ccd_image(survey, survey.add_ccd(exptime=np.float32(90.3)))
    assert image.zeropoint() == 25.0 + 2.5 * float(np.log10(np.float32(90.3)))
    assert image.has_halos and not ccd_image(survey, survey.add_ccd(expnum=2, camera="decam+noise")).has_halos


@pytest.mark.parametrize(
    "band, ccdname, expected", [("g", "N14", True), ("z", "N14", False), ("z", "S30", True), ("r", "N4", False)]
)
def test_decam_sky_jumps(survey, band, ccdname, expected):
    assert ccd_image(survey, survey.add_ccd(ccdname=ccdname, band=band)).has_sky_jump() is expected


def test_decam_sky_template(survey, tmp_path, monkeypatch):
    row = survey.add_ccd()
    plain = read(survey, row, TARGET)
    folder = tmp_path / "templates"
    (folder / "sky_templates").mkdir(parents=True)
    scales = {
        "expnum": [row["expnum"]],
        "ccdname": ["N4"],
        "run": [3],
        "skyscale": [0.5],
        "plprocid": [row["plprocid"]],
    }
    write_table(folder / "sky-scales.kd.fits", scales)
    pattern = np.arange(SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE) / 1000
    with fitsio.FITS(str(folder / "sky_templates/sky_template_r_3.fits"), "rw") as f:
        f.write(None)
        f.write(pattern, extname="N4")
    monkeypatch.setenv("SKY_TEMPLATE_DIR", str(folder))
    survey.write_sky(row, templ_ver=-1, templ_run=3, templ_scale=np.float32(0.5))
    tim = read(survey, row, TARGET)
    difference = (plain.image - tim.image) * tim.zpscale
    np.testing.assert_allclose(difference, 0.5 * pattern[30:91, 20:81], atol=1e-4)


# --- 90Prime and Mosaic-3


def count_rate_ccd(survey, camera="mosaic", ccdname="CCD3", band="z", **changes):
    header = {"FWHM": None, "SEEINGP1": 3.76}
    settings = {"primary": {"SKYADU": SKY, "EXPTIME": 50.0}, "header": header, "mjd_obs": 57466.0, "ccdzpt": 26.0}
    return survey.add_ccd(camera=camera, ccdname=ccdname, band=band, **{**settings, **changes})


def test_mosaic(survey):
    image = np.full(SHAPE, SKY, np.float32)
    image[60, 40] = SKY + 2000.0
    codes = np.zeros(SHAPE, np.int32)
    codes[60, 41:44] = [7, 8, 5]
    tim = read(survey, count_rate_ccd(survey, image=image, codes=codes))
    zpscale = 10 ** ((26.0 - 22.5) / 2.5)
    scale = 10 ** (0.4 * -0.00586)
    assert tim.zpscale == pytest.approx(zpscale)
    assert tim.image[60, 40] == pytest.approx(2000 / zpscale * scale, rel=1e-5)
    sigma = np.sqrt(NOISE**2 + 2000 / 50.0) / zpscale * scale
    assert tim.inverr[60, 40] == pytest.approx(1 / sigma, rel=1e-4)
    assert tim.inverr[10, 10] == pytest.approx(zpscale / scale / NOISE, rel=1e-4)
    assert tim.dq[60, 41:44].tolist() == [0, 0, DQ["cr"]]
    assert tim.psf_fwhm == pytest.approx(3.76)


def test_amplifiers_within_a_tim(survey, tmp_path):
    columns = {"camera": ["mosaic"] * 2, "filter": ["z"] * 2, "ccdname": ["CCD3"] * 2, "mjd_start": [-np.inf] * 2}
    columns |= {"mjd_end": [np.inf] * 2, "dzp": [0.1, -0.1], "xlo": [0, 50], "xhi": [50, 5000]}
    columns |= {"ylo": [0, 0], "yhi": [5000, 5000]}
    (tmp_path / "data").mkdir()
    write_table(tmp_path / "data/ampcorrections.fits", columns)
    row = count_rate_ccd(survey, image=np.full(SHAPE, SKY + 10.0))
    survey_dir = SurveyDirectory(survey.root, data_dir=tmp_path / "data")
    tim = camera_class("mosaic")(row, survey_dir, survey.options()).read_tim(TARGET)
    assert tim.x0 == 20
    np.testing.assert_allclose(tim.image[0, :30], 10 / tim.zpscale * 10**0.04, rtol=1e-5)
    np.testing.assert_allclose(tim.image[0, 30:], 10 / tim.zpscale * 10**-0.04, rtol=1e-5)


@pytest.mark.parametrize(
    "primary", [{"EXPTIME": 50.0}, {"SKYADU": "x", "EXPTIME": 50.0}, {"SKYADU": 1.0, "EXPTIME": 0.0}]
)
def test_mosaic_without_sky_or_exposure_time(survey, primary):
    with pytest.raises(InputError, match="SKYADU|EXPTIME"):
        read(survey, count_rate_ccd(survey, primary=primary))


def test_seeing_from_fwhm_first(survey):
    assert read(survey, count_rate_ccd(survey, header={"FWHM": 3.0, "SEEINGP1": 4.0})).psf_fwhm == 3.0
    tim = read(survey, count_rate_ccd(survey, expnum=2, header={"FWHM": "NaN", "SEEINGP1": 4.0}))
    assert tim.psf_fwhm == 4.0


def test_bok_static_mask(survey):
    codes = np.zeros(SHAPE, np.int32)
    codes[60, 5] = 3
    codes[60, 6:8] = 7
    row = count_rate_ccd(survey, camera="90prime", ccdname="CCD1", band="g", codes=codes)
    image = ccd_image(survey, row)
    dq = image.remap_dq(codes, "V2.3", Region(0, 100, 0, 120))
    # Bad columns 0-9; flagged pixels keep their code, and a bad one beside a saturated one is saturated.
    assert (dq[:50, :10] == DQ["badpix"]).all() and not dq[:, 10:].any()
    assert dq[60, 4:9].tolist() == [DQ["satur"], DQ["satur"], 0, 0, DQ["badpix"]]
    tim = image.read_tim()
    assert tim.x0 in (6, 7, 10) and tim.ccd.camera == "90prime"


# --- missing calibrations


def test_missing_psf(survey, monkeypatch):
    monkeypatch.setenv("PATH", "")
    row = survey.add_ccd(psf=False)
    with pytest.raises(CalibrationError, match="no PSF model.*psfex is needed"):
        read(survey, row)
    with pytest.raises(CalibrationError, match="no PSF model.*--skip-calibs"):
        read(survey, row, skip_calibs=True)


def test_made_psf_is_kept(survey, monkeypatch):
    from legacypipe_lite.cameras import calibrations

    made = []

    def fake(image, dq, recipe, catalog, header):
        made.append((image.shape, dq.shape, recipe.size))
        stamp = gaussian_stamp(sigma=2.0)[np.newaxis]
        base = {"psf_mask": stamp, "psfaxis1": 25, "psfaxis2": 25, "poldeg1": 0, "psf_fwhm": 4.7, "psf_samp": 1.0}
        return {**base, "polzero1": 0.0, "polscal1": 1.0, "polzero2": 0.0, "polscal2": 1.0}

    monkeypatch.setattr(calibrations, "make_psf", fake)
    row = survey.add_ccd(psf=False)
    first = read(survey, row)
    second = read(survey, row)
    assert made == [(SHAPE, SHAPE, 63)]
    assert first.psfnorm == second.psfnorm and first.psf.gaussian_sigma == pytest.approx(2.0)
    assert first.psfver == second.psfver and first.psfver[1] == "V4.8.2a" and "legacypipe_lite" in first.psfver[0]


def scene(ccd_field):
    assert ccd_field.shape == SHAPE and ccd_field.band == "r" and ccd_field.ccd.ccdname == "N4"
    light = np.zeros(SHAPE, np.float32)
    light[:, 50:] = 0.01
    return SkyScene(light=light, halos=True)


def test_missing_sky(survey):
    row = survey.add_ccd(sky=False)
    with pytest.raises(CalibrationError, match="no sky model.*without reference catalogues"):
        read(survey, row)
    with pytest.raises(CalibrationError, match="no sky model.*--skip-calibs"):
        read(survey, row, scene=scene, skip_calibs=True)


def test_made_sky_is_kept(survey):
    rng = np.random.default_rng(1)
    zpscale = 10 ** ((30.0 - 22.5) / 2.5)
    image = SKY + NOISE * rng.normal(size=SHAPE) + np.where(np.arange(100) >= 50, 0.01 * zpscale, 0.0)
    row = survey.add_ccd(sky=False, image=image)
    first = read(survey, row, scene=scene)
    second = read(survey, row)  # from the file
    np.testing.assert_array_equal(first.image, second.image)
    assert first.skyver == second.skyver and first.midsky == second.midsky == pytest.approx(SKY, abs=0.5)
    # The light of the scene is not sky: it stays in the image.
    assert np.median(first.image[:, 60:]) - np.median(first.image[:, :40]) == pytest.approx(0.01, abs=0.003)
    kept = SurveyDirectory(survey.root).single_calibration_file("sky", row["image_filename"], "N4")
    table = fitsio.read(str(kept))
    assert table["halo_zpt"][0] == pytest.approx(30.0) and table["gridvals"].shape == (1, 9, 8)


def test_constant_sky_on_request(survey):
    row = survey.add_ccd(sky=False)
    tim = read(survey, row, scene=lambda ccd_field: SkyScene(), no_splinesky=True)
    assert tim.midsky == pytest.approx(SKY, abs=0.3)
    kept = SurveyDirectory(survey.root).single_calibration_file("sky", row["image_filename"], "N4")
    assert fitsio.read(str(kept))["skyclass"][0].strip() in ("tractor.sky.ConstantSky", b"tractor.sky.ConstantSky")


def test_sky_of_a_good_region(survey):
    row = survey.add_ccd(sky=False, expnum=1000, shape=(300, 100))
    fields = []

    def note(ccd_field):
        fields.append((ccd_field.x0, ccd_field.y0, ccd_field.shape))
        return SkyScene()

    first = read(survey, row, scene=note)
    second = read(survey, row)
    assert fields == [(0, 100, (200, 100))] and first.y0 == 100
    np.testing.assert_array_equal(first.image, second.image)


def test_calibration_of_another_version_is_replaced(survey):
    row = survey.add_ccd()
    survey.write_sky(row, plver="V1.0", value=0.0)
    tim = read(survey, row, scene=lambda ccd_field: SkyScene())
    assert tim.midsky == pytest.approx(SKY, abs=0.5)


def test_survey_directory_that_cannot_be_written_to(survey, caplog):
    row = survey.add_ccd(sky=False)
    (survey.root / "calib/sky-single").parent.mkdir(parents=True, exist_ok=True)
    (survey.root / "calib/sky-single").write_text("in the way")
    tim = read(survey, row, scene=lambda ccd_field: SkyScene())
    assert tim.midsky == pytest.approx(SKY, abs=0.5) and "for this run only" in caplog.text


# --- a camera of the user's own


def test_own_camera(survey):
    class Mine(DecamImage):
        def zeropoint(self):
            return 22.5

        def dq_filename(self):
            return self.image_filename.replace("_ooi_", "_ood_")

        def remap_dq(self, codes, plver, region):
            return np.where(codes == 99, DQ["cr"], 0).astype(np.uint16)

    codes = np.zeros(SHAPE, np.int32)
    codes[60, 40] = 99
    row = survey.add_ccd(codes=codes, sig1=NOISE)
    tim = Mine(row, SurveyDirectory(survey.root), survey.options()).read_tim(TARGET)
    assert tim.zpscale == 1.0 and tim.dq[30, 20] == DQ["cr"]
    assert np.std(tim.image) == pytest.approx(NOISE, rel=0.05)
