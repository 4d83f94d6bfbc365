#!/usr/bin/env python
"""Total chi-squared of every blob for two catalogues of the same brick.

    chi2_per_blob.py OURS.fits REFERENCE.fits [--worst N] -- RUNBRICK-OPTIONS

The images are prepared with the given options (up to stage srcs); then the sources of each tractor catalogue are
rendered into them, and chi-squared is summed over the unmasked pixels of each blob. Sky levels that were fitted
together with single sources are in neither catalogue and therefore count for both.
"""

import argparse
import sys

import fitsio
import numpy as np

from legacypipe_lite.cli.runbrick import make_parser, parse_options
from legacypipe_lite.fitting import BlobContext
from legacypipe_lite.fitting.cutouts import blob_wcs, cut_tims
from legacypipe_lite.fitting.images import BlobImages
from legacypipe_lite.fitting.metrics_kernels import add_everywhere
from legacypipe_lite.models import Motion, Source
from legacypipe_lite.pipeline import BrickRun


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
    """chi-squared of each blob of the state with the given sources."""
    bands, target, blobmap = list(state["bands"]), state["target"], state["blobmap"]
    h, w = blobmap.shape
    members = {}
    for s in sources:
        if s is not None:
            x, y = target.sky_to_pixel(s.ra, s.dec)
            blob = blobmap[int(np.clip(np.rint(y), 0, h - 1)), int(np.clip(np.rint(x), 0, w - 1))]
            members.setdefault(int(blob), []).append(s)
    chi2 = []
    context = BlobContext(state["tims"], bands, target, [], None, blobmap, None, None)
    for number, (ys, xs) in enumerate(state["blob_slices"]):
        box = (xs.start, ys.start, xs.stop - xs.start, ys.stop - ys.start)
        cutouts = cut_tims(context, box)
        images = BlobImages(cutouts, blob_wcs(target, box), blobmap[ys, xs] == number, len(bands), shape_jacobian)
        model = np.zeros_like(images.data)
        for source in members.get(number, []):
            p = images.render(source)
            add_everywhere(p.rectangles, p.offset, p.values, images.offset, images.width, model)
        chi2.append(float(np.sum(((images.data - model).astype(float) * images.inverr) ** 2)))
    return np.array(chi2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("reference")
    parser.add_argument("--worst", type=int, default=10)
    own, rest = sys.argv[1:], []
    if "--" in own:
        k = own.index("--")
        own, rest = own[:k], own[k + 1 :]
    arguments = parser.parse_args(own)
    options = parse_options(make_parser().parse_args(rest))
    run = BrickRun(options)
    run.stage("srcs")
    bands = list(run.state["bands"])
    ours = blob_chi2(run.state, read_sources(arguments.ours, bands), options.shape_jacobian)
    theirs = blob_chi2(run.state, read_sources(arguments.reference, bands), "header")
    difference = ours - theirs
    print(f"{len(ours)} blobs; total chi2 ours {ours.sum():.1f} reference {theirs.sum():.1f}: {difference.sum():+.1f}")
    print("blob  sources       ours  reference  difference")
    for k in np.argsort(-difference)[: arguments.worst]:
        n = len(run.state["blob_sources"][k])
        print(f"{k:4d}  {n:7d}  {ours[k]:9.1f}  {theirs[k]:9.1f}  {difference[k]:+10.2f}")


if __name__ == "__main__":
    main()
