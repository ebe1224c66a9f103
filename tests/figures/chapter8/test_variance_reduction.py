"""Oracles: sums over single episodes, finite differences of the policy, and equal expectations."""

import numpy as np
import pytest

from curvezoo.figures.chapter8 import variance_reduction as figure

PARAMETERS = np.array([0.1, -0.2, 0.3, 0.8, 0.5])


@pytest.fixture(scope="module")
def measured():
    return [figure.estimate(parameters, 400, 0) for parameters in (np.zeros(5), PARAMETERS)]


def test_the_scores_are_derivatives_of_the_log_probabilities():
    features, scores, playing = figure.play(PARAMETERS, 5, 0)

    def log_probs(parameters, right):
        logits = features @ parameters
        return -np.logaddexp(0, np.where(right, -logits, logits))

    # A positive score along the features means a push to the right.
    right = np.sum(scores * features, axis=-1) > 0
    for index, step in enumerate(1e-6 * np.eye(5)):
        ends = log_probs(PARAMETERS + step, right), log_probs(PARAMETERS - step, right)
        numeric = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(scores[..., index][playing], numeric[playing], atol=1e-8)


def test_estimates_are_sums_over_the_steps_of_each_episode():
    estimates = figure.estimate(PARAMETERS, 20, 3)
    _, scores, playing = figure.play(PARAMETERS, 20, 6)
    for episode in range(20):
        length = int(playing[:, episode].sum())
        assert playing[:length, episode].all() and length == estimates.lengths[episode]
        total = length * scores[:length, episode].sum(axis=0)
        to_go = sum((length - t) * scores[t, episode] for t in range(length))
        np.testing.assert_allclose(estimates.gradients[0, episode], total, rtol=1e-10, atol=1e-9)
        np.testing.assert_allclose(estimates.gradients[1, episode], to_go, rtol=1e-10, atol=1e-9)


def test_the_means_agree_within_their_errors(measured):
    for estimates in measured:
        assert np.abs(estimates.differences).max() < 4


def test_each_step_reduces_the_variance_of_a_random_policy(measured):
    # The estimators share their episodes, so that differences have much smaller errors than variances.
    gradients = measured[0].gradients
    squares = np.sum((gradients - gradients.mean(axis=1, keepdims=True)) ** 2, axis=2)
    reductions = squares[:-1] - squares[1:]
    errors = reductions.std(axis=1, ddof=1) / np.sqrt(reductions.shape[1])
    assert np.all(reductions.mean(axis=1) > 3 * errors)


def test_the_error_of_the_variance_matches_its_scatter_over_halves(measured):
    gradients = measured[0].gradients[1]
    parts = [part.var(axis=0, ddof=1).sum() for part in np.split(gradients, 20)]
    expected = np.std(parts, ddof=1) / np.sqrt(20)
    assert measured[0].variance_errors[1] == pytest.approx(expected, rel=0.6)


def test_the_figure_shows_what_was_measured(measured):
    variances, means = figure.plot(measured).axes
    for index in range(3):
        line = variances.containers[index].lines[0]
        np.testing.assert_array_equal(line.get_ydata(), [e.variances[index] for e in measured])
        np.testing.assert_array_equal(means.containers[index].lines[0].get_ydata(), measured[1].means[index])
