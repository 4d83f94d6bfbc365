"""``legacypipe-lite crop``: native pixels of a brick, the same box of all products."""

import logging

from ..files import atomic_file
from .access_arguments import add_position, add_run, position, split_bands
from .cutout import check_suffix

__all__ = ["DESCRIPTION", "add_arguments", "run"]

logger = logging.getLogger(__name__)

DESCRIPTION = """\
Crop the coadds of the brick whose own area holds a position: the same pixels of all products and bands, with one WCS,
not resampled. Off the brick's images: 0, for mask bits NPRIMARY.

  legacypipe-lite crop out --ra 110.312 --dec 23.92 --size 128 --output star.fits
"""


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    add_run(parser)
    add_position(parser)
    parser.add_argument("--output", required=True, metavar="FILE.fits", help="an extension for each product and band")
    parser.add_argument(
        "--size", type=int, nargs="+", default=[256], metavar="N", help="pixels: N, or width and height"
    )
    parser.add_argument("--bands", metavar="B,B", help="default: all of the run")
    parser.add_argument("--products", default="image,invvar,maskbits", metavar="P,P", help="default: %(default)s")


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them."""
    from ..access import open_run
    from ..errors import UsageError

    if check_suffix(arguments.output) != "fits":
        raise UsageError(f"--output {arguments.output}: name a file that ends in .fits")
    if len(arguments.size) > 2:
        raise UsageError("--size: give one number, or width and height")
    size = arguments.size[0] if len(arguments.size) == 1 else tuple(arguments.size)
    ra, dec = position(arguments)
    found = open_run(arguments.outdir).crop(
        ra, dec, size, bands=split_bands(arguments.bands), products=split_bands(arguments.products)
    )
    with atomic_file(arguments.output) as stream:
        stream.write(found.to_fits())
    logger.info("%s: brick %s, from pixel (%d, %d)", arguments.output, found.brick, found.x0, found.y0)
