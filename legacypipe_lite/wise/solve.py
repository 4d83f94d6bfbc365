"""Exact solution of the normal equations of forced photometry."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

__all__ = ["solve_fluxes"]

#: Added to the diagonal, relative to it: sources at the same place share their flux instead of making the matrix
#: singular.
_RIDGE = 1e-9
#: Up to so many sources the matrix is dense.
_MAX_DENSE = 400


def solve_fluxes(
    diagonal: NDArray[np.float64], pairs: NDArray[np.int32], products: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fluxes that minimise chi-squared, without any constraint.

    Parameters
    ----------
    diagonal : numpy.ndarray of float64, shape (n,)
        Of the matrix of the normal equations: the inverse variances of the fluxes if there were no neighbours.
    pairs : numpy.ndarray of int32, shape (m, 2)
        Places of the other elements that may not be zero: (i, j) or (j, i); what comes twice is added.
    products : numpy.ndarray of float64, shape (m,)
        Their values.
    right : numpy.ndarray of float64, shape (n,)
        Right-hand side.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        0 where the diagonal is 0.
    """
    flux = np.zeros(len(diagonal))
    used = diagonal > 0
    number = np.cumsum(used) - 1
    both = used[pairs[:, 0]] & used[pairs[:, 1]] & (products != 0)
    i, j, values = number[pairs[both, 0]], number[pairs[both, 1]], products[both]
    # Scaled to a unit diagonal: fluxes differ by many orders of magnitude in their errors.
    scale = 1 / np.sqrt(diagonal[used])
    values = values * scale[i] * scale[j]
    solve = _solve_dense if len(scale) <= _MAX_DENSE else _solve_sparse
    flux[used] = scale * solve(i, j, values, scale * right[used])
    return flux


def _solve_dense(i, j, values, right):
    matrix = np.diag(np.full(len(right), 1 + _RIDGE))
    np.add.at(matrix, (i, j), values)
    np.add.at(matrix, (j, i), values)
    factor = linalg.cho_factor(matrix, lower=True, check_finite=False)
    return linalg.cho_solve(factor, right, check_finite=False)


def _solve_sparse(i, j, values, right):
    """Sparse factorisation; its ordering (minimum degree) keeps independent groups of sources apart."""
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    n = len(right)
    everything = np.arange(n)
    entries = np.concatenate([values, values, np.full(n, 1 + _RIDGE)])
    rows, columns = np.concatenate([i, j, everything]), np.concatenate([j, i, everything])
    matrix = csc_matrix((entries, (rows, columns)), shape=(n, n))
    # The matrix is symmetric and positive definite: no pivoting.
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    solution = factors.solve(right)
    return solution + factors.solve(right - matrix @ solution)
