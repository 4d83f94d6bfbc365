"""Rendering: against the reference engine, against plain NumPy, and its derivatives."""

import math
from dataclasses import replace

import numpy as np
import pytest
from engine_cases import load_cases
from synthetic_tims import make_tim
from window_rendering import render_window, stencil

from legacypipe_lite.models import Motion, PsfModel, Source, frames_kernels
from legacypipe_lite.models import render_kernels as kernels
from legacypipe_lite.models.ellipse import soft_from_hard
from legacypipe_lite.models.frames import Profile, PsfSpectra, frame_of
from legacypipe_lite.models.profiles import mixture
from legacypipe_lite.models.render import TimRenderer
from legacypipe_lite.models.spectra_kernels import galaxy_spectra
from legacypipe_lite.wcs import TanWcs


@pytest.fixture(scope="module")
def cases(engine_reference):
    return load_cases(engine_reference)


def _window(case, key):
    if key == "full":
        x0, y0 = (int(v) for v in case.data["full_x0y0"])
        h, w = case.data["full"].shape
        return x0, y0, w, h
    return tuple(int(v) for v in case.data["mask"])


def _render(case, window, shape=None, **options):
    shape = case.shape if shape is None else shape
    return render_window(case.type, case.px, case.py, case.cinv, shape, case.stamp, case.sigma, window, **options)


# --- the reference engine


def test_full_patches_with_the_reference_frame_rule(cases):
    for case in cases:
        want = case.data["full"]
        got = _render(case, _window(case, "full"), **case.reference_rule())
        assert np.abs(got - want).max() < 1e-6 * want.max(), case.name


def test_windows_with_the_reference_frame_rule(cases):
    tested = 0
    for case in cases:
        if "mask" not in case.data:
            continue
        window = _window(case, "masked")
        got = _render(case, window, **case.reference_rule(window))
        assert np.abs(got - case.data["masked"]).max() < 1e-6 * case.data["full"].max(), case.name
        tested += 1
    assert tested > 20


def test_one_frame_rule_is_close_to_the_reference(cases):
    # Only full patches: in small windows the reference replaces the PSF of wide components by a Gaussian too early.
    for case in cases:
        want = case.data["full"]
        got = _render(case, _window(case, "full"))
        assert np.abs(got - want).max() < 1e-3 * want.max(), case.name


def _hard_shape(case, dr=0.0, de1=0.0, de2=0.0, dn=0.0):
    r, e1, e2 = case.hard
    eps1, eps2 = soft_from_hard(e1 + de1, e2 + de2)
    return math.log(r + dr), eps1, eps2, case.shape[3] + dn


def _relative(got, want):
    return np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-30)


def test_forward_differences_equal_the_reference_derivatives(cases):
    """The reference's derivatives are differences of its models; the same differences of ours agree."""
    tested = 0
    for case in cases:
        if "masked_deriv" not in case.data or case.type == "PSF":
            continue
        window = _window(case, "masked")
        rule = case.reference_rule(window)
        base = _render(case, window, **rule).astype(float)
        want = case.data["masked_deriv"]
        # steps as the reference takes them: 0.01 arcsec, 0.01, 0.01; the index backwards at its upper bound
        steps = [{"dr": 0.01}, {"de1": 0.01}, {"de2": 0.01}]
        if case.type == "REX":
            steps = steps[:1]
        if case.type == "SER":
            steps.append({"dn": 0.001 if case.shape[3] + 0.001 <= 6.0 else -0.001})
        for k, step in enumerate(steps):
            ((name, h),) = step.items()
            moved = _render(case, window, _hard_shape(case, **step), **rule).astype(float)
            got = (moved - base) * case.flux / h
            # float32 rounding of the reference, amplified by the difference
            limit = 1e-2 if name == "dn" or case.hard[0] < 0.1 else 5e-4
            assert _relative(got, want[3 + k]) < limit, (case.name, step)
            tested += 1
    assert tested > 50


