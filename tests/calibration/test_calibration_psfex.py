import math

import fitsio
import numpy as np
import pytest
from synthetic_ccds import gaussian_stamp, write_row_table

from legacypipe_lite.calibration import ImageIdentity, read_psf
from legacypipe_lite.calibration.psfex import psf_from_row, row_from_psfex_file
from legacypipe_lite.errors import CalibrationError, InputError
from legacypipe_lite.models.norms import psf_norm
from legacypipe_lite.survey import SurveyDirectory

IMAGE = ImageIdentity(17, "N4", "V4.8.2a", "9500000")


def row(degree=0, pad=0, **changes):
    """Table row of a Gaussian PSF; terms beyond the first are small multiples of it."""
    stamp = gaussian_stamp(21, 2.0)
    n = (degree + 1) * (degree + 2) // 2
    mask = np.zeros((n + pad, 21 + pad, 21 + pad), np.float32)
    mask[:n, :21, :21] = stamp * np.array([1.0] + [0.01 * (k + 1) for k in range(n - 1)])[:, None, None]
    base = {
        "psf_mask": mask,
        "poldeg1": degree,
        "polnaxis": 2,
        "polngrp": 1,
        "polgrp1": 1,
        "polgrp2": 1,
        "polname1": "X_IMAGE",
        "polname2": "Y_IMAGE",
        "psfaxis1": 21,
        "psfaxis2": 21,
        "psfaxis3": n,
        "polzero1": 1000.0,
        "polscal1": 2000.0,
        "polzero2": 2000.0,
        "polscal2": 4000.0,
        "psf_samp": 1.0,
        "psf_fwhm": 4.7,
    }
    return {**base, **changes}


def identity(**changes):
    return {"expnum": 17, "ccdname": "N4", "plver": "V4.8.2a", "plprocid": "9500000", "legpipev": "dr9", **changes}


def test_constant_gaussian():
    psf = psf_from_row(row(), "x.fits")
    assert psf.gaussian_sigma == pytest.approx(2.0)
    np.testing.assert_array_equal(psf.stamp(0, 0), psf.stamp(500, 800))
    assert psf_norm(psf.stamp(0, 0)) == pytest.approx(1 / (2 * math.sqrt(math.pi) * 2.0), rel=1e-5)
    assert psf.moffat is None


def test_order_of_the_polynomial_terms():
    psf = psf_from_row(row(degree=2), "x.fits", normalize=False)
    x, y = 1500.0, 3000.0
    u, v = 0.25, 0.25
    factor = 1 + 0.01 * (1 * u + 2 * u**2 + 3 * v + 4 * u * v + 5 * v**2)
    np.testing.assert_allclose(psf.stamp(x, y), gaussian_stamp(21, 2.0) * factor, rtol=1e-5)
    shifted = psf.subimage(1400, 2900)
    np.testing.assert_array_equal(shifted.stamp(100, 100), psf.stamp(x, y))


def test_normalisation():
    assert psf_from_row(row(degree=1), "x").stamp(1500, 3000).sum() == pytest.approx(1, abs=1e-6)
    assert psf_from_row(row(degree=1), "x", normalize=False).stamp(1500, 3000).sum() != pytest.approx(1, abs=1e-4)


def test_padding_of_merged_files_is_cut():
    padded = psf_from_row(row(degree=2, pad=4), "x")
    np.testing.assert_array_equal(padded.basis, psf_from_row(row(degree=2), "x").basis)


def test_sampling(caplog):
    assert psf_from_row(row(psf_samp=0.0), "x").sampling == 1.0
    assert "PSF_SAMP is 0" in caplog.text
    fine = psf_from_row(row(psf_samp=0.5, psf_fwhm=2.35), "x")  # pixels of half an image pixel
    stamp = fine.stamp(10, 10)
    assert stamp.sum() == pytest.approx(1, abs=1e-6) and stamp.shape == fine.stamp_shape == (11, 11)
    np.testing.assert_allclose(stamp, gaussian_stamp(11, 1.0), atol=2e-4)


