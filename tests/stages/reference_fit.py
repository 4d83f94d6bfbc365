"""The state items of stage fitblobs, made from the reference implementation's catalogue of a field."""

import fitsio
import numpy as np
from astropy.table import Table

from legacypipe_lite.models import Motion, Source
from legacypipe_lite.reference import mask_map

_COLUMNS = ("bx", "by", "ibx", "iby", "ra", "dec", "blob", "regular", "objid")


def reference_folder(case, testdata):
    """Output tree of the reference implementation."""
    return testdata / "sim" / "simA-reference" if case == "simA" else testdata / "reference" / case


def reference_file(case, testdata, pattern):
    """The one file of a name in that tree."""
    (path,) = reference_folder(case, testdata).rglob(pattern)
    return path


def add_reference_fit(state, case, testdata):
    """Add fit_table, fit_sources, fit_blobmap, refmap and empty masks and lists to a state after srcs.

    Returns
    -------
    numpy.ndarray
        The reference's intermediate catalogue, in the order of the fit table's rows.
    """
    catalog = fitsio.read(str(reference_file(case, testdata, "tractor-i-*.fits")))
    native = {name: catalog[name].astype(catalog[name].dtype.newbyteorder("=")) for name in _COLUMNS}
    blobmap = fitsio.read(str(reference_file(case, testdata, "blobs-*.fits.gz")), ext=1).astype(np.int32)
    state.update(
        fit_table=Table(native),
        fit_sources=[_source(row, len(state["bands"])) for row in catalog],
        fit_blobmap=blobmap,
        refmap=mask_map(state["refs"], state["target"]),
        bailout_mask=None,
        sub_blob_mask=None,
        frozen_galaxies=[],
    )
    return catalog


def _source(row, n_bands):
    kind = row["type"].strip()
    if kind in ("DUP", "NUN"):
        return None
    motion = None
    if "ref_epoch" in row.dtype.names and row["ref_epoch"] > 0:
        motion = Motion(*(float(row[c]) for c in ("pmra", "pmdec", "parallax", "ref_epoch")))
    shape = (float(row[c]) for c in ("shape_r", "shape_e1", "shape_e2", "sersic"))
    flux = np.asarray(row["flux"], float).reshape(n_bands)
    return Source(kind, float(row["ra"]), float(row["dec"]), flux, *shape, motion)
