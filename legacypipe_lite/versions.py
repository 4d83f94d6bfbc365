"""Versions of this package and of those that its results depend on."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

__all__ = ["package_version", "software_versions"]

#: Packages whose versions are noted, besides our own.
_PACKAGES = ("astropy", "astropy-healpix", "fitsio", "numba", "numpy", "photutils", "scipy", "sep")


@lru_cache(maxsize=1)
def package_version() -> Any:
    """Version of this package, or "unknown" in a source tree that is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # takes as long as the rest of the package

    try:
        return version("legacypipe-lite")
    except PackageNotFoundError:
        return "unknown"


def software_versions() -> Any:
    """Versions of the packages that results depend on, besides our own; dict."""
    return dict(_software_versions())


@lru_cache
def _software_versions() -> Any:
    from importlib.metadata import version

    return {name: version(name) for name in _PACKAGES}
