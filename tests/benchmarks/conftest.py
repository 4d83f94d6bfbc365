"""Makes the scripts of benchmarks/ importable, and a mock survey for them."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))


@pytest.fixture(scope="session")
def mock_survey(tmp_path_factory):
    """Folder of a mock survey of 100 x 100 pixels, two images."""
    from legacypipe_lite.simulate import SimulationOptions, simulate

    options = SimulationOptions(
        width=100, height=100, bands=("g", "r"), exposures=1, artefacts=(), large_galaxy=False, wise=False, density=2
    )
    return simulate(tmp_path_factory.mktemp("mock") / "survey", options).root


@pytest.fixture
def quick(monkeypatch):
    """No time for the calibration loop."""
    import common

    monkeypatch.setattr(common, "calibration_samples", lambda: [0.05])
