"""The last gate before the catalogue is written: no row leaves with a value that cannot be, unflagged."""

import logging

import numpy as np

from ..bits import FIT_FLAGS
from ..errors import LegacypipeError
from ..models.sources import SHAPE_PARAMETERS

__all__ = ["flag_impossible", "flux_limits"]

logger = logging.getLogger(__name__)

#: A source may have so many times the light that an image holds: most of it may be masked, or off the image.
_MORE_THAN_SEEN = 100.0
#: So many flagged rows, or this fraction of all, are no accident.
_TOLERATED_ROWS, _TOLERATED_FRACTION = 3, 0.01


def flux_limits(tims, bands):
    """Largest flux that a source can have in each band, from the light that the images hold.

    Parameters
    ----------
    tims : list of Tim
    bands : sequence of str

    Returns
    -------
    list of float
        Nanomaggies, band by band.
    """
    light = dict.fromkeys(bands, 0.0)
    for tim in tims:
        if tim.band in light:
            held = float(np.sum(np.abs(tim.image[tim.inverr > 0]), dtype=np.float64))
            light[tim.band] = max(light[tim.band], held)
    return [_MORE_THAN_SEEN * light[band] for band in bands]


def flag_impossible(table, target, limits=None):
    """Flag rows with values that are not finite or cannot be, in the column `bad_value`.

    What is not finite becomes unknown: 0 with inverse variance 0; a position that of the detection, else the centre of
    the image. Fluxes that are too large stay as they are.

    Parameters
    ----------
    table : Table
        From `intermediate_table`. Changed in place.
    target : TanWcs
    limits : sequence of float, optional
        `flux_limits`, in the order of the fluxes.

    Raises
    ------
    LegacypipeError
        If that concerns more than 3 rows and more than 1 % of them.
    """
    bad = _mend_positions(table, target)
    for name in ("flux", *SHAPE_PARAMETERS, "sersic"):
        if name in table.colnames:
            bad |= _mend(table, name)
    for name in ("ra_ivar", "dec_ivar"):
        bad |= _mend(table, name)
    if limits is not None:
        with np.errstate(invalid="ignore"):
            bad |= np.any(np.abs(np.asarray(table["flux"], np.float64)) > np.asarray(limits), axis=1)
    table["bad_value"] = bad
    if "fit_flags" in table.colnames:
        table["fit_flags"][bad] |= FIT_FLAGS["NOT_FINITE"]
    number = int(np.count_nonzero(bad))
    if number == 0:
        return
    first = int(np.flatnonzero(bad)[0])
    where = f"the first at RA {table['ra'][first]:.5f}, Dec {table['dec'][first]:.5f}"
    if number > max(_TOLERATED_ROWS, _TOLERATED_FRACTION * len(table)):
        raise LegacypipeError(
            f"{number} of {len(table)} sources have values that are not finite or a flux beyond what their images hold"
            f" ({where}): no catalogue is written; look at the input images there"
        )
    logger.warning(
        "%d sources have values that are not finite or a flux beyond what their images hold (%s): fitbits DOUBTFUL",
        number,
        where,
    )


def _mend_positions(table, target):
    ra, dec = (np.asarray(table[axis], np.float64) for axis in ("ra", "dec"))
    # A comparison with NaN is false.
    bad = ~(np.isfinite(ra) & (np.abs(dec) <= 90.0))
    for row in np.flatnonzero(bad):
        x, y = (float(table[name][row]) if name in table.colnames else np.nan for name in ("bx0", "by0"))
        if not (np.isfinite(x) and np.isfinite(y)):
            x, y = (target.width - 1) / 2.0, (target.height - 1) / 2.0
        table["ra"][row], table["dec"][row] = target.pixel_to_sky(x, y)
        table["bx"][row], table["by"][row] = x, y
        for name in ("ra_ivar", "dec_ivar"):
            table[name][row] = 0
    return bad


def _mend(table, name):
    """Zero for what is not finite in a column and in that of its inverse variance; returns the rows."""
    values = np.asarray(table[name])
    wrong = ~np.isfinite(values)
    ivar = f"{name}_ivar"
    if ivar in table.colnames:
        wrong |= ~np.isfinite(np.asarray(table[ivar]))
        table[ivar][wrong] = 0
    table[name][wrong] = 0
    return wrong.any(axis=1) if wrong.ndim == 2 else wrong
