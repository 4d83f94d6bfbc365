"""The shared real and simulated fields, and runs of them."""

from legacypipe_lite.options import RunOptions
from legacypipe_lite.run import BrickRun

FIELDS = {
    "testcase3": {"brick": "2447p120", "zoom": (1020, 1070, 2775, 2815)},
    "testcase4": {"brick": "1867p255", "zoom": (2050, 2300, 1150, 1400)},
    "testcase6": {"brick": "1102p240", "zoom": (500, 600, 650, 750)},
    "testcase9": {"radec": ("9.1228", "3.3975"), "width": 100, "height": 100},
    "testcase12": {"radec": ("346.684", "12.791"), "width": 100, "height": 100},
    "mzlsbass2": {"brick": "1773p595", "zoom": (1300, 1500, 700, 900)},
    "simA": {"brick": "1102p240", "zoom": (1500, 2100, 1000, 1600)},
}


def brick_run(case, testdata, tmp_path, monkeypatch, **options):
    """A run of a real field, up to now without any stage."""
    survey = testdata / "sim" / case if case == "simA" else testdata / "realdata" / case
    environment = {
        "TYCHO2_KD_DIR": survey,
        "GAIA_CAT_DIR": survey / "gaia",
        "GAIA_CAT_VER": "2",
        "GAIA_CAT_PREFIX": "chunk",
        "GAIA_CAT_SCHEME": "ring",
        "LEGACYPIPE_DATA_DIR": testdata / "refdata",
    }
    monkeypatch.delenv("LARGEGALAXIES_CAT", raising=False)
    if case == "testcase9":
        environment["LARGEGALAXIES_CAT"] = survey / "sga-sub.kd.fits"
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    # The fields are there to be compared with the reference.
    options = {"like_reference": True, **options}
    return BrickRun(RunOptions(survey_dir=str(survey), outdir=str(tmp_path), no_write=True, **FIELDS[case], **options))
