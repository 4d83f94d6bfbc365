"""Reference numbers of the rendering engine."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def engine_reference(testdata):
    return np.load(testdata / "reference" / "engine_reference.npz")
