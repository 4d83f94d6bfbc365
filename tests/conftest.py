"""Fixtures shared by all tests: where the shared test data are."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def _find_testdata():
    named = os.environ.get("LEGACYPIPE_TESTDATA")
    for path in (Path(named) if named else None, REPOSITORY.parent / "shared"):
        if path is not None and (path / "realdata").is_dir():
            return path
    return None


TESTDATA = _find_testdata()


@pytest.fixture(scope="session")
def testdata():
    """Folder with realdata/, reference/, sim/, refdata/; skips the test where it is absent."""
    if TESTDATA is None:
        pytest.skip("no shared test data: set LEGACYPIPE_TESTDATA, or put them in ../shared")
    return TESTDATA


def pytest_collection_modifyitems(items):
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        skip = pytest.mark.skip(reason="too slow with interpreted kernels")
        for item in items:
            if item.get_closest_marker("compiled"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def synthetic_runs(tmp_path_factory):
    """Output trees "syn" (four adjacent bricks) and "wrap" (two at RA 0) with images by formulas."""
    from synthetic_bricks import SYNTHETIC, WRAP, BrickWriter, write_catalog

    root = tmp_path_factory.mktemp("access")
    writer = BrickWriter(root / "content")
    for run, names in (("syn", SYNTHETIC), ("wrap", WRAP)):
        for number, name in enumerate(names):
            writer.write(root / run, number, name)
            write_catalog(root / run, name)
    return root


@pytest.fixture(scope="session")
def catalogue(synthetic_runs):
    """The two runs of `synthetic_runs`, as a server has them."""
    from legacypipe_lite.access import Catalogue, open_run

    return Catalogue([open_run(synthetic_runs / "syn"), open_run(synthetic_runs / "wrap")])


#: Exposure times [s] of the shared data whose logarithm was off where the reference ran: units in the last place.
_REFERENCE_LOG10 = {90: 1, 99: 2, 100: 1, 101: 1, 107: 1, 118: 1, 120: 1, 140: 1, 150: 1, 200: 1}


@pytest.fixture(scope="session", autouse=True)
def reference_logarithms():
    """Logarithms of exposure times as on the machine of the reference, so that tests hold bit by bit on any other."""
    import math

    import numpy as np

    from legacypipe_lite.cameras import decam

    def as_reference(value):
        exact = np.float32(math.log10(value))
        return float(exact + _REFERENCE_LOG10.get(value, 0) * np.spacing(exact))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decam, "log10_single", as_reference)
        yield
