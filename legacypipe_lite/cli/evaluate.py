"""``legacypipe-lite evaluate``: score a catalogue against the truth."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError, UsageError
from ..files import atomic_file

if TYPE_CHECKING:
    import argparse

    from ..validation.tables import ScoreTable

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Score a tractor catalogue against the true parameters of its sources: what was found, what was invented, types, and how
fluxes, positions and shapes deviate, in units of the stated errors and in themselves.

TRUTH is the truth.fits of a mock survey, or the table of injected sources of a run with --inject. Several pairs of
files are scored together.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments on an `argparse` parser."""
    parser.add_argument(
        "files", nargs="+", metavar="TRACTOR TRUTH", help="catalogue and its truth; more pairs may follow"
    )
    parser.add_argument("--bands", metavar="B,B,...", help="bands to score (default: those of both tables)")
    parser.add_argument("--reference-band", metavar="B", help="band of the magnitudes (default: r)")
    parser.add_argument("--radius", type=float, default=1.0, help="largest distance of a match, arcsec (default: 1)")
    parser.add_argument(
        "--isolation",
        type=float,
        default=4.0,
        metavar="ARCSEC",
        help="a source is isolated if its nearest neighbour is further away (default: 4)",
    )
    parser.add_argument(
        "--neighbor-light",
        type=float,
        metavar="X",
        help="and if the light of all neighbours that falls on it is less than this many errors of its flux",
    )
    parser.add_argument("--detail", action="store_true", help="more tables: by signal-to-noise ratio, single sources")
    parser.add_argument("--json", metavar="FILE", help="write all numbers to this file")
    parser.add_argument("--plots", metavar="DIR", help="write plots to this folder (needs matplotlib)")


def run(arguments: argparse.Namespace) -> None:
    """Run the command; arguments as `add_arguments` declared them."""
    from ..validation import MatchSettings, evaluate, read_scene, stack
    from ..validation.tables import headline, score_tables

    if len(arguments.files) % 2:
        raise UsageError(f"give pairs TRACTOR TRUTH; the last one, {arguments.files[-1]}, has no truth")
    if not (arguments.radius > 0 and arguments.isolation >= 0):
        raise UsageError("--radius must be positive and --isolation not negative")
    if arguments.neighbor_light is not None and not arguments.neighbor_light > 0:
        raise UsageError("--neighbor-light must be positive")
    settings = MatchSettings(
        radius=arguments.radius,
        isolation=arguments.isolation,
        neighbor_light=arguments.neighbor_light,
        reference_band=arguments.reference_band,
        bands=tuple(arguments.bands.split(",")) if arguments.bands else None,
    )
    pairs = zip(arguments.files[::2], arguments.files[1::2])
    scene = stack([read_scene(catalog, truth, settings) for catalog, truth in pairs])
    scores = evaluate(scene)
    _show(headline(scores), score_tables(scores, arguments.detail))
    if arguments.json:
        write_json(arguments.json, scores)
    if arguments.plots:
        _write_plots(Path(arguments.plots), scene, scores)


def _show(title: str, tables: list[ScoreTable]) -> None:
    """Show the tables: drawn on a terminal that is wide enough, as plain text elsewhere."""
    from ..validation.tables import rich_table, text_lines

    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        unlimited = console.options.update(max_width=10_000)
        console.print(title, highlight=False)
        for table in tables:
            drawn = rich_table(table)
            fits = console.measure(drawn, options=unlimited).maximum <= console.width
            console.print(drawn if fits else "\n" + "\n".join(text_lines(table)), highlight=False, markup=False)
        return
    print(title)
    for table in tables:
        print("\n" + "\n".join(text_lines(table)))


def write_json(path: str, scores: dict[str, Any]) -> None:
    """Write scores as JSON; numbers that do not exist become null.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with atomic_file(path, make_folder=False) as stream:
        stream.write((json.dumps(_without_nan(scores), indent=1) + "\n").encode())


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_plots(folder: Any, scene: Any, scores: Any) -> None:
    from ..validation.plots import score_plots

    plots = score_plots(scene, scores)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (_, image) in plots.items():
            (folder / f"{name}.png").write_bytes(image)
    except OSError as error:
        raise OutputError(f"cannot write plots to {folder}: {error.strerror}") from error
