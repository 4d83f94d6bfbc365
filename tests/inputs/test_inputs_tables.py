"""CCD tables as people have them: what becomes of each peculiarity."""

import gzip
import shutil

import fitsio
import numpy as np
import pytest
from input_runs import NUMBERS, ThreeCcds
from synthetic_ccds import DEC, RA, write_table

from legacypipe_lite.errors import InputError, NothingToDo, UsageError
from legacypipe_lite.options import RunOptions
from legacypipe_lite.survey import find_brick
from legacypipe_lite.survey.bricks import Brick
from legacypipe_lite.wcs import target_wcs

ALL = list(NUMBERS)
REST = ALL[1:]


@pytest.fixture
def three(tmp_path, monkeypatch):
    monkeypatch.setenv("GAIA_CAT_DIR", str(tmp_path))
    for name in ("LARGEGALAXIES_CAT", "SKY_TEMPLATE_DIR", "LEGACYPIPE_DATA_DIR", "TYCHO2_KD_DIR"):
        monkeypatch.delenv(name, raising=False)
    return ThreeCcds(tmp_path)


def texts(rows, *names):
    for row in rows:
        for name in names:
            row[name] = str(row[name])


# --- columns of another type


@pytest.mark.parametrize(
    "names",
    [
        ("exptime", "mjd_obs"),
        ("ra", "dec"),
        ("image_hdu", "expnum", "width", "height"),
        ("ccd_cuts", "sig1", "ccdzpt", "ccdraoff", "fwhm", "crval1", "cd1_1"),
    ],
)
def test_numbers_as_text(three, names):
    texts(three.rows, *names)
    three.write()
    assert three.outcome() == (ALL, {})
    assert three.outcome(min_mjd=57999.0, max_mjd=58001.0)[0] == ALL


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_hdu", "S16"), ("expnum", "c4d_600001"), ("sig1", "unknown"), ("ccdzpt", "25,1"), ("ra", "12:30:11")],
)
def test_text_that_is_no_number_costs_its_ccd(three, name, value):
    texts(three.rows, name)
    three.rows[0][name] = value
    three.write()
    used, others = three.outcome()
    assert used == REST and f"{name} is '{value}' in the CCD table" in next(iter(others.values()))


def test_names_as_numbers_and_with_blanks(three):
    for row in three.rows:
        row["ccdname"], row["camera"], row["filter"] = " N4 ", "DECam", f" {row['filter']} "
    three.write()
    assert three.outcome() == (ALL, {})


@pytest.mark.parametrize("blank", [np.nan, "NULL", "", "null", "--"])
def test_cuts_that_nobody_has_made(three, caplog, blank):
    for row in three.rows:
        row["ccd_cuts"] = blank or " "
    three.write()
    assert three.outcome()[0] == ALL and "ccd_cuts of 3 CCDs" in caplog.text


def test_cuts_that_are_null_integers(three, caplog):
    path = three.survey.root / "survey-ccds-decam-1.fits.gz"
    for row in three.rows:
        row["ccd_cuts"] = -99
    three.write()
    data = gzip.decompress(path.read_bytes())
    plain = path.with_name("plain.fits")
    plain.write_bytes(data)
    with fitsio.FITS(str(plain), "rw") as fits:
        number = [n.lower() for n in fits[1].get_colnames()].index("ccd_cuts") + 1
        fits[1].write_key(f"TNULL{number}", -99)
    path.write_bytes(gzip.compress(plain.read_bytes()))
    assert three.outcome()[0] == ALL and "ccd_cuts of 3 CCDs" in caplog.text


def test_columns_that_differ_in_case_only(three):
    for row in three.rows:
        row["other"] = 1.0
    three.write()
    path = three.survey.root / "survey-ccds-decam-1.fits.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"'other   '", b"'FWHM    '")))
    with pytest.raises(InputError, match="columns fwhm, FWHM in HDU 1"):
        three.run()


