"""Bit tables: pixel data-quality bits, mask bits of the brick, fit bits of a source, WISE mask bits.

The values are those of the Legacy Surveys data releases (https://www.legacysurvey.org/dr10/bitmasks/). MASKBITS
of the bands depend on the data model, see `maskbits_for_bands`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bit",
    "DQ",
    "DQ_SATURATED",
    "REFMAP",
    "MASKBITS_FIXED",
    "maskbits_for_bands",
    "bands_without_maskbits",
    "stored_maskbits",
    "FITBITS",
    "FIT_FLAGS",
    "DOUBTFUL_FLAGS",
    "fit_flag_bits",
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
    short : str
        Up to five characters for header keywords of eight, as published with DR9 and DR10; "" if it has none.
    """

    name: str
    value: int
    text: str
    short: str = ""


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
    Bit("NPRIMARY", 0x1, "not primary brick area", "NPRIM"),
    Bit("BRIGHT", 0x2, "bright star nearby", "BRIGH"),
    Bit("WISEM1", 0x100, "WISE W1 (all masks)", "WISE1"),
    Bit("WISEM2", 0x200, "WISE W2 (all masks)", "WISE2"),
    Bit("BAILOUT", 0x400, "Bailed out processing", "BAIL"),
    Bit("MEDIUM", 0x800, "medium-bright star", "MED"),
    Bit("GALAXY", 0x1000, "SGA large galaxy", "GAL"),
    Bit("CLUSTER", 0x2000, "Globular cluster", "CLUST"),
    Bit("SUB_BLOB", 0x10000, "large blobs broken up", "SUBBL"),
    Bit("RESOLVED", 0x20000, "local dwarf galaxy", "RESOL"),
    Bit("MCLOUDS", 0x40000, "Magellanic Cloud", "MCLOU"),
    Bit("WISE_GAIA", 0x80000, "WISE forced phot on Gaia stars only", "WGAIA"),
)

#: Band -> values of its bits SATUR and ALLMASK in the published tables.
_PUBLISHED_BANDS = {"g": (0x4, 0x20), "r": (0x8, 0x40), "z": (0x10, 0x80), "i": (0x4000, 0x8000)}

#: Pairs of bits for five other bands; the next pair would need the sign.
_OTHER_VALUES = [(0x100000 << 2 * i, 0x200000 << 2 * i) for i in range(5)]

#: Bits that a mask of the dr9 data model holds: it has 16.
_DR9_BITS = 0xFFFF


def maskbits_for_bands(bands: Sequence[str], data_model: str = "dr10") -> list[Bit]:
    """Mask bits of a run: the fixed ones and SATUR/ALLMASK of each band.

    dr9 and dr10: g, r, z and i have the published values, whatever the order of the bands. In dr10 other bands get two
    bits each from 0x100000 on, in the order of the list; there are enough for five. dr9 has no bits for other bands,
    and none above 0x8000. dr11: the published values are handed out to the bands in the order of the list, then those
    from 0x100000 on, as the reference implementation does.

    Parameters
    ----------
    bands : sequence of str
        Bands of the run as given on the command line (``--bands``).
    data_model : str
        "dr9", "dr10" or "dr11".

    Returns
    -------
    list of Bit
        Fixed bits first, then SATUR_b, ALLMASK_b per band that has bits (see `bands_without_maskbits`).

    Examples
    --------
    >>> [(b.name, hex(b.value)) for b in maskbits_for_bands(["g", "i"])[-2:]]
    [('SATUR_I', '0x4000'), ('ALLMASK_I', '0x8000')]
    >>> [(b.name, hex(b.value)) for b in maskbits_for_bands(["g", "i"], "dr11")[-2:]]
    [('SATUR_I', '0x8'), ('ALLMASK_I', '0x40')]
    """
    bits = [bit for bit in MASKBITS_FIXED if data_model != "dr9" or bit.value <= _DR9_BITS]
    for band, (satur, allmask) in _band_values(bands, data_model).items():
        name = band_suffix(band)
        short = name if len(name) == 1 else ""
        bits.append(Bit("SATUR_" + name, satur, f"{band} band saturated", short and "SAT_" + short))
        bits.append(Bit("ALLMASK_" + name, allmask, f"any ALLMASK_{name} bit set", short and "ALL_" + short))
    return bits


