"""``legacypipe-lite mosaic``: several bricks on one grid."""

import logging

from ..errors import UsageError
from ..files import atomic_file
from .access_arguments import add_position, add_run, position, split_bands
from .cutout import check_suffix

__all__ = ["DESCRIPTION", "add_arguments", "run"]

logger = logging.getLogger(__name__)

_MOST_VALUES = 1.5e9

DESCRIPTION = """\
Put several bricks on one grid (TAN, North up) without double counting: each pixel of all products comes from the one
brick whose own area holds it.

  legacypipe-lite mosaic out --ra 110.35 --dec 24.125 --size 2000 --output field.fits
"""


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    add_run(parser)
    add_position(parser)
    parser.add_argument("--output", required=True, metavar="FILE.fits", help="an extension for each product and band")
    parser.add_argument(
        "--size", type=int, nargs="+", default=[1000], metavar="N", help="pixels: N, or width and height"
    )
    parser.add_argument("--pixscale", type=float, default=0.262, metavar="ARCSEC", help="default: %(default)s")
    parser.add_argument("--bands", metavar="B,B", help="default: all of the run")
    parser.add_argument("--products", default="image,invvar,maskbits", metavar="P,P", help="default: %(default)s")


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them."""
    from ..access import open_run
    from ..access.grids import cutout_grid

    if check_suffix(arguments.output) != "fits":
        raise UsageError(f"--output {arguments.output}: name a file that ends in .fits")
    if len(arguments.size) > 2:
        raise UsageError("--size: give one number, or width and height")
    width, height = (arguments.size * 2)[:2]
    tree = open_run(arguments.outdir)
    bands, products = split_bands(arguments.bands), split_bands(arguments.products)
    if width * height * len(products) * len(bands or tree.bands) > _MOST_VALUES:
        raise UsageError(f"--size {width} {height}: too large for memory; {_MOST_VALUES:g} values at most")
    grid = cutout_grid(*position(arguments), width, height, arguments.pixscale)
    made = tree.mosaic(grid.wcs, bands=bands, products=products)
    with atomic_file(arguments.output) as stream:
        stream.write(made.to_fits())
    logger.info("%s", arguments.output)
