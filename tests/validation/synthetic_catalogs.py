"""Truth and catalogue tables with known errors."""

import fitsio
import numpy as np
from astropy.table import Table

from legacypipe_lite.validation.catalogs import read_catalog, read_truth
from legacypipe_lite.wcs import target_wcs

BANDS = ("g", "r")
SIZE = 1200
TARGET = target_wcs(150.0, 20.0, SIZE, SIZE, 0.262)
SHAPES = ("shape_r", "shape_e1", "shape_e2", "sersic")


def truth_table(n=900, seed=1, stars=0.5):
    """True sources on a jittered grid, 10 arcsec apart; half of them stars."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(n)))
    grid = np.linspace(25, SIZE - 26, side)
    x, y = (g.ravel()[:n] + rng.uniform(-1, 1, n) for g in np.meshgrid(grid, grid))
    star = rng.uniform(size=n) < stars
    table = Table()
    table["ra"], table["dec"] = TARGET.pixel_to_sky(x, y)
    table["type"] = np.where(star, "PSF", rng.choice(["EXP", "DEV", "SER"], n))
    mag = rng.uniform(18, 23, n)
    for i, band in enumerate(BANDS):
        table[f"flux_{band}"] = 10 ** ((22.5 - mag - 0.5 * (1 - i)) / 2.5)
    table["shape_r"] = np.where(star, 0, rng.uniform(0.5, 1.5, n))
    for name in ("shape_e1", "shape_e2"):
        table[name] = np.where(star, 0, rng.uniform(-0.4, 0.4, n))
    table["sersic"] = np.select([table["type"] == t for t in ("EXP", "DEV", "SER")], [1, 4, 2.0], 0)
    return table


def catalog_table(truth, seed=2, widen=1.0, bias=0.0):
    """A catalogue that measures everything with the errors that it states, times `widen`; fluxes `bias` sigma off."""
    rng = np.random.default_rng(seed)
    n = len(truth)
    table = Table()
    table["type"] = truth["type"]
    galaxy = np.asarray(truth["type"] != "PSF")
    sigma = {"ra": 0.02 / 3600, "dec": 0.02 / 3600, "shape_r": 0.05, "shape_e1": 0.02, "shape_e2": 0.02, "sersic": 0.1}
    for name, error in sigma.items():
        noise = widen * error * rng.standard_normal(n)
        if name == "ra":
            noise /= np.cos(np.radians(truth["dec"]))
        measured = galaxy if name in SHAPES else np.ones(n, bool)
        if name == "sersic":
            measured = np.asarray(truth["type"] == "SER")
        table[name] = truth[name] + np.where(measured, noise, 0)
        table[f"{name}_ivar"] = np.where(measured, error**-2.0, 0)
    for band in BANDS:
        error = 0.02
        table[f"flux_{band}"] = truth[f"flux_{band}"] + error * (bias + widen * rng.standard_normal(n))
        table[f"flux_ivar_{band}"] = np.full(n, error**-2.0)
        table[f"rchisq_{band}"] = np.ones(n)
    table["bx"], table["by"] = TARGET.sky_to_pixel(np.asarray(table["ra"]), np.asarray(table["dec"]))
    table["brick_primary"] = np.ones(n, bool)
    return table


def write(path, table, extname=None, corners=True):
    """Write a table as the pipeline does: corners of the image in the primary header, strings as bytes."""
    columns = {}
    for name in table.colnames:
        column = np.asarray(table[name])
        columns[name] = np.char.encode(column, "ascii") if column.dtype.kind == "U" else column
    rows = np.zeros(len(table), [(name, c.dtype) for name, c in columns.items()])
    for name, column in columns.items():
        rows[name] = column
    header = []
    if corners:
        edges = [(0, 0), (SIZE - 1, 0), (SIZE - 1, SIZE - 1), (0, SIZE - 1)]
        for i, (x, y) in enumerate(edges, 1):
            ra, dec = TARGET.pixel_to_sky(float(x), float(y))
            header += [{"name": f"CORN{i}RA", "value": float(ra)}, {"name": f"CORN{i}DEC", "value": float(dec)}]
    with fitsio.FITS(str(path), "rw", clobber=True) as fits:
        fits.write(None, header=header)
        fits.write_table(rows, extname=extname)
    return path


def tables(folder, truth, catalog, **keywords):
    """The two as they are read back from files."""
    write(folder / "truth.fits", truth, **keywords)
    write(folder / "tractor.fits", catalog)
    return read_catalog(folder / "tractor.fits"), read_truth(folder / "truth.fits")
