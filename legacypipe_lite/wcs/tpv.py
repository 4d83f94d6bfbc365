"""TPV: gnomonic projection with polynomial distortion in the tangent plane (CP-processed NOIRLab images)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import projection_kernels as kernels
from .base import ImageWcs

__all__ = ["TpvWcs"]

NCOEF = 40


class TpvWcs(ImageWcs):
    """TAN with PV1_i, PV2_i distortion (TPV convention).

    Parameters
    ----------
    crval, crpix, cd, width, height
        As `ImageWcs`.
    pv1, pv2 : array_like
        Coefficients PV1_0 ... PV1_39 and PV2_0 ... PV2_39 (shorter lists are padded with zeros). The caller
        applies the default PV1_1 = PV2_1 = 1.
    """

    kind = kernels.TPV

    def __init__(
        self,
        crval: tuple[float, float],
        crpix: tuple[float, float],
        cd: ArrayLike,
        width: int,
        height: int,
        pv1: Sequence[float] | NDArray[np.float64],
        pv2: Sequence[float] | NDArray[np.float64],
    ) -> None:
        super().__init__(crval, crpix, cd, width, height)
        self.pv1 = np.zeros(NCOEF)
        self.pv2 = np.zeros(NCOEF)
        self.pv1[: len(pv1)] = pv1
        self.pv2[: len(pv2)] = pv2

    def _coefficients(self):
        used = np.flatnonzero((self.pv1 != 0) | (self.pv2 != 0))
        n = int(used[-1]) + 1 if len(used) else 0
        return n, self.pv1, self.pv2

    def ctype(self) -> tuple[str, str]:
        return "RA---TPV", "DEC--TPV"

    def header_cards(self) -> list[tuple[str, Any, str]]:
        cards = super().header_cards()
        for axis, pv in ((1, self.pv1), (2, self.pv2)):
            cards += [(f"PV{axis}_{i}", float(v), "") for i, v in enumerate(pv) if v != 0]
        return cards
