"""What a look at the inputs finds: how grave it is, what it is about, and what it means."""

from typing import NamedTuple

__all__ = ["ABSENT", "ERROR", "Finding", "LOST", "MADE", "ODD", "TITLES", "grave"]

ERROR = "error"
LOST = "lost"
ODD = "odd"
MADE = "made"
ABSENT = "absent"

#: Kinds of findings, the gravest first, and what they are called.
TITLES = {
    ERROR: "the run would end with an error",
    LOST: "would be left out",
    ODD: "looks wrong",
    MADE: "would be made",
    ABSENT: "not there, and not needed",
}


class Finding(NamedTuple):
    """Something that a look at the inputs has found.

    Attributes
    ----------
    kind : str
        A key of `TITLES`.
    about : str
        File, CCD or catalogue.
    text : str
        What is the matter, and what follows.
    """

    kind: str
    about: str
    text: str


def grave(findings) -> bool:
    """True if there are findings that somebody should look at before a run."""
    return any(finding.kind in (ERROR, LOST, ODD) for finding in findings)
