import gzip
import hashlib
import os
import stat
import subprocess

import fitsio
import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from legacypipe_lite import files
from legacypipe_lite.errors import OutputError
from legacypipe_lite.survey import OutputTree
from legacypipe_lite.survey.products import PRODUCTS, tile_size


@pytest.fixture
def tree(tmp_path):
    return OutputTree(tmp_path, "1102p240")


def noise(shape=(201, 120), seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("length", [100, 201, 3600, 38, 102, 403])
def test_no_partial_tile_of_one_to_three_pixels(length):
    size = tile_size(length)
    assert size >= 100
    assert size > length or not 1 <= length % size <= 3


def test_tile_size_of_the_published_files():
    assert [tile_size(n) for n in (100, 201, 3600, 38, 102)] == [100, 101, 100, 100, 102]


def test_paths(tree, tmp_path):
    assert tree.relative("image", "g") == "coadd/110/1102p240/legacysurvey-1102p240-image-g.fits.fz"
    assert tree.relative("blobmap") == "metrics/110/blobs-1102p240.fits.gz"
    assert tree.relative("checksums") == "tractor/110/brick-1102p240.sha256sum"
    assert tree.path("tractor-i") == tmp_path / "tractor-i/110/tractor-i-1102p240.fits"
    with pytest.raises(ValueError, match="needs a band"):
        tree.relative("image")
    with pytest.raises(ValueError, match="has no band"):
        tree.relative("maskbits", "g")


def test_every_product_has_its_own_path(tree):
    paths = {tree.relative(key, "r" if "{band}" in PRODUCTS[key].pattern else None) for key in PRODUCTS}
    assert len(paths) == len(PRODUCTS)


def test_paths_are_those_of_the_reference(testdata):
    tree = OutputTree(testdata / "reference" / "testcase6", "1102p240")
    ours = {
        tree.relative(key, band)
        for key in PRODUCTS
        for band in (("g", "r", "z") if "{band}" in PRODUCTS[key].pattern else (None,))
    }
    theirs = {str(p.relative_to(tree.outdir)) for p in tree.outdir.rglob("*") if p.is_file()}
    assert theirs <= ours


def test_flux_image_is_quantised_to_a_fixed_step(tree):
    image = noise()
    image[:50] = 0.0
    path = tree.write_image("image", image, [("BUNIT", "nanomaggy", "unit")], band="g")
    with fitsio.FITS(str(path)) as fits:
        assert not fits[0].has_data()
        header = fits[1].read_header()
        assert fits[1].get_extname() == "IMAGE_g"
        read = fits[1].read()
    assert header["BUNIT"] == "nanomaggy"
    assert np.abs(read - image).max() <= 5.01e-5
    assert np.all(read[:50] == 0)


@pytest.mark.parametrize("product, dtype", [("nexp", np.int16), ("depth", np.float32)])
def test_lossless_products(tree, product, dtype):
    image = (noise() * 10).astype(dtype)
    path = tree.write_image(product, image, band="r")
    np.testing.assert_array_equal(fitsio.read(str(path), ext=1), image)


def test_compression_cards_equal_the_reference(tree, testdata):
    theirs = OutputTree(testdata / "reference" / "testcase6", "1102p240")
    keys = ("ZBITPIX", "ZTILE1", "ZTILE2", "ZQUANTIZ", "EXTNAME", "ZNAME1", "ZVAL1")
    for product in ("image", "invvar", "chi2", "nexp", "depth", "galdepth", "psfsize", "model", "blobmodel"):
        image = fitsio.read(str(theirs.path(product, "g")), ext=1)
        path = tree.write_image(product, image.astype(image.dtype.newbyteorder("=")), band="g")
        a, b = (_raw_header(p) for p in (path, theirs.path(product, "g")))
        for key in keys:
            assert a.get(key) == b.get(key), (product, key)
        assert a["ZCMPTYPE"].replace("RICE_ONE", "RICE_1") == b["ZCMPTYPE"].replace("RICE_ONE", "RICE_1")


def _raw_header(path):
    from astropy.io import fits

    with fits.open(path, disable_image_compression=True) as hdus:
        return dict(hdus[1].header)


def test_tiny_images_are_not_compressed(tree):
    image = noise((3, 50))
    path = tree.write_image("image", image, band="g")
    assert "ZIMAGE" not in _raw_header(path)
    np.testing.assert_array_equal(fitsio.read(str(path), ext=1), image)


def test_several_images_and_gzip(tree):
    masks = [(np.full((20, 30), i, np.uint8), f"MASK-{i}", [("X0", i, "")]) for i in range(3)]
    path = tree.write_images("outlier-mask", masks, primary_cards=[("BRICK", "1102p240", "name")])
    with fitsio.FITS(str(path)) as fits:
        assert len(fits) == 4
        assert fits[0].read_header()["BRICK"] == "1102p240"
        assert fits["MASK-2"].read_header()["X0"] == 2
        assert np.all(fits["MASK-2"].read() == 2)
    blobs = np.arange(600, dtype=np.int32).reshape(20, 30) - 1
    path = tree.write_image("blobmap", blobs)
    assert gzip.decompress(path.read_bytes())[:6] == b"SIMPLE"
    np.testing.assert_array_equal(fitsio.read(str(path), ext=1), blobs)


def test_mean_psf_is_a_plain_primary_image(tree):
    path = tree.write_image("copsf", noise((9, 9)), band="g")
    np.testing.assert_array_equal(fitsio.read(str(path), ext=0), noise((9, 9)))


def test_cards(tree):
    cards = [
        ("COMMENT", "free text", ""),
        ("CMDLINE", "runbrick " + "x" * 200, "a long value"),
        ("MB_NPRIMARY", np.int64(1), "long keyword"),
        ("OUTLIER", np.bool_(True), ""),
        ("SIG1", np.float32(0.5), "number"),
        ("NOTHING", np.nan, ""),
    ]
    path = tree.write_image("image", noise(), cards, band="g", primary_cards=cards)
    for ext in (0, 1):
        header = fitsio.read_header(str(path), ext=ext)
        assert header["CMDLINE"] == "runbrick " + "x" * 200
        assert header["MB_NPRIMARY"] == 1
        assert header["OUTLIER"] is True
        assert header["SIG1"] == 0.5
        assert header["NOTHING"] is None
        assert "free text" in str(header)


def test_table(tree):
    table = Table({"ra": [1.0, 2.0], "type": ["PSF", "EXP"], "apflux": np.ones((2, 8), np.float32)})
    table["good"] = [True, False]
    path = tree.write_table("tractor", table, primary_cards=[("PRODTYPE", "catalog", "")], units={"ra": "deg"})
    with fitsio.FITS(str(path)) as fits:
        assert fits[0].read_header()["PRODTYPE"] == "catalog"
        header = fits["CATALOG"].read_header()
        rows = fits["CATALOG"].read()
    assert header["TUNIT1"] == "deg"
    assert "TUNIT2" not in header
    assert rows["type"].dtype.itemsize == 12 and list(rows["good"]) == [True, False]
    assert rows["apflux"].shape == (2, 8)


def test_table_without_rows_and_with_empty_strings(tree):
    table = Table({"name": np.zeros(0, "U5"), "x": np.zeros(0, np.float32)})
    assert len(fitsio.read(str(tree.write_table("sources", table)), ext=1)) == 0
    path = tree.write_table("reference", {"name": np.array(["ab", "  "], "U5")})
    assert fitsio.read_header(str(path), ext=1)["TFORM1"].strip() == "5A"
    rows = fitsio.read(str(tree.write_table("reference", {"name": np.array(["", ""])})), ext=1)
    assert rows["name"].dtype == np.dtype("U1")
    with pytest.raises(ValueError, match="'bad'"):
        tree.write_table("sources", {"bad": np.array([None, 1], dtype=object)})


def test_jpeg_is_flipped_and_grey_is_rgb(tree):
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[:20, :, 0] = 255
    path = tree.write_jpeg("image-jpeg", rgb)
    read = np.asarray(Image.open(path))
    assert read[-1, 0, 0] > 250 and read[0, 0, 0] < 5
    grey = Image.open(tree.write_jpeg("model-jpeg", rgb[:, :, 0]))
    assert grey.mode == "RGB" and grey.info["dpi"] == (100, 100)
    with pytest.raises(ValueError, match="uint8"):
        tree.write_jpeg("image-jpeg", rgb.astype(float))


def test_same_data_same_bytes(tmp_path):
    hashes = []
    for name in ("a", "b"):
        tree = OutputTree(tmp_path / name, "1102p240")
        tree.write_image("image", noise(), band="g")
        tree.write_image("blobmap", np.zeros((50, 50), np.int32))
        hashes.append(tree.checksums)
    assert hashes[0] == hashes[1] and len(hashes[0]) == 2


def test_checksum_file(tree, tmp_path):
    tree.write_image("image", noise(), band="g")
    tree.write_image("image", noise(seed=2), band="r")
    tree.write_image("image", noise(seed=3), band="g")
    path = tree.write_checksums()
    lines = path.read_text().splitlines()
    assert [line.split(" *")[1] for line in lines] == [tree.relative("image", b) for b in "gr"]
    subprocess.run(["sha256sum", "--quiet", "-c", str(path)], cwd=tmp_path, check=True)
    # written again: still without itself
    assert tree.write_checksums().read_text().splitlines() == lines


def test_lost_products(tree, tmp_path):
    tree.write_image("image", noise(), band="g")
    tree.write_image("image", noise(), band="r")
    tree.path("image", "r").write_bytes(b"changed")
    again = OutputTree(tmp_path, "1102p240")
    lost = again.lost(dict(tree.checksums, **{"no/such": "0"}))
    assert lost == [tree.relative("image", "r"), "no/such"]


def test_full_disk_keeps_the_old_file(tree, monkeypatch):
    path = tree.write_image("image", noise(), band="g")
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="legacysurvey-1102p240-image-g.fits.fz: No space left"):
        tree.write_image("image", noise(seed=5), band="g")
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]
    assert tree.checksums[tree.relative("image", "g")] == hashlib.sha256(before).hexdigest()


