"""Kernels: the middle values of a float32 array, by counting the leading bits of the values, then the rest."""

import numpy as np
from numba import njit

__all__ = ["middle_values"]

_HALF_BITS = 16
_HALF = 1 << _HALF_BITS


@njit(cache=True, inline="always")
def _key(bits):
    """Unsigned number that orders float32 values, given as their bits, by size; as int64."""
    b = np.int64(bits)
    return 0xFFFFFFFF - b if b & 0x80000000 else b + 0x80000000


@njit(cache=True, nogil=True)
def _value(key, scratch):
    """The value of a key."""
    bits = key - 0x80000000 if key & 0x80000000 else 0xFFFFFFFF - key
    scratch.view(np.uint32)[0] = bits
    return scratch[0]


@njit(cache=True, nogil=True)
def _bin_of(counts, rank):
    """Bin that holds the value of a rank (from 0), and its rank within the bin."""
    for i in range(counts.size):
        if rank < counts[i]:
            return i, rank
        rank -= counts[i]
    return counts.size - 1, 0


@njit(cache=True, nogil=True)
def _count_leading(bits, where, counts):
    for k in range(bits.size):
        if where.size == 0 or where[k] > 0:
            counts[_key(bits[k]) >> _HALF_BITS] += 1


@njit(cache=True, nogil=True)
def _count_rest(bits, where, leading, counts):
    for k in range(bits.size):
        key = _key(bits[k])
        if key >> _HALF_BITS == leading and (where.size == 0 or where[k] > 0):
            counts[key & (_HALF - 1)] += 1


@njit(cache=True, nogil=True)
def middle_values(values, where):
    """The two middle values (twice the same of an odd number of values); NaN if there are none.

    Parameters
    ----------
    values : float32, 1-d
    where : float32, 1-d
        Values count where this is positive; empty: all do.
    """
    bits = values.view(np.uint32)
    leading = np.zeros(_HALF, np.int64)
    _count_leading(bits, where, leading)
    n = leading.sum()
    scratch = np.full(1, np.nan, np.float32)
    if n == 0:
        return scratch[0], scratch[0]
    rest = np.zeros(_HALF, np.int64)
    counted = -1
    low = high = np.int64(0)
    for which in range(2):
        first, rank = _bin_of(leading, (n - 1) // 2 if which == 0 else n // 2)
        if first != counted:
            rest[:] = 0
            _count_rest(bits, where, first, rest)
            counted = first
        second, _ = _bin_of(rest, rank)
        key = np.int64(first) << _HALF_BITS | np.int64(second)
        if which == 0:
            low = key
        else:
            high = key
    return _value(low, scratch), _value(high, scratch)
