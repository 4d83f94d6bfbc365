"""WISE light curves: the atlas of epochs, and which epochs are kept."""

import fitsio
import numpy as np
import pytest
from wise_synthetic import MockTile, write_atlas

from legacypipe_lite.errors import InputError
from legacypipe_lite.wise.lightcurves import Atlas, choose_epochs

MJD = np.array([55361.0, 55547.0, *(56647 + 182.625 * j for j in range(18))])


def chosen(nobs, length=17):
    return choose_epochs(np.array([nobs]), MJD[np.newaxis, : len(nobs)], length)[0].tolist()


def test_all_epochs_fit():
    assert chosen([14, 13, 14], 5) == [0, 1, 2, -1, -1]
    assert choose_epochs(np.zeros((4, 0), int), np.zeros((4, 0)), 3).tolist() == [[-1] * 3] * 4
    assert choose_epochs(np.zeros((0, 9), int), np.zeros((0, 9)), 3).shape == (0, 3)


def test_published_cases():
    nobs = [14, 13] + [13] * 18
    assert chosen(nobs) == list(range(17))
    for bad in (3, 8, 11):
        nobs[bad] = 2
    assert chosen(nobs) == [i for i in range(20) if i not in (3, 8, 11)]


def twin(nobs, mjd, length):
    """One source at a time, in words of the data model."""
    if len(nobs) <= length:
        return list(range(len(nobs))) + [-1] * (length - len(nobs))
    threshold = min(sorted(nobs, reverse=True)[length - 1], 12)
    candidates = [i for i, n in enumerate(nobs) if n >= threshold]
    if len(candidates) == length:
        return candidates
    kept = [min(candidates, key=lambda i: mjd[i])]
    start = mjd[kept[0]]
    for j in range(1, length):
        time = start + j * 182.625
        if start < 56000 and time > 55593:
            time += 1046 - 182.625
        kept.append(min((i for i in candidates if i not in kept), key=lambda i: abs(mjd[i] - time)))
    return sorted(kept)


def test_choice_equals_twin():
    rng = np.random.default_rng(1)
    for epochs, length in ((25, 17), (18, 17), (30, 11), (12, 17)):
        nobs = rng.integers(0, 20, (200, epochs))
        mjd = np.sort(rng.uniform(55300, 59500, (200, epochs)), axis=1)
        ours = choose_epochs(nobs, mjd, length)
        for row, n, m in zip(ours.tolist(), nobs.tolist(), mjd.tolist()):
            assert row == twin(n, m, length)


def test_source_without_data_keeps_some_epochs():
    index = choose_epochs(np.zeros((1, 20), int), np.zeros((1, 20)), 17)
    assert len(set(index[0].tolist())) == 17 and index.min() >= 0


def test_atlas_of_the_real_field(testdata):
    atlas = Atlas(testdata / "realdata" / "testcase4" / "images" / "unwise-tr")
    assert atlas.coadd_ids == ["1866p257"]
    assert atlas.epochs("1866p257", 1) == atlas.epochs("1866p257", 2) == list(range(12))
    with pytest.raises(KeyError):
        atlas.epochs("1866p258", 1)


def test_bits_of_the_bands(tmp_path):
    write_atlas(tmp_path, [MockTile("0000p000", 0.0, 0.0)], [[3, 1, 2, 0, 3]])
    atlas = Atlas(tmp_path)
    assert atlas.epochs("0000p000", 1) == [0, 1, 4] and atlas.epochs("0000p000", 2) == [0, 2, 4]


def test_damaged_atlas(tmp_path):
    with pytest.raises(InputError, match="time_resolved_atlas.fits: does not exist"):
        Atlas(tmp_path)
    rows = np.zeros(1, [("coadd_id", "S8"), ("ra", "f8"), ("dec", "f8"), ("epoch_bitmask", "u1")])
    fitsio.write(str(tmp_path / "time_resolved_atlas.fits"), rows)
    with pytest.raises(InputError, match="epoch_bitmask"):
        Atlas(tmp_path)
