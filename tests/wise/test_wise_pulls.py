"""Mock unWISE images, drawn independently: are the fluxes right, and their errors?"""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from wise_synthetic import NOISE, MockTile, galaxy_image, point_image, sigma_of

from legacypipe_lite.models import Source
from legacypipe_lite.wise.forced import forced_photometry
from legacypipe_lite.wise.images import TileImage, _inverse_error, _inverse_variance
from legacypipe_lite.wise.psf import PsfModels
from legacypipe_lite.wise.stamps import ForcedSources
from legacypipe_lite.wise.tiles import Tile

MOCK = MockTile("0010m015", 1.0, -1.514445, x0=850, y0=850, width=340, height=340)
FWHM = {1: 2.2, 2: 2.4, 3: 2.5, 4: 4.4}  # pixel
#: Flux of faint sources [Vega nanomaggies]: about their error.
BRIGHTNESS = {1: 6.0, 2: 22.0, 3: 2000.0, 4: 1e5}


def scene(seed=1, n=450):
    """Sources at multiples of 1/8 pixel, no two closer than 3.3 pixels, so that errors of neighbours are small."""
    rng = np.random.default_rng(seed)
    x, y = [], []
    while len(x) < n:
        a, b = np.rint(rng.uniform(0, 339, 2) * 8) / 8
        if not x or np.min((np.array(x) - a) ** 2 + (np.array(y) - b) ** 2) > 3.3**2:
            x.append(a)
            y.append(b)
    x, y = np.array(x), np.array(y)
    kinds = rng.choice(["PSF", "REX", "EXP", "DEV", "SER"], n, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    ra, dec = MOCK.wcs.pixel_to_sky(x, y)
    sources = []
    for i, kind in enumerate(kinds):
        shape = {}
        if kind != "PSF":
            shape["shape_r"] = float(rng.uniform(0.3, 2.5))
            if kind != "REX":
                shape["shape_e1"], shape["shape_e2"] = rng.uniform(-0.3, 0.3, 2)
            shape["sersic"] = float(rng.uniform(0.8, 4)) if kind == "SER" else 0.0
        sources.append(Source(str(kind), ra[i], dec[i], [1.0], **shape))
    return x, y, sources, (1 - rng.uniform(0, 1, n)) ** (-1 / 1.3)


def drawn(x, y, sources, flux, psf):
    point = np.array([s.type == "PSF" for s in sources])
    image = point_image((340, 340), psf, x[point], y[point], flux[point])
    for i in np.flatnonzero(~point):
        s = sources[i]
        shape = (s.shape_r, s.shape_e1, s.shape_e2, s.sersic or None)
        image += galaxy_image(image.shape, psf, x[i], y[i], flux[i], s.type, *shape)
    # Real coadds have their background subtracted: the wings beyond the stamps add up to one.
    c = len(psf) // 2
    wings = psf.copy()
    wings[c - 15 : c + 16, c - 15 : c + 16] = 0
    return image - point_image(image.shape, wings, x, y, flux)[20:-20, 20:-20].mean()


@pytest.mark.parametrize("band", [1, 2, 3, 4])
def test_pulls(band):
    rng = np.random.default_rng(10 + band)
    psf = PsfModels().at(band, MOCK.ra, MOCK.dec)
    x, y, sources, brightness = scene()
    flux = np.minimum(brightness, 60 if band < 3 else 10) * BRIGHTNESS[band]
    light = drawn(x, y, sources, flux, psf.image.astype(float))
    invvar = np.full(light.shape, (16 if band == 4 else 1) / NOISE[band] ** 2)
    exposures = np.full(light.shape, 100, np.int16)
    forced = ForcedSources.from_sources(sources)
    tile = Tile.on_grid(MOCK.coadd_id, MOCK.ra, MOCK.dec)
    pulls = []
    for noise in (0, 1, 1, 1):
        image = (light + noise * rng.normal(size=light.shape) * sigma_of(light, band)).astype(np.float32)
        weights, sig1 = _inverse_variance(invvar, exposures, band)
        inverr = _inverse_error(image, weights, exposures, exposures + 5, band)
        tile_image = TileImage(tile, band, 0, 0, MOCK.wcs, image, inverr, weights, inverr, exposures, sig1, 0.0)
        found = forced_photometry(forced, [tile_image], [psf], "model")
        pulls.append((found.flux - flux) * np.sqrt(found.flux_ivar))
    inside = (np.abs(x - 170) < 150) & (np.abs(y - 170) < 150)
    # Without noise only what the stamps leave out remains.
    assert np.percentile(np.abs(pulls[0][inside]), 99) < 0.3 and abs(np.median(pulls[0][inside])) < 0.04
    distance = cKDTree(np.stack([x, y], axis=1)).query(np.stack([x, y], axis=1), k=2)[0][:, 1]
    isolated = inside & (distance > 3 * FWHM[band])
    crowded = inside & ~isolated & (distance > 1.4 * FWHM[band])
    for chosen in (isolated, crowded):
        values = np.concatenate([p[chosen] for p in pulls[1:]])
        if len(values) > 100:
            low, middle, high = np.percentile(values, [15.87, 50, 84.13])
            error = 1.25 / np.sqrt(len(values))
            assert abs(middle) < 0.05 + 2.5 * error
            assert 0.9 - 2 * error < (high - low) / 2 < 1.1 + 2 * error
