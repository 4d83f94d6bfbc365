#!/usr/bin/env python3
"""How long does stage wise_forced take on a full brick, and are its fluxes right?

Writes one whole unWISE tile (2048 x 2048 pixels, four bands) with stars and galaxies drawn independently of the
package, runs the stage for a full brick on it twice, and prints what it cost, and the pulls of the fluxes: their median
should be 0, their width 1. Without --psf-dir the PSFs are the radial profiles, in the mock as in the photometry.

    python benchmarks/bench_wise.py
    python benchmarks/bench_wise.py --sources 2000 --epochs 12 --threads 2 --keep wise-mock
"""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import common
import numpy as np
from astropy.table import Table
from common import Column
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "wise"))
from wise_synthetic import PIXEL, MockTile, galaxy_image, point_image, sigma_of, write_atlas, write_tile  # noqa: E402

from legacypipe_lite.models import Source  # noqa: E402
from legacypipe_lite.options import RunOptions  # noqa: E402
from legacypipe_lite.parallel import run_tasks  # noqa: E402
from legacypipe_lite.report import Report  # noqa: E402
from legacypipe_lite.resources import measure  # noqa: E402
from legacypipe_lite.stages import load_stage  # noqa: E402
from legacypipe_lite.survey import OutputTree  # noqa: E402
from legacypipe_lite.wcs import target_wcs  # noqa: E402
from legacypipe_lite.wise import VEGA_TO_AB, PsfModels  # noqa: E402

TILE = MockTile("1866p257", 186.667667, 25.745556)
BRICK_SIZE = 3600
#: Flux ratios (Vega) of a typical galaxy to W1.
COLOURS = {1: 1.0, 2: 1.2, 3: 8.0, 4: 60.0}


def make_truth(n, rng):
    """Sources over a bit more than the brick, at multiples of 1/8 pixel of the tile; fluxes are Vega nanomaggies."""
    half = 0.262 * BRICK_SIZE / PIXEL / 2 + 10
    truth = Table()
    truth["x"], truth["y"] = (1023.5 + np.rint(rng.uniform(-half, half, (2, n)) * 8) / 8).tolist()
    truth["ra"], truth["dec"] = TILE.wcs.pixel_to_sky(truth["x"], truth["y"])
    truth["type"] = rng.choice(["PSF", "REX", "EXP", "DEV", "SER"], n, p=[0.4, 0.35, 0.1, 0.1, 0.05])
    point = truth["type"] == "PSF"
    truth["shape_r"] = np.where(point, 0.0, np.exp(rng.normal(-0.7, 0.5, n)))
    ellipse = rng.normal(0, 0.2, (2, n)).clip(-0.5, 0.5) * np.isin(truth["type"], ["EXP", "DEV", "SER"])
    truth["shape_e1"], truth["shape_e2"] = ellipse
    truth["sersic"] = np.where(truth["type"] == "SER", rng.uniform(0.7, 4, n), 0.0)
    w1 = 5 * (1 - rng.uniform(0, 1, n)) ** (-1 / 1.2)
    for band, colour in COLOURS.items():
        truth[f"w{band}"] = np.minimum(w1, 5e4) * colour * np.exp(rng.normal(0, 0.3, n))
    return truth


def write_mock(folder, truth, models, rng, epochs=0):
    """Write all bands of the tile; only the part around the brick holds sources."""
    half = int(0.262 * BRICK_SIZE / PIXEL / 2) + 40
    part = slice(1024 - half, 1024 + half)
    point = np.asarray(truth["type"] == "PSF")
    for band in COLOURS:
        psf = models.at(band, TILE.ra, TILE.dec).image.astype(np.float64)
        x, y, flux = (np.asarray(truth[name]) for name in ("x", "y", f"w{band}"))
        sky = np.zeros((2048, 2048))
        light = point_image((2 * half, 2 * half), psf, x[point] - part.start, y[point] - part.start, flux[point])
        for row in truth[~point]:
            shape = (row["shape_r"], row["shape_e1"], row["shape_e2"], row["sersic"] or None)
            light += galaxy_image(
                light.shape, psf, row["x"] - part.start, row["y"] - part.start, row[f"w{band}"], row["type"], *shape
            )
        # Real coadds have their background subtracted: what the faint wings of all sources add up to.
        sky[part, part] = light
        sky -= wing_level(light, psf, x - part.start, y - part.start, flux) * (sky != 0)
        write_tile(folder / "full", TILE, band, sky + rng.normal(size=sky.shape) * sigma_of(sky, band))
        for epoch in range(epochs if band < 3 else 0):
            write_tile(folder / "tr", TILE, band, sky + rng.normal(size=sky.shape) * sigma_of(sky, band), epoch=epoch)
    if epochs:
        write_atlas(folder / "tr", [TILE], [[3] * epochs])


def wing_level(light, psf, x, y, flux):
    """Mean surface brightness of the wings beyond the stamps (15 pixels) that photometry uses."""
    c = len(psf) // 2
    lost = psf.sum() - psf[c - 15 : c + 16, c - 15 : c + 16].sum()
    inside = (x > 0) & (x < light.shape[1]) & (y > 0) & (y < light.shape[0])
    return lost * flux[inside & (flux < 1000)].sum() / light.size


