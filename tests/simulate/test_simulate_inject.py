"""Sources that are added to images."""

import dataclasses
from types import SimpleNamespace

import fitsio
import numpy as np
import pytest
import synthetic_tims
from astropy.table import Table

from legacypipe_lite.errors import InputError, UsageError
from legacypipe_lite.models import Source
from legacypipe_lite.models.injection import Injection, photons_per_nanomaggy, read_injection
from legacypipe_lite.options import RunOptions
from legacypipe_lite.run import BrickRun
from legacypipe_lite.simulate.injection_table import draw_injection
from legacypipe_lite.validation import evaluate, read_scene
from legacypipe_lite.wcs import target_wcs

TARGET = target_wcs(150.0, 20.0, 200, 180, 0.262)
SIG1, ZPSCALE, SKY = 0.02, 500.0, 400.0
GAIN = SKY / (SIG1**2 * ZPSCALE)  # photons per nanomaggy: the sky's photon noise is the noise


def make_tim(band="r", expnum=1, ccdname="N4", shape=(180, 200), midsky=SKY):
    return synthetic_tims.make_tim(
        TARGET, np.zeros(shape), band=band, psf_sigma=1.7, sig1=SIG1, mjd=57000.0, name=f"x-{ccdname}",
        zpscale=ZPSCALE, midsky=midsky, ccd={"expnum": expnum, "ccdname": ccdname},
    )  # fmt: skip


def source(x, y, flux, source_type="PSF", **shape):
    ra, dec = TARGET.pixel_to_sky(float(x), float(y))
    return Source(source_type, float(ra), float(dec), np.atleast_1d(flux), **shape)


def injection(sources, bands=("r",), seed=0):
    return Injection(sources, np.arange(len(sources), dtype=np.int32), bands, seed)


# --- pixels


def test_light_is_that_of_the_sources():
    added = injection(
        [source(50.3, 60.7, 10.0), source(120, 90, 5.0, "EXP", shape_r=1.0, sersic=1.0), source(900, 90, 7.0)]
    )
    light = added.light(make_tim())
    assert light.dtype == np.float32 and light.sum() == pytest.approx(15.0, rel=0.01)
    assert np.unravel_index(light.argmax(), light.shape) == (61, 50)


def test_noise_is_that_of_photons():
    """Mean and variance of the added pixels, over many seeds, and the variance that the weights state."""
    tims = []
    for seed in range(150):
        tim = make_tim()
        injection([source(50, 60, 40.0)], seed=seed).add_to(tim)
        tims.append(tim)
    light = injection([source(50, 60, 40.0)]).light(make_tim())
    core = light > 0.3
    pixels = np.array([tim.image[core] for tim in tims], np.float64)
    assert core.sum() > 20
    expected = light[core].astype(np.float64) / GAIN
    error = np.sqrt(expected / 150)
    assert np.abs((pixels.mean(axis=0) - light[core]) / error).max() < 4.5
    assert np.mean(pixels.var(axis=0) / expected) == pytest.approx(1, abs=0.1)
    stated = 1 / tims[0].inverr[core].astype(np.float64) ** 2
    np.testing.assert_allclose(stated, SIG1**2 + expected, rtol=1e-5)
    assert (tims[0].inverr[light == 0] == np.float32(1 / SIG1)).all()


def test_noise_belongs_to_the_image():
    def image(**keywords):
        tim = make_tim(**keywords)
        injection([source(50, 60, 40.0)], seed=3).add_to(tim)
        return tim.image

    np.testing.assert_array_equal(image(), image())
    assert (image() != image(expnum=2)).any() and (image() != image(ccdname="S4")).any()


def test_masked_pixels_stay_masked():
    tim = make_tim()
    tim.inverr[:, 50] = 0
    injection([source(50, 60, 40.0)]).add_to(tim)
    assert (tim.inverr[:, 50] == 0).all() and tim.image[60, 50] > 1


