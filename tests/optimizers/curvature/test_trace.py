"""Oracles: numpy.trace and the exact variance of the estimator."""

import numpy as np
import pytest

from curvezoo.optimizers.curvature.trace import hutchinson_trace


def wishart(n, samples, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, samples))
    return x @ x.T / samples


@pytest.mark.parametrize("rank", [0, 5])
def test_the_estimate_is_unbiased_and_its_error_is_the_spread(rank):
    matrix = wishart(40, 60)
    estimates = [hutchinson_trace(matrix, probes=10, rank=rank, seed=seed) for seed in range(200)]
    values = np.array([estimate.value for estimate in estimates])
    assert abs(values.mean() - np.trace(matrix)) < 4 * values.std(ddof=1) / np.sqrt(len(values))
    # The squared errors are unbiased. With few degrees of freedom each, they scatter widely.
    mean_square = np.mean([estimate.standard_error**2 for estimate in estimates])
    assert mean_square == pytest.approx(values.var(ddof=1), rel=0.4 if rank else 0.35)


def test_the_variance_is_twice_the_squared_off_diagonal():
    matrix = wishart(30, 50)
    exact = np.sqrt(2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)) / 4000)
    estimate = hutchinson_trace(matrix, probes=4000)
    assert estimate.standard_error == pytest.approx(exact, rel=0.06)
    assert abs(estimate.value - np.trace(matrix)) < 4 * estimate.standard_error


def test_a_diagonal_matrix_and_a_matrix_of_low_rank_are_exact():
    estimate = hutchinson_trace(np.diag([1.0, -2.0, 5.0]), probes=2)
    assert estimate.value == pytest.approx(4, abs=1e-14) and estimate.standard_error < 1e-14
    low = wishart(50, 4)
    estimate = hutchinson_trace(low, probes=3, rank=4)
    assert estimate.value == pytest.approx(np.trace(low), rel=1e-12)
    assert estimate.standard_error < 1e-12


def test_the_exact_part_removes_large_eigenvalues_from_the_error():
    matrix = wishart(100, 100) + 50 * np.ones((100, 100)) / 100
    plain = hutchinson_trace(matrix, probes=50)
    better = hutchinson_trace(matrix, probes=50, rank=10)
    assert better.standard_error < plain.standard_error / 5
    assert abs(better.value - np.trace(matrix)) < 4 * better.standard_error


def test_a_nonsymmetric_matrix_has_its_trace():
    matrix = np.random.default_rng(1).normal(size=(20, 20))
    estimate = hutchinson_trace(lambda v: matrix @ v, probes=500, dimension=20)
    assert abs(estimate.value - np.trace(matrix)) < 4 * estimate.standard_error


def test_one_probe_has_no_error_and_bad_input_is_refused():
    assert np.isnan(hutchinson_trace(np.eye(3), probes=1).standard_error)
    with pytest.raises(ValueError, match="rank must be below the dimension 3, got 3"):
        hutchinson_trace(np.eye(3), rank=3)
    with pytest.raises(ValueError, match="probes must be an integer of at least 1, got 0"):
        hutchinson_trace(np.eye(3), probes=0)
