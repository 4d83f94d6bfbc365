"""SIP: gnomonic projection with polynomial distortion in pixel space."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import projection_kernels as kernels
from .base import ImageWcs

__all__ = ["SipWcs"]

MAX_ORDER = 9


class SipWcs(ImageWcs):
    """TAN with SIP distortion polynomials A_p_q, B_p_q.

    The inverse polynomials (AP, BP) of a header are not used: the forward ones are inverted exactly.

    Parameters
    ----------
    crval, crpix, cd, width, height
        As `ImageWcs`.
    a, b : dict
        Coefficients {(p, q): value}, p + q <= 9.
    """

    kind = kernels.SIP

    def __init__(
        self,
        crval: tuple[float, float],
        crpix: tuple[float, float],
        cd: ArrayLike,
        width: int,
        height: int,
        a: dict[tuple[int, int], float],
        b: dict[tuple[int, int], float],
    ) -> None:
        super().__init__(crval, crpix, cd, width, height)
        orders = [p + q for p, q in (*a, *b)]
        if orders and max(orders) > MAX_ORDER:
            raise ValueError(f"SIP order {max(orders)} is above {MAX_ORDER}")
        self.a = {(int(p), int(q)): float(v) for (p, q), v in a.items()}
        self.b = {(int(p), int(q)): float(v) for (p, q), v in b.items()}

    @property
    def order(self):
        """Order of the polynomials."""
        return max([p + q for p, q in (*self.a, *self.b)], default=1)

    def _coefficients(self):
        order = max([p + q for p, q in (*self.a, *self.b)], default=-1)
        blocks = []
        for coefficients in (self.a, self.b):
            block = np.zeros(kernels.sip_index(0, max(order, 0)) + 1)
            for (p, q), value in coefficients.items():
                block[kernels.sip_index(p, q)] = value
            blocks.append(block)
        return order + 1, *blocks

    def ctype(self) -> tuple[str, str]:
        return "RA---TAN-SIP", "DEC--TAN-SIP"

    def header_cards(self) -> list[tuple[str, Any, str]]:
        cards = super().header_cards()
        for name, coefficients in (("A", self.a), ("B", self.b)):
            order = max((p + q for p, q in coefficients), default=0)
            cards.append((f"{name}_ORDER", order, ""))
            cards += [(f"{name}_{p}_{q}", v, "") for (p, q), v in sorted(coefficients.items())]
        return cards
