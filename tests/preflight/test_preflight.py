"""A look at the inputs of a brick: what it finds on images that were spoilt on purpose."""

import fitsio
import numpy as np
import pytest
from astropy.table import Table
from synthetic_ccds import BRICK, NOISE, PIXSCALE, SKY, SyntheticSurvey

from legacypipe_lite.cli.main import main
from legacypipe_lite.errors import NoSuchBrickError
from legacypipe_lite.preflight import check_brick, checksum_findings
from legacypipe_lite.preflight.stars import astrometry_findings
from legacypipe_lite.tables import verify_checksums

SHAPE = (120, 100)
ZEROPOINT = 28.9


@pytest.fixture
def survey(tmp_path, monkeypatch):
    for name in ("GAIA_CAT_DIR", "LARGEGALAXIES_CAT", "SKY_TEMPLATE_DIR", "LEGACYPIPE_DATA_DIR", "TYCHO2_KD_DIR"):
        monkeypatch.delenv(name, raising=False)
    survey = SyntheticSurvey(tmp_path / "survey")
    # With this zero point the sky is as dark as it is in r.
    survey.good = {"sig1": NOISE / flux_scale(), "ccdzpt": ZEROPOINT, "exptime": 1.0}
    return survey


def flux_scale():
    return 10 ** ((ZEROPOINT - 22.5) / 2.5)


def look(survey, **options):
    options = {"bands": ("r",), "gaia": False, "wise": False, "outdir": str(survey.root / "out"), **options}
    return check_brick(survey.write().options(**options))


def texts(check, kind):
    return [finding.text for finding in check.findings if finding.kind == kind]


def test_good_inputs(survey):
    survey.add_ccd(**survey.good)
    check = look(survey)
    assert check.name == BRICK and check.bands == {"r": 1} and [f.fate for f in check.fates] == ["used"]
    assert {finding.kind for finding in check.findings} <= {"absent"}
    assert check.prediction.seconds > 0 and check.prediction.memory > 1e8 and check.n_sources > 0
    assert not (survey.root / "out").exists()


def noise(scale=1.0):
    return SKY + scale * NOISE * np.random.default_rng(7).normal(size=SHAPE)


def flat_star():
    image = noise()
    image[56:64, 46:54] = 30000.0
    return image


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"image": noise(3.0)}, "scatter by 3"),
        ({"sig1": 0.003}, "sig1 of the CCD table is 0.003 nanomaggies, the weights say 0.013"),
        ({"ccdzpt": 33.9, "sig1": NOISE / flux_scale() / 100}, "the sky has 26.0 mag per square arcsec"),
        ({"image": flat_star()}, "flat over 64 pixels and not flagged"),
        ({"fwhm": 6.0}, "3.76 pixels in its header, 6.00 in the CCD table"),
        ({"header": {"FWHM": 1.2}, "fwhm": 1.2}, "undersampled"),
        ({"header": {"FWHM": 7.0}, "fwhm": 7.0}, "its PSF model has a FWHM of 3"),
    ],
)
def test_what_looks_wrong(survey, changes, text):
    survey.add_ccd(**{**survey.good, **changes})
    check = look(survey)
    assert any(text in found for found in texts(check, "odd")), check.findings
    assert check.bands == {"r": 1}


def test_what_would_be_left_out_or_made(survey):
    survey.add_ccd(expnum=400001, **survey.good)
    survey.add_ccd(expnum=400002, **{**survey.good, "ccdzpt": 0.0})
    survey.add_ccd(expnum=400003, sky=False, **survey.good)
    survey.add_ccd(expnum=400004, band="Y", **survey.good)
    check = look(survey, bands=("r", "z"))
    assert [f.fate for f in check.fates] == ["used", "dropped", "used", "not asked for"]
    assert any("ccdzpt is 0" in text for text in texts(check, "lost"))
    assert ("band z", "no image can be used") in [(f.about, f.text) for f in check.findings]
    assert any("a sky model: no sky model" in text for text in texts(check, "made"))
    assert texts(look(survey, bands=("r", "z"), require_bands=True), "error") == ["no image can be used"]
    lost = texts(look(survey, skip_calibs=True), "lost")
    assert any("no sky model" in text for text in lost)


