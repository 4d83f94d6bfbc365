"""The colours for which the detection looks: linear combinations of the bands."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sed", "sed_list"]


class Sed(NamedTuple):
    """Relative fluxes of a kind of source in the bands.

    Attributes
    ----------
    name : str
        Ends up in the column `peaksed` of the detections.
    weights : tuple of float
        In the order of the run's bands; 0 = band not used.
    """

    name: str
    weights: tuple

    def as_array(self) -> NDArray[np.float32]:
        """The weights as float32 array."""
        return np.array(self.weights, np.float32)


#: Combinations of several bands: (name, flux per band).
_MULTI_BAND = (
    ("Flat", {"g": 1.0, "r": 1.0, "i": 1.0, "z": 1.0}),
    # Colours g - r = 1, r - i = i - z = 0.5.
    ("Red", {"g": 2.5, "r": 1.0, "i": 0.632, "z": 0.4}),
    ("IAFlat", dict.fromkeys(("I-A-L427", "I-A-L464", "I-A-L484", "I-A-L505", "I-A-L527"), 1.0)),
    ("IBISFlat", dict.fromkeys(("M411", "M438", "M464", "M490", "M517"), 1.0)),
)


def sed_list(bands: Sequence[str]) -> list[Sed]:
    """SEDs of the standard detection, in the order in which they are run.

    Every band alone, in reverse order of `bands`; then those multi-band combinations that use at least two of
    the bands.

    Parameters
    ----------
    bands : sequence of str

    Returns
    -------
    list of Sed

    Examples
    --------
    >>> [sed.name for sed in sed_list(["g", "r", "z"])]
    ['z', 'r', 'g', 'Flat', 'Red']
    """
    bands = list(bands)
    seds = [Sed(band, tuple(float(b == band) for b in bands)) for band in reversed(bands)]
    for name, fluxes in _MULTI_BAND:
        weights = tuple(fluxes.get(b, 0.0) for b in bands)
        if sum(w != 0 for w in weights) >= 2:
            seds.append(Sed(name, weights))
    return seds
