"""``legacypipe-lite check-inputs``: look at the inputs of bricks before they are run."""

import dataclasses

from ..names import printable
from ..options import option_infos

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Look at the inputs of a brick, of a region or of all bricks, before hours of work: what is there, what is missing and
what happens without it, what will be made, what looks wrong (checksums, zero points against the sky, weights against
the scatter of pixels, saturation, seeing, PSF models, positions against Gaia), and time, memory and disk that a run
will take. Options are those of runbrick. Nothing is made or written.

exit status: 0 nothing to complain of; 3 it would run, but something would be left out or looks wrong; 1 it would end
with an error; 255 no such brick.
"""

_SOMETHING_WRONG = 3
_MOST_LINES = 12


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    from .runbrick import add_option

    where = parser.add_argument_group("Which bricks, instead of --brick or --radec")
    where.add_argument(
        "--region", type=float, nargs=4, metavar=("RA1", "RA2", "DEC1", "DEC2"),
        help="bricks whose centres lie in this area, degrees; RA1 > RA2 spans RA 0",
    )  # fmt: skip
    where.add_argument("--all", action="store_true", help="all bricks of the table on which there are CCDs")
    groups = {}
    for info in option_infos():
        if info.name in ("verbose", "debug"):
            continue
        if info.group not in groups:
            groups[info.group] = parser.add_argument_group(f"As runbrick: {info.group}")
        add_option(groups[info.group], info)


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them."""
    from ..errors import UsageError
    from ..preflight import check_brick
    from ..preflight.findings import ERROR, grave
    from .runbrick import options_of

    options = options_of(arguments)
    several = arguments.region is not None or arguments.all
    if several and (options.brick is not None or options.radec is not None):
        raise UsageError("give one of --brick, --radec, --region and --all")
    if not several:
        checks = [check_brick(options)]
    else:
        checks = [check_brick(dataclasses.replace(options, brick=name)) for name in _bricks(options, arguments.region)]
    for check in checks:
        print("\n".join(printable(line) for line in _lines(check)))
    if several:
        print("\n".join(_sum(checks)))
    if any(finding.kind == ERROR for check in checks for finding in check.findings):
        return 1
    return _SOMETHING_WRONG if any(grave(check.findings) for check in checks) else 0


def _bricks(options, region):
    """Names of the bricks in a region, or all, on which there are CCDs."""
    from ..survey import SurveyDirectory
    from ..survey.bricks import bricks_with_ccds

    return bricks_with_ccds(SurveyDirectory.from_options(options), region)


def _lines(check):
    """What was found about a brick, as lines of text."""
    from ..preflight.findings import TITLES
    from ..survey.ccd_list import fate_counts

    bands = ", ".join(f"{band} {number}" for band, number in check.bands.items())
    yield f"Brick {check.name}: {check.text}"
    yield f"  CCDs near it: {fate_counts(check.fates)}" + (f"; used by band: {bands}" if bands else "")
    for kind, title in TITLES.items():
        found = list(dict.fromkeys((f.about, f.text) for f in check.findings if f.kind == kind))
        if found:
            yield f"  {title}:"
            yield from (f"    {about}: {text}" for about, text in found[:_MOST_LINES])
            if len(found) > _MOST_LINES:
                yield f"    ... and {len(found) - _MOST_LINES} more"
    if check.prediction is not None:
        yield f"  a run will take about {_cost(check.prediction)}, for some {check.n_sources:.0f} sources"


def _cost(prediction):
    return (
        f"{_time(prediction.seconds)}, {prediction.memory / 1e9:.2g} GB of memory and"
        f" {prediction.disk / 1e6:.3g} MB on disk"
    )


def _time(seconds):
    for unit, size in (("s", 1), ("min", 60)):
        if seconds < 600 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.0f} h"


def _sum(checks):
    predictions = [check.prediction for check in checks if check.prediction is not None]
    yield f"{len(checks)} bricks, {len(predictions)} of them with images"
    if predictions:
        cpu = sum(p.cpu_seconds for p in predictions)
        memory = max(p.memory for p in predictions)
        disk = sum(p.disk for p in predictions)
        yield f"  all: about {_time(cpu)} of a core, at most {memory / 1e9:.2g} GB at once, {disk / 1e9:.3g} GB on disk"
