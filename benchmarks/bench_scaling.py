#!/usr/bin/env python3
"""How does the cost grow with images and sources, and how much do more processes help?

Makes mock fields and runs all stages on them. Two series of fields: one of about 100 sources with ever more exposures
(which are the shallower the more there are, so that the sky to fit stays the same), and one of ever larger fields with
two exposures in each of g, r, z. All have the same density of sources, 1.5 times that of the high-latitude sky.

"coverage" is the mean number of images on a pixel; costs are CPU time of stage fitblobs per source and image on it, and
that of the other stages per megapixel of all images. With several --threads the stage is run with each, and its wall
time with one compared to that with the others. This needs a machine that has nothing else to do: where other programs
used more than 5 % of it meanwhile, no speed-up is shown.

Such fields differ in more than the number of images: blobs are larger where the seeing is worse, and fits need more
steps here than there. The second table is free of that: one field, in which every image is repeated with its noise
increased accordingly, so that the same fits are made with ever more images.

The whole table takes about 20 minutes on two cores, most of it for the largest fields; --quick leaves them out. Mock
fields are kept in --cache and used again.

    python benchmarks/bench_scaling.py --cache mocks --quick
    python benchmarks/bench_scaling.py --cache mocks --threads 1,2 --save before.json
"""

import math
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from common import Column, Session, Table, errors_only, guarded, in_fresh_process, make_parser
from fields import find_field
from processes import OtherPrograms

EXPOSURES = (2, 3, 7, 17, 33)
SOURCES = (100, 300, 1000, 3000, 10000)
REPEATS = (1, 2, 4, 8, 16)
QUICK_EXPOSURES = (2, 7, 17)
QUICK_SOURCES = (100, 300, 1000)
BANDS = ("g", "r", "z")
#: Exposures per band of the series in the number of sources, and of the shallowest field of the other one.
FEW = 2
#: Density of the mock sky, depth of FEW exposures together in magnitudes beyond that of normal ones, and the number of
#: sources that the pipeline then finds per pixel (measured; it only sets the size of the fields).
DENSITY = 1.5
DEPTH = 0.8
SOURCES_PER_PIXEL = 7.9e-4
_LARGEST = 3600
#: Other programs may use this fraction of the machine while wall times are measured.
_QUIET = 0.05
_MANY = 1000
_MOST_REPEATS, _ENOUGH_SECONDS = 5, 5.0


@dataclass(frozen=True)
class Mock:
    """A mock field: its side in brick pixels, and its number of exposures per band."""

    side: int
    exposures: int

    @property
    def name(self):
        return f"field-{self.side}-{self.exposures}"

    def make(self, cache, threads):
        """Write its survey directory, unless it is there; its path."""
        from legacypipe_lite.simulate import SimulationOptions, simulate

        options = SimulationOptions(
            seed=7,
            bands=BANDS,
            exposures=self.exposures,
            # all exposures together are as deep, however many there are
            depth=DEPTH - 1.25 * math.log10(self.exposures / FEW),
            width=self.side,
            height=self.side,
            density=DENSITY,
            artefacts=("cosmics",),
            large_galaxy=False,
            wise=False,
        )
        return simulate(Path(cache) / self.name, options, threads).root


def side_for(sources):
    """Side of a field with about so many sources [brick pixels]."""
    return min(round(math.sqrt(sources / SOURCES_PER_PIXEL) / 10) * 10, _LARGEST)


