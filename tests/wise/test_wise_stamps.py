"""Rendering of sources on unWISE tiles."""

import numpy as np
import pytest
from scipy import fft

from legacypipe_lite.models import Source
from legacypipe_lite.models.profiles import mixture
from legacypipe_lite.wcs import TanWcs
from legacypipe_lite.wise.psf import PsfModels
from legacypipe_lite.wise.stamps import ForcedSources, StampRenderer, stamp_radii

S = 2.75 / 3600
WCS = TanWcs((180.0, 10.0), (30.5, 25.5), [[-S, 0], [0, S]], 60, 50)


@pytest.fixture(scope="module")
def psf():
    return PsfModels().at(1, 0, 0).image


def lanczos(mu):
    """The seven taps of a shift by mu pixels."""
    x = np.arange(-3, 4) + mu
    taps = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return taps / taps.sum()


def shifted(image, dx, dy, outside="constant"):
    """Lanczos-3 shift of an image; outside of it are zeros, or (outside="wrap") its other side."""
    for axis, mu in ((1, dx), (0, dy)):
        padded = np.pad(image, [(3, 3) if a == axis else (0, 0) for a in (0, 1)], mode=outside)
        n = image.shape[axis]
        image = sum(t * np.take(padded, np.arange(k, k + n), axis=axis) for k, t in enumerate(lanczos(mu)))
    return image


def render(psf, sources, px, py, radius, wcs=WCS):
    forced = ForcedSources.from_sources(sources)
    return StampRenderer(psf).render(forced, np.array(px, float), np.array(py, float), np.array(radius, np.int64), wcs)


def source(kind, **shape):
    return Source(kind, 180.0, 10.0, [1.0], **shape)


def on_image(stamps, i, shape=WCS.shape):
    out = np.zeros(shape)
    x0, y0, values = stamps.patch(i)
    out[y0 : y0 + values.shape[0], x0 : x0 + values.shape[1]] = values
    return out


def test_radii():
    flux = np.array([-5, 0, 1000, 1000.1, 20000, 20001, np.nan])
    np.testing.assert_array_equal(stamp_radii(flux, 1), [15, 15, 15, 30, 30, 100, 15])
    np.testing.assert_array_equal(stamp_radii(flux * 50, 4), [15, 15, 30, 30, 30, 100, 15])


@pytest.mark.parametrize("x, y", [(30.0, 25.0), (30.3, 24.6), (29.5, 25.5), (3.2, 48.9)])
def test_point_source_equals_twin(psf, x, y):
    stamps = render(psf, [source("PSF")], [x], [y], [15])
    c = len(psf) // 2
    twin = shifted(psf[c - 15 : c + 16, c - 15 : c + 16].astype(float), x - np.rint(x), y - np.rint(y))
    full = np.zeros((150, 160))
    iy, ix = int(np.rint(y)) + 50, int(np.rint(x)) + 50
    full[iy - 15 : iy + 16, ix - 15 : ix + 16] = twin
    np.testing.assert_allclose(on_image(stamps, 0), full[50:100, 50:110], atol=2e-8)


def galaxy_twin(psf, kind, x, y, half, shape_r, e1, e2, sersic, outside="wrap"):
    """As the recipe says it: PSF in a frame of 2^k pixels, convolved there, shifted, cut."""
    size = 2 ** int(np.ceil(np.log2(2 * half)))
    n, c = len(psf), len(psf) // 2
    if n > size:
        first = (n - size) // 2
        frame, centre = psf[first : first + size, first : first + size].astype(float), c - first
    else:
        frame, at = np.zeros((size, size)), (size - n) // 2
        frame[at : at + n, at : at + n] = psf
        centre = at + c
    e = np.hypot(e1, e2)
    q, angle = (1 - e) / (1 + e), 0.5 * np.arctan2(e2, e1)
    r = shape_r / 2.75
    major = r * np.array([-np.sin(angle), np.cos(angle)])
    minor = r * q * np.array([-np.cos(angle), -np.sin(angle)])
    ky, kx = fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :]
    # The diagonal term has the other sign at the Nyquist frequency, which only the cross term notices.
    k2 = (kx * major[0] + ky * major[1]) ** 2 + (kx * minor[0] + ky * minor[1]) ** 2
    transform = sum(a * np.exp(-2 * np.pi**2 * v * k2) for a, v in zip(*mixture(kind, sersic)))
    model = fft.irfft2(fft.rfft2(frame) * transform, s=(size, size))
    ix, iy = int(np.rint(x)), int(np.rint(y))
    model = shifted(model, x - ix, y - iy, outside)
    out = np.zeros((250, 260))
    x0, y0 = ix - centre + 100, iy - centre + 100
    xs = slice(max(int(np.floor(x - half)) + 100, x0), min(int(np.ceil(x + half + 1)) + 101, x0 + size))
    ys = slice(max(int(np.floor(y - half)) + 100, y0), min(int(np.ceil(y + half + 1)) + 101, y0 + size))
    out[ys, xs] = model[ys.start - y0 : ys.stop - y0, xs.start - x0 : xs.stop - x0]
    return out[100:150, 100:160]


