"""Bricks with images by formulas, without any pipeline run."""

import shutil

import fitsio
import numpy as np

from legacypipe_lite.access import brick_of_name
from legacypipe_lite.wcs import target_wcs

#: Four adjacent bricks at Dec 12 (the corner common to all is at RA 244.85, Dec 12.125), and two at RA 0.
SYNTHETIC = ("2447p120", "2449p120", "2448p122", "2450p122")
WRAP = ("0001p120", "3598p120")


class BrickWriter:
    """Writes bricks: g is 0.1 (number + 1), r a ramp (in brick 0, else 0), z 0; the model is half of the image.

    Images with the same pixels are compressed once and copied.

    Parameters
    ----------
    scratch : Path
        Folder for the files that are copied.
    size : int
        Of the images.
    """

    def __init__(self, scratch, size=3600):
        self._scratch, self.size = scratch, size
        scratch.mkdir(parents=True)

    def write(self, root, number, name):
        brick = brick_of_name(name)
        wcs = target_wcs(brick.ra[0], brick.dec[0], self.size, self.size, 0.262)
        folder = root / "coadd" / name[:3] / name
        folder.mkdir(parents=True)
        for band, (constant, slope) in {
            "g": (0.1 * (number + 1), 0),
            "r": (0, float(number == 0)),
            "z": (0, 0),
        }.items():
            self._put(folder, name, f"image-{band}", wcs, constant, slope)
            self._put(folder, name, f"model-{band}", wcs, constant / 2, slope / 2)
            self._put(folder, name, f"invvar-{band}", wcs, 100.0 * (number + 1), 0)
        self._put(folder, name, "maskbits", wcs, None, 0)

    def _put(self, folder, name, product, wcs, constant, slope):
        content = self._scratch / f"{constant}-{slope}.fits"
        if not content.exists():
            # Lossless: the numbers in the tests are exact.
            fitsio.write(str(content), self._pixels(constant, slope), compress="GZIP_2", qlevel=0)
        path = folder / f"legacysurvey-{name}-{product}.fits.fz"
        shutil.copy(content, path)
        with fitsio.FITS(str(path), "rw") as fits:
            for key, value, _ in wcs.header_cards():
                fits[1].write_key(key, value)

    def _pixels(self, constant, slope):
        if constant is None:
            maskbits = np.zeros((self.size, self.size), np.int32)
            maskbits[1000:2000, 1000:2000] = 2
            return maskbits
        pixels = np.full((self.size, self.size), constant, np.float32)
        if slope:
            step = np.arange(self.size, dtype=np.float32)
            pixels += np.float32(1e-5 * slope) * step + np.float32(2e-5 * slope) * step[:, np.newaxis]
        return pixels


def write_catalog(root, name):
    """Write a catalogue: a 5 x 5 grid of sources 30 arcsec apart around the middle of the brick, types in turn.

    The last one is not of the brick's own area, by its column; the first has no finite flux in g.
    """
    brick = brick_of_name(name)
    n = 25
    step = (np.arange(5) - 2) * 30 / 3600
    east, north = (a.ravel() for a in np.meshgrid(step, step))
    types = np.array(["PSF", "REX", "DEV", "EXP", "SER"])[np.arange(n) % 5]
    flux = 10.0 ** np.linspace(0, 2, n)
    columns = {
        "brickname": np.full(n, name),
        "objid": np.arange(n, dtype=np.int32),
        "brick_primary": np.arange(n) < n - 1,
        "type": types.astype("S3"),
        "ra": (brick.ra[0] + east / np.cos(np.deg2rad(brick.dec[0]))) % 360,
        "dec": brick.dec[0] + north,
        "maskbits": np.where(np.arange(n) % 3 == 0, 2, 0).astype(np.int32),
        "shape_r": np.where(types == "PSF", 0, 1.5).astype(np.float32),
        "shape_e1": np.where(np.isin(types, ["PSF", "REX"]), 0, 0.3).astype(np.float32),
        "shape_e2": np.zeros(n, np.float32),
    }
    for band in "grz":
        columns[f"flux_{band}"] = flux.astype(np.float32)
        columns[f"flux_ivar_{band}"] = np.full(n, 100.0, np.float32)
        columns[f"nobs_{band}"] = np.full(n, 2, np.int16)
    columns["flux_g"][0] = np.nan
    path = root / "tractor" / name[:3] / f"tractor-{name}.fits"
    path.parent.mkdir(parents=True, exist_ok=True)
    fitsio.write(str(path), list(columns.values()), names=list(columns), extname="CATALOG")
