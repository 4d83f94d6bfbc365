"""Large galaxies of the Siena Galaxy Atlas (SGA): parent and ellipse catalogues of 2020 and 2025."""

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from astropy.table import Table

from ..errors import InputError
from ..wcs import ImageWcs, great_circle_distance
from .geometry import angular_radius, centre
from .repairs import replace_impossible, without_positions
from .tables import COLUMN_TYPES, CatalogFile

__all__ = ["FitMode", "GalaxyCatalog", "large_galaxies"]

_SEARCH_RADIUS = 2.0  # deg, beyond the image
_CLOUD_SEARCH_RADIUS = 6.0  # deg
#: Rows of the Magellanic Clouds: `ref_id` in the catalogue -> `ref_id` of our own.
_MAGELLANIC_CLOUDS = {5053785: 1, 5053799: 2}
#: Their centres [deg], to know whether the catalogue has to be searched for them.
_CLOUD_CENTRES = ((80.894, -69.756), (13.187, -72.829))

_KEPT = (
    "ra",
    "dec",
    "radius",
    "mag",
    "ref_cat",
    "ref_id",
    "ba",
    "pa",
    "islargegalaxy",
    "issgafit",
    "freezeparams",
    "keep_radius",
    "fitmode",
    "isresolved",
    "ismcloud",
    "ignore_source",
    "set_galaxy_maskbit",
)
#: What columns of the files hold.
_FILE_TYPES = {
    **dict.fromkeys(("ra", "dec", "ba", "pa", "d26", "diam", "mag", "mag_leda", "sersic"), "number"),
    **dict.fromkeys(("shape_r", "shape_e1", "shape_e2"), "number"),
    **dict.fromkeys(("ref_id", "sga_id", "fitmode"), "integer"),
    **dict.fromkeys(("in_footprint_grz", "preburned", "freeze"), "boolean"),
    **dict.fromkeys(("ref_cat", "type"), "text"),
}
#: Columns without which a file is of no use.
REQUIRED_COLUMNS = ("ra", "dec", "ba", "pa")
_LARGEST_DIAMETER = 1000.0  # arcmin


class FitMode(IntFlag):
    """Bits of the SGA's `fitmode` column.

    FREEZE: take the catalogue's model as it is. FIXGEO: mask the galaxy by its ellipse, do not fit it.
    RESOLVED: a dwarf galaxy resolved into stars. MCLOUDS: inside a Magellanic Cloud.
    """

    FREEZE = 1
    FIXGEO = 2
    RESOLVED = 4
    MCLOUDS = 8


@dataclass(frozen=True)
class GalaxyCatalog:
    """What kind of catalogue a file is.

    Attributes
    ----------
    version : str
        Two characters: `ref_cat` of its galaxies.
    ellipse : bool
        True if it holds fitted models (ellipse catalogue), False for a parent catalogue.
    has_fitmode : bool
        True for SGA-2025.
    """

    version: str
    ellipse: bool
    has_fitmode: bool


def large_galaxies(wcs: ImageWcs, path: str) -> tuple[Table, Table]:
    """Large galaxies on and around an image.

    Parameters
    ----------
    wcs : ImageWcs
    path : str
        SGA file with the table in HDU 1.

    Returns
    -------
    table : Table
        Columns of the reference table.
    models : Table
        Row-aligned: all columns of the file, lower case; the input of `galaxy_sources.make_sources`.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or gives no proper version.
    """
    with CatalogFile(path, required=REQUIRED_COLUMNS, types=_FILE_TYPES) as file:
        catalog = _catalog_kind(file)
        raw, cloud = _read_rows(file, wcs)
    _repair(raw, path)
    _fill_identity(raw, catalog, path)
    _fill_shape(raw)
    _fill_flags(raw, catalog, wcs, path)
    _mark_clouds(raw, cloud)
    table = Table()
    for name in _KEPT:
        if name in raw.colnames:
            table[name] = np.asarray(raw[name]).astype(COLUMN_TYPES[name])
    return table, raw


