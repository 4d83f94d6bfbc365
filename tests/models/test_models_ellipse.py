"""Ellipticity conversions and shape tensors."""

import math

import numpy as np
import pytest

from legacypipe_lite.models.ellipse import (
    hard_from_soft,
    hard_jacobian,
    shape_tensor,
    soft_from_hard,
    soft_shape_tensor,
)
from legacypipe_lite.reference.galaxy_sources import ellipticity


def test_table_of_the_reference(engine_reference):
    for r, ratio, phi, e1, e2, _, eps1, eps2, *basis in engine_reference["ell"]:
        # the reference's phi runs the other way round
        assert ellipticity(ratio, 180 - phi) == pytest.approx((e1, e2), abs=1e-12)
        assert soft_from_hard(e1, e2) == pytest.approx((eps1, eps2), abs=1e-12)
        a = np.array(basis).reshape(2, 2)
        np.testing.assert_allclose(shape_tensor(r, e1, e2), (a @ a.T)[[0, 0, 1], [0, 1, 1]], atol=1e-12)


def test_round_trip_and_limits():
    for e1, e2 in ((0.0, 0.0), (0.3, -0.5), (-0.9, 0.1)):
        assert hard_from_soft(*soft_from_hard(e1, e2)) == pytest.approx((e1, e2), abs=1e-14)
    assert math.hypot(*hard_from_soft(300.0, 400.0)) == pytest.approx(0.999999)
    assert math.hypot(*soft_from_hard(1.0, 0.0)) == pytest.approx(-math.log(1e-6))


@pytest.mark.parametrize("p", [(0.3, 0.2, -0.4), (1.0, -0.8, 0.1), (-2.0, 1e-3, 2e-3), (0.0, 8.0, 3.0)])
def test_derivatives_of_the_tensor(p):
    def tensor(q):
        w, dw = np.empty(3), np.empty((3, 3))
        soft_shape_tensor(*q, w, dw)
        return w, dw

    _, derivatives = tensor(p)
    for k in range(3):
        up, down = list(p), list(p)
        up[k] += 1e-6
        down[k] -= 1e-6
        np.testing.assert_allclose((tensor(up)[0] - tensor(down)[0]) / 2e-6, derivatives[k], atol=1e-6)


def test_derivatives_at_zero_ellipticity_are_traceless():
    w, dw = np.empty(3), np.empty((3, 3))
    soft_shape_tensor(0.0, 0.0, 0.0, w, dw)
    np.testing.assert_allclose(w, [1, 0, 1])
    np.testing.assert_allclose(dw, [[2, 0, 2], [-2, 0, 2], [0, 2, 0]])


@pytest.mark.parametrize("eps", [(0.0, 0.0), (0.3, -0.1), (2.0, 1.0)])
def test_hard_jacobian(eps):
    got = np.array(hard_jacobian(*eps)).reshape(2, 2)
    h = 1e-7
    columns = []
    for step in ((h, 0), (0, h)):
        up = hard_from_soft(eps[0] + step[0], eps[1] + step[1])
        down = hard_from_soft(eps[0] - step[0], eps[1] - step[1])
        columns.append((np.array(up) - down) / (2 * h))
    np.testing.assert_allclose(got, np.array(columns).T, atol=1e-6)
