"""Data-quality maps: from the codes of the image processing to the bits used here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from ..bits import DQ
from . import dq_kernels as kernels

__all__ = [
    "bits_from_codes",
    "clean_bleeds",
    "describe_unknown",
    "integer_codes",
    "mark_edges",
    "trimmed",
    "unknown_codes",
]

#: Bits of each Community Pipeline code (each pixel has one code).
_CODE_BITS = {
    1: DQ["badpix"],
    2: DQ["badpix"],
    3: DQ["satur"],
    4: DQ["bleed"],
    5: DQ["cr"],
    6: DQ["badpix"],
    7: DQ["trans"],
    8: DQ["trans"],
}

#: Stands for values of a data-quality map that are no integers.
NO_CODE = -(2**31)
_LISTED_CODES = 5

_EDGE_CAUSES = DQ["satur"] | DQ["bleed"]


def integer_codes(values: NDArray) -> NDArray[np.int32]:
    """Data-quality codes from a map of any type.

    Parameters
    ----------
    values : numpy.ndarray, shape (h, w)
        Integers or floats.

    Returns
    -------
    numpy.ndarray of int32, shape (h, w)
        `NO_CODE` where the value is no integer that fits.
    """
    if values.dtype.kind in "iub" and values.dtype.itemsize <= 4 and values.dtype != np.uint32:
        return values.astype(np.int32)
    with np.errstate(invalid="ignore"):
        good = (values == np.rint(values)) & (np.abs(values) < 2**31)
    return np.where(good, values, NO_CODE).astype(np.int32)


def unknown_codes(codes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which pixels have a code that means nothing; bool.

    Parameters
    ----------
    codes : numpy.ndarray of int32, shape (h, w)
        0 is a good pixel.
    """
    # The codes that mean something have no gaps.
    return (codes < 0) | (codes > max(_CODE_BITS))


def describe_unknown(name: str, codes: NDArray[np.int32]) -> str:
    """One line about pixels whose code means nothing.

    Parameters
    ----------
    name : str
        Of the image.
    codes : numpy.ndarray of int32
        Of these pixels.

    Returns
    -------
    str
    """
    values, numbers = np.unique(codes, return_counts=True)
    parts = [
        f"{'no code' if value == NO_CODE else value} ({number})"
        for value, number in zip(values[:_LISTED_CODES], numbers)
    ]
    more = ", ..." if len(values) > _LISTED_CODES else ""
    return (
        f"{name}: data-quality codes that mean nothing for this camera are masked, {len(codes)} pixels: code (pixels)"
        f" {', '.join(parts)}{more}; a camera class can give them a meaning (remap_dq)"
    )


def bits_from_codes(codes: NDArray[np.integer], ignored: Sequence[int] = ()) -> NDArray[np.uint16]:
    """Data-quality bits of an image of Community Pipeline codes.

    Parameters
    ----------
    codes : numpy.ndarray of int, shape (h, w)
    ignored : sequence of int
        Codes that mean nothing here.

    Returns
    -------
    numpy.ndarray of uint16, shape (h, w)
        Bits of `bits.DQ`.
    """
    table = np.zeros(max(_CODE_BITS) + 1, np.uint16)
    for code, bit in _CODE_BITS.items():
        if code not in ignored:
            table[code] = bit
    return kernels.remap_codes(np.ascontiguousarray(codes, np.int32), table)


def clean_bleeds(dq: NDArray[np.uint16]) -> None:
    """Clear, in place, bleed bits that do not belong to a saturated star.

    Some versions of the DECam processing copied the large round masks of bright stars into the bleed code.
    """
    kernels.clean_bleeds(dq, DQ["satur"], DQ["bleed"])


def mark_edges(dq: NDArray[np.uint16]) -> None:
    """Turn saturated regions that touch the first or last column into edge, in place.

    The processing marks the vertical edge bands of some CCDs as saturated.
    """
    marked = (dq & _EDGE_CAUSES) != 0
    if not (np.any(marked[:, 0]) or np.any(marked[:, -1])):
        return
    regions, _ = label(marked)
    touching = np.union1d(regions[:, 0], regions[:, -1])
    dq[np.isin(regions, touching[touching > 0])] = DQ["edge"]


def trimmed(invvar: NDArray[np.float32]) -> tuple[slice, slice] | None:
    """Slices (y, x) without the leading and trailing rows, then columns, of zero weight; None if nothing is left."""
    used = invvar > 0
    rows = np.flatnonzero(np.any(used, axis=1))
    if len(rows) == 0:
        return None
    y = slice(int(rows[0]), int(rows[-1]) + 1)
    columns = np.flatnonzero(np.any(used[y], axis=0))
    return y, slice(int(columns[0]), int(columns[-1]) + 1)
