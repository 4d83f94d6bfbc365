"""Stage refs: stars, clusters and large galaxies from reference catalogues."""

import math

from ..reference import RefCatalogs, check_files, file_columns, file_units, reference_sources
from ..reference.gaia import chunk_files
from ..reference.geometry import grown_tangent_wcs
from ..reference.star_colors import MAX_MASK_RADIUS
from ..survey.bricks import brick_and_target
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
            units=file_units(options.data_model),
        )
    return StageResult(made)


def check_catalogs(options, survey, report):
    """Look, before images are read, whether the catalogues are there, and are what they should be."""
    _, target = brick_and_target(options, survey.bricks_file())
    catalogs = RefCatalogs.from_environment(survey, options, report)
    check_files(_gaia_files(target, catalogs), catalogs)


def _gaia_files(target, catalogs):
    if catalogs.gaia_dir is None:
        return []
    margin = math.ceil(MAX_MASK_RADIUS / target.pixel_scale)
    return chunk_files(grown_tangent_wcs(target, margin), catalogs)


def _tables(survey):
    return [survey.tycho2_file(), survey.large_galaxies_file(), survey.data_file("NGC-star-clusters.fits")]


def _input_files(state, survey, options, report):
    """The Gaia files around the brick."""
    return _gaia_files(state["target"], RefCatalogs.from_environment(survey, options, report))


STAGE = Stage(
    name="refs",
    text="reference stars, star clusters and large galaxies",
    reads=("target", "bands"),
    makes=("refs", "ref_sources"),
    run=run_refs,
    product_options=("release", "data_model"),
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
    check=check_catalogs,
)
