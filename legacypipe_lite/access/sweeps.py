"""Names of sweep files."""

import math

from ..errors import UsageError

__all__ = ["sweep_name", "find_sweep"]

#: Width of a sweep file in RA [deg], by data model; all are 5 degrees high.
_WIDTHS = {"dr9": 10, "dr10": 5, "dr11": 5}
_HEIGHT = 5
_SUFFIXES = {"": "", "lightcurves": "-lc", "extra": "-ex"}


def sweep_name(ra: int, dec: int, width: int, suffix: str = "") -> str:
    """File name of the sweep with its lower corner at (ra, dec) [deg]."""

    def signed(d):
        return f"{'m' if d < 0 else 'p'}{abs(d):03d}"

    return f"sweep-{ra:03d}{signed(dec)}-{ra + width:03d}{signed(dec + _HEIGHT)}{suffix}.fits"


def find_sweep(ra: float, dec: float, data_model: str = "dr10", kind: str = "") -> str:
    """Name of the sweep file that holds a position.

    Parameters
    ----------
    ra, dec : float
        Degrees. Boxes are half-open; Dec 90 belongs to the last one.
    data_model : str
        "dr9" (10 x 5 degrees), "dr10" or "dr11" (5 x 5).
    kind : str
        "", "lightcurves" or "extra".

    Returns
    -------
    str

    Raises
    ------
    UsageError
    """
    if not (math.isfinite(ra) and math.isfinite(dec) and abs(dec) <= 90):
        raise UsageError(f"ra={ra} dec={dec} is not a position: give degrees, Dec within -90 to 90")
    if data_model not in _WIDTHS or kind not in _SUFFIXES:
        raise UsageError(f"no sweeps of {data_model!r} {kind!r}: {', '.join(_WIDTHS)}; {', '.join(_SUFFIXES)}")
    width = _WIDTHS[data_model]
    low_ra = int(math.floor((ra % 360.0) / width)) * width
    low_dec = min(int(math.floor(dec / _HEIGHT)) * _HEIGHT, 90 - _HEIGHT)
    return sweep_name(low_ra, low_dec, width, _SUFFIXES[kind])