def test_moffat():
    assert psf_from_row(row(moffat_alpha=0.44, moffat_beta=1.95), "x").moffat == (0.44, 1.95)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"polname1": "MAG", "degree": 1}, "polname1"),
        ({"polgrp2": 2, "degree": 1}, "polgrp2"),
        ({"psf_mask": np.full((1, 21, 21), np.nan)}, "not finite"),
        ({"psf_mask": np.zeros((1, 21, 21))}, "all zero"),
        ({"psfaxis1": 25}, "shape"),
        ({"psf_fwhm": "x"}, "psf_fwhm is x, but must be a finite number"),
        ({"psf_fwhm": np.nan}, "psf_fwhm is nan"),
        ({"polscal2": 0.0}, "POLSCAL"),
        ({"psf_samp": -1.0}, "psf_samp is -1"),
        ({"psf_samp": 1e6}, "psf_samp is 1e.06 image pixels, but must be 0.05 to 10"),
        ({"psf_samp": 0.4}, "FWHM of 4.71 of its pixels, but 11.8 is stated"),
        ({"psf_samp": 2.2}, "FWHM of 4.71 of its pixels, but 2.14 is stated"),
        ({"psf_mask": np.ones((1, 21, 21))}, "FWHM of 13.9"),
        ({"psf_mask": np.random.default_rng(1).normal(size=(1, 21, 21))}, "no image of a star"),
        ({"psf_mask": np.random.default_rng(1).uniform(size=(1, 21, 21))}, "FWHM of 12"),
        ({"psf_mask": -gaussian_stamp(21, 2.0)[np.newaxis]}, "no image of a star"),
        ({"psf_mask": np.roll(gaussian_stamp(21, 2.0), 6, 1)[np.newaxis]}, "its peak is 6.0 pixels from its centre"),
        ({"psf_mask": np.array(["x"])}, "psf_mask"),
        ({"poldeg1": -1}, "poldeg1 is -1"),
        ({"poldeg1": 1e9}, "poldeg1 is 1000000000"),
        ({"poldeg1": 1.5}, "poldeg1 is 1.5"),
        ({"degree": 2, "poldeg1": 1}, "psf_mask has 6 stamps, but a polynomial of degree poldeg1 1 only 3 terms"),
        ({"moffat_alpha": np.nan, "moffat_beta": 2.0}, "moffat_alpha is nan"),
        ({"moffat_alpha": 1.0, "moffat_beta": -2.0}, "moffat_alpha, moffat_beta"),
        ({"psfaxis1": 0}, "shape"),
        ({"psf_fwhm": 1e30}, "FWHM 1e.30"),
    ],
)
def test_unusable(changes, message):
    with pytest.raises(CalibrationError, match=message):
        psf_from_row(row(**changes), "x.fits")


def test_windowed_coordinates_are_pixels():
    windowed = psf_from_row(row(degree=2, polname1="XWIN_IMAGE", polname2="YWIN_IMAGE"), "x.fits")
    np.testing.assert_array_equal(windowed.stamp(100, 900), psf_from_row(row(degree=2), "x.fits").stamp(100, 900))


def test_moffat_of_zeros_is_none():
    assert psf_from_row(row(moffat_alpha=0.0, moffat_beta=0.0), "x").moffat is None


def test_good_file_behind_a_bad_one(tmp_path, caplog):
    first, second = tmp_path / "merged.fits", tmp_path / "single.fits"
    write_row_table(first, row(psf_fwhm=np.nan) | identity())
    write_row_table(second, row() | identity())
    assert read_psf([first, second], IMAGE)[0].gaussian_sigma == pytest.approx(2.0)
    assert "psf_fwhm is nan" in caplog.text and f"using {second} instead" in caplog.text


def test_missing_column():
    incomplete = row()
    del incomplete["polzero2"]
    with pytest.raises(CalibrationError, match="x.fits.*polzero2"):
        psf_from_row(incomplete, "x.fits")


