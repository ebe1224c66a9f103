"""Oracles: Gaussian closed forms, scikit-learn, brute-force neighbors and exact invariances.

Statistical checks allow four standard errors of the mean over independent samples, plus the known bias where
it is not negligible.
"""

import numpy as np
import pytest
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_regression

from curvezoo.theory import differential_entropy, gaussian_information, nearest_neighbors

REPEATS = 30


def mean_and_error(estimate, seed):
    """Returns the mean of an estimate over independent samples, and its standard error."""
    values = [estimate(np.random.default_rng([seed, i])) for i in range(REPEATS)]
    return np.mean(values), np.std(values, ddof=1) / np.sqrt(REPEATS)


def correlated(rng, correlation, count):
    x, z = rng.normal(size=(2, count))
    return x, correlation * x + np.sqrt(1 - correlation**2) * z


def distances(x, y):
    """Returns the matrix of distances in the maximum norm by brute force."""
    return np.abs(x[:, None] - y).max(axis=-1)


@pytest.mark.parametrize("neighbors", [1, 4])
def test_all_estimates_follow_their_equations_on_brute_force_distances(neighbors):
    rng = np.random.default_rng(0)
    x, y, n, m = rng.normal(size=(40, 2)), rng.normal(1, 2, size=(55, 2)), 40, 55
    own, other = np.sort(distances(x, x), axis=1)[:, neighbors], np.sort(distances(x, y), axis=1)
    entropy = digamma(n) - digamma(neighbors) + 2 * np.mean(np.log(2 * own))
    assert nearest_neighbors.entropy(x, neighbors) == pytest.approx(entropy, rel=1e-13)
    divergence = 2 * np.mean(np.log(other[:, neighbors - 1] / own)) + np.log(m / (n - 1))
    assert nearest_neighbors.kl_divergence(x, y, neighbors) == pytest.approx(divergence, rel=1e-12)
    z = rng.normal(size=(40, 1)) + x[:, :1]
    near_x, near_z = distances(x / x.std(axis=0), x / x.std(axis=0)), distances(z / z.std(), z / z.std())
    radius = np.sort(np.maximum(near_x, near_z), axis=1)[:, neighbors, None]
    counts = [np.sum(near < radius, axis=1) - 1 for near in (near_x, near_z)]
    expected = digamma(neighbors) + digamma(n) - np.mean(digamma(counts[0] + 1) + digamma(counts[1] + 1))
    assert nearest_neighbors.mutual_information(x, z, neighbors) == pytest.approx(expected, rel=1e-12)
    in_bits = nearest_neighbors.mutual_information(x, z, neighbors, base=2)
    assert in_bits == pytest.approx(expected / np.log(2), rel=1e-12)


@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_kraskovs_information_equals_that_of_scikit_learn(correlation):
    x, y = correlated(np.random.default_rng(1), correlation, 500)
    theirs = mutual_info_regression(x[:, None], y, n_neighbors=3, random_state=0)[0]
    # scikit-learn adds noise of relative size 1e-10, which moves no neighbor here.
    assert nearest_neighbors.mutual_information(x, y) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_kraskovs_information_of_gaussians_is_unbiased_within_four_standard_errors(correlation):
    def estimate(rng):
        return nearest_neighbors.mutual_information(*correlated(rng, correlation, 400))

    mean, error = mean_and_error(estimate, seed=2)
    truth = gaussian_information.mutual_information([[1, correlation], [correlation, 1]])
    assert abs(mean - truth) < 4 * error + 0.01
    assert error < 0.02


def test_information_of_vectors_is_that_of_their_gaussian():
    covariance = np.array([[1, 0.2, 0.7], [0.2, 1, 0.4], [0.7, 0.4, 1]])
    root = np.linalg.cholesky(covariance)

    def estimate(rng):
        z = rng.normal(size=(800, 3)) @ root.T
        return nearest_neighbors.mutual_information(z[:, :2], z[:, 2])

    mean, error = mean_and_error(estimate, seed=3)
    truth = gaussian_information.mutual_information(covariance, (0, 1), 2)
    # In three dimensions the bias is visible; it is below a tenth of the information.
    assert abs(mean - truth) < 4 * error + 0.1 * truth


