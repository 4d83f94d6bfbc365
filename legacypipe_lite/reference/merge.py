"""Reference sources of an image: all catalogues, made consistent with each other and cut to what can matter."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from ..catalog import REFERENCE
from ..models import Motion, Source
from ..tables import stack_columns
from ..units import mag_to_nanomaggies
from ..wcs import ImageWcs
from .catalogs import RefCatalogs
from .clusters import star_clusters
from .gaia import gaia_stars
from .galaxy_sources import make_sources
from .geometry import angular_radius, centre, grown_tangent_wcs, nearest_within, shifted
from .large_galaxies import large_galaxies
from .star_colors import MAX_MASK_RADIUS
from .tables import add_missing_columns, empty_references
from .tycho2 import tycho2_stars

__all__ = ["reference_sources", "file_columns", "FILE_UNITS"]

logger = logging.getLogger(__name__)

_TYCHO_MATCH_EPOCH = 1991.5
_TYCHO_CANDIDATES = 10.0  # arcsec, at _TYCHO_MATCH_EPOCH
_TYCHO_MATCH = 1.0  # arcsec, at the epoch of the Tycho-2 position
_GALAXY_GAIA_MATCH = 2.0  # arcsec
_GALAXY_TYCHO_MATCH = 5.0  # arcsec
_UNKNOWN_MAG = 30.0

_BAND = "<b>"  # ends the names of band columns in the schema

#: Units of the columns of the reference file.
FILE_UNITS = {column.name: column.unit for column in REFERENCE if column.unit}


def reference_sources(
    target_wcs: ImageWcs, bands: Sequence[str], catalogs: RefCatalogs, report: Any = None
) -> tuple[Table, list[Source | None]]:
    """Stars, clusters and large galaxies that matter for an image, and a source for each.

    Parameters
    ----------
    target_wcs : ImageWcs
        Of a brick, or of a CCD.
    bands : sequence of str
        Order of the sources' fluxes.
    catalogs : RefCatalogs
    report : report.Report, optional
        Gets the numbers of objects in `counts`.

    Returns
    -------
    refs : Table
        Reference objects, also those outside the image whose mask may reach it; Tycho-2 stars first, then Gaia
        stars, clusters, galaxies. Boolean columns and ra, dec, radius [deg], radius_pix, ibx, iby, ref_epoch,
        ref_cat, ref_id always exist; others as far as the catalogues give them. `ibx`, `iby` is the 0-based pixel of
        the catalogue position.
    sources : list of Source or None
        Row by row; None for clusters.

    Raises
    ------
    InputError
        If a catalogue file is missing or damaged.
    """
    gaia, tycho, clusters, galaxies, models = _read_all(target_wcs, bands, catalogs)
    if gaia is not None and tycho is not None:
        tycho = _merge_tycho(tycho, gaia)
    galaxy_sources = []
    if galaxies is not None:
        galaxy_sources = make_sources(models, bands)
        if gaia is not None:
            galaxies, gaia = _adopt_gaia_rows(galaxies, galaxy_sources, gaia)
            _flag_duplicates(galaxies, gaia, _GALAXY_GAIA_MATCH)
        if tycho is not None:
            _flag_duplicates(galaxies, tycho, _GALAXY_TYCHO_MATCH)
    tables = [table for table in (tycho, gaia, clusters, galaxies) if table is not None and len(table)]
    if not tables:
        return empty_references(), []
    refs = add_missing_columns(Table(stack_columns(tables)))
    sources: list[Source | None] = [*[None] * (len(refs) - len(galaxy_sources)), *galaxy_sources]
    keep = _locate(refs, target_wcs)
    refs, sources = refs[keep], [sources[i] for i in np.flatnonzero(keep)]
    for i, source in enumerate(sources):
        if source is None and (refs["isgaia"][i] or refs["istycho"][i]):
            sources[i] = _star_source(refs[i], bands)
    _count(refs, report)
    return refs, sources


def _read_all(target_wcs, bands, catalogs):
    """Tables of all catalogues in use (None otherwise), and the models of the galaxies."""
    margin = int(np.ceil(MAX_MASK_RADIUS / target_wcs.pixel_scale))
    margin_wcs = grown_tangent_wcs(target_wcs, margin)
    ra, dec = centre(target_wcs)
    tycho = gaia = clusters = galaxies = models = None
    if catalogs.tycho2_file is not None:
        tycho = tycho2_stars(ra, dec, catalogs.tycho2_file)
    if catalogs.gaia_dir is not None:
        gaia = gaia_stars(margin_wcs, bands, catalogs)
    if catalogs.clusters_file is not None:
        clusters = star_clusters(ra, dec, angular_radius(margin_wcs), catalogs.clusters_file)
    if catalogs.large_galaxies_file is not None:
        galaxies, models = large_galaxies(target_wcs, catalogs.large_galaxies_file)
    return gaia, tycho, clusters, galaxies, models


def _merge_tycho(tycho, gaia):
    """Tycho-2 stars that Gaia does not have; those that it has are marked in the Gaia table."""
    ra, dec = _gaia_positions(gaia, np.arange(len(gaia)), _TYCHO_MATCH_EPOCH)
    match = nearest_within(tycho["ra"], tycho["dec"], ra, dec, _TYCHO_CANDIDATES)
    rows = np.flatnonzero(match >= 0)
    ra, dec = _gaia_positions(gaia, match[rows], np.asarray(tycho["ref_epoch"][rows], float))
    dra = (tycho["ra"][rows] - ra + 180.0) % 360.0 - 180.0
    distance = 3600.0 * np.hypot(dra * np.cos(np.deg2rad(dec)), tycho["dec"][rows] - dec)
    rows = rows[distance <= _TYCHO_MATCH]
    gaia["isbright"][match[rows]] = True
    gaia["istycho"][match[rows]] = True
    keep = np.ones(len(tycho), bool)
    keep[rows] = False
    return tycho[keep]


def _gaia_positions(gaia, rows, epoch):
    ra, dec, pmra, pmdec, ref_epoch = (
        np.asarray(gaia[name][rows], np.float64) for name in ("ra", "dec", "pmra", "pmdec", "ref_epoch")
    )
    return shifted(ra, dec, pmra, pmdec, epoch - ref_epoch)


def _adopt_gaia_rows(galaxies, sources, gaia):
    """Join Gaia stars that the galaxy catalogue has fitted as companions with their rows in Gaia.

    The joined row stays in the galaxy table with all of Gaia's columns, and its source moves as the star does.
    """
    companions = [i for i, ref_cat in enumerate(galaxies["ref_cat"]) if str(ref_cat).startswith("G")]
    if not companions:
        return galaxies, gaia
    by_id = {int(ref_id): row for row, ref_id in enumerate(gaia["ref_id"])}
    ref_ids = [int(galaxies["ref_id"][i]) for i in companions]
    pairs = [(i, by_id[ref_id]) for i, ref_id in zip(companions, ref_ids) if ref_id in by_id]
    if not pairs:
        return galaxies, gaia
    i, j = np.array(pairs).T
    for name in gaia.colnames:
        if name not in galaxies.colnames:
            column = np.zeros(len(galaxies), gaia[name].dtype)
            column[i] = gaia[name][j]
            galaxies[name] = column
    galaxies["ref_cat"][i] = gaia["ref_cat"][j]
    for row, star in pairs:
        source = sources[row]
        source.ra, source.dec = float(gaia["ra"][star]), float(gaia["dec"][star])
        source.motion = _motion(gaia[star])
        source.reference_star = True
    keep = np.ones(len(gaia), bool)
    keep[j] = False
    return galaxies, gaia[keep]


def _flag_duplicates(galaxies, stars, radius):
    """A star on the centre of a large galaxy is its nucleus: not fitted, listed as a duplicate."""
    centres = galaxies[~galaxies["ismcloud"]]
    match = nearest_within(centres["ra"], centres["dec"], stars["ra"], stars["dec"], radius)
    match = match[match >= 0]
    stars["ignore_source"][match] = True
    stars["dup"][match] = True


def _locate(refs, wcs):
    """Add pixel positions, and return which rows to keep."""
    width, height = wcs.width, wcs.height
    x, y = _pixel_positions(refs, wcs)
    pixels_per_degree = 3600.0 / wcs.pixel_scale
    refs["radius_pix"] = np.ceil(refs["radius"] * pixels_per_degree).astype(np.int64)
    reach = np.ceil(np.maximum(refs["keep_radius"], refs["radius"]) * pixels_per_degree)
    # The comparison is of FITS pixel positions, which are larger by one.
    near = (x + 1 > -reach) & (x + 1 < width + reach) & (y + 1 > -reach) & (y + 1 < height + reach)
    limit = np.iinfo(np.int32).max
    refs["ibx"] = np.rint(np.clip(np.nan_to_num(x, nan=limit), -limit, limit)).astype(np.int32)
    refs["iby"] = np.rint(np.clip(np.nan_to_num(y, nan=limit), -limit, limit)).astype(np.int32)
    refs["in_bounds"] = (refs["ibx"] >= 0) & (refs["ibx"] < width) & (refs["iby"] >= 0) & (refs["iby"] < height)
    useless = refs["islargegalaxy"] & ~refs["in_bounds"]
    useless &= ~(refs["freezeparams"] | refs["isresolved"] | refs["set_galaxy_maskbit"])
    return np.asarray(near & ~useless)


def _pixel_positions(refs, wcs):
    """0-based positions; far outside a distorted image those of its tangent plane."""
    x, y = wcs.sky_to_pixel(refs["ra"], refs["dec"])
    plain = grown_tangent_wcs(wcs, 0)
    xp, yp = plain.sky_to_pixel(refs["ra"], refs["dec"])
    far = ~np.isfinite(x) | ~np.isfinite(y)
    return np.where(far, xp, x), np.where(far, yp, y)


def _motion(row):
    return Motion(float(row["pmra"]), float(row["pmdec"]), float(row["parallax"]), float(row["ref_epoch"]))


def _star_source(row, bands):
    """Point source of a Gaia or Tycho-2 star."""
    mag = float(row["mag"]) or _UNKNOWN_MAG
    mags = [
        float(row[f"decam_mag_{band}"]) if row["isgaia"] and f"decam_mag_{band}" in row.colnames else mag
        for band in bands
    ]
    return Source(
        "PSF",
        float(row["ra"]),
        float(row["dec"]),
        mag_to_nanomaggies(mags),
        motion=_motion(row),
        is_reference=True,
        reference_star=bool(row["isgaia"] or row["isbright"]),
        forced_pointsource=bool(row["pointsource"]),
        ignore=bool(row["ignore_source"]),
    )


def _count(refs, report):
    counts = {
        "Tycho-2 stars": int(np.sum(refs["istycho"] & ~refs["isgaia"])),
        "Gaia stars": int(np.sum(refs["isgaia"])),
        "star clusters": int(np.sum(refs["iscluster"])),
        "large galaxies": int(np.sum(refs["islargegalaxy"])),
    }
    logger.info("reference objects: %s", ", ".join(f"{n} {name}" for name, n in counts.items()))
    if report is not None:
        report.counts["reference objects"] = counts


def file_columns(refs: Table) -> list[str]:
    """The columns of the reference file that a reference table has, in order.

    Parameters
    ----------
    refs : Table

    Returns
    -------
    list of str
    """
    names = []
    for name in (column.name for column in REFERENCE):
        if name.endswith(_BAND):
            names += [column for column in refs.colnames if column.startswith(name.removesuffix(_BAND))]
        elif name in refs.colnames:
            names.append(name)
    return names