def _repair(raw, path):
    """Replace values that cannot be by what does no harm."""
    for name in ("d26", "diam"):
        replace_impossible(raw, name, 0.0, _LARGEST_DIAMETER, 0.0, path, "taken for 0")
    replace_impossible(raw, "ba", 0.0, 1.0, 1.0, path, "taken for round")
    replace_impossible(raw, "pa", -360.0, 720.0, 0.0, path, "taken for 0")
    for name in ("mag", "mag_leda"):
        replace_impossible(raw, name, -5.0, 99.9, np.nan, path, "taken for unknown")


def _catalog_kind(file):
    version, ellipse = _version(file.path, file.primary_header())
    if len(version) != 2:
        raise InputError(
            f"{file.path}: catalogue version {version!r} (card VER or SGAVER) must have two characters, e.g. L3"
        )
    return GalaxyCatalog(version, ellipse, "fitmode" in file.columns)


def _version(path, header):
    for key in ("VER", "SGAVER", "LSLGAVER"):
        if key in header:
            version = str(header[key]).strip()
            if "ellipse" in version.lower():
                return version.split("-")[0].strip(), True
            return version, False
    for text, version in (("3.0", "L3"), ("2.0", "L2")):
        if text in str(path):
            return version, False
    return "LG", False


def _read_rows(file, wcs):
    """Rows near the image, and the number of the Magellanic Cloud (0: none) that each is.

    A Cloud comes only if it covers part of the image.
    """
    if "d26" not in file.columns:
        file.need("diam")
    position = file.read(("ra", "dec"))
    ra, dec = centre(wcs)
    with np.errstate(invalid="ignore"):
        distance = great_circle_distance(position["ra"], position["dec"], ra, dec)
    distance = np.where(without_positions(position["ra"], position["dec"], file.path), np.inf, distance)
    cloud = np.zeros(len(position), np.int64)
    keep = distance <= _SEARCH_RADIUS + angular_radius(wcs)
    if min(great_circle_distance(ra, dec, *c) for c in _CLOUD_CENTRES) < _CLOUD_SEARCH_RADIUS + _SEARCH_RADIUS:
        cloud = _cloud_numbers(file)
        reach = _radius(file.read(("d26", "diam"))) + angular_radius(wcs)
        covers = (cloud > 0) & (distance <= _CLOUD_SEARCH_RADIUS) & (distance <= reach)
        keep = (keep & (cloud == 0)) | covers
    rows = np.flatnonzero(keep)
    return file.read(rows=rows), cloud[rows]


def _cloud_numbers(file):
    ids = file.read(("ref_id", "sga_id"))
    cloud = np.zeros(file.nrows, np.int64)
    for name in ids.colnames:
        for ref_id, number in _MAGELLANIC_CLOUDS.items():
            cloud[np.asarray(ids[name]) == ref_id] = number
    return cloud


def _radius(raw):
    """Semi-major axis [deg] from the diameter in arcmin."""
    diameter = raw["d26"] if "d26" in raw.colnames else raw["diam"]
    return np.maximum(0.0, np.nan_to_num(np.asarray(diameter, np.float32))) / 2.0 / 60.0


def _need(raw, names, path):
    for name in names:
        if name not in raw.colnames:
            raise InputError(f"{path}: large-galaxy catalogue without column {name!r}")


def _fill_identity(raw, catalog, path):
    """`ref_cat`, `ref_id`, `mag` in the form of the reference table."""
    n = len(raw)
    if catalog.ellipse:
        if "ref_cat" not in raw.colnames:
            raw["ref_cat"] = np.full(n, catalog.version, dtype="U2")
        _need(raw, ("ref_id",), path)
    else:
        raw["ref_cat"] = np.full(n, catalog.version, dtype="U2")
        if "sga_id" in raw.colnames:
            raw["ref_id"] = np.asarray(raw["sga_id"], np.int64)
        _need(raw, ("ref_id",), path)
        if "mag_leda" in raw.colnames:
            raw["mag"] = raw["mag_leda"]
        _need(raw, ("mag",), path)


