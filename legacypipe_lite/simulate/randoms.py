"""Random number generators that do not disturb each other: one per purpose."""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["generator"]


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator that depends on the seed and on what it is for, and on nothing else.

    Parameters
    ----------
    seed : int
    *purpose : str or int
        E.g. ``("pixels", expnum, ccdname)``.

    Returns
    -------
    numpy.random.Generator
    """
    key = zlib.crc32("/".join(str(p) for p in purpose).encode())
    return np.random.default_rng([seed, key])
