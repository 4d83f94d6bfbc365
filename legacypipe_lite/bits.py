"""Bit tables: pixel data-quality bits, mask bits of the brick, fit bits of a source, WISE mask bits.

The values are those of the Legacy Surveys data releases (https://www.legacysurvey.org/dr10/bitmasks/). MASKBITS
of the bands are assigned from the run's band list, see `maskbits_for_bands`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = [
    "Bit",
    "DQ",
    "DQ_SATURATED",
    "REFMAP",
    "MASKBITS_FIXED",
    "maskbits_for_bands",
    "FITBITS",
    "WISEMASK",
]


class Bit(NamedTuple):
    """One bit of a bit table.

    Attributes
    ----------
    name : str
        Name as published, e.g. ``"NPRIMARY"``.
    value : int
        Power of two.
    text : str
        Short meaning, used in headers and docs.
    """

    name: str
    value: int
    text: str


#: Data-quality bits of a tim's `dq` array (uint16).
DQ = {
    "badpix": 1,
    "satur": 2,
    "interp": 4,
    "cr": 16,
    "bleed": 64,
    "trans": 128,
    "edge": 256,
    "edge2": 512,
    "outlier": 2048,
}

#: Bits of `dq` that mean "saturated".
DQ_SATURATED = DQ["satur"]

#: Bits of the reference mask map (uint8): which reference objects cover a brick pixel.
REFMAP = {"BRIGHT": 1, "MEDIUM": 2, "CLUSTER": 4, "GALAXY": 8, "RESOLVED": 16, "MCLOUDS": 32}

#: Mask bits that do not depend on the bands, in the order of the published table.
MASKBITS_FIXED = (
    Bit("NPRIMARY", 0x1, "not primary brick area"),
    Bit("BRIGHT", 0x2, "bright star nearby"),
    Bit("WISEM1", 0x100, "WISE W1 (all masks)"),
    Bit("WISEM2", 0x200, "WISE W2 (all masks)"),
    Bit("BAILOUT", 0x400, "Bailed out processing"),
    Bit("MEDIUM", 0x800, "medium-bright star"),
    Bit("GALAXY", 0x1000, "SGA large galaxy"),
    Bit("CLUSTER", 0x2000, "Globular cluster"),
    Bit("SUB_BLOB", 0x10000, "large blobs broken up"),
    Bit("RESOLVED", 0x20000, "local dwarf galaxy"),
    Bit("MCLOUDS", 0x40000, "Magellanic Cloud"),
    Bit("WISE_GAIA", 0x80000, "WISE forced phot on Gaia stars only"),
)

_SATUR_VALUES = (0x4, 0x8, 0x10, 0x4000)
_ALLMASK_VALUES = (0x20, 0x40, 0x80, 0x8000)
_FIRST_EXTRA_VALUE = 0x100000


def maskbits_for_bands(bands: Sequence[str]) -> list[Bit]:
    """Mask bits of a run: the fixed ones and SATUR/ALLMASK of each band.

    The published values of SATUR_* and ALLMASK_* are handed out to the bands in the order of the list; bands
    beyond the fourth get new bits from 0x100000 on, SATUR then ALLMASK.

    Parameters
    ----------
    bands : sequence of str
        Bands of the run as given on the command line (``--bands``).

    Returns
    -------
    list of Bit
        Fixed bits first, then SATUR_b, ALLMASK_b per band.

    Examples
    --------
    >>> [(b.name, hex(b.value)) for b in maskbits_for_bands(["g"])[-2:]]
    [('SATUR_G', '0x4'), ('ALLMASK_G', '0x20')]
    """
    bits = list(MASKBITS_FIXED)
    extra = _FIRST_EXTRA_VALUE
    for i, band in enumerate(bands):
        name = band_suffix(band)
        if i < len(_SATUR_VALUES):
            satur, allmask = _SATUR_VALUES[i], _ALLMASK_VALUES[i]
        else:
            satur, allmask = extra, extra << 1
            extra <<= 2
        bits.append(Bit("SATUR_" + name, satur, f"{band} band saturated"))
        bits.append(Bit("ALLMASK_" + name, allmask, f"any ALLMASK_{name} bit set"))
    return bits


def band_suffix(band: str) -> str:
    """Band name as used in header keywords and bit names: upper case, ``-`` replaced by ``_``."""
    return band.upper().replace("-", "_")


#: Bits of the catalog column `fitbits` (int16).
FITBITS = (
    Bit("FORCED_POINTSOURCE", 0x1, "forced to be PSF"),
    Bit("FIT_BACKGROUND", 0x2, "background levels fit"),
    Bit("HIT_RADIUS_LIMIT", 0x4, "hit radius limit during fit"),
    Bit("HIT_SERSIC_LIMIT", 0x8, "hit Sersic index limit during fit"),
    Bit("FROZEN", 0x10, "parameters were not fit"),
    Bit("BRIGHT", 0x20, "bright star"),
    Bit("MEDIUM", 0x40, "medium-bright star"),
    Bit("GAIA", 0x80, "Gaia source"),
    Bit("TYCHO2", 0x100, "Tycho-2 star"),
    Bit("LARGEGALAXY", 0x200, "SGA large galaxy"),
    Bit("WALKER", 0x400, "fitting moved pos > 1 arcsec"),
    Bit("RUNNER", 0x800, "fitting moved pos > 2.5 arcsec"),
    Bit("GAIA_POINTSOURCE", 0x1000, "Gaia source treated as point source"),
    Bit("ITERATIVE", 0x2000, "source detected during iterative detection"),
)

#: Bits of the catalog columns `wisemask_w1`, `wisemask_w2` (uint8).
WISEMASK = (
    Bit("BRIGHT", 0x1, "Bright star core/wings"),
    Bit("SPIKE", 0x2, "PSF-based diffraction spike"),
    Bit("GHOST", 0x4, "Optical ghost"),
    Bit("LATENT", 0x8, "First latent"),
    Bit("LATENT2", 0x10, "Second latent image"),
    Bit("HALO", 0x20, "AllWISE-like circular halo"),
    Bit("SATUR", 0x40, "Bright star saturation"),
    Bit("SPIKE2", 0x80, "Geometric diffraction spike"),
)
