import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from legacypipe_lite.bits import DQ
from legacypipe_lite.cameras.dq import bits_from_codes, clean_bleeds, mark_edges, trimmed

SATUR, BLEED, BADPIX, EDGE = DQ["satur"], DQ["bleed"], DQ["badpix"], DQ["edge"]


def remap_plain(codes, ignored=()):
    """Plain NumPy twin of the kernel."""
    saturated = codes == 3
    beside = np.zeros_like(saturated)
    beside[1:] |= saturated[:-1]
    beside[:-1] |= saturated[1:]
    beside[:, 1:] |= saturated[:, :-1]
    beside[:, :-1] |= saturated[:, 1:]
    codes = np.where((codes == 1) & beside, 3, codes)
    bits = np.zeros(codes.shape, np.uint16)
    names = {1: "badpix", 2: "badpix", 3: "satur", 4: "bleed", 5: "cr", 6: "badpix", 7: "trans", 8: "trans"}
    for code, name in names.items():
        if code not in ignored:
            bits[codes == code] = DQ[name]
    return bits


def test_table_of_codes():
    codes = np.array([[0, 1, 2, 0, 3, 0, 4, 5, 6, 7, 8, 9, -1]], np.int32)
    expected = [0, 1, 1, 0, SATUR, 0, BLEED, DQ["cr"], 1, DQ["trans"], DQ["trans"], 0, 0]
    bits = bits_from_codes(codes)
    assert bits.dtype == np.uint16 and bits[0].tolist() == expected
    assert bits_from_codes(codes, (5, 7, 8))[0, 7:].tolist() == [0, 1, 0, 0, 0, 0]


def test_bad_rim_of_a_saturated_core():
    codes = np.zeros((7, 7), np.int32)
    codes[2:5, 2:5] = 1
    codes[3, 3] = 3
    bits = bits_from_codes(codes)
    assert (bits == SATUR).sum() == 5 and (bits == BADPIX).sum() == 4
    assert bits[3, 2] == SATUR and bits[2, 2] == BADPIX  # four neighbours, and only one step


@pytest.mark.parametrize("ignored", [(), (8,), (5, 8), (7, 8)])
def test_kernel_equals_its_twin(ignored):
    codes = np.random.default_rng(1).choice(10, size=(60, 50), p=[0.5] + [0.5 / 9] * 9).astype(np.int32)
    codes[0], codes[:, -1] = np.resize([1, 3], 50), np.resize([3, 1], 60)
    np.testing.assert_array_equal(bits_from_codes(codes, ignored), remap_plain(codes, ignored))
    np.testing.assert_array_equal(
        bits_from_codes(codes[::-1].astype(">i4"), ignored), remap_plain(codes[::-1], ignored)
    )


def clean_plain(dq):
    """Plain NumPy twin: keep a bleed pixel as the two-sweep rule says."""
    bleed, saturated = (dq & BLEED) != 0, (dq & SATUR) != 0
    near = binary_dilation(saturated, iterations=2)
    seeds = near.copy()
    seeds[0] |= bleed[0]
    seeds[-1] |= bleed[-1]
    reach = seeds.copy()
    for rows in (range(1, len(dq)), range(len(dq) - 2, -1, -1)):
        swept = seeds.copy()
        for y in rows:
            before = y - 1 if rows.step == 1 else y + 1
            swept[y] |= swept[before] & bleed[y] & ~near[y]
        reach |= swept
    keep = bleed & reach & ~saturated
    return np.where(bleed & ~keep, dq & ~np.uint16(BLEED), dq)


def bleed_scene():
    dq = np.zeros((40, 30), np.uint16)
    dq[18:22, 10:13] = SATUR
    dq[5:35, 11] |= BLEED  # a trail through the core
    dq[20:30, 20:28] = BLEED  # part of a round star mask, apart from the core
    dq[0:4, 3] = BLEED  # trail of a star beyond the first row
    dq[8:12, 3] = BLEED
    return dq


def test_bleeds():
    dq = bleed_scene()
    clean_bleeds(dq)
    bleed = (dq & BLEED) != 0
    assert bleed[5:18, 11].all() and bleed[22:35, 11].all()
    assert not bleed[20:30, 20:28].any()
    assert bleed[0:4, 3].all() and not bleed[8:12, 3].any()
    assert not bleed[18:22, 11].any()  # the core is saturated, not bleeding


def test_broken_trail():
    dq = bleed_scene()
    dq[10, 11] = 0
    clean_bleeds(dq)
    bleed = (dq & BLEED) != 0
    assert bleed[11:18, 11].all() and not bleed[5:11, 11].any()


@pytest.mark.parametrize("seed", range(5))
def test_bleed_kernel_equals_its_twin(seed):
    rng = np.random.default_rng(seed)
    dq = np.where(rng.random((50, 40)) < 0.6, BLEED, 0).astype(np.uint16)
    dq |= np.where(rng.random((50, 40)) < 0.01, SATUR, 0).astype(np.uint16)
    dq |= np.where(rng.random((50, 40)) < 0.1, BADPIX, 0).astype(np.uint16)
    expected = clean_plain(dq)
    clean_bleeds(dq)
    np.testing.assert_array_equal(dq, expected)


def test_bleeds_without_a_saturated_core():
    dq = np.zeros((10, 10), np.uint16)
    dq[3:6, 4] = BLEED
    dq[7:, 8] = BLEED
    clean_bleeds(dq)
    assert dq[3:6, 4].sum() == 0 and (dq[7:, 8] == BLEED).all()


def test_edges():
    dq = np.zeros((20, 20), np.uint16)
    dq[2:5, 0:3] = SATUR | BADPIX
    dq[5, 2] = BLEED  # same region
    dq[6, 3] = SATUR  # touches it only at a corner
    dq[10:12, 17:20] = BLEED
    dq[15, 10] = SATUR
    dq[0, 10] = SATUR  # first row: not an edge column
    before = dq.copy()
    mark_edges(dq)
    assert (dq[2:5, 0:3] == EDGE).all() and dq[5, 2] == EDGE and (dq[10:12, 17:20] == EDGE).all()
    for pixel in ((6, 3), (15, 10), (0, 10)):
        assert dq[pixel] == before[pixel]
    assert (dq == EDGE).sum() == 9 + 1 + 6


def test_no_edges():
    dq = np.zeros((20, 20), np.uint16)
    dq[5:8, 5:8] = SATUR
    dq[3, 0] = BADPIX
    before = dq.copy()
    mark_edges(dq)
    np.testing.assert_array_equal(dq, before)


def test_trimmed():
    weights = np.ones((12, 15), np.float32)
    weights[:2] = 0
    weights[-1] = 0
    weights[:, :3] = 0
    weights[6, 7] = 0
    y, x = trimmed(weights)
    assert (y.start, y.stop, x.start, x.stop) == (2, 11, 3, 15)
    assert trimmed(np.zeros((5, 5))) is None
