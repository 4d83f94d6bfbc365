"""The tables packaged with the cameras."""

from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = ["packaged_table"]


def packaged_table(name: str) -> NDArray:
    """A comma-separated table of ``cameras/data`` as a structured array; lines that start with # are comments."""
    text = resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return np.genfromtxt(lines, delimiter=",", names=True, dtype=None, encoding="utf-8")
