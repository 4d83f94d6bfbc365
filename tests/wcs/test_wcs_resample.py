"""Pixel maps and Lanczos resampling."""

import numpy as np
import pytest
from numba import njit

from legacypipe_lite.wcs import (
    MapGrid,
    PixelMap,
    TanWcs,
    TpvWcs,
    grid_kernels,
    target_wcs,
    tile_kernels,
    vector_kernels,
)
from legacypipe_lite.wcs import resample_kernels as kernels


def _ccd(width, height, scale=0.27, angle=3.0):
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    cd = np.array([[-c, s], [s, c]]) * scale / 3600
    pv = np.zeros(40)
    pv[1] = 1.0
    pv[4], pv[7] = 2e-3, 1e-2
    return TpvWcs((150.0, 30.0), (width / 2 + 0.7, height / 2 + 0.2), cd, width, height, pv, pv)


def _exact(target, ccd, pixel_map):
    h, w = pixel_map.fx.shape
    x, y = np.meshgrid(np.arange(w) + pixel_map.x0, np.arange(h) + pixel_map.y0)
    return target.map_to(ccd, x.astype(float), y.astype(float))


@pytest.mark.parametrize("size,dtype", [((300, 200), np.float32), ((30, 20), np.float64), ((2, 150), np.float64)])
def test_positions_are_exact(size, dtype):
    target, ccd = target_wcs(150.0, 30.0, 400, 400, 0.262), _ccd(*size)
    m = PixelMap.build(target, ccd)
    assert m.fx.dtype == dtype
    fx, fy = _exact(target, ccd, m)
    limit = 2e-5 if dtype == np.float32 else 1e-8
    assert np.abs(m.fx - fx).max() < limit and np.abs(m.fy - fy).max() < limit


def test_margins():
    """A large map has 12 pixels of margin around the projected corners, a small one none."""
    target = target_wcs(150.0, 30.0, 400, 400, 0.262)
    for size, margin in (((200, 200), 12), ((20, 20), 0)):
        ccd = _ccd(*size, scale=0.262, angle=0.0)
        x, _ = ccd.map_to(target, [0, size[0] - 1], [0, 0])
        m = PixelMap.build(target, ccd)
        assert m.x0 == round(x.min()) - margin
        assert m.x0 + m.fx.shape[1] == round(x.max()) + margin + 1


def test_nearest_pixel_is_truncated_toward_zero():
    fx = np.array([[-1.6, -1.5, -1.49, -0.6, -0.4, 0.49, 0.5, 8.49, 8.5, np.nan]])
    m = PixelMap(3, 4, fx, np.zeros_like(fx), (1, 9))
    assert m.ix.tolist() == [[-1, -1, 0, 0, 0, 0, 1, 8, -1, -1]]
    assert m.valid.sum() == 6
    assert (m.iy[m.valid] == 0).all()
    assert m.box == (slice(4, 5), slice(3, 13))


def test_float32_positions_are_rounded_in_float32():
    fx = np.array([[0.49999997]], np.float32)
    assert PixelMap(0, 0, fx, fx, (5, 5)).ix[0, 0] == 1


def test_no_overlap():
    target = target_wcs(150.0, 30.0, 100, 100, 0.262)
    assert PixelMap.build(target, TanWcs((151.0, 30.0), (50, 50), np.eye(2) * 1e-4, 100, 100)) is None
    assert PixelMap.build(target, TanWcs((330.0, -30.0), (50, 50), np.eye(2) * 1e-4, 100, 100)) is None


def test_nearest_values():
    image = np.arange(12).reshape(3, 4)
    f = np.array([[0.2, 2.9, 7.0]])
    m = PixelMap(0, 0, f, np.array([[1.1, 2.0, 0.0]]), image.shape)
    assert m.nearest(image + 1).tolist() == [[5, 12, 0]]


def _numpy_lanczos(image, fx, fy, ix, iy):
    def weights(d):
        t = np.arange(-3, 4) - d
        return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)

    h, w = image.shape
    wx, wy = weights(fx - ix), weights(fy - iy)
    part = image[np.clip(iy + np.arange(-3, 4), 0, h - 1)][:, np.clip(ix + np.arange(-3, 4), 0, w - 1)]
    return wy @ part @ wx / (wx.sum() * wy.sum())


