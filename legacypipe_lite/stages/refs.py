"""Stage refs: stars, clusters and large galaxies from reference catalogues."""

import math

from ..reference import FILE_UNITS, RefCatalogs, file_columns, reference_sources
from ..reference.gaia import chunk_files
from ..reference.geometry import grown_tangent_wcs
from ..reference.star_colors import MAX_MASK_RADIUS
from .base import Stage, StageResult

__all__ = ["STAGE"]


def run_refs(state, options, tools):
    """Find the reference objects of the brick and write them to the metrics folder."""
    catalogs = RefCatalogs.from_environment(tools.survey, options, tools.report)
    refs, sources = reference_sources(state["target"], state["bands"], catalogs, tools.report)
    made = {"refs": refs, "ref_sources": sources}
    if len(refs):
        tools.products.write_table(
            "reference",
            refs[file_columns(refs)],
            primary_cards=tools.header({**state, **made}),
            units=FILE_UNITS,
        )
    return StageResult(made)


def _tables(survey):
    return [survey.tycho2_file(), survey.large_galaxies_file(), survey.data_file("NGC-star-clusters.fits")]


def _input_files(state, survey, options, report):
    """The Gaia files around the brick."""
    if not options.gaia:
        return []
    margin = math.ceil(MAX_MASK_RADIUS / state["target"].pixel_scale)
    catalogs = RefCatalogs.from_environment(survey, options, report)
    return chunk_files(grown_tangent_wcs(state["target"], margin), catalogs)


STAGE = Stage(
    name="refs",
    text="reference stars, star clusters and large galaxies",
    reads=("target", "bands"),
    makes=("refs", "ref_sources"),
    run=run_refs,
    options=("data_dir", "gaia", "tycho", "large_galaxies"),
    variables=(
        "GAIA_CAT_DIR",
        "GAIA_CAT_PREFIX",
        "GAIA_CAT_SCHEME",
        "GAIA_CAT_VER",
        "TYCHO2_KD_DIR",
        "LARGEGALAXIES_CAT",
    ),
    tables=_tables,
    input_files=_input_files,
    keyword="VER_REFS",
)