def test_position_derivatives_equal_the_reference(cases):
    """The reference takes symmetric pixel differences of its model and the CD matrix."""
    tested = 0
    for case in cases:
        if "masked_deriv" not in case.data:
            continue
        window = _window(case, "masked")
        g = _render(case, window, **case.reference_rule(window)).astype(float) * case.flux
        dx, dy = np.zeros_like(g), np.zeros_like(g)
        dx[1:-1, 1:-1] = (g[1:-1, :-2] - g[1:-1, 2:]) / 2
        dy[1:-1, 1:-1] = (g[:-2, 1:-1] - g[2:, 1:-1]) / 2
        c = case.cinv * 3600.0
        for k, got in enumerate((dx * c[0, 0] + dy * c[1, 0], dx * c[0, 1] + dy * c[1, 1])):
            assert _relative(got, case.data["masked_deriv"][k]) < 1e-4, case.name
        tested += 1
    assert tested > 20


def test_flux_derivative_norms_equal_the_reference(cases):
    for case in cases:
        x0, y0, w, h = _window(case, "full")
        full = _render(case, (x0, y0, w, h), **case.reference_rule()).astype(float)
        height, width = case.image_shape
        full = full[max(-y0, 0) : height - y0, max(-x0, 0) : width - x0]
        assert np.sum(full**2) == pytest.approx(case.data["full_deriv_norm2"][2], rel=1e-5), case.name


# --- analytic derivatives


@pytest.mark.compiled
def test_analytic_derivatives_equal_central_differences(cases):
    tested = 0
    for case in cases:
        if "mask" not in case.data:
            continue
        window = _window(case, "masked")
        planes = _render(case, window, derivatives=True).astype(float)
        fast = _render(case, window, derivatives=True, exact=False).astype(float)
        for k, (dx, dy) in enumerate(((1e-2, 0), (0, 1e-2))):
            ends = [
                render_window(
                    case.type, case.px + s * dx, case.py + s * dy, case.cinv, case.shape, case.stamp, case.sigma, window
                ).astype(float)
                for s in (1, -1)
            ]
            # the stencil of galaxies is exact only for what varies slowly over pixels, not for a compact galaxy
            # with a 90Prime stamp, which has much (noise) power near the Nyquist frequency
            noisy = case.stamp.shape == (31, 31)
            limit = 2e-3 if case.type == "PSF" else 0.5 if noisy else 0.15
            assert _relative((ends[0] - ends[1]) / 2e-2, planes[1 + k]) < limit, case.name
        nshape = {"PSF": 0, "REX": 1, "EXP": 3, "DEV": 3, "SER": 4}[case.type]
        for k in range(nshape):
            if k in (1, 2) and math.hypot(*case.shape[1:3]) < 1e-3:
                continue  # the cusp of round galaxies
            h = 1e-2
            if k == 3 and not 0.75 < case.shape[3] < 5.9:
                continue  # the mixture changes its number of components nearby
            up, down = list(case.shape), list(case.shape)
            up[k] += h
            down[k] -= h
            difference = (_render(case, window, up).astype(float) - _render(case, window, down)) / (2 * h)
            # the ramp between FFT and Gaussian components is not differentiated
            assert _relative(difference, planes[3 + k]) < 4e-2, (case.name, k)
            # second derivatives on pixels (never taken for REX)
            limit = 0.5 if case.hard[0] < 0.1 else 0.12 if noisy else 5e-2
            assert case.type == "REX" or _relative(difference, fast[3 + k]) < limit, (case.name, k)
            tested += 1
    assert tested > 50


def test_round_galaxy_has_finite_ellipticity_derivatives(cases):
    case = next(c for c in cases if c.type == "EXP")
    planes = render_window(
        "EXP", 20.0, 20.0, case.cinv, (0.0, 0.0, 0.0, 1.0), case.stamp, case.sigma, (0, 0, 41, 41), derivatives=True
    )
    assert np.all(np.isfinite(planes))
    assert np.abs(planes[4:6]).max() > 0


# --- plain NumPy


def _lanczos(t):
    return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0.0)


