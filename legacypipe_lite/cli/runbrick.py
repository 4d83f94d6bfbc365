"""Command line of a brick run: ``runbrick --brick 1102p240 --survey-dir DIR --outdir OUT``."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

from ..errors import NothingToDo
from ..options import RunOptions, option_infos
from ..refused_flags import REFUSED
from .arguments import ArgumentParser
from .program import run_guarded, until_the_pipe_is_closed

if TYPE_CHECKING:
    from ..option_declaration import OptionInfo
    from .progress import PlainDisplay, RichDisplay

__all__ = ["main", "make_parser", "parse_options"]

logger = logging.getLogger("legacypipe_lite.cli.runbrick")

_DESCRIPTION = """\
Turn the calibrated CCD images of one brick (a patch of sky) into coadds and a catalogue of stars and galaxies.
"""

_EPILOG = """\
examples:
  runbrick --brick 1102p240 --survey-dir mysurvey --outdir out
  runbrick --radec 110.2 24.0 --width 500 --height 500 --survey-dir mysurvey --outdir out --no-wise

environment variables:
  LEGACY_SURVEY_DIR          survey directory, if --survey-dir is not given
  LEGACYPIPE_DATA_DIR        survey-wide tables, if --data-dir is not given
  GAIA_CAT_DIR, GAIA_CAT_VER (also _PREFIX, _SCHEME)   Gaia stars, unless --no-gaia
  TYCHO2_KD_DIR, LARGEGALAXIES_CAT                     bright stars, large galaxies
  DUST_DIR                   dust maps, in its folder maps/
  UNWISE_COADDS_DIR, UNWISE_COADDS_TIMERESOLVED_DIR    unWISE images, unless --no-wise
  UNWISE_MODEL_SKY_DIR, WISE_PSF_DIR                   their background models; WISE PSF models

