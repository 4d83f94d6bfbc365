"""Fixtures shared by all tests: where the shared test data are."""

import os
from pathlib import Path

import pytest

# Headers hold the date of the run: with a fixed one, runs that cross midnight give the same files, too.
os.environ.setdefault("SOURCE_DATE_EPOCH", "1790000000")

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
