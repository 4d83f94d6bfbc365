#!/usr/bin/env python3
"""Do sources that are added to real images come back?

Runs a real field, and again many times with a few stars and galaxies added at free places each time (`legacypipe-lite
inject`, `runbrick --inject`), and compares the catalogues with what was put in: *pulls*, which are deviations in units
of the stated errors, should have the median 0 and the width 1.

Sources keep away from each other and from the real ones; in the tables count those that are isolated, also in terms of
light, see bench_accuracy.py. Many sources at once would blend: that is another question (--number 30).

    python benchmarks/bench_injection.py
    python benchmarks/bench_injection.py --runs 5 --number 30 FIELD
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from bench_accuracy import COLUMNS, ISOLATION, rows
from common import Session, Table, errors_only, guarded, make_parser
from fields import find_field

#: Name in the tables, arguments of the run.
SETTINGS = {
    "--ivars marginal": ("--ivars", "marginal"),
    "--ivars marginal --smooth-weights": ("--ivars", "marginal", "--smooth-weights"),
}


def draw(outdir, path, number, seed):
    """Write a table of sources for free places of a field that was run into `outdir`."""
    from legacypipe_lite.cli import inject as command

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(outdir), str(path), "--number", str(number), "--seed", str(seed)]))


def run(field, outdir, arguments=()):
    """Run a field; returns the products of the run."""
    from legacypipe_lite.run import run_brick
    from legacypipe_lite.validation.products import BrickProducts

    with field.in_environment():
        run_brick(field.options(str(outdir), ["--no-write", *arguments]))
    return BrickProducts(outdir)


def inject(field, folder, runs, number):
    """Run a field many times with sources added, with all settings.

    Parameters
    ----------
    field : fields.Field
    folder : Path
        For the outputs.
    runs : int
    number : int
        Sources of each run.

    Returns
    -------
    dict of (str, str) to legacypipe_lite.validation.Scene
        All runs together, for each of the settings and each meaning of "isolated".
    """
    from legacypipe_lite.validation import MatchSettings, read_scene, stack

    run(field, folder / "plain")
    scenes = {(settings, isolation): [] for settings in SETTINGS for isolation in ISOLATION}
    for seed in range(1, runs + 1):
        table = folder / f"{seed}.fits"
        draw(folder / "plain", table, number, seed)
        for k, (settings, arguments) in enumerate(SETTINGS.items()):
            products = run(
                field, folder / f"{seed}-{k}", ["--inject", str(table), "--inject-seed", str(seed), *arguments]
            )
            paths = products.path("tractor"), products.path("injected")
            for isolation, light in ISOLATION.items():
                scenes[settings, isolation].append(read_scene(*paths, MatchSettings(neighbor_light=light)))
    return {key: stack(of_runs) for key, of_runs in scenes.items()}


def main(argv=None):
    parser = make_parser(__doc__)
    parser.add_argument("field", nargs="?", default="mzlsbass2", metavar="FIELD", help="a field of fields.py")
    parser.add_argument(
        "--runs", type=int, default=80, metavar="N", help="runs with each of the settings (default: 80)"
    )
    parser.add_argument("--number", type=int, default=6, metavar="N", help="sources of each run (default: 6)")
    arguments = parser.parse_args(argv)
    if arguments.runs < 1 or arguments.number < 1:
        parser.error("--runs and --number must be 1 or more")
    session = Session("bench_injection", arguments)
    with errors_only(), tempfile.TemporaryDirectory() as folder:
        field = find_field(arguments.field)
        scenes = inject(field, Path(folder), arguments.runs, arguments.number)
    for (settings, isolation), scene in scenes.items():
        table = Table(f"{arguments.field}, {settings}; isolated: {isolation}", COLUMNS, rows(scene, together=True))
        counted = scene.scored
        table.notes += [
            f"{arguments.runs} runs; {int(counted.sum())} sources off the edges, {int(scene.isolated.sum())} of them"
            f" isolated, {100 * np.mean(scene.found[counted]):.1f} per cent found",
        ]
        session.show(table)
    return session.finish()


if __name__ == "__main__":
    sys.exit(guarded(main))
