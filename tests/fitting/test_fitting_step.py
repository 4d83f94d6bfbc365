"""The box solver, and steps of sizes."""

import math

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


LEAST, MOST = math.log(0.01), math.log(30.0)


def moved(log_re, step, blur):
    return kernels.moved_size(log_re, step, blur, LEAST, MOST)[0]


@pytest.mark.parametrize("log_re", [LEAST, -3.0, -1.0, 0.0, 2.0, MOST])
def test_steps_of_sizes_reach_their_bounds_and_no_farther(log_re):
    blur = 0.25
    lower, upper = kernels.size_steps(log_re, blur, LEAST, MOST, cap=50.0)
    assert lower <= 0 <= upper
    assert moved(log_re, lower, blur) == pytest.approx(LEAST, abs=1e-9)
    assert moved(log_re, upper, blur) == pytest.approx(MOST, abs=1e-9)
    assert moved(log_re, 0.0, blur) == pytest.approx(log_re, abs=1e-9)
    for step in (10 * lower - 10.0, 10 * upper + 10.0):
        assert LEAST <= moved(log_re, step, blur) <= MOST


def test_steps_of_sizes_have_the_derivative_of_the_logarithm():
    for log_re in (-3.0, -1.0, 1.5):
        slope = (moved(log_re, 1e-5, 0.3) - moved(log_re, -1e-5, 0.3)) / 2e-5
        assert slope == pytest.approx(1.0, rel=1e-6)


def test_steps_of_small_sizes_are_those_of_their_squares():
    """A step that asks for r^2 = 0 gets there at once; one of a large size multiplies it."""
    assert moved(-3.0, -0.5, 1.0) == LEAST
    assert math.exp(2 * moved(-3.0, 4.0, 100.0)) == pytest.approx(math.exp(-6.0) * (1 + 2 * 4.0), rel=1e-3)
    assert moved(2.0, 0.5, 0.1) == pytest.approx(2.5, abs=1e-2)


def test_ellipticity_of_a_small_size_moves_less_when_it_grows():
    """Then r^2 e has the value that a linear image asks for."""
    _, growth = kernels.moved_size(-3.0, 4.0, 100.0, LEAST, MOST)
    assert growth == pytest.approx(9.0, rel=1e-2)
    assert kernels.moved_size(2.0, 0.5, 0.1, LEAST, MOST)[1] == pytest.approx(1.0, abs=0.01)
    assert kernels.moved_size(-3.0, -0.4, 100.0, LEAST, MOST)[1] == 1.0


def test_cap_of_sizes():
    lower, upper = kernels.size_steps(1.0, 1e-6, LEAST, MOST, 0.7)
    assert lower == pytest.approx(-0.7, rel=1e-4) and upper == pytest.approx(0.7, rel=1e-4)