def test_bands_and_places_without_sources():
    tim = make_tim(band="g")
    injection([source(50, 60, [0.0, 5.0])], bands=("g", "r")).add_to(tim)
    assert not tim.image.any()
    injection([source(-500, 60, [5.0, 5.0])], bands=("g", "r")).add_to(tim)
    assert not tim.image.any()


def test_without_sky_level_there_is_no_noise(caplog):
    tim = make_tim(midsky=0.0)
    assert photons_per_nanomaggy(tim) is None and photons_per_nanomaggy(make_tim()) == pytest.approx(GAIN)
    added = injection([source(50, 60, 40.0)])
    added.add_to(tim)
    np.testing.assert_array_equal(tim.image, added.light(make_tim()))
    assert "without photon noise" in caplog.text and (tim.inverr == np.float32(1 / SIG1)).all()


# --- tables


def rows(**changes):
    table = Table({"ra": [150.0, 150.001], "dec": [20.0, 20.001], "type": ["PSF", "SER"]})
    table["flux_g"], table["flux_r"] = [1.0, 2.0], [3.0, 4.0]
    table["shape_r"], table["shape_e1"], table["shape_e2"], table["sersic"] = [0, 0.8], [0, 0.1], [0, -0.2], [0, 2.5]
    for name, value in changes.items():
        table[name] = value
    return table


def written(tmp_path, table):
    table.write(tmp_path / "sources.fits", overwrite=True)
    return tmp_path / "sources.fits"


def test_table_of_sources(tmp_path):
    added = read_injection(written(tmp_path, rows(id=[7, 3])), ("g", "r"), seed=5)
    star, galaxy = added.sources
    assert (star.type, star.shape_r) == ("PSF", 0) and list(star.flux) == [1, 3] and added.seed == 5
    assert (galaxy.type, galaxy.sersic, galaxy.shape_e2) == ("SER", 2.5, -0.2) and list(added.ids) == [7, 3]
    table = added.table([make_tim(), make_tim(expnum=2), make_tim(band="g")], TARGET)
    assert list(table["id"]) == [7, 3] and list(table["nobs_r"]) == [2, 2] and list(table["nobs_g"]) == [1, 1]
    assert table["in_zoom"].all() and table["bx"][0] == pytest.approx(99.5, abs=0.01)
    np.testing.assert_allclose(table["flux_r"], [3, 4])


def test_types_have_their_profiles(tmp_path):
    table = rows(type=["REX", "DEV"], shape_r=[0.5, 0.5], shape_e1=[0.3, 0.3])
    round_one, old_one = read_injection(written(tmp_path, table), ("r",)).sources
    assert (round_one.sersic, round_one.shape_e1) == (1, 0) and (old_one.sersic, old_one.shape_e1) == (4, 0.3)


def test_stars_need_no_shapes(tmp_path):
    table = rows()["ra", "dec", "type", "flux_r"][:1]
    assert len(read_injection(written(tmp_path, table), ("r",)).sources) == 1


