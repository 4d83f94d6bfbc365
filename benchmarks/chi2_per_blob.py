#!/usr/bin/env python3
"""Which of two catalogues of the same brick fits its images better, blob by blob?

The images are prepared up to stage srcs; then the sources of each catalogue are rendered into them, and chi-squared is
summed over the unmasked pixels of each blob. Fits maximise the likelihood times a prior on ellipticities: what -2 ln of
the prior adds to the difference is in column "prior". Sky levels that were fitted together with single sources are in
neither catalogue and therefore count for both.

CATALOGUE and OTHER are tractor catalogues, or output folders with one. OTHER is that of the reference implementation
(default: the one that comes with the test field), or with --before an earlier one of this package: then no blob may be
worse than before by more than --limit, else the exit status is 1.

    python benchmarks/chi2_per_blob.py simA out
    python benchmarks/bench_brick.py simA --keep before     (and after a change of the code: --keep after)
    python benchmarks/chi2_per_blob.py simA after/simA/out before/simA/out --before
    python benchmarks/chi2_per_blob.py mysurvey after before --before -- --brick 1102p240 --no-wise
"""

import sys
import tempfile
from pathlib import Path

import fitsio
import numpy as np
from common import BenchmarkError, Column, Session, Table, errors_only, guarded, make_parser, split_arguments
from fields import KNOWN, find_field

from legacypipe_lite.fitting import BlobContext
from legacypipe_lite.fitting.cutouts import blob_wcs, cut_tims
from legacypipe_lite.fitting.images import BlobImages
from legacypipe_lite.fitting.optimizer import ELLIPTICITY_SIGMA
from legacypipe_lite.models import Motion, Source
from legacypipe_lite.models.ellipse import soft_from_hard
from legacypipe_lite.run import BrickRun


def read_sources(path, bands):
    """Sources of a tractor catalogue (None for rows without a model)."""
    sources = []
    for row in fitsio.read(path, ext=1, lower=True):
        kind = str(row["type"]).strip()
        if kind in ("DUP", "NUN"):
            sources.append(None)
            continue
        motion = None
        if row["ref_epoch"] > 0:
            motion = Motion(*(float(row[n]) for n in ("pmra", "pmdec", "parallax", "ref_epoch")))
        flux = [float(row["flux_" + b]) for b in bands]
        shape = [float(row[n]) for n in ("shape_r", "shape_e1", "shape_e2", "sersic")]
        sources.append(Source(kind, float(row["ra"]), float(row["dec"]), flux, *shape, motion=motion))
    return sources


def blob_chi2(state, sources, shape_jacobian="local"):
    """chi-squared of each blob of the state with the given sources, and -2 ln of the prior on their ellipticities."""
    bands, target, blobmap = list(state["bands"]), state["target"], state["blobmap"]
    h, w = blobmap.shape
    members = {}
    for s in sources:
        if s is not None:
            x, y = target.sky_to_pixel(s.ra, s.dec)
            blob = blobmap[int(np.clip(np.rint(y), 0, h - 1)), int(np.clip(np.rint(x), 0, w - 1))]
            members.setdefault(int(blob), []).append(s)
    chi2, penalty = [], []
    context = BlobContext(state["tims"], bands, target, [], None, blobmap, None, None)
    for number, (ys, xs) in enumerate(state["blob_slices"]):
        box = (xs.start, ys.start, xs.stop - xs.start, ys.stop - ys.start)
        cutouts = cut_tims(context, box)
        images = BlobImages(cutouts, blob_wcs(target, box), blobmap[ys, xs] == number, len(bands), shape_jacobian)
        model = np.zeros_like(images.data)
        for source in members.get(number, []):
            p = images.render(source)
            images.add(p, data=model, everywhere=True)
        chi2.append(float(np.sum(((images.data - model).astype(float) * images.inverr) ** 2)))
        penalty.append(sum(_penalty(source) for source in members.get(number, [])))
    return np.array(chi2), np.array(penalty)


