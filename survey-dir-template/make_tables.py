"""Make the tables of a survey directory: ``python make_tables.py bricks`` and ``python make_tables.py ccds IMAGES``.

Run it in the survey directory. See README.md.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from legacypipe_lite.errors import LegacypipeError
from legacypipe_lite.wcs import wcs_from_header

BRICK_TYPES = {"brickid": "i4", "brickq": "i2", "brickrow": "i4", "brickcol": "i4"}
CCD_TYPES = {"image_hdu": "i2", "expnum": "i8", "width": "i2", "height": "i2", "ccd_cuts": "i8"}
DOUBLES = ("mjd_obs", "crval1", "crval2", "ra", "dec")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("bricks", help="survey-bricks.fits.gz from bricks.csv")
    ccds = commands.add_parser("ccds", help="survey-ccds-<camera>-1.fits.gz from images")
    ccds.add_argument("images", nargs="+", type=Path, help="the image files (not those of masks and weights)")
    ccds.add_argument("--camera", required=True, help="decam, mosaic, 90prime, or your own")
    ccds.add_argument("--images-dir", type=Path, default=Path("images"), help="folder that file names are relative to")
    ccds.add_argument("--zeropoint", type=float, metavar="MAG", help="magnitude of one count per second")
    ccds.add_argument("--magzero-card", default="MAGZERO", help="header card: magnitude of one count of the image")
    ccds.add_argument("--fwhm-card", default="FWHM", help="header card: seeing in pixels")
    ccds.add_argument("--output", type=Path, help="default: survey-ccds-<camera>-1.fits.gz")
    arguments = parser.parse_args()
    try:
        make_bricks() if arguments.command == "bricks" else make_ccds(arguments)
    except (LegacypipeError, OSError, ValueError) as error:
        sys.exit(f"make_tables.py: {error}")


def make_bricks():
    """Convert bricks.csv."""
    table = Table.read("bricks.csv", format="ascii.csv", comment="#")
    for name, dtype in BRICK_TYPES.items():
        table[name] = table[name].astype(dtype)
    table.write("survey-bricks.fits.gz", overwrite=True)


def make_ccds(arguments):
    """Make a CCD table from image files."""
    rows = [row for path in arguments.images for row in image_rows(path, arguments)]
    if not rows:
        raise ValueError("the files hold no images")
    columns = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        if values.dtype.kind != "U":
            values = values.astype(CCD_TYPES.get(name, "f8" if name in DOUBLES else "f4"))
        columns[name] = values
    output = arguments.output or Path(f"survey-ccds-{arguments.camera}-1.fits.gz")
    Table(columns).write(output, overwrite=True)
    print(f"{output}: {len(rows)} CCD images")


def image_rows(path, arguments):
    """Rows of all images of a file."""
    weight_path = Path(str(path).replace("_ooi_", "_oow_"))
    if weight_path == path:
        raise ValueError(f"{path}: no _ooi_ in the name")
    with fits.open(path) as images, fits.open(weight_path) as weights:
        primary = images[0].header
        for number, hdu in enumerate(images):
            if hdu.header.get("NAXIS", 0) == 2 and min(hdu.shape) > 1:
                yield image_row(path, number, primary, hdu.header, hdu.shape, weights[number].data, arguments)


def image_row(path, number, primary, header, shape, weight, arguments):
    """Row of one image."""
    exptime, band = float(card(path, primary, "EXPTIME")), str(card(path, primary, "FILTER")).split()[0]
    in_counts = arguments.camera.startswith("decam")
    if arguments.zeropoint is not None:
        zeropoint = arguments.zeropoint
    else:
        magzero = header.get(arguments.magzero_card, primary.get(arguments.magzero_card))
        if magzero is None:
            raise ValueError(f"{path}: no card {arguments.magzero_card}: give --magzero-card or --zeropoint")
        zeropoint = float(magzero) - (2.5 * np.log10(exptime) if in_counts else 0.0)
    counts_per_nanomaggy = 10 ** ((zeropoint - 22.5) / 2.5) * (exptime if in_counts else 1.0)
    wcs = wcs_from_header({**header, "NAXIS1": shape[1], "NAXIS2": shape[0]}, str(path))
    ra, dec = wcs.pixel_to_sky((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    good = weight[weight > 0]
    if len(good) == 0:
        raise ValueError(f"{path}: HDU {number}: no pixel has a weight")
    return {
        "image_filename": path.resolve().relative_to(arguments.images_dir.resolve()).as_posix(),
        "image_hdu": number,
        "camera": arguments.camera,
        "expnum": int(card(path, primary, "EXPNUM")),
        "ccdname": str(header.get("EXTNAME", f"CCD{number}")).strip(),
        "filter": band,
        "exptime": exptime,
        "mjd_obs": float(card(path, primary, "MJD-OBS")),
        "fwhm": float(card(path, header, arguments.fwhm_card)),
        "width": shape[1],
        "height": shape[0],
        "crval1": wcs.crval[0],
        "crval2": wcs.crval[1],
        "crpix1": wcs.crpix[0],
        "crpix2": wcs.crpix[1],
        "cd1_1": wcs.cd[0, 0],
        "cd1_2": wcs.cd[0, 1],
        "cd2_1": wcs.cd[1, 0],
        "cd2_2": wcs.cd[1, 1],
        "ra": ra,
        "dec": dec,
        "sig1": 1.0 / np.sqrt(np.median(good)) / counts_per_nanomaggy,
        "ccdzpt": zeropoint,
        "plver": str(primary.get("PLVER", "")).strip(),
        "plprocid": str(primary.get("PLPROCID", "")).strip(),
        "propid": str(primary.get("PROPID", "")).strip(),
        "ccdraoff": 0.0,
        "ccddecoff": 0.0,
        "ccd_cuts": 0,
    }


def card(path, header, name):
    """Value of a header card that must be there."""
    if header.get(name) in (None, ""):
        raise ValueError(f"{path}: no header card {name}")
    return header[name]


if __name__ == "__main__":
    main()
