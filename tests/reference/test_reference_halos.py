import fitsio
import numpy as np
import pytest
from astropy.table import Table

from legacypipe_lite.reference import halo_image, has_halo_model, reference_sources
from legacypipe_lite.reference.halos import halo_profile
from legacypipe_lite.reference.tables import add_missing_columns
from legacypipe_lite.units import mag_to_nanomaggies, utc_to_tai
from legacypipe_lite.wcs import TanWcs, wcs_from_header

PIXSCALE = 0.262
SHAPE = (120, 150)
WCS = TanWcs((30.0, -5.0), (75.5, 60.5), [[0, PIXSCALE / 3600], [PIXSCALE / 3600, 0]], SHAPE[1], SHAPE[0])


def stars(x, y, mags, radius, **columns):
    ra, dec = WCS.pixel_to_sky(np.asarray(x, float), np.asarray(y, float))
    n = len(x)
    refs = {
        "ra": ra,
        "dec": dec,
        "radius": np.asarray(radius, "f4") / np.float32(3600),
        "isgaia": np.ones(n, bool),
        "pointsource": np.ones(n, bool),
        "ref_epoch": np.full(n, 2015.5, "f4"),
    }
    for band in ("g", "z", "M411", "u"):
        refs[f"decam_mag_{band}"] = np.asarray(mags, "f4")
    return add_missing_columns(Table({**refs, **columns}))


def halo(refs, band="g", ccdname="N4", moffat=None, mjd=57205.875, camera="decam"):
    return halo_image(refs, WCS, SHAPE, band, camera, ccdname, PIXSCALE, mjd, moffat)


def twin(x, y, mag, radius, band, ccdname="N4", moffat=None):
    """The halo of one star by the formulas, without table and kernel."""
    iy, ix = np.indices(SHAPE)
    d = np.hypot(ix - x, iy - y)
    r = d * PIXSCALE
    reach = np.ceil(min(8 * radius, 400) / PIXSCALE)
    taper = np.clip((reach - d) / (reach / 2), 0, 1) * np.clip(r - 7, 0, 1)
    on = 0 <= x <= SHAPE[1] - 1 and 0 <= y <= SHAPE[0] - 1
    with np.errstate(divide="ignore"):
        profile = halo_profile(r, band, ccdname, on, moffat) * PIXSCALE**2
    return float(mag_to_nanomaggies(np.float32(mag))) * np.where(taper > 0, taper * np.where(taper > 0, profile, 0), 0)


@pytest.mark.parametrize("band", ["g", "z", "M411"])
@pytest.mark.parametrize("ccdname", ["N4", "S21"])
@pytest.mark.parametrize("moffat", [None, (0.7, 2.0)])
def test_image_equals_the_sum_of_the_formulas(band, ccdname, moffat):
    x, y, mags, radius = (
        [70.3, 20.0, -30.0, 149.2, 75],
        [55.1, 30.0, 50.0, 10.0, 300],
        [10, 14, 11, 17, 8],
        [60, 20, 40, 3, 200],
    )
    image = halo(stars(x, y, mags, radius), band, ccdname, moffat)
    expected = sum(twin(*s, band, ccdname, moffat) for s in zip(x, y, mags, radius))
    assert image.dtype == np.float32 and image.shape == SHAPE
    np.testing.assert_allclose(image, expected, rtol=3e-5, atol=1e-9)


def test_profile_values():
    assert halo_profile(10.0, "g", "N4") == pytest.approx(4.5e-6)
    assert halo_profile(10.0, "r", "N4") == halo_profile(10.0, "i", "N4") == pytest.approx(3.3e-6)
    assert halo_profile(10.0, "M517", "N4") == pytest.approx(0.00013529 * 10**-1.5163)
    r = np.geomspace(1e-3, 1e6, 40001)
    for ccdname, fraction in (("N4", 0.0145), ("S27", 0.0095)):
        total = np.trapezoid(2 * np.pi * r * halo_profile(r, "z", ccdname), r)
        assert total == pytest.approx(fraction, rel=1e-3)
    np.testing.assert_allclose(halo_profile(20.0, "z", "N4", False), halo_profile(20.0, "z", "N4") / 2)
    # the wings of the PSF come with the full flux, whether the star is on the image or not
    extra = halo_profile(20.0, "z", "N4", False, (0.7, 2.0)) - halo_profile(20.0, "z", "N4", False)
    assert extra == pytest.approx(1 / (np.pi * 0.49) * (1 + (20 / 0.7) ** 2) ** -2.0)


def test_nothing_inside_seven_arcsec_nor_beyond_the_reach():
    image = halo(stars([75], [60], [12], [2.5]))  # reach 20 arcsec
    iy, ix = np.indices(SHAPE)
    r = np.hypot(ix - 75, iy - 60) * PIXSCALE
    assert not image[(r < 7) | (r > 20.3)].any()
    assert (image[(r > 7.3) & (r < 19.5)] > 0).all()
    assert np.isfinite(image).all()


