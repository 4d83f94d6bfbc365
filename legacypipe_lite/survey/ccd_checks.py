"""Numbers of the CCD tables that cannot be: each costs its own CCD, with the reason."""

import functools
import time
from typing import Any

import numpy as np

from ..errors import InputError
from ..names import check_below, check_file_part

__all__ = ["LIMITS", "MAY_BE_MISSING", "impossible_number", "latest_mjd", "row_problems"]

#: Smallest and largest value, and what lies outside of them.
LIMITS = {
    "ra": (-360.0, 720.0, "not on the sky"),
    "dec": (-90.0, 90.0, "not on the sky"),
    "crval1": (-360.0, 720.0, "not on the sky"),
    "crval2": (-90.0, 90.0, "not on the sky"),
    "crpix1": (-1e7, 1e7, "no pixel near an image"),
    "crpix2": (-1e7, 1e7, "no pixel near an image"),
    "width": (1, 10**6, "no size of an image in pixels"),
    "height": (1, 10**6, "no size of an image in pixels"),
    "image_hdu": (0, 10**5, "no number of an HDU"),
    "ccdzpt": (1.0, 50.0, "no magnitude of one count per second"),
    "ccdraoff": (-60.0, 60.0, "no correction of an astrometric solution, in arcsec"),
    "ccddecoff": (-60.0, 60.0, "no correction of an astrometric solution, in arcsec"),
    "sig1": (1e-12, 1e12, "no noise of a pixel in nanomaggies"),
    "exptime": (1e-6, 1e9, "no exposure time in seconds"),
    "fwhm": (0.1, 200.0, "no seeing in pixels"),
}
#: Of these a value that is not there (NaN) can be found elsewhere.
MAY_BE_MISSING = ("exptime", "fwhm", "mjd_obs")
_EARLIEST_MJD = 15020.0  # the year 1900
_MJD_OF_1970 = 40587.0
#: Arcsec per pixel.
_MIN_SCALE, _MAX_SCALE = 1e-4, 3600.0


@functools.cache
def latest_mjd() -> float:
    """One year from now: images have no later dates (those with JD instead of MJD do)."""
    return _MJD_OF_1970 + time.time() / 86400.0 + 366.0


def impossible_number(name: str, value: float) -> str:
    """What is wrong with a number, or "".

    Parameters
    ----------
    name : str
        Column of the CCD table, a key of `LIMITS`, or "mjd_obs".
    value : float
    """
    value = float(value)
    if np.isnan(value) and name in MAY_BE_MISSING:
        return ""
    if name == "mjd_obs":
        if _EARLIEST_MJD <= value <= latest_mjd():
            return ""
        hint = ": a JD? MJD is JD - 2400000.5" if 2400000 < value < 2400000.5 + latest_mjd() else ""
        return f"mjd_obs is {value:.10g}, which is no date of an image{hint}"
    low, high, what = LIMITS[name]
    return "" if low <= value <= high else f"{name} is {value:.10g}, which is {what}"


def row_problems(ccds: Any) -> list[str]:
    """What makes rows of the CCD table useless.

    Parameters
    ----------
    ccds : astropy.table.Table
        With all columns, of their proper types.

    Returns
    -------
    list of str
        Row by row; "" if nothing does.
    """
    return [_first_problem(row) for row in ccds]


def _first_problem(row: Any) -> Any:
    try:
        check_below(str(row["image_filename"]), "image_filename")
        check_file_part(str(row["ccdname"]), "ccdname")
    except InputError as error:
        return f"{error} (CCD table)"
    for name in (*LIMITS, "mjd_obs"):
        problem = impossible_number(name, row[name])
        if problem:
            return f"{problem} (CCD table)"
    cd = [float(row[c]) for c in ("cd1_1", "cd1_2", "cd2_1", "cd2_2")]
    scale = 3600.0 * abs(cd[0] * cd[3] - cd[1] * cd[2]) ** 0.5 if np.all(np.isfinite(cd)) else np.nan
    if not _MIN_SCALE <= scale <= _MAX_SCALE:
        return f"the pixel scale of cd1_1 ... cd2_2 is {scale:.4g} arcsec, which cannot be (CCD table)"
    return ""
