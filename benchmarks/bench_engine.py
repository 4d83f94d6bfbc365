#!/usr/bin/env python3
"""How long does the fit of one source take?

First table: CPU milliseconds of one Gauss-Newton step (model, all derivatives, normal equations and their solution), by
model and number of images, on windows of 63 x 63 pixels. PSF stamps have 63 x 63 pixels, too. Derivatives are those of
the selection of models, where most steps are made (--exact: exact ones, for models that misfit the data).

Second table: complete fits of an isolated source. "selection" is the choice among the models that are plausible for it,
from PSF to SER; "blob" is all that happens to it in a run: a first fit, segmentation, selection, a search for sources
in the residuals, measurements. Rows "fit only" are fits of the right model alone.

Third table: figures of other programs, as they were published or reported, beside the nearest thing here. Machines and
tasks differ: only orders of magnitude mean something.

    python benchmarks/bench_engine.py
    python benchmarks/bench_engine.py --images 15 --save before.json
    python benchmarks/bench_engine.py --images 15 --compare before.json
"""

import sys
from dataclasses import replace

from common import BenchmarkError, Column, Session, Table, cpu_per_call, guarded, keep_freed_memory, make_parser
from scenes import Scene

from legacypipe_lite.fitting import fit_blob
from legacypipe_lite.fitting.candidates import choose_model
from legacypipe_lite.fitting.optimizer import FitSettings, fit_model, start_model

PIXSCALE = 0.262
WINDOW = 63
#: Name in the table -> type, and r_e [arcsec], e1, e2, Sersic index.
MODELS = {
    "PSF": ("PSF", ()),
    'REX .5"': ("REX", (0.5, 0.0, 0.0, 1.0)),
    'EXP .8"': ("EXP", (0.8, 0.2, -0.1, 1.0)),
    'EXP 3"': ("EXP", (3.0, 0.2, -0.1, 1.0)),
    'DEV 1"': ("DEV", (1.0, 0.2, -0.1, 4.0)),
    'DEV 4"': ("DEV", (4.0, 0.2, -0.1, 4.0)),
    'SER 1"': ("SER", (1.0, 0.2, -0.1, 2.2)),
    'SER 3"': ("SER", (3.0, 0.2, -0.1, 2.2)),
}
#: Source -> type, flux (noise per pixel: 0.01), shape, whether it is known to be a star.
SOURCES = {
    "bright star, known as one": ("PSF", 40.0, (), True),
    "bright star": ("PSF", 40.0, (), False),
    "faint star": ("PSF", 0.3, (), False),
    "faint round galaxy": ("REX", 1.5, (0.5, 0.0, 0.0, 1.0), False),
    'bright EXP 1"': ("EXP", 40.0, (1.0, 0.2, -0.1, 1.0), False),
    'bright DEV 1"': ("DEV", 40.0, (1.0, 0.2, -0.1, 4.0), False),
    'bright SER 1"': ("SER", 40.0, (1.0, 0.2, -0.1, 2.2), False),
}
KNOWN_STAR, BRIGHT_GALAXY = "bright star, known as one", 'bright EXP 1"'
STAR_FIT, GALAXY_FIT = "star, fit only", "galaxy, fit only"
#: Program, what it does, milliseconds, and what is nearest to that here: source, images, column.
PUBLISHED = [
    ("ngmix", "EXP fit, one image of 48 x 48 pixels", 2.6, (GALAXY_FIT, 1, "selection ms")),
    ("photutils", "PSF photometry, per star", 2.2, (STAR_FIT, 1, "selection ms")),
    ("crowdsource", "crowded-field photometry, per star", 4.3, (KNOWN_STAR, 1, "blob ms")),
    ("Celeste", "stars and galaxies, per source (Xeon Phi core)", 2600.0, (BRIGHT_GALAXY, 15, "blob ms")),
]
#: Steps that are timed; more, and a fit from the right model might have converged before.
_STEPS = 2


def step_seconds(kind, shape, images, seconds, exact=False):
    """CPU seconds of one Gauss-Newton step.

    The difference between fits that end after one and after `_STEPS` more evaluations: what a fit does once at its
    beginning and end cancels.
    """
    scene = Scene(kind, images, shape=shape)
    blob = scene.images()
    windows = scene.square_windows(blob, WINDOW)
    model = start_model(scene.truth)

    def fit(evaluations):
        # tolerance 0: steps are evaluated however little they gain
        settings = FitSettings(max_evaluations=evaluations, tolerance=0.0, exact=exact)
        return lambda: fit_model(blob, windows, model, scene.truth, settings)

    short, long = fit(1), fit(1 + _STEPS)
    steps = long().evaluations - short().evaluations
    if steps < 1:
        raise BenchmarkError(f"{kind}: the fit from the right model ends without a step")
    short_cost, long_cost = cpu_per_call(short, long, seconds=seconds)
    return (long_cost - short_cost) / steps


def step_table(images, models, seconds, exact):
    """Milliseconds of a step, by number of images and model."""
    columns = [Column("images", "key")] + [Column(name, "time", 3) for name in models]
    rows = []
    for n in images:
        rows.append([n] + [1e3 * step_seconds(*MODELS[name], n, seconds, exact) for name in models])
    return Table(f"ms CPU per Gauss-Newton step, windows of {WINDOW} x {WINDOW} pixels", columns, rows)