def test_reach_is_limited():
    """A star with a mask of 60 arcsec has a halo of 400 arcsec, not 480."""
    far = 400 / PIXSCALE
    assert halo(stars([-far + 20], [60], [5], [60])) is not None
    assert halo(stars([-far - 20], [60], [5], [60])) is None
    assert halo(stars([-far + 20], [60], [5], [49])) is None


def test_which_stars():
    refs = stars([75] * 5, [60] * 5, [12, 12, 12, 0, 12], [20, 20, 20, 20, 0])
    refs["isgaia"][0] = False
    refs["pointsource"][1] = False
    np.testing.assert_allclose(halo(refs), twin(75, 60, 12, 20, "g"), rtol=3e-5)
    refs["pointsource"][2] = False
    assert halo(refs) is None


def test_faint_stars_have_no_halo():
    assert halo(stars([75], [60], [22], [0.8])) is None


def test_where_no_halo_is_modelled():
    refs = stars([75], [60], [12], [20])
    assert halo(refs, camera="90prime") is None
    assert halo(refs, band="u") is None
    assert halo(refs, band="r") is None  # the table has no such magnitudes
    assert halo(refs[:0]) is None
    assert has_halo_model("decam", "g") and has_halo_model("decam", "z") and has_halo_model("decam", "M490")
    assert not has_halo_model("mosaic", "z") and not has_halo_model("decam", "Y")


def test_halo_is_where_the_star_is_at_the_time_of_the_exposure():
    refs = stars([75], [60], [12], [20], pmra=np.array([0.0], "f4"), pmdec=np.array([PIXSCALE * 1e3], "f4"))
    later = halo(refs, mjd=57205.875 + 10 * 365.25)
    # North is +x here
    np.testing.assert_allclose(later, twin(85, 60, 12, 20, "g"), rtol=3e-5, atol=1e-9)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("testcase12", {"N15 r": (0.62661, 4.9862e-4)}),
        (
            "testcase6",
            {
                "S9 g": (109.71, 0.027652),
                "S9 r": (87.317, 0.021962),
                "S9 z": (164.35, 0.029228),
                "S4 g": (108.82, 0.027616),
                "S4 r": (86.540, 0.021955),
                "S4 z": (161.13, 0.029217),
            },
        ),
        ("testcase9", {"N26 g": None, "N26 r": None, "S21 z": None}),
    ],
)
def test_sums_of_the_reference_implementation(real_field, testdata, name, expected):
    field = real_field(name)
    refs, _ = reference_sources(field.wcs, ["g", "r", "z"], field.catalogs)
    found = {}
    for image, label in images_of(field, testdata, name):
        result = halo_image(refs, **image)
        found[label] = None if result is None else (result.sum(dtype=float), float(result.max()))
    assert found.keys() == expected.keys()
    for label, numbers in expected.items():
        assert found[label] == (None if numbers is None else pytest.approx(numbers, rel=3e-5))


def images_of(field, testdata, name):
    """Arguments of `halo_image` for the images of a field, from their headers and the reference's sub-image sizes."""
    ccds = fitsio.read(next(iter(field.folder.glob("survey-ccds*"))), lower=True)
    tims = np.load(testdata / "reference" / "tims" / f"{name}.npz")
    for ccd in ccds:
        base = ccd["image_filename"].strip().split("/")[-1].split(".")[0]
        ccdname, band = ccd["ccdname"].strip(), ccd["filter"].strip()
        key = f"{base}-{ccdname}/"
        if key + "x0" not in tims:
            continue
        path = field.folder / "images" / ccd["image_filename"].strip()
        header = fitsio.read_header(path, ext=int(ccd["image_hdu"]))
        wcs = wcs_from_header(header, path, (ccd["ccdraoff"], ccd["ccddecoff"]))
        height, width = tims[key + "data"].shape
        psf = fitsio.read(next(iter(field.folder.glob(f"calib/psfex*/**/{base}*psfex.fits"))), lower=True)[0]
        moffat = None
        if "moffat_alpha" in psf.dtype.names:
            moffat = (float(psf["moffat_alpha"]), float(psf["moffat_beta"]))
        arguments = {
            "wcs": wcs.subimage(int(tims[key + "x0"]), int(tims[key + "y0"]), width, height),
            "shape": (height, width),
            "band": band,
            "camera": ccd["camera"].strip(),
            "ccdname": ccdname,
            "pixscale_ccd": 3600 * np.sqrt(abs(ccd["cd1_1"] * ccd["cd2_2"] - ccd["cd1_2"] * ccd["cd2_1"])),
            "mjd_tai": utc_to_tai(ccd["mjd_obs"]),
            "moffat": moffat,
        }
        yield arguments, f"{ccdname} {band}"
