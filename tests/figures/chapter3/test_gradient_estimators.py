"""Oracles: enumeration, finite differences, and the closed forms."""

import numpy as np
import pytest
from keras import ops

from curvezoo.figures.chapter3 import gradient_estimators as estimators
from curvezoo.theory.sampling import softmax

MIXTURE = estimators.MIXTURE
EXACT = estimators.exact_gradient(MIXTURE)
C = np.array([0.9, 0.4, 0.15, 0.05])
QUADRATIC = estimators.Problem(MIXTURE.logits, lambda y: ops.square(y[:, 0] + 2 * y[:, 1] - y[:, 3]))
P = softmax(MIXTURE.logits)
J = float(P @ -np.log(C))
SAMPLES = 100_000


def standard_errors(gradients):
    return gradients.std(axis=0, ddof=1) / np.sqrt(len(gradients))


def pairwise_limit(slopes):
    """Returns sum_i p_i p_j D_ij, the gradient if j replaces i as the argmax and changes h by D_ij."""
    return np.sum(np.outer(P, P) * slopes, axis=0)


def test_the_exact_gradient_is_the_derivative_of_the_expectation():
    x, step = np.array(MIXTURE.logits), 1e-6

    def expectation(x):
        return softmax(x) @ -np.log(C)

    numeric = [(expectation(x + step * e) - expectation(x - step * e)) / (2 * step) for e in np.eye(4)]
    np.testing.assert_allclose(EXACT, numeric, rtol=1e-8)


@pytest.mark.parametrize("baseline", [0.0, J, -3.0])
def test_the_score_function_is_unbiased_for_any_baseline(baseline):
    mean, variance = estimators.score_function_moments(MIXTURE, baseline)
    np.testing.assert_allclose(mean, EXACT, rtol=1e-12)
    gradients = estimators.score_function_gradients(MIXTURE, SAMPLES, 1, baseline)
    assert np.all(np.abs(gradients.mean(axis=0) - EXACT) < 5 * standard_errors(gradients))
    squares = np.sum((gradients - mean) ** 2, axis=1)
    assert squares.mean() == pytest.approx(variance, abs=5 * squares.std() / np.sqrt(SAMPLES))


def test_a_baseline_removes_most_of_the_variance():
    without, with_baseline = (estimators.score_function_moments(MIXTURE, b)[1] for b in (0.0, J))
    assert with_baseline < 0.3 * without


@pytest.mark.equation("3.5.7")
def test_the_bias_of_gumbel_softmax_falls_with_beta_and_its_variance_grows():
    betas = np.array([0.5, 1.0, 2.0, 4.0, 16.0])
    results = estimators.sweep(MIXTURE, betas, SAMPLES)["Gumbel-softmax"]
    bias, error = (np.array([getattr(r, name) for r in results]) for name in ("bias", "standard_error"))
    assert np.all(bias[1:-1] < bias[:-2] - 5 * error[1:-1])
    assert np.all(bias[:3] > 20 * error[:3])
    # The estimator is unbiased in the limit.
    assert bias[-1] < 5 * error[-1]
    assert np.all(np.diff([r.variance for r in results]) > 0)


def test_the_relaxed_gradient_is_that_of_the_expected_relaxation():
    # The difference of <h(f)> at shifted logits, with the same noise.
    beta, step = 1.0, 1e-2
    mean = estimators.gumbel_gradients(MIXTURE, beta, SAMPLES, 3).mean(axis=0)
    noise = np.random.default_rng(0).gumbel(size=(SAMPLES, 4))
    values = []
    for shift in (step, -step):
        x = np.array(MIXTURE.logits) + shift * np.eye(4)[0]
        values.append(-np.log(softmax(beta * (x + noise)) @ C))
    difference = (values[0] - values[1]) / (2 * step)
    gradients = estimators.gumbel_gradients(MIXTURE, beta, SAMPLES, 3)
    error = np.hypot(difference.std() / np.sqrt(SAMPLES), standard_errors(gradients)[0])
    assert mean[0] == pytest.approx(difference.mean(), abs=5 * error + step**2)