def _fill_shape(raw):
    raw["radius"] = _radius(raw).astype(np.float32)
    raw["keep_radius"] = np.float32(2) * raw["radius"]


def _fill_flags(raw, catalog, wcs, path):
    n = len(raw)
    mode = np.asarray(raw["fitmode"], np.int64) if catalog.has_fitmode else np.zeros(n, np.int64)
    raw["fitmode"] = mode
    raw["isresolved"] = (mode & FitMode.RESOLVED) != 0
    raw["ismcloud"] = (mode & FitMode.MCLOUDS) != 0
    raw["issgafit"] = np.zeros(n, bool)
    if catalog.ellipse and catalog.has_fitmode:
        _flags_2025_ellipse(raw, mode)
    elif catalog.ellipse:
        _flags_2020_ellipse(raw, catalog.version, path)
    elif catalog.has_fitmode:
        _flags_2025_parent(raw, mode, wcs, path)
    else:
        raw["islargegalaxy"] = np.ones(n, bool)
        raw["freezeparams"] = np.zeros(n, bool)
        raw["set_galaxy_maskbit"] = np.ones(n, bool)
        raw["ignore_source"] = np.zeros(n, bool)


def _flags_2025_ellipse(raw, mode):
    """Fitted galaxies ("L"), and the companions that were fitted with them."""
    freeze = (mode & FitMode.FREEZE) != 0
    large = np.array([str(cat).startswith("L") for cat in raw["ref_cat"]], dtype=bool)
    raw["islargegalaxy"] = large
    raw["issgafit"] = ~large
    raw["freezeparams"] = freeze
    raw["set_galaxy_maskbit"] = (freeze & large) | (mode == 0) | (mode == FitMode.FIXGEO)
    raw["ignore_source"] = (mode & FitMode.FIXGEO) != 0


def _flags_2020_ellipse(raw, version, path):
    _need(raw, ("in_footprint_grz", "sga_id", "preburned", "freeze"), path)
    outside = ~np.asarray(raw["in_footprint_grz"], bool)
    sga_id = np.asarray(raw["sga_id"], np.int64)
    raw["islargegalaxy"] = outside | ((raw["ref_cat"] == version) & (sga_id > -1))
    raw["freezeparams"] = np.asarray(raw["preburned"], bool) & np.asarray(raw["freeze"], bool)
    raw["set_galaxy_maskbit"] = raw["islargegalaxy"].copy()
    raw["ignore_source"] = np.zeros(len(raw), bool)
    raw["ref_id"] = np.where(outside, sga_id, raw["ref_id"])
    raw["ref_cat"] = np.where(outside, version, raw["ref_cat"])


def _flags_2025_parent(raw, mode, wcs, path):
    if np.any(mode & FitMode.FREEZE):
        raise InputError(f"{path}: a parent catalogue cannot have frozen galaxies (fitmode bit 1), it has no models")
    x, y = wcs.sky_to_pixel(raw["ra"], raw["dec"])
    raw["islargegalaxy"] = np.ones(len(raw), bool)
    raw["freezeparams"] = np.zeros(len(raw), bool)
    raw["set_galaxy_maskbit"] = (mode == 0) | (mode == FitMode.FIXGEO)
    raw["ignore_source"] = ((mode & FitMode.FIXGEO) != 0) | ~wcs.contains(x, y)


def _mark_clouds(raw, cloud):
    """The Magellanic Clouds are only areas: no source is fitted, none is detected there by itself."""
    is_cloud = cloud > 0
    for name, value in (
        ("ref_id", cloud[is_cloud]),
        ("ref_cat", "MC"),
        ("fitmode", int(FitMode.MCLOUDS)),
        ("ismcloud", True),
        ("ignore_source", True),
        ("freezeparams", True),
        ("isresolved", False),
        ("islargegalaxy", False),
        ("issgafit", False),
        ("set_galaxy_maskbit", False),
    ):
        raw[name][is_cloud] = value
