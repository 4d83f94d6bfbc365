"""What becomes of each CCD near a brick: used, dropped, not overlapping, or not asked for; none is forgotten."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from ..names import printable

__all__ = ["CcdFate", "CcdList", "DROPPED", "NOT_ASKED", "NOT_OVERLAPPING", "USED", "fate_counts"]

USED = "used"
DROPPED = "dropped"
NOT_OVERLAPPING = "not overlapping"
NOT_ASKED = "not asked for"


class CcdFate(NamedTuple):
    """What becomes of a CCD.

    Attributes
    ----------
    name : str
        Image file and CCD name, as in the CCD table.
    fate : str
        One of `USED`, `DROPPED`, `NOT_OVERLAPPING` and `NOT_ASKED`.
    reason : str
        Why it is not used.
    """

    name: str
    fate: str
    reason: str = ""


class CcdList:
    """The CCDs of the tables near a brick, each of which is settled once.

    Parameters
    ----------
    table : astropy.table.Table
        One row per CCD.
    problems : list of str
        Row by row, what makes it useless, or "".
    """

    def __init__(self, table: Any, problems: Any) -> None:
        self.table = table
        self.problems = problems
        self._fates = [None] * len(table)

    def __len__(self) -> Any:
        return len(self.table)

    def name(self, row: int) -> str:
        """Image file and CCD name of a row, without control characters."""
        ccd = self.table[row]
        return printable(f"{ccd['image_filename']} {ccd['ccdname']}".strip())

    def settle(self, row: int, fate: str, reason: str = "") -> None:
        """Note what becomes of a row; what was noted first stays."""
        if self._fates[row] is None:
            self._fates[row] = CcdFate(self.name(row), fate, printable(reason))

    def unsettled(self) -> np.ndarray:
        """Rows for which nothing is noted yet, in order."""
        return np.array([i for i, fate in enumerate(self._fates) if fate is None], int)

    def fates(self) -> list[CcdFate]:
        """What became of all rows, in order; every row must have been settled."""
        assert None not in self._fates
        return list(self._fates)

    def settled(self, fate: str) -> list[CcdFate]:
        """The rows with one fate, in order."""
        return [f for f in self._fates if f is not None and f.fate == fate]


def fate_counts(fates: Any) -> str:
    """How many CCDs had which fate and why, in words.

    Parameters
    ----------
    fates : iterable of CcdFate

    Returns
    -------
    str
        E.g. "2 used, 1 dropped, 3 not asked for (2 ccd_cuts is not 0, 1 band Y)".
    """
    fates = [CcdFate(*f) for f in fates]
    parts = []
    for kind in (USED, DROPPED, NOT_OVERLAPPING, NOT_ASKED):
        reasons = Counter(f.reason for f in fates if f.fate == kind)
        number = sum(reasons.values())
        if number == 0 and kind in (NOT_OVERLAPPING, NOT_ASKED):
            continue
        why = ", ".join(f"{n} {reason}" for reason, n in reasons.items()) if kind == NOT_ASKED else ""
        parts.append(f"{number} {kind}" + (f" ({why})" if why else ""))
    return ", ".join(parts)
