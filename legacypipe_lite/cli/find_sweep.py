"""``legacypipe-lite find-sweep``: the sweep file that holds a position."""

from ..errors import UsageError
from ..survey import parse_radec

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Print the name of the sweep file that holds a position.

  legacypipe-lite find-sweep 248.86 9.80 --data-model dr9
"""


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    parser.add_argument("ra", metavar="RA", help="degrees, or hh:mm:ss")
    parser.add_argument("dec", metavar="DEC", help="degrees, or dd:mm:ss")
    parser.add_argument("--data-model", choices=("dr9", "dr10", "dr11"), default="dr10", help="default: %(default)s")
    parser.add_argument("--kind", choices=("lightcurves", "extra"), default="", help="of these files")


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them."""
    from ..access import find_sweep

    try:
        ra, dec = parse_radec(arguments.ra, arguments.dec)
    except UsageError:
        raise UsageError(f"{arguments.ra} {arguments.dec}: give degrees, or hh:mm:ss and dd:mm:ss") from None
    print(find_sweep(ra, dec, arguments.data_model, arguments.kind))
