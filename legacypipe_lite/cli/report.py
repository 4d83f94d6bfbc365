"""``legacypipe-lite report``: one HTML page about a brick run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import atomic_file

if TYPE_CHECKING:
    import argparse

__all__ = ["DESCRIPTION", "add_arguments", "run"]

logger = logging.getLogger(__name__)

DESCRIPTION = """\
Make a self-contained HTML page of a brick run: pictures, depth, number counts, colours, quality of the fit, slowest
blobs, dropped CCDs, times of the stages, warnings; with --truth also the scores of the catalogue.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments on an `argparse` parser."""
    parser.add_argument("outdir", metavar="OUTDIR", help="output directory of the run")
    parser.add_argument("--brick", metavar="NAME", help="brick, if OUTDIR holds several")
    parser.add_argument("--truth", metavar="FILE", help="table of the true (or of the injected) sources")
    parser.add_argument("--output", metavar="FILE", help="the page (default: OUTDIR/report-<brick>.html)")
    parser.add_argument("--no-plots", action="store_true", help="leave out the plots, which need matplotlib")


def run(arguments: argparse.Namespace) -> None:
    """Run the command; arguments as `add_arguments` declared them."""
    from ..validation.products import BrickProducts
    from ..validation.report import brick_report

    brickname = BrickProducts(arguments.outdir, arguments.brick).brickname
    text = brick_report(arguments.outdir, brickname, arguments.truth, plots=not arguments.no_plots)
    path = Path(arguments.output) if arguments.output else Path(arguments.outdir) / f"report-{brickname}.html"
    with atomic_file(path, make_folder=False) as stream:
        stream.write(text.encode())
    logger.info("%s", path)
