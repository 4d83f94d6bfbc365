"""``legacypipe-lite brick-of``: the brick at a position."""

from ..errors import UsageError
from ..survey import parse_radec

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Print the brick of the surveys' grid whose own area holds a position: name, number, centre, bounds, and its files in
the runs that are named.

  legacypipe-lite brick-of 110.312 23.92
  legacypipe-lite brick-of 7:21:14.9 +23:55:12 --run out
"""


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    parser.add_argument("ra", metavar="RA", help="degrees, or hh:mm:ss")
    parser.add_argument("dec", metavar="DEC", help="degrees, or dd:mm:ss")
    parser.add_argument("--run", dest="runs", action="append", default=[], metavar="OUTDIR", help="repeatable")


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them."""
    from ..access import bricks_at, open_run

    try:
        ra, dec = parse_radec(arguments.ra, arguments.dec)
    except UsageError:
        raise UsageError(f"{arguments.ra} {arguments.dec}: give degrees, or hh:mm:ss and dd:mm:ss") from None
    brick = bricks_at(ra, dec)
    name = str(brick.name[0])
    print(f"brick    {name}  (number {brick.brickid[0]}, row {brick.row[0]}, column {brick.column[0]})")
    print(f"centre   {brick.ra[0]:.8f} {brick.dec[0]:.8f}")
    print(f"RA       {brick.ra1[0]:.8f} to {brick.ra2[0]:.8f}")
    print(f"Dec      {brick.dec1[0]:.8f} to {brick.dec2[0]:.8f}")
    print(f"coadds   coadd/{name[:3]}/{name}/")
    print(f"tractor  tractor/{name[:3]}/tractor-{name}.fits")
    for outdir in arguments.runs:
        found = open_run(outdir).brick_at(ra, dec)
        print(f"{outdir}: {'no brick there' if found is None else f'{found.name} in {found.folder}'}")
