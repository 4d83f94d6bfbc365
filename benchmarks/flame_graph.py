#!/usr/bin/env python3
"""Where does the time go? Draws stacks that py-spy has recorded as a flame graph, from one function upwards.

Every box is a function, as wide as the time in it and in what it calls, which stands above it.

    py-spy record --subprocesses -f raw -o stacks.txt -- python benchmarks/bench_fitblobs.py simA --repeats 8
    python benchmarks/flame_graph.py stacks.txt docs/images/flame-fitblobs.png
"""

import argparse
import re
import sys
from pathlib import Path

from common import BenchmarkError, guarded

#: Boxes narrower than this fraction of the picture are left out.
_NARROWEST = 0.004
#: Room for one letter, as a fraction of the picture's width.
_LETTER = 0.0062
_FRAME = re.compile(r"(?P<function>[^;]+?) \((?P<file>[^;]*?):\d+\)$")


def read_stacks(path, root):
    """Stacks of functions above the outermost `root`, and how often each was seen.

    Returns
    -------
    dict of tuple of (str, str) -> int
        (function, file) of each frame, the root first.
    """
    stacks = {}
    for line in Path(path).read_text().splitlines():
        text, _, count = line.rpartition(" ")
        frames = [match.group("function", "file") for match in map(_FRAME.match, text.split(";")) if match]
        start = next((i for i, (function, _) in enumerate(frames) if function == root), None)
        if start is not None:
            key = tuple(frames[start:])
            stacks[key] = stacks.get(key, 0) + int(count)
    if not stacks:
        raise BenchmarkError(f"{path}: function {root} is in none of the stacks")
    return stacks


def boxes(stacks):
    """(depth, start, width, frame) of all boxes; starts and widths are fractions of the whole, the widest first."""
    total = sum(stacks.values())
    found = []

    def place(stacks, depth, start):
        below = {}
        for frames, count in stacks.items():
            if len(frames) > depth:
                below.setdefault(frames[depth], {})[frames] = count
        for frame, part in sorted(below.items(), key=lambda item: -sum(item[1].values())):
            width = sum(part.values()) / total
            found.append((depth, start, width, frame))
            place(part, depth + 1, start)
            start += width

    place(stacks, 0, 0.0)
    return found


def colour(file):
    """Colour of a box, by where its function comes from."""
    if "legacypipe_lite" in file:
        room = file.split("legacypipe_lite/")[-1].split("/")[0]
        return {"fitting": "#f4a261", "models": "#e76f51", "wcs": "#8ab17d", "detection": "#e9c46a"}.get(
            room, "#d9c8a9"
        )
    return "#bcc6cc"


def draw(found, path):
    """Write the picture (PNG or whatever the file name says)."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    found = [box for box in found if box[2] >= _NARROWEST]
    depth = max(box[0] for box in found) + 1
    figure = Figure(figsize=(13, 0.26 * depth + 0.8), layout="constrained")
    axes = figure.subplots()
    for level, start, width, (function, file) in found:
        axes.barh(level, width, left=start, height=0.94, align="edge", color=colour(file), edgecolor="white", lw=0.4)
        room = int(width / _LETTER)
        label = f"{function}  {width:.0%}"
        if len(label) > room:
            label = function if len(function) <= room else function[: room - 1] + "…"
        if room >= 4:
            axes.text(start + 0.002, level + 0.45, label, va="center", fontsize=7.5, clip_on=True)
    axes.set(xlim=(0, 1), ylim=(0, depth), yticks=[], xticks=[])
    axes.spines[:].set_visible(False)
    kinds = {"fitting": "fitting/", "models": "models/", "wcs": "wcs/", "detection": "detection/"}
    handles = [Patch(color=colour(f"legacypipe_lite/{room}/x"), label=label) for room, label in kinds.items()]
    handles += [
        Patch(color=colour("legacypipe_lite/x"), label="other rooms"),
        Patch(color=colour(""), label="libraries"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def main(argv=None):
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="flame_graph.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stacks", metavar="FILE", help="what py-spy record -f raw has written")
    parser.add_argument("picture", metavar="PICTURE", help="file to write")
    parser.add_argument("--root", default="fit_blob", metavar="NAME", help="lowest function (default: fit_blob)")
    arguments = parser.parse_args(argv)
    draw(boxes(read_stacks(arguments.stacks, arguments.root)), arguments.picture)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
