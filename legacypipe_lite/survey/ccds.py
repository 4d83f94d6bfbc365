"""The tables of CCDs: reading those near a brick, and choosing those that it needs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..columns import to_integers, to_numbers, to_texts
from ..errors import InputError
from ..tables import null_values, open_fits, read_columns, stack_columns
from ..wcs import cd_pixel_scale, great_circle_distance, plane_to_sky
from .ccd_checks import MAY_BE_MISSING, row_problems
from .ccd_list import CcdList
from .polygons import polygons_overlap

if TYPE_CHECKING:
    from astropy.table import Table

    from ..wcs import ImageWcs

__all__ = ["near_ccds", "read_ccds", "touching", "good_ccds", "reasons_not_asked", "EDGE_MARGIN"]

logger = logging.getLogger(__name__)

#: Without these no image can be used.
REQUIRED_COLUMNS = (
    "image_filename",
    "image_hdu",
    "camera",
    "expnum",
    "ccdname",
    "filter",
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

#: Columns that may be missing: what stands for them. Image headers stand in for the first three.
OPTIONAL_COLUMNS = {
    "exptime": np.float64("nan"),
    "mjd_obs": np.float64("nan"),
    "fwhm": np.float64("nan"),
    "ccdraoff": np.float32(0),
    "ccddecoff": np.float32(0),
    "plver": "",
    "plprocid": "",
    "propid": "",
}

_TEXTS = ("image_filename", "camera", "ccdname", "filter", "plver", "plprocid", "propid")
_INTEGERS = ("image_hdu", "expnum", "width", "height", "ccd_cuts")
_NUMBERS = (
    *("exptime", "mjd_obs", "fwhm", "crval1", "crval2", "crpix1", "crpix2", "cd1_1", "cd1_2", "cd2_1", "cd2_2"),
    *("ra", "dec", "sig1", "ccdzpt", "ccdraoff", "ccddecoff"),
)
_FOOTPRINT = (
    *("ra", "dec", "width", "height", "cd1_1", "cd1_2", "cd2_1", "cd2_2", "crval1", "crval2", "crpix1", "crpix2"),
)

#: Pixels by which the optics may move the edge of a CCD from where the table's plain TAN WCS puts it.
EDGE_MARGIN = 50.0
#: CCDs of more degrees than this are a mistake; also the radius of those of which nothing better is known.
_MAX_RADIUS, _UNKNOWN_RADIUS = 45.0, 1.0
#: Column ra, dec may be the pointing of the telescope; but not further than this [deg] from the CCD's own centre.
_MAX_POINTING = 3.0


def read_ccds(paths: Any, target_wcs: Any) -> Any:
    """Rows of the CCD tables near a target image: the table of `near_ccds`."""
    return near_ccds(paths, target_wcs).table


def near_ccds(paths: Any, target_wcs: Any) -> Any:
    """The CCDs of the tables near a target image.

    Columns may be of any sane type: text of numbers, NULLs, bytes; they are converted.

    Parameters
    ----------
    paths : list of Path
        Tables, HDU 1 each (the index trees in further HDUs of .kd.fits files are not needed).
    target_wcs : wcs.ImageWcs

    Returns
    -------
    CcdList
        Its table has native byte order, str columns, names in lower case. Columns that only some of the tables have
        are filled with zeros, those for which image headers stand in with NaN. Rows are in the order of the files;
        rows that are there twice come once.

    Raises
    ------
    InputError
        If a table cannot be read, a column that is needed is in none of them, or is not one value a row.
    """
    from astropy.table import Table

    parts = [_read_near(path, target_wcs) for path in paths]
    tables = [columns for columns, _ in parts]
    _require(tables, paths)
    _tell_missing(tables, paths)
    _make_alike(tables, paths)
    merged = Table(stack_columns(tables), copy=False)
    problems = [problem for _, part in parts for problem in part]
    for name, blank in OPTIONAL_COLUMNS.items():
        if name not in merged.colnames:
            what = {"": "blanks", "nan": "the image headers"}.get(str(blank), "zeros")
            logger.warning("%s: no column %s; using %s", _listed(paths), name, what)
            merged[name] = np.full(len(merged), blank, dtype="U1" if blank == "" else None)
    _fill_cuts(merged)
    problems = [p or q or r for p, q, r in zip(problems, row_problems(merged), _contradictions(merged))]
    return _without_repeated(merged, problems, paths)


def _read_near(path: Any, target_wcs: Any) -> Any:
    """Columns (dict) of the rows of one table that may be near the target, and the problem or "" of each."""
    with open_fits(path) as fits:
        nulls = null_values(fits, path)
        position, _ = _converted(read_columns(fits, path, columns=list(_FOOTPRINT)), nulls, path)
        rows = np.flatnonzero(_within_reach(position, target_wcs))
        return _converted(read_columns(fits, path, rows=rows), nulls, path)


def _converted(table: Any, nulls: Any, path: Any) -> Any:
    """Columns of the types that they should have, as a dict, and what is wrong with each row ("" if nothing is)."""
    columns, problems = {}, [""] * len(table)
    for name in table.dtype.names:
        column = table[name]
        try:
            if name in _TEXTS:
                column = to_texts(column)
            elif name in _INTEGERS or name in _NUMBERS:
                convert = to_integers if name in _INTEGERS else to_numbers
                column, bad = convert(column, nulls.get(name))
                if name != "ccd_cuts":
                    _note(problems, bad, name, table[name])
                elif bad.any():
                    column = np.where(bad, _NO_CUTS, column)
        except ValueError as error:
            raise InputError(f"{path}: column {name} {error}") from None
        columns[name] = column
    return columns, problems


def _note(problems: Any, bad: Any, name: Any, values: Any) -> None:
    for i in np.flatnonzero(bad):
        value = values[i].strip() if isinstance(values[i], str) else values[i]
        problems[i] = problems[i] or f"{name} is {str(value)!r} in the CCD table, which is no usable number"


def _contradictions(ccds: Any) -> Any:
    """What is wrong with rows whose ra, dec and TAN columns are of different parts of the sky."""
    with np.errstate(all="ignore"):
        ra, dec = _centres(ccds)
        apart = great_circle_distance(np.asarray(ccds["ra"], float), np.asarray(ccds["dec"], float), ra, dec)
    return [
        f"ra, dec are {d:.4g} degrees from where crval1 ... cd2_2 put the CCD (CCD table)" if d > _MAX_POINTING else ""
        for d in apart
    ]


#: Stands for a cut that is not known, before these are counted.
_NO_CUTS = -(2**62)


def _fill_cuts(ccds: Any) -> None:
    if "ccd_cuts" not in ccds.colnames:
        return
    cuts = np.asarray(ccds["ccd_cuts"])
    empty = cuts == _NO_CUTS
    if empty.any():
        logger.warning("ccd_cuts of %d CCDs near the brick is empty, or no number: taken for 0 (no cuts)", empty.sum())
        ccds["ccd_cuts"] = np.where(empty, 0, cuts)


def _within_reach(ccds: Any, target_wcs: Any) -> Any:
    """Rows whose circle meets that of the target, by ra, dec or by the TAN columns, and rows without any position."""
    if len(ccds["ra"]) == 0:
        return np.zeros(0, bool)
    with np.errstate(all="ignore"):
        scale = cd_pixel_scale(_cd_matrices(ccds)) / 3600.0
        radius = scale * np.hypot(ccds["width"].astype(float), ccds["height"]) / 2.0
        sane = np.isfinite(radius) & (radius > 0) & (radius < _MAX_RADIUS)
        reach = np.where(sane, radius + EDGE_MARGIN * scale, _UNKNOWN_RADIUS)
        reach += target_wcs.pixel_scale / 3600.0 * np.hypot(target_wcs.width, target_wcs.height) / 2.0
        centre = target_wcs.pixel_to_sky((target_wcs.width - 1) / 2.0, (target_wcs.height - 1) / 2.0)
        near, known = np.zeros(len(scale), bool), np.zeros(len(scale), bool)
        for ra, dec in ((ccds["ra"], ccds["dec"]), _centres(ccds)):
            on_sky = np.isfinite(ra) & (np.abs(dec) <= 90)
            near |= on_sky & (great_circle_distance(ra, dec, *centre) < reach)
            known |= on_sky
    return near | ~known


def _centres(ccds: Any) -> Any:
    """RA, Dec [deg] of the CCDs' centres by the plain TAN WCS of the table."""
    width, height = (np.asarray(ccds[c], float)[:, np.newaxis] for c in ("width", "height"))
    ra, dec = _tan_to_sky(ccds, (width + 1) / 2, (height + 1) / 2)
    return ra[:, 0], dec[:, 0]


