"""The map of mask bits of a brick."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..bits import MASKBITS_FIXED, REFMAP, band_suffix, maskbits_for_bands

__all__ = ["maskbits_map"]

_VALUES = {bit.name: bit.value for bit in MASKBITS_FIXED}


def maskbits_map(
    shape: tuple[int, int],
    run_bands: Sequence[str],
    *,
    unique: NDArray[np.bool_] | None = None,
    refmap: NDArray[np.uint8] | None = None,
    saturated: dict[str, NDArray[np.bool_]] | None = None,
    allmask: dict[str, NDArray] | None = None,
    bailout: NDArray[np.bool_] | None = None,
    sub_blob: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """Mask bits of every target pixel (all but the WISE bits).

    Parameters
    ----------
    shape : (int, int)
        Of the target.
    run_bands : sequence of str
        Bands that the run was asked for (not only those with images): they decide the values of the band bits,
        see `bits.maskbits_for_bands`.
    unique : numpy.ndarray of bool, optional
        Pixels of the brick's own area; None for a custom brick, where no pixel is NPRIMARY.
    refmap : numpy.ndarray of uint8, optional
        `bits.REFMAP` bits.
    saturated : dict of str -> numpy.ndarray of bool, optional
        Band -> saturated pixels.
    allmask : dict of str -> numpy.ndarray, optional
        Band -> data-quality bits that all its images have (non-zero sets ALLMASK).
    bailout, sub_blob : numpy.ndarray of bool, optional

    Returns
    -------
    numpy.ndarray of int32, shape `shape`
    """
    maskbits = np.zeros(shape, np.int32)
    band_values = {bit.name: bit.value for bit in maskbits_for_bands(run_bands)}

    def set_bit(value, where):
        maskbits[np.asarray(where, bool)] |= value

    if unique is not None:
        set_bit(_VALUES["NPRIMARY"], ~unique)
    if refmap is not None:
        for name, bit in REFMAP.items():
            set_bit(_VALUES[name], refmap & bit)
    for prefix, maps in (("SATUR_", saturated), ("ALLMASK_", allmask)):
        for band, where in (maps or {}).items():
            set_bit(band_values[prefix + band_suffix(band)], where)
    if bailout is not None:
        set_bit(_VALUES["BAILOUT"], bailout)
    if sub_blob is not None:
        set_bit(_VALUES["SUB_BLOB"], sub_blob)
    return maskbits