def measure(field, threads):
    """All stages of a field, and fitblobs with several numbers of processes.

    Parameters
    ----------
    field : Field
    threads : list of int

    Returns
    -------
    dict
        images, coverage, sources, megapixels (of all images), fitblobs (number of processes -> (CPU, wall) seconds),
        other_stages (CPU seconds), other_programs (their share of the machine during fitblobs, or None).
    """
    from legacypipe_lite.run import BrickRun

    with errors_only(), field.in_environment(), tempfile.TemporaryDirectory() as outdir:
        run = BrickRun(field.options(outdir, ["--no-write"]))
        run.stage("srcs")
        pixels = sum(int((tim.inverr > 0).sum()) for tim in run.state["tims"])
        if len(run.state["detections"]) < _MANY:
            run.stage("fitblobs")  # compiles or loads kernels, which would count here
        fitblobs = {}
        with OtherPrograms() as others:
            for number in threads:
                run.options.threads = number
                fitblobs[number] = _fastest_fitblobs(run)
        run.options.threads = 1
        run.stage("writecat")
        target = run.state["target"]
        return {
            "images": len(run.state["tims"]),
            "coverage": pixels / (target.width * target.height),
            "sources": len(run.state["fit_table"]),
            "megapixels": pixels / 1e6,
            "fitblobs": fitblobs,
            "other_stages": sum(record.usage.cpu for record in run.stages if record.name != "fitblobs"),
            "other_programs": others.share,
        }


def _fastest_fitblobs(run):
    """CPU and wall seconds of stage fitblobs: of the fastest run, where that does not take long."""
    found = []
    while not found or (len(found) < _MOST_REPEATS and sum(cpu for cpu, _ in found) < _ENOUGH_SECONDS):
        run.stage("fitblobs", force=True)
        found.append((run.stages[-1].usage.cpu, run.stages[-1].usage.wall))
    return tuple(map(min, zip(*found)))


def measure_repeated(field, repeats):
    """Stage fitblobs with every image several times.

    Parameters
    ----------
    field : Field
    repeats : list of int

    Returns
    -------
    list of (int, int, float)
        Images, sources, CPU seconds.
    """
    from legacypipe_lite.run import BrickRun

    with errors_only(), field.in_environment(), tempfile.TemporaryDirectory() as outdir:
        run = BrickRun(field.options(outdir, ["--no-write"]))
        run.stage("fitblobs")  # compiles or loads kernels, which would count here
        tims = run.state["tims"]
        found = []
        for number in repeats:
            run.state["tims"] = [_noisier(tim, number, k) for tim in tims for k in range(number)]
            cpu, _ = _fastest_fitblobs(run)
            found.append((len(run.state["tims"]), len(run.state["fit_table"]), cpu))
    return found


def _noisier(tim, number, k):
    """One of `number` copies of an image that together weigh as much as the image."""
    factor = math.sqrt(number)
    inverr = tim.inverr / np.float32(factor)
    return replace(tim, name=f"{tim.name}-{k}", inverr=inverr, sig1=tim.sig1 * factor)


def repeated_table(found):
    """Table of `measure_repeated`, with the line of cost against images."""
    columns = [
        Column("images", "key"),
        Column("sources", "info"),
        Column("fitblobs CPU s", "time", 2),
        Column("ms per source", "time", 2),
        Column("ms per source and image", "time", 3),
        Column("above the line, %", "info", 1),
    ]
    images, sources, cpu = np.array(found, float).T
    each = 1e3 * cpu / sources
    # relative deviations count, so that few images matter as much as many
    slope, constant = np.polyfit(images, each, 1, w=1 / each) if len(images) > 1 else (each[0] / images[0], 0.0)
    above = 100 * (each / (constant + slope * images) - 1)
    rows = [[int(n), int(m), c, e, e / n, a] for n, m, c, e, a in zip(images, sources, cpu, each, above)]
    note = f"the line: {constant:.2f} ms per source and {slope:.3f} ms per source and image"
    return Table("cost against images, the same fits with every image repeated", columns, rows, [note])


def columns(threads):
    """Columns of the table."""
    result = [
        Column("field", "key"),
        Column("exposures per band", "key"),
        Column("CCD images", "info"),
        Column("coverage", "info", 1),
        Column("sources", "info"),
        Column("fitblobs CPU s", "time", 2),
        Column("ms per source and image", "time", 3),
        Column("sources per core-second", "rate", 1),
        Column("other stages CPU s", "time", 2),
        Column("s per megapixel", "time", 3),
    ]
    for number in threads[1:]:
        result.append(Column(f"speed-up with {number}", "info", 2))
    return result


