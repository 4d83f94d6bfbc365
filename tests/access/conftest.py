import pytest
from synthetic import SYNTHETIC, WRAP, BrickWriter

from legacypipe_lite.access import Catalogue, open_run


@pytest.fixture(scope="session")
def synthetic_runs(tmp_path_factory):
    """Output trees "syn" and "wrap"."""
    root = tmp_path_factory.mktemp("access")
    writer = BrickWriter(root / "content")
    for run, names in (("syn", SYNTHETIC), ("wrap", WRAP)):
        for number, name in enumerate(names):
            writer.write(root / run, number, name)
    return root


@pytest.fixture(scope="session")
def catalogue(synthetic_runs):
    return Catalogue([open_run(synthetic_runs / "syn"), open_run(synthetic_runs / "wrap")])
