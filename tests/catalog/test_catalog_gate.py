"""No row leaves with a value that cannot be, unless it is flagged."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

from legacypipe_lite.bits import FITBITS
from legacypipe_lite.catalog import fitbits, flag_impossible, flux_limits
from legacypipe_lite.errors import LegacypipeError
from legacypipe_lite.wcs import target_wcs

TARGET = target_wcs(150.0, 20.0, 100, 100, 0.262)
LIMITS = [1e4, 1e5]
BAD = next(bit.value for bit in FITBITS if bit.name == "DOUBTFUL")


def rows(n=400):
    table = Table({"ra": np.full(n, 150.0), "dec": np.full(n, 20.0)})
    for name in ("bx", "by", "bx0", "by0", "shape_r", "shape_e1", "shape_e2", "sersic", "shape_r_ivar", "ra_ivar"):
        table[name] = np.full(n, 7.0, np.float32)
    table["dec_ivar"] = np.ones(n, np.float32)
    table["flux"], table["flux_ivar"] = np.ones((2, n, 2), np.float32)
    return table


def all_finite(table):
    return all(np.all(np.isfinite(np.asarray(table[name]))) for name in table.colnames)


def test_good_rows_pass_unchanged(caplog):
    table = rows()
    flag_impossible(table, TARGET, LIMITS)
    assert not table["bad_value"].any() and not caplog.text
    assert np.all(table["flux"] == 1) and np.all(fitbits(table, 0.262) == 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["ra", "dec", "flux", "flux_ivar", "shape_r", "shape_e2", "shape_r_ivar", "ra_ivar", "sersic"]
)
def test_values_that_are_not_finite_become_unknown(name, value, caplog):
    table = rows()
    table[name][3] = value
    flag_impossible(table, TARGET, LIMITS)
    assert np.flatnonzero(table["bad_value"]).tolist() == [3] and all_finite(table)
    assert np.flatnonzero(fitbits(table, 0.262) & BAD).tolist() == [3]
    assert "1 sources have values that are not finite" in caplog.text
    if name.startswith("flux"):
        assert np.all(table["flux"][3] == 0) and np.all(table["flux_ivar"][3] == 0)
    if name in ("ra", "dec"):
        np.testing.assert_allclose((table["ra"][3], table["dec"][3]), TARGET.pixel_to_sky(7.0, 7.0))


def test_a_flux_beyond_its_images_is_flagged_and_kept():
    table = rows()
    table["flux"][3, 0], table["flux"][4, 1] = -2e4, 9e4
    flag_impossible(table, TARGET, LIMITS)
    assert np.flatnonzero(table["bad_value"]).tolist() == [3] and table["flux"][3, 0] == np.float32(-2e4)
    flag_impossible(table, TARGET)  # limits are not known
    assert not table["bad_value"].any()


@pytest.mark.parametrize("n, number, ends", [(10, 3, False), (10, 4, True), (1000, 10, False), (1000, 11, True)])
def test_many_such_rows_are_an_error(n, number, ends):
    table = rows(n)
    table["flux"][:number, 0] = np.nan
    if ends:
        with pytest.raises(LegacypipeError, match=f"{number} of {n} sources .* no catalogue is written"):
            flag_impossible(table, TARGET, LIMITS)
    else:
        flag_impossible(table, TARGET, LIMITS)


def test_limits_follow_from_the_light_in_the_images():
    image, inverr = np.full((4, 5), -2.0, np.float32), np.ones((4, 5), np.float32)
    image[0, 0], inverr[0, 0] = 1e30, 0
    tims = [SimpleNamespace(band=band, image=image, inverr=inverr) for band in "rrg"]
    assert flux_limits(tims, ["r", "z"]) == [100 * 2 * 19, 0.0]
