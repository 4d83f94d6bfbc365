import json
import re
import shutil

import fitsio
import numpy as np
import pytest

from legacypipe_lite.errors import InputError
from legacypipe_lite.options import RunOptions
from legacypipe_lite.run import BrickRun
from legacypipe_lite.validation import page
from legacypipe_lite.validation.products import BrickProducts
from legacypipe_lite.validation.report import _borders, _small_jpeg, brick_report
from legacypipe_lite.validation.tables import ScoreTable

SECTIONS = ("Pictures", "Catalogue", "Depth", "Fit quality", "Slowest blobs", "CCDs", "Stages", "Warnings")


@pytest.fixture(scope="module")
def run(testdata, tmp_path_factory):
    """A finished run of a small real field."""
    folder = testdata / "realdata/mzlsbass2"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("GAIA_CAT_DIR", folder / "gaia"), ("GAIA_CAT_VER", "2"), ("TYCHO2_KD_DIR", folder)):
            patch.setenv(name, str(value))
        patch.delenv("DUST_DIR", raising=False)
        run = BrickRun(
            RunOptions(
                brick="1773p595",
                zoom=(1300, 1500, 700, 900),
                survey_dir=str(folder),
                outdir=str(tmp_path_factory.mktemp("out")),
                no_wise=True,
                no_write=True,
            )
        )
        run.run()
    return run


@pytest.fixture(scope="module")
def text(run):
    pytest.importorskip("matplotlib")
    return brick_report(run.products.outdir)


def sections(text):
    return re.findall(r"<h2>(.*?)</h2>", text)


@pytest.mark.realdata
def test_page_is_self_contained(text):
    assert not re.search(r"https?://", text)
    for tag, attribute in (("img", "src"), ("script", "src"), ("link", "href")):
        for value in re.findall(rf'<{tag}[^>]*{attribute}="([^"]{{0,30}})', text):
            assert value.startswith("data:image/")
    assert "url(" not in text and "@import" not in text


@pytest.mark.realdata
def test_page_has_everything(run, text):
    assert tuple(sections(text)) == SECTIONS
    assert text.count("data:image/jpeg") == 4 and text.count("data:image/png") == 7
    assert "DUST_DIR is not set" in text and "No CCD was dropped." in text
    for name in ("fitblobs", "writecat", "3 CCDs were used"):
        assert name in text
    assert f"<td class=n>{len(run.tractor)}</td>" in text
    assert text.count("<section") == text.count("</section>") and text.count("<table>") == text.count("</table>")


@pytest.mark.realdata
def test_without_plots(run):
    text = brick_report(run.products.outdir, plots=False)
    assert "data:image/png" not in text and text.count("data:image/jpeg") == 4
    assert tuple(sections(text)) == SECTIONS


@pytest.mark.realdata
def test_with_truth(run, tmp_path):
    pytest.importorskip("matplotlib")
    rows = fitsio.read(str(run.products.path("tractor")))
    fitsio.write(str(tmp_path / "truth.fits"), rows, clobber=True)
    text = brick_report(run.products.outdir, truth=tmp_path / "truth.fits")
    assert sections(text)[1] == "Truth" and "Completeness" in text
    assert text.count("data:image/png") == 13


@pytest.mark.realdata
def test_products_that_are_missing_are_left_out(run, tmp_path):
    shutil.copytree(run.products.outdir, tmp_path / "out")
    products = BrickProducts(tmp_path / "out")
    for product in ("run-log", "all-models", "blobmap", "ccds-table", "resid-jpeg"):
        products.path(product).unlink()
    text = brick_report(tmp_path / "out", plots=False)
    assert "There is no run log" in text and text.count("data:image/jpeg") == 2
    assert not {"Slowest blobs", "CCDs", "Warnings"} & set(sections(text))


@pytest.mark.realdata
def test_reports_on_the_reference_implementation(testdata):
    """Its output tree has the same products, but no run log."""
    tree = testdata / "reference/testcase9"
    text = brick_report(tree, plots=False)
    assert "Brick custom-009122p03397" in text and {"Pictures", "Depth", "Fit quality"} <= set(sections(text))


@pytest.mark.realdata
def test_dropped_ccds_are_named(run, tmp_path):
    shutil.copytree(run.products.outdir, tmp_path / "out")
    products = BrickProducts(tmp_path / "out")
    log = products.log()
    log["dropped_ccds"] = [{"name": "image.fits N4", "reason": "it is <damaged>"}]
    products.path("run-log").write_text(json.dumps(log))
    text = brick_report(tmp_path / "out", plots=False)
    assert "image.fits N4" in text and "it is &lt;damaged&gt;" in text
    products.path("run-log").write_text("{")
    with pytest.raises(InputError, match="not a JSON file"):
        brick_report(tmp_path / "out", plots=False)


# --- finding the products


def test_output_directories_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="output directory"):
        BrickProducts(tmp_path)
    for brick in ("0001p000", "0002p000"):
        folder = tmp_path / "tractor" / brick[:3]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"tractor-{brick}.fits").touch()
    with pytest.raises(InputError, match="choose one"):
        BrickProducts(tmp_path)
    assert BrickProducts(tmp_path, "0002p000").brickname == "0002p000"
    with pytest.raises(InputError, match="0003p000.fits: does not exist"):
        BrickProducts(tmp_path, "0003p000")


# --- pieces


def test_text_is_escaped():
    made = page.page("a<b", "c&d", [page.section("e>f", page.table(("x",), [("<i>",)]))])
    assert "a&lt;b" in made and "c&amp;d" in made and "<h2>e&gt;f</h2>" in made and "&lt;i&gt;" in made


def test_tables_align_numbers():
    made = page.table(("name", "a", "b"), [("x", "1.5", "y"), ("z", "-", "2")], "caption")
    assert "<td class=n>1.5</td>" in made and "<td>y</td>" in made and "<td>2</td>" in made
    assert page.text_table(ScoreTable("T", "how to read it", ("", "n"), (("a", "3"),))).count("how to read it") == 1


def test_large_pictures_are_made_smaller():
    import io

    from PIL import Image

    def jpeg(size):
        buffer = io.BytesIO()
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(buffer, format="JPEG")
        return buffer.getvalue()

    small = jpeg((100, 200))
    assert _small_jpeg(small) == small
    assert Image.open(io.BytesIO(_small_jpeg(jpeg((1800, 2400))))).size == (1200, 900)


def test_borders_of_blobs():
    blobmap = np.full((7, 8), -1)
    blobmap[2:6, 1:5], blobmap[2:6, 5:7] = 0, 1
    border = _borders(blobmap)
    assert not border[blobmap < 0].any() and border[2, 1:7].all() and border[3, 4] and border[3, 5]
    assert not border[3:5, 2:4].any()