def test_taps_are_normalised_and_have_the_right_slope():
    for mu in (-0.5, -0.31, 0.0, 1e-9, 0.2, 0.5):
        taps, slopes = np.empty(7), np.empty(7)
        kernels.lanczos_taps(mu, taps, slopes)
        want = _lanczos(np.arange(-3, 4) + mu)
        np.testing.assert_allclose(taps, want / want.sum(), atol=1e-12)
        h = 1e-6
        ends = [_lanczos(np.arange(-3, 4) + mu + s * h) for s in (1, -1)]
        np.testing.assert_allclose(slopes, (ends[0] / ends[0].sum() - ends[1] / ends[1].sum()) / (2 * h), atol=1e-5)


def _shifted_stamp(stamp, px, py, window):
    """Point source by direct sums over the taps."""
    x0, y0, w, h = window
    ix, iy = int(np.rint(px)), int(np.rint(py))
    fx, fy = _lanczos(np.arange(-3, 4) + px - ix), _lanczos(np.arange(-3, 4) + py - iy)
    fx, fy = fx / fx.sum(), fy / fy.sum()
    out = np.zeros((h, w))
    ph, pw = stamp.shape
    for y in range(h):
        for x in range(w):
            for j in range(7):
                for i in range(7):
                    sy, sx = y + y0 - iy + ph // 2 + j - 3, x + x0 - ix + pw // 2 + i - 3
                    if 0 <= sy < ph and 0 <= sx < pw:
                        out[y, x] += fy[j] * fx[i] * stamp[sy, sx]
    return out


@pytest.mark.parametrize("position", [(10.0, 9.0), (10.3, 8.6), (-1.4, 3.2), (15.6, 21.7), (60.0, 60.0)])
def test_point_source_kernel_equals_direct_sums(position):
    stamp = np.random.default_rng(3).random((9, 7)).astype(np.float32)
    window = (3, 4, 12, 15)
    got = render_window("PSF", *position, np.eye(2), (0, 0, 0, 0), stamp, 1.0, window)
    np.testing.assert_allclose(got, _shifted_stamp(stamp, *position, window), atol=2e-6)


