"""Queries of the catalogues of a run: sources of a tile, rows of a box, rows as JSON or CSV."""

import io
import threading
from collections import OrderedDict

import fitsio
import numpy as np

from ..errors import InputError, UsageError
from .grids import TILE_SIZE, TileGrid
from .layers import SplitLayer, is_north
from .runs import unit_vector

__all__ = ["CatalogStore", "box_bounds", "in_box", "sources_of_tile", "rows_in_box", "table_to_fits", "plain_values"]

#: Below this zoom tiles hold too many sources.
LOWEST_ZOOM = 12
_LARGEST_BOX = 25.0  # square degrees
_MOST_BRICKS_KEPT = 400
_LIGHT = ("ra", "dec", "brick_primary", "type", "objid", "brickname", "maskbits", "shape_r", "shape_e1", "shape_e2")


class CatalogStore:
    """Reads tractor catalogues of bricks, keeps the columns that the map needs; safe to use from several threads."""

    def __init__(self):
        self._kept = OrderedDict()
        self._lock = threading.Lock()

    def light(self, run, brick):
        """Positions, fluxes, shapes of the primary sources of a brick.

        Returns
        -------
        numpy.ndarray (structured) or None
            None if there is no catalogue.
        """
        path = brick.catalog_path(run.root)
        try:
            status = path.stat()
        except OSError:
            return None
        key = (path, status.st_mtime_ns, status.st_size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with _open(path) as fits:
            names = fits[1].get_colnames()
            bands = [band for band in run.bands if f"flux_{band.lower()}" in {n.lower() for n in names}]
            wanted = [*_LIGHT, *(f"{c}_{b}" for b in bands for c in ("flux", "nobs"))]
            known = {name.lower(): name for name in names}
            rows = _read(fits, path, [known[name.lower()] for name in wanted if name.lower() in known])
        rows = rows[rows["brick_primary"]]
        with self._lock:
            self._kept[key] = rows
            while len(self._kept) > _MOST_BRICKS_KEPT:
                self._kept.popitem(last=False)
        return rows

    def full(self, run, brick, columns=None):
        """All columns (or some) of the primary sources of a brick; None if there is no catalogue."""
        path = brick.catalog_path(run.root)
        if not path.is_file():
            return None
        with _open(path) as fits:
            known = {name.lower(): name for name in fits[1].get_colnames()}
            if columns is not None:
                missing = [name for name in columns if name.lower() not in known]
                if missing:
                    raise UsageError(f"no column {', '.join(missing)}: there are {', '.join(known.values())}")
            wanted = None if columns is None else [known[name.lower()] for name in columns]
            needed = wanted and sorted({*wanted, *(known[n] for n in ("ra", "dec", "brick_primary"))})
            return _read(fits, path, needed)

    def units(self, run, brick):
        """Units of the columns of a brick's catalogue; dict of str -> str."""
        with _open(brick.catalog_path(run.root)) as fits:
            header = fits[1].read_header()
            names = fits[1].get_colnames()
        units = {name: header.get(f"TUNIT{i + 1}") for i, name in enumerate(names)}
        return {name: str(unit).strip() for name, unit in units.items() if unit}


def _open(path):
    try:
        return fitsio.FITS(str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def _read(fits, path, columns):
    try:
        return fits[1].read(columns=columns)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def box_bounds(ra_low, ra_high, dec_low, dec_high):
    """Bounds of a box in RA and Dec as they are meant.

    Parameters
    ----------
    ra_low, ra_high, dec_low, dec_high : float
        Degrees; any RA; a box with `ra_low` above `ra_high` wraps at RA 0.

    Returns
    -------
    (float, float, float, float)
        RA from, in [0, 360); width in RA, up to 360; Dec from, to.

    Raises
    ------
    UsageError
        If a number is not finite, Dec is out of range, or the box is upside down.
    """
    numbers = np.array([ra_low, ra_high, dec_low, dec_high], float)
    if not np.isfinite(numbers).all() or np.abs(numbers[:2]).max() > 1e4 or np.abs(numbers[2:]).max() > 90:
        raise UsageError("the box needs finite ralo, rahi, declo, dechi in degrees, Dec within -90 to 90")
    if dec_low > dec_high:
        raise UsageError(f"the box has declo {dec_low:g} above dechi {dec_high:g}")
    width = ra_high - ra_low
    width = 360.0 if width >= 360 else width % 360.0
    return ra_low % 360.0, width, dec_low, dec_high


def in_box(bounds, ra, dec):
    """True where positions [deg] lie in the bounds that `box_bounds` gave."""
    start, width, low, high = bounds
    away = np.mod(np.asarray(ra) - start, 360.0)
    # A position just below the start is 360 away but for rounding.
    return ((away <= width) | (width >= 360.0)) & (np.asarray(dec) >= low) & (np.asarray(dec) <= high)


def bricks_of_box(run, bounds):
    """Bricks of a run whose images may touch a box."""
    start, width, low, high = bounds
    middle = (start + width / 2, (low + high) / 2)
    ra = start + width * np.array([0, 0.5, 1, 0, 1, 0, 0.5, 1])
    dec = np.array([low, low, low, middle[1], middle[1], high, high, high])
    if width > 90:
        radius = 180.0
    else:
        cosine = np.clip(unit_vector(ra, dec) @ unit_vector(*middle), -1, 1)
        radius = float(np.rad2deg(np.arccos(cosine)).max()) + 1e-9
    return run.near(*middle, radius)


def rows_in_box(layer, bounds, store, columns=None, brickname=None, objid=None):
    """Primary rows of the catalogues within a box.

    Parameters
    ----------
    layer : Layer or SplitLayer
    bounds : tuple
        Of `box_bounds`.
    store : CatalogStore
    columns : sequence of str, optional
        By default all.
    brickname, objid : str, int, optional
        Only this brick, only this row of it.

    Returns
    -------
    rows : numpy.ndarray (structured)
    units : dict of str -> str

    Raises
    ------
    UsageError
        If the box is too large, or a column does not exist.
    InputError
        If there is no catalogue at all in the run.
    """
    start, width, low, high = bounds
    area = width * np.rad2deg(np.sin(np.deg2rad(high)) - np.sin(np.deg2rad(low)))
    if area > _LARGEST_BOX:
        raise UsageError(f"the box has {area:.1f} square degrees: {_LARGEST_BOX:g} at most")
    if isinstance(layer, SplitLayer):
        parts = [rows_in_box(half, bounds, store, columns, brickname, objid) for half in (layer.north, layer.south)]
        kept = []
        for (rows, _), north in zip(parts, (True, False)):
            kept.append(rows[is_north(rows["ra"], rows["dec"]) == north])
        return _stacked(kept), parts[0][1] | parts[1][1]
    run = layer.run
    parts, units = [], {}
    for brick in bricks_of_box(run, bounds):
        if brickname is not None and brick.name != brickname:
            continue
        rows = store.full(run, brick, columns)
        if rows is None:
            continue
        keep = rows["brick_primary"] & in_box(bounds, rows["ra"], rows["dec"])
        if objid is not None and "objid" in rows.dtype.names:
            keep &= rows["objid"] == objid
        parts.append(rows[keep])
        units = units or store.units(run, brick)
    if not parts:
        parts, units = [_no_rows(run, store, columns)], units
    rows = _stacked(parts)
    if columns is not None:
        known = {name.lower(): name for name in rows.dtype.names}
        rows = rows[[known[name.lower()] for name in columns]]
    return rows, units


def _no_rows(run, store, columns):
    for brick in run.bricks.values():
        rows = store.full(run, brick, columns)
        if rows is not None:
            return rows[:0]
    raise InputError(f"run {run.name} has no catalogues yet")


def _stacked(parts):
    """Rows of several catalogues; columns that one lacks are 0."""
    from numpy.lib.recfunctions import stack_arrays

    parts = [part for part in parts if len(part)] or parts[:1]
    if len({part.dtype for part in parts}) == 1:
        return np.concatenate(parts)
    return stack_arrays(parts, usemask=False, autoconvert=True)


def sources_of_tile(layer, zoom, x, y, store):
    """What the map draws of the sources of a tile.

    Parameters
    ----------
    layer : Layer or SplitLayer
    zoom, x, y : int
    store : CatalogStore

    Returns
    -------
    dict
        Lists of equal length, fit for JSON: ``rd`` [[ra, dec], ...], ``sourcetype``, ``fluxes``, ``nobs``,
        ``bricknames``, ``objids``, ``abratio``, ``posangle`` [deg, East of North], ``radius`` [arcsec], ``maskbits``.

    Raises
    ------
    UsageError
        If there is no such tile.
    """
    grid = TileGrid(zoom, x, y)
    if zoom < LOWEST_ZOOM:
        return {"rd": []}
    halves = [(layer, None)]
    if isinstance(layer, SplitLayer):
        halves = [(layer.north, True), (layer.south, False)]
    out = {key: [] for key in ("rd", "sourcetype", "fluxes", "nobs", "bricknames", "objids")}
    out |= {key: [] for key in ("abratio", "posangle", "radius", "maskbits")}
    ra, dec = grid.border()
    radius = float(np.rad2deg(np.arccos(np.clip(unit_vector(ra, dec) @ unit_vector(*grid.center), -1, 1))).max())
    for half, north in halves:
        for brick in half.run.near(*grid.center, radius):
            rows = store.light(half.run, brick)
            if rows is None or not len(rows):
                continue
            px, py = grid.sky_to_pixel(rows["ra"], rows["dec"])
            inside = (px > -1) & (px < TILE_SIZE - 1) & (py > -1) & (py < TILE_SIZE - 1)
            if north is not None:
                inside &= is_north(rows["ra"], rows["dec"]) == north
            _append(out, rows[inside], half.bands)
    return out


def _append(out, rows, bands):
    known = {name.lower(): name for name in rows.dtype.names}
    bands = [band for band in bands if f"flux_{band.lower()}" in known]
    e1, e2 = rows["shape_e1"].astype(float), rows["shape_e2"].astype(float)
    e = np.hypot(e1, e2)
    out["rd"] += np.column_stack([rows["ra"], rows["dec"]]).tolist()
    out["sourcetype"] += [str(t).strip()[:1] for t in rows["type"]]
    for key, column in (("fluxes", "flux"), ("nobs", "nobs")):
        columns = {
            band: plain_values(rows[known[f"{column}_{band.lower()}"]])
            for band in bands
            if f"{column}_{band.lower()}" in known
        }
        out[key] += [dict(zip(columns, values)) for values in zip(*columns.values())] if columns else [{}] * len(rows)
    out["bricknames"] += [str(name).strip() for name in rows["brickname"]]
    out["objids"] += plain_values(rows["objid"])
    out["abratio"] += plain_values((1 - e) / (1 + e))
    out["posangle"] += plain_values(np.rad2deg(np.arctan2(e2, e1)) / 2)
    out["radius"] += plain_values(rows["shape_r"])
    out["maskbits"] += plain_values(rows["maskbits"]) if "maskbits" in known else [0] * len(rows)


def plain_values(column):
    """A column as a list fit for JSON: numbers, strings, None instead of NaN and infinities."""
    column = np.asarray(column)
    if column.dtype.kind == "f":
        good = np.isfinite(column)
        if good.all():
            return column.tolist()
        return (
            [value if ok else None for value, ok in zip(column.tolist(), good.ravel())]
            if column.ndim == 1
            else [plain_values(row) for row in column]
        )
    if column.dtype.kind in "SU":
        return [
            value.decode("ascii", "replace").strip() if isinstance(value, bytes) else value.strip()
            for value in column.tolist()
        ]
    return column.tolist()


def table_to_fits(rows, units=None, extname="CATALOG"):
    """FITS file of a table; bytes."""
    from astropy.io import fits

    hdu = fits.BinTableHDU(rows, name=extname)
    for column in hdu.columns:
        if units and column.name in units:
            column.unit = units[column.name]
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
    return stream.getvalue()
