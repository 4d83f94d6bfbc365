"""Stage wise_forced: the WISE columns of the catalogue.

Forced photometry on unWISE images is not part of this version: the stage gives what the data model wants without
unWISE data, columns of zeros and empty masks.
"""

import logging
import os

import numpy as np
from astropy.table import Table

from ..catalog import empty_wise_columns
from .base import Stage, version_card

__all__ = ["STAGE"]

logger = logging.getLogger(__name__)


def run_wise_forced(state, options, tools):
    """Zero columns and empty masks; nothing with ``--no-wise``."""
    if options.no_wise:
        return {"wise_table": None, "wise_masks": None, "header_wise_forced": []}
    named = options.unwise_dir or options.unwise_tr_dir or os.environ.get("UNWISE_COADDS_DIR")
    if named or os.environ.get("UNWISE_COADDS_TIMERESOLVED_DIR"):
        tools.report.warn_once(
            logger,
            "WISE photometry is not available in this version: the unWISE images are not used,"
            " and the WISE columns are zero (--no-wise leaves them out)",
        )
    else:
        logger.info("no unWISE images: the WISE columns are zero (--no-wise leaves them out)")
    columns = empty_wise_columns(options.data_model, len(state["fit_table"]))
    return {
        "wise_table": Table(columns),
        "wise_masks": [np.zeros(state["target"].shape, np.uint8) for _ in range(2)],
        "header_wise_forced": [version_card("VER_WISE")],
    }


STAGE = Stage(
    name="wise_forced",
    text="WISE columns and masks (zeros: photometry on unWISE images is not part of this version)",
    reads=("target", "fit_table"),
    makes=("wise_table", "wise_masks"),
    run=run_wise_forced,
)
