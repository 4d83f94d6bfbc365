"""Values of reference catalogues that cannot be: what stands instead of them, said once per column."""

import logging

import numpy as np
from astropy.table import Table

__all__ = ["replace_impossible", "without_positions"]

logger = logging.getLogger(__name__)


def replace_impossible(table: Table, name: str, low: float, high: float, instead: float, path, what: str) -> None:
    """Replace the values of a column that are not finite (silently) or out of range (with a warning), in place.

    Parameters
    ----------
    table : Table
    name : str
        Nothing is done if the table has no such column.
    low, high : float
    instead : float
    path : str or Path
        For messages.
    what : str
        What the replacement means, for messages.
    """
    if name not in table.colnames or len(table) == 0:
        return
    values = np.asarray(table[name])
    if values.dtype.kind not in "iuf":
        return
    with np.errstate(invalid="ignore"):
        strange = (
            np.isfinite(values) & ((values < low) | (values > high))
            if values.dtype.kind == "f"
            else ((values < low) | (values > high))
        )
    missing = ~np.isfinite(values)
    if strange.any():
        example = values[strange][0]
        logger.warning("%s: %s of %d objects cannot be (%.6g): %s", path, name, strange.sum(), example, what)
    if strange.any() or missing.any():
        table[name] = np.where(strange | missing, instead, values).astype(values.dtype)


def without_positions(ra: np.ndarray, dec: np.ndarray, path) -> np.ndarray:
    """Rows of a catalogue that have no place on the sky, about which there is a warning; bool.

    Parameters
    ----------
    ra, dec : numpy.ndarray
        Degrees.
    path : str or Path
    """
    with np.errstate(invalid="ignore"):
        lost = ~(np.isfinite(ra) & (np.abs(dec) <= 90))
    if lost.any():
        logger.warning("%s: %d of %d objects have no position and are left out", path, lost.sum(), len(lost))
    return lost
