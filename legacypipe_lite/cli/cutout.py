"""``legacypipe-lite cutout``: an image around a position, resampled, as FITS file or JPEG."""

import logging
from pathlib import Path

from ..errors import UsageError
from ..files import atomic_file
from .access_arguments import add_position, add_run, position

__all__ = ["DESCRIPTION", "add_arguments", "run", "add_cutout_arguments", "write_cutout"]

logger = logging.getLogger(__name__)

DESCRIPTION = """\
Cut an image out of the coadds around a position, over brick borders, resampled to North up and East left.

  legacypipe-lite cutout out --ra 110.312 --dec 23.92 --output star.jpg
  legacypipe-lite cutout out --ra 7:21:14.9 --dec +23:55:12 --size 400 --invvar --maskbits --output star.fits
"""


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    add_run(parser)
    add_position(parser)
    parser.add_argument("--output", required=True, metavar="FILE", help="what to write: FILE.fits or FILE.jpg")
    add_cutout_arguments(parser)


def add_cutout_arguments(parser):
    """Declare what `cutout` and `many-cutouts` share."""
    parser.add_argument("--pixscale", type=float, default=0.262, metavar="ARCSEC", help="pixel scale (default: 0.262)")
    parser.add_argument("--size", type=int, default=256, metavar="N", help="pixels on a side (default: 256)")
    parser.add_argument("--width", type=int, metavar="N", help="pixels (default: --size)")
    parser.add_argument("--height", type=int, metavar="N", help="pixels (default: --size)")
    parser.add_argument("--rotate", type=float, default=0.0, metavar="DEG", help="of the axes against North")
    parser.add_argument("--bands", metavar="B,B", help="default: all of the run, e.g. g,r,z")
    parser.add_argument(
        "--layer", default="image", metavar="PRODUCT", help="image (default), model, resid, invvar, nexp, wise, ..."
    )
    parser.add_argument("--combine", choices=("mean", "unique"), default="mean", help="where bricks overlap")
    parser.add_argument("--invvar", action="store_true", help="also the inverse variance (FITS)")
    parser.add_argument("--maskbits", action="store_true", help="also the mask bits (FITS)")
    parser.add_argument("--no-image", action="store_true", help="without the image (FITS)")
    parser.add_argument("--force", action="store_true", help="write files that exist already")


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them."""
    from ..access import open_run

    ra, dec = position(arguments)
    check_suffix(arguments.output)
    if Path(arguments.output).exists() and not arguments.force:
        logger.info("%s exists (--force writes it again)", arguments.output)
        return
    write_cutout(open_run(arguments.outdir), ra, dec, arguments.output, arguments)
    logger.info("%s", arguments.output)


def check_suffix(path):
    """Kind of file of a name: "fits" or "jpeg"."""
    suffix = Path(path).suffix.lower()
    if suffix in (".fits", ".fit"):
        return "fits"
    if suffix in (".jpg", ".jpeg"):
        return "jpeg"
    raise UsageError(f"--output {path}: name a file that ends in .fits or .jpg")


def write_cutout(run, ra, dec, path, arguments, **changes):
    """Make a cutout and write it.

    Parameters
    ----------
    run : access.Run
    ra, dec : float
        Degrees.
    path : str or Path
    arguments : argparse.Namespace
        Of `add_cutout_arguments`.
    **changes
        Instead of some of the arguments.
    """
    kind = check_suffix(path)
    asked = {
        name: changes.get(name, getattr(arguments, name))
        for name in ("size", "width", "height", "pixscale", "rotate", "combine", "bands")
    }
    known = run.layer(changes.get("layer", arguments.layer))
    if asked["bands"] is not None:
        names = [band.strip() for band in asked["bands"].split(",")] if "," in asked["bands"] else [asked["bands"]]
        names = names if all(name in known.bands for name in names) else list(asked["bands"].replace(",", ""))
        missing = [name for name in names if name not in known.bands]
        if missing:
            raise UsageError(f"--bands {asked['bands']}: there are {', '.join(known.bands)}")
        asked["bands"] = names
    fits = kind == "fits"
    cutout = run.cutout(
        ra,
        dec,
        product=changes.get("layer", arguments.layer),
        invvar=fits and arguments.invvar,
        maskbits=fits and arguments.maskbits,
        **asked,
    )
    with atomic_file(path) as stream:
        stream.write(cutout.to_fits(not arguments.no_image) if fits else cutout.to_jpeg())
