"""The umbrella command ``legacypipe-lite``: what surrounds a brick run (mock surveys, scores, reports).

A subcommand is a module of this room with ``DESCRIPTION`` (text of its help), ``add_arguments(parser)`` and
``run(arguments) -> int or None`` (exit status). It is imported only when it is asked for.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from typing import Any, NamedTuple

from ..names import did_you_mean, printable
from .arguments import ArgumentParser
from .program import run_guarded, until_the_pipe_is_closed

__all__ = ["SUBCOMMANDS", "Subcommand", "main"]

PROGRAM = "legacypipe-lite"


class Subcommand(NamedTuple):
    """A subcommand.

    Attributes
    ----------
    module : str
        Module of this room that implements it.
    text : str
        One line for the list of subcommands.
    """

    module: str
    text: str


#: The subcommands by name.
SUBCOMMANDS = {
    "simulate": Subcommand("simulate", "write a mock survey directory with known truth"),
    "evaluate": Subcommand("evaluate", "score a catalogue against the truth"),
    "inject": Subcommand("inject", "make a table of sources to add to real images"),
    "check-inputs": Subcommand("check_inputs", "look at the inputs of bricks before they are run"),
    "report": Subcommand("report", "make an HTML page of a brick run"),
    "serve": Subcommand("serve", "show brick runs on a map in the browser; cutouts by URL"),
    "cutout": Subcommand("cutout", "cut out an image around a position"),
    "many-cutouts": Subcommand("many_cutouts", "cut out images for the rows of a table"),
    "crop": Subcommand("crop", "crop native pixels of all products of a brick"),
    "mosaic": Subcommand("mosaic", "put several bricks on one grid"),
    "brick-of": Subcommand("brick_of", "print the brick at a position"),
    "find-sweep": Subcommand("find_sweep", "print the sweep file that holds a position"),
}


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
    if not argv or argv[0] not in SUBCOMMANDS:
        return _overview(argv)
    name = argv[0]
    module = importlib.import_module("." + SUBCOMMANDS[name].module, __package__)
    parser = ArgumentParser(
        prog=f"{PROGRAM} {name}",
        description=getattr(module, "DESCRIPTION", SUBCOMMANDS[name].text),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    arguments = parser.parse_args(argv[1:])
    return _run(name, module, arguments)


def _overview(argv: Any) -> Any:
    """Show the subcommands; exit status 0 if they were asked for."""
    if argv == ["--version"]:
        from ..versions import package_version

        print(f"legacypipe_lite {package_version()}")
        return 0
    width = max(map(len, SUBCOMMANDS)) + 4
    lines = [f"usage: {PROGRAM} COMMAND [arguments]", "", "commands:"]
    lines += [f"  {name:{width}}{command.text}" for name, command in SUBCOMMANDS.items()]
    lines += ["", f"`{PROGRAM} COMMAND --help` shows the arguments. Bricks are run by the command `runbrick`."]
    wanted = not argv or argv[0] in ("-h", "--help", "help")
    print("\n".join(lines), file=sys.stdout if wanted else sys.stderr)
    if wanted:
        return 0
    hint = did_you_mean(argv[0], SUBCOMMANDS)
    print(f"{PROGRAM}: there is no command {printable(argv[0])}{hint}", file=sys.stderr)
    return 2


def _run(name: str, module: Any, arguments: argparse.Namespace) -> int:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return run_guarded(
        lambda: module.run(arguments),
        f"{PROGRAM} {name}",
        handler,
        verbose=arguments.verbose,
        debug=arguments.debug,
    )


if __name__ == "__main__":
    sys.exit(main())
