"""Every legal way of writing a WCS gives the positions that astropy gives."""

import logging

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import FK4, FK5, BarycentricMeanEcliptic, Galactic, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS

from legacypipe_lite.errors import InputError
from legacypipe_lite.wcs import SipWcs, TanWcs, TpvWcs, great_circle_distance, inherited_cards, wcs_from_header
from legacypipe_lite.wcs.astropy_wcs import TOLERANCE

SIZE = 900, 700
SCALE = 0.263 / 3600
SIP = {"A_ORDER": 3, "B_ORDER": 2, "A_2_0": 2e-6, "A_0_3": -3e-9, "B_1_1": 4e-6, "B_0_2": -1e-6}
SCAMP = {"PV1_0": 1e-4, "PV1_1": 1.001, "PV1_2": 2e-4, "PV1_4": 0.02, "PV1_7": 0.3}
SCAMP |= {"PV2_0": -2e-4, "PV2_1": 0.999, "PV2_2": 1e-4, "PV2_5": 0.03, "PV2_10": -0.2}
TNX = '"3. 4. 4. 2. -0.04 0.04 -0.03 0.03 1e-5 2e-5 3e-6 1e-6 2e-6 1e-6 1e-6 -1e-6 2e-6 3e-6 "'
ZPX = "projp1=1.0 projp3=220.0"


def header(projection="TAN", axes=("RA--", "DEC-"), crval=(150.3, 33.2), **cards):
    h = fits.Header()
    h["NAXIS"], h["NAXIS1"], h["NAXIS2"] = 2, *SIZE
    for i, axis in enumerate(axes):
        h[f"CTYPE{i + 1}"] = f"{axis}-{projection}"
    h["CRVAL1"], h["CRVAL2"], h["CRPIX1"], h["CRPIX2"] = *crval, 420.5, -100.25
    if not any(key.startswith(("CD", "PC")) for key in cards):
        h["CD1_1"], h["CD1_2"], h["CD2_1"], h["CD2_2"] = -SCALE, 2e-6, 1.5e-6, SCALE
    for key, value in cards.items():
        h[key.replace("__", "-")] = value
    return h


def wat(h, first, second):
    """The strings of an IRAF distortion, cut into cards."""
    for axis, text in ((1, first), (2, second)):
        for k in range(0, len(text), 68):
            h[f"WAT{axis}_{k // 68 + 1:03d}"] = text[k : k + 68]
    return h


def lower(h):
    h["CTYPE1"], h["CTYPE2"] = h["CTYPE1"].lower(), h["CTYPE2"].lower()
    return h


