"""Joint fits: kernels against NumPy, groups, blends with known truth."""

import numpy as np
import pytest
from fitting_scenes import blob_images, context, galaxy, make_tims, star, whole_task

from legacypipe_lite.fitting import fit_blob, joint_kernels
from legacypipe_lite.fitting.groups import Coupling, coupled_groups, couplings, joint_windows
from legacypipe_lite.fitting.joint import fit_group, flux_correlations, solve_in_boxes

BLEND = [
    galaxy("EXP", 45.2, 45.7, [10.0, 20.0], 1.0, 0.2, -0.15),
    star(51.3, 44.8, [2.0, 3.0]),
    galaxy("DEV", 40.0, 52.0, [5.0, 9.0], 0.8, 0.1, 0.1),
]


@pytest.fixture(scope="module")
def random_layout():
    """Columns of two members in two images, as `joint_kernels.Layout` wants them, and weighted residuals."""
    rng = np.random.default_rng(3)
    window = np.array([[[2, 3, 9, 8], [1, 1, 7, 6]], [[6, 5, 10, 9], [0, 0, 0, 0]]], np.int32)
    ncol = np.array([3, 6])
    sizes = window[..., 2].astype(np.int64) * window[..., 3] * ncol[:, np.newaxis]
    frame = np.array([[1, 2, 17, 14], [0, 0, 9, 8]], np.int32)
    layout = joint_kernels.Layout(
        window, np.cumsum(sizes, axis=1) - sizes, ncol, frame, np.array([0, 17 * 14]), np.array([1, 0])
    )
    columns = [rng.normal(size=int(total)).astype(np.float32) for total in sizes.sum(axis=1)]
    residual = rng.normal(size=17 * 14 + 9 * 8).astype(np.float32)
    return layout, columns, residual


def _in_frame(layout, member, columns, image):
    """Columns of a member on the whole frame of an image: (ncol, h, w)."""
    x0, y0, w, h = layout.window[member, image]
    fx, fy, fw, fh = layout.frame[image]
    out = np.zeros((layout.ncol[member], fh, fw))
    if w:
        first = layout.start[member, image]
        own = columns[first : first + layout.ncol[member] * w * h].reshape(-1, h, w)
        out[:, y0 - fy : y0 - fy + h, x0 - fx : x0 - fx + w] = own
    return out


def _residual_of(layout, residual, image):
    _, _, w, h = layout.frame[image]
    first = layout.offset[image]
    return residual[first : first + w * h].reshape(h, w)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 0), (1, 1)])
def test_products_are_those_of_numpy(random_layout, first, second):
    layout, columns, _ = random_layout
    out = np.empty((2, joint_kernels.MOST_COLUMNS, joint_kernels.MOST_COLUMNS))
    joint_kernels.products(first, columns[first], second, columns[second], layout, out)
    expected = np.zeros_like(out)
    for i, band in enumerate(layout.band):
        a, b = (_in_frame(layout, m, columns[m], i) for m in (first, second))
        expected[band, : len(a), : len(b)] += np.einsum("ayx,byx->ab", a, b)
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_slopes_and_models_are_those_of_numpy(random_layout):
    layout, columns, residual = random_layout
    out = np.empty((2, joint_kernels.MOST_COLUMNS))
    coefficients = np.arange(14.0).reshape(2, 7) / 7.0
    changed = residual.copy()
    joint_kernels.add_model(0, columns[0], coefficients, -1.0, layout, changed)
    joint_kernels.slopes(0, columns[0], layout, residual, out)
    expected = np.zeros_like(out)
    for i, band in enumerate(layout.band):
        own = _in_frame(layout, 0, columns[0], i)
        expected[band, :3] += np.einsum("ayx,yx->a", own, _residual_of(layout, residual, i))
        model = np.tensordot(coefficients[band, :3], own, axes=1)
        np.testing.assert_allclose(
            _residual_of(layout, changed, i), _residual_of(layout, residual, i) - model, atol=1e-5
        )
    np.testing.assert_allclose(out, expected, atol=1e-4)
    assert joint_kernels.sum_of_squares(residual, residual.size) == pytest.approx(np.sum(residual.astype(float) ** 2))


