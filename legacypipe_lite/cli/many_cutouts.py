"""``legacypipe-lite many-cutouts``: cutouts for the rows of a table."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..errors import InputError, LegacypipeError, UsageError
from .access_arguments import add_run
from .cutout import add_cutout_arguments, check_suffix, write_cutout

__all__ = ["DESCRIPTION", "add_arguments", "run"]

logger = logging.getLogger(__name__)

DESCRIPTION = """\
Make cutouts for the rows of a table (FITS or CSV) with columns ra, dec [deg] and output (file name); columns size,
width, height, pixscale, bands and layer, where there are any, go before the options of the same name.

  legacypipe-lite many-cutouts out targets.csv --outdir stamps --size 128 --threads 4
"""

_COLUMNS = {"size": int, "width": int, "height": int, "pixscale": float, "bands": str, "layer": str}


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    add_run(parser)
    parser.add_argument("table", metavar="TABLE", help="FITS or CSV table")
    parser.add_argument(
        "--outdir", dest="folder", default=".", metavar="DIR", help="folder of the files (default: here)"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="cutouts at once (default: 1)")
    add_cutout_arguments(parser)


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them; exit status 1 if a cutout could not be made."""
    from ..access import NoOverlapError, open_run

    if arguments.threads < 1:
        raise UsageError(f"--threads {arguments.threads}: give 1 or more")
    tree, rows = open_run(arguments.outdir), _rows(arguments.table)
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)

    def make(row):
        path = folder / row.pop("output")
        if path.exists() and not arguments.force:
            return "there already"
        try:
            write_cutout(tree, row.pop("ra"), row.pop("dec"), path, arguments, **row)
        except NoOverlapError:
            logger.warning("%s: No overlap", path)
            return "without overlap"
        except LegacypipeError as error:
            logger.error("%s: %s", path, error)
            return "failed"
        return "made"

    with ThreadPoolExecutor(arguments.threads) as pool:
        results = list(pool.map(make, rows))
    numbers = {what: results.count(what) for what in dict.fromkeys(results)}
    logger.info("%d cutouts: %s", len(results), ", ".join(f"{n} {what}" for what, n in numbers.items()) or "none")
    return 1 if "failed" in results else 0


def _rows(path):
    """Rows of the table as dicts, checked."""
    from astropy.table import Table

    try:
        table = Table.read(path, format="fits" if ".fits" in Path(path).name else "ascii.csv")
    except Exception as error:  # whatever a reader makes of a stranger's file
        raise InputError(f"{path} cannot be read as FITS or CSV table: {error}") from error
    names = {name.lower(): name for name in table.colnames}
    for name in ("output", "ra", "dec"):
        if name not in names:
            raise InputError(f"{path}: no column {name}; there are {', '.join(table.colnames)}")
    rows = []
    for row in table:
        try:
            made = {"ra": float(row[names["ra"]]), "dec": float(row[names["dec"]])}
            for name, kind in _COLUMNS.items():
                if name in names and row[names[name]] is not np.ma.masked:
                    made[name] = kind(row[names[name]])
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}, row {row.index + 1}: {error}") from error
        made["output"] = str(row[names["output"]]).strip()
        check_suffix(made["output"])
        if Path(made["output"]).is_absolute() or ".." in Path(made["output"]).parts:
            raise InputError(f"{path}, row {row.index + 1}: output {made['output']} leads out of --outdir")
        rows.append(made)
    return rows