POLAR = {"CDELT1": -SCALE, "CDELT2": SCALE}
FORMS = {
    "cd": (header(), TanWcs),
    "lower case": (lower(header()), TanWcs),
    "cdelt and pc": (header(**POLAR, PC1_1=0.8, PC1_2=-0.6, PC2_1=0.6, PC2_2=0.8), TanWcs),
    "cdelt alone": (header(**POLAR), TanWcs),
    "cdelt and crota": (header(**POLAR, CROTA2=33.0), TanWcs),
    "old pc": (header(**POLAR, PC001001=0.8, PC001002=-0.6, PC002001=0.6, PC002002=0.8), TanWcs),
    "zero cards left out": (header(CD1_1=-SCALE, CD2_2=SCALE), TanWcs),
    "turned by a quarter, zero cards left out": (header(CD1_2=SCALE, CD2_1=SCALE), TanWcs),
    "lonpole": (header(LONPOLE=0.0), TanWcs),
    "lonpole and sip": (header("TAN-SIP", LONPOLE=123.0, **SIP), SipWcs),
    "arcsec": (
        header(crval=(150.3 * 3600, 33.2 * 3600), CUNIT1="arcsec", CUNIT2="arcsec", CD1_1=-0.263, CD2_2=0.263),
        TanWcs,
    ),
    "axes swapped": (
        header(axes=("DEC-", "RA--"), crval=(33.2, 150.3), CD1_2=SCALE, CD2_1=-SCALE, CD1_1=1e-6),
        TanWcs,
    ),
    "axes swapped, sip": (
        header("TAN-SIP", axes=("DEC-", "RA--"), crval=(33.2, 150.3), CD1_2=SCALE, CD2_1=-SCALE, **SIP),
        SipWcs,
    ),
    "sip": (header("TAN-SIP", **SIP), SipWcs),
    "sip without suffix": (header(**SIP), SipWcs),
    "sip, terms above the order": (header("TAN-SIP", **{**SIP, "A_0_4": 1e-9, "A_4_0": 1e-9}), SipWcs),
    "tpv": (header("TPV", **SCAMP), TpvWcs),
    "tan with pv": (header(**SCAMP), TpvWcs),
    "tan with the pv of its projection": (header(PV1_1=0.0, PV1_2=90.0, PV1_3=180.0), TanWcs),
    "tpv, lonpole": (header("TPV", LONPOLE=170.0, **SCAMP), SipWcs),
    "zpn": (header("ZPN", PV2_1=1.0, PV2_3=220.0), SipWcs),
    "zpn, old": (header("ZPN", PROJP1=1.0, PROJP3=220.0), SipWcs),
    "tnx": (wat(header("TNX"), f"wtype=tnx axtype=ra lngcor = {TNX}", f"wtype=tnx axtype=dec latcor = {TNX}"), SipWcs),
    "zpx": (
        wat(
            header("ZPX"),
            f"wtype=zpx axtype=ra {ZPX} lngcor = {TNX}",
            f"wtype=zpx axtype=dec {ZPX} latcor = {TNX}",
        ),
        SipWcs,
    ),
    "car": (header("CAR", crval=(150.3, 0.0)), SipWcs),
    "sin": (header("SIN"), SipWcs),
    "slant sin": (header("SIN", PV2_1=0.1, PV2_2=-0.2), SipWcs),
    "stg": (header("STG"), SipWcs),
    "arc": (header("ARC"), SipWcs),
    "zea": (header("ZEA"), SipWcs),
    "gls": (header("GLS"), SipWcs),
    "third axis": (header(CTYPE3="STOKES", CRVAL3=1.0, CRPIX3=1.0, CD1_1=-SCALE, CD2_2=SCALE, CD3_3=1.0), TanWcs),
    "fk5 of 1975": (header(RADESYS="FK5", EQUINOX=1975.0), TanWcs),
    "equinox as text": (header(RADESYS="FK5", EQUINOX="J2000"), TanWcs),
    "fk4": (header(RADESYS="FK4", EQUINOX=1950.0), TanWcs),
    "fk4 by its equinox": (header(EQUINOX=1950.0), TanWcs),
    "epoch": (header(EPOCH=1950.0), TanWcs),
    "galactic": (header(axes=("GLON", "GLAT")), TanWcs),
    "galactic car": (header("CAR", axes=("GLON", "GLAT"), crval=(150.3, 0.0)), SipWcs),
    "ecliptic": (header(axes=("ELON", "ELAT")), TanWcs),
}
_FRAMES = {
    "fk5 of 1975": FK5(equinox="J1975"),
    "fk4": FK4(equinox="B1950"),
    "fk4 by its equinox": FK4(equinox="B1950"),
    "epoch": FK4(equinox="B1950"),
    "galactic": Galactic(),
    "galactic car": Galactic(),
    "ecliptic": BarycentricMeanEcliptic(equinox=Time("J2000")),
}
_EXACT = [name for name, (_, cls) in FORMS.items() if cls is not SipWcs or "sip" in name]


