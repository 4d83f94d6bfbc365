import fitsio
import numpy as np
import pytest

from legacypipe_lite.catalog import DATA_MODELS, LIGHT_CURVE_EPOCHS, all_models_columns, tractor_columns

CASES = [
    ("testcase3", "tractor/244/tractor-2447p120.fits", {}, 127),
    ("testcase6", "tractor/110/tractor-1102p240.fits", {}, 127),
    ("mzlsbass2", "tractor/177/tractor-1773p595.fits", {}, 127),
    ("testcase9", "tractor/cus/tractor-custom-009122p03397.fits", {"brickname_length": 19}, 127),
    ("testcase12", "tractor/cus/tractor-custom-346684p12791.fits", {"brickname_length": 19, "wise": True}, 172),
    ("testcase4", "tractor/186/tractor-1867p255.fits", {"wise": True, "light_curves": True}, 186),
]


def names(columns):
    return [column.name for column in columns]


def dtype_of(column):
    return bool if column.dtype == "bool" else np.dtype(column.dtype)


@pytest.mark.parametrize("case, path, options, number", CASES)
def test_tractor_columns_are_those_of_the_reference(case, path, options, number, testdata):
    columns = tractor_columns("grz", **options)
    with fitsio.FITS(str(testdata / "reference" / case / path)) as fits:
        header = fits["CATALOG"].read_header()
        rows = fits["CATALOG"].read()
    assert len(columns) == number
    assert names(columns) == list(rows.dtype.names)
    for i, column in enumerate(columns, 1):
        theirs = rows.dtype[column.name]
        ours = np.dtype(dtype_of(column))
        if ours.kind == "S":
            assert header[f"TFORM{i}"].strip() == f"{ours.itemsize}A"
        else:
            assert theirs.base.newbyteorder("=") == ours, column
        assert theirs.shape == column.shape, column
        assert header.get(f"TUNIT{i}", "").strip() == column.unit, column


def test_all_models_columns_are_those_of_the_reference(testdata):
    path = testdata / "reference/testcase6/metrics/110/all-models-1102p240.fits"
    rows = fitsio.read(str(path))
    columns = all_models_columns("grz")
    assert names(columns) == list(rows.dtype.names)
    for column in columns:
        ours = np.dtype(dtype_of(column))
        if ours.kind != "S":
            assert rows.dtype[column.name].base.newbyteorder("=") == ours


def test_number_of_columns():
    def count(bands, **options):
        return len(tractor_columns(bands, **options))

    assert count("griz") == 150
    assert count("grz", wise=True) == 172
    assert count("grz", wise=True, light_curves=True) == 186
    assert count("grz", gaia=False) == 120
    # no extinction is known for a narrow band
    assert count(["g", "N501"]) == 50 + 23 * 2 + 8 - 1


def test_names_of_bands():
    columns = names(tractor_columns(["g", "I-A-L427"]))
    assert "flux_I_A_L427" in columns and "mw_transmission_I_A_L427" not in columns
    order = [
        name for name in names(tractor_columns("gz", wise=True)) if name.startswith("flux_") and "ivar" not in name
    ]
    assert order == ["flux_g", "flux_z", "flux_w1", "flux_w2", "flux_w3", "flux_w4"]


def test_data_models():
    columns = {m: {c.name: c for c in tractor_columns("grz", m, wise=True, light_curves=True)} for m in DATA_MODELS}
    assert columns["dr9"]["maskbits"].dtype == "i2" and columns["dr10"]["maskbits"].dtype == "i4"
    assert {"ls_id_dr11", "nearest_neighbor", "ngood_g"} <= set(columns["dr10"]) - set(columns["dr9"])
    assert set(columns["dr10"]) == set(columns["dr11"])
    for model, length in LIGHT_CURVE_EPOCHS.items():
        assert columns[model]["lc_flux_w1"].shape == (length,)
    assert LIGHT_CURVE_EPOCHS == {"dr9": 15, "dr10": 17, "dr11": 25}


def test_every_column_is_explained_once():
    columns = tractor_columns("g", wise=True, light_curves=True)
    assert all(column.text for column in columns)
    assert len(set(names(columns))) == len(columns)
    assert all(column.text for column in all_models_columns("g"))


def test_length_of_light_curves_can_be_chosen():
    columns = {c.name: c for c in tractor_columns("g", "dr9", wise=True, light_curves=True, epochs=25)}
    assert columns["lc_flux_w1"].shape == columns["lc_epoch_index_w2"].shape == (25,)
    assert columns["apflux_w1"].shape == (5,)
