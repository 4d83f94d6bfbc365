#!/usr/bin/env python3
"""How right are the catalogues?

Makes mock surveys with each camera, runs the pipeline on them, and compares its catalogues with the truth: *pulls*,
which are deviations in units of the stated errors, should have the median 0 and the width 1. Each survey is run with
the conventions of the Legacy Surveys; with --smooth-weights --ivars marginal, which are statistically better; and with
--no-residual-sky, too, because the sky models of these images are exact.
Fields of a sparse sky, where hardly any faint source hides behind the others, tell what blends do.

Only isolated sources count: in one table those without a neighbour within 4 arcsec, in another one those of them on
which the light of all neighbours is less than a fiftieth of the flux error. Fluxes: of all bands, above a
signal-to-noise ratio of 5 or 20; positions: of both axes; radii and ellipticities: above a ratio of 10. "right type":
galaxies found as what they are.

    python benchmarks/bench_accuracy.py --cache mocks --plots docs/images
    python benchmarks/bench_accuracy.py --settings options --fields 20
    python benchmarks/bench_accuracy.py --fields 1
"""

import contextlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import Column, Session, Table, errors_only, guarded, make_parser
from fields import find_field

COLUMNS = [
    Column("sources", "key"),
    Column("quantity", "key"),
    Column("n", "info"),
    Column("median", "info"),
    Column("+-", "info"),
    Column("width", "info"),
    Column("+- ", "info"),
    Column("beyond 5, %", "info", 1),
]
#: What --settings chooses from: name in the tables, arguments of the run.
SETTINGS = {
    "published": ("as published", ()),
    "options": ("--smooth-weights --ivars marginal", ("--smooth-weights", "--ivars", "marginal")),
    "sky": (
        "--smooth-weights --ivars marginal --no-residual-sky",
        ("--smooth-weights", "--ivars", "marginal", "--no-residual-sky"),
    ),
}
#: What isolated means: name in the tables, largest light of the neighbours in units of the flux error. A fit whose
#: radius is free reacts up to eight times as much to light in its outskirts.
ISOLATION = {"4 arcsec": None, "4 arcsec, clear of light": 0.02}
#: Plots of `legacypipe-lite evaluate` that are kept, for the camera and settings named here.
PLOTS, PLOTTED = ("completeness", "types", "pulls"), ("DECam", "options")
_LEAST = 5  # sources of a row
_FLUX_RATIO, _SHAPE_RATIO = 5.0, 10.0
_SURE_RATIO = 20.0  # below, noise decides whether a galaxy is found as what it is


@dataclass(frozen=True)
class Mock:
    """Fields of one kind; `seed` is that of the first one."""

    name: str
    camera: str
    bands: tuple
    seed: int
    side: int = 1500
    density: float = 1.0
    blends: float = 0.05

    def make(self, cache, number, threads):
        """Write one of the survey directories, unless it is there."""
        from legacypipe_lite.simulate import SimulationOptions, simulate

        options = SimulationOptions(
            seed=self.seed + number,
            cameras=(self.camera,),
            bands=self.bands,
            width=self.side,
            height=self.side,
            density=self.density,
            blends=self.blends,
            wise=False,
        )
        return simulate(Path(cache) / f"{self.name.replace(' ', '-').lower()}-{number}", options, threads)


MOCKS = (
    Mock("DECam", "decam", ("g", "r", "z"), 21),
    Mock("90Prime", "90prime", ("g", "r"), 41),
    Mock("Mosaic-3", "mosaic", ("z",), 61),
    Mock("90Prime sparse", "90prime", ("g", "r"), 81, side=2400, density=0.25, blends=0.0),
)


def score(survey_dirs, arguments, threads, keep=None):
    """Run all fields of a mock with the given arguments.

    Parameters
    ----------
    survey_dirs : list of MockSurvey
    arguments : sequence of str
        Of runbrick.
    threads : int
    keep : Path, optional
        The outputs are written here; those that are here already are used as they are.

    Returns
    -------
    dict of str to legacypipe_lite.validation.Scene
        All fields together, for each meaning of "isolated".
    """
    from legacypipe_lite.run import run_brick
    from legacypipe_lite.validation import MatchSettings, read_scene, stack

    scenes = {name: [] for name in ISOLATION}
    for survey in survey_dirs:
        field = find_field(str(survey.root), [])
        with errors_only(), field.in_environment(), tempfile.TemporaryDirectory() as temporary:
            outdir = Path(temporary) if keep is None else keep / survey.root.name
            if not _catalogs(outdir):
                run_brick(field.options(str(outdir), ["--no-write", "--threads", str(threads), *arguments]))
            (catalog,) = _catalogs(outdir)
            for name, light in ISOLATION.items():
                scenes[name].append(read_scene(catalog, survey.truth_path, MatchSettings(neighbor_light=light)))
    return {name: stack(of_fields) for name, of_fields in scenes.items()}


def _catalogs(outdir):
    return list(outdir.glob("tractor/*/tractor-*.fits"))


