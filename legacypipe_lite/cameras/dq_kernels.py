"""Kernels: data-quality codes of the Community Pipeline, and DECam's bleed trails."""

import numpy as np
from numba import njit


@njit(cache=True)
def remap_codes(codes, bits):
    """Bit mask of an image of data-quality codes.

    A pixel of code 1 (bad) next to one of code 3 (saturated) becomes saturated, too: the cores of saturated stars
    are rimmed by "bad" pixels.

    Parameters
    ----------
    codes : int32 array (h, w)
    bits : uint16 array (n,)
        Bits of each code; codes beyond give 0.

    Returns
    -------
    uint16 array (h, w)
    """
    h, w = codes.shape
    out = np.zeros((h, w), np.uint16)
    for y in range(h):
        for x in range(w):
            code = codes[y, x]
            if code == 1 and (
                (y > 0 and codes[y - 1, x] == 3)
                or (y < h - 1 and codes[y + 1, x] == 3)
                or (x > 0 and codes[y, x - 1] == 3)
                or (x < w - 1 and codes[y, x + 1] == 3)
            ):
                code = 3
            if 0 <= code < bits.size:
                out[y, x] = bits[code]
    return out


@njit(cache=True, nogil=True)
def columns_with(dq, bit):
    """Which columns of an image have a pixel with the bit (bool array)."""
    h, w = dq.shape
    found = np.zeros(w, np.uint16)
    for y in range(h):
        row = dq[y]
        for x in range(w):
            found[x] |= row[x] & np.uint16(bit)
    return found != 0


@njit(cache=True, nogil=True)
def _near_saturated(dq, x, bit, near):
    """Pixels of a column within a city-block distance of 2 of a saturated one."""
    h, w = dq.shape
    near[:] = False
    for dx in range(-2, 3):
        if not 0 <= x + dx < w:
            continue
        reach = 2 - abs(dx)
        for y in range(h):
            if dq[y, x + dx] & bit:
                near[max(y - reach, 0) : y + reach + 1] = True


@njit(cache=True, nogil=True)
def clean_bleeds(dq, satur_bit, bleed_bit):
    """Clear the bleed bit of pixels that are not connected to a saturated core, in place.

    A bleed pixel stays if it is near, but not in, a saturated core, or in an unbroken vertical run of bleed pixels
    that starts at such a place or at the first or last row of the image.

    Parameters
    ----------
    dq : uint16 array (h, w)
    satur_bit, bleed_bit : int
    """
    h, w = dq.shape
    columns = columns_with(dq, bleed_bit)
    near, reached = np.empty(h, np.bool_), np.empty(h, np.bool_)
    for x in range(w):
        if not columns[x]:
            continue
        _near_saturated(dq, x, satur_bit, near)
        touched = False
        for y in range(h):
            reached[y] = False
            if near[y]:
                touched = True
            elif dq[y, x] & bleed_bit:
                if y == 0:
                    touched = True
                reached[y] = touched
            else:
                touched = False
        touched = False
        for y in range(h - 1, -1, -1):
            if near[y]:
                touched = True
            elif dq[y, x] & bleed_bit:
                if y == h - 1:
                    touched = True
                if touched:
                    reached[y] = True
            else:
                touched = False
        for y in range(h):
            if near[y]:
                keep = not dq[y, x] & satur_bit
            else:
                keep = reached[y]
            if not keep:
                dq[y, x] &= ~np.uint16(bleed_bit)