def test_table_that_claims_two_billion_rows(three):
    path = three.survey.root / "survey-ccds-decam-1.fits.gz"
    data = gzip.decompress(path.read_bytes())
    i = data.index(b"NAXIS2  =", 2880)
    path.write_bytes(gzip.compress(data[:i] + b"NAXIS2  =           2000000000".ljust(80) + data[i + 80 :]))
    with pytest.raises(InputError, match="survey-ccds-decam-1.fits.gz"):
        three.run()


# --- numbers that cannot be


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("mjd_obs", 2458000.5 + 100, "mjd_obs is .*a JD"),
        ("mjd_obs", 99999.0, "mjd_obs is 99999"),
        ("mjd_obs", 2015.9, "mjd_obs is 2015.9"),
        ("ccdzpt", 0.0, "ccdzpt is 0"),
        ("ccdzpt", -99.0, "ccdzpt is -99"),
        ("ccdzpt", np.nan, "ccdzpt is nan"),
        ("ccdraoff", np.nan, "ccdraoff is nan"),
        ("ccddecoff", np.inf, "ccddecoff is inf"),
        ("ccddecoff", -99.0, "ccddecoff is -99"),
        ("fwhm", 0.0, "fwhm is 0"),
        ("fwhm", 1e30, "fwhm is 1e.30"),
        ("exptime", -5.0, "exptime is -5"),
        ("sig1", np.nan, "sig1 is nan"),
        ("crval2", 91.0, "crval2 is 91"),
        ("crval1", np.nan, "crval1 is nan"),
        ("crpix1", np.nan, "crpix1 is nan"),
        ("cd1_1", 0.0, "pixel scale"),
        ("width", -100, "width is -100"),
        ("ra", np.nan, "ra is nan"),
        ("dec", np.nan, "dec is nan"),
        ("ra", (RA + 180) % 360, "degrees from where crval1"),
        ("image_hdu", -3, "image_hdu is -3"),
    ],
)
def test_numbers_that_cannot_be_cost_their_ccd(three, name, value, reason):
    three.rows[0][name] = value
    three.write()
    used, others = three.outcome()
    assert used == REST and len(others) == 1
    (found,) = others.values()
    import re

    assert re.search(reason, found), found


@pytest.mark.parametrize("name", ["exptime", "mjd_obs", "fwhm"])
def test_missing_columns_for_which_headers_stand_in(three, name):
    cards = {"exptime": ("EXPTIME", 100.0), "mjd_obs": ("MJD-OBS", 58000.0), "fwhm": ("FWHM", 3.76)}
    for row in three.rows:
        with fitsio.FITS(str(three.survey.path(row["image_filename"])), "rw") as fits:
            fits[1].write_key(*cards[name])
    three.write(without=(name,))
    items, _ = three.run()
    assert len(items["tims"]) == 3 and np.all(np.isfinite(items["ccds"][name]))
    assert items["ccds"][name][0] == pytest.approx(cards[name][1])


# --- names


@pytest.mark.parametrize(
    "name", ["../../../etc/x_ooi_r.fits", "/tmp/x_ooi_r.fits", "cam/../../x_ooi_r.fits", "cam/x\x1b[31m_ooi_r.fits"]
)
def test_names_that_lead_out_of_the_folder(three, name):
    three.rows[0]["image_filename"] = name
    three.write()
    used, others = three.outcome()
    assert used == REST and "below its folder" in next(iter(others.values()))
    assert all(text.isprintable() for item in others.items() for text in item)


def test_ccd_names_that_lead_out_of_the_folder(three):
    three.rows[0]["ccdname"] = "../../N4"
    three.write()
    assert "cannot be part of a file name" in next(iter(three.outcome()[1].values()))


@pytest.mark.parametrize("brick", ["../../../x", "a/b", "..", "x\ny"])
def test_brick_names_that_lead_elsewhere(brick):
    with pytest.raises(UsageError, match="--brick is .* cannot be part of a file name"):
        RunOptions(brick=brick).validated()


