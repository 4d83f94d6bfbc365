"""The tables of CCDs: reading, and choosing those that a brick needs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..tables import open_fits, read_columns, stack_columns
from ..wcs import cd_pixel_scale, great_circle_distance, plane_to_sky
from .polygons import polygons_overlap

if TYPE_CHECKING:
    from astropy.table import Column, Table

    from ..wcs import ImageWcs

__all__ = ["read_ccds", "touching", "good_ccds", "EDGE_MARGIN"]

logger = logging.getLogger(__name__)

#: Without these no image can be used.
REQUIRED_COLUMNS = (
    "image_filename",
    "image_hdu",
    "camera",
    "expnum",
    "ccdname",
    "filter",
    "exptime",
    "mjd_obs",
    "fwhm",
    "width",
    "height",
    "crval1",
    "crval2",
    "crpix1",
    "crpix2",
    "cd1_1",
    "cd1_2",
    "cd2_1",
    "cd2_2",
    "ra",
    "dec",
    "sig1",
    "ccdzpt",
)

#: Columns that may be missing: type of the zeros that stand for them.
OPTIONAL_COLUMNS: dict[str, type | str] = {
    "ccdraoff": np.float32,
    "ccddecoff": np.float32,
    "plver": "U1",
    "plprocid": "U1",
    "propid": "U1",
}

_STRIPPED = ("image_filename", "camera", "ccdname", "filter", "plver", "plprocid", "propid")
_FOOTPRINT = ("ra", "dec", "width", "height", "cd1_1", "cd1_2", "cd2_1", "cd2_2")

#: Pixels by which the optics may move the edge of a CCD from where the table's plain TAN WCS puts it.
EDGE_MARGIN = 50.0


def read_ccds(paths: list[Path], target_wcs: ImageWcs) -> Table:
    """Rows of the CCD tables near a target image.

    Parameters
    ----------
    paths : list of Path
        Tables, HDU 1 each (the index trees in further HDUs of .kd.fits files are not needed).
    target_wcs : wcs.ImageWcs

    Returns
    -------
    astropy.table.Table
        Native byte order, str columns, names in lower case. Columns that only some of the tables have are filled
        with zeros. Rows in the order of the files.

    Raises
    ------
    InputError
        If a table cannot be read or a column that is needed is in none of them.
    """
    from astropy.table import Table

    tables = [_read_near(path, target_wcs) for path in paths]
    _require(tables, paths)
    _tell_missing(tables, paths)
    merged = Table(stack_columns(tables), copy=False)
    for name in _STRIPPED:
        if name in merged.colnames:
            merged[name] = _stripped(merged[name])
    for name, dtype in OPTIONAL_COLUMNS.items():
        if name not in merged.colnames:
            logger.warning("%s: no column %s; using %s", _listed(paths), name, "zeros" if dtype != "U1" else "blanks")
            merged[name] = np.zeros(len(merged), dtype)
    return merged


def _stripped(column: Column) -> NDArray[np.str_]:
    """Strings without blanks around them, in a column just wide enough."""
    texts = np.char.strip(np.asarray(column))
    width = int(np.char.str_len(texts).max()) if len(texts) else 1
    return texts.astype(f"U{max(width, 1)}")


def _read_near(path: Path, target_wcs: ImageWcs) -> NDArray[np.void]:
    """Rows of one table whose CCD circle meets the circle around the target, the latter grown by the margin."""
    with open_fits(path) as fits:
        position = read_columns(fits, path, columns=list(_FOOTPRINT))
        rows = np.flatnonzero(_within_reach(position, target_wcs))
        return read_columns(fits, path, rows=rows)


def _within_reach(ccds: NDArray[np.void], target_wcs: ImageWcs) -> NDArray[np.bool_]:
    if len(ccds) == 0:
        return np.zeros(0, bool)
    scale = cd_pixel_scale(_cd_matrices(ccds)) / 3600.0
    ccd_radius = np.nanmax(scale * np.hypot(ccds["width"].astype(float), ccds["height"])) / 2.0
    target_radius = target_wcs.pixel_scale / 3600.0 * np.hypot(target_wcs.width, target_wcs.height) / 2.0
    reach = target_radius + ccd_radius + EDGE_MARGIN * np.nanmax(scale)
    ra, dec = target_wcs.pixel_to_sky((target_wcs.width - 1) / 2.0, (target_wcs.height - 1) / 2.0)
    return (np.abs(ccds["dec"] - dec) < reach) & (great_circle_distance(ccds["ra"], ccds["dec"], ra, dec) < reach)


def _cd_matrices(ccds: NDArray[np.void] | Table) -> NDArray[np.float64]:
    """CD matrix of each CCD in the table; float64 (rows, 2, 2)."""
    columns = [np.asarray(ccds[c], np.float64) for c in ("cd1_1", "cd1_2", "cd2_1", "cd2_2")]
    return np.stack(columns, axis=-1).reshape(-1, 2, 2)


def _require(tables: list[NDArray[np.void]], paths: list[Path]) -> None:
    present = {name for t in tables for name in t.dtype.names or ()}
    missing = [c for c in REQUIRED_COLUMNS if c not in present]
    if missing:
        raise InputError(f"{_listed(paths)}: no column {', '.join(missing)}: not a complete survey-ccds table")


def _tell_missing(tables: list[NDArray[np.void]], paths: list[Path]) -> None:
    """Say which columns some of the tables lack."""
    names = [set(table.dtype.names or ()) for table in tables]
    missing = set().union(*names) - names[0].intersection(*names)
    if missing:
        logger.warning("%s: missing in some tables, set to zero there: %s", _listed(paths), ", ".join(sorted(missing)))


def _listed(paths: Any) -> Any:
    return ", ".join(str(p) for p in paths)


def touching(ccds: Table, target_wcs: ImageWcs, margin: float = EDGE_MARGIN) -> NDArray[np.bool_]:
    """Which CCDs may touch a target image: footprint in plain TAN, tested as polygons.

    Parameters
    ----------
    ccds : astropy.table.Table
    target_wcs : wcs.ImageWcs
    margin : float
        CCD pixels by which each footprint is grown, since the table's WCS knows no distortion (15-20 pixels at the
        edge of DECam). The exact test is made with the image's own WCS.

    Returns
    -------
    numpy.ndarray of bool
    """
    keep = np.zeros(len(ccds), bool)
    w, h = target_wcs.width, target_wcs.height
    target = [(-0.5, -0.5), (w - 0.5, -0.5), (w - 0.5, h - 0.5), (-0.5, h - 0.5)]
    senseless = _without_position(ccds)
    if senseless.any():
        first = ccds[np.flatnonzero(senseless)[0]]
        logger.warning(
            "%d CCDs have no position or size in the CCD table and are not used, the first is %s %s",
            senseless.sum(),
            str(first["image_filename"]).strip(),
            str(first["ccdname"]).strip(),
        )
    for i, footprint in enumerate(_footprints(ccds, target_wcs, margin)):
        if not senseless[i] and np.all(np.isfinite(footprint)):
            keep[i] = polygons_overlap(footprint, target)
    return keep


def _without_position(ccds: Table) -> NDArray[np.bool_]:
    """CCDs whose place on the sky cannot be told from the table; bool (rows,)."""
    names = ("crval1", "crval2", "crpix1", "crpix2", "cd1_1", "cd1_2", "cd2_1", "cd2_2")
    finite = np.all([np.isfinite(np.asarray(ccds[name], float)) for name in names], axis=0)
    return ~finite | (np.asarray(ccds["width"]) <= 0) | (np.asarray(ccds["height"]) <= 0)


def _footprints(ccds: Table, target_wcs: ImageWcs, margin: float) -> NDArray[np.float64]:
    """CCD corners in target pixels; float64 (rows, 4, 2)."""
    width, height = (np.asarray(ccds[c], float)[:, np.newaxis] for c in ("width", "height"))
    low = 0.5 - margin
    x = np.concatenate([low + 0 * width, width + 0.5 + margin, width + 0.5 + margin, low + 0 * width], axis=1)
    y = np.concatenate([low + 0 * height, low + 0 * height, height + 0.5 + margin, height + 0.5 + margin], axis=1)
    crval1, crval2, crpix1, crpix2 = (
        np.asarray(ccds[c], np.float64)[:, np.newaxis] for c in ("crval1", "crval2", "crpix1", "crpix2")
    )
    cd, u, v = _cd_matrices(ccds)[..., np.newaxis], x - crpix1, y - crpix2
    xi, eta = cd[:, 0, 0] * u + cd[:, 0, 1] * v, cd[:, 1, 0] * u + cd[:, 1, 1] * v
    xt, yt = target_wcs.sky_to_pixel(*plane_to_sky(crval1, crval2, xi, eta))
    return np.stack([np.asarray(xt), np.asarray(yt)], axis=-1).reshape(len(ccds), 4, 2)


def good_ccds(
    ccds: Table, bands: Sequence[str], min_mjd: float | None = None, max_mjd: float | None = None
) -> NDArray[np.bool_]:
    """Which CCDs passed the quality cuts and belong to the run's bands and dates.

    Parameters
    ----------
    ccds : astropy.table.Table
    bands : sequence of str
    min_mjd, max_mjd : float, optional
        Inclusive.

    Returns
    -------
    numpy.ndarray of bool
    """
    keep = np.ones(len(ccds), bool)
    if "ccd_cuts" in ccds.colnames:
        keep &= np.asarray(ccds["ccd_cuts"]) == 0
    else:
        logger.warning("the CCD tables have no column ccd_cuts: using all CCDs")
    logger.info("%d of %d CCDs pass the quality cuts", keep.sum(), len(ccds))
    keep &= np.isin(np.asarray(ccds["filter"]), list(bands))
    if min_mjd is not None:
        keep &= np.asarray(ccds["mjd_obs"]) >= min_mjd
    if max_mjd is not None:
        keep &= np.asarray(ccds["mjd_obs"]) <= max_mjd
    logger.info("%d CCDs in bands %s and the MJD range", keep.sum(), ",".join(bands))
    return keep
