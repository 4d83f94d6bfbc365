"""Reading catalogues back, with units that can be computed with."""

from pathlib import Path

import numpy as np
from astropy.table import Column, QTable

from ..errors import InputError
from ..tables import native_array, open_fits
from .units import unit_of

__all__ = ["read_catalog"]


def read_catalog(path: str | Path) -> QTable:
    """Read a catalogue (tractor, tractor-i, sweep or any other table of an output tree) with its units.

    Parameters
    ----------
    path : str or Path
        A FITS file; its first table is read.

    Returns
    -------
    astropy.table.QTable
        Columns with a unit are quantities, whatever release spelled the unit: fluxes are ``nmgy`` (nanomaggies),
        inverse variances ``1 / nmgy2``. Strings come without trailing blanks. ``meta`` holds the primary header.

    Raises
    ------
    InputError
        If the file is missing or damaged, or has no table.

    Examples
    --------
    >>> from legacypipe_lite import read_catalog
    >>> stars = read_catalog("tractor/110/tractor-1102p240.fits")  # doctest: +SKIP
    >>> stars["flux_r"][0].to("uJy", u.zero_point_flux(3631.1 * u.Jy))  # doctest: +SKIP
    """
    with open_fits(path) as fits:
        number = next((i for i, hdu in enumerate(fits) if hdu.get_exttype() != "IMAGE_HDU"), None)
        if number is None:
            raise InputError(f"{path}: no table in this file")
        primary, header = fits[0].read_header(), fits[number].read_header()
        try:
            rows = native_array(fits[number].read())
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: its table cannot be read: {' '.join(str(error).split())}") from error
    table = QTable()
    for i, name in enumerate(rows.dtype.names or (), 1):
        values = rows[name]
        if values.dtype.kind == "U":
            values = np.char.rstrip(values)
        unit = unit_of(str(header.get(f"TUNIT{i}") or "").strip())
        table[name] = Column(values, name=name, unit=unit)
    table.meta.update((key, primary[key]) for key in primary if key not in ("COMMENT", "HISTORY", "", "CONTINUE"))
    return table
