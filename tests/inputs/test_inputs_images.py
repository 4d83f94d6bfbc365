"""Whole runs on images as they are in life: the same catalogue as from tidy ones, or the one CCD dropped."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from damages import _own_copy
from fuzz_inputs import make_base, run_survey

SCALE = 0.262 / 3600
MATRIX = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The survey, its --zoom, and the catalogue of a run on it as it is."""
    folder = tmp_path_factory.mktemp("inputs")
    survey, zoom = make_base(folder)
    status, text, table = run(survey, zoom, folder / "whole")
    assert status == 0 and "4 used" in text, text
    return survey, zoom, table


def run(survey, zoom, out):
    status, text = run_survey(survey, zoom, out)
    catalogs = list(out.glob("tractor/*/tractor-*.fits"))
    return status, text, Table.read(catalogs[0], unit_parse_strict="silent") if catalogs else None


def changed(base, tmp_path, change, kind="ooi", images=None):
    """Run on a copy of the survey whose images (all, or the first ones) went through `change(path)`."""
    survey, zoom, _ = base
    copy = tmp_path / "survey"
    shutil.copytree(survey, copy)
    for path in sorted(copy.glob(f"images/**/*_{kind}_*"))[:images]:
        _own_copy(path)
        change(path)
    return run(copy, zoom, tmp_path / "out")


def on_header(change):
    """A change of the cards of the image, whose pixels stay as they are."""

    def edit(path):
        with fits.open(path, mode="update", disable_image_compression=True, output_verify="ignore") as hdus:
            change(hdus[1].header)

    return edit


def on_pixels(change):
    """A change of the pixels; the image is not compressed afterwards."""

    def edit(path):
        with fits.open(path) as hdus:
            primary, header, data = hdus[0].header.copy(), hdus[1].header.copy(), np.array(hdus[1].data)
        if "_oow_" in path.name:
            data = np.where(data < 1e-9, 0, data).astype(np.float32)
        hdus = [fits.PrimaryHDU(header=primary), fits.ImageHDU(change(data), header)]
        fits.HDUList(hdus).writeto(path, overwrite=True, output_verify="silentfix")

    return edit


def assert_same_catalog(table, whole, sigmas=0.2):
    assert len(table) == len(whole)
    for band in "rz":
        flux, want = (np.asarray(t[f"flux_{band}"], float) for t in (table, whole))
        ivar = np.asarray(whole[f"flux_ivar_{band}"], float)
        assert np.all(np.abs(flux - want) * np.sqrt(ivar) < sigmas)


# --- the WCS in other words


def pc(h):
    for i in (1, 2):
        for j in (1, 2):
            h[f"PC{i}_{j}"] = h.pop(f"CD{i}_{j}") / SCALE
        h[f"CDELT{i}"] = SCALE


def refit(h, projection, order=4, **cards):
    """The same positions by another projection with SIP polynomials."""
    old = WCS(h)
    nx, ny = h.get("ZNAXIS1", h["NAXIS1"]), h.get("ZNAXIS2", h["NAXIS2"])
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(0, nx - 1, 15), np.linspace(0, ny - 1, 15)))
    sky = old.all_pix2world(x, y, 0)
    for key in [key for key in h if key.startswith("PV")]:
        del h[key]
    h.update(CTYPE1="RA---" + projection, CTYPE2="DEC--" + projection, **cards)
    new = WCS(naxis=2)
    new.wcs.ctype = [h["CTYPE1"].replace("-SIP", ""), h["CTYPE2"].replace("-SIP", "")]
    new.wcs.crval, new.wcs.crpix = [h["CRVAL1"], h["CRVAL2"]], [h["CRPIX1"], h["CRPIX2"]]
    new.wcs.cd = np.array([h[key] for key in MATRIX]).reshape(2, 2)
    if "LONPOLE" in cards:
        new.wcs.lonpole = cards["LONPOLE"]
    px, py = new.wcs_world2pix(*sky, 1)
    u, v = (x + 1 - h["CRPIX1"]) / 5000, (y + 1 - h["CRPIX2"]) / 5000
    terms = [(n - q, q) for n in range(order + 1) for q in range(n + 1)]
    design = np.column_stack([u**p * v**q for p, q in terms])
    h["A_ORDER"] = h["B_ORDER"] = order
    for name, off in (("A", px - x - 1), ("B", py - y - 1)):
        for (p, q), value in zip(terms, np.linalg.lstsq(design, off, rcond=None)[0]):
            h[f"{name}_{p}_{q}"] = value / 5000.0 ** (p + q)


def lonpole(h):
    for key in MATRIX:
        h[key] = -h[key]
    refit(h, "TAN-SIP", LONPOLE=0.0)


def arcsec(h):
    h.update(CUNIT1="arcsec", CUNIT2="arcsec", CRVAL1=h["CRVAL1"] * 3600, CRVAL2=h["CRVAL2"] * 3600)
    for key in MATRIX:
        h[key] *= 3600


def with_cunit(h):
    refit(h, "TAN-SIP")
    arcsec(h)


