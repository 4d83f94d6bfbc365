"""What happens when the input is wrong: one line that names the culprit, and the right exit status."""

import gzip
import shutil

import fitsio
import numpy as np
import pytest
from astropy.table import Table

from legacypipe_lite.cli.runbrick import main

BRICK = "1102p240"
ZOOM = ["--zoom", "500", "600", "650", "750"]
CCD = "c4d_181214_050844_ooi_g_ls9"


class Field:
    """A copy of a real survey directory that can be spoiled, and the command that runs on it."""

    def __init__(self, root, outdir, capsys):
        self.root, self.outdir, self.capsys = root, outdir, capsys

    def run(self, *extra, stage="tims", zoom=ZOOM, brick=BRICK):
        argv = ["--brick", brick, "--survey-dir", str(self.root), "--outdir", str(self.outdir), *zoom]
        status = main([*argv, "--no-wise", "--no-write", "--stage", stage, *extra])
        out, err = self.capsys.readouterr()
        return status, out, err

    def image(self, kind="ooi"):
        (path,) = self.root.glob(f"images/**/{CCD.replace('_ooi_', f'_{kind}_')}*")
        return path

    def table(self, change):
        """Rewrite the table of CCDs."""
        path = self.root / "survey-ccds-1.fits.gz"
        rows = Table(fitsio.read(str(path)))
        rows = change(rows)
        plain = path.with_suffix("")
        fitsio.write(str(plain), rows.as_array(), clobber=True)
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()


@pytest.fixture
def field(testdata, tmp_path, capsys, monkeypatch):
    root = tmp_path / "survey"
    shutil.copytree(testdata / "realdata" / "testcase6", root)
    for path in root.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    monkeypatch.setenv("GAIA_CAT_DIR", str(root / "gaia"))
    monkeypatch.setenv("GAIA_CAT_VER", "2")
    for variable in ("TYCHO2_KD_DIR", "LARGEGALAXIES_CAT", "LEGACYPIPE_DATA_DIR", "LEGACY_SURVEY_DIR"):
        monkeypatch.delenv(variable, raising=False)
    return Field(root, tmp_path / "out", capsys)


def change_pixels(path, change):
    """Rewrite the image HDUs of a file with changed pixels, headers kept."""
    with fitsio.FITS(str(path)) as fits:
        hdus = [(hdu.read() if hdu.has_data() else None, hdu.read_header()) for hdu in fits]
    with fitsio.FITS(str(path), "rw", clobber=True) as fits:
        for pixels, header in hdus:
            fits.write(None if pixels is None else change(pixels), header=header)


def one_line(text, culprit):
    assert text.startswith("runbrick: ") and text.count("\n") == 1 and "Traceback" not in text
    assert culprit in text, text


def goes_on_without(field, reason):
    """The run goes on with the other five CCDs, and says why."""
    status, out, err = field.run()
    assert status == 0 and err == ""
    warnings = [line for line in out.splitlines() if line.startswith("[WARNING") and "dropping CCD" in line]
    assert len(warnings) == 1 and CCD in warnings[0], out
    assert reason in warnings[0].split(": ", 1)[1], out  # behind the name of the CCD
    assert "CCDs: 5 used" in out and "1 dropped" in out and f"    dropped {warnings[0].split('CCD ', 1)[1][:20]}" in out


def test_good_input(field):
    status, out, err = field.run()
    assert status == 0 and err == "" and "CCDs: 6 used" in out and "0 dropped" in out


def test_no_such_brick(field):
    status, _, err = field.run(brick="9999p999")
    assert status == 255
    one_line(err, "9999p999")


def test_no_ccds_in_the_bands(field):
    status, out, _ = field.run("--bands", "i,Y")
    assert status == 0
    assert (
        "nothing to do: No photometric CCDs touching brick. There are 6 CCDs in bands g,r,z; none of them is in" in out
    )
    assert "bands i,Y" in out


@pytest.mark.parametrize("zoom", ["-10 50 1725 1875", "1725 1875 1725 99999"])
def test_zoom_out_of_the_target(field, zoom):
    status, _, err = field.run(zoom=["--zoom", *zoom.split()])
    assert status == 1
    one_line(err, f"--zoom {zoom} reaches out of the target of 3600 x 3600 pixels")


