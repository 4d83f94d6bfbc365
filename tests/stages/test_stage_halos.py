import numpy as np
import pytest

from legacypipe_lite.options import RunOptions
from legacypipe_lite.stages.base import Tools
from legacypipe_lite.stages.halos import STAGE
from legacypipe_lite.stages.refs import STAGE as REFS
from legacypipe_lite.stages.tims import STAGE as TIMS
from legacypipe_lite.survey import OutputTree, SurveyDirectory
from legacypipe_lite.threads import default_threads

WHERE = {
    "mzlsbass2": {"brick": "1773p595", "zoom": (1300, 1500, 700, 900)},
    "testcase6": {"brick": "1102p240", "zoom": (500, 600, 650, 750)},
    "testcase9": {"radec": ("9.1228", "3.3975"), "width": 100, "height": 100},
    "testcase12": {"radec": ("346.684", "12.791"), "width": 100, "height": 100},
}

# Sum and maximum of the halos that the reference implementation subtracts.
EXPECTED = {
    "mzlsbass2": {},
    "testcase6": {
        "S9 g": (109.71, 0.027652),
        "S9 r": (87.317, 0.021962),
        "S9 z": (164.35, 0.029228),
        "S4 g": (108.82, 0.027616),
        "S4 r": (86.540, 0.021955),
        "S4 z": (161.13, 0.029217),
    },
    "testcase9": {},
    "testcase12": {"N15 r": (0.62661, 4.9862e-4)},
}


def serial_map(function, tasks, shared=None, label="", on_result=None):
    return [function(shared, task) for task in tasks]


@pytest.fixture
def state_of(testdata, tmp_path, monkeypatch):
    """Function: state after the stages tims and refs of a field, and the tools."""

    def prepare(name):
        folder = testdata / "realdata" / name
        for variable, value in {
            "GAIA_CAT_DIR": folder / "gaia",
            "GAIA_CAT_PREFIX": "chunk",
            "GAIA_CAT_SCHEME": "ring",
            "GAIA_CAT_VER": "2",
            "TYCHO2_KD_DIR": folder,
        }.items():
            monkeypatch.setenv(variable, str(value))
        monkeypatch.delenv("LARGEGALAXIES_CAT", raising=False)
        options = RunOptions(skip_calibs=True, **WHERE[name])
        tools = Tools(
            survey=SurveyDirectory(folder, data_dir=testdata / "refdata"),
            products=OutputTree(tmp_path, "brick"),
            map=serial_map,
            header=lambda state: [],
        )
        state = TIMS.run({}, options, tools).items
        state.update(REFS.run(state, options, tools).items)
        return state, options, tools

    return prepare


@pytest.mark.parametrize("name", WHERE)
def test_halos_of_the_reference_implementation(state_of, name):
    state, options, tools = state_of(name)
    before = [tim.image.copy() for tim in state["tims"]]
    made = STAGE.run(state, options, tools)
    assert made.items == {} and not made.skipped
    for tim, image in zip(state["tims"], before):
        np.testing.assert_array_equal(tim.image, image)  # only apply changes images
    STAGE.apply(state, made.items)
    found = {}
    for tim, image in zip(state["tims"], before, strict=True):
        assert tim.image.dtype == np.float32
        halo = image.astype(float) - tim.image
        if halo.any():
            found[f"{tim.ccd.ccdname} {tim.band}"] = (halo.sum(), float(halo.max()))
    assert found.keys() == EXPECTED[name].keys()
    for label, numbers in EXPECTED[name].items():
        assert found[label] == pytest.approx(numbers, rel=3e-5)


def test_band_without_model_is_said_once(state_of):
    state, options, tools = state_of("testcase12")
    (tim,) = state["tims"]
    state["tims"] = [tim, tim]
    tim.band, before = "Y", tim.image.copy()
    for _ in range(2):
        STAGE.apply(state, STAGE.run(state, options, tools).items)
    np.testing.assert_array_equal(tim.image, before)
    assert sum("no halo model for DECam band Y" in text for text in tools.report.warnings) == 1


def test_no_reference_stars(state_of):
    state, options, tools = state_of("testcase12")
    state["refs"] = state["refs"][:0]
    (tim,), before = state["tims"], state["tims"][0].image.copy()
    STAGE.apply(state, STAGE.run(state, options, tools).items)
    np.testing.assert_array_equal(tim.image, before)


def test_threads_change_nothing(state_of):
    state, options, tools = state_of("testcase6")
    before = [tim.image.copy() for tim in state["tims"]]
    results = []
    for threads in (1, 3):
        for tim, image in zip(state["tims"], before):
            tim.image[:] = image
        with default_threads(threads):
            STAGE.apply(state, STAGE.run(state, options, tools).items)
        results.append([tim.image.copy() for tim in state["tims"]])
    assert all(np.array_equal(a, b) for a, b in zip(*results))