def astropy_positions(h, x, y, frame=None):
    h = h.copy()
    if h.get("EQUINOX") == "J2000":
        h["EQUINOX"] = 2000.0
    h["CTYPE1"], h["CTYPE2"] = h["CTYPE1"].upper(), h["CTYPE2"].upper()
    w = WCS(h, naxis=2)
    world = w.all_pix2world(np.column_stack([x.ravel(), y.ravel()]), 0)
    lon, lat = world[:, w.wcs.lng], world[:, w.wcs.lat]
    if frame is None:
        return lon, lat
    icrs = SkyCoord(lon * units.deg, lat * units.deg, frame=frame).icrs
    return icrs.ra.deg, icrs.dec.deg


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMS)
def test_positions_are_those_of_astropy(name):
    h, cls = FORMS[name]
    wcs = wcs_from_header(h, name)
    assert type(wcs) is cls and wcs.shape == SIZE[::-1]
    x, y = np.meshgrid(np.linspace(0, SIZE[0] - 1, 33), np.linspace(0, SIZE[1] - 1, 29))
    ra, dec = astropy_positions(h, x, y, _FRAMES.get(name))
    off = great_circle_distance(ra, dec, *(a.ravel() for a in wcs.pixel_to_sky(x, y))) / SCALE
    assert off.max() < (1e-5 if name in _EXACT else TOLERANCE)
    back = np.array(wcs.sky_to_pixel(ra, dec)) - (x.ravel(), y.ravel())
    assert np.abs(back).max() < (1e-5 if name in _EXACT else TOLERANCE)


@pytest.mark.filterwarnings("ignore")
def test_what_is_approximated_is_said(caplog):
    with caplog.at_level(logging.INFO):
        wcs_from_header(FORMS["zpn"][0], "a.fits")
        wcs_from_header(FORMS["cdelt and pc"][0], "b.fits")
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert message.startswith("a.fits: WCS RA---ZPN/DEC--ZPN is approximated by polynomials of order")
    assert float(message.rpartition("error ")[2].split()[0]) < TOLERANCE


def test_sip_without_suffix_is_said(caplog):
    wcs_from_header(FORMS["sip without suffix"][0], "a.fits")
    assert "a.fits: CTYPE1 is RA---TAN, but the header has SIP polynomials" in caplog.text


def test_tpv_goes_before_sip(caplog):
    wcs = wcs_from_header(header("TPV", **SCAMP, **SIP), "a.fits")
    assert wcs.pixel_to_sky(3.0, 4.0) == wcs_from_header(header("TPV", **SCAMP)).pixel_to_sky(3.0, 4.0)
    assert "a.fits: the SIP polynomials of the header are not used" in caplog.text


def test_large_images_and_corrections():
    h = header("ZPN", PV2_1=1.0, PV2_3=220.0)
    h["NAXIS1"], h["NAXIS2"] = 12000, 9000
    wcs, moved = wcs_from_header(h), wcs_from_header(h, correction=(3.0, -2.0))
    ra, dec = wcs.pixel_to_sky(5000.0, 100.0)
    ra1, dec1 = moved.pixel_to_sky(5000.0, 100.0)
    assert (ra1 - ra) * 3600 * np.cos(np.deg2rad(dec)) == pytest.approx(3.0, rel=0.02)
    assert (dec1 - dec) * 3600 == pytest.approx(-2.0, rel=1e-3)


# --- cards in two headers


def split(h, *names, inherit=True):
    """Move cards into a primary header."""
    primary, image = fits.Header(), h.copy()
    for key in names:
        primary[key] = image.pop(key)
    if inherit is not None:
        image["INHERIT"] = inherit
    return image, primary


_ALL = ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")


def inherited_wcs(image, primary):
    return wcs_from_header({**dict(image), **inherited_cards(image, primary)})


@pytest.mark.parametrize("inherit", [True, None, "T"])
def test_a_wcs_in_the_primary_header_holds(inherit):
    assert inherited_wcs(*split(header(), *_ALL, inherit=inherit)).crval == (150.3, 33.2)