def _band_values(bands: Sequence[str], data_model: str) -> dict[str, tuple[int, int]]:
    """Band -> values of SATUR and ALLMASK, of the bands that have bits."""
    if data_model == "dr11":
        return dict(zip(bands, [*_PUBLISHED_BANDS.values(), *_OTHER_VALUES]))
    others = [] if data_model == "dr9" else [band for band in bands if band not in _PUBLISHED_BANDS]
    values = {**_PUBLISHED_BANDS, **dict(zip(others, _OTHER_VALUES))}
    return {band: values[band] for band in bands if band in values}


def bands_without_maskbits(bands: Sequence[str], data_model: str = "dr10") -> list[str]:
    """Bands for which the mask of a data model has no bits (see `maskbits_for_bands`)."""
    return [band for band in bands if band not in _band_values(bands, data_model)]


def stored_maskbits(maskbits: NDArray[np.int32], data_model: str) -> NDArray:
    """Mask bits in the type in which a data model stores them: int16 in dr9, without the higher bits, else int32."""
    maskbits = np.asarray(maskbits)
    return (maskbits & _DR9_BITS).astype(np.uint16).view(np.int16) if data_model == "dr9" else maskbits


def band_suffix(band: str) -> str:
    """Band name as used in header keywords and bit names: upper case, ``-`` replaced by ``_``."""
    return band.upper().replace("-", "_")


#: Bits of the catalog column `fitbits` (int16).
FITBITS = (
    Bit("FORCED_POINTSOURCE", 0x1, "forced to be PSF", "FPSF"),
    Bit("FIT_BACKGROUND", 0x2, "background levels fit", "FITBG"),
    Bit("HIT_RADIUS_LIMIT", 0x4, "hit radius limit during fit", "RLIM"),
    Bit("HIT_SERSIC_LIMIT", 0x8, "hit Sersic index limit during fit", "SLIM"),
    Bit("FROZEN", 0x10, "parameters were not fit", "FROZE"),
    Bit("BRIGHT", 0x20, "bright star", "BRITE"),
    Bit("MEDIUM", 0x40, "medium-bright star", "MED"),
    Bit("GAIA", 0x80, "Gaia source", "GAIA"),
    Bit("TYCHO2", 0x100, "Tycho-2 star", "TYCHO"),
    Bit("LARGEGALAXY", 0x200, "SGA large galaxy", "LGAL"),
    Bit("WALKER", 0x400, "fitting moved pos > 1 arcsec", "WALK"),
    Bit("RUNNER", 0x800, "fitting moved pos > 2.5 arcsec", "RUN"),
    Bit("GAIA_POINTSOURCE", 0x1000, "Gaia source treated as point source", "GPSF"),
    Bit("ITERATIVE", 0x2000, "source detected during iterative detection", "ITER"),
    Bit("DOUBTFUL", 0x4000, "doubtful fit, see fit_flags of tractor-i", "DOUBT"),
)

#: Bits of the column `fit_flags` (int32) of tractor-i: what happened to a source during the fit.
_FIT_FLAG_BITS = (
    Bit("JOINT", 0x1, "fitted together with its neighbors"),
    Bit("RESELECTED", 0x2, "type chosen again after a joint fit"),
    Bit("PUT_BACK", 0x4, "ran away in a joint fit and was put back"),
    Bit("NEIGHBOR_REMOVED", 0x8, "an overlapping source was removed by the final check"),
    Bit("REPLACED", 0x10, "the final check gave it another type or flux"),
    Bit("BOUNDED", 0x20, "a flux was bounded by all pixels of the model"),
    Bit("NOT_FINITE", 0x40, "a flux or its gain was not finite"),
    Bit("BAD_RESIDUALS", 0x80, "large chi-squared over its model"),
    Bit("UNFITTED", 0x100, "not fitted: its blob was left out, or its fit failed"),
    Bit("TIMED_OUT", 0x200, "its blob took too long"),
)
FIT_FLAGS = {bit.name: bit.value for bit in _FIT_FLAG_BITS}
#: Those that make a row doubtful: the fit bit DOUBTFUL.
DOUBTFUL_FLAGS = sum(FIT_FLAGS[name] for name in ("REPLACED", "NOT_FINITE", "BAD_RESIDUALS", "UNFITTED", "TIMED_OUT"))


def fit_flag_bits() -> tuple[Bit, ...]:
    """Bits of `fit_flags`, for documents."""
    return _FIT_FLAG_BITS


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
