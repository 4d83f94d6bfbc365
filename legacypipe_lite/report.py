"""What a run has to tell at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging

__all__ = ["Report"]


@dataclass
class Report:
    """What a run has to tell at its end.

    Attributes
    ----------
    dropped_ccds : list of (str, str)
        CCD name and reason.
    warnings : list of str
        In order, each once.
    counts : dict
        Whatever stages count (sources by type, blobs, ...).
    """

    dropped_ccds: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: dict[Any, Any] = field(default_factory=dict)

    def warn_once(self, logger: logging.Logger, text: str) -> None:
        """Log a warning unless the same text was logged before in this run."""
        if text not in self.warnings:
            self.warnings.append(text)
            logger.warning(text)

    def drop_ccd(self, logger: Any, name: Any, reason: Any) -> None:
        """Note that a CCD is not used, and say so."""
        self.dropped_ccds.append((name, reason))
        logger.warning("dropping CCD %s: %s", name, reason)
