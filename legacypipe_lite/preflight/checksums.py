"""Checksums in FITS files (cards CHECKSUM and DATASUM): do they agree with what is there?"""

from pathlib import Path

from ..errors import InputError
from ..tables import verify_checksums
from .findings import LOST, Finding

__all__ = ["checksum_findings"]


def checksum_findings(paths) -> list[Finding]:
    """Files that are damaged, according to their own checksums; files without checksums pass.

    Parameters
    ----------
    paths : iterable of Path
        Those that do not exist are passed over.
    """
    findings = []
    for path in dict.fromkeys(Path(p) for p in paths):
        if path.is_file():
            try:
                verify_checksums(path)
            except InputError as error:
                findings.append(Finding(LOST, str(path), str(error).removeprefix(f"{path}: ")))
    return findings