def test_search_order_and_version(tmp_path):
    first, second = tmp_path / "merged.fits", tmp_path / "single.fits"
    write_row_table(second, row(psf_fwhm=4.7) | identity())
    psf, version = read_psf([first, second], IMAGE)
    assert psf.gaussian_sigma == pytest.approx(2.0) and version == ("dr9", "V4.8.2a")
    write_row_table(first, row(psf_fwhm=4.23) | identity(legpipev="dr10"))
    psf, version = read_psf([first, second], IMAGE)
    assert psf.gaussian_sigma == pytest.approx(1.8) and version[0] == "dr10"
    with pytest.raises(CalibrationError, match="no PSF model of 17 S1: looked for .*merged.fits"):
        read_psf([first, second], ImageIdentity(17, "S1"))


def write_raw(path, degree=2, **changes):
    """A file as PsfEx itself writes it."""
    source = row(degree)
    header = {
        "POLNAXIS": 2,
        "POLNGRP": 1,
        "POLGRP1": 1,
        "POLGRP2": 1,
        "POLNAME1": "X_IMAGE",
        "POLNAME2": "Y_IMAGE",
        "POLZERO1": 1000.0,
        "POLZERO2": 2000.0,
        "POLSCAL1": 2000.0,
        "POLSCAL2": 4000.0,
        "POLDEG1": degree,
        "PSF_SAMP": 1.0,
        "PSF_FWHM": 4.7,
        "LOADED": 100,
        **changes,
    }
    table = np.zeros(1, [("PSF_MASK", "f4", source["psf_mask"].shape)])
    table["PSF_MASK"][0] = source["psf_mask"]
    fitsio.write(str(path), table, header={k: v for k, v in header.items() if v is not None}, clobber=True)
    return path


def test_raw_psfex_file(tmp_path, caplog):
    path = write_raw(tmp_path / "x-N4-psfex.fits")
    psf, version = read_psf([path], IMAGE)
    expected = psf_from_row(row(degree=2), "x")
    np.testing.assert_array_equal(psf.stamp(30, 40), expected.stamp(30, 40))
    assert version == ("", "") and "cannot be checked" in caplog.text


def test_raw_file_must_be_of_the_ccd(tmp_path):
    with pytest.raises(CalibrationError, match="no PSF model"):
        read_psf([write_raw(tmp_path / "x-N5-psfex.fits"), write_raw(tmp_path / "x-psfex.fits")], IMAGE)


def test_raw_file_of_a_constant_psf(tmp_path):
    path = write_raw(tmp_path / "x-N4-psfex.fits", degree=0, POLNAXIS=0, POLNAME1=None, POLZERO1=None, POLDEG1=None)
    found = row_from_psfex_file(path)
    assert found["poldeg1"] == 0 and found["polscal1"] == 1.0 and found["polname1"] == "X_IMAGE"
    assert psf_from_row(found, path).is_constant


def test_raw_file_without_cards(tmp_path):
    with pytest.raises(CalibrationError, match="no header card PSF_FWHM"):
        row_from_psfex_file(write_raw(tmp_path / "x-N4-psfex.fits", PSF_FWHM=None))


def test_table_that_is_no_raw_file(tmp_path):
    write_row_table(tmp_path / "x-N4-psfex.fits", {"a": 1})
    assert row_from_psfex_file(tmp_path / "x-N4-psfex.fits") is None
    (tmp_path / "y-N4-psfex.fits").write_text("junk")
    with pytest.raises(InputError, match="y-N4"):
        row_from_psfex_file(tmp_path / "y-N4-psfex.fits")


def test_raw_and_merged_files_of_the_survey_agree(testdata):
    survey = SurveyDirectory(testdata / "realdata/mzlsbass2")
    image = "90prime/CP/V2.3/CP20170429/ksb_170430_055945_ooi_r_ls9.CCD4.fits"
    merged, single, _ = survey.calibration_files("psf", image, "CCD4")
    identity = ImageIdentity(78730103, "CCD4", "V2.3", "957d70d")
    from_merged, _ = read_psf([merged], identity)
    from_raw, _ = read_psf([single], identity)
    np.testing.assert_allclose(from_raw.stamp(30, 40), from_merged.stamp(30, 40), atol=1e-6)