def _numpy_galaxy(stamp, px, py, v, amp, var, window, size):
    """Galaxy in a periodic frame with the sums written out."""
    x0, y0, w, h = window
    frame = np.zeros((size, size))
    ph, pw = stamp.shape
    for y in range(ph):
        for x in range(pw):
            frame[(y - ph // 2) % size, (x - pw // 2) % size] += stamp[y, x]
    nx, ny = np.fft.fftfreq(size)[None, :], np.fft.fftfreq(size)[:, None]
    q = v[0] * nx**2 + 2 * v[1] * nx * ny + v[2] * ny**2
    spectrum = np.fft.fft2(frame) * sum(a * np.exp(-2 * np.pi**2 * s * q) for a, s in zip(amp, var))
    model = np.fft.ifft2(spectrum).real
    ix, iy = int(np.rint(px)), int(np.rint(py))
    fx, fy = _lanczos(np.arange(-3, 4) + px - ix), _lanczos(np.arange(-3, 4) + py - iy)
    shifted = sum(
        fx[i] / fx.sum() * fy[j] / fy.sum() * np.roll(model, (3 - j, 3 - i), axis=(0, 1))
        for i in range(7)
        for j in range(7)
    )
    return shifted[np.ix_((np.arange(h) + y0 - iy) % size, (np.arange(w) + x0 - ix) % size)]


@pytest.mark.parametrize("source_type,n", [("EXP", 1.0), ("DEV", 4.0), ("SER", 2.3), ("SER", 0.6)])
def test_galaxy_equals_plain_fourier_sums(source_type, n):
    rng = np.random.default_rng(1)
    stamp = np.exp(-0.5 * ((np.arange(21) - 10.0) ** 2)[:, None] / 4 - 0.5 * (np.arange(21) - 10.0) ** 2 / 3)
    stamp = (stamp / stamp.sum() + 1e-4 * rng.normal(size=stamp.shape)).astype(np.float32)
    cinv = np.array([[-3.8, 0.3], [0.2, 3.7]])
    shape = (math.log(0.9), 0.3, -0.2, n)
    window = (-5, 2, 31, 28)
    got = render_window(source_type, 8.3, 17.8, cinv, shape, stamp, 2.0, window, frame_size=64, split_half_size=np.inf)
    e = 1 - math.exp(-math.hypot(0.3, -0.2))
    ratio, theta = (1 - e) / (1 + e), 0.5 * math.atan2(-0.2, 0.3)
    basis = 0.9 * np.array([[math.cos(theta) * ratio, math.sin(theta)], [-math.sin(theta) * ratio, math.cos(theta)]])
    t = cinv @ basis
    v = t @ t.T
    amp, var = mixture(source_type, n)
    want = _numpy_galaxy(stamp, 8.3, 17.8, (v[0, 0], v[0, 1], v[1, 1]), amp, var, window, 64)
    np.testing.assert_allclose(got, want, atol=1e-5 * want.max())


def test_gaussian_wings_equal_the_density():
    amp, var = np.array([0.7, 0.3]), np.array([2.0, 9.0])
    v = (30.0, 8.0, 20.0)
    dv = np.array([[1.0, 0.5, -2.0], [0.3, 2.0, 4.0], [0.0, 1.0, 0.0]])
    planes, exact = np.zeros((2, 40, 50), np.float32), np.zeros((4, 40, 50), np.float32)
    window = np.array([8, 3, 38, 28])
    mixture, weights, place = (amp, var, amp * 0, var * 0), np.array([1.0, 0.5]), (22.3, 18.9, window)
    kernels.add_gaussian_part(mixture, weights, (np.array(v), dv, 3, False), 4.0, place, 6, np.inf, planes)
    y, x = np.mgrid[-3:37, 2:52]
    want = moment = 0.0
    for a, s, w in zip(amp, var, (1.0, 0.5)):
        cov = s * np.array([[v[0], v[1]], [v[1], v[2]]]) + 4.0 * np.eye(2)
        d = np.stack([x - 22.3, y - 18.9])
        m = np.einsum("iyx,ij,jyx->yx", d, np.linalg.inv(cov), d)
        density = a * w * np.exp(-0.5 * m) / (2 * np.pi * math.sqrt(np.linalg.det(cov)))
        want, moment = want + density, moment + s / 2 * density
    np.testing.assert_allclose(planes[0], want, atol=1e-6 * want.max())
    np.testing.assert_allclose(planes[1], moment, atol=1e-6 * moment.max())
    kernels.add_gaussian_part(mixture, weights, (np.array(v), dv, 3, True), 4.0, place, 6, np.inf, exact)
    np.testing.assert_allclose(exact[0], want, atol=1e-6 * want.max())
    # The heat equation; these Gaussians are wide.
    hxx, hxy, hyy = (stencil(stencil(moment, a), b) for a, b in ((1, 1), (0, 1), (0, 0)))
    for got, (dxx, dxy, dyy) in zip(exact[1:], dv):
        change = dxx * hxx + 2 * dxy * hxy + dyy * hyy
        np.testing.assert_allclose(got[6:-6, 6:-6], change[6:-6, 6:-6], atol=1e-4 * np.abs(change[6:-6, 6:-6]).max())


@pytest.mark.parametrize("source_type, n", [("EXP", 0), ("DEV", 0), ("SER", 0.6), ("SER", 5.5)])
@pytest.mark.parametrize("v", [(0.02, 0.01, 0.05), (9.0, -4.0, 6.0), (3e3, 2e3, 4e3)])
def test_spectra_of_a_galaxy_equal_plain_sums(source_type, n, v):
    size, half = 24, 13
    profile = Profile(source_type, n)
    kx, ky = np.arange(half) / size, np.fft.fftfreq(size)[:, None]
    q = v[0] * kx**2 + 2 * v[1] * kx * ky + v[2] * ky**2
    waves_of = np.exp(-2 * np.pi**2 * q[..., None] * profile.var)
    dv = np.array([2 * np.array(v), (1.0, 0.3, -2.0), (0.5, 2.0, 0.1)])
    slope = -2 * np.pi**2 * waves_of @ (profile.amp * profile.var)
    index = waves_of @ profile.damp - 2 * np.pi**2 * q * (waves_of @ (profile.amp * profile.dvar))
    galaxy, moment = waves_of @ profile.amp, waves_of @ (profile.amp * profile.var / 2)
    shapes = [slope * (d[0] * kx**2 + 2 * d[1] * kx * ky + d[2] * ky**2) for d in dv]
    psf = np.zeros((1, 2, size * half), np.float32)
    psf[0, 0] = 1.0
    for exact, want in ((False, [galaxy, moment, index]), (True, [galaxy, *shapes, index])):
        out = np.empty((1, len(want), size, half), np.complex64)
        places = np.array([4.0]), np.array([7.0]), np.array([[4, 7, 9, 9]], np.int32)
        galaxy_spectra(
            np.zeros(1, int), psf, places, (np.array([v]), dv[np.newaxis], 3, exact), profile.transforms, True,
            np.empty((0, 0), np.float32), frame_of(size), out,
        )  # fmt: skip
        for got, plane in zip(out[0], want):
            scale = 10 + np.abs(profile.damp).sum() + np.abs(plane).max()
            np.testing.assert_allclose(got, plane, atol=3e-7 * scale)


def test_spectra_are_shifted():
    """A source 1 + 1/4 pixel right of and 2 pixels below the window's first pixel."""
    size = 20
    taps = _lanczos(np.arange(-3, 4) + 0.25)
    image = np.zeros((size, size))
    for tap, m in zip(taps / taps.sum(), range(-3, 4)):
        image[-2 % size, (1 - m) % size] += tap
    psf = np.zeros((1, 2, size * 11), np.float32)
    psf[0, 0] = 1.0
    one = np.ones(1, np.float32)
    out = np.empty((1, 1, size, 11), np.complex64)
    shapes = np.zeros((1, 3)), np.zeros((0, 3, 3)), 0, True
    places = np.array([31.25]), np.array([18.0]), np.array([[30, 20, 5, 5]], np.int32)
    galaxy_spectra(
        np.zeros(1, int), psf, places, shapes, (0 * one, one, one, one), False,
        np.empty((0, 0), np.float32), frame_of(size), out,
    )  # fmt: skip
    np.testing.assert_allclose(np.fft.irfft2(out[0, 0]), image, atol=1e-6)


@pytest.mark.parametrize("size, w, h", [(32, 20, 17), (24, 23, 24)])
def test_unfolded_models_have_a_periodic_border(size, w, h):
    frames = np.random.default_rng(5).random((1, 2, size, size)).astype(np.float32)
    planes = np.zeros((1, 2, h + 12, w + 12), np.float32)
    frames_kernels.unfold(np.array([1]), frames, np.array([[0, 0, 0, 0], [4, 9, w, h]], np.int32), planes)
    want = frames[0][:, np.arange(-6, h + 6)[:, None] % size, np.arange(-6, w + 6) % size]
    np.testing.assert_array_equal(planes[0], want)


def test_stencils_are_derivatives():
    y, x = np.mgrid[:20, :24] / 2.0
    image = np.sin(x) * np.cos(1.2 * y)  # waves of 12.6 and 10.5 pixels
    inner = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(2 * stencil(image, 1)[inner], (np.cos(x) * np.cos(1.2 * y))[inner], rtol=4e-4, atol=1e-9)
    want = -1.2 * np.sin(x) * np.sin(1.2 * y)
    np.testing.assert_allclose(2 * stencil(image, 0)[inner], want[inner], rtol=4e-4, atol=1e-9)


def test_good_sizes_are_even_and_smooth():
    for size in frames_kernels.GOOD_SIZES:
        assert size % 2 == 0
        rest = int(size)
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        assert rest == 1


def test_spectra_are_made_once_per_size():
    stamps = [np.eye(5, dtype=np.float32), np.ones((7, 3), np.float32)]
    psf = PsfSpectra(stamps, [1.0, 1.0])
    first = psf.spectra(32, np.array([0]))
    both = psf.spectra(32, np.array([0, 1]))
    assert first is both
    frame = np.zeros((32, 32))
    frame[:7, :3] = 1
    want = np.fft.rfft2(np.roll(frame, (-3, -1), (0, 1))).ravel()
    np.testing.assert_allclose(both[1], [want.real, want.imag], atol=1e-4)


def test_replaced_stamps_leave_the_others_alone():
    stamps = [np.eye(5, dtype=np.float32), np.ones((5, 5), np.float32)]
    psf = PsfSpectra(stamps, [1.0, 1.0])
    other = psf.replaced({1: stamps[0]})
    np.testing.assert_array_equal(other.padded[0], psf.padded[0])
    np.testing.assert_array_equal(other.padded[1], psf.padded[0])
    index = np.arange(2)
    assert not np.array_equal(psf.spectra(16, index)[1], other.spectra(16, index)[1])


# --- a whole tim


def _tim(shape=(80, 90), psf=None):
    wcs = TanWcs((150.0, 2.0), (46.0, 41.0), np.diag([-0.262, 0.262]) / 3600, shape[1], shape[0])
    r = np.arange(-15, 16)
    stamp = np.exp(-0.5 * (r[:, None] ** 2 + r**2) / 4.0)
    psf = PsfModel((stamp / stamp.sum()).astype(np.float32)[None], gaussian_sigma=2.0) if psf is None else psf
    return make_tim(wcs, psf=psf, sig1=0.01, mjd=57000.0)


def test_patches_of_a_tim_have_the_flux_and_stay_inside():
    tim = _tim()
    renderer = TimRenderer(tim, 0)
    for source_type, r in (("PSF", 0.0), ("EXP", 1.0), ("DEV", 0.6), ("SER", 0.8)):
        source = Source(source_type, 150.0, 2.0, [3.0], r, 0.1, 0.1, 2.0)
        x0, y0, patch = renderer.patch(source)
        h, w = patch.shape
        assert x0 >= 0 and y0 >= 0 and x0 + w <= 90 and y0 + h <= 80
        assert patch.sum() == pytest.approx(3.0, rel=0.02)
        assert np.unravel_index(patch.argmax(), patch.shape) == (40 - y0, 45 - x0)
    edge = Source("PSF", *tim.wcs.pixel_to_sky(0.0, 0.0), [1.0])
    x0, y0, patch = renderer.patch(edge)
    assert (x0, y0) == (0, 0) and patch.shape == (16, 16)


@pytest.mark.parametrize("flux", [0.0, np.nan, np.inf])
def test_no_patch_without_flux(flux):
    assert TimRenderer(_tim(), 0).patch(Source("PSF", 150.0, 2.0, [flux])) is None


def test_no_patch_off_the_image_or_beyond_the_horizon():
    renderer = TimRenderer(_tim(), 0)
    assert renderer.patch(Source("PSF", 150.1, 2.0, [1.0])) is None
    assert renderer.patch(Source("EXP", 330.0, -2.0, [1.0], 1.0)) is None


def test_varying_psf_is_evaluated_at_the_source():
    basis = np.zeros((3, 5, 5), np.float32)
    basis[0, 2, 2] = 1.0
    basis[1, 2, 1] = 0.01
    tim = _tim(psf=PsfModel(basis, 1, gaussian_sigma=1.0, normalize=False))
    ra, dec = tim.wcs.pixel_to_sky(30.0, 20.0)
    _, _, patch = TimRenderer(tim, 0).patch(Source("PSF", ra, dec, [1.0]))
    assert patch[2, 1] == pytest.approx(0.3, rel=1e-3)


def test_without_hybrid_psf_wide_galaxies_keep_the_wings_of_the_stamp():
    psf = _tim().psf
    stamp = psf.stamp().copy()
    stamp[0, 0] += 0.05  # a feature that the companion Gaussian does not have
    hybrid, plain = (
        TimRenderer(_tim(psf=PsfModel(stamp[np.newaxis], gaussian_sigma=s, normalize=False)), 0) for s in (2.0, 0.0)
    )
    wide = Source("EXP", 150.0, 2.0, [1.0], 8.0)
    difference = np.abs(hybrid.patch(wide)[2] - plain.patch(wide)[2]).max()
    assert difference > 0.005 * plain.patch(wide)[2].max()


def test_header_jacobian_changes_the_size_by_the_pixel_scale():
    tim = _tim()
    tim.wcs.cd = tim.wcs.cd * 1.05
    source = Source("EXP", 150.0, 2.0, [1.0], 1.5)
    local = TimRenderer(tim, 0, "local").patch(source)[2]
    header = TimRenderer(tim, 0, "header").patch(source)[2]
    assert np.abs(local - header).max() < 1e-6


def _varying_psf(hybrid=True, normalize=True):
    r = np.arange(-15, 16)
    stamps = [np.exp(-0.5 * (r[:, None] ** 2 + r**2) / v) / (2 * np.pi * v) for v in (4.0, 5.0, 3.0)]
    basis = np.array([stamps[0], stamps[1] - stamps[0], stamps[2] - stamps[0]], np.float32)
    sigma = 2.0 if hybrid else 0.0
    return PsfModel(basis, 1, 0.0, 90.0, 0.0, 80.0, gaussian_sigma=sigma, normalize=normalize)


@pytest.mark.compiled
@pytest.mark.parametrize("jacobian", ["local", "header"])
@pytest.mark.parametrize("psf", [_varying_psf(), _varying_psf(False, False), None])
def test_patches_of_many_sources_are_those_of_each(psf, jacobian):
    tim = _tim(psf=psf)
    rng = np.random.default_rng(8)
    sources = [Source("PSF", 330.0, -2.0, [1.0]), Source("EXP", 150.0, 2.0, [0.0], 1.0)]
    for k in range(150):
        kind = ("PSF", "REX", "EXP", "DEV", "SER")[k % 5]
        ra, dec = tim.wcs.pixel_to_sky(*rng.uniform(-20, 110, 2))
        shape = () if kind == "PSF" else (10 ** rng.uniform(-2, 1), *rng.uniform(-0.6, 0.6, 2) * (kind != "REX"))
        moving = Motion(5000.0, 0.0, 0.0, 2016.0) if k % 10 == 0 else None
        sources.append(Source(kind, ra, dec, [rng.uniform(1, 9)], *shape, sersic=0.6 + 2 * (k % 3), motion=moving))
    renderer = TimRenderer(tim, 0, jacobian)
    seen = 0
    for source, found in zip(sources, renderer.patches(sources), strict=True):
        want = renderer.patch(source)
        if want is None:
            assert found is None
            continue
        seen += 1
        assert found[:2] == want[:2] and found[2].dtype == np.float32
        # frames may be larger, so that less of the tails comes in again at the opposite side
        # where hardly any light falls on the image, what counts is the rounding of transforms of the whole flux
        atol = max(2e-5 * np.abs(want[2]).max(), 1e-8 * abs(source.flux[0]))
        np.testing.assert_allclose(found[2], want[2], rtol=0, atol=atol)
    assert 50 < seen < 150 and list(renderer.patches([])) == []


@pytest.mark.parametrize("sampling", [1.0, 1.3])
def test_many_stamps(sampling):
    psf = replace(_varying_psf(), sampling=sampling)
    x, y = np.array([3.0, 50.0, 80.0]), np.array([70.0, 20.0, 5.0])
    stamps = psf.stamps(x, y)
    assert stamps.dtype == np.float32 and psf.stamps(x[:0], y[:0]).shape[0] == 0
    for k in range(3):
        np.testing.assert_allclose(stamps[k], psf.stamp(x[k], y[k]), rtol=1e-5, atol=1e-8)
