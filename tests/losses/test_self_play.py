import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from curvezoo.losses.self_play import self_play_loss

RANDOM = np.random.default_rng(0)
LOGITS, VALUES = RANDOM.normal(size=(5, 4)), RANDOM.normal(size=5)
VISITS, RETURNS = RANDOM.dirichlet(np.ones(4), size=5), RANDOM.choice([-1.0, 0.0, 1.0], size=5)


@pytest.mark.equation("8.6.1")
def test_the_loss_of_self_play_is_squared_error_plus_cross_entropy():
    log_probs = scipy.special.log_softmax(LOGITS, axis=1)
    expected = np.mean((RETURNS - VALUES) ** 2) - np.mean(np.sum(VISITS * log_probs, axis=1))
    loss = self_play_loss(*map(tf.constant, (LOGITS, VALUES, VISITS, RETURNS)))
    assert float(loss) == pytest.approx(expected, rel=1e-12)


@pytest.mark.equation("8.6.1")
def test_its_minimum_is_the_policy_of_the_search_and_the_return():
    logits, values = tf.constant(np.log(VISITS)), tf.constant(RETURNS)
    with tf.GradientTape() as tape:
        tape.watch([logits, values])
        loss = self_play_loss(logits, values, tf.constant(VISITS), tf.constant(RETURNS))
    for gradient in tape.gradient(loss, [logits, values]):
        np.testing.assert_allclose(gradient, 0, atol=1e-15)
    assert float(loss) == pytest.approx(scipy.special.entr(VISITS).sum(axis=1).mean())


def test_illegal_actions_without_visits_may_have_infinite_logits():
    logits, visits = np.array([[0.0, -np.inf, 1.0]]), np.array([[0.25, 0.0, 0.75]])
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = self_play_loss(logits, tf.zeros(1, tf.float64), tf.constant(visits), tf.zeros(1, tf.float64))
    legal = scipy.special.log_softmax([0.0, 1.0])
    assert float(loss) == pytest.approx(-(0.25 * legal[0] + 0.75 * legal[1]))
    assert np.all(np.isfinite(tape.gradient(loss, logits)))
