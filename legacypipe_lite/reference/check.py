"""Are the files of the reference catalogues there, and of the right kind? Found out before hours of work."""

from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from . import clusters, gaia, large_galaxies, tycho2
from .catalogs import RefCatalogs
from .tables import CatalogFile

__all__ = ["check_files"]


def check_files(gaia_files: Iterable[Path], catalogs: RefCatalogs) -> None:
    """Open each file and look for the columns without which it is of no use.

    Parameters
    ----------
    gaia_files : iterable of Path
        Those around the field.
    catalogs : RefCatalogs

    Raises
    ------
    InputError
        Naming the file.
    """
    for path in gaia_files:
        if not path.exists():
            raise InputError(_missing_gaia_file(path, catalogs))
        _check(path, gaia.REQUIRED_COLUMNS, "a file of Gaia stars")
    if catalogs.tycho2_file is not None:
        with CatalogFile(catalogs.tycho2_file, required=("ra", "dec")) as file:
            tycho2.check_magnitudes(file)
    if catalogs.large_galaxies_file is not None:
        _check(catalogs.large_galaxies_file, large_galaxies.REQUIRED_COLUMNS, "a catalogue of large galaxies")
    if catalogs.clusters_file is not None:
        _check(catalogs.clusters_file, clusters.REQUIRED_COLUMNS, "a catalogue of star clusters")


def _check(path, columns, what):
    try:
        with CatalogFile(path, required=columns):
            pass
    except InputError as error:
        raise InputError(f"{error}: is it {what}?") from None


def _missing_gaia_file(path, catalogs):
    """The message about a Gaia file that is not there, with what is there instead."""
    others = [p.name for p in sorted(path.parent.glob("*.fits"))[:3]]
    there = f"the folder holds {', '.join(others)} ..." if others else "the folder holds no FITS file"
    return (
        f"Gaia file {path} is missing: {there} (see GAIA_CAT_DIR, GAIA_CAT_PREFIX {catalogs.gaia_prefix},"
        f" GAIA_CAT_SCHEME {catalogs.gaia_scheme}; --no-gaia does without)"
    )
