"""``legacypipe-lite simulate OUTDIR``: write a mock survey directory."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import time

__all__ = ["DESCRIPTION", "add_arguments", "run"]

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 20.0

DESCRIPTION = """\
Write a mock survey directory: images, calibrations, reference catalogues and unWISE coadds in the format of the real
surveys, and the truth (truth.fits). The same options give the same survey; a directory that holds it already is left
as it is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    from ..simulate.options import ARTEFACTS, SimulationOptions

    default = SimulationOptions()
    parser.add_argument("outdir", metavar="OUTDIR", help="the survey directory that is made")
    what = parser.add_argument_group("What is observed")
    what.add_argument("--seed", type=int, default=default.seed, metavar="N", help="of all random numbers")
    what.add_argument(
        "--radec", type=float, nargs=2, default=(default.ra, default.dec), metavar=("RA", "DEC"),
        help="degrees; the brick there is simulated",
    )  # fmt: skip
    what.add_argument("--width", type=int, default=default.width, metavar="N", help="width of the field, brick pixels")
    what.add_argument("--height", type=int, default=default.height, metavar="N", help="its height")
    what.add_argument("--full-brick", action="store_true", help="the whole brick, with whole CCDs")
    what.add_argument("--density", type=float, default=default.density, metavar="X", help="of sources; 1: as the sky")
    what.add_argument(
        "--blends", type=float, default=default.blends, metavar="X",
        help="fraction of the sources that get a close companion",
    )  # fmt: skip
    what.add_argument("--no-large-galaxy", action="store_true", help="without a galaxy of the large-galaxy catalogue")
    how = parser.add_argument_group("How it is observed")
    how.add_argument("--cameras", type=_names, default=default.cameras, metavar="C,C", help="decam, mosaic, 90prime")
    how.add_argument("--bands", type=_names, default=default.bands, metavar="B,B", help="of g, r, i, z")
    how.add_argument("--exposures", type=int, default=default.exposures, metavar="N", help="per camera and band")
    how.add_argument("--depth", type=float, default=default.depth, metavar="MAG", help="deeper than usual by so much")
    how.add_argument("--seeing", type=float, metavar="ARCSEC", help="median FWHM (default: usual for the camera)")
    text = "; ".join(f"{name}: {meaning}" for name, meaning in ARTEFACTS.items())
    how.add_argument(
        "--artefacts", type=_names, default=default.artefacts, metavar="A,A",
        help=f"flaws of images; {text}. '' for none",
    )  # fmt: skip
    how.add_argument("--no-wise", action="store_true", help="without unWISE images")
    how.add_argument(
        "--expected-weights", action="store_true",
        help="DECam weights from the expected, not the measured pixel values",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="worker processes")
    for group in (what, how):
        for action in group._group_actions:
            if action.default not in (None, False, argparse.SUPPRESS) and action.help:
                joint = "," if action.type is _names else " "
                shown = joint.join(map(str, action.default)) if isinstance(action.default, tuple) else "%(default)s"
                action.help += f" (default: {shown})"


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


class _Progress:
    """Says how far a long simulation is, not too often."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, label: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last > _SECONDS_BETWEEN_LINES and done < total:
            self._last = now
            logger.info("%s: %d of %d done", label, done, total)


def run(arguments: argparse.Namespace) -> None:
    """Run the subcommand.

    Parameters
    ----------
    arguments : argparse.Namespace

    Raises
    ------
    LegacypipeError
    """
    from .. import simulate as room
    from ..simulate import SimulationOptions

    options = SimulationOptions(
        seed=arguments.seed,
        ra=arguments.radec[0] % 360.0,
        dec=arguments.radec[1],
        cameras=arguments.cameras,
        bands=arguments.bands,
        exposures=arguments.exposures,
        depth=arguments.depth,
        seeing=arguments.seeing,
        width=arguments.width,
        height=arguments.height,
        density=arguments.density,
        blends=arguments.blends,
        artefacts=arguments.artefacts,
        large_galaxy=not arguments.no_large_galaxy,
        wise=not arguments.no_wise,
        noisy_weights=not arguments.expected_weights,
        full_brick=arguments.full_brick,
    )
    survey = room.simulate(arguments.outdir, options, arguments.threads, _Progress())
    script = shlex.quote(str(survey.root / "environment.sh"))
    command = shlex.join(["runbrick", *survey.run_arguments, "--outdir", "out"])
    sys.stdout.write(f"To run the brick:\n  . {script}\n  {command}\n")
