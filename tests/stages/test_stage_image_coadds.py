"""Stage image_coadds and its options."""

import fitsio
import numpy as np
import pytest
from PIL import Image
from real_fields import brick_run

FULL = ["ccds.fits"] + [
    f"{kind}-{band}.fits.fz" for band in "grz" for kind in ("image", "invvar", "nexp", "depth", "galdepth")
]
FULL += ["maskbits.fits.fz", "depth.fits", "image.jpg"]


def names_of(run):
    return [name.rsplit("/", 1)[1].split("-1102p240-")[-1] for name in run.products.checksums if "coadd/" in name]


def read(run, product, band=None):
    path = run.products.path(product, band)
    return fitsio.read(str(path), ext=1), fitsio.read_header(str(path), ext=1)


@pytest.mark.realdata
def test_products(testdata, tmp_path, monkeypatch):
    run = brick_run("testcase6", testdata, tmp_path, monkeypatch)
    assert run.stage("image_coadds") == {}
    assert names_of(run) == FULL
    reference = testdata / "reference" / "testcase6" / "coadd" / "110" / "1102p240"
    for band in "grz":
        for product in ("image", "invvar", "nexp", "depth", "galdepth"):
            image, header = read(run, product, band)
            published = fitsio.read(str(reference / f"legacysurvey-1102p240-{product}-{band}.fits.fz"), ext=1)
            assert image.dtype == published.dtype.newbyteorder("=")
            tolerance = {"image": 1.1e-4, "nexp": 0}.get(product, 1e-6 * published.max())
            # co_sky of this field is 0, so that the early coadds are the final ones.
            assert np.abs(image - published).max() <= tolerance, (product, band)
            assert header["IMTYPE"] == product and f"COSKY_{band.upper()}" not in header
    jpeg = "legacysurvey-1102p240-image.jpg"
    assert run.products.path("image-jpeg").read_bytes() == (reference / jpeg).read_bytes()
    depth = fitsio.read(str(run.products.path("depth-table")))
    published = fitsio.read(str(reference / "legacysurvey-1102p240-depth.fits"))
    assert all(np.array_equal(depth[name], published[name]) for name in published.dtype.names)
    ccds = fitsio.read(str(run.products.path("ccds-table")))
    assert len(ccds) == 6 and fitsio.read_header(str(run.products.path("ccds-table")), ext=0)["PRODTYPE"] == "ccdinfo"


@pytest.mark.realdata
def test_interim_maskbits(testdata, tmp_path, monkeypatch):
    run = brick_run("testcase6", testdata, tmp_path, monkeypatch)
    run.stage("image_coadds")
    maskbits, header = read(run, "maskbits")
    values, counts = np.unique(maskbits, return_counts=True)
    expected = {2050: 8307, 2082: 393, 2114: 11, 2146: 74, 2178: 69, 2210: 78, 2242: 192, 2274: 876}
    assert dict(zip(values.tolist(), counts.tolist())) == expected
    assert header["MB_ALLMASK_Z"] == 128 and header["MBIT_7"] == "ALLMASK_Z" and "IMTYPE" not in header
    assert maskbits.dtype == np.int32


@pytest.mark.realdata
def test_blob_mask_adds_saturated_pixels(testdata, tmp_path, monkeypatch):
    run = brick_run("testcase6", testdata, tmp_path, monkeypatch, blob_mask=True)
    run.stage("image_coadds")
    maskbits, _ = read(run, "maskbits")
    counts = {value: np.count_nonzero(maskbits & value) for value in (4, 8, 16, 32, 64, 128)}
    assert counts == {4: 2156, 8: 1734, 16: 1713, 32: 1421, 64: 1153, 128: 1215}
    mask, header = read(run, "blobmask")
    assert header["IMTYPE"] == "blobmask" and mask.dtype == np.uint8
    made = run.stage("srcs")
    # Detected pixels without a source keep the mask larger than the blobs.
    assert np.all(mask[made["blobmap"] >= 0] == 1)
    assert "saturated_maps" in made


@pytest.mark.realdata
def test_minimal_coadds(testdata, tmp_path, monkeypatch):
    run = brick_run("testcase12", testdata, tmp_path, monkeypatch, minimal_coadds=True)
    run.stage("image_coadds")
    names = [name.rsplit("-", 2)[-2:] if "fz" in name else name for name in run.products.checksums if "coadd/" in name]
    assert len(names) == 5
    assert [n[0] for n in names[1:4]] == ["image", "invvar", "nexp"]
    assert run.products.path("image-jpeg").exists() and not run.products.path("depth-table").exists()


@pytest.mark.realdata
@pytest.mark.parametrize("skip_metrics", [False, True])
def test_blob_image(skip_metrics, testdata, tmp_path, monkeypatch):
    run = brick_run("testcase3", testdata, tmp_path, monkeypatch, blob_image=True, skip_metrics=skip_metrics)
    run.stage("srcs")
    blobmap = run.state["blobmap"]
    # As a run with --stage image_coadds, in which no stage is planned that needs the blobs afterwards.
    run.options.stage = ("image_coadds",)
    run.frugal = True
    run.run()
    assert run.products.path("blobmap").exists() != skip_metrics
    if not skip_metrics:
        written, header = read(run, "blobmap")
        assert np.array_equal(written, blobmap) and header["IMTYPE"] == "blobmap"
    picture = np.asarray(Image.open(run.products.path("imageblob-jpeg")))[::-1].astype(int)
    plain = np.asarray(Image.open(run.products.path("image-jpeg")))[::-1].astype(int)
    changed = np.abs(picture - plain).max(axis=2) > 60
    assert changed.any() and not changed[blobmap >= 0].all()
    # The image now carries the residual sky, and its header says so.
    _, header = read(run, "image", "g")
    assert header["COSKY_G"] == pytest.approx(1.7708e-4, rel=1e-4)


@pytest.mark.realdata
@pytest.mark.parametrize("option", ["no_lanczos", "local_pixel_area"])
def test_other_resampling(option, testdata, tmp_path, monkeypatch):
    images = []
    for i, options in enumerate(({}, {option: True})):
        run = brick_run("mzlsbass2", testdata, tmp_path / str(i), monkeypatch, minimal_coadds=True, **options)
        run.stage("image_coadds")
        images.append(read(run, "image", "z")[0])
    ratio = images[1].sum() / images[0].sum()
    if option == "local_pixel_area":
        assert ratio == pytest.approx((0.259601 / 0.257087) ** 2, rel=3e-3)
    else:
        assert ratio == pytest.approx(1, abs=0.1) and np.abs(images[1] - images[0]).max() > 0.01
