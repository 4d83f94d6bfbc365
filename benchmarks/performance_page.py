#!/usr/bin/env python3
"""What do the benchmarks say now? Puts stored runs into the tables of docs/performance.md.

FOLDER holds runs that benchmarks have stored with --save. A table of the page that begins with the line

    <!-- engine.json 0 -->

is replaced by table 0 of FOLDER/engine.json; where the file is missing, the table stays as it is.

    python benchmarks/performance_page.py results
"""

import argparse
import json
import re
import sys
from pathlib import Path

from common import BenchmarkError, Table, guarded

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
_BLOCK = re.compile(r"(?P<head><!-- (?P<file>[\w.-]+\.json) (?P<index>\d+) -->\n```text\n).*?```", re.S)


def fill(page, folder):
    """Put stored tables into a page.

    Parameters
    ----------
    page : str
    folder : Path

    Returns
    -------
    page : str
    filled : list of str
        The tables that were replaced, as file and number.
    """
    filled = []

    def replace(match):
        path = folder / match["file"]
        if not path.is_file():
            return match[0]
        run = json.loads(path.read_text())
        if int(match["index"]) >= len(run["tables"]):
            raise BenchmarkError(f"{path} has no table {match['index']}")
        filled.append(f"{match['file']} {match['index']}")
        return match["head"] + text(run, int(match["index"])) + "\n```"

    return _BLOCK.sub(replace, page), filled


def text(run, index):
    """A table of a stored run, and where and when it was measured."""
    table = Table.from_dict(run["tables"][index])
    machine = run["machine"]
    where = f"{machine['cores']} cores {machine['processor']}, {run['date'][:10]}"
    return f"{table.text()}\ncalibration loop: {run['calibration']:.4f} s CPU; {where}"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="stored runs")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="default: docs/performance.md")
    arguments = parser.parse_args(argv)
    page, filled = fill(arguments.page.read_text(), arguments.folder)
    if not filled:
        raise BenchmarkError(f"{arguments.folder}: none of the runs that {arguments.page} shows")
    arguments.page.write_text(page)
    print("\n".join(filled))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
