"""Fixtures of the reference tests: the real fields, and writers of small synthetic catalogues."""

import fitsio
import numpy as np
import pytest
from reference_columns import GAIA_DEFAULTS, TYCHO_DEFAULTS, structured

from legacypipe_lite.reference import RefCatalogs
from legacypipe_lite.reference.gaia import healpix_pixels
from legacypipe_lite.wcs import target_wcs

# Brick (or centre) and zoom window of the real fields.
REAL_FIELDS = {
    "mzlsbass2": ("1773p595", (1300, 1500, 700, 900)),
    "testcase3": ("2447p120", (1020, 1070, 2775, 2815)),
    "testcase4": ("1867p255", (2050, 2300, 1150, 1400)),
    "testcase6": ("1102p240", (500, 600, 650, 750)),
    "testcase9": ((9.1228, 3.3975), None),
    "testcase12": ((346.684, 12.791), None),
    "simA": ("1102p240", (1500, 2100, 1000, 1600)),
}


class RealField:
    """Target WCS, catalogues and reference output of one of the shared fields."""

    def __init__(self, testdata, name):
        where, zoom = REAL_FIELDS[name]
        simulated = name == "simA"
        self.folder = testdata / ("sim" if simulated else "realdata") / name
        self.output = testdata / ("sim/simA-reference" if simulated else f"reference/{name}")
        if isinstance(where, str):
            bricks = fitsio.read(self.folder / "survey-bricks.fits.gz", lower=True)
            row = bricks[[b.strip() == where for b in bricks["brickname"]]][0]
            self.wcs = target_wcs(row["ra"], row["dec"], 3600, 3600, 0.262, zoom)
        else:
            self.wcs = target_wcs(*where, 100, 100, 0.262)
        galaxies = self.folder / "sga-sub.kd.fits"
        self.catalogs = RefCatalogs(
            gaia_dir=str(self.folder / "gaia"),
            gaia_version="2",
            tycho2_file=str(self.folder / "tycho2.kd.fits"),
            large_galaxies_file=str(galaxies) if galaxies.exists() else None,
            clusters_file=str(testdata / "refdata" / "NGC-star-clusters.fits"),
        )

    def product(self, pattern):
        """Path of a file of the reference output, or None."""
        return next(iter(sorted(self.output.glob(pattern))), None)


@pytest.fixture(scope="session")
def real_field(testdata):
    """Function: name of a field -> RealField."""
    return lambda name: RealField(testdata, name)


@pytest.fixture
def write_gaia(tmp_path):
    """Function that writes Gaia files for stars (list of dicts) and returns RefCatalogs keywords.

    Every pixel of the sky around (ra, dec) within about two degrees gets a file.
    """

    def write(stars, ra, dec, prefix="chunk", scheme="ring", defaults=GAIA_DEFAULTS, upper=False):
        folder = tmp_path / "gaia"
        folder.mkdir(exist_ok=True)
        table = structured(stars, defaults) if stars else structured([{}], defaults)[:0]
        if upper:
            table = table.view(np.dtype([(n.upper(), table.dtype[n]) for n in table.dtype.names]))
            table = table.copy()
        key = {name.lower(): name for name in table.dtype.names}
        pixels = healpix_pixels(table[key["ra"]], table[key["dec"]], scheme)
        dra, ddec = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-2, 2, 41))
        around = healpix_pixels(
            (ra + dra / np.cos(np.deg2rad(dec))).ravel() % 360, np.clip(dec + ddec, -90, 90).ravel(), scheme
        )
        for pixel in np.unique(np.concatenate([around, pixels])):
            with fitsio.FITS(folder / f"{prefix}-{pixel:05d}.fits", "rw", clobber=True) as fits:
                rows = table[pixels == pixel]
                if len(rows):
                    fits.write(rows)
                else:
                    fits.create_table_hdu(table[:1] if len(table) else structured([{}], defaults))
        return {"gaia_dir": str(folder), "gaia_prefix": prefix, "gaia_scheme": scheme, "gaia_version": "3"}

    return write


@pytest.fixture
def write_tycho(tmp_path):
    """Function that writes a Tycho-2 catalogue of stars (list of dicts) and returns its path."""

    def write(stars):
        path = tmp_path / "tycho2.kd.fits"
        fitsio.write(path, structured(stars, TYCHO_DEFAULTS), clobber=True)
        return str(path)

    return write


@pytest.fixture
def write_table(tmp_path):
    """Function that writes any table (dict of columns) with primary header cards and returns its path."""

    def write(name, columns, header=None):
        path = tmp_path / name
        columns = {key: np.asarray(value) for key, value in columns.items()}
        columns = {
            key: c.astype(f"S{max(c.itemsize // 4, 1)}") if c.dtype.kind == "U" else c for key, c in columns.items()
        }
        table = np.zeros(len(next(iter(columns.values()))), [(key, c.dtype) for key, c in columns.items()])
        for key, column in columns.items():
            table[key] = column
        with fitsio.FITS(path, "rw", clobber=True) as fits:
            fits.write(None, header=header)
            fits.write(table)
        return str(path)

    return write