def test_lanczos_equals_plain_sums():
    rng = np.random.default_rng(2)
    image = rng.normal(size=(30, 25)).astype(np.float32)
    fx, fy = rng.uniform(-0.5, 24.4, (10, 9)), rng.uniform(-0.5, 29.4, (10, 9))
    m = PixelMap(0, 0, fx, fy, image.shape)
    got = m.lanczos(image)
    want = [[_numpy_lanczos(image, fx[i, j], fy[i, j], m.ix[i, j], m.iy[i, j]) for j in range(9)] for i in range(10)]
    np.testing.assert_allclose(got, want, atol=3e-5)


def test_lanczos_of_a_constant_and_off_the_image():
    fx = np.array([[2.3, 50.0]])
    m = PixelMap(0, 0, fx, fx, (8, 8))
    np.testing.assert_allclose(m.lanczos(np.full((8, 8), 3.0, np.float32)), [[3.0, 0.0]], rtol=1e-6)


def test_weights_beyond_half_a_pixel_are_extrapolated():
    scratch = kernels.lanczos_scratch(1)
    one, zero = np.array([-0.9]), np.zeros(1)
    at = np.zeros(1, np.int64)
    kernels.lanczos_setup(1, one, zero, at, at, kernels.LANCZOS_TABLE.ravel(), scratch)
    weights, norm, _ = scratch
    last = kernels.LANCZOS_TABLE[-2:].astype(float)
    want = last[0] + (last[1] - last[0]) * (1.4 * 1024 - 1023)
    np.testing.assert_allclose(weights[0], want, atol=2e-4)
    assert norm[0, 0] == pytest.approx(weights[0].sum() * weights[1].sum(), abs=1e-5)


def test_lagrange_reproduces_cubics():
    n_out, lo, step, n = 60, 2.5, 7.3, 9
    index, weights = np.empty(n_out, np.int64), np.empty((4, n_out))
    grid_kernels.lagrange_weights(n_out, lo, step, 3, n, index, weights)

    def cubic(x):
        return 1 + 0.3 * x - 0.02 * x**2 + 1e-3 * x**3

    nodes = cubic(lo + step * np.arange(n))
    got = [weights[:, i] @ nodes[index[i] : index[i] + 4] for i in range(n_out)]
    np.testing.assert_allclose(got, cubic(np.arange(3, 63)), rtol=1e-12)


def test_rows_of_a_grid_are_those_of_the_map():
    target, ccd = target_wcs(150.0, 30.0, 400, 400, 0.262), _ccd(300, 200)
    grid = MapGrid.build(target, ccd)
    pixel_map = PixelMap.from_grid(grid)
    assert grid.box == pixel_map.box and grid.shape == pixel_map.fx.shape and grid.rounded
    positions = grid_kernels.new_positions(grid.arrays, 400)
    x, y, ix, iy, _ = positions
    for i, first, last in ((0, 0, 40), (17, 13, 14), (150, 51, 300)):
        n = last - first
        grid_kernels.row_positions(grid.arrays, i, first, last, positions)
        valid = grid_kernels.nearest_of_row(grid.arrays, n, positions)
        assert np.array_equal(x[:n], pixel_map.fx[i, first:last]) and np.array_equal(y[:n], pixel_map.fy[i, first:last])
        assert np.array_equal(ix[:n], pixel_map.ix[i, first:last]) and np.array_equal(
            iy[:n], pixel_map.iy[i, first:last]
        )
        assert valid == np.count_nonzero(pixel_map.valid[i, first:last])


def test_nearest_values_of_rows():
    target, ccd = target_wcs(150.0, 30.0, 400, 400, 0.262), _ccd(300, 200)
    grid = MapGrid.build(target, ccd)
    image = np.random.default_rng(3).integers(0, 99, ccd.shape).astype(np.int32)
    out = np.full(grid.shape, -7, np.int32)
    kernels.nearest_values(grid.arrays, 0, 100, image, out)
    kernels.nearest_values(grid.arrays, 100, grid.shape[0], image, out)
    pixel_map = PixelMap.from_grid(grid)
    assert np.array_equal(out, np.where(pixel_map.valid, pixel_map.nearest(image), -7))