def test_normal_matrix_is_that_of_the_whole_design_matrix():
    rng = np.random.default_rng(5)
    npix, nbands, ncol = 40, 2, np.array([3, 2])
    columns = [[rng.normal(size=(n, npix)) for n in ncol] for _ in range(nbands)]  # by band, by member
    pairs = np.array([[0, 0], [1, 1], [0, 1]])
    blocks = np.zeros((3, nbands, joint_kernels.MOST_COLUMNS, joint_kernels.MOST_COLUMNS))
    for k, (i, j) in enumerate(pairs):
        for b in range(nbands):
            blocks[k, b, : ncol[i], : ncol[j]] = columns[b][i] @ columns[b][j].T
    flux = np.array([[2.0, 3.0], [0.5, 0.0]])
    free = np.array([[True, True], [True, False]])
    matrix = np.empty((6, 6))
    joint_kernels.assemble(pairs, blocks, flux, free, np.array([0, 4]), ncol, matrix)
    design = np.zeros((6, nbands, npix))
    for b in range(nbands):
        design[b, b] = columns[b][0][0]
        design[2:4, b] = flux[0, b] * columns[b][0][1:]
        design[5, b] = flux[1, b] * columns[b][1][1]
    design[4, 0] = columns[0][1][0]
    design = design.reshape(6, -1)
    np.testing.assert_allclose(matrix, design @ design.T, rtol=1e-9, atol=1e-9)


def test_factor_solution_and_inverse():
    rng = np.random.default_rng(7)
    a = rng.normal(size=(6, 20))
    matrix = a @ a.T
    scale = np.sqrt(np.diag(matrix))
    matrix /= np.outer(scale, scale)
    # Two more parameters, of which one is the other one again.
    whole = np.eye(8)
    whole[:6, :6] = matrix
    whole[6, 7] = whole[7, 6] = 1.0
    factor, rhs, inverse = whole.copy(), np.arange(1.0, 9.0), np.empty((8, 8))
    good = joint_kernels.factorise(factor, 1e-10)
    assert good.tolist() == [True] * 7 + [False]
    joint_kernels.invert_factored(factor, good, inverse)
    np.testing.assert_allclose(inverse[:6, :6], np.linalg.inv(matrix), rtol=1e-8, atol=1e-8)
    assert np.all(inverse[7] == 0) and np.all(inverse[:, 7] == 0)
    joint_kernels.solve_factored(factor, good, rhs)
    np.testing.assert_allclose(rhs[:6], np.linalg.solve(matrix, np.arange(1.0, 7.0)), rtol=1e-8)
    assert rhs[6] == pytest.approx(7.0) and rhs[7] == 0.0


def test_steps_stay_in_their_boxes():
    matrix, gradient = np.array([[4.0, 1.0], [1.0, 9.0]]), np.array([40.0, 9.0])
    far = np.full(2, np.inf)
    step, gain = solve_in_boxes(matrix, gradient, 0.0, -far, far)
    np.testing.assert_allclose(step, np.linalg.solve(matrix, gradient))
    assert gain == pytest.approx(0.5 * gradient @ step)
    step, _ = solve_in_boxes(matrix, gradient, 0.0, -far, np.array([2.0, np.inf]))
    # the other one makes the best of it
    np.testing.assert_allclose(step, [2.0, (9.0 - 2.0) / 9.0])


def test_groups_are_cut_where_couplings_are_weakest():
    chain = [Coupling(k, k + 1, c) for k, c in enumerate((0.5, 0.03, 0.4, 0.01, 0.6))]
    assert coupled_groups(chain, 7) == [[0, 1, 2, 3], [4, 5]]
    assert coupled_groups(chain, 7, most=3) == [[0, 1], [2, 3], [4, 5]]
    assert coupled_groups([], 3) == []


def test_couplings_are_cosines_of_models():
    images = blob_images(make_tims([], noise=False))
    sources = [star(40.0, 45.0, [1.0, 2.0]), star(44.0, 45.0, [3.0, 1.0]), star(80.0, 45.0, [1.0, 1.0])]
    patches = [images.render(s) for s in sources]
    windows = [joint_windows(images, s) for s in sources]
    (pair,) = [p for p in couplings(images, patches, windows) if p.cosine > 0.02]
    assert (pair.first, pair.second) == (0, 1)
    cosines = []
    for band in range(2):
        a, b = [], []
        for k, out in ((0, a), (1, b)):
            for i in np.flatnonzero(images.band == band):
                flat = np.zeros_like(images.data)
                images.add(patches[k], data=flat)
                out.append(images.view(flat, i).ravel())
        a, b = np.concatenate(a), np.concatenate(b)
        cosines.append(a @ b / np.sqrt((a @ a) * (b @ b)))
    assert pair.cosine == pytest.approx(max(cosines), rel=0.02)


