"""Checksums in FITS files (cards CHECKSUM and DATASUM): do they agree with what is there?"""

from pathlib import Path

from ..errors import InputError
from ..tables import open_fits, short_message
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
                with open_fits(path) as fits:
                    for number, hdu in enumerate(fits):
                        _verify(hdu, number, path)
            except InputError as error:
                findings.append(Finding(LOST, str(path), str(error).removeprefix(f"{path}: ")))
    return findings


def _verify(hdu, number, path):
    try:
        hdu.verify_checksum()
    except ValueError as error:
        raise InputError(f"{path}: HDU {number}: {error}: the file is damaged, or was changed") from None
    except OSError as error:
        raise InputError(f"{path}: HDU {number}: cannot be read ({short_message(error)})") from None
