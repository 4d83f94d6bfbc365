"""Pixels: noise, weights, flaws."""

import numpy as np
import pytest

from legacypipe_lite.simulate import artefacts
from legacypipe_lite.simulate.artefacts import CODES
from legacypipe_lite.simulate.exposures import plan_ccds, plan_exposures
from legacypipe_lite.simulate.field import make_field
from legacypipe_lite.simulate.images import full_well, make_ccd
from legacypipe_lite.simulate.options import SimulationOptions
from legacypipe_lite.simulate.scene import draw_outer_stars, draw_sources, sky_content


class Mock:
    """The first CCD image of a tiny field."""

    def __init__(self, camera, noisy_weights=True, **options):
        options = SimulationOptions(cameras=(camera,), width=120, height=100, **options)
        field = make_field(options)
        self.sources = draw_sources(options, field)
        self.exposure = plan_exposures(options, field)[0]
        self.plan = plan_ccds(self.exposure, options, field)[0]
        content = sky_content(self.sources, draw_outer_stars(options, field))
        self.pixels = make_ccd(self.plan, content, noisy_weights)
        self.sky = self.pixels.sky.image(0, 0, self.plan.window.width, self.plan.window.height)


EMPTY = {"density": 0.0, "artefacts": (), "large_galaxy": False}


@pytest.mark.parametrize("camera, band", [("decam", "g"), ("90prime", "r"), ("mosaic", "z")])
def test_empty_sky(camera, band):
    mock = Mock(camera, noisy_weights=False, bands=(band,), **EMPTY)
    good = mock.pixels.codes == 0
    chi = ((mock.pixels.image - mock.sky) * np.sqrt(mock.pixels.weight))[good]
    assert abs(chi.mean()) < 0.02 and abs(chi.std() - 1) < 0.01
    assert np.all((mock.pixels.weight == 0) == (mock.pixels.codes != 0))
    # The noise is white.
    noise = mock.pixels.image - mock.sky
    inner = noise[10:-10, 10:-10]
    assert abs(np.corrcoef(inner[:, 1:].ravel(), inner[:, :-1].ravel())[0, 1]) < 0.015


def test_decam_weights_hold_the_noise_of_the_image():
    """As in real weight maps: variance and pixel value go together, one electron per electron."""
    for noisy, correlation in ((True, 1.0), (False, 0.0)):
        mock = Mock("decam", noisy, bands=("r",), **EMPTY)
        good = mock.pixels.codes == 0
        counts, variance = mock.pixels.image[good], 1.0 / mock.pixels.weight[good]
        if noisy:
            assert np.polyfit(counts, variance, 1)[0] == pytest.approx(1 / 4.0, rel=1e-3)
            assert np.corrcoef(counts, variance)[0, 1] == pytest.approx(correlation, abs=1e-3)
        else:
            assert abs(np.corrcoef(counts, variance)[0, 1]) < 0.05


def test_northern_weights_do_not_know_sources():
    mock = Mock("mosaic", bands=("z",), artefacts=())
    good = mock.pixels.codes == 0
    bright = good & (mock.pixels.image > mock.sky + 20 * mock.exposure.sky_noise)
    assert bright.sum() > 100
    assert np.median(mock.pixels.weight[bright]) == pytest.approx(np.median(mock.pixels.weight[good]), rel=0.01)


def test_sources_are_at_their_places():
    mock = Mock("decam", bands=("r",), artefacts=())
    galaxy = mock.sources[mock.sources["note"] == "biggal"][0]
    x, y = mock.plan.wcs.sky_to_pixel(galaxy["ra"], galaxy["dec"])
    light = mock.pixels.image - mock.sky
    box = light[int(y) - 60 : int(y) + 61, int(x) - 60 : int(x) + 61]
    assert np.hypot(*(np.unravel_index(np.argmax(box), box.shape) - np.array([60, 60]))) < 8
    expected = galaxy["flux_r"] * mock.exposure.counts_per_nanomaggy
    assert box.sum() == pytest.approx(expected, rel=0.1)


def test_bright_star_saturates_and_bleeds():
    mock = Mock("decam", bands=("r",), artefacts=("saturation",))
    star = mock.sources[mock.sources["note"] == "saturated"][0]
    x, y = (round(v) for v in mock.plan.wcs.sky_to_pixel(star["ra"], star["dec"]))
    codes = mock.pixels.codes
    assert codes[y, x] == CODES["saturated"]
    limit = full_well(mock.exposure.instrument) / mock.exposure.electrons_per_count
    assert mock.pixels.image[codes == CODES["saturated"]] == pytest.approx(limit)
    bleed_y, bleed_x = np.nonzero(codes == CODES["bleed"])
    assert np.ptp(bleed_y) > 3 * np.ptp(bleed_x) > 0
    assert np.all(mock.pixels.weight[codes > 0] == 0)
    assert len(mock.pixels.saturated) == np.sum(codes == CODES["saturated"])


def test_borders():
    mock = Mock("decam", **EMPTY)
    codes = mock.pixels.codes
    assert np.all(codes[:2] == 1) and np.all(codes[:, -2:] == 1) and np.all(codes[2:-2, 2:-2] == 0)


# --- artefacts on their own


def blank(shape=(200, 150), level=400.0):
    return np.full(shape, level, np.float32), np.zeros(shape, np.int32)


def test_cosmic_rays():
    electrons, codes = blank()
    artefacts.add_cosmic_rays(np.random.default_rng(1), electrons, codes)
    hit = electrons > 400
    assert 10 < hit.sum() < 200
    flagged = codes == CODES["cosmic"]
    assert np.all(hit[flagged]) and 0 < flagged.sum() < hit.sum()


def test_trail_crosses_the_image():
    electrons, _ = blank()
    artefacts.add_trail(np.random.default_rng(2), electrons, 20.0, 2.0)
    bright = electrons > 450
    assert electrons.max() == pytest.approx(520, abs=2)
    assert np.all(bright.any(axis=0)) or np.all(bright.any(axis=1))


def test_unsaturated_images_are_left_alone():
    electrons, codes = blank()
    artefacts.saturate(electrons, codes, 1000.0)
    assert np.all(electrons == 400) and not codes.any()


def test_bleed_stays_in_the_image():
    electrons, codes = blank((20, 20))
    electrons[0:4, 9:12] = 2000
    artefacts.saturate(electrons, codes, 1000.0)
    assert np.all(codes[0:4, 9:12] == CODES["saturated"])
    assert np.all(codes[4:16, 10] == CODES["bleed"]) and codes[18, 10] == 0
    assert electrons.max() == 1000


def test_dead_amplifier():
    for split, dead in ((60, 90), (-5, 150), (150, 0)):
        electrons, codes = blank()
        artefacts.kill_amplifier(electrons, codes, split, 7.0)
        assert (codes[0] == 1).sum() == dead and np.all(electrons[codes == 1] == 7)


def test_border_of_nothing():
    _, codes = blank()
    artefacts.mark_border(codes, 0, 0, 0, 0)
    assert not codes.any()
    artefacts.mark_border(codes, 1, 2, 3, 0)
    assert codes[10].sum() == 3 and codes[:, 10].sum() == 3
