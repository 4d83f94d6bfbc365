"""Runs: output trees of brick runs, and which bricks with which images they hold."""

import hashlib
import json
import logging
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import fitsio
import numpy as np

from ..errors import InputError, UsageError
from ..files import atomic_file
from ..wcs import TanWcs, wcs_from_header
from .brick_grid import brick_of_name

__all__ = ["Run", "RunBrick", "open_run", "BRICK_NAME", "band_order", "unit_vector"]

logger = logging.getLogger(__name__)

#: What a brick may be called.
BRICK_NAME = re.compile(r"[A-Za-z0-9+_-]{1,40}")
_RUN_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}", re.ASCII)
_PREFIX = "legacysurvey"
_OPTICAL_ORDER = "griz"
_PRODUCT_BAND = re.compile(r"(image|model|blobmodel|invvar|nexp|depth|galdepth|psfsize|chi2|copsf)-(.+)\.fits\.fz")
_WISE_BANDS = ("W1", "W2", "W3", "W4")
_SCAN_VERSION = 1


def band_order(bands):
    """Bands in the order of the published cutouts: g, r, i, z, then others by name."""
    return sorted(bands, key=lambda band: (_OPTICAL_ORDER.find(band) % 99, band))


def unit_vector(ra, dec):
    """Unit vectors of sky positions [deg]; shape (..., 3)."""
    ra, dec = np.deg2rad(ra), np.deg2rad(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


@dataclass(frozen=True)
class RunBrick:
    """One brick of a run.

    Attributes
    ----------
    name : str
    folder : Path
        Of its coadds.
    wcs : TanWcs
        Of its optical coadds.
    wise_wcs : TanWcs or None
        Of its WISE coadds, if it has any.
    ra1, ra2, dec1, dec2 : float
        Its own area [deg], half-open; ra1 > ra2 if it spans RA 0.
    products : dict of str -> tuple of str
        Product ("image", "invvar", ...) -> bands; "maskbits" -> ("",).
    custom : bool
        Not a brick of the survey's grid: its whole image is its own area.
    version : str
        Data release, as the headers have it.
    state : str
        Changes when any of its files does.
    """

    name: str
    folder: Path
    wcs: TanWcs
    wise_wcs: TanWcs | None
    ra1: float
    ra2: float
    dec1: float
    dec2: float
    products: dict = field(hash=False, compare=False)
    custom: bool = False
    version: str = ""
    state: str = ""

    def path(self, product, band=None):
        """Path of a coadd; it need not exist."""
        return self.folder / f"{_PREFIX}-{self.name}-{product}{'-' + band if band else ''}.fits.fz"

    def jpeg(self, product):
        """Path of a picture; it need not exist."""
        return self.folder / f"{_PREFIX}-{self.name}-{product}.jpg"

    def has(self, product, band):
        """Whether there is a coadd."""
        return band in self.products.get(product, ())

    def wcs_of(self, band):
        """WCS of the coadds of a band."""
        return self.wise_wcs if band in _WISE_BANDS and self.wise_wcs is not None else self.wcs

    @cached_property
    def center(self):
        """RA, Dec [deg] of the middle of the image."""
        return self.wcs.pixel_to_sky((self.wcs.width - 1) / 2, (self.wcs.height - 1) / 2)

    @cached_property
    def radius(self):
        """Angle [deg] from the middle of the image to its corners."""
        corner = self.wcs.pixel_to_sky(-0.5, -0.5)
        chord = np.linalg.norm(unit_vector(*corner) - unit_vector(*self.center))
        return float(np.rad2deg(2 * np.arcsin(chord / 2)))

    def owns(self, ra, dec):
        """True where a position belongs to the brick's own area.

        Parameters
        ----------
        ra, dec : array_like
            Degrees; RA in [0, 360).

        Returns
        -------
        numpy.ndarray of bool
        """
        if self.custom:
            x, y = self.wcs.sky_to_pixel(np.asarray(ra, float), np.asarray(dec, float))
            return np.asarray(self.wcs.contains(x, y))
        after, before = np.asarray(ra) >= self.ra1, np.asarray(ra) < self.ra2
        in_ra = (after | before) if self.ra1 > self.ra2 else (after & before)
        return in_ra & (np.asarray(dec) >= self.dec1) & (np.asarray(dec) < self.dec2)

    def catalog_path(self, root):
        """Path of its tractor catalogue below the root of its run."""
        return Path(root) / "tractor" / self.name[:3] / f"tractor-{self.name}.fits"


class Run:
    """An output tree of brick runs.

    Parameters
    ----------
    root : str or Path
        The output directory.
    name : str or None
        By default the name of the directory.
    cache : str or Path or None
        Folder in which what was found out about the bricks is kept for the next time.

    Attributes
    ----------
    bricks : dict of str -> RunBrick
    generation : str
        Changes when any coadd does.

    Raises
    ------
    InputError
        If `root` is no directory, or the name is not fit for URLs.
    """

    def __init__(self, root, name=None, cache=None):
        self.root = Path(root).absolute()
        if not self.root.is_dir():
            raise InputError(f"{root}: there is no such directory of brick runs")
        self.name = name or re.sub(r"[^A-Za-z0-9_.+-]", "-", self.root.name).lstrip("_.+-") or "run"
        if not _RUN_NAME.fullmatch(self.name):
            raise InputError(f"run name {name!r}: use letters, digits and _ . + -, and begin with a letter or digit")
        self._cache = None if cache is None else Path(cache)
        self.bricks = {}
        self._records = self._read_cache()
        self._folders = {}
        self.refresh()

    def __repr__(self):
        return f"Run({str(self.root)!r}, name={self.name!r}: {len(self.bricks)} bricks, bands {', '.join(self.bands)})"

    @property
    def bands(self):
        """Bands with images, WISE excepted, in the order g, r, i, z, others by name."""
        found = {band for brick in self.bricks.values() for band in brick.products["image"]}
        return band_order(found - set(_WISE_BANDS))

    @property
    def wise_bands(self):
        """WISE bands with coadds."""
        return sorted({b for brick in self.bricks.values() for b in brick.products["image"] if b in _WISE_BANDS})

    @property
    def version(self):
        """Data release of the bricks, as their headers have it; "" if they do not."""
        return next((brick.version for brick in self.bricks.values() if brick.version), "")

    def refresh(self):
        """Look for bricks that are new, changed or gone since the last time.

        Returns
        -------
        bool
            True if anything changed.
        """
        seen, changed = {}, False
        for folder in self._brick_folders():
            stamp = folder.stat().st_mtime_ns
            known = self._folders.get(folder)
            if known is None or known[0] != stamp:
                known = stamp, self._scan(folder)
            seen[folder] = known
        bricks = {known[1].name: known[1] for known in seen.values() if known[1] is not None}
        changed = {n: b.state for n, b in bricks.items()} != {n: b.state for n, b in self.bricks.items()}
        self._folders = seen
        if changed:
            self.bricks = dict(sorted(bricks.items(), key=lambda item: item[0]))
            self._index()
            self._write_cache()
        elif not self.bricks:
            self._index()
        return changed

    def _brick_folders(self):
        coadd = self.root / "coadd"
        if not coadd.is_dir():
            return
        for group in sorted(coadd.iterdir()):
            if group.is_dir():
                for folder in sorted(group.iterdir()):
                    if folder.is_dir() and BRICK_NAME.fullmatch(folder.name) and folder.name[:3] == group.name:
                        yield folder

    def _index(self):
        bricks = list(self.bricks.values())
        centers = np.array([brick.center for brick in bricks]).reshape(-1, 2)
        self._vectors = unit_vector(centers[:, 0], centers[:, 1])
        self._radii = np.array([brick.radius for brick in bricks])
        self._list = bricks
        self.generation = _digest("".join(f"{brick.name} {brick.state}\n" for brick in bricks))

    def near(self, ra, dec, radius):
        """Bricks whose images may reach into a circle.

        Parameters
        ----------
        ra, dec, radius : float
            Degrees.

        Returns
        -------
        list of RunBrick
            In the order of their names.
        """
        if not self._list:
            return []
        cosine = np.cos(np.deg2rad(np.minimum(180.0, self._radii + radius)))
        here = np.flatnonzero(self._vectors @ unit_vector(ra, dec) >= cosine - 1e-12)
        return [self._list[i] for i in here]

    def brick_at(self, ra, dec):
        """The brick whose own area holds a position [deg]; None if the run has none there."""
        ra = ra % 360.0
        found = [brick for brick in self.near(ra, dec, 0.0) if brick.owns(ra, dec)]
        # Where custom bricks overlap the one with the position deepest inside is taken.
        return min(found, key=lambda brick: _distance_to_center(brick, ra, dec), default=None)

    @cached_property
    def store(self):
        """`PixelStore` of what was read of this run."""
        from .pixels import PixelStore

        return PixelStore(None if self._cache is None else self._cache / "levels" / self.name)

    def layer(self, product="image"):
        """The layer of a product.

        Parameters
        ----------
        product : str
            "image", "model", "resid", "invvar", ..., or "wise", "wisemodel", "wiseresid".

        Returns
        -------
        Layer

        Raises
        ------
        UsageError
            If there is no such product.
        """
        from .layers import Catalogue

        found = Catalogue([self]).find(self.name if product == "image" else f"{self.name}-{product}")
        if found is None:
            raise UsageError(f"run {self.name} has no {product}")
        return found

    def cutout(self, ra, dec, size=256, *, product="image", **keywords):
        """Resampled pixels around a position [deg], see `make_cutout`; the product is one of `layer`."""
        from .cutouts import make_cutout

        return make_cutout(self.layer(product), ra, dec, size, store=self.store, **keywords)

    def crop(self, ra, dec, size=256, **keywords):
        """Native pixels of one brick around a position [deg], see `crop`."""
        from .native import crop

        return crop(self, ra, dec, size, store=self.store, **keywords)

    def mosaic(self, wcs, **keywords):
        """Several products over several bricks on one grid, see `mosaic`."""
        from .native import mosaic

        return mosaic(self, wcs, store=self.store, **keywords)

    def catalog(self, ra_low, ra_high, dec_low, dec_high, columns=None):
        """Primary sources within a box [deg]; wraps at RA 0 if `ra_low` is larger than `ra_high`.

        Returns
        -------
        astropy.table.Table
        """
        from astropy.table import Table

        from .catalogs import CatalogStore, box_bounds, rows_in_box

        bounds = box_bounds(ra_low, ra_high, dec_low, dec_high)
        return Table(rows_in_box(self.layer(), bounds, CatalogStore(), columns)[0])

    def _scan(self, folder):
        """A brick from the files of its folder; None if it has no image yet."""
        sizes = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(f"{_PREFIX}-{folder.name}-") and entry.name.endswith(".fits.fz"):
                    status = entry.stat()
                    sizes[entry.name] = (status.st_size, status.st_mtime_ns)
        products = _products(sizes, f"{_PREFIX}-{folder.name}-")
        if not products.get("image"):
            return None
        state = _digest(json.dumps(sorted(sizes.items())))
        record = self._records.get(folder.name)
        try:
            if record is None or record["state"] != state:
                record = {"state": state, **_read_headers(folder, products)}
            return _brick(folder, products, record)
        except (OSError, InputError, KeyError, ValueError) as error:
            logger.warning("brick %s of %s is left out: %s", folder.name, self.root, " ".join(str(error).split()))
            return None

    def _cache_file(self):
        return self._cache / f"bricks-{self.name}-{_digest(str(self.root))}.json"

    def _read_cache(self):
        if self._cache is None:
            return {}
        try:
            stored = json.loads(self._cache_file().read_text(encoding="utf-8"))
            return stored["bricks"] if stored["version"] == _SCAN_VERSION else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _write_cache(self):
        records = {b.name: {"state": b.state, **_record(b)} for b in self.bricks.values()}
        self._records = records
        if self._cache is None:
            return
        text = json.dumps({"version": _SCAN_VERSION, "bricks": records})
        with atomic_file(self._cache_file()) as stream:
            stream.write(text.encode())


def open_run(root, name=None, cache=None):
    """Open an output tree of brick runs for cutouts, crops, mosaics, tiles and catalogue queries.

    Parameters
    ----------
    root : str or Path
        The output directory (``--outdir`` of the runs).
    name, cache
        As of `Run`.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If there is no such directory.

    Examples
    --------
    >>> from legacypipe_lite.access import open_run
    >>> run = open_run("out")  # doctest: +SKIP
    >>> cut = run.cutout(110.31, 23.92, size=200)  # doctest: +SKIP
    >>> cut.image.shape, cut.wcs  # doctest: +SKIP
    """
    return Run(root, name, cache)


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _distance_to_center(brick, ra, dec):
    return float(np.linalg.norm(unit_vector(ra, dec) - unit_vector(*brick.center)))


def _products(names, start):
    products = {}
    for name in names:
        rest = name[len(start) :]
        if rest == "maskbits.fits.fz":
            products["maskbits"] = ("",)
            continue
        match = _PRODUCT_BAND.fullmatch(rest)
        if match:
            products.setdefault(match[1], []).append(match[2])
    return {product: tuple(band_order(bands)) for product, bands in sorted(products.items())}


def _read_headers(folder, products):
    """Facts of a brick that need a look into headers, as plain data."""
    optical = [band for band in products["image"] if band not in _WISE_BANDS]
    wise = [band for band in products["image"] if band in _WISE_BANDS]
    header = _header(folder, (optical or wise)[0])
    record = {"wcs": _plain_wcs(header), "version": str(header.get("DRVERSIO", "") or "").strip()}
    if all(key in header for key in ("RAMIN", "RAMAX", "DECMIN", "DECMAX")):
        record["bounds"] = [float(header[key]) for key in ("RAMIN", "RAMAX", "DECMIN", "DECMAX")]
    if wise and optical:
        record["wise_wcs"] = _plain_wcs(_header(folder, wise[0]))
    return record


def _header(folder, band):
    return fitsio.read_header(str(folder / f"{_PREFIX}-{folder.name}-image-{band}.fits.fz"), ext=1)


def _plain_wcs(header):
    wcs = wcs_from_header(header)
    if type(wcs) is not TanWcs:
        raise InputError("the WCS of its coadds is not a plain TAN projection")
    return _record_of_wcs(wcs)


def _record_of_wcs(wcs):
    return [*wcs.crval, *wcs.crpix, *wcs.cd.ravel().tolist(), wcs.width, wcs.height]


def _wcs_of_record(values):
    return TanWcs(values[:2], values[2:4], values[4:8], *values[8:])


def _record(brick):
    record = {"wcs": _record_of_wcs(brick.wcs), "version": brick.version}
    record["bounds"] = [brick.ra1, brick.ra2, brick.dec1, brick.dec2]
    if brick.wise_wcs is not None:
        record["wise_wcs"] = _record_of_wcs(brick.wise_wcs)
    return record


def _brick(folder, products, record):
    wcs = _wcs_of_record(record["wcs"])
    of_grid = brick_of_name(folder.name)
    bounds = record.get("bounds")
    if of_grid is not None:
        bounds = [float(values[0]) for values in (of_grid.ra1, of_grid.ra2, of_grid.dec1, of_grid.dec2)]
    elif bounds is None:
        x, y = np.array([0, wcs.width - 1, (wcs.width - 1) / 2, (wcs.width - 1) / 2]), np.zeros(4)
        y[:] = (wcs.height - 1) / 2
        y[2:] = 0, wcs.height - 1
        ra, dec = wcs.pixel_to_sky(x, y)
        bounds = [ra[1], ra[0], dec[2], dec[3]]
    wise = record.get("wise_wcs")
    return RunBrick(
        name=folder.name,
        folder=folder,
        wcs=wcs,
        wise_wcs=None if wise is None else _wcs_of_record(wise),
        ra1=bounds[0],
        ra2=bounds[1],
        dec1=bounds[2],
        dec2=bounds[3],
        products=products,
        custom=of_grid is None,
        version=record["version"],
        state=record["state"],
    )