@pytest.mark.parametrize(
    "table, text",
    [
        (rows()["ra", "dec", "type", "flux_r"], "shape_r, shape_e1, shape_e2, sersic"),
        (rows()[[name for name in rows().colnames if name != "flux_g"]], "no column flux_g"),
        (rows()[:0], "no sources"),
        (rows(id=[1, 1]), "column id"),
        (rows(id=[1.5, 2.0]), "column id"),
        (rows(type=["PSF", "COMP"]), "row 1: type 'COMP'"),
        (rows(flux_r=[np.nan, 1.0]), "row 0: .* finite"),
        (rows(shape_r=[0.0, 0.0]), "row 1: shape_r"),
        (rows(sersic=[0.0, 9.0]), "row 1: sersic 9"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, table, text):
    with pytest.raises(InputError, match=text):
        read_injection(written(tmp_path, table), ("g", "r"))


def test_missing_table():
    with pytest.raises(InputError, match="none.fits: does not exist"):
        read_injection("none.fits", ("r",))


# --- random tables


def test_random_sources_keep_their_distance():
    allowed = np.zeros(TARGET.shape, bool)
    allowed[20:, 30:] = True
    occupied = np.array([100.0]), np.array([100.0])
    table = draw_injection(TARGET, allowed, occupied, 12, seed=4, distance=5.0, magnitudes=(20.0, 21.0), galaxies=0.5)
    x, y = TARGET.sky_to_pixel(np.asarray(table["ra"]), np.asarray(table["dec"]))
    assert len(table) == 12 and x.min() > 29.4 and y.min() > 19.4
    places = np.column_stack([np.append(x, 100.0), np.append(y, 100.0)])
    distances = np.hypot(*(places[:, np.newaxis] - places).T)[~np.eye(13, dtype=bool)]
    assert distances.min() > 5 / 0.262 - 0.01
    mag = 22.5 - 2.5 * np.log10(table["flux_r"])
    assert mag.min() > 20 and mag.max() < 21 and 0 < (table["type"] == "PSF").sum() < 12
    assert (table["shape_r"][table["type"] == "PSF"] == 0).all()
    again = draw_injection(TARGET, allowed, occupied, 12, seed=4, distance=5.0, magnitudes=(20.0, 21.0), galaxies=0.5)
    np.testing.assert_array_equal(table["ra"], again["ra"])


def test_drawn_galaxies_keep_away_by_their_size():
    """Between two sources there are three half-light radii of each, besides the distance."""
    occupied, sizes = (np.array([60.0, 130.0]), np.array([90.0, 90.0])), np.array([3.0, 0.0])
    allowed = np.ones(TARGET.shape, bool)
    table = draw_injection(TARGET, allowed, occupied, 8, sizes=sizes, seed=6, distance=2.0, galaxies=0.8)
    x, y = TARGET.sky_to_pixel(np.asarray(table["ra"]), np.asarray(table["dec"]))
    places = np.column_stack([np.append(x, occupied[0]), np.append(y, occupied[1])])
    radii = np.append(table["shape_r"], sizes)
    apart = 0.262 * np.hypot(*(places[:, np.newaxis] - places).T.transpose(0, 2, 1))
    others = ~np.eye(len(places), dtype=bool)
    assert (apart > 2.0 + 3 * (radii[:, np.newaxis] + radii) - 0.01)[others].all()
    assert len(table) == 8 and (np.diff(table["shape_r"]) <= 0).all() and radii[:3].min() > 0.5
    assert (table["id"] == np.arange(8)).all()


@pytest.mark.parametrize("galaxies, expected", [(0.0, {"PSF"}), (1.0, {"EXP", "DEV", "SER"})])
def test_stars_or_galaxies_only(galaxies, expected):
    table = draw_injection(TARGET, np.ones(TARGET.shape, bool), ([], []), 25, distance=0.0, galaxies=galaxies)
    assert len(table) == 25 and set(table["type"]) <= expected


def test_too_little_room():
    crowded = draw_injection(TARGET, np.ones(TARGET.shape, bool), ([], []), 60, distance=15.0)
    assert 3 < len(crowded) < 60
    with pytest.raises(InputError, match="no place"):
        draw_injection(TARGET, np.zeros(TARGET.shape, bool), ([], []), 5)
    with pytest.raises(UsageError, match="magnitudes"):
        draw_injection(TARGET, np.ones(TARGET.shape, bool), ([], []), 5, magnitudes=(22.0, 20.0))


# --- runs on real images


@pytest.fixture(scope="module")
def real(testdata, tmp_path_factory):
    """Runs on a real field, without and with injected sources."""
    folder = testdata / "realdata/mzlsbass2"
    out = tmp_path_factory.mktemp("inject")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("GAIA_CAT_DIR", folder / "gaia"), ("GAIA_CAT_VER", "2"), ("TYCHO2_KD_DIR", folder)):
            patch.setenv(name, str(value))
        for name in ("DUST_DIR", "LARGEGALAXIES_CAT"):
            patch.delenv(name, raising=False)
        options = RunOptions(
            brick="1773p595", zoom=(1300, 1500, 700, 900), survey_dir=str(folder), outdir=str(out / "plain"),
            no_wise=True,
            pickle=str(out / "plain-%(brick)s-%%(stage)s.pickle"), ivars="marginal",
        )  # fmt: skip
        plain = BrickRun(options)
        plain.run()
        catalog = plain.tractor
        table = draw_injection(
            plain.state["target"], plain.state["maskbits"] & 1 == 0, (catalog["bx"], catalog["by"]), 16, seed=2,
            magnitudes=(19.5, 21.5), distance=7.0,
        )  # fmt: skip
        table["type"] = np.char.encode(np.asarray(table["type"]), "ascii")
        table["id"] = np.arange(len(table), dtype=np.int32) + 100
        table.write(out / "sources.fits")
        pattern = str(out / "injected-%(brick)s-%%(stage)s.pickle")
        changed = dataclasses.replace(
            options, inject=str(out / "sources.fits"), outdir=str(out / "injected"), pickle=pattern
        )
        injected = BrickRun(changed)
        injected.run()
        yield SimpleNamespace(plain=plain, injected=injected, options=changed, out=out)


@pytest.mark.realdata
def test_injected_sources_are_listed_and_marked(real):
    truth = fitsio.read(str(real.injected.products.path("injected")), ext="INJECTED")
    rows = fitsio.read(str(real.injected.products.path("tractor-i")))
    marked = rows[rows["injected"] >= 0]
    assert truth["in_zoom"].all() and len(marked) >= 0.9 * len(truth) >= 5
    assert len(np.unique(marked["injected"])) == len(marked)
    order = np.argsort(truth["id"])
    match = truth[order][np.searchsorted(truth["id"][order], marked["injected"])]
    assert np.abs(marked["dec"] - match["dec"]).max() * 3600 < 1
    assert (rows["injected"] == -1).sum() >= 10  # the real ones
    assert real.injected.report.counts["injected sources"] == len(truth)


@pytest.mark.realdata
def test_without_injection_nothing_is_marked(real):
    plain, injected = (fitsio.read(str(run.products.path("tractor-i"))) for run in (real.plain, real.injected))
    assert set(injected.dtype.names) - set(plain.dtype.names) == {"injected"}
    assert real.plain.tractor.colnames == real.injected.tractor.colnames
    assert not real.plain.products.path("injected").exists()


@pytest.mark.realdata
def test_injected_sources_come_back(real):
    paths = real.injected.products.path("tractor"), real.injected.products.path("injected")
    scene = read_scene(*paths)
    scores = evaluate(scene)
    assert scene.partial and scene.found[scene.scored].mean() > 0.9
    pulls = np.concatenate(
        [
            (
                (scene.matched_column(f"flux_{b}") - scene.truth[f"flux_{b}"])
                * scene.matched_column(f"flux_ivar_{b}") ** 0.5
            )[scene.isolated & scene.star & scene.found]
            for b in "grz"
        ]
    )
    assert len(pulls) > 6 and 0.4 < np.std(pulls) < 2 and abs(np.median(pulls)) < 1.5
    assert scores["purity"] == []


@pytest.mark.realdata
def test_resuming_notices_another_table(real, caplog):
    with pytest.MonkeyPatch.context() as patch:
        folder = real.options.survey_dir
        for name, value in (("GAIA_CAT_DIR", f"{folder}/gaia"), ("GAIA_CAT_VER", "2"), ("TYCHO2_KD_DIR", folder)):
            patch.setenv(name, value)
        same = BrickRun(real.options)
        same.stage("tims")
        assert same.stages[0].read and same.state["injected"] is not None
        for a, b in zip(same.state["tims"], real.injected.state["tims"]):
            assert a.name == b.name
        table = Table.read(real.out / "sources.fits")
        table["flux_r"] *= 2
        table.write(real.out / "sources.fits", overwrite=True)
        other = BrickRun(real.options)
        other.stage("tims")
        assert not other.stages[0].read
        another_seed = BrickRun(dataclasses.replace(real.options, inject_seed=4))
        another_seed.stage("tims")
        assert not another_seed.stages[0].read
        assert any((a.image != b.image).any() for a, b in zip(other.state["tims"], another_seed.state["tims"]))