def without_zeros(h):
    refit(h, "TAN-SIP")
    big = max(abs(h[key]) for key in MATRIX)
    small = [key for key in MATRIX if abs(h[key]) < 1e-12 * big]
    for key in small:
        del h[key]


FORMS = {
    "CDELT and PC": pc,
    "lower case": lambda h: h.update(CTYPE1=h["CTYPE1"].lower(), CTYPE2=h["CTYPE2"].lower()),
    "zero cards left out": without_zeros,
    "LONPOLE": lonpole,
    "CUNIT arcsec": with_cunit,
    "SIP": lambda h: refit(h, "TAN-SIP"),
    "SIP without suffix": lambda h: refit(h, "TAN"),
}


@pytest.mark.compiled
@pytest.mark.parametrize("form", FORMS)
def test_other_forms_of_the_wcs(base, tmp_path, form):
    status, text, table = changed(base, tmp_path, on_header(FORMS[form]))
    assert status == 0 and "4 used" in text, text
    assert_same_catalog(table, base[2])


@pytest.mark.compiled
def test_cards_in_the_primary_header(base, tmp_path):
    def move(path):
        with fits.open(path, mode="update", disable_image_compression=True, output_verify="ignore") as hdus:
            primary, h = hdus[0].header, hdus[1].header
            wanted = ("CTYP", "CRVA", "CRPI", "CUNI", "CD1_", "CD2_", "PV1_", "PV2_", "FWHM")
            for key in [key for key in h if key.startswith(wanted)]:
                primary[key] = h.pop(key)
            h["INHERIT"] = True

    status, text, table = changed(base, tmp_path, move)
    assert status == 0 and "4 used" in text, text
    assert_same_catalog(table, base[2])


# --- pixels, weights and codes without a meaning

BLOCK = np.s_[5:20, 10:60]


def block(value, dtype=None):
    def change(data):
        data = data.astype(dtype or data.dtype)
        data[BLOCK] = value
        return data

    return on_pixels(change)


def integers(path):
    with fits.open(path) as hdus:
        primary, header, data = hdus[0].header.copy(), hdus[1].header.copy(), np.array(hdus[1].data)
    zero = float(np.median(data))
    values = np.round((data - zero) * 100).astype(np.int32)
    values[BLOCK] = -(2**31) + 1
    hdu = fits.ImageHDU(values)
    for card in header.cards:
        if card.keyword not in (*hdu.header, "BSCALE", "BZERO", "COMMENT", "HISTORY", "CHECKSUM", "DATASUM", ""):
            hdu.header.append(card, end=True)
    fits.HDUList([fits.PrimaryHDU(header=primary), hdu]).writeto(path, overwrite=True, output_verify="silentfix")
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[1].header.update(BSCALE=0.01, BZERO=zero, BLANK=-(2**31) + 1)


@pytest.fixture(scope="module")
def masked(base, tmp_path_factory):
    """The catalogue with the block marked bad in the data-quality maps."""
    status, text, table = changed(base, tmp_path_factory.mktemp("masked"), block(1), "ood")
    assert status == 0, text
    return table


@pytest.mark.compiled
@pytest.mark.parametrize(
    "kind, change, said",
    [
        ("ooi", block(np.nan, np.float32), "not finite or blank"),
        ("ooi", block(3e38, np.float32), "beyond what a telescope can give"),
        ("ooi", integers, "not finite or blank"),
        ("oow", block(np.nan, np.float32), "weight map: pixels get no weight: 750 not finite"),
        ("oow", block(-5.0, np.float32), "weight map: pixels get no weight: 750 negative"),
        ("ood", block(16), "750 pixels: code (pixels) 16 (750)"),
        ("ood", block(np.nan, np.float32), "750 pixels: code (pixels) no code (750)"),
    ],
)
def test_pixels_without_a_meaning_are_masked(base, masked, tmp_path, kind, change, said):
    status, text, table = changed(base, tmp_path, change, kind)
    assert status == 0 and "4 used" in text and said in text, text
    assert_same_catalog(table, masked)


# --- one CCD that cannot be used


@pytest.mark.compiled
@pytest.mark.parametrize(
    "card, value",
    [
        ("PV1_3", "unknown"),
        ("A_2_0", "unknown"),
        ("IMAGEW", "wide"),
        ("A_ORDER", 10),
        ("PV1_1", 1e300),
        ("CRVAL1", "NaN"),
        ("CRVAL2", 91.0),
        ("CPDIS1", "LOOKUP"),
        ("CTYPE1", "RA---XYZ"),
    ],
)
def test_one_ccd_is_dropped(base, tmp_path, card, value):
    def change(h):
        if card == "A_ORDER":
            refit(h, "TAN-SIP")
        h[card] = value
        if card == "IMAGEW":
            h["IMAGEH"] = 100

    status, text, table = changed(base, tmp_path, on_header(change), images=1)
    assert status == 0 and re.search(r"3 used.*1 dropped", text), text
    assert np.all(np.isfinite(table["flux_r"]))
    reason = next(line for line in text.splitlines() if "dropping CCD" in line)
    assert any(word in reason for word in (card, "SIP order 10", "XYZ", "cannot be inverted"))
