"""SED list."""

from legacypipe_lite.detection import sed_list


def names(bands):
    return [sed.name for sed in sed_list(bands)]


def test_order():
    assert names(["g", "r", "z"]) == ["z", "r", "g", "Flat", "Red"]
    assert names(["g", "r", "i", "z"]) == ["z", "i", "r", "g", "Flat", "Red"]


def test_one_band_has_no_combinations():
    assert names(["r"]) == ["r"]


def test_combinations_need_two_of_their_bands():
    assert names(["u", "g"]) == ["g", "u"]
    assert names(["N395", "M411", "M438"]) == ["M438", "M411", "N395", "IBISFlat"]
    assert names(["I-A-L427", "I-A-L464", "g", "r"])[-3:] == ["Flat", "Red", "IAFlat"]


def test_weights():
    seds = {sed.name: sed for sed in sed_list(["g", "r", "i", "z"])}
    assert seds["i"].weights == (0, 0, 1, 0)
    assert seds["Flat"].weights == (1, 1, 1, 1)
    assert seds["Red"].weights == (2.5, 1, 0.632, 0.4)
    assert seds["Red"].as_array().dtype == "float32"