def test_catalogues_that_are_missing(survey, monkeypatch, tmp_path):
    survey.add_ccd(**survey.good)
    assert any("GAIA_CAT_DIR is not set" in text for text in texts(look(survey, gaia=True), "error"))
    monkeypatch.setenv("GAIA_CAT_DIR", str(tmp_path))
    assert any("is missing: the folder holds no FITS file" in text for text in texts(look(survey, gaia=True), "error"))
    absent = texts(look(survey), "absent")
    assert any("tycho2.kd.fits" in text for text in absent) and any("LARGEGALAXIES_CAT" in text for text in absent)


def test_no_such_brick(survey):
    survey.add_ccd(**survey.good)
    with pytest.raises(NoSuchBrickError, match="did you mean 1500p200"):
        look(survey, brick="1500p201")


def test_checksums(survey, tmp_path):
    path = tmp_path / "a.fits"
    with fitsio.FITS(str(path), "rw", clobber=True) as fits:
        fits.write(np.arange(10000.0).reshape(100, 100))
        fits[0].write_checksum()
    verify_checksums(path)
    data = bytearray(path.read_bytes())
    data[4000] ^= 1
    path.write_bytes(bytes(data))
    (finding,) = checksum_findings([path, tmp_path / "none.fits"])
    assert finding.about == str(path) and "data checksum failed" in finding.text


def test_damaged_images_are_left_out_if_asked_for(survey):
    row = survey.add_ccd(expnum=400001, **survey.good)
    survey.add_ccd(expnum=400002, **survey.good)
    path = survey.path(row["image_filename"])
    with fitsio.FITS(str(path), "rw") as fits:
        fits[1].write_checksum()
    data = bytearray(path.read_bytes())
    data[-4000] ^= 1
    path.write_bytes(bytes(data))
    assert [f.fate for f in look(survey).fates] == ["used", "used"]
    check = look(survey, verify_inputs=True)
    assert [f.fate for f in check.fates] == ["dropped", "used"] and "checksum failed" in check.fates[0].reason


def star_field(survey, offset):
    """A tim with stars, and a catalogue of them that is `offset` arcsec off."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    places = rng.uniform(12, 88, size=(9, 2))
    image = noise()
    for sx, sy in places:
        image += 20000 * np.exp(-0.5 * ((x - sx) ** 2 + (y - sy) ** 2) / 1.6**2)
    survey.add_ccd(image=image, **survey.good)
    options = survey.write().options(bands=("r",), gaia=False, wise=False)
    from legacypipe_lite.cameras import camera_class
    from legacypipe_lite.survey import SurveyDirectory

    tim = camera_class("decam")(survey.rows[0], SurveyDirectory.from_options(options), options).read_tim()
    ra, dec = tim.wcs.pixel_to_sky(*places.T)
    stars = Table({"ra": ra, "dec": dec + offset / 3600, "mag": np.full(9, 15.0), "ref_epoch": np.full(9, 2016.0)})
    stars["pmra"] = stars["pmdec"] = 0.0
    return tim, stars


@pytest.mark.parametrize(("offset", "text"), [(0.0, ""), (0.1, ""), (4.0, "its stars are 4.0"), (13.0, "only")])
def test_positions_against_gaia(survey, offset, text):
    found = astrometry_findings("x", *star_field(survey, offset))
    assert [text in finding.text for finding in found] == ([True] if text else [])
    assert PIXSCALE < 0.3


def test_the_command(survey, capsys):
    survey.add_ccd(**survey.good)
    survey.write()
    arguments = ["--survey-dir", str(survey.root), "--outdir", str(survey.root / "out"), "--bands", "r", "--no-gaia"]
    arguments += ["--no-wise", "--width", "60", "--height", "60"]
    assert main(["check-inputs", "--brick", BRICK, *arguments]) == 0
    out = capsys.readouterr().out
    assert "CCDs near it: 1 used, 0 dropped" in out and "a run will take about" in out
    assert main(["check-inputs", "--all", *arguments]) == 0
    assert "1 bricks, 1 of them with images" in capsys.readouterr().out
    assert main(["check-inputs", "--region", "0", "10", "0", "10", *arguments]) == 0
    assert "0 bricks" in capsys.readouterr().out
    assert main(["check-inputs", "--brick", BRICK, *arguments, "--bands", "r,z"]) == 3
    assert main(["check-inputs", "--brick", "1500p999", *arguments]) == 255
    assert main(["check-inputs", "--all", "--brick", BRICK, *arguments]) == 1
    assert "give one of --brick, --radec, --region and --all" in capsys.readouterr().err
