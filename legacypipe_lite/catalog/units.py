"""Units of the catalogues' columns: what the spellings in the files mean."""

from functools import lru_cache

from astropy import units

__all__ = ["unit_of"]

_NANOMAGGY = units.Unit("nmgy")  # nanomaggy

#: Spellings that astropy does not know, or that it takes for something else.
_SPELLINGS = {
    "nanomaggy": _NANOMAGGY,
    "1/nanomaggy^2": _NANOMAGGY**-2,
    "nanomaggies": _NANOMAGGY,
    "nanomaggies^(-2)": _NANOMAGGY**-2,
    "1/(mas/yr)^2": (units.mas / units.yr) ** -2,
    "(mas/yr)^(-2)": (units.mas / units.yr) ** -2,
    "days": units.day,
    "magnitudes": units.mag,
}


@lru_cache
def unit_of(spelling: str) -> units.UnitBase | None:
    """The unit that a spelling of any data model means.

    Parameters
    ----------
    spelling : str
        As of a TUNIT card, e.g. "1/nanomaggy^2"; "" for no unit.

    Returns
    -------
    astropy.units.UnitBase or None
        An `astropy.units.UnrecognizedUnit` for what nobody knows.
    """
    if not spelling:
        return None
    return _SPELLINGS.get(spelling) or units.Unit(spelling, parse_strict="silent")
