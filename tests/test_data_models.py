"""The files of each data model: the published columns, and programs that read them as their users do."""

import csv
import io
import os
import shutil
import subprocess
from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits.scripts import fitscheck
from astropy.table import QTable, Table

from legacypipe_lite import RunOptions, read_catalog, run_brick
from legacypipe_lite.catalog import data_model_columns
from legacypipe_lite.errors import InputError, NothingToDo
from legacypipe_lite.simulate import SimulationOptions, simulate

MODELS = ("dr9", "dr10", "dr11")
EPOCH = "1790000000"
BOX = 80  # pixels, size of the field


class Field:
    """A simulated field, and runs of it in one folder each."""

    def __init__(self, root):
        options = SimulationOptions(
            bands=("g", "r", "z"),
            exposures=1,
            width=100,
            height=100,
            density=4,
            artefacts=(),
            large_galaxy=False,
            seed=5,
        )
        self.root = root
        self.survey = simulate(root / "survey", options)

    def run(self, name, **options):
        """Output folder of a run; the fit is made once for all of the same bands and bricks."""
        outdir = self.root / name
        pickles = options.pop("pickles", "brick")
        values = {"survey_dir": str(self.survey.root), "outdir": str(outdir), "bands": ("g", "r", "z")}
        values["pickle"] = str(self.root / "pickles" / f"{pickles}-%(brick)s-%%(stage)s.pickle")
        if "radec" not in options:
            brick = self.survey.field.brick
            centre = 1800
            zoom = (centre - BOX // 2, centre + BOX // 2) * 2
            values |= {"brick": brick.name, "zoom": zoom}
        run_brick(RunOptions(**{**values, **options}), command="runbrick " + "with a long command line " * 5)
        return outdir

    @property
    def centre(self):
        return self.survey.field.brick.ra, self.survey.field.brick.dec


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    made = Field(tmp_path_factory.mktemp("field"))
    before = dict(os.environ)
    os.environ.update(made.survey.environment, SOURCE_DATE_EPOCH=EPOCH)
    os.environ.pop("DUST_DIR", None)
    yield made
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def trees(field):
    """Output folder of a default run by data model."""
    return {model: field.run(model, data_model=model) for model in MODELS}


def only(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


def tractor(folder):
    return only(folder, "tractor/*/tractor-*.fits")


def files(folder, *suffixes):
    return [path for path in sorted(folder.rglob("*")) if path.name.endswith(suffixes)]


def columns_of(path):
    """(name, type, unit) of the columns of a catalogue, types as the data-release pages write them."""
    kinds = {"L": "boolean", "B": "uint8", "I": "int16", "J": "int32", "K": "int64", "E": "float32", "D": "float64"}
    header = fitsio.read_header(str(path), ext=1)
    found = []
    for i in range(1, header["TFIELDS"] + 1):
        form = header[f"TFORM{i}"].strip()
        count, code = form[:-1], form[-1]
        kind = f"char[{count or 1}]" if code == "A" else kinds[code] + (f"[{count}]" if count not in ("", "1") else "")
        found.append((header[f"TTYPE{i}"].strip(), kind, header.get(f"TUNIT{i}", "").strip()))
    return found


def published(testdata, model):
    """The same from the tables of the data-release pages."""
    with open(testdata / "reference/datamodel" / f"tractor-{model}.csv", newline="") as stream:
        return [
            (row["name"], {"bool": "boolean"}.get(row["type"], row["type"]), row["unit"])
            for row in csv.DictReader(stream)
        ]


# --- columns


@pytest.mark.parametrize("model", ["dr9", "dr10"])
def test_published_columns(trees, testdata, model):
    assert columns_of(tractor(trees[model])) == published(testdata, model)


def test_columns_do_not_depend_on_the_run(field, testdata):
    runs = {
        "no-wise": {"no_wise": True, "no_gaia": True},
        "griz": {"bands": ("g", "r", "i", "z"), "pickles": "griz", "no_wise": True},
        "custom": {"radec": field.centre, "width": 40, "height": 40, "short_name": True, "no_wise": True},
        "one-band": {"bands": ("r",), "pickles": "r", "no_wise": True},
    }
    for name, options in runs.items():
        assert columns_of(tractor(field.run(name, **options))) == published(testdata, "dr10"), name


def test_schema_that_other_programs_ask_for(trees):
    for model, folder in trees.items():
        rows = fitsio.read(str(tractor(folder)), ext=1)
        columns = data_model_columns(model)
        assert [column.name for column in columns] == list(rows.dtype.names)
        main = {column.name.lower() for column in data_model_columns(model, "sweep")}
        curves = {column.name.lower() for column in data_model_columns(model, "sweep-lightcurves")}
        extra = {column.name.lower() for column in data_model_columns(model, "sweep-extra")}
        assert main | curves | extra == set(rows.dtype.names)


@pytest.mark.realdata
def test_schema_of_sweeps_is_that_of_the_reference(testdata):
    folder = testdata / "reference/release/south/sweep"
    for table, pattern in (
        ("sweep", "X.X/*.fits"),
        ("sweep-lightcurves", "*/*-lc.fits"),
        ("sweep-extra", "*/*-ex.fits"),
    ):
        columns = data_model_columns("dr11", table, epochs=25)
        theirs = fitsio.read(str(only(folder, pattern)), ext=1)
        assert [column.name for column in columns] == list(theirs.dtype.names)
        for column in columns:
            ours = np.dtype(bool if column.dtype == "bool" else column.dtype)
            if ours.kind != "S":
                assert theirs.dtype[column.name].base.newbyteorder("=") == ours, column.name
                assert theirs.dtype[column.name].shape == column.shape, column.name


def test_only_measured_columns(field):
    names = [name for name, *_ in columns_of(tractor(field.run("short", only_measured_columns=True, no_wise=True)))]
    assert "flux_i" not in names and "flux_w1" not in names and "pmra" in names


# --- values


@pytest.mark.parametrize("model, release", [("dr9", 9010), ("dr10", 10000), ("dr11", 11010)])
def test_release_is_the_same_everywhere(trees, model, release):
    folder = trees[model]
    assert np.all(fitsio.read(str(tractor(folder)), ext=1)["release"] == release)
    for path in files(folder, ".fits", ".fits.fz", ".fits.gz"):
        headers = [hdu.header for hdu in fits.open(path) if "LSDR" in hdu.header]
        assert headers or path.name.endswith("-depth.fits"), path.name
        for header in headers:
            said = header["DRVERSIO"], header["LSDR"], header["RUNDATE"]
            assert said == (release, model.upper(), "2026-09-21T14:13:20"), path.name


def test_rerun_with_other_flags(field):
    """A part of the run that is taken over from pickles says the same as the part that is made anew."""
    field.run("again")
    folder = field.run("again", release=10002, data_model="dr9")
    for path in [tractor(folder), only(folder, "metrics/*/blobs-*"), *files(folder, ".fits.fz")]:
        header = next(hdu.header for hdu in fits.open(path) if "LSDR" in hdu.header)
        assert (header["DRVERSIO"], header["LSDR"]) == (10002, "DR9"), path.name
    assert fits.getdata(only(folder, "coadd/*/*/*-maskbits.fits.fz")).dtype.newbyteorder("=") == np.int16
    done = fitsio.read(str(tractor(folder)), ext=1)
    fresh = fitsio.read(str(tractor(field.run("again-fresh", release=10002, data_model="dr9"))), ext=1)
    for name in done.dtype.names:
        np.testing.assert_array_equal(done[name], fresh[name])


@pytest.mark.parametrize("model", MODELS)
def test_mask_bits_are_as_the_headers_say(field, model):
    folder = field.run(f"griz-{model}", data_model=model, bands=("g", "r", "i", "z"), pickles="griz", no_wise=True)
    path = only(folder, "coadd/*/*/*-maskbits.fits.fz")
    header, mask = fits.getheader(path, 1), fits.getdata(path).astype(np.int32)
    third = {"dr9": (0x4000, 0x8000), "dr10": (0x4000, 0x8000), "dr11": (0x10, 0x80)}[model]
    assert (header["MB_SATUR_I"], header["MB_ALLMASK_I"]) == third
    assert header["MB_SATUR_R"] == 0x8 and header["MBIT_3"] == "SATUR_R"
    assert ("MB_SAT_I" in header) == ("FB_FPSF" in header) == (model != "dr11")
    # g, r and z have images, i has none: its bits are nowhere set
    assert not np.any(mask & sum(third) & 0xFFFF)
    column = fitsio.read(str(tractor(folder)), ext=1)
    x, y = (np.clip(np.rint(column[name]).astype(int), 0, BOX - 1) for name in ("bx", "by"))
    np.testing.assert_array_equal(column["maskbits"], mask[y, x])
    tied = header["MB_ALLMASK_Z"]
    allmask = np.asarray(column["allmask_z"]) != 0
    np.testing.assert_array_equal((mask[y, x] & tied) != 0, allmask)


def test_units_can_be_computed_with(trees):
    for folder in trees.values():
        table = read_catalog(tractor(folder))
        assert isinstance(table, QTable)
        assert table["flux_r"].unit == "nmgy" and table["flux_ivar_r"].unit == "nmgy-2"
        assert (table["pmra"] ** 2 * table["pmra_ivar"]).unit.is_equivalent("")
        assert table["type"].dtype.kind == "U" and table["brick_primary"].dtype == bool
        assert table.meta["LSDR"].startswith("DR")
        raw = fitsio.read(str(tractor(folder)), ext=1)
        np.testing.assert_array_equal(table["flux_r"].value, raw["flux_r"])


def test_a_file_without_table(tmp_path):
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
    with pytest.raises(InputError, match="no table"):
        read_catalog(tmp_path / "image.fits")


def test_coadds_have_units(trees):
    for folder in trees.values():
        for path in files(folder / "coadd", ".fits.fz"):
            if "-maskbits" not in path.name:
                assert "BUNIT" in fits.getheader(path, 1), path.name
        assert fits.getheader(only(folder, "coadd/*/*/*-invvar-W3.fits.fz"), 1)["BUNIT"] == "1/nanomaggy^2"


def test_blob_map(trees):
    for model, folder in trees.items():
        with fits.open(only(folder, "metrics/*/blobs-*.fits.gz")) as hdus:
            image = hdus[0].data if model != "dr11" else hdus[1].data
            assert image.shape == (BOX, BOX) and len(hdus) == (2 if model == "dr11" else 1)
            assert hdus[0 if model != "dr11" else 1].header["IMTYPE"] == "blobmap"


# --- custom bricks


def test_custom_bricks_of_one_name(field):
    ra, dec = 180.1443, field.centre[1]  # names have three decimals
    options = {"width": 40, "height": 40, "no_wise": True, "skip": True, "pickles": "twins"}
    folder = field.run("twins", radec=(ra, dec), **options)
    catalog = fitsio.read(str(tractor(folder)), ext=1)
    assert np.all(catalog["brickid"] >= 662175) and len(set(catalog["brickid"])) == 1
    assert fitsio.read_header(str(tractor(folder)))["BRICKID"] == catalog["brickid"][0]
    inside = (catalog["bx"] > -0.5) & (catalog["bx"] < 39.5) & (catalog["by"] > -0.5) & (catalog["by"] < 39.5)
    np.testing.assert_array_equal(catalog["brick_primary"], inside)
    with pytest.raises(NothingToDo):
        field.run("twins", radec=(ra, dec), **options)
    with pytest.raises(InputError, match="of another field: position, size or scale"):
        field.run("twins", radec=(ra, dec), **{**options, "width": 41, "skip": False, "check_done": True})
    with pytest.raises(InputError, match="another field of the same name"):
        field.run("twins", radec=(ra + 2e-4, dec), **options)
    listed = only(folder, "tractor/*/brick-*.sha256sum")
    listed.write_text(listed.read_text().replace("tractor/cus/tractor-", "tractor/cus/x-"))
    with pytest.raises(InputError, match="differs from the list of checksums"):
        field.run("twins", radec=(ra, dec), **{**options, "skip": False, "check_done": True})


# --- programs


def tables(folder):
    return files(folder, ".fits")


@pytest.mark.parametrize("model", MODELS)
def test_astropy(trees, model):
    for path in tables(trees[model]):
        plain = Table.read(path, hdu=1, unit_parse_strict="silent")
        quantities = QTable.read(path, hdu=1, unit_parse_strict="silent")
        assert plain.colnames == quantities.colnames and len(plain) == len(quantities)


@pytest.mark.parametrize("model", MODELS)
def test_pandas(trees, model):
    pytest.importorskip("pandas", reason="pandas is not installed")
    for path in tables(trees[model]):
        table = Table.read(path, hdu=1, unit_parse_strict="silent")
        scalar = [name for name in table.colnames if table[name].ndim == 1]
        frame = table[scalar].to_pandas()
        assert len(frame) == len(table) and list(frame.columns) == scalar


def program(name):
    """Path of a program; skips the test where it is absent."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed (.ci/run installs it on Debian as root)")


@pytest.mark.parametrize("model", MODELS)
def test_stilts(trees, model):
    stilts = program("stilts")
    path = tractor(trees[model])
    done = subprocess.run(
        [
            stilts,
            "tpipe",
            f"in={path}",
            "ifmt=fits",
            "omode=out",
            "ofmt=csv",
            "cmd=keepcols 'objid ra dec flux_r type'",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    truth = fitsio.read(str(path), ext=1)
    np.testing.assert_allclose([float(row["ra"]) for row in rows], truth["ra"])
    assert [row["type"].strip() for row in rows] == [kind.strip() for kind in truth["type"].astype(str)]


@pytest.mark.parametrize("model", MODELS)
def test_fitsverify(trees, model):
    verify = program("fitsverify")
    paths = [str(path) for path in files(trees[model], ".fits", ".fits.fz", ".fits.gz")]
    done = subprocess.run([verify, "-q", *paths], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert len(lines) == len(paths) and all(line.startswith("verification OK") for line in lines), done.stdout


@pytest.mark.parametrize("model", MODELS)
def test_fitscheck(trees, model):
    # It does not see the checksums of compressed images, only whether they are right.
    compressed = [str(path) for path in files(trees[model], ".fits.fz")]
    if model == "dr11":
        compressed += [str(path) for path in files(trees[model], ".fits.gz")]
    others = [str(path) for path in files(trees[model], ".fits", ".fits.gz") if str(path) not in compressed]
    assert fitscheck.main(["--compliance", *others]) == 0
    assert fitscheck.main(["--compliance", "--ignore-missing", *compressed]) == 0


@pytest.mark.parametrize("model", MODELS)
def test_funpack(trees, model, tmp_path):
    funpack = program("funpack")
    paths = files(trees[model], ".fits.fz")
    assert len(paths) > 30
    for path in paths:
        unpacked = tmp_path / path.name.removesuffix(".fz")
        subprocess.run([funpack, "-O", str(unpacked), str(path)], check=True, capture_output=True)
        primary = fits.getdata(unpacked, 0)
        with fits.open(path) as hdus:
            images = [hdu for hdu in hdus if hdu.data is not None]
            np.testing.assert_array_equal(primary, images[0].data, err_msg=path.name)


def test_checksums_are_everywhere(trees):
    for path in files(trees["dr10"], ".fits", ".fits.fz", ".fits.gz"):
        with fits.open(path, disable_image_compression=True) as hdus:
            assert all("CHECKSUM" in hdu.header and "DATASUM" in hdu.header for hdu in hdus), path.name


def test_two_runs_give_the_same_files(field, trees):
    other = field.run("dr10-again", pickles="again")
    for path in files(trees["dr10"], ".fits", ".fits.fz", ".fits.gz", ".jpg"):
        relative = path.relative_to(trees["dr10"])
        if "all-models" not in path.name and "tractor-i" not in path.name:  # they hold CPU times
            assert path.read_bytes() == (Path(other) / relative).read_bytes(), relative