def _cd_matrices(ccds: NDArray[np.void] | Table) -> NDArray[np.float64]:
    """CD matrix of each CCD in the table; float64 (rows, 2, 2)."""
    columns = [np.asarray(ccds[c], np.float64) for c in ("cd1_1", "cd1_2", "cd2_1", "cd2_2")]
    return np.stack(columns, axis=-1).reshape(-1, 2, 2)


def _require(tables: Any, paths: Any) -> None:
    present = {name for columns in tables for name in columns}
    missing = [c for c in REQUIRED_COLUMNS if c not in present]
    if missing:
        raise InputError(f"{_listed(paths)}: no column {', '.join(missing)}: not a complete survey-ccds table")


def _tell_missing(tables: list[NDArray[np.void]], paths: list[Path]) -> None:
    """Say which columns some of the tables lack."""
    names = [set(columns) for columns in tables]
    missing = set.union(*names) - set.intersection(*names)
    if missing:
        logger.warning("%s: missing in some tables, set to zero there: %s", _listed(paths), ", ".join(sorted(missing)))


def _make_alike(tables: Any, paths: Any) -> None:
    """Prepare columns (dicts) for stacking, in place: those for which headers stand in get NaN where they lack."""
    for name in dict.fromkeys(name for columns in tables for name in columns):
        if len({columns[name].shape[1:] for columns in tables if name in columns}) > 1:
            logger.warning("%s: column %s has other shapes in other tables; left out", _listed(paths), name)
            for columns in tables:
                columns.pop(name, None)
        elif name in MAY_BE_MISSING:
            for columns in tables:
                columns.setdefault(name, np.full(len(columns["ra"]), np.nan))


