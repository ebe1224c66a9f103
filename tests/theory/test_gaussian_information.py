"""Oracles: exact rational determinants, the one-dimensional closed form, and quadrature."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from curvezoo.theory import differential_entropy, families, gaussian_information

COVARIANCE_P = [[4, 1, 0], [1, 3, 1], [0, 1, 2]]
COVARIANCE_Q = [[2, 0, 1], [0, 5, 2], [1, 2, 6]]


def determinant(matrix):
    """Returns the exact determinant of a matrix of integers or fractions, by Laplace's expansion."""
    if not matrix:
        return Fraction(1)
    minors = ([row[:j] + row[j + 1 :] for row in matrix[1:]] for j in range(len(matrix)))
    return sum((-1) ** j * matrix[0][j] * determinant(minor) for j, minor in enumerate(minors))


def minor(matrix, i, j):
    return [row[:j] + row[j + 1 :] for k, row in enumerate(matrix) if k != i]


def test_the_divergence_matches_exact_rational_arithmetic():
    shift, det = [1, -2, 3], determinant(COVARIANCE_Q)
    inverse = [[(-1) ** (i + j) * determinant(minor(COVARIANCE_Q, j, i)) / Fraction(det) for j in range(3)]
               for i in range(3)]  # fmt: skip
    trace = sum(inverse[i][j] * COVARIANCE_P[j][i] for i in range(3) for j in range(3))
    square = sum(shift[i] * inverse[i][j] * shift[j] for i in range(3) for j in range(3))
    expected = (float(trace - 3 + square) + np.log(float(det / determinant(COVARIANCE_P)))) / 2
    ours = gaussian_information.kl_divergence([5, 0, 1], COVARIANCE_P, [6, -2, 4], COVARIANCE_Q)
    assert ours == pytest.approx(expected, rel=1e-14)
    bits = gaussian_information.kl_divergence([5, 0, 1], COVARIANCE_P, [6, -2, 4], COVARIANCE_Q, base=2)
    assert bits == pytest.approx(expected / np.log(2), rel=1e-14)


@pytest.mark.parametrize("ratio", [1e-10, 0.3, 0.8, 1.2, 7.0, 1e10])
def test_one_dimension_agrees_with_the_family_and_with_quadrature(ratio):
    ours = gaussian_information.kl_divergence(0.3, ratio**2, -0.2, 1.0)
    assert ours == pytest.approx(families.gaussian_kl((0.3, ratio), (-0.2, 1.0)), rel=1e-12)
    if 0.1 < ratio < 10:
        integral = differential_entropy.kl_divergence(stats.norm(0.3, ratio), stats.norm(-0.2, 1))
        assert ours == pytest.approx(integral, rel=1e-9)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-6, 1e-9, 1e-14])
def test_close_gaussians_have_half_the_fisher_distance_squared_to_full_precision(epsilon):
    # D = (epsilon - log(1 + epsilon)) / 2 for one stretched axis of an anisotropic Gaussian.
    covariance = np.diag([1e-6, 4.0, 9e8])
    stretched = covariance * np.diag([1, 1 + epsilon, 1])
    actual = stretched[1, 1] / 4 - 1
    ours = gaussian_information.kl_divergence(np.zeros(3), stretched, np.zeros(3), covariance)
    series = actual**2 / 2 - actual**3 / 3 + actual**4 / 4 - actual**5 / 5
    assert ours == pytest.approx(series / 2, rel=1e-12)
    assert gaussian_information.kl_divergence([0, 0], np.eye(2), [0, 0], np.eye(2)) == 0


def test_the_divergence_does_not_depend_on_the_coordinates():
    rng = np.random.default_rng(0)
    mean_p, mean_q, change = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(3, 3))
    p, q = np.array(COVARIANCE_P), np.array(COVARIANCE_Q)
    expected = gaussian_information.kl_divergence(mean_p, p, mean_q, q)
    moved = gaussian_information.kl_divergence(
        change @ mean_p, change @ p @ change.T, change @ mean_q, change @ q @ change.T
    )
    assert moved == pytest.approx(expected, rel=1e-11)
    tiny = gaussian_information.kl_divergence(1e-160 * mean_p, 1e-300 * p, 1e-160 * mean_q, 1e-300 * q)
    scaled = gaussian_information.kl_divergence(1e-10 * mean_p, p, 1e-10 * mean_q, q)
    assert tiny == pytest.approx(scaled, rel=1e-12)


def test_mutual_information_is_the_divergence_from_the_product_and_a_sum_of_entropies():
    covariance, x, y = np.array(COVARIANCE_P, float), (0, 2), 1
    exact = float(determinant([[4, 0], [0, 2]]) * 3 / determinant(COVARIANCE_P))
    ours = gaussian_information.mutual_information(covariance, x, y)
    assert ours == pytest.approx(np.log(exact) / 2, rel=1e-14)
    product = covariance.copy()
    product[np.ix_(x, (y,))] = product[np.ix_((y,), x)] = 0
    zero = np.zeros(3)
    assert ours == pytest.approx(
        gaussian_information.kl_divergence(zero, covariance, zero, product), rel=1e-13
    )
    entropies = [differential_entropy.gaussian_entropy(c) for c in ([[4, 0], [0, 2]], 3, covariance)]
    assert ours == pytest.approx(entropies[0] + entropies[1] - entropies[2], rel=1e-13)
    assert gaussian_information.mutual_information(covariance, y, x, base=2) == pytest.approx(
        ours / np.log(2)
    )
    # The other variables are integrated over.
    assert gaussian_information.mutual_information(covariance, 0, -1) == 0
    assert gaussian_information.mutual_information(covariance, 0, 1) == pytest.approx(-np.log(11 / 12) / 2)


@pytest.mark.parametrize("correlation", [1e-8, 1e-3, 0.9, 1 - 1e-6])
def test_weak_and_strong_correlations_keep_their_digits_in_any_unit(correlation):
    scale = np.array([1e-9, 1e5])
    covariance = np.array([[1, correlation], [correlation, 1]]) * scale * scale[:, None]
    expected = -np.log1p(-(correlation**2)) / 2
    assert gaussian_information.mutual_information(covariance) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda kl, mi: kl(0, 1, 0, 0), "covariance_q must be positive, got 0"),
        (lambda kl, mi: kl([0, 0], [[1, 2], [2, 1]], [0, 0], np.eye(2)), "covariance_p must be positive def"),
        (lambda kl, mi: kl([0], np.eye(2), [0, 0], np.eye(2)), r"mean_p must have shape \(2,\), got \(1,\)"),
        (lambda kl, mi: kl([0, 0], np.eye(2), [0, np.nan], np.eye(2)), r"mean_q\[1\] must be finite"),
        (
            lambda kl, mi: kl([0, 0], np.eye(2), 0, 1),
            "covariance_p and covariance_q must have the same shape",
        ),
        (lambda kl, mi: kl(0, 1, 0, 1, base=1), "base must be above 1, got 1"),
        (lambda kl, mi: mi(np.ones((2, 2))), "covariance must be positive definite"),
        (lambda kl, mi: mi(np.eye(2), 0, 0), "x and y must be different variables, both have index 0"),
        (lambda kl, mi: mi(np.eye(2), 0, 2), "y: axis 2 is out of bounds"),
        (lambda kl, mi: mi(np.eye(2), (), 1), "x must hold at least one variable, got none"),
        (lambda kl, mi: mi(np.eye(2), "a", 1), "x must be an index of a variable or a tuple"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call(gaussian_information.kl_divergence, gaussian_information.mutual_information)
