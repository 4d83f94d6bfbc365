"""What cannot be true in a reference catalogue: positions, motions, magnitudes and sizes are checked here, once."""

import logging

import numpy as np

__all__ = ["plausible_galaxies", "plausible_stars"]

logger = logging.getLogger(__name__)

#: Barnard's star moves by 10,400 mas/yr; Proxima has a parallax of 768 mas.
LARGEST_MOTION = 20_000.0  # mas/yr
LARGEST_PARALLAX = 1_000.0  # mas
EPOCHS = (1800.0, 2200.0)
#: No star is brighter (Sirius has -1.5).
BRIGHTEST = -2.0
#: The Large Magellanic Cloud has half of it.
LARGEST_RADIUS = 10.0  # deg

_MOTION = ("pmra", "pmdec", "parallax")


def plausible_stars(table, name):
    """Stars whose positions, motions and magnitudes can be true.

    Parameters
    ----------
    table : Table
        Columns of the reference table. Changed in place.
    name : str
        Of the catalogue, for messages.

    Returns
    -------
    Table
        Without rows that have no position. Motions that cannot be become zero (unknown), magnitudes that cannot be
        become 0 (unknown), and their masks vanish.
    """
    table = _with_position(table, name)
    _drop_motions(table, name)
    _drop_magnitudes(table, name)
    return table


def plausible_galaxies(table, sources, name):
    """Galaxies or clusters whose positions, sizes and models can be true.

    Parameters
    ----------
    table : Table
    sources : list of Source or None
        Row by row; an empty list if there are none.
    name : str

    Returns
    -------
    Table, list
        The rows that are left, and their sources.
    """
    good = _has_position(table)
    _say(name, ~good, "have no position and are left out")
    radius = np.asarray(table["radius"], float)
    sized = np.isfinite(radius) & (radius >= 0) & (radius <= LARGEST_RADIUS)
    _say(name, good & ~sized, f"have a size that cannot be (at most {LARGEST_RADIUS:g} degrees) and are left out")
    good &= sized
    if sources:
        drawable = np.array([source is None or _is_drawable(source) for source in sources], bool)
        _say(name, good & ~drawable, "have a model with values that are not finite or cannot be, and are left out")
        good &= drawable
        sources = [source for source, keep in zip(sources, good) if keep]
    return (table if good.all() else table[good]), sources


def _is_drawable(source):
    numbers = (source.ra, source.dec, source.shape_r, source.shape_e1, source.shape_e2, source.sersic)
    return (
        np.all(np.isfinite(numbers))
        and abs(source.dec) <= 90.0
        and 0.0 <= source.shape_r <= 3600.0 * LARGEST_RADIUS
        and np.all(np.isfinite(source.flux))
    )


def _has_position(table):
    ra, dec = (np.asarray(table[axis], float) for axis in ("ra", "dec"))
    # A comparison with NaN is false.
    return np.isfinite(ra) & (np.abs(ra) <= 720.0) & (np.abs(dec) <= 90.0)


def _with_position(table, name):
    good = _has_position(table)
    _say(name, ~good, "have no position and are left out")
    return table if good.all() else table[good]


def _drop_motions(table, name):
    """No motion where it, or the epoch from which it counts, cannot be."""
    columns = {column: np.asarray(table[column], float) for column in _MOTION if column in table.colnames}
    limits = {"parallax": LARGEST_PARALLAX}
    bad = np.zeros(len(table), bool)
    for column, values in columns.items():
        bad |= ~(np.abs(values) <= limits.get(column, LARGEST_MOTION))
    if "ref_epoch" in table.colnames:
        epoch = np.asarray(table["ref_epoch"], float)
        undated = ~((epoch >= EPOCHS[0]) & (epoch <= EPOCHS[1]))
        bad |= undated & np.any([values != 0 for values in columns.values()], axis=0)
        table["ref_epoch"][undated] = 0
    _say(name, bad, "have a proper motion, parallax or epoch that cannot be; they are taken for stars that do not move")
    for column in columns:
        table[column][bad] = 0
        if column + "_ivar" in table.colnames:
            table[column + "_ivar"][bad] = 0


def _drop_magnitudes(table, name):
    """Unknown magnitudes (0) instead of those that cannot be, and no mask."""
    mag = np.asarray(table["mag"], float)
    bad = ~(mag >= BRIGHTEST)
    for column in table.colnames:
        if column.startswith("decam_mag_"):
            bad |= ~(np.asarray(table[column], float) >= BRIGHTEST)
    for column in ("radius", "keep_radius"):
        bad |= ~np.isfinite(np.asarray(table[column], float))
    _say(name, bad, f"have a magnitude that cannot be (below {BRIGHTEST:g} or not finite), which is taken as unknown")
    if not bad.any():
        return
    for column in table.colnames:
        if column in ("mag", "zguess", "radius", "keep_radius"):
            table[column][bad] = 0
        elif column.startswith("decam_mag_"):
            table[column][bad] = 30
        elif column == "mask_mag":
            table[column][bad] = 99
        elif column in ("isbright", "ismedium"):
            table[column][bad] = False


def _say(name, which, what):
    number = int(np.count_nonzero(which))
    if number:
        logger.warning("%s: %d of %d objects %s", name, number, len(which), what)