@pytest.mark.parametrize(("dimensions", "bias"), [(1, 0.0), (2, 0.04)])
def test_entropy_of_gaussians_is_their_closed_form(dimensions, bias):
    mean, error = mean_and_error(lambda rng: nearest_neighbors.entropy(rng.normal(size=(800, dimensions))), 4)
    truth = differential_entropy.gaussian_entropy(np.eye(dimensions))
    assert abs(mean - truth) < 4 * error + bias
    # The distances have the spread of psi'(k), and log p that of D / 2.
    assert error * np.sqrt(800 * REPEATS) == pytest.approx(np.sqrt(dimensions / 2 + 0.395), rel=0.6)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.5, 1.3), (1.0, 1.0)])
def test_divergence_of_gaussians_is_their_closed_form(shift, scale):
    def estimate(rng):
        return nearest_neighbors.kl_divergence(rng.normal(size=400), rng.normal(shift, scale, 600))

    mean, error = mean_and_error(estimate, seed=6)
    truth = gaussian_information.kl_divergence(0, 1, shift, scale**2)
    assert abs(mean - truth) < 4 * error + 0.02
    assert error < 0.03


def test_units_shift_the_entropy_only():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(200, 2)), rng.normal(size=200)
    assert nearest_neighbors.entropy(2.0**900 * x) == pytest.approx(
        nearest_neighbors.entropy(x, neighbors=3) + 1800 * np.log(2), rel=1e-12
    )
    # Powers of two do not round.
    scaled = nearest_neighbors.mutual_information(x * [2**-20, 2.0**30], 1024 * y)
    assert scaled == nearest_neighbors.mutual_information(x, y)
    assert nearest_neighbors.kl_divergence(8 * x, 8 * x[:99] + 1e-3) == pytest.approx(
        nearest_neighbors.kl_divergence(x, x[:99] + 1.25e-4), rel=1e-9
    )


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e170, 1e300])
def test_information_does_not_depend_on_units_of_any_size(unit):
    x, y = np.random.default_rng(9).normal(size=(2, 200))
    exact = nearest_neighbors.mutual_information(x, x + y)
    assert nearest_neighbors.mutual_information(unit * x, x + y) == pytest.approx(exact, rel=1e-12)


def test_a_few_copies_are_accepted_and_many_are_refused():
    x = np.random.default_rng(8).normal(size=100)
    x[1:3] = x[0]
    assert np.isfinite(nearest_neighbors.entropy(x, neighbors=3))
    for call in (nearest_neighbors.entropy, lambda x, k: nearest_neighbors.mutual_information(x, x**2, k)):
        with pytest.raises(ValueError, match=r"x must not repeat an example more than 2 times, but 3 of 100"):
            call(x, 2)
    y = np.random.default_rng(9).normal(size=100)
    # In the pair (x, y) nothing repeats, but x alone is discrete.
    with pytest.raises(ValueError, match=r"y must not repeat .* is y\[0\]; use plug_in for discrete"):
        nearest_neighbors.mutual_information(y, np.sign(x))
    with pytest.raises(ValueError, match=r"y must not hold an example of x 1 times or more.*x\[4\]"):
        nearest_neighbors.kl_divergence(y, np.append(x, y[4]), 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda nn, x: nn.entropy([]), r"x must have shape \[N\] or \[N, D\], got \(0,\)"),
        (lambda nn, x: nn.entropy(np.zeros((2, 2, 2))), r"x must have shape .* got \(2, 2, 2\)"),
        (lambda nn, x: nn.entropy(np.append(x, np.nan)), r"x\[10\] must be finite"),
        (lambda nn, x: nn.entropy(x, 10), "neighbors must be below the number of examples, 10, got 10"),
        (lambda nn, x: nn.entropy(x, 0), "neighbors must be an integer of at least 1, got 0"),
        (lambda nn, x: nn.entropy(x, base=-2), "base must be above 1"),
        (
            lambda nn, x: nn.mutual_information(x, x[1:]),
            "x and y must hold the same number of examples, got 10",
        ),
        (lambda nn, x: nn.mutual_information(x, 0 * x), "y must vary: column 0 is constant"),
        (
            lambda nn, x: nn.kl_divergence(x, x[:, None] * [1, 2]),
            "x and y must have the same dimensions, got 1",
        ),
        (lambda nn, x: nn.kl_divergence(x, x[:2]), "y must hold at least 3 examples for 3 neighbors, got 2"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call(nearest_neighbors, np.sqrt(np.arange(10.0)))