exit status: 0 done, or nothing to do; 255 no such brick, a worker process died, or --check-done found nothing;
1 another error; 2 the command line cannot be understood.
"""

_METAVARS = {
    "brick": "NAME",
    "run": "NAME",
    "bands": "B,B,...",
    "force": "STAGE",
    "pickle": "PATTERN",
    "checkpoint": "FILE",
    "blobid": "N,N,...",
}

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@until_the_pipe_is_closed
def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : list of str or None
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit status.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = make_parser()
    if not argv:
        parser.print_help()
        return 255
    arguments = parser.parse_args(_protect_negative(argv))
    if arguments.list_stages:
        return _list_stages(arguments)
    for variable in _ONE_THREAD:
        # Libraries read this when they are loaded; processes are what this program parallelises over.
        os.environ.setdefault(variable, "1")
    return _run(arguments, "runbrick " + shlex.join(argv))


def make_parser() -> argparse.ArgumentParser:
    """The `argparse.ArgumentParser` of the command, built from the options' declarations."""
    parser = ArgumentParser(
        prog="runbrick",
        usage="runbrick (--brick NAME | --radec RA DEC) [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    groups = {}
    for info in option_infos():
        if info.group not in groups:
            groups[info.group] = parser.add_argument_group(info.group)
        add_option(groups[info.group], info)
    for flag in REFUSED:
        _add_refused(parser, flag)
    about = parser.add_argument_group("About this program")
    about.add_argument("-h", "--help", action="help", help="show this text and exit")
    about.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version and exit")
    about.add_argument(
        "--list-stages", action="store_true", help="show the stages, what each reads and makes, and exit"
    )
    return parser


class _ShowVersion(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __call__(self, parser: Any, *arguments: Any) -> None:
        from ..versions import package_version

        print(f"legacypipe_lite {package_version()}")
        parser.exit()


def add_option(group: Any, info: OptionInfo) -> None:
    """Add an option of a brick run to a group of an `argparse` parser."""
    keywords = {"dest": info.name, "default": info.default, "help": _help(info)}
    if info.kind in ("flag", "off"):
        keywords["action"] = "store_true" if info.kind == "flag" else "store_false"
    elif info.kind == "count":
        keywords["action"] = "count"
    else:
        keywords["type"] = _comma_list if info.kind == "bands" else info.convert
        names = value_names(info)
        keywords["metavar"] = names[0] if len(names) == 1 else names
        if info.choices:
            keywords["choices"] = info.choices
        if info.nargs:
            keywords["nargs"] = info.nargs
        if info.kind == "append":
            keywords["action"] = "append"
            keywords["default"] = None
    group.add_argument(*info.flags, **keywords)


def _add_refused(parser: Any, flag: Any) -> None:
    """Let a flag that is not supported be understood, so that its use can be explained; help does not show it."""
    if flag.convert is None:
        keywords = {"action": "store_const", "const": True}
    else:
        keywords = {"type": flag.convert, "nargs": flag.nargs}
    parser.add_argument(*flag.flags, dest=flag.name, help=argparse.SUPPRESS, **keywords)


def value_names(info: OptionInfo) -> tuple[str, ...]:
    """What the values of an option are called in help texts.

    Parameters
    ----------
    info : OptionInfo

    Returns
    -------
    tuple of str
        Empty for a flag.
    """
    if info.kind in ("flag", "off", "count"):
        return ()
    if info.choices:
        return ("{" + ",".join(info.choices) + "}",)
    if info.metavar:
        return (info.metavar,) if isinstance(info.metavar, str) else tuple(info.metavar)
    if info.kind in ("int", "float"):
        return ("N" if info.kind == "int" else "X",)
    return (_METAVARS.get(info.name, info.name.upper().rsplit("_", 1)[-1]),)


def _help(info: OptionInfo) -> str:
    text = info.help
    if info.kind != "off" and info.default not in (None, False, (), 0) and "default" not in text:
        shown = ",".join(info.default) if isinstance(info.default, tuple) else info.default
        text += f" (default: {shown})".replace("%", "%%")
    return text


def _comma_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _protect_negative(argv: list[str]) -> list[str]:
    """Keep argparse from taking a negative sexagesimal declination for a flag: put a blank in front of it."""
    result, wait = [], 0
    for argument in argv:
        if wait and argument[:1] == "-" and argument[1:2].isdigit():
            argument = " " + argument
        wait = 2 if argument in ("--radec", "--blobradec") else max(0, wait - 1)
        result.append(argument)
    return result


def parse_options(arguments: argparse.Namespace) -> RunOptions:
    """`RunOptions` of parsed arguments.

    Parameters
    ----------
    arguments : argparse.Namespace

    Returns
    -------
    RunOptions
        Not validated yet.

    Raises
    ------
    UsageError
        If a flag is used that is not supported.
    """
    refused = {flag.name: getattr(arguments, flag.name) for flag in REFUSED}
    return options_of(arguments, **refused)


def options_of(arguments: Any, **more: Any) -> Any:
    """`RunOptions` of parsed arguments, as `add_option` declared them; those that were not declared are defaults."""
    values = {}
    for info in option_infos():
        value = getattr(arguments, info.name, info.default)
        if info.kind == "append":
            value = () if value is None else tuple(tuple(v) if isinstance(v, list) else v for v in value)
        elif isinstance(value, list):
            value = tuple(v.strip() if isinstance(v, str) else v for v in value)
        values[info.name] = value
    return RunOptions(**values, **more)


def _run(arguments: Any, command: str) -> int:
    from .progress import make_display

    def work() -> None:
        options = parse_options(arguments)
        _log_ignored(options)
        _run_brick(options, command, display)

    with make_display() as display:
        return run_guarded(work, "runbrick", display.handler, verbose=arguments.verbose, debug=arguments.debug)


def _run_brick(options: RunOptions, command: str, display: RichDisplay | PlainDisplay) -> None:
    """Run the brick and show what came out of it."""
    from ..resources import give_back_freed_memory
    from ..run import run_brick
    from .summary import summary_lines

    give_back_freed_memory()
    try:
        run = run_brick(options, progress=display.progress, command=command, frugal=True)
    except NothingToDo as end:
        logger.info("nothing to do: %s", end)
        run = end.run
    if run is not None:
        display.show(summary_lines(run))


def _log_ignored(options: RunOptions) -> None:
    for info in option_infos():
        if info.ignored is not None and getattr(options, info.name) != info.default:
            logger.warning("%s: %s", info.flags[-1], info.ignored)


def _list_stages(arguments: Any) -> Any:
    from ..stages import load_stage, stage_order

    for name in stage_order(arguments):
        stage = load_stage(name)
        print(f"{name}: {stage.text}")
        print(f"    reads: {', '.join(stage.reads) or '-'}")
        print(f"    makes: {', '.join(stage.makes) or 'files only'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
