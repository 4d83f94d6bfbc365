"""``legacypipe-lite campaign``: many bricks."""

import logging
import os
import sys
from dataclasses import replace

from ..errors import UsageError

__all__ = ["DESCRIPTION", "PASSES_ON", "add_arguments", "run"]

logger = logging.getLogger(__name__)

#: What follows "--" on the command line is for another command: `run` finds it in ``arguments.passed_on``.
PASSES_ON = True

DESCRIPTION = """\
Run many bricks with Dask: on this machine, on a Dask scheduler, or through a batch system. Options of runbrick follow
"--". Stopped or broken off, the same command goes on with what is not done; "legacypipe-lite status OUT" tells how far
it is. Exit status 0 only if all bricks are done, or have nothing to do. Needs pip install 'legacypipe-lite[campaign]'.

  legacypipe-lite campaign mysurvey --outdir out --touched --workers 8 -- --no-wise   # as for runbrick
  legacypipe-lite campaign mysurvey --outdir out --region 350 10 -5 5 --cluster slurm --queue regular --workers 256
  legacypipe-lite campaign mysurvey --outdir out --positions targets.fits --width 100 --height 100
"""


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    parser.add_argument("survey_dir", metavar="SURVEY", help="survey directory")
    parser.add_argument("-d", "--outdir", required=True, metavar="DIR", help="output directory")
    parser.add_argument("--plan", action="store_true", help="only tell what would be run, and what it takes")
    which = parser.add_argument_group("Which bricks")
    which.add_argument("--brick", action="append", default=[], metavar="NAME", help="brick (repeatable)")
    which.add_argument("--bricks", metavar="FILE", help="text file of names, or FITS table with column brickname")
    which.add_argument(
        "--region", nargs=4, type=float, metavar=("RA1", "RA2", "DEC1", "DEC2"), help="RA1 > RA2 spans RA 0"
    )
    which.add_argument("--touched", action="store_true", help="all bricks that CCDs touch; with --region, those in it")
    which.add_argument("--positions", metavar="TABLE", help="a custom brick around each ra, dec")
    which.add_argument("--width", type=int, metavar="N", help="pixels of each brick")
    which.add_argument("--height", type=int, metavar="N", help="pixels of each brick")
    where = parser.add_argument_group("Where")
    where.add_argument("--workers", type=int, metavar="N", help="worker processes (default: the cores of this machine)")
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler that is there, tcp://...")
    where.add_argument("--scheduler-file", metavar="FILE", help="the file in which it says where it is")
    where.add_argument("--cluster", choices=("slurm", "pbs", "lsf", "sge", "htcondor"), help="by dask-jobqueue")
    where.add_argument("--queue", metavar="NAME", help="of the batch system")
    where.add_argument("--account", metavar="NAME", help="of the batch system")
    where.add_argument("--walltime", metavar="TIME", help="of a job of the batch system")
    where.add_argument("--interface", metavar="NAME", help="network interface of the batch system's nodes")
    where.add_argument("--processes-per-job", type=int, metavar="N", help="worker processes of a job")
    where.add_argument("--worker-memory", metavar="SIZE", help="of a worker process, e.g. 8GB")
    what = parser.add_argument_group("What is run again, and when to give up")
    what.add_argument(
        "--redo",
        action="append",
        default=[],
        choices=("faults", "quarantined", "nothing", "changed", "all"),
        help="run these again (repeatable): done with faults; quarantined or timed out; without anything to do; made"
        " with other options; all",
    )
    what.add_argument("--redo-bricks", metavar="FILE", help="run the bricks of this list again")
    what.add_argument("--brick-timeout", type=float, metavar="SECONDS", help="give a brick up that takes longer")
    what.add_argument("--checkpoint-dir", metavar="DIR", help="keep stage results there, to go on within a brick")


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them."""
    from ..campaign import CcdIndex, Where, make_plan, run_campaign
    from ..survey import SurveyDirectory

    if arguments.brick_timeout is not None and not arguments.brick_timeout > 0:
        raise UsageError(f"--brick-timeout {arguments.brick_timeout:g}: above 0")
    base = _options(arguments)
    survey = SurveyDirectory.from_options(base)
    ccds = CcdIndex(survey, base)
    patches = _patches(arguments, base, survey, ccds)
    patches[0].options(base).validated()
    plan = make_plan(patches, base, survey, ccds)
    for line in plan.lines():
        print(line)
    if arguments.plan:
        return 0
    where = Where(
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        scheduler_file=arguments.scheduler_file,
        cluster=arguments.cluster,
        queue=arguments.queue,
        account=arguments.account,
        walltime=arguments.walltime,
        interface=arguments.interface,
        worker_memory=_bytes(arguments.worker_memory),
        processes_per_job=arguments.processes_per_job,
    )
    tally = _run(arguments, plan, base, where, run_campaign)
    return _end(tally, arguments.outdir)


def _run(arguments, plan, base, where, run_campaign):
    from ..campaign import names_of_file
    from .campaign_display import CampaignDisplay

    redo_bricks = names_of_file(arguments.redo_bricks) if arguments.redo_bricks else []
    with CampaignDisplay(sys.stdout) as display:
        return run_campaign(
            plan,
            base,
            where,
            redo=arguments.redo,
            redo_bricks=redo_bricks,
            timeout=arguments.brick_timeout,
            checkpoint_dir=arguments.checkpoint_dir,
            on_change=display.show,
        )


def _end(tally, outdir):
    """Say what came out; exit status."""
    from ..campaign import DONE, FAULTS, NOTHING, status, write_page

    page = write_page(status(outdir))
    print(", ".join(f"{number} {state}" for state, number in tally.counts.items()) + f" of {tally.total} bricks")
    for title, texts in (("failed", tally.reasons), ("not used", tally.dropped)):
        for text, number in texts.most_common(20):
            print(f"{title} in {number} bricks: {text}")
    print(f"more: legacypipe-lite status {outdir}; a map of the bricks: {page}")
    good = tally.counts[DONE] + tally.counts[NOTHING] + tally.counts[FAULTS]
    if tally.counts[FAULTS]:
        print(f"{tally.counts[FAULTS]} bricks have blobs that could not be fitted: --redo faults runs them again")
    return 0 if good == tally.total and not tally.counts[FAULTS] else 3 if good == tally.total else 1


def _options(arguments):
    """`RunOptions` of all bricks, from what follows "--"."""
    from .runbrick import make_parser, parse_options

    given = list(arguments.passed_on)
    own = {"--brick", "-b", "--radec", "--custom-name", "--outdir", "-d", "--survey-dir", "--threads"}
    own |= {"--width", "-W", "--height", "-H"} if arguments.positions else set()
    for text in given:
        if text.split("=")[0] in own:
            raise UsageError(f"{text.split('=')[0]} cannot follow --: it is for the campaign to say")
    if arguments.checkpoint_dir is None and "--pickle" not in given and "-P" not in given:
        given.append("--no-write")
    base = parse_options(make_parser().parse_args(given))
    base = replace(base, survey_dir=os.path.abspath(arguments.survey_dir), outdir=os.path.abspath(arguments.outdir))
    if arguments.positions:
        if arguments.width is None or arguments.height is None:
            raise UsageError("--positions needs --width and --height")
        return replace(base, width=arguments.width, height=arguments.height)
    if arguments.width is not None or arguments.height is not None:
        raise UsageError("--width and --height go with --positions; those of other bricks follow --")
    return base


def _patches(arguments, base, survey, ccds):
    from ..campaign import by_names, by_positions, by_region, names_of_file, touched

    chosen = [bool(arguments.brick or arguments.bricks), bool(arguments.region or arguments.touched)]
    if sum(chosen) + bool(arguments.positions) != 1:
        raise UsageError("which bricks? give --brick or --bricks, --region and/or --touched, or --positions")
    if arguments.positions:
        return by_positions(arguments.positions)
    if chosen[0]:
        names = names_of_file(arguments.bricks) if arguments.bricks else []
        return by_names(survey, [*arguments.brick, *names])
    if not arguments.touched:
        return by_region(survey, *arguments.region)
    patches = touched(survey, base, ccds)
    if arguments.region:
        inside = set(by_region(survey, *arguments.region))
        patches = [patch for patch in patches if patch in inside]
        if not patches:
            raise UsageError("no CCD touches a brick of --region")
    return patches


def _bytes(text):
    """Bytes of a size such as 8GB."""
    if text is None:
        return None
    from ..campaign.clusters import require_dask

    require_dask()
    from dask.utils import parse_bytes

    try:
        size = float(parse_bytes(text))
    except ValueError:
        size = 0.0
    if size < 1e6:
        raise UsageError(f"--worker-memory {text}: a size such as 8GB")
    return size
