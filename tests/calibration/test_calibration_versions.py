import pytest

from legacypipe_lite.calibration import plver_at_least
from legacypipe_lite.calibration.versions import parse_plver, texts_agree


@pytest.mark.parametrize(
    "plver, expected",
    [
        ("V4.8.2a", (4, 8, 2, (0, "a", 1))),
        ("V4.8.2", (4, 8, 2, (1,))),
        ("DES V3.9+1 ", (3, 9, 0, (0, "a", 1))),
        ("V4.1LS", (4, 1, 0, (1,))),
        ("V2.0beta", (2, 0, 0, (0, "b", 1))),
        (" V3.5.0 ", (3, 5, 0, (1,))),
    ],
)
def test_parse(plver, expected):
    assert parse_plver(plver) == expected


def test_order():
    order = ["V2.0beta", "V2.0", "V3.4.9", "V3.5.0", "V3.5.1", "V4.8.2a", "V4.8.2", "V4.9", "V4.10.0"]
    assert sorted(set(order), key=parse_plver) == order


@pytest.mark.parametrize(
    "plver, minimum, expected",
    [
        ("V4.8.2a", "4.8.0", True),
        ("V4.8.2a", "4.9.0", False),
        ("V3.5.0", "3.5.0", True),
        ("V3.4", "3.5.0", False),
        ("V4.8.0a1", "4.8.0", False),
    ],
)
def test_at_least(plver, minimum, expected):
    assert plver_at_least(plver, minimum) is expected


@pytest.mark.parametrize("plver", ["", "unknown", "V4", "V4.8.2c"])
def test_not_a_version(plver):
    with pytest.raises(ValueError, match="not a version"):
        parse_plver(plver)


@pytest.mark.parametrize(
    "found, expected, result",
    [
        ("V4.8.2a ", "V4.8.2a", "equal"),
        ("V4.8.2a", "V4.8", "cut"),
        ("V4.8", "V4.8.2a", "cut"),
        ("V4.9", "V4.8", "different"),
        ("", "V4.8", "different"),
        ("", "", "equal"),
    ],
)
def test_texts_agree(found, expected, result):
    assert texts_agree(found, expected) == result