def _without_repeated(ccds: Any, problems: Any, paths: Any) -> Any:
    """The list of CCDs; rows that are equal come once, of others of the same image only the first is good."""
    first, keep, problems = {}, [], list(problems)
    for i, row in enumerate(ccds):
        key = tuple(str(row[name]) for name in ("image_filename", "image_hdu", "ccdname"))
        if key not in first:
            first[key] = i
        elif all(_equal(row[name], ccds[name][first[key]]) for name in ccds.colnames):
            continue
        else:
            problems[i] = "another row of the CCD tables is of the same image, with other values"
        keep.append(i)
    repeated = len(ccds) - len(keep)
    if repeated:
        logger.warning("%s: %d rows near the brick are there twice; each is used once", _listed(paths), repeated)
        ccds = ccds[keep]
    return CcdList(ccds, [problems[i] for i in keep])


def _equal(a: Any, b: Any) -> Any:
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind in "fc" and b.dtype.kind in "fc":
        return np.array_equal(a, b, equal_nan=True)
    return np.array_equal(a, b)


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
    with np.errstate(all="ignore"):
        footprints = _footprints(ccds, target_wcs, margin)
    senseless = without_position(ccds)
    for i, footprint in enumerate(footprints):
        if not senseless[i] and np.all(np.isfinite(footprint)):
            keep[i] = polygons_overlap(footprint, target)
    return keep


def without_position(ccds: Any) -> Any:
    """CCDs whose place on the sky cannot be told from the TAN columns of the table; bool (rows,)."""
    names = ("crval1", "crval2", "crpix1", "crpix2", "cd1_1", "cd1_2", "cd2_1", "cd2_2")
    finite = np.all([np.isfinite(np.asarray(ccds[name], float)) for name in names], axis=0)
    return ~finite | (np.asarray(ccds["width"]) <= 0) | (np.asarray(ccds["height"]) <= 0)


def _footprints(ccds: Table, target_wcs: ImageWcs, margin: float) -> NDArray[np.float64]:
    """CCD corners in target pixels; float64 (rows, 4, 2)."""
    width, height = (np.asarray(ccds[c], float)[:, np.newaxis] for c in ("width", "height"))
    low = 0.5 - margin
    x = np.concatenate([low + 0 * width, width + 0.5 + margin, width + 0.5 + margin, low + 0 * width], axis=1)
    y = np.concatenate([low + 0 * height, low + 0 * height, height + 0.5 + margin, height + 0.5 + margin], axis=1)
    xt, yt = target_wcs.sky_to_pixel(*_tan_to_sky(ccds, x, y))
    return np.stack([np.asarray(xt), np.asarray(yt)], axis=-1).reshape(len(ccds), 4, 2)


def _tan_to_sky(ccds: Any, x: Any, y: Any) -> Any:
    """RA, Dec [deg] of FITS pixels (rows, n) by the plain TAN WCS of the table's columns."""
    crval1, crval2, crpix1, crpix2 = (
        np.asarray(ccds[c], np.float64)[:, np.newaxis] for c in ("crval1", "crval2", "crpix1", "crpix2")
    )
    cd, u, v = _cd_matrices(ccds)[..., np.newaxis], x - crpix1, y - crpix2
    xi, eta = cd[:, 0, 0] * u + cd[:, 0, 1] * v, cd[:, 1, 0] * u + cd[:, 1, 1] * v
    return plane_to_sky(crval1, crval2, xi, eta)


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
    keep = np.array([not reason for reason in reasons_not_asked(ccds, bands, min_mjd, max_mjd)], bool)
    logger.info("%d of %d CCDs pass the quality cuts, are in bands %s and the MJD range", keep.sum(), len(ccds), bands)
    return keep


def reasons_not_asked(ccds: Any, bands: Any, min_mjd: Any = None, max_mjd: Any = None) -> Any:
    """Why CCDs do not belong to a run: their band, the quality cuts, their date.

    Parameters
    ----------
    ccds, bands, min_mjd, max_mjd
        As for `good_ccds`.

    Returns
    -------
    list of str
        Row by row; "" if it does belong.
    """
    reasons = [""] * len(ccds)
    if "ccd_cuts" not in ccds.colnames:
        logger.warning("the CCD tables have no column ccd_cuts: using all CCDs")
    for i, ccd in enumerate(ccds):
        mjd = float(ccd["mjd_obs"])
        if "ccd_cuts" in ccds.colnames and ccd["ccd_cuts"] != 0:
            reasons[i] = "ccd_cuts is not 0"
        elif ccd["filter"] not in bands:
            reasons[i] = f"band {ccd['filter']}"
        elif (min_mjd is not None and mjd < min_mjd) or (max_mjd is not None and mjd > max_mjd):
            reasons[i] = "outside of the MJD range"  # not so if the date is not known: see CcdImage
    return reasons
