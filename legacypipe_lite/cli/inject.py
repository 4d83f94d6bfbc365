"""``legacypipe-lite inject``: make a table of sources that ``runbrick --inject`` adds to real images."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from ..errors import OutputError

if TYPE_CHECKING:
    import argparse

__all__ = ["DESCRIPTION", "add_arguments", "run"]

logger = logging.getLogger(__name__)

DESCRIPTION = """\
Draw random stars and galaxies at free places of a brick that was run before, and write the table that
`runbrick --inject TABLE` adds to the images. Then `legacypipe-lite evaluate` compares what the catalogue says with
metrics/AAA/injected-<brick>.fits of that run.
"""

#: Mask bits where no sources are put.
_FORBIDDEN = ("NPRIMARY", "BRIGHT", "MEDIUM", "GALAXY", "CLUSTER", "RESOLVED", "MCLOUDS", "BAILOUT")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments on an `argparse` parser."""
    parser.add_argument("outdir", metavar="OUTDIR", help="output directory of a run without injected sources")
    parser.add_argument("table", metavar="TABLE", help="file to write (FITS)")
    parser.add_argument("--brick", metavar="NAME", help="brick, if OUTDIR holds several")
    parser.add_argument("--number", type=int, default=30, metavar="N", help="number of sources (default: 30)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the random numbers (default: 1)")
    parser.add_argument(
        "--magnitudes",
        type=float,
        nargs=2,
        default=(19.0, 22.0),
        metavar=("BRIGHT", "FAINT"),
        help="limits of the r magnitude (default: 19 22)",
    )
    parser.add_argument("--galaxies", type=float, default=0.5, metavar="X", help="fraction of galaxies (default: 0.5)")
    parser.add_argument(
        "--distance",
        type=float,
        default=5.0,
        metavar="ARCSEC",
        help="smallest distance from sources that are there and from each other, besides three half-light radii of each"
        " (default: 5)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command; arguments as `add_arguments` declared them."""
    from ..bits import MASKBITS_FIXED
    from ..simulate.injection_table import draw_injection
    from ..validation.products import BrickProducts
    from ..wcs import wcs_from_header

    products = BrickProducts(arguments.outdir, arguments.brick)
    maskbits, header = products.image("maskbits")
    wcs = wcs_from_header(header, products.path("maskbits"))
    forbidden = sum(bit.value for bit in MASKBITS_FIXED if bit.name in _FORBIDDEN)
    allowed = (maskbits & forbidden) == 0
    for band in products.bands:
        allowed &= products.image("nexp", band)[0] > 0
    known = products.table("tractor", ["bx", "by", "shape_r"])
    table = draw_injection(
        wcs,
        allowed,
        (known["bx"], known["by"]),
        arguments.number,
        sizes=known["shape_r"],
        seed=arguments.seed,
        magnitudes=tuple(arguments.magnitudes),
        galaxies=arguments.galaxies,
        distance=arguments.distance,
    )
    if len(table) < arguments.number:
        logger.warning("there was place for %d of %d sources only", len(table), arguments.number)
    table["type"] = np.char.encode(np.asarray(table["type"]), "ascii")
    try:
        table.write(arguments.table, format="fits", overwrite=True)
    except OSError as error:
        raise OutputError(f"cannot write {arguments.table}: {error}") from error
    logger.info("%d sources: %s; add them with runbrick --inject", len(table), arguments.table)