@pytest.mark.parametrize(
    ("variable", "message"),
    [("DUST_DIR", "maps/SFD_dust_4096_ngp.fits is missing"), ("WISE_PSF_DIR", "no such directory")],
)
def test_what_is_needed_late_is_looked_for_early(field, monkeypatch, variable, message):
    monkeypatch.setenv(variable, str(field.root / "nowhere"))
    status, out, err = field.run(stage="writecat")
    assert status == 1 and "stage tims" not in out
    one_line(err, message)


def test_checkpoint_that_cannot_be_written(field):
    (field.root / "file").write_text("")
    status, out, err = field.run("--checkpoint", str(field.root / "file" / "blobs"), stage="fitblobs")
    assert status == 1 and "stage tims" not in out
    one_line(err, "file is not a folder")


def test_no_such_survey(field):
    status, _, err = field.run("--survey-dir", str(field.root / "nowhere"))
    assert status == 1
    one_line(err, "nowhere does not exist")


def test_missing_image(field):
    path = field.image()
    path.unlink()
    goes_on_without(field, f"{path.name}: does not exist")


def test_truncated_image(field):
    path = field.image()
    path.write_bytes(path.read_bytes()[:10000])
    goes_on_without(field, path.name)


def test_empty_image_file(field):
    path = field.image()
    path.write_bytes(b"")
    goes_on_without(field, f"{path.name}: cannot be read")


def test_truncated_calibration(field):
    (path,) = field.root.glob(f"calib/psfex/**/{CCD}-psfex.fits")
    path.write_bytes(path.read_bytes()[:5000])
    goes_on_without(field, path.name)


def test_zero_weights(field):
    change_pixels(field.image("oow"), np.zeros_like)
    goes_on_without(field, "weights")


def test_nan_pixels(field):
    change_pixels(field.image(), lambda pixels: np.full_like(pixels, np.nan, "f4"))
    goes_on_without(field, "no pixel is finite")


def test_unknown_camera(field):
    def change(rows):
        rows["camera"][0] = "kodak"
        return rows

    field.table(change)
    goes_on_without(field, "camera 'kodak' of the CCD table is not known")


def test_no_known_camera(field):
    def change(rows):
        rows["camera"] = "kodak"
        return rows

    field.table(change)
    status, _, err = field.run()
    assert status == 1
    one_line(err, "kodak")


def test_missing_column(field):
    field.table(lambda rows: rows[[name for name in rows.colnames if name != "image_filename"]])
    status, _, err = field.run()
    assert status == 1
    one_line(err, "image_filename")


def test_no_ccd_table(field):
    (field.root / "survey-ccds-1.fits.gz").unlink()
    status, _, err = field.run()
    assert status == 1
    one_line(err, "survey-ccds")


def test_no_ccds_here(field):
    status, out, err = field.run(zoom=["--zoom", "0", "100", "0", "100"])
    assert status == 0 and err == "" and "nothing to do: No CCDs touching brick" in out
    assert not field.outdir.exists()


def test_no_ccds_in_these_bands(field):
    status, out, err = field.run("--bands", "Y")
    assert status == 0 and err == "" and "nothing to do: No photometric CCDs touching brick." in out
    assert not field.outdir.exists()


def test_all_images_damaged(field):
    for path in field.root.glob("images/**/*_ooi_*"):
        path.write_bytes(path.read_bytes()[:3000])
    status, _, err = field.run()
    assert status == 1
    one_line(err, "none of the 6 CCDs can be used")


def test_unwritable_output(field):
    field.outdir.write_text("a file")
    status, _, err = field.run(stage="refs")
    assert status == 1
    one_line(err, "out is not a folder")


def test_output_that_becomes_unwritable(field):
    (field.outdir / "metrics").mkdir(parents=True)
    (field.outdir / "metrics" / "110").write_text("a file")
    status, _, err = field.run(stage="refs")
    assert status == 1
    one_line(err, "reference-1102p240.fits")


def test_no_gaia_directory(field, monkeypatch):
    monkeypatch.delenv("GAIA_CAT_DIR")
    status, _, err = field.run(stage="refs")
    assert status == 1
    one_line(err, "GAIA_CAT_DIR")
    assert field.run("--no-gaia", stage="refs")[0] == 0