@pytest.mark.parametrize("folder", ["a[1]", "with blanks", "plus+1", "ünïcödé", "(x)", "$HOME", "!x"])
def test_characters_of_paths_mean_themselves(three, tmp_path, folder):
    moved = tmp_path / folder / "survey"
    moved.parent.mkdir()
    shutil.move(three.survey.root, moved)
    three.survey.root = moved
    assert three.outcome() == (ALL, {})


def test_characters_of_image_names_mean_themselves(three):
    name = "cam/CP/ü [1]+2_ooi_r.fits"
    row = three.rows[0]
    for tag in ("_ooi_", "_ood_", "_oow_"):
        three.survey.path(row["image_filename"].replace("_ooi_", tag)).rename(
            three.survey.path(name.replace("_ooi_", tag))
        )
    before = {kind: three.survey.calibration_path(kind, row) for kind in ("psfex", "sky")}
    row["image_filename"] = name
    for kind, path in before.items():
        path.rename(three.survey.calibration_path(kind, row))
    write_bytes_table(three)
    assert three.outcome() == (ALL, {})


def write_bytes_table(three):
    """The CCD table with names in UTF-8."""
    rows = [{k: v.encode() if isinstance(v, str) else v for k, v in row.items()} for row in three.rows]
    write_table(three.survey.root / "survey-ccds-decam-1.fits.gz", {k: [r[k] for r in rows] for k in rows[0]})


# --- rows and tables twice


def test_equal_rows_are_used_once(three, caplog):
    three.write(rows=[*three.rows, *three.rows])
    assert three.outcome() == (ALL, {}) and "3 rows near the brick are there twice" in caplog.text


def test_equal_tables_under_two_names_are_used_once(three, caplog):
    three.write(name="survey-ccds-copy.fits.gz")
    assert three.outcome() == (ALL, {}) and "3 rows near the brick are there twice" in caplog.text


def test_other_rows_of_the_same_image_are_left_out(three):
    three.write(rows=[*three.rows, {**three.rows[0], "ccdzpt": 25.2}])
    items, _ = three.run()
    assert [tim.ccd.expnum for tim in items["tims"]] == ALL
    assert [r for _, f, r in items["ccd_fates"] if f == "dropped"] == [
        "another row of the CCD tables is of the same image, with other values"
    ]


def test_index_files_beside_plain_ones_are_said(three, caplog):
    three.write(name="survey-ccds-decam-1.kd.fits")
    assert three.outcome() == (ALL, {})
    assert "survey-ccds-decam-1.fits.gz" in caplog.text and "not read" in caplog.text


# --- bands, and all CCDs accounted for


def test_every_ccd_near_the_brick_is_accounted_for(three):
    add = three.survey.add_ccd
    add(expnum=400004, ccd_cuts=8)
    add(expnum=400005, band="Y")
    add(expnum=400006, shift=(105.0, 0.0))
    add(expnum=400007, sky=False)
    three.write()
    items, _ = three.run()
    fates = {int(name.split("_")[1]): (fate, reason) for name, fate, reason in items["ccd_fates"]}
    assert [fates[n][0] for n in ALL] == ["used"] * 3 and len(fates) == 7
    assert fates[400004] == ("not asked for", "ccd_cuts is not 0") and fates[400005] == ("not asked for", "band Y")
    assert fates[400006][0] == "not overlapping" and fates[400007][0] == "dropped"


def test_bands_without_images(three, caplog):
    items, report = three.run(bands=("g", "r", "R2"))
    text = "no image in band R2: the CCDs near the brick are in g, r"
    assert text in caplog.text and text in report.warnings[-1]
    assert report.counts["bands without images"] == "R2" and items["bands"] == ["g", "r"]
    with pytest.raises(InputError, match="no image in band R2.*--require-bands"):
        three.run(bands=("g", "r", "R2"), require_bands=True)


def test_misspelt_bands(three, caplog):
    for row in three.rows:
        row["filter"] = {"r": "F200W", "g": "g"}[row["filter"]]
    three.write()
    three.run(bands=("g", "f200w"))
    assert "did you mean F200W?" in caplog.text