@pytest.mark.parametrize("angle", [3.0, 95.0])
def test_tiles_hold_what_their_block_needs(angle):
    target, ccd = target_wcs(150.0, 30.0, 400, 400, 0.262), _ccd(300, 200, angle=angle)
    grid = MapGrid.build(target, ccd)
    pixel_map = PixelMap.from_grid(grid)
    scratch = grid_kernels.new_positions(grid.arrays, 500)
    image = np.random.default_rng(3).normal(size=ccd.shape).astype(np.float32)
    for row0, row1, left, right in ((0, 30, 0, 50), (100, 160, 20, 200), (60, 61, 100, 101)):
        box = np.zeros(4, np.int64)
        found = tile_kernels.tile_of_block(grid.arrays, row0, row1, left, right, 3, scratch, box)
        part = np.s_[row0:row1, left:right]
        ix, iy = pixel_map.ix[part], pixel_map.iy[part]
        inside = ix >= 0
        assert found or not inside.any()
        if not inside.any():
            continue
        for low, high, values, size in ((*box[:2], ix[inside], 300), (*box[2:], iy[inside], 200)):
            assert low <= max(values.min() - 3, 0) and high >= min(values.max() + 4, size)
        tile = np.empty((box[1] - box[0]) * (box[3] - box[2]) + 5, np.float32)
        tile_kernels.cut_tile(image, box, tile)
        local_x, local_y = ix[3 % len(ix)].astype(np.int64), iy[3 % len(ix)].astype(np.int64)
        expected = np.where(local_x >= 0, image[local_y, local_x], 0)
        tile_kernels.to_tile(len(local_x), box, local_x, local_y)
        out = np.empty(len(local_x), np.float32)
        tile_kernels.gather(len(out), tile, box[1] - box[0], local_x, local_y, out)
        assert np.array_equal(out, expected)


def test_no_tile_off_the_image():
    target, ccd = target_wcs(150.0, 30.0, 400, 400, 0.262), _ccd(300, 200, angle=45.0)
    grid = MapGrid.build(target, ccd)
    scratch = grid_kernels.new_positions(grid.arrays, 500)
    assert not tile_kernels.tile_of_block(grid.arrays, 0, 5, 0, 5, 3, scratch, np.zeros(4, np.int64))


def test_vector_operations_equal_their_twins():
    rng = np.random.default_rng(8)
    table, out, twin = (rng.normal(size=64).astype(np.float32) for _ in range(3))
    image, wx, wy = (rng.normal(size=n).astype(np.float32) for n in (300, 24, 24))

    @njit
    def blend(table, at, fraction, out, to):
        vector_kernels.blend(table, np.uintp(at), np.float32(fraction), out, np.uintp(to))

    @njit
    def stencil_sum(image, at, width, wx, wy, first):
        return vector_kernels.stencil_sum(image, np.uintp(at), np.uintp(width), wx, wy, np.uintp(first))

    blend(table, 16, 0.3, out, 40)
    vector_kernels._blend(table, 16, np.float32(0.3), twin, 40)
    np.testing.assert_allclose(out[40:48], twin[40:48], rtol=1e-6)
    assert not np.any(out[:40] == twin[:40])
    got, want = stencil_sum(image, 5, 31, wx, wy, 8), vector_kernels._stencil_sum(image, 5, 31, wx, wy, 8)
    assert got == pytest.approx(want, abs=1e-5)
    exact = sum(wy[8 + m] * wx[8 + k] * image[5 + m * 31 + k].astype(float) for m in range(7) for k in range(7))
    assert got == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("rim", [True, False])
@pytest.mark.parametrize("size", [(30, 20), (300, 200)])
def test_nearest_pixels_are_those_of_the_map(size, rim):
    target, ccd = target_wcs(150.0, 30.0, 400, 400, 0.262), _ccd(*size)
    pixel_map = PixelMap.build(target, ccd)
    expected = np.full(target.shape, -1, np.int32)
    ok = pixel_map.valid
    if not rim:
        ok = ok & (pixel_map.fx >= -0.5) & (pixel_map.fy >= -0.5)
    expected[pixel_map.box] = np.where(ok, pixel_map.iy * ccd.width + pixel_map.ix, -1)
    assert (ok.sum() < pixel_map.valid.sum()) != rim
    found = np.empty(target.shape, np.int32)
    grid_kernels.fill_nearest(target.pack(), ccd.pack(), 400, 400, *size, rim, found.ravel())
    np.testing.assert_array_equal(found, expected)


def test_no_nearest_pixels_without_overlap():
    target, ccd = target_wcs(160.0, 30.0, 40, 30, 0.262), _ccd(30, 20)
    found = np.zeros(40 * 30, np.int32)
    grid_kernels.fill_nearest(target.pack(), ccd.pack(), 40, 30, 30, 20, True, found)
    assert (found == -1).all() and MapGrid.build(target, ccd) is None