def test_single_cards_are_inherited_on_demand_only():
    image, primary = split(header(), "CRVAL1", "CRVAL2")
    assert inherited_wcs(image, primary).crval == (150.3, 33.2)
    image["INHERIT"] = False
    with pytest.raises(InputError, match="no usable card CRVAL1"):
        inherited_wcs(image, primary)


def test_another_matrix_of_the_primary_header_is_not_mixed_in():
    primary = fits.Header([("CDELT1", 5.0), ("CDELT2", 5.0), ("PC1_1", 3.0), ("CROTA2", 20.0), ("PV1_1", 7.0)])
    wcs = inherited_wcs(header("TPV", INHERIT=True, **SCAMP), primary)
    assert np.array_equal(wcs.cd, wcs_from_header(header("TPV", **SCAMP)).cd) and wcs.pv1[1] == SCAMP["PV1_1"]


# --- what cannot be used


@pytest.mark.parametrize(
    "change,message",
    [
        ({"CTYPE1": None}, "no card CTYPE1"),
        ({"CTYPE2": None}, "no card CTYPE2"),
        ({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, "WCS LINEAR/LINEAR is not supported"),
        ({"CTYPE1": "RA---XYZ", "CTYPE2": "DEC--XYZ"}, "WCS RA---XYZ/DEC--XYZ cannot be read"),
        ({"CTYPE1": "TLON-TAN", "CTYPE2": "TLAT-TAN"}, "this system of coordinates is not supported"),
        ({"RADESYS": "GAPPT"}, "GAPPT: this system of coordinates is not supported"),
        ({"CUNIT1": "h", "CUNIT2": "deg"}, "cannot be read .In CUNIT1"),
        ({"CRVAL1": None}, "no usable card CRVAL1"),
        ({"CRVAL1": "NaN"}, "card CRVAL1 of the WCS is nan"),
        ({"CRVAL2": 91.0}, "card CRVAL2 of the WCS is 91"),
        ({"CRPIX2": "inf"}, "card CRPIX2 of the WCS is inf"),
        ({"CRPIX1": True}, "card CRPIX1 of the WCS is True"),
        ({"CD1_1": "x"}, "card CD1_1 of the WCS is 'x'"),
        ({"CD1_1": 0.0, "CD1_2": 0.0}, "CD matrix of the header is singular"),
        ({"CD1_1": 1e8}, "cannot be inverted|degrees large"),
        ({"CD1_1": None, "CD1_2": None, "CD2_1": None, "CD2_2": None}, "no usable card CD1_1"),
        ({"PV1_1": "unknown"}, "card PV1_1 of the WCS is 'unknown'"),
        ({"PV1_1": 1e300, "PV2_1": 1.0}, "cannot be inverted"),
        ({"A_2_0": "x"}, "card A_2_0 of the WCS is 'x'"),
        ({"A_ORDER": 10, "B_ORDER": 10}, "SIP order 10 is not supported, only up to 9"),
        ({"A_ORDER": 2.5}, "A_ORDER of the WCS is 2.5"),
        ({"A_0_2": 1.0, "A_2_0": 1.0}, "cannot be inverted"),
        ({"CPDIS1": "LOOKUP"}, "distortion by look-up table"),
        ({"NAXIS1": None}, "no image size"),
        ({"IMAGEW": "wide", "IMAGEH": 5}, "card IMAGEW is 'wide'"),
        ({"NAXIS1": 0}, "card NAXIS1 is 0"),
        ({"CTYPE1": "RA---AIT", "CTYPE2": "DEC--AIT", "CD1_1": 1.0, "CD2_2": 1.0}, "gives no position|not supported"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_bad_headers_are_refused(change, message):
    h = header()
    for key, value in change.items():
        if value is None:
            del h[key]
        else:
            h[key] = value
    with pytest.raises(InputError, match=message) as error:
        wcs_from_header(h, "bad.fits")
    assert str(error.value).startswith("bad.fits: ") and "\n" not in str(error.value)
