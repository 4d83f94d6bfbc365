import numpy as np
import pytest

from legacypipe_lite.bits import MASKBITS_FIXED, bands_without_maskbits, maskbits_for_bands, stored_maskbits
from legacypipe_lite.coadds.maskbits import maskbits_map
from legacypipe_lite.survey.header import bit_cards

#: Values of SATUR and ALLMASK as published.
PUBLISHED = {"g": (0x4, 0x20), "r": (0x8, 0x40), "z": (0x10, 0x80), "i": (0x4000, 0x8000)}
POSITIONS = [(0x4, 0x20), (0x8, 0x40), (0x10, 0x80), (0x4000, 0x8000), (0x100000, 0x200000), (0x400000, 0x800000)]


def values(bands, model):
    bits = {bit.name: bit.value for bit in maskbits_for_bands(bands, model)}
    return [(bits.get("SATUR_" + band.upper()), bits.get("ALLMASK_" + band.upper())) for band in bands]


@pytest.mark.parametrize("model", ["dr9", "dr10"])
@pytest.mark.parametrize("bands", ["griz", "grzi", "zirg", "i", "zr"])
def test_published_bits_follow_the_name(bands, model):
    assert values(bands, model) == [PUBLISHED[band] for band in bands]


def test_other_bands():
    assert values("ugYrN", "dr10") == [
        (0x100000, 0x200000),
        (0x4, 0x20),
        (0x400000, 0x800000),
        (0x8, 0x40),
        (0x1000000, 0x2000000),
    ]
    assert values("ugr", "dr9")[0] == (None, None)
    assert values("griz", "dr11") == POSITIONS[:4] and values("ziugrY", "dr11") == POSITIONS


def test_no_more_bits_than_an_integer_has():
    bands = [f"n{i}" for i in range(7)]
    for model, left in (("dr10", bands[5:]), ("dr9", bands), ("dr11", [])):
        assert bands_without_maskbits(bands, model) == left
        named = [bit.value for bit in maskbits_for_bands(bands, model)]
        assert len(set(named)) == len(named) and max(named) < 2**31
    assert bands_without_maskbits([*bands, "a", "b", "c"], "dr11") == ["c"]
    saturated = {band: np.ones((1, 1), bool) for band in bands}
    assert maskbits_map((1, 1), bands, "dr10", saturated=saturated)[0, 0] == sum(0x100000 << 2 * i for i in range(5))


def test_dr9_has_sixteen_bits():
    assert all(bit.value <= 0xFFFF for bit in maskbits_for_bands("griz", "dr9"))
    stored = stored_maskbits(np.array([0x30001, 0x8004], np.int32), "dr9")
    assert stored.dtype == np.int16 and (stored.astype(np.int64) & 0xFFFF).tolist() == [0x1, 0x8004]
    kept = np.array([0x30001], np.int32)
    assert stored_maskbits(kept, "dr10") is kept


def test_short_cards_beside_the_long_ones():
    cards = {card[0]: card[1] for card in bit_cards(maskbits_for_bands("gi"), "M", "maskbit", short=True)}
    assert cards["MB_NPRIMARY"] == cards["MB_NPRIM"] == 1 and cards["MB_SAT_I"] == 0x4000 and cards["MB_ALL_G"] == 0x20
    shorts = [bit.short for bit in MASKBITS_FIXED]
    assert len(set(shorts)) == len(shorts) and all(0 < len(short) <= 5 for short in shorts)
    assert "MB_NPRIM" not in {card[0] for card in bit_cards(MASKBITS_FIXED, "M", "maskbit")}
