"""The decision rule of model selection."""

import fitsio
import numpy as np
import pytest

from legacypipe_lite.fitting.selection import galaxy_fraction, select_model, wants_galaxy_models

CASES = [
    ({"psf": 26.9}, None),
    ({"psf": 27.0}, "PSF"),
    ({"psf": 20}, None),
    ({"psf": 27, "rex": 28}, "PSF"),
    ({"psf": 27, "rex": 28.1}, "REX"),
    ({"psf": 1000, "rex": 1009}, "PSF"),
    ({"psf": 1000, "rex": 1011}, "REX"),
    ({"psf": 20, "rex": 27}, None),
    ({"psf": 20, "rex": 29}, "REX"),
    ({"rex": 40}, "REX"),
    ({"psf": 100, "rex": 110, "dev": 122, "exp": 121}, "REX"),
    ({"psf": 100, "rex": 110, "dev": 122.1, "exp": 121}, "DEV"),
    ({"psf": 100, "rex": 110, "dev": 122.1, "exp": 122.1}, "EXP"),
    ({"psf": 3000, "rex": 3100, "dev": 3125, "exp": 3131}, "EXP"),
    ({"psf": 3000, "rex": 3100, "dev": 3125, "exp": 3130}, "REX"),
    ({"psf": 100, "rex": 150, "dev": 180, "exp": 200, "ser": 224.9}, "EXP"),
    ({"psf": 100, "rex": 150, "dev": 180, "exp": 200, "ser": 225}, "SER"),
    ({"psf": 22, "rex": 20, "dev": 31, "exp": 10}, "PSF"),
    ({"psf": -5, "rex": 30, "dev": 45, "exp": 41}, "DEV"),
    ({}, None),
]


@pytest.mark.parametrize("gains,want", CASES)
def test_decision(gains, want):
    assert select_model({k.upper(): float(v) for k, v in gains.items()}) == want


def test_galaxies_are_tried_if_extended_or_bright():
    assert not wants_galaxy_models({"PSF": 100.0, "REX": 101.0})
    assert wants_galaxy_models({"PSF": 100.0, "REX": 101.1})
    assert wants_galaxy_models({"PSF": 401.0, "REX": 1.0})


@pytest.mark.parametrize(
    "case", ["testcase3", "testcase4", "testcase6", "testcase9", "testcase12", "mzlsbass2", "simA"]
)
def test_types_of_the_reference(testdata, case):
    root = testdata / "sim" / "simA-reference" if case == "simA" else testdata / "reference" / case
    (path,) = root.glob("metrics/*/all-models-*.fits")
    tested = 0
    for row in fitsio.read(path):
        gains = {m: float(v) for m, v in zip(("PSF", "REX", "DEV", "EXP", "SER"), row["dchisq"]) if v != 0}
        kind = str(row["type"]).strip()
        if kind in ("DUP", "NUN") or not gains or max(gains.values()) < 0:
            continue  # not fitted, or a reference star that is kept in any case
        assert select_model(gains) == kind
        tested += 1
    assert tested >= 2
    assert np.isfinite(tested)


def test_resolved_galaxies_need_less():
    gains = {"PSF": 20000.0, "REX": 20500.0, "EXP": 20550.0, "DEV": 20510.0}
    assert select_model(gains) == "REX"
    assert select_model(gains, galaxy_fraction(0.0, 0.3)) == "REX"
    assert select_model(gains, galaxy_fraction(0.6, 0.3)) == "EXP"
    assert galaxy_fraction(0.0, 0.3) == 0.005