def rows(scene, together=False):
    """Rows of the table of one mock; `together`: also of stars and galaxies together."""
    found_type, true_type = scene.matched_column("type", "U3"), np.asarray(scene.truth["type"])
    found = scene.isolated & scene.found
    stars = found & scene.star & (found_type == "PSF")
    galaxies = found & ~scene.star & (found_type != "PSF")
    right = galaxies & (found_type == true_type)
    moving = np.asarray(scene.truth["is_gaia"], bool)
    groups = {"stars": stars, "galaxies, right type": right, "galaxies, any type": galaxies}
    if together:
        groups["stars and galaxies"] = stars | galaxies
    result = []
    for name, chosen in groups.items():
        fluxes = {f"flux_{band}": chosen for band in scene.bands}
        result.append(_row(name, "flux", scene, fluxes, _FLUX_RATIO))
        result.append(_row(name, f"flux, S/N > {_SURE_RATIO:.0f}", scene, fluxes, _SURE_RATIO))
        result.append(_row(name, "position", scene, dict.fromkeys(("ra", "dec"), chosen & ~moving)))
        if "galaxies" in name:
            bright = chosen & (scene.signal_to_noise >= _SHAPE_RATIO)
            result.append(_row(name, "radius", scene, {"shape_r": bright}))
            elliptic = bright & (found_type != "REX")
            result.append(_row(name, "ellipticity", scene, dict.fromkeys(("shape_e1", "shape_e2"), elliptic)))
    return result


def _row(name, quantity, scene, chosen_of, least_ratio=0.0):
    """Row of the pulls of several columns together; `chosen_of`: column -> which sources."""
    from legacypipe_lite.validation.pulls import pull
    from legacypipe_lite.validation.statistics import spread

    values = []
    for column, chosen in chosen_of.items():
        if least_ratio:
            ivar = scene.matched_column(column.replace("flux_", "flux_ivar_"))
            expected = np.asarray(scene.truth[column], np.float64) * np.sqrt(np.maximum(ivar, 0))
            chosen = chosen & (expected > least_ratio)
        values.append(pull(scene, column)[chosen])
    values = np.concatenate(values)
    values = values[np.isfinite(values)]
    if len(values) < _LEAST:
        return [name, quantity, len(values), None, None, None, None, None]
    found = spread(values)
    beyond = 100 * float(np.mean(np.abs(values) > 5))
    return [name, quantity, len(values), found.median, found.median_error, found.width, found.width_error, beyond]


def main(argv=None):
    parser = make_parser(__doc__)
    parser.add_argument("--fields", type=int, default=5, metavar="N", help="fields of each kind (default: 5)")
    parser.add_argument("--mocks", metavar="M,M", help="only these: " + ", ".join(m.name for m in MOCKS))
    parser.add_argument("--settings", metavar="S,S", help="only these: " + ", ".join(SETTINGS))
    parser.add_argument("--cache", metavar="FOLDER", help="keep the mock fields here (default: a temporary folder)")
    parser.add_argument(
        "--keep", metavar="FOLDER", help="keep the outputs of the runs here, and use those that are here already"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--plots", metavar="FOLDER", help="write plots of the DECam fields here")
    arguments = parser.parse_args(argv)
    if arguments.fields < 1:
        parser.error("--fields must be 1 or more")
    mocks = _chosen(parser, arguments.mocks, {mock.name: mock for mock in MOCKS}, "mocks")
    chosen = _chosen(parser, arguments.settings, SETTINGS, "settings")
    session = Session("bench_accuracy", arguments)
    with errors_only(), contextlib.ExitStack() as stack:
        cache = arguments.cache or stack.enter_context(tempfile.TemporaryDirectory())
        for mock in mocks.values():
            surveys = [mock.make(cache, number, arguments.threads) for number in range(arguments.fields)]
            for key, (settings, options) in chosen.items():
                keep = Path(arguments.keep) / key if arguments.keep else None
                scenes = score(surveys, options, arguments.threads, keep)
                for isolation, scene in scenes.items():
                    number = f"{arguments.fields} fields, {int(scene.isolated.sum())} isolated sources in them"
                    title = f"{mock.name}, {settings}; isolated: {isolation}"
                    session.show(Table(title, COLUMNS, rows(scene), [number]))
                if arguments.plots and (mock.name, key) == PLOTTED:
                    write_plots(Path(arguments.plots), next(iter(scenes.values())))
    return session.finish()


def _chosen(parser, text, known, what):
    """The entries of `known` that a list of names means; all of them if there is none."""
    names = [name.strip() for name in text.split(",")] if text else list(known)
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"no such {what}: {', '.join(unknown)}")
    return {name: entry for name, entry in known.items() if name in names}


def write_plots(folder, scene):
    """Write some plots of a scene."""
    from legacypipe_lite.validation import evaluate
    from legacypipe_lite.validation.plots import score_plots

    folder.mkdir(parents=True, exist_ok=True)
    plots = score_plots(scene, evaluate(scene))
    for name in PLOTS:
        (folder / f"accuracy-{name}.png").write_bytes(plots[name][1])


if __name__ == "__main__":
    sys.exit(guarded(main))