def run_stage(folder, truth, args):
    """The stage on the mock brick: its table, the table of its input, CPU and wall seconds."""
    target = target_wcs(TILE.ra, TILE.dec, BRICK_SIZE, BRICK_SIZE, 0.262)
    sources = [
        Source(r["type"], r["ra"], r["dec"], [1.0], r["shape_r"], r["shape_e1"], r["shape_e2"], r["sersic"])
        for r in truth
    ]
    table = Table({"ra": truth["ra"], "dec": truth["dec"], "regular": np.ones(len(truth), bool)})
    x, y = target.sky_to_pixel(np.asarray(truth["ra"]), np.asarray(truth["dec"]))
    table["ibx"], table["iby"] = np.rint(x).astype(int), np.rint(y).astype(int)
    table["in_bounds"] = (x > -0.5) & (x < BRICK_SIZE - 0.5) & (y > -0.5) & (y < BRICK_SIZE - 0.5)
    state = {"target": target, "fit_table": table, "fit_sources": sources, "maskbits": np.zeros(target.shape, np.int32)}
    options = RunOptions(brick="1866p257", unwise_dir=str(folder / "full"), threads=args.threads)
    if args.epochs:
        options.unwise_tr_dir = str(folder / "tr")
    data = Path(args.psf_dir).resolve().parent if args.psf_dir else None
    tools = SimpleNamespace(
        survey=SimpleNamespace(data_file=lambda name: data / name if data and name == "unwise_psf" else None),
        products=OutputTree(folder / "out", "1866p257"),
        map=lambda function, tasks, shared=None, label="": run_tasks(
            function, tasks, threads=args.threads, shared=shared
        ),
        header=lambda state, cards=(): [],
        report=Report(),
    )
    stage = load_stage("wise_forced")
    with measure() as usage:
        made = stage.run(state, options, tools)
    return made.items["wise_table"], table, usage.cpu, usage.wall


def pulls(truth, measured, table, band):
    """Rows of the output: number, median and width of pulls of isolated and of crowded sources."""
    distance = cKDTree(np.stack([truth["x"], truth["y"]], axis=1)).query(
        np.stack([truth["x"], truth["y"]], axis=1), k=2
    )[0][:, 1]
    fwhm = {1: 2.2, 2: 2.4, 3: 2.5, 4: 4.4}[band]
    x, y = np.asarray(truth["x"]), np.asarray(truth["y"])
    inner = (np.abs(x - 1023.5) < 150) & (np.abs(y - 1023.5) < 150)
    good = inner & (measured[f"flux_ivar_w{band}"] > 0)
    true = np.asarray(truth[f"w{band}"]) * 10 ** (-VEGA_TO_AB[band] / 2.5)
    pull = (measured[f"flux_w{band}"] - true) * np.sqrt(measured[f"flux_ivar_w{band}"])
    for name, chosen in (
        ("isolated", distance > 3 * fwhm),
        ("crowded", (distance < 3 * fwhm) & (distance > 1.5 * fwhm)),
        ("blended", distance < 1.5 * fwhm),
    ):
        p = np.asarray(pull[good & chosen])
        if len(p) > 10:
            low, middle, high = np.percentile(p, [15.87, 50, 84.13])
            yield name, len(p), middle, (high - low) / 2


def pull_rows(truth, measured, table):
    """Rows of the table of pulls."""
    for band in COLOURS:
        for name, n, middle, width in pulls(truth, measured, table, band):
            yield [f"W{band}", name, n, float(middle), float(width)]


def main(argv=None):
    parser = common.make_parser(__doc__)
    parser.add_argument("--sources", type=int, default=5000, metavar="N", help="default: 5000")
    parser.add_argument("--psf-dir", metavar="FOLDER", help="the data of the package unwise_psf")
    parser.add_argument("--epochs", type=int, default=0, metavar="N", help="time-resolved coadds (default: none)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="worker processes (default: 1)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of all random numbers (default: 1)")
    parser.add_argument("--keep", metavar="FOLDER", help="write the mock here, and use it again if it is there")
    args = parser.parse_args(argv)
    session = common.Session("bench_wise", args)
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.keep or temporary)
        truth = make_truth(args.sources, rng)
        if not (folder / "full").exists():
            write_mock(folder, truth, PsfModels(args.psf_dir), rng, args.epochs)
        first = run_stage(folder, truth, args)
        measured, table, cpu, wall = run_stage(folder, truth, args)
    session.calibrate()
    columns = [Column("sources", "key"), Column("epochs", "key"), Column("threads", "key")]
    columns += [Column(name, "time") for name in ("first CPU s", "first wall s", "CPU s", "wall s")]
    columns += [Column("sources per core-second", "rate", 0)]
    row = [args.sources, args.epochs, args.threads, *first[2:], cpu, wall, args.sources / cpu]
    session.show(common.Table("stage wise_forced on a full brick", columns, [row]))
    columns = [Column("band", "key"), Column("sample", "key"), Column("sources")]
    columns += [Column("median pull", decimals=3), Column("width", decimals=3)]
    session.show(common.Table("pulls of the fluxes", columns, list(pull_rows(truth, measured, table))))
    return session.finish()


if __name__ == "__main__":
    sys.exit(common.guarded(main))
