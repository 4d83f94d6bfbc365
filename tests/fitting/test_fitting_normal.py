"""Product matrices, and elimination of fluxes and skies."""

import numpy as np
import pytest
from window_rendering import stencil

from legacypipe_lite.fitting import normal_kernels as kernels


def _numpy_gram(columns):
    return np.array([[np.sum(a.astype(float) * b) for b in columns] for a in columns])


@pytest.mark.parametrize(
    "position, background, nshape, exact, with_n",
    [(True, True, 3, False, True), (True, False, 1, True, False), (False, True, 3, True, True)],
)
def test_gram_of_a_galaxy_equals_plain_sums(position, background, nshape, exact, with_n):
    rng = np.random.default_rng(4)
    h, w = 17, 23
    planes = rng.normal(size=(1, 1 + (nshape if exact else 1) + with_n, h + 12, w + 14)).astype(np.float32)
    dv = rng.normal(size=(1, 3, 3))
    data = rng.normal(size=(h, w)).astype(np.float32)
    inverr = rng.uniform(0, 2, (h, w)).astype(np.float32)
    inverr[:, :4] = 0
    inverr[5] = 0
    spans = np.array([[4, w]] * h, np.int32)
    spans[5] = (w, 0)
    window = np.array([[3, 4, w, h]], np.int32)
    zero = np.zeros(1, np.int64)
    ncol = 2 + 2 * position + nshape + with_n + background
    gram, inside = np.empty((1, ncol, ncol)), np.empty(1)
    windows = window, zero, zero, spans, data.ravel(), inverr.ravel()
    shapes = np.zeros((1, 3)), dv, nshape, exact
    kernels.gram_galaxy(zero, planes, shapes, windows, np.array([0.7]), (position, background), gram, inside)
    part = np.s_[6 : 6 + h, 6 : 6 + w]
    g, moment = planes[0, :2].astype(float)
    columns = [data - 0.7 * g[part], g[part]]
    if position:
        columns += [-stencil(g, axis)[part] for axis in (1, 0)]
    xx, xy, yy = (stencil(stencil(moment, a), b) for a, b in ((1, 1), (0, 1), (0, 0)))
    if exact:
        columns += list(planes[0, 1 : 1 + nshape][:, *part])
    else:
        columns += [(d[0] * xx + 2 * d[1] * xy + d[2] * yy)[part] for d in dv[0]]
    if with_n:
        columns.append(planes[0, -1][part])
    if background:
        columns.append(np.ones((h, w)))
    want = _numpy_gram([c * inverr for c in columns])
    np.testing.assert_allclose(gram[0], want, rtol=2e-5, atol=1e-6 * np.abs(want).max())
    assert inside[0] == pytest.approx(g[part][inverr > 0].sum(), abs=1e-4)


def _assembled(columns_per_image, band, position, background, flux, nband, solve=True):
    n, ncol = len(columns_per_image), len(columns_per_image[0])
    gram = np.array([_numpy_gram(c) for c in columns_per_image])
    npar = ncol - 2 - background
    out = kernels.NormalEquations.empty(np.array(flux, float), npar)
    cinv = np.tile(np.array([-3.0, 0.5, 0.2, 4.0]), (n, 1))
    kernels.assemble(np.arange(n), gram, np.array(band), cinv, (position, background), tuple(out), solve)
    return out


@pytest.mark.parametrize("background", [False, True])
def test_elimination_equals_the_full_least_squares_problem(background):
    """The projected step equals that of the linear problem with all fluxes and skies as unknowns."""
    rng = np.random.default_rng(7)
    npix, npar, band = 200, 3, [0, 0, 1]
    ones = np.ones(npix)
    models = [rng.normal(size=npix) + 0.3 for _ in band]
    slopes = [rng.normal(size=(npar, npix)) for _ in band]
    data = [rng.normal(size=npix) + 2 * m for m in models]
    flux = [1.5, 1.0]
    columns = [
        [d - flux[b] * m, m, *s] + ([ones] if background else []) for d, m, s, b in zip(data, models, slopes, band)
    ]
    out = _assembled(columns, band, False, background, flux, 2)
    # the same with explicit unknowns: fluxes (2), parameters, skies; derivatives taken at the optimal fluxes
    a = np.zeros((3 * npix, 2 + npar + 3))
    for i, b in enumerate(band):
        rows = slice(i * npix, (i + 1) * npix)
        a[rows, b] = models[i]
        a[rows, 2 : 2 + npar] = out.flux[b] * slopes[i].T
        if background:
            a[rows, 2 + npar + i] = 1
    rhs = np.concatenate([d - out.flux[b] * m for d, m, b in zip(data, models, band)])
    full = np.linalg.lstsq(a, rhs, rcond=None)[0]
    step = np.linalg.solve(out.hessian, out.gradient)
    np.testing.assert_allclose(step, full[2 : 2 + npar], atol=1e-8)
    # and the fluxes follow
    np.testing.assert_allclose(out.response @ step if not background else full[:2], full[:2], atol=1e-8)
    only_flux = np.delete(a, np.s_[2 : 2 + npar], axis=1)
    first = np.concatenate([d - flux[b] * m for d, m, b in zip(data, models, band)])
    best = np.linalg.lstsq(only_flux, first, rcond=None)
    np.testing.assert_allclose(out.flux - flux, best[0][:2], atol=1e-8)
    assert out.chi2.sum() == pytest.approx(np.sum((first - only_flux @ best[0]) ** 2))


def test_position_columns_are_turned_to_the_sky():
    rng = np.random.default_rng(8)
    columns = [[rng.normal(size=50) for _ in range(4)]]
    out = _assembled(columns, [0], True, False, [1.0], 1, solve=False)
    _, _, dx, dy = columns[0]
    east, north = -3.0 * dx + 0.2 * dy, 0.5 * dx + 4.0 * dy
    np.testing.assert_allclose(out.information, _numpy_gram([east, north]), rtol=1e-10)
    assert out.flux[0] == 1.0