def _penalty(source):
    """-2 ln of the prior on the ellipticity of a source."""
    if source.type in ("PSF", "REX"):
        return 0.0
    eps = soft_from_hard(source.shape_e1, source.shape_e2)
    return float(np.sum(np.square(eps))) / ELLIPTICITY_SIGMA**2


def find_catalogue(name):
    """The tractor catalogue that an argument means: itself, or the one in an output folder."""
    path = Path(name)
    if path.is_file():
        return str(path)
    found = sorted(path.glob("tractor/*/tractor-*.fits"))
    if len(found) != 1:
        raise BenchmarkError(f"{name}: no catalogue, and {len(found)} catalogues in its folder tractor")
    return str(found[0])


def worst_table(chi2, other, prior, sources, worst, other_name):
    """Table of the blobs in which the first catalogue is worst, compared with the other.

    Parameters
    ----------
    chi2, other : numpy.ndarray
        chi-squared of each blob.
    prior : numpy.ndarray
        Difference of -2 ln(prior).
    sources : sequence of int
        Number of detections of each blob.
    worst : int
        Number of rows.
    other_name : str
    """
    difference = chi2 - other
    rows = [
        [int(k), int(sources[k]), float(chi2[k]), float(other[k]), float(difference[k]), float(prior[k])]
        for k in np.argsort(-difference, kind="stable")[:worst]
    ]
    columns = [
        Column("blob", "key"),
        Column("detections"),
        Column("chi2", decimals=1),
        Column(other_name, decimals=1),
        Column("difference", decimals=2),
        Column("prior", decimals=2),
    ]
    note = f"{len(chi2)} blobs, total chi2 {chi2.sum():.1f}, {other_name} {other.sum():.1f}: {difference.sum():+.1f}"
    return Table(f"chi-squared of the {len(rows)} worst blobs", columns, rows, [note])


def main(argv=None):
    own, extra = split_arguments(argv)
    parser = make_parser(__doc__)
    parser.add_argument("field", metavar="FIELD", help="survey directory, or one of " + ", ".join(KNOWN))
    parser.add_argument("catalogue", metavar="CATALOGUE", help="what is looked at")
    parser.add_argument("other", metavar="OTHER", nargs="?", help="what it is compared with")
    parser.add_argument("--before", action="store_true", help="OTHER is an earlier catalogue of this package")
    parser.add_argument(
        "--limit", type=float, default=0.5, metavar="X", help="with --before: how much worse is too much (default: 0.5)"
    )
    parser.add_argument("--worst", type=int, default=10, metavar="N", help="number of blobs to show (default: 10)")
    arguments = parser.parse_args(own)
    field = find_field(arguments.field, extra)
    if arguments.other is None and (arguments.before or field.reference_output is None):
        parser.error("OTHER is missing")
    paths = [find_catalogue(name) for name in (arguments.catalogue, arguments.other or field.reference_output)]
    session = Session("chi2_per_blob", arguments)
    with errors_only(), field.in_environment(), tempfile.TemporaryDirectory() as outdir:
        options = field.options(outdir, [*extra, "--no-write"])
        run = BrickRun(options)
        run.stage("srcs")
        bands = list(run.state["bands"])
        chi2, penalty = blob_chi2(run.state, read_sources(paths[0], bands), options.shape_jacobian)
        # The reference implementation takes the scale of shapes from the header.
        jacobian = options.shape_jacobian if arguments.before else "header"
        other, other_penalty = blob_chi2(run.state, read_sources(paths[1], bands), jacobian)
    detections = [len(rows) for rows in run.state["blob_sources"]]
    name = "before" if arguments.before else "reference"
    prior = penalty - other_penalty
    table = worst_table(chi2, other, prior, detections, arguments.worst, name)
    too_bad = int(np.sum(chi2 - other > arguments.limit))
    if arguments.before:
        with_prior = int(np.sum(chi2 - other + prior > arguments.limit))
        table.notes.append(f"{too_bad} blobs are worse by more than {arguments.limit:g}, {with_prior} with the prior")
    session.show(table)
    session.finish()
    return int(arguments.before and too_bad > 0)


if __name__ == "__main__":
    sys.exit(guarded(main))