@pytest.fixture(scope="module")
def fitted_blend():
    """A joint fit of a blend without noise that starts beside the truth, and its images."""
    images = blob_images(make_tims(BLEND, noise=False))
    starts = [s.copy(flux=s.flux * f) for s, f in zip(BLEND, (1.1, 0.8, 1.2))]
    starts[1].ra += 0.1 / 3600
    starts[2] = starts[2].copy(shape_r=0.6)
    for s in starts:
        images.add(images.render(s), -1.0)
    windows = [joint_windows(images, s) for s in starts]
    return images, fit_group(images, starts, windows, [(0, 1), (0, 2), (1, 2)], lambda ra, dec: True)


def test_joint_fit_finds_the_truth(fitted_blend):
    _, fit = fitted_blend
    assert fit.chi2 < 1e-3 * fit.chi2_before and fit.evaluations <= 12 and not fit.put_back.any()
    for source, truth in zip(fit.sources, BLEND):
        np.testing.assert_allclose(source.flux, truth.flux, rtol=0.01)
        assert abs(source.ra - truth.ra) * 3600 < 0.01 and abs(source.dec - truth.dec) * 3600 < 0.01
        assert source.shape_r == pytest.approx(truth.shape_r, rel=0.01)
    assert np.all(fit.changed > 5)


def test_joint_uncertainties(fitted_blend):
    _, fit = fitted_blend
    first = fit.correlations[1]
    np.testing.assert_allclose(np.diag(first), 1.0)
    # Light that one has, the other has not.
    assert first[0, 1] < 0 and first[0, 2] < 0
    assert all(np.all(ivar.flux > 0) and np.all(ivar.position > 0) for ivar in fit.ivars)
    assert fit.ivars[1].ellipse.max() == 0 and np.all(fit.ivars[0].ellipse > 0)


def test_a_member_that_leaves_the_blob_is_put_back():
    images = blob_images(make_tims(BLEND, noise=False))
    starts = [s.copy() for s in BLEND]
    starts[1].ra += 0.1 / 3600
    for s in starts:
        images.add(images.render(s), -1.0)
    windows = [joint_windows(images, s) for s in starts]
    fit = fit_group(
        images, starts, windows, [(0, 1), (0, 2), (1, 2)], lambda ra, dec: abs(ra - BLEND[1].ra) * 3600 > 0.05
    )
    assert fit.put_back.tolist() == [False, True, False]
    assert fit.sources[1].ra == starts[1].ra
    np.testing.assert_array_equal(fit.sources[1].flux, starts[1].flux)


def test_correlations_of_fluxes():
    covariance = np.array([[4.0, 1.0, 0.0], [1.0, 1.0, 0.2], [0.0, 0.2, 9.0]])
    found = flux_correlations(covariance, np.array([[0, -1], [1, 2]]))
    assert found[0, 0, 1] == pytest.approx(0.5) and found[1, 1, 1] == 1.0 and found[1, 0, 1] == 0.0


def test_blends_are_right_with_joint_fits():
    """A blend with noise: errors as stated, which single fits in turn do not reach."""
    tims = make_tims(BLEND)
    detected = [star(round(x), round(y), [1.0, 1.0]) for x, y in ((45, 46), (51, 45), (40, 52))]
    pulls = {}
    for joint in (False, True):
        found = fit_blob(context(tims, detected, joint=joint), whole_task(range(3)))
        assert [s.source.type for s in found.sources] == ["EXP", "PSF", "DEV"]
        pulls[joint] = np.array(
            [(s.source.flux - t.flux) * np.sqrt(s.joint_ivar.flux) for s, t in zip(found.sources, BLEND)]
        )
    assert np.abs(pulls[True]).max() < 3.5
    assert np.sum(pulls[True] ** 2) < 0.5 * np.sum(pulls[False] ** 2)
    assert all(s.fit_flags & 1 for s in found.sources)
    assert {s.neighbor for s in found.sources} <= {0, 1, 2} and all(s.correlation < 0 for s in found.sources)
    # Again: not a bit is different.
    again = fit_blob(context(tims, detected), whole_task(range(3)))
    for a, b in zip(found.sources, again.sources):
        assert (a.source.ra, a.source.shape_r, a.correlation) == (b.source.ra, b.source.shape_r, b.correlation)
        np.testing.assert_array_equal(a.source.flux, b.source.flux)
        np.testing.assert_array_equal(a.joint_ivar.values, b.joint_ivar.values)
