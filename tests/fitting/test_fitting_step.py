"""The box solver."""

import numpy as np
import pytest
from scipy.optimize import minimize

from legacypipe_lite.fitting import step_kernels as kernels


@pytest.mark.parametrize("seed", range(30))
def test_box_solver_finds_the_constrained_optimum(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    a = rng.normal(size=(n + 3, n))
    h, g = a.T @ a, 5 * rng.normal(size=n)
    lower, upper = -rng.uniform(0, 1.5, n), rng.uniform(0, 1.5, n)
    lower[rng.random(n) < 0.2] = 0.0
    step = np.empty(n)
    gain = kernels.solve_in_box(h, g, 0.0, lower, upper, step)
    want = minimize(
        lambda s: 0.5 * s @ h @ s - g @ s, np.zeros(n), jac=lambda s: h @ s - g, bounds=list(zip(lower, upper)),
        tol=1e-14,
    )  # fmt: skip
    assert np.all(step >= lower - 1e-12) and np.all(step <= upper + 1e-12)
    assert gain == pytest.approx(-want.fun, rel=1e-5, abs=1e-8)


def test_box_solver_with_singular_and_blocked_directions():
    h, g = np.diag([2.0, 0.0, 3.0]), np.array([1.0, 5.0, 3.0])
    step = np.empty(3)
    gain = kernels.solve_in_box(h, g, 0.0, np.array([-9.0, -9.0, 0.0]), np.array([9.0, 9.0, 0.0]), step)
    assert step == pytest.approx([0.5, 0.0, 0.0]) and gain == pytest.approx(0.25)


def test_damping_shortens_the_step():
    h, g, step = np.eye(2) * 4.0, np.array([4.0, -8.0]), np.empty(2)
    wide = np.full(2, 100.0)
    kernels.solve_in_box(h, g, 1.0, -wide, wide, step)
    np.testing.assert_allclose(step, [0.5, -1.0])