def test_unwritable_folder(tmp_path):
    (tmp_path / "coadd").write_text("a file where a folder should be")
    tree = OutputTree(tmp_path, "1102p240")
    with pytest.raises(OutputError, match="cannot write .*image-g.fits.fz"):
        tree.write_image("image", noise(), band="g")
    if os.geteuid() != 0:
        folder = tmp_path / "closed"
        folder.mkdir()
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
        with pytest.raises(OutputError, match="Permission denied"):
            OutputTree(folder, "1102p240").write_jpeg("image-jpeg", np.zeros((9, 9), np.uint8))


def test_check_writable(tmp_path, monkeypatch):
    OutputTree(tmp_path / "not" / "there" / "yet", "1102p240").check_writable()
    assert not (tmp_path / "not").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file is not a folder"):
        OutputTree(tmp_path / "file" / "out", "1102p240").check_writable()
    monkeypatch.setattr(files.os, "access", lambda *args: False)
    with pytest.raises(OutputError, match="no permission to write"):
        OutputTree(tmp_path / "out", "1102p240").check_writable()


def test_failure_while_building_writes_nothing(tree):
    with pytest.raises(AttributeError):
        tree.write_image("image", noise(), [(3, object(), "not a card")], band="g")
    assert not list(tree.outdir.rglob("*.*"))
