"""The table of true sources, in the columns and units of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from .populations import GAIA_EPOCH, OPTICAL_BANDS, WISE_BANDS
from .scene import nearest_neighbours

if TYPE_CHECKING:
    from .field import Field

__all__ = ["TRUTH_UNITS", "truth_table"]

#: Units of the columns.
TRUTH_UNITS = {
    "ra": "deg",
    "dec": "deg",
    **{f"flux_{band}": "nanomaggies" for band in (*OPTICAL_BANDS, *WISE_BANDS)},
    "shape_r": "arcsec",
    "pmra": "mas/yr",
    "pmdec": "mas/yr",
    "parallax": "mas",
    "ref_epoch": "yr",
    "gaia_g": "mag",
    "bp_rp": "mag",
    "bx": "pix",
    "by": "pix",
    "nn_dist": "arcsec",
}


def truth_table(sources: Table, sky_field: Field) -> Table:
    """The truth.

    Parameters
    ----------
    sources : Table
        From `scene.draw_sources`, with source_id.
    sky_field : Field

    Returns
    -------
    Table
        One row per source of the field and its surroundings. `bx`, `by` are 0-based pixels of the field (of the
        brick run's zoom), `in_zoom` says whether they lie in it; `nn_dist`, `nn_fluxratio` tell of the nearest
        neighbour; `note` is "pair" (of a designed blend), "saturated", "biggal" (in the catalogue of large galaxies)
        or blank. Fluxes are those of the truncated profiles, radii those of the untruncated ones, as in the
        catalogue.
    """
    n = len(sources)
    table = Table()
    table["ra"], table["dec"] = np.asarray(sources["ra"], np.float64), np.asarray(sources["dec"], np.float64)
    table["type"] = np.asarray(sources["type"], "U3")
    for band in (*OPTICAL_BANDS, *WISE_BANDS):
        table[f"flux_{band}"] = np.asarray(sources[f"flux_{band}"], np.float32)
    for name in ("shape_r", "shape_e1", "shape_e2", "sersic"):
        table[name] = np.asarray(sources[name], np.float32)
    is_gaia = np.asarray(sources["is_gaia"], bool)
    table["is_gaia"] = is_gaia
    table["ref_cat"] = np.where(is_gaia, "G3", np.where(np.asarray(sources["note"]) == "biggal", "L3", "  "))
    table["source_id"] = np.asarray(sources["source_id"], np.int64)
    for name in ("pmra", "pmdec", "parallax"):
        table[name] = np.asarray(sources[name], np.float32)
    table["ref_epoch"] = np.where(is_gaia, GAIA_EPOCH, 0.0).astype(np.float32)
    for name in ("gaia_g", "bp_rp"):
        table[name] = np.where(is_gaia, np.asarray(sources[name]), 0.0).astype(np.float32)
    x, y = sky_field.target.sky_to_pixel(table["ra"], table["dec"])
    table["bx"], table["by"] = x.astype(np.float32), y.astype(np.float32)
    table["in_zoom"] = np.asarray(sky_field.target.contains(x, y))
    table["brickname"] = np.full(n, sky_field.brick.name, "U8")
    table["note"] = np.asarray(sources["note"], "U10")
    distance, ratio = nearest_neighbours(sources)
    table["nn_dist"], table["nn_fluxratio"] = distance.astype(np.float32), ratio.astype(np.float32)
    return table
