import fitsio
import numpy as np
import pytest

from legacypipe_lite.errors import InputError
from legacypipe_lite.options import RunOptions
from legacypipe_lite.stages.base import Tools
from legacypipe_lite.stages.refs import STAGE
from legacypipe_lite.survey import OutputTree, SurveyDirectory
from legacypipe_lite.wcs import target_wcs

CENTRES = {"testcase9": (9.1228, 3.3975), "testcase12": (346.684, 12.791)}


@pytest.fixture
def run(testdata, tmp_path, monkeypatch):
    """Function: run the stage on a field; returns (what it made, tools)."""

    def run_field(name, centre=None, **options):
        folder = testdata / "realdata" / name
        monkeypatch.setenv("GAIA_CAT_DIR", str(folder / "gaia"))
        monkeypatch.setenv("GAIA_CAT_PREFIX", "chunk")
        monkeypatch.setenv("GAIA_CAT_SCHEME", "ring")
        monkeypatch.setenv("GAIA_CAT_VER", "2")
        monkeypatch.setenv("TYCHO2_KD_DIR", str(folder))
        monkeypatch.setenv("LARGEGALAXIES_CAT", str(folder / "sga-sub.kd.fits"))
        tools = Tools(
            survey=SurveyDirectory(folder, data_dir=testdata / "refdata"),
            products=OutputTree(tmp_path, "custom-brick"),
            map=None,
            header=lambda state: [("BANDS", ",".join(state["bands"]), ""), *STAGE.header_cards()],
        )
        target = target_wcs(*(centre or CENTRES[name]), 100, 100, 0.262)
        state = {"target": target, "bands": ["g", "r", "z"]}
        return STAGE.run(state, RunOptions(brick="x", **options), tools).items, tools

    return run_field


def test_makes_what_it_declares(run):
    made, tools = run("testcase12")
    assert set(made) == set(STAGE.makes)
    assert len(made["refs"]) == len(made["ref_sources"]) == 4
    assert tools.report.counts["reference objects"]["star clusters"] == 1
    assert any("sga-sub.kd.fits is not a file" in text for text in tools.report.warnings)


@pytest.mark.parametrize("name", ["testcase9", "testcase12"])
def test_written_table_equals_that_of_the_reference_implementation(run, testdata, name):
    _, tools = run(name)
    path = tools.products.path("reference")
    assert path.name == "reference-custom-brick.fits" and path.parent.name == "cus"
    reference = next(iter((testdata / "reference" / name).glob("metrics/cus/reference-*.fits")))
    with fitsio.FITS(path) as ours, fitsio.FITS(reference) as theirs:
        assert ours[1].get_extname() == theirs[1].get_extname() == "REFERENCES"
        assert ours[0].read_header()["BANDS"] == "g,r,z" and "VER_REFS" in ours[0].read_header()
        ours_header, theirs_header = ours[1].read_header(), theirs[1].read_header()
        for i in range(1, theirs_header["TFIELDS"] + 1):
            for key in (f"TTYPE{i}", f"TFORM{i}", f"TUNIT{i}"):
                assert str(ours_header.get(key) or "") == str(theirs_header.get(key) or ""), key
        a, b = ours[1].read(), theirs[1].read()
    for column in b.dtype.names:
        if column == "ref_cat" and name == "testcase9":
            assert a[column].tolist() == ["G2", "L3"]
        elif b[column].dtype.kind == "f":
            np.testing.assert_allclose(a[column], b[column], rtol=2e-5, err_msg=column)
        else:
            np.testing.assert_array_equal(a[column], b[column], err_msg=column)


def test_no_file_without_reference_objects(run):
    made, tools = run("testcase9", no_gaia=True, no_tycho=True, no_large_galaxies=True)
    assert len(made["refs"]) == 0 and made["ref_sources"] == []
    assert not tools.products.path("reference").exists()
    assert not made["refs"]["isgaia"].any()


def test_catalogues_can_be_switched_off(run):
    made, _ = run("testcase9", no_gaia=True)
    assert made["refs"]["ref_cat"].tolist() == ["L3"]
    made, _ = run("testcase9", no_large_galaxies=True)
    assert made["refs"]["ref_cat"].tolist() == ["G2"] and not made["refs"]["dup"].any()


def test_field_without_gaia_files(run):
    with pytest.raises(InputError, match=r"chunk-\d{5}\.fits is missing"):
        run("testcase12", centre=(120.0, 40.0))