def table_row(mock, found, threads):
    """Row of the table."""
    cpu, wall = found["fitblobs"][threads[0]]
    each = cpu / found["sources"] if found["sources"] else None
    row = [
        f"{mock.side} x {mock.side}", mock.exposures, found["images"], found["coverage"], found["sources"], cpu,
        each and 1e3 * each / found["coverage"], each and 1 / each, found["other_stages"],
        found["other_stages"] / found["megapixels"],
    ]  # fmt: skip
    # Wall times that other programs had a part in say nothing about this one.
    disturbed = (found["other_programs"] or 0.0) > _QUIET
    return row + [None if disturbed else wall / found["fitblobs"][number][1] for number in threads[1:]]


def number_list(text):
    """Comma-separated whole numbers."""
    return [int(part) for part in text.split(",") if part]


def main(argv=None):
    parser = make_parser(__doc__)
    parser.add_argument("--cache", metavar="FOLDER", help="keep the mock fields here (default: a temporary folder)")
    parser.add_argument(
        "--exposures", type=number_list, metavar="N,N",
        help="exposures per band of the first series (default: " + ",".join(map(str, EXPOSURES)) + ")",
    )  # fmt: skip
    parser.add_argument(
        "--sources", type=number_list, metavar="N,N",
        help="approximate numbers of sources of the second series (default: " + ",".join(map(str, SOURCES)) + ")",
    )  # fmt: skip
    parser.add_argument(
        "--repeats", type=number_list, default=list(REPEATS), metavar="N,N",
        help="how often every image is repeated in the second table (default: " + ",".join(map(str, REPEATS)) + ")",
    )  # fmt: skip
    parser.add_argument("--threads", type=number_list, default=[1], metavar="N,N", help="default: 1")
    parser.add_argument("--quick", action="store_true", help="fields of up to 1000 sources and 17 exposures only")
    parser.add_argument(
        "--simulate-threads", type=int, default=1, metavar="N", help="processes that make mock fields (default: 1)"
    )
    arguments = parser.parse_args(argv)
    exposures = QUICK_EXPOSURES if arguments.quick else EXPOSURES
    sources = QUICK_SOURCES if arguments.quick else SOURCES
    exposures = exposures if arguments.exposures is None else arguments.exposures
    sources = sources if arguments.sources is None else arguments.sources
    mocks = [Mock(side_for(100), n) for n in exposures] + [Mock(side_for(n), FEW) for n in sources]
    if not arguments.threads or not mocks + arguments.repeats or min([*arguments.threads, *arguments.repeats]) < 1:
        parser.error("nothing to measure")
    session = Session("bench_scaling", arguments)
    rows, busy, repeated = [], 0.0, None
    with tempfile.TemporaryDirectory() as temporary:
        for mock in dict.fromkeys(mocks):
            root = mock.make(arguments.cache or temporary, arguments.simulate_threads)
            found = in_fresh_process(measure, find_field(str(root)), arguments.threads)
            session.calibrate()
            rows.append(table_row(mock, found, arguments.threads))
            busy = max(busy, found["other_programs"] or 0.0)
            cpu, _ = found["fitblobs"][arguments.threads[0]]
            print(f"{mock.name}: {found['sources']} sources, {cpu:.2f} s", file=sys.stderr, flush=True)
        if arguments.repeats:
            root = Mock(side_for(100), FEW).make(arguments.cache or temporary, arguments.simulate_threads)
            repeated = in_fresh_process(measure_repeated, find_field(str(root)), arguments.repeats)
    notes = []
    if len(arguments.threads) > 1 and busy > _QUIET:
        notes = [f"speed-ups are left out where other programs used more than {_QUIET:.0%} (here up to {busy:.0%})"]
    if mocks:
        session.show(Table("cost against images and sources", columns(arguments.threads), rows, notes))
    if repeated:
        session.show(repeated_table(repeated))
    return session.finish()


if __name__ == "__main__":
    sys.exit(guarded(main))