@pytest.mark.parametrize(
    "bands", [("z", "Z"), ("F200W", "g", "f200w"), ("a-b", "a_b"), ("a/../b",), ("g", ""), ("g", "g")]
)
def test_bands_that_cannot_be(bands):
    with pytest.raises(UsageError, match="--bands"):
        RunOptions(brick="1500p200", bands=bands).validated()


def test_text_for_a_list():
    options = RunOptions(brick="1500p200", bands="g, F200W", stage="tims").validated()
    assert options.bands == ("g", "F200W") and options.stage == ("tims",)


def test_nothing_asked_for_says_what_is_there(three):
    with pytest.raises(NothingToDo, match=r"3 not asked for \(3 band|not asked for"):
        three.run(bands=("Y",))


# --- headers


@pytest.mark.parametrize("card", ["SWVER   = 1.0.0", "DECANGLE= -30:10:10.78", "HUGE    = 1e400", "NAME\xe9   = 'x'"])
@pytest.mark.parametrize("tag", ["_ooi_", "_oow_"])
def test_cards_that_cannot_be_parsed_and_are_not_needed(three, card, tag):
    path = three.survey.path(three.rows[0]["image_filename"].replace("_ooi_", tag))
    data = path.read_bytes()
    i = data.index(b"PROPID  =")
    path.write_bytes(data[:i] + card.encode("latin-1").ljust(80) + data[i + 80 :])
    assert three.outcome() == (ALL, {})


@pytest.mark.parametrize("card", ["CRVAL1", "CD1_1", "PV1_3", "A_2_0", "IMAGEW"])
@pytest.mark.parametrize("value", ["unknown", 1e300])
def test_cards_of_the_wcs_that_are_no_numbers_cost_their_ccd(three, card, value):
    path = three.survey.path(three.rows[0]["image_filename"])
    with fitsio.FITS(str(path), "rw") as fits:
        fits[1].write_key(card, value)
        if card == "IMAGEW":
            fits[1].write_key("IMAGEH", 120)
        if card == "A_2_0":
            fits[1].write_key("CTYPE1", "RA---TAN-SIP")
            fits[1].write_key("CTYPE2", "DEC--TAN-SIP")
            fits[1].write_key("A_ORDER", 2)
            fits[1].write_key("B_ORDER", 2)
    used, others = three.outcome()
    assert used == REST and len(others) == 1


def test_header_without_end(three):
    path = three.survey.path(three.rows[0]["image_filename"])
    path.write_bytes(path.read_bytes().replace(b"END" + b" " * 77, b"XND" + b" " * 77))
    used, others = three.outcome()
    assert used == REST and len(others) == 1


def test_wide_images_have_wide_columns(tmp_path, monkeypatch):
    monkeypatch.setenv("GAIA_CAT_DIR", str(tmp_path))
    three = ThreeCcds(tmp_path)
    wide = three.survey.add_ccd(expnum=400009, shape=(60, 33000), ra=RA, dec=DEC, shift=(16300.0, 0.0))
    assert wide["width"] == 33000
    three.write()
    items, _ = three.run()
    row = items["ccds"][items["ccds"]["expnum"] == 400009][0]
    assert row["ccd_x1"] > 32767 and row["ccd_x0"] > 32000


# --- bricks


def test_brick_at_the_pole_owns_its_image():
    target = target_wcs(0.0, 90.0, 100, 100, 0.262)
    brick = Brick.around(0.0, 90.0, target)
    assert brick.unique_pixels(target).all()
    ra, dec = target.pixel_to_sky(np.array([3.0, 50.0, 97.0, 120.0]), np.array([90.0, 50.0, 5.0, 50.0]))
    assert brick.contains(ra, dec).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("name", "hint"), [("1500p201", "did you mean 1500p200"), ("1500P200", "did you mean 1500p200"), ("zzz", "")]
)
def test_mistyped_bricks(three, name, hint):
    with pytest.raises(InputError, match=hint or "No such brick"):
        find_brick(three.survey.root / "survey-bricks.fits.gz", name)
