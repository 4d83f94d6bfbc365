"""Amplifier corrections: small differences in gain between the four amplifiers of 90Prime and Mosaic-3 CCDs.

The figures are those of the Legacy Surveys' table `ampcorrections.fits`, rounded to 1e-5 mag; the table
itself is used if it is in the data directory.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..tables import read_table
from .data_tables import packaged_table

__all__ = ["amplifier_scales", "CORRECTIONS_FILE"]

#: Name of the table in the data directory.
CORRECTIONS_FILE = "ampcorrections.fits"

_COLUMNS = ("camera", "filter", "ccdname", "mjd_start", "mjd_end", "dzp", "xlo", "xhi", "ylo", "yhi")
_EPOCHS = (-np.inf, 57602.0, 57967.0, 58332.0, np.inf)


def amplifier_scales(camera: str, band: str, ccdname: str, mjd: float, path: Path | None = None) -> list[Any]:
    """Factors by which the flux of each part of a CCD is multiplied.

    Parameters
    ----------
    camera, band, ccdname : str
    mjd : float
    path : Path, optional
        The Legacy Surveys' table; None: the built-in figures.

    Returns
    -------
    list of (float, (int, int, int, int))
        Factor, and the CCD pixels x0, x1, y0, y1 (half-open) that it holds for.
    """
    table = _builtin_table() if path is None else _file_table(str(path))
    rows = (
        (table["camera"] == camera)
        & (table["filter"] == band)
        & (table["ccdname"] == ccdname)
        & (table["mjd_start"] <= mjd)
        & (mjd <= table["mjd_end"])
    )
    return [
        (10.0 ** (0.4 * float(r["dzp"])), (int(r["xlo"]), int(r["xhi"]), int(r["ylo"]), int(r["yhi"])))
        for r in table[rows]
    ]


@functools.cache
def _file_table(path: Any) -> Any:
    table = read_table(path, columns=list(_COLUMNS))
    if not np.all(np.isfinite(table["dzp"])):
        raise InputError(f"{path}: column dzp has values that are not finite")
    for name in ("camera", "filter", "ccdname"):
        table[name] = np.char.strip(table[name])
    return table


@functools.cache
def _builtin_table() -> NDArray[np.void]:
    """The built-in figures, one row per amplifier and epoch, in the columns of the table."""
    ccds = packaged_table("amplifier_corrections.csv")
    dtype = [(c, "U8") for c in _COLUMNS[:3]] + [(c, "f8") for c in _COLUMNS[3:6]] + [(c, "i4") for c in _COLUMNS[6:]]
    rows = []
    for ccd in ccds:
        x = ((0, ccd["x_split"]), (ccd["x_split"], ccd["x_end"]))
        y = ((0, ccd["y_split"]), (ccd["y_split"], ccd["y_end"]))
        for epoch in range(4):
            for amp in range(4):
                where = x[amp % 2] + y[amp // 2]
                span = (_EPOCHS[epoch], _EPOCHS[epoch + 1])
                identity = (ccd["camera"], ccd["band"], ccd["ccdname"])
                rows.append(identity + span + (ccd[f"e{epoch + 1}a{amp}"],) + where)
    return np.array(rows, dtype)
