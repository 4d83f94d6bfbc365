"""A small survey directory in the real on-disk format, for tests that damage or vary its parts."""

from pathlib import Path

import fitsio
import numpy as np

RA, DEC = 150.0, 20.0
PIXSCALE = 0.262
SKY = 100.0
NOISE = 5.0
BRICK = "1500p200"


def gaussian_stamp(size=25, sigma=1.6):
    """Normalised PSF stamp."""
    r = np.arange(size) - size // 2
    g = np.exp(-0.5 * (r / sigma) ** 2)
    stamp = np.outer(g, g)
    return (stamp / stamp.sum()).astype(np.float32)


class SyntheticSurvey:
    """Writes a survey directory; `write` puts the tables of everything added so far.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root):
        self.root = Path(root)
        self.rows = []
        self.root.mkdir(parents=True, exist_ok=True)

    def add_ccd(
        self,
        ccdname="N4",
        band="r",
        expnum=400000,
        camera="decam",
        shape=(120, 100),
        image=None,
        codes=None,
        weight=None,
        plver="V4.8.2a",
        plprocid="9500000",
        dq_plver=None,
        primary=None,
        header=None,
        weight_options=None,
        shift=(0.3, 0.3),
        sky=True,
        psf=True,
        **columns,
    ):
        """Add a CCD centred on the brick; returns its row (a dict)."""
        h, w = shape
        seed = np.random.default_rng(expnum)
        if image is None:
            image = SKY + NOISE * seed.normal(size=shape)
        codes = np.zeros(shape, np.int32) if codes is None else codes
        weight = np.full(shape, NOISE**-2, np.float32) if weight is None else weight
        name = f"cam/CP/x_{expnum}_ooi_{band}.{ccdname}.fits"
        crpix = (w / 2 + 0.5 + shift[0], h / 2 + 0.5 + shift[1])
        s = PIXSCALE / 3600
        wcs = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": RA, "CRVAL2": DEC}
        wcs |= {"CRPIX1": crpix[0], "CRPIX2": crpix[1], "CD1_1": -s, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": s}
        primary = {"EXPNUM": expnum, "PLVER": plver, "PLPROCID": plprocid, "PROPID": "test", **(primary or {})}
        header = {"EXTNAME": ccdname, "FWHM": 1.6 * 2.35, **wcs, **(header or {})}
        self.write_image(name, np.asarray(image, np.float32), primary, header)
        dq_primary = primary if dq_plver is None else {**primary, "PLVER": dq_plver}
        self.write_image(name.replace("_ooi_", "_ood_"), np.asarray(codes, np.int32), dq_primary, {})
        self.write_image(
            name.replace("_ooi_", "_oow_"), np.asarray(weight, np.float32), primary, {}, **(weight_options or {})
        )
        row = {
            "image_filename": name,
            "image_hdu": 1,
            "camera": camera,
            "expnum": expnum,
            "ccdname": ccdname,
            "plver": plver,
            "plprocid": plprocid,
            "propid": "test",
            "filter": band,
            "exptime": 100.0,
            "mjd_obs": 58000.0,
            "fwhm": 1.6 * 2.35,
            "width": w,
            "height": h,
            "ra": RA,
            "dec": DEC,
            "sig1": 0.005,
            "ccdzpt": 25.0,
            "ccdraoff": 0.0,
            "ccddecoff": 0.0,
            "ccd_cuts": 0,
            **{key.lower(): wcs[key] for key in wcs if not key.startswith("CTYPE")},
            **columns,
        }
        self.rows.append(row)
        if psf:
            self.write_psf(row)
        if sky:
            self.write_sky(row)
        return row

    def path(self, name):
        """Path of an image file."""
        return self.root / "images" / name

    def write_image(self, name, pixels, primary, header, **options):
        """Write an image with an empty primary HDU."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with fitsio.FITS(str(path), "rw", clobber=True) as fits:
            fits.write(None, header=primary)
            cards = {key: value for key, value in header.items() if key != "EXTNAME"}
            fits.write(pixels, header=cards, extname=header.get("EXTNAME"), **options)

    def calibration_path(self, kind, row):
        """Path of a merged PSF ("psfex") or sky ("sky") table."""
        suffix = {"psfex": "psfex", "sky": "splinesky"}[kind]
        base = Path(row["image_filename"]).name.split(".")[0]
        return self.root / "calib" / kind / "cam/CP" / f"{base}-{suffix}.fits"

    def identity(self, row):
        """Identity columns of a calibration."""
        keys = ("expnum", "ccdname", "plver", "plprocid")
        return {**{key: row[key] for key in keys}, "legpipev": "test-1"}

    def write_psf(self, row, sigma=1.6, **changes):
        """Write the merged PSF table of a CCD."""
        stamp = gaussian_stamp(sigma=sigma)
        columns = {
            "psf_mask": stamp[np.newaxis],
            "poldeg1": 0,
            "polnaxis": 2,
            "psfaxis1": stamp.shape[1],
            "psfaxis2": stamp.shape[0],
            "polzero1": 0.0,
            "polscal1": 1.0,
            "polzero2": 0.0,
            "polscal2": 1.0,
            "psf_samp": 1.0,
            "psf_fwhm": sigma * 2.35,
            **self.identity(row),
        }
        write_row_table(self.calibration_path("psfex", row), {**columns, **changes})

    def write_sky(self, row, **changes):
        """Write the merged sky table of a CCD: a constant, unless `changes` say otherwise."""
        columns = {"skyclass": "tractor.sky.ConstantSky", "value": SKY, **self.identity(row)}
        write_row_table(self.calibration_path("sky", row), {**columns, **changes})

    def write(self, name="survey-ccds-decam-1.fits.gz", rows=None, without=()):
        """Write the tables of bricks and CCDs."""
        write_bricks(self.root / "survey-bricks.fits.gz")
        rows = self.rows if rows is None else rows
        write_table(self.root / name, {key: [row[key] for row in rows] for key in rows[0] if key not in without})
        return self

    def options(self, **changes):
        """`RunOptions` for a target of 60x60 pixels in the middle of the CCDs."""
        from legacypipe_lite.options import RunOptions

        size = {"brick": BRICK, "width": 60, "height": 60, "bands": ("g", "r", "z")}
        return RunOptions(survey_dir=str(self.root), **{**size, **changes})


def write_bricks(path):
    """A table of one brick."""
    ra_half = 0.125 / np.cos(np.deg2rad(DEC))
    columns = {"brickname": [BRICK], "brickid": [7], "ra": [RA], "dec": [DEC]}
    columns |= {"ra1": [RA - ra_half], "ra2": [RA + ra_half], "dec1": [DEC - 0.125], "dec2": [DEC + 0.125]}
    write_table(path, columns)


def write_table(path, columns):
    """Write a FITS table from a dict of lists."""
    arrays = {name: np.array(values) for name, values in columns.items()}
    arrays = {
        name: a.astype(f"S{max(a.dtype.itemsize // 4, 1)}") if a.dtype.kind == "U" else a for name, a in arrays.items()
    }
    table = np.zeros(len(next(iter(arrays.values()))), [(n, a.dtype, a.shape[1:]) for n, a in arrays.items()])
    for name, a in arrays.items():
        table[name] = a
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).unlink(missing_ok=True)
    fitsio.write(str(path), table, clobber=True)


def write_row_table(path, row):
    """Write a FITS table of one row."""
    write_table(path, {name: [value] for name, value in row.items()})
