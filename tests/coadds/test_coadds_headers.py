"""Header cards of coadds."""

import fitsio
import numpy as np
import pytest
from real_tims import FIELDS, Field
from synthetic_tims import make_target, make_tim

from legacypipe_lite.coadds import PRODUCT_TYPES, band_cards, outlier_mask_cards, target_wcs_cards, type_cards


def as_dict(cards):
    return {key: value for key, value, _ in cards}


@pytest.mark.parametrize("name", FIELDS)
def test_cards_equal_published_ones(testdata, name):
    field = Field(testdata, name)
    levels = {tim.band: float(row["co_sky"]) for tim, row in zip(field.tims, field.ccds) if row["co_sky"] != 0}
    for band in field.bands:
        for product in PRODUCT_TYPES:
            path = field.product("coadd", f"{product}-{band}.fits.fz")
            header = fitsio.read_header(str(path), ext=1)
            cards = [*target_wcs_cards(field.target), *band_cards(field.tims, band), *type_cards(product, band, levels)]
            for key, value, _ in cards:
                published = header[key]
                if isinstance(value, float):
                    assert published == pytest.approx(value, rel=1e-9), (product, key)
                else:
                    assert published == value, (product, key)
            keys = header.keys()
            assert (
                keys[keys.index("CTYPE1") : keys.index("IMTYPE")]
                == [c[0] for c in cards][: keys.index("IMTYPE") - keys.index("CTYPE1")]
            )


def test_dates_and_sky_level():
    target = make_target()
    tims = [make_tim(target, mjd=58000.0 + i, index=i) for i in range(3)] + [make_tim(target, band="g", mjd=1.0)]
    cards = as_dict(band_cards(tims, "r"))
    assert cards["FILTERX"] == "r"
    assert (cards["MJD_MIN"], cards["MJD_MEAN"], cards["MJD_MAX"]) == (58000.0, 58001.0, 58002.0)
    assert cards["DATEOBS"] == "2017-09-04T23:59:23.000"
    assert "COSKY_R" not in as_dict(type_cards("image", "r"))
    assert as_dict(type_cards("image", "r", {}))["COSKY_R"] == "None"
    assert as_dict(type_cards("image", "N-1", {"N-1": np.float32(0.5)}))["COSKY_N_1"] == 0.5
    assert "COSKY_R" not in as_dict(type_cards("invvar", "r", {}))


def test_several_instruments_are_sorted():
    target = make_target()
    tims = [
        make_tim(target, primary_cards={"OBSERVAT": name, "INSTRUME": camera, "OBS-LAT": lat})
        for name, camera, lat in (
            ("KPNO", "Mosaic3", "31:57.8"),
            ("CTIO", "DECam", -30.2),
            ("KPNO", "Mosaic3", "31:57.8"),
        )
    ]
    for order in (tims, tims[::-1]):
        cards = band_cards(order, "r")[:14]
        assert [key for key, _, _ in cards[7:]] == [
            "OBSERVA1", "TELESCO1", "OBS-LAT1", "OBS-LON1", "OBS-ELE1", "INSTRUM1", "FILTER1",
        ]  # fmt: skip
        found = as_dict(cards)
        assert found["OBSERVAT"] == "CTIO" and found["INSTRUM1"] == "Mosaic3" and found["TELESCOP"] == ""


def test_outlier_mask_cards():
    tim = make_tim(make_target(), x0=12, y0=7)
    cards = as_dict(outlier_mask_cards(tim))
    assert (cards["X0"], cards["Y0"], cards["CCDNAME"], cards["IMTYPE"]) == (12, 7, "N1", "outlier_mask")
    assert cards["CTYPE1"] == "RA---TAN" and cards["EQUINOX"] == 2000.0
