"""Stage refs: stars, clusters and large galaxies from reference catalogues."""

from ..reference import FILE_UNITS, RefCatalogs, file_columns, reference_sources
from .base import Stage, version_card

__all__ = ["STAGE"]


def run_refs(state, options, tools):
    """Find the reference objects of the brick and write them to the metrics folder."""
    catalogs = RefCatalogs.from_environment(tools.survey, options, tools.report)
    refs, sources = reference_sources(state["target"], state["bands"], catalogs, tools.report)
    made = {"refs": refs, "ref_sources": sources, "header_refs": [version_card("VER_REFS")]}
    if len(refs):
        tools.products.write_table(
            "reference",
            refs[file_columns(refs)],
            primary_cards=tools.header({**state, **made}),
            units=FILE_UNITS,
        )
    return made


STAGE = Stage(
    name="refs",
    text="reference stars, star clusters and large galaxies",
    reads=("target", "bands"),
    makes=("refs", "ref_sources"),
    run=run_refs,
)
