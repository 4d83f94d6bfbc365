"""Flags of the reference pipeline that are known, but not supported, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["REFUSED", "RefusedFlag"]

_NO_GALEX = "GALEX photometry is not part of this package"
_NO_GPU = "there is no GPU code path; use --threads"
_NO_COADD_FIT = "fitting on coadds is not implemented"
_NO_PLOTS = "there are no debug plots; look at the JPEGs and coadds"
_NO_MASKING = "not implemented; the segmentation map (default) separates sources"
_NO_CHECKPOINT = "the WISE stage is short; the stage pickle serves"
_NO_RESOURCE_LOG = "the summary gives time and peak memory per stage"


@dataclass(frozen=True)
class RefusedFlag:
    """A flag whose use is an error.

    Attributes
    ----------
    flags : tuple of str
        Its spellings.
    why : str
        The explanation in the error message.
    convert : type or None
        Of its values; None for a flag without.
    nargs : int or None
        Number of values, if there is more than one.
    """

    flags: tuple[str, ...]
    why: str
    convert: type | None = None
    nargs: int | None = None

    @property
    def name(self) -> Any:
        """The flag as a Python name."""
        return self.flags[-1].removeprefix("--").replace("-", "_")

    def message(self) -> str:
        """What is said when it is used."""
        return f"{self.flags[-1]} is not supported: {self.why}"


REFUSED = (
    RefusedFlag(("--prime-cache",), "copy the files with your own tools; --cache-dir reads them"),
    RefusedFlag(("--no-subsky",), "needs fitting on coadds, " + _NO_COADD_FIT),
    RefusedFlag(("--bright-masking",), _NO_MASKING),
    RefusedFlag(("--galaxy-masking",), _NO_MASKING),
    RefusedFlag(("--forced-bands",), "per-exposure forced photometry is not implemented yet", str),
    RefusedFlag(("--fit-on-coadds",), _NO_COADD_FIT),
    RefusedFlag(("--coadd-tiers",), _NO_COADD_FIT, int),
    RefusedFlag(("--no-ivar-reweighting",), _NO_COADD_FIT),
    RefusedFlag(("--ubercal-sky",), _NO_COADD_FIT),
    RefusedFlag(("--subsky-radii",), _NO_COADD_FIT, float, 3),
    RefusedFlag(("--galex",), _NO_GALEX),
    RefusedFlag(("--galex-dir",), _NO_GALEX, str),
    RefusedFlag(("--no-galex-ceres",), _NO_GALEX),
    RefusedFlag(("--save-galex-psf",), _NO_GALEX),
    RefusedFlag(("--wise-checkpoint",), _NO_CHECKPOINT, str),
    RefusedFlag(("--wise-checkpoint-period",), _NO_CHECKPOINT, float),
    RefusedFlag(("--ngpu",), _NO_GPU, int),
    RefusedFlag(("--gpu-ids",), _NO_GPU, str),
    RefusedFlag(("--threads-per-gpu",), _NO_GPU, int),
    RefusedFlag(("-p", "--plots"), _NO_PLOTS),
    RefusedFlag(("--plots2",), _NO_PLOTS),
    RefusedFlag(("--plot-base",), _NO_PLOTS, str),
    RefusedFlag(("--plot-number",), _NO_PLOTS, int),
    RefusedFlag(("--ps",), _NO_RESOURCE_LOG, str),
    RefusedFlag(("--ps-t0",), _NO_RESOURCE_LOG, int),
)
