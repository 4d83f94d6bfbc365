"""Arguments that the commands on output trees share."""

from ..errors import UsageError
from ..survey import parse_radec

__all__ = ["add_run", "add_position", "position", "split_bands"]


def add_run(parser):
    """Declare OUTDIR."""
    parser.add_argument("outdir", metavar="OUTDIR", help="output directory of brick runs")


def add_position(parser):
    """Declare --ra and --dec."""
    parser.add_argument("--ra", required=True, metavar="RA", help="degrees, or hh:mm:ss")
    parser.add_argument("--dec", required=True, metavar="DEC", help="degrees, or dd:mm:ss (negative: --dec=-17.5)")


def position(arguments):
    """RA, Dec [deg] that were given."""
    try:
        return parse_radec(arguments.ra, arguments.dec)
    except UsageError:
        raise UsageError(
            f"--ra {arguments.ra} --dec {arguments.dec}: give degrees, or hh:mm:ss and dd:mm:ss, Dec within -90 to 90"
        ) from None


def split_bands(text):
    """Bands between commas, or None."""
    return None if text is None else tuple(band.strip() for band in text.split(",") if band.strip())
