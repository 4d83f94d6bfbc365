"""``legacypipe-lite status``: how far a campaign is."""

import json

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Tell the state of a campaign from the files of its output directory, also while it runs, also on another machine.

  legacypipe-lite status out
  legacypipe-lite status out --json > state.json
"""


def add_arguments(parser):
    """Declare the arguments on an `argparse` parser."""
    parser.add_argument("outdir", metavar="OUT", help="output directory of the campaign")
    parser.add_argument("--json", action="store_true", help="as JSON, with every brick")
    parser.add_argument("--html", metavar="FILE", help="write a page with a map of the bricks")


def run(arguments):
    """Run the command; arguments as `add_arguments` declared them."""
    from ..campaign import status, status_lines, write_page

    report = status(arguments.outdir)
    if arguments.html:
        write_page(report, arguments.html)
    print(json.dumps(report, indent=1) if arguments.json else "\n".join(status_lines(report)))
    return 0