def one_fit(name, kind, images, extent, shape, seconds):
    """Row of the second table: the fit of the right model alone, from a start that is a little off."""
    scene = Scene(kind, images, shape=shape)
    blob = scene.images()
    windows = scene.square_windows(blob, extent)
    model = start_model(scene.truth)
    model.ra, model.dec = scene.detected.ra, scene.detected.dec
    if kind != "PSF":
        model = replace(model, log_re=model.log_re - 0.3, eps1=0.0, eps2=0.0)

    def fit():
        return fit_model(blob, windows, model, scene.truth, FitSettings())

    (cost,) = cpu_per_call(fit, seconds=seconds)
    return [name, images, f"{extent} x {extent}", kind, fit().evaluations, 1e3 * cost, None, None]


def source_fit(name, images, seconds):
    """Row of the second table: model selection, and the life of the blob, of one isolated source."""
    kind, flux, shape, known = SOURCES[name]
    scene = Scene(kind, images, size=WINDOW, flux=flux, shape=shape, known_star=known)
    blob = scene.images()
    source = scene.first_round(blob)
    rectangles = blob.render(source).rectangles

    def select():
        return choose_model(blob, source, rectangles, None, PIXSCALE)

    outcome = select()
    context, task = scene.context()
    if len(fit_blob(context, task).sources) != 1:
        raise BenchmarkError(f"{name}: the blob does not end with one source")
    (selection,) = cpu_per_call(select, seconds=seconds)
    (whole,) = cpu_per_call(lambda: fit_blob(context, task), seconds=seconds)
    evaluations = sum(m.evaluations for m in outcome.models.values())
    extent = f"{outcome.width} x {outcome.height}"
    return [name, images, extent, " ".join(outcome.models), evaluations, 1e3 * selection, 1e3 * whole, 1 / whole]


def fit_table(images, seconds):
    """Complete fits."""
    columns = [
        Column("source", "key"),
        Column("images", "key"),
        Column("region", "info"),
        Column("models fitted", "info"),
        Column("evaluations", "info"),
        Column("selection ms", "time", 2),
        Column("blob ms", "time", 2),
        Column("sources per core-second", "rate", 0),
    ]
    shape = MODELS['EXP .8"'][1]
    rows = [one_fit(STAR_FIT, "PSF", 1, WINDOW, (), seconds), one_fit(GALAXY_FIT, "EXP", 1, 48, shape, seconds)]
    rows += [source_fit(KNOWN_STAR, 1, seconds)]
    rows += [source_fit(name, images, seconds) for name in SOURCES]
    return Table("complete fits of an isolated source", columns, rows)


def published_table(fits):
    """Other programs beside the figures of the second table."""
    columns = [
        Column("program", "key"),
        Column("what"),
        Column("its ms", decimals=1),
        Column("here", "key"),
        Column("images", "key"),
        Column("ms", "time", 2),
        Column("times faster", decimals=1),
    ]
    found = {}
    for row in fits.rows:
        values = dict(zip([column.name for column in fits.columns], row))
        for name in ("selection ms", "blob ms"):
            found[values["source"], values["images"], name] = values[name]
    rows = []
    for program, what, theirs, nearest in PUBLISHED:
        ours = found.get(nearest)
        if ours is not None:
            rows.append([program, what, theirs, *nearest[:2], ours, theirs / ours])
    return Table("figures of other programs", columns, rows)


def number_list(text):
    """Comma-separated whole numbers."""
    return [int(part) for part in text.split(",")]


def main(argv=None):
    parser = make_parser(__doc__)
    parser.add_argument(
        "--images", type=number_list, default=[1, 3, 15, 30], metavar="N,N",
        help="numbers of images of the first table: 1, or multiples of 3 (default: 1,3,15,30)",
    )  # fmt: skip
    parser.add_argument(
        "--models", type=lambda text: text.split(","), default=list(MODELS), metavar="NAME,NAME",
        help="columns of the first table (default: " + ", ".join(MODELS).replace("%", "%%") + ")",
    )  # fmt: skip
    parser.add_argument("--exact", action="store_true", help="steps with exact derivatives")
    parser.add_argument(
        "--fit-images", type=int, default=15, metavar="N",
        help="number of images of the second table (default: 15); 0: no such table",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=0.5, metavar="X", help="how long each figure is measured (default: 0.5)"
    )
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.models if name not in MODELS]
    if unknown:
        parser.error(f"--models: there is no {unknown[0]!r}")
    if any(n < 1 or (n != 1 and n % 3) for n in [*arguments.images, arguments.fit_images or 3]):
        parser.error("numbers of images are 1 or multiples of 3 (bands g, r, z)")
    keep_freed_memory()
    session = Session("bench_engine", arguments)
    table = step_table(arguments.images, arguments.models, arguments.seconds, arguments.exact)
    session.calibrate()
    session.show(table)
    if arguments.fit_images:
        table = fit_table(arguments.fit_images, arguments.seconds)
        session.calibrate()
        session.show(table)
        session.show(published_table(table))
    return session.finish()


if __name__ == "__main__":
    sys.exit(guarded(main))