@pytest.mark.parametrize(
    "kind, half, shape",
    [
        ("REX", 15, {"shape_r": 0.5}),
        ("EXP", 15, {"shape_r": 2.0, "shape_e1": 0.3, "shape_e2": -0.4}),
        ("DEV", 16, {"shape_r": 3.5, "shape_e1": -0.2, "shape_e2": 0.1}),
        ("SER", 15, {"shape_r": 1.5, "shape_e1": 0.5, "shape_e2": 0.2, "sersic": 2.3}),
        ("EXP", 76, {"shape_r": 41.0, "shape_e1": 0.1, "shape_e2": 0.3}),
    ],
)
@pytest.mark.parametrize("x, y", [(30.3, 24.6), (2.5, 47.1)])
def test_galaxy_equals_twin(psf, kind, half, shape, x, y):
    stamps = render(psf, [source(kind, **shape)], [x], [y], [15])
    parameters = [shape.get(name, 0.0) for name in ("shape_r", "shape_e1", "shape_e2", "sersic")]
    ours = on_image(stamps, 0)
    np.testing.assert_allclose(ours, galaxy_twin(psf, kind, x, y, half, *parameters), atol=1e-6 * psf.max())
    # The reference implementation has zeros outside of the frame, which matters little.
    zeros = galaxy_twin(psf, kind, x, y, half, *parameters, outside="constant")
    assert np.abs(ours - zeros).sum() < 1e-3


def test_frame_larger_than_the_psf():
    small = np.zeros((31, 31), np.float32)
    small[13:18, 13:18] = 0.04
    stamps = render(small, [source("REX", shape_r=30.0)], [30.0], [25.0], [15])
    assert stamps.patch(0)[2].shape == (50, 60)
    twin = galaxy_twin(small, "REX", 30.0, 25.0, 56, 30.0, 0, 0, None)
    np.testing.assert_allclose(on_image(stamps, 0), twin, atol=1e-6)


def test_radius_is_limited_by_the_psf():
    small = np.full((9, 9), 1 / 81, np.float32)
    stamps = render(small, [source("PSF")], [30.0], [25.0], [100])
    assert stamps.patch(0)[2].shape == (9, 9)


def test_many_sources_at_once_equal_single_ones(psf):
    rng = np.random.default_rng(4)
    kinds = ["PSF", "REX", "EXP", "DEV", "SER", "SER", "EXP", "PSF"]
    sources = [
        source(kind, shape_r=float(rng.uniform(0.2, 4)) if kind != "PSF" else 0.0, sersic=1.7 if kind == "SER" else 0.0)
        for kind in kinds
    ]
    px, py = rng.uniform(0, 60, 8), rng.uniform(0, 50, 8)
    radius = np.array([15, 15, 15, 30, 15, 15, 15, 30])
    together = render(psf, sources, px, py, radius)
    for i in range(8):
        alone = render(psf, sources[i : i + 1], px[i : i + 1], py[i : i + 1], radius[i : i + 1])
        np.testing.assert_array_equal(alone.patch(0)[2], together.patch(i)[2])


def test_sources_off_the_image(psf):
    px = [-14.0, -16.0, 500.0, np.nan, 30.0, -20.0, np.inf]
    py = [25.0, 25.0, 25.0, 25.0, 65.6, 25.0, 1e9]
    stamps = render(psf, [source("PSF")] * 5 + [source("REX", shape_r=1.0), source("PSF")], px, py, [15] * 7)
    np.testing.assert_array_equal(stamps.rectangles[:, 2] > 0, [True, False, False, False, False, False, False])
    assert (stamps.rectangles[1:] == 0).all() and len(stamps.values) == 2 * 31


def test_no_sources(psf):
    stamps = render(psf, [], [], [], [])
    assert len(stamps.values) == 0 and stamps.rectangles.shape == (0, 4)


def test_sources_as_arrays():
    forced = ForcedSources.from_sources([source("PSF"), source("SER", shape_r=2.0, shape_e1=0.5, sersic=3.0)])
    assert len(forced) == 2 and forced[1:].kind.tolist() == [4]
    assert forced.shape_r.tolist() == [0.0, 2.0]
    # e1 = 0.5: axis ratio 1/3, along North.
    np.testing.assert_allclose(forced.tensor[1], [4 / 9, 0, 4], atol=1e-12)
