import numpy as np

from legacypipe_lite.survey import Brick, header
from legacypipe_lite.versions import package_version
from legacypipe_lite.wcs import TanWcs


def keywords(cards):
    return {key: value for key, value, _ in cards}


def test_run_cards(monkeypatch):
    monkeypatch.setenv("GAIA_CAT_DIR", "/gaia")
    for variable in ("TYCHO2_KD_DIR", "LARGEGALAXIES_CAT", "SKY_TEMPLATE_DIR", "UNWISE_MODEL_SKY_DIR"):
        monkeypatch.delenv(variable, raising=False)
    cards = header.run_cards("/survey", 9999, "runbrick x", "dr9", ["/u1", "/u2"], "/tr", "/sky")
    values = keywords(cards)
    assert values["LSDIR"] == "/survey" and values["DRVERSIO"] == 9999 and values["LSDR"] == "DR9"
    assert values["UNWISD2"] == "/u2" and values["UNWISTD"] == "/tr" and values["UNWISSKY"] == "/sky"
    assert values["CMDLINE"] == "runbrick x"
    names = [value for key, value, _ in cards if key.startswith("DEPNAM")]
    assert names[:2] == ["astropy", "astropy-healpix"] and names[-4] == "GAIA_CAT"
    assert names[-3:] == ["unwise", "unwise_tr", "unwise_modelsky"] and "/u1:/u2" in values.values()
    number = names.index("numpy")
    assert values[f"DEPVER{number:02d}"] == np.__version__
    assert values["LEGPIPEV"] == package_version()


def test_brick_cards_of_the_reference():
    brick = Brick("1102p240", 465217, 110.212443095599, 24.0, 110.0758, 110.3490, 23.875, 24.125)
    scale = 0.262 / 3600
    target = TanWcs((brick.ra, brick.dec), (1300.5, 1150.5), np.diag([-scale, scale]), 100, 100)
    values = keywords(header.brick_cards(brick, target))
    assert values["RA"] == "07:20:50.986" and values["DEC"] == "+24:00:00.000"
    expected = {
        "CORN1RA": 110.315900649147,
        "CORN1DEC": 23.9163073884467,
        "CORN2RA": 110.308018942323,
        "CORN3DEC": 23.9235174376505,
        "CORN4RA": 110.315906438071,
    }
    for key, value in expected.items():
        assert abs(values[key] - value) < 1e-9


def test_sexagesimal_rounding():
    assert header._sexagesimal(9.9999999999 / 15) == "00:40:00.000"
    assert header._sexagesimal(-0.5, sign=True) == "-00:30:00.000"
    assert header._sexagesimal(-30.50833333, sign=True) == "-30:30:30.000"