def test_straight_through_keeps_the_bias_of_the_trapezoid_rule():
    # At a tie of i and j, (dh(e_i) + dh(e_j)) . (e_j - e_i) / 2 replaces h(e_j) - h(e_i).
    slopes = -C / C[:, None]
    differences = slopes - np.diag(slopes)[:, None]
    trapezoid = (differences - differences.T) / 2
    limit = pairwise_limit(trapezoid)
    np.testing.assert_allclose(pairwise_limit(-np.log(C) + np.log(C)[:, None]), EXACT, rtol=1e-12)
    gradients = estimators.gumbel_gradients(MIXTURE, 32.0, SAMPLES, 4, straight_through=True)
    # The limit is approached as 1 / beta^2.
    allowed = 5 * standard_errors(gradients) + np.abs(limit).max() / 32**2
    assert np.all(np.abs(gradients.mean(axis=0) - limit) < allowed)
    assert np.linalg.norm(limit - EXACT) > np.linalg.norm(EXACT)


def test_straight_through_is_unbiased_in_the_limit_for_a_quadratic():
    exact = estimators.exact_gradient(QUADRATIC)
    gradients = estimators.gumbel_gradients(QUADRATIC, 32.0, SAMPLES, 5, straight_through=True)
    assert np.all(np.abs(gradients.mean(axis=0) - exact) < 5 * standard_errors(gradients) + 10 / 32**2)
    soft = estimators.gumbel_gradients(QUADRATIC, 1.0, SAMPLES, 5, straight_through=True)
    assert np.abs(soft.mean(axis=0) - exact).max() > 20 * standard_errors(soft).max()


@pytest.mark.equation("3.5.1")
@pytest.mark.parametrize("dimensions", [1, 5])
def test_both_gaussian_gradients_are_unbiased_with_their_closed_form_variances(dimensions):
    mean, scale = 0.5, 0.7
    theory = estimators.gaussian_variances(dimensions, mean, scale)
    runs = estimators.gaussian_gradients(dimensions, mean, scale, SAMPLES, 6)
    for name, gradients in runs.items():
        assert gradients.mean() == pytest.approx(2 * mean, abs=5 * gradients.std() / np.sqrt(SAMPLES))
        squares = (gradients - 2 * mean) ** 2
        assert squares.mean() == pytest.approx(theory[name], abs=5 * squares.std() / np.sqrt(SAMPLES))


def test_the_score_functions_variance_grows_with_the_square_of_the_dimension():
    theory = estimators.gaussian_variances(np.array([1000, 2000]), 0.5, 0.7)
    assert theory["score function"][1] / theory["score function"][0] == pytest.approx(4, rel=0.01)
    np.testing.assert_allclose(theory["reparameterization"], 4 * 0.49, rtol=1e-14)


def test_a_summary_holds_bias_variance_and_standard_error():
    gradients = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0]])
    result = estimators.summarize(gradients, np.array([2.0, 0.0]))
    assert (result.bias, result.variance) == (1.0, 1.0 + 3.0)
    assert result.standard_error == pytest.approx(np.sqrt(4 / 3))


@pytest.fixture(scope="module")
def statistics():
    return estimators.measure(samples=20_000)


def test_all_estimators_are_measured_against_the_exact_gradient(statistics):
    for results in statistics.relaxed.values():
        for result in results:
            assert result.bias == pytest.approx(np.linalg.norm(result.mean - EXACT), rel=1e-12)
    without, with_baseline = statistics.score_function
    assert with_baseline < without
    for name, measured in statistics.gaussian.items():
        # The variance of 4,000 samples of a product of Gaussians is accurate to about a tenth.
        np.testing.assert_allclose(measured, statistics.gaussian_theory[name], rtol=0.4)


def test_figure_shows_what_was_measured(statistics):
    bias, variance, error, gaussian = estimators.plot(statistics).axes
    relaxed, straight = statistics.relaxed.values()
    np.testing.assert_array_equal(bias.lines[0].get_ydata(), [r.bias for r in relaxed])
    np.testing.assert_array_equal(bias.lines[1].get_ydata(), [r.bias for r in straight])
    np.testing.assert_array_equal(variance.lines[1].get_ydata(), [r.variance for r in straight])
    assert [line.get_ydata()[0] for line in variance.lines[2:]] == list(statistics.score_function)
    total = np.sqrt([r.bias**2 + r.variance / 30 for r in relaxed])
    lines = {line.get_label(): line.get_ydata() for line in error.lines}
    np.testing.assert_allclose(lines["30 samples"], total, rtol=1e-12)
    np.testing.assert_array_equal(gaussian.lines[2].get_ydata(), statistics.gaussian["score function"])
    np.testing.assert_array_equal(gaussian.lines[3].get_ydata(), statistics.gaussian_theory["score function"])
