"""Oracles: the formulas written out for each step, and derivatives by autodiff, in float64.

Legend: B steps of experience, A actions.
"""

import numpy as np
import pytest
import tensorflow as tf

from curvezoo.losses import policy

RNG = np.random.default_rng(0)
OLD_LOGITS = RNG.normal(size=(40, 3))
LOGITS = OLD_LOGITS + 0.5 * RNG.normal(size=(40, 3))
ACTIONS = RNG.integers(3, size=40)
WEIGHTS = RNG.normal(size=40)


def log_softmax(logits):
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


NEW, OLD = (log_softmax(x)[np.arange(40), ACTIONS] for x in (LOGITS, OLD_LOGITS))


def gradient(loss, logits):
    """Returns the gradient with respect to the logits of a loss of the actions' log-probabilities."""
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(tf.gather(tf.nn.log_softmax(logits), ACTIONS, batch_dims=1))
    return tape.gradient(value, logits).numpy()


def clipped_case(ratio, advantage, clip):
    """Returns the loss of Eq. 8.5.3 for one step and its derivative, case by case."""
    if advantage > 0 and ratio > 1 + clip:
        return -(1 + clip) * advantage, 0.0
    if advantage < 0 and ratio < 1 - clip:
        return -(1 - clip) * advantage, 0.0
    return -ratio * advantage, -advantage


def test_the_gradient_of_the_surrogate_is_the_weighted_mean_of_the_scores():
    scores = np.eye(3)[ACTIONS] - np.exp(log_softmax(LOGITS))
    expected = -WEIGHTS[:, None] * scores / 40
    actual = gradient(lambda log_probs: policy.policy_gradient_loss(log_probs, WEIGHTS), LOGITS)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    value = policy.policy_gradient_loss(tf.constant(NEW), WEIGHTS)
    assert float(value) == pytest.approx(-np.mean(WEIGHTS * NEW), rel=1e-12)


def test_no_gradient_flows_into_the_weights_of_the_policy_gradient():
    weights, log_probs = tf.constant(WEIGHTS), tf.constant(NEW)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = policy.policy_gradient_loss(log_probs * 1.0, weights)
    assert tape.gradient(loss, weights) is None


def test_ratio_and_log_probability_have_the_same_gradient_at_the_old_policy():
    by_ratio = gradient(lambda log_probs: policy.ratio_loss(log_probs, OLD, WEIGHTS), OLD_LOGITS)
    by_log = gradient(lambda log_probs: policy.policy_gradient_loss(log_probs, WEIGHTS), OLD_LOGITS)
    np.testing.assert_allclose(by_ratio, by_log, rtol=1e-12)
    value = policy.ratio_loss(tf.constant(NEW), OLD, WEIGHTS)
    assert float(value) == pytest.approx(-np.mean(np.exp(NEW - OLD) * WEIGHTS), rel=1e-12)
    away = gradient(lambda log_probs: policy.ratio_loss(log_probs, OLD, WEIGHTS), LOGITS)
    other = gradient(lambda log_probs: policy.policy_gradient_loss(log_probs, WEIGHTS), LOGITS)
    assert np.abs(away - other).max() > 0.01


@pytest.mark.equation("8.5.3")
@pytest.mark.parametrize("clip", [0.05, 0.2, 0.5])
def test_the_clipped_loss_and_its_gradient_match_each_case_of_the_minimum(clip):
    ratio = np.exp(NEW - OLD)
    cases = [clipped_case(r, a, clip) for r, a in zip(ratio, WEIGHTS, strict=True)]
    values, slopes = np.transpose(cases)
    # Every case occurs: clipped on either side, and outside of the interval without an effect.
    outside = np.abs(ratio - 1) > clip
    assert np.any((slopes == 0) & (ratio > 1)) and np.any((slopes == 0) & (ratio < 1))
    assert np.any(outside & (slopes != 0)) and np.any(~outside)
    log_probs = tf.constant(NEW)
    with tf.GradientTape() as tape:
        tape.watch(log_probs)
        loss = policy.clipped_loss(log_probs, OLD, WEIGHTS, clip)
    assert float(loss) == pytest.approx(values.mean(), rel=1e-12)
    np.testing.assert_allclose(tape.gradient(loss, log_probs), slopes * ratio / 40, rtol=1e-12, atol=1e-15)


@pytest.mark.equation("8.5.3")
def test_clipping_has_no_effect_on_the_first_step():
    by_clip = gradient(lambda log_probs: policy.clipped_loss(log_probs, OLD, WEIGHTS, 0.2), OLD_LOGITS)
    by_log = gradient(lambda log_probs: policy.policy_gradient_loss(log_probs, WEIGHTS), OLD_LOGITS)
    np.testing.assert_allclose(by_clip, by_log, rtol=1e-12)


def test_the_clip_fraction_counts_the_ratios_outside_of_the_interval():
    new = np.log([0.5, 0.81, 1.0, 1.19, 1.21])
    assert float(policy.clip_fraction(tf.constant(new), np.zeros(5), 0.2)) == pytest.approx(0.4)


def test_the_approximate_divergence_is_unbiased_and_never_negative():
    # The mean over the old policy's actions, by enumeration for one state.
    new, old = log_softmax(LOGITS)[0], log_softmax(OLD_LOGITS)[0]
    estimates = [
        float(policy.approximate_divergence(tf.constant([n]), [o])) for n, o in zip(new, old, strict=True)
    ]
    exact = np.sum(np.exp(old) * (old - new))
    assert np.exp(old) @ estimates == pytest.approx(exact, rel=1e-10)
    assert min(estimates) >= 0
    assert float(policy.approximate_divergence(tf.constant(OLD), OLD)) == 0


def test_the_value_loss_is_half_the_squared_error_and_its_clip_takes_the_larger():
    values, returns, old = RNG.normal(size=(3, 40))
    plain = float(policy.value_loss(tf.constant(values), returns))
    assert plain == pytest.approx(np.mean((values - returns) ** 2) / 2, rel=1e-12)
    expected = []
    for value, target, before in zip(values, returns, old, strict=True):
        limited = min(max(value, before - 0.3), before + 0.3)
        expected.append(max((value - target) ** 2, (limited - target) ** 2) / 2)
    clipped = float(policy.value_loss(tf.constant(values), returns, old, 0.3))
    assert clipped == pytest.approx(np.mean(expected), rel=1e-12)
    assert clipped > plain


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 1j, True, "1"])
def test_clips_that_are_not_positive_numbers_are_named(bad):
    ones = tf.ones(3)
    for call in (
        lambda: policy.clipped_loss(ones, ones, ones, bad),
        lambda: policy.clip_fraction(ones, ones, bad),
        lambda: policy.value_loss(ones, ones, ones, bad),
    ):
        with pytest.raises(ValueError, match="clip must be a positive finite number, got"):
            call()
