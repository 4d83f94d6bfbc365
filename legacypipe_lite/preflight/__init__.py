"""A look at the inputs before hours of work: what is there, what is missing, what looks wrong, what it will take."""

from .brick import BrickCheck, check_brick
from .checksums import checksum_findings
from .findings import TITLES, Finding, grave

__all__ = ["BrickCheck", "Finding", "TITLES", "check_brick", "checksum_findings", "grave"]
