import os
import stat
import sys

import numpy as np
import pytest

from legacypipe_lite.calibration import BOK_RECIPE, STANDARD_RECIPE, make_psf
from legacypipe_lite.calibration.psfex import psf_from_row
from legacypipe_lite.errors import CalibrationError

# Stand-ins for the two programs: they check what they are given and write files of the right form.
SEXTRACTOR = """
import pathlib, sys, fitsio, numpy as np
settings = dict(line.split(None, 1) for line in pathlib.Path(sys.argv[2]).read_text().splitlines())
assert sys.argv[1] == "-c" and settings["CATALOG_TYPE"] == "FITS_LDAC"
image, dq = fitsio.read(sys.argv[3]), fitsio.read(settings["FLAG_IMAGE"])
header = fitsio.read_header(sys.argv[3])
assert settings["GAIN_KEY"].strip() == "NONE" or header["GAIN"] == 1.7
assert "UNRELATED" not in header
assert image.shape == dq.shape and image.dtype == np.float32
columns = pathlib.Path(settings["PARAMETERS_NAME"]).read_text().split()
kernel = pathlib.Path(settings["FILTER_NAME"]).read_text().splitlines()
assert kernel[0] == "CONV NORM" and len(kernel) == len(kernel[1].split()) + 1
pathlib.Path(settings["CATALOG_NAME"]).write_text(f"{columns[-1]} {settings['DEBLEND_NTHRESH']} {image.sum():.0f}")
"""
PSFEX = """
import pathlib, sys, fitsio, numpy as np
settings = dict(line.split(None, 1) for line in pathlib.Path(sys.argv[2]).read_text().splitlines())
catalog = pathlib.Path(sys.argv[3])
n = int(settings["PSF_SIZE"].split(",")[0])
assert f"VIGNET({n},{n})" in catalog.read_text()
r = np.arange(n) - n // 2
g = np.exp(-0.5 * (r / 2.0) ** 2)
table = np.zeros(1, [("PSF_MASK", "f4", (3, n, n))])
table["PSF_MASK"][0, 0] = np.outer(g, g)
header = dict(POLNAXIS=2, POLNGRP=1, POLGRP1=1, POLGRP2=1, POLNAME1="X_IMAGE", POLNAME2="Y_IMAGE", POLZERO1=50.0,
    POLZERO2=60.0, POLSCAL1=100.0, POLSCAL2=120.0, POLDEG1=1, PSF_SAMP=1.0, PSF_FWHM=4.7, LOADED=9, ACCEPTED=8)
path = pathlib.Path(settings["PSF_DIR"].strip()) / (catalog.stem + settings["PSF_SUFFIX"].strip())
fitsio.write(str(path), table, header=header)
"""
FAILING = "import sys; sys.stderr.write('starting\\nno stars found\\n'); sys.exit(3)"
SILENT = ""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Puts stand-ins on the PATH, alone."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(**scripts):
        for name, text in scripts.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!{sys.executable}\n{text}")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return install


IMAGE = np.ones((120, 100), np.float32)
DQ = np.zeros((120, 100), np.int32)


@pytest.mark.parametrize("name", ["source_extractor", "sex"])
@pytest.mark.parametrize("recipe, size, deblend", [(STANDARD_RECIPE, 63, 64), (BOK_RECIPE, 31, 32)])
def test_both_programs(programs, name, recipe, size, deblend, tmp_path):
    programs(**{name: SEXTRACTOR, "psfex": PSFEX})
    row = make_psf(IMAGE, DQ, recipe, header={"GAIN": 1.7, "UNRELATED": 3})
    assert row["psf_mask"].shape == (3, size, size) and row["poldeg1"] == 1 and row["accepted"] == 8
    psf = psf_from_row(row, "x")
    assert psf.gaussian_sigma == pytest.approx(2.0) and psf.stamp(0, 0).sum() == pytest.approx(1, abs=1e-6)


def test_existing_catalogue_is_used(programs, tmp_path):
    programs(psfex=PSFEX)
    catalog = tmp_path / "x-N4-se.fits"
    catalog.write_text("VIGNET(63,63)")
    assert make_psf(IMAGE, DQ, catalog=catalog)["psf_fwhm"] == 4.7
    with pytest.raises(CalibrationError, match="source-extractor or sex"):
        make_psf(IMAGE, DQ, catalog=tmp_path / "none.fits")


def test_programs_that_are_not_installed(programs):
    with pytest.raises(CalibrationError, match=r"program psfex is needed.*Debian packages source-extractor and psfex"):
        make_psf(IMAGE, DQ)


@pytest.mark.parametrize(
    "sextractor, psfex, message",
    [
        (FAILING, PSFEX, "sex failed with status 3: no stars found"),
        (SILENT, PSFEX, "sex made no catalogue"),
        (SEXTRACTOR, FAILING, "psfex failed with status 3: no stars found"),
        (SEXTRACTOR, SILENT, "psfex made no PSF model"),
        (SEXTRACTOR, PSFEX.replace("np.outer(g, g)", "np.nan"), "no usable PSF model"),
    ],
)
def test_programs_that_fail(programs, sextractor, psfex, message):
    programs(sex=sextractor, psfex=psfex)
    with pytest.raises(CalibrationError, match=message):
        make_psf(IMAGE, DQ)


def test_program_that_cannot_be_run(programs, tmp_path):
    programs(sex=SEXTRACTOR, psfex=PSFEX)
    (tmp_path / "bin/sex").write_text("#!/does/not/exist\n")
    with pytest.raises(CalibrationError, match="sex cannot be run"):
        make_psf(IMAGE, DQ)


def test_temporary_files_are_removed(programs, tmp_path, monkeypatch):
    import tempfile

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    programs(sex=SEXTRACTOR, psfex=PSFEX)
    make_psf(IMAGE, DQ)
    assert os.listdir(scratch) == []
