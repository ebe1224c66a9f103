"""The share of signal: closed forms of noisy quadratics, and trainings that whole steps ruin."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from curvezoo.losses import CategoricalNLL, GaussianNLL
from curvezoo.optimizers.kfac.optimizer import KFAC
from curvezoo.optimizers.kfac.signal import SignalFraction
from curvezoo.theory.noise_scale import LocalModel

pytestmark = pytest.mark.usefixtures("double_precision_rates")
SIZE = 300


def variable(name):
    return keras.Variable(0.0, dtype="float64", name=name)


@pytest.mark.equation("4.5.6")
@pytest.mark.parametrize("batch_size", [1, 4, 30])
def test_it_is_the_best_step_of_a_noisy_quadratic(batch_size):
    """At one point, with steps down the batch's gradient: the share is eps_opt(B) / eps_max."""
    rng = np.random.default_rng(0)
    gradient, deviations = rng.normal(size=SIZE), rng.uniform(0.5, 2, SIZE)
    # All directions have one curvature, so that both noise scales are the same.
    curvature, rate = 3.0, 0.2
    share = SignalFraction(0.9999, variable)
    step = np.zeros(SIZE)
    for _ in range(200):
        noisy = gradient + curvature * step + deviations * rng.normal(size=SIZE) / np.sqrt(batch_size)
        measured = share.measure([tf.constant(noisy)], [tf.constant(step)], tf.constant(True))
        # Back to the point: the batch's gradient there.
        at_start = gradient + deviations * rng.normal(size=SIZE) / np.sqrt(batch_size)
        step = -rate * at_start
        share.note(at_start @ step, curvature * step @ step, tf.constant(True), tf.constant(True))
    model = LocalModel(gradient, curvature * np.eye(SIZE), np.diag(deviations**2))
    assert float(measured) == pytest.approx(model.optimal_step(batch_size) * curvature, rel=0.02)


@pytest.mark.parametrize("taken", [True, False])
def test_only_steps_that_are_taken_and_numbers_count(taken):
    share = SignalFraction(0.5, variable)
    one, yes, no = [tf.constant([1.0], tf.float64)], tf.constant(True), tf.constant(False)
    share.note(tf.constant(-1.0), tf.constant(0.5), tf.constant(taken), yes)
    # A batch of undefined numbers leaves no trace; then (-0.25 - 0.5) / -1.
    assert float(share.measure(one, [-one[0]], no)) == 1.0
    share.note(tf.constant(np.nan), tf.constant(np.nan), yes, no)
    found = share.measure([tf.constant([0.25], tf.float64)], [-one[0]], yes)
    assert float(found) == (0.75 if taken else 1.0)


def test_it_is_bounded():
    share = SignalFraction(0.0, variable)
    one = tf.constant([1.0], tf.float64)
    for slope, expected in ((5.0, 1.0), (-5.0, 0.01)):
        share.note(tf.constant(-1.0), tf.constant(0.0), tf.constant(True), tf.constant(True))
        assert float(share.measure([slope * one], [-one], tf.constant(True))) == expected


def test_a_wild_batch_is_forgotten_soon():
    share, yes = SignalFraction(0.5, variable), tf.constant(True)
    for signal in (-1.0, 1e30, -1.0, -1.0, -1.0, -1.0):
        share.note(tf.constant(-1.0), tf.constant(0.0), yes, yes)
        found = share.measure([tf.constant([signal], tf.float64)], [tf.constant([1.0], tf.float64)], yes)
    assert float(found) > 0.5


def test_without_noise_steps_are_whole(compiled):
    """Linear regression on all data at each step: the quadratic model is exact, and so is c = 1."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4)), rng.normal(size=(64, 1))
    weights = []
    for memory in (None, 0.9):
        keras.utils.set_random_seed(0)
        network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model = compiled(
            KFAC(0.7, damping=0.5, adapt_every=None, noise_memory=memory), network, GaussianNLL(scale=1.0)
        )
        model.fit(x, y, batch_size=64, epochs=12, verbose=0)
        weights.append(np.concatenate([np.ravel(w) for w in model.get_weights()]))
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-10)


def softmax_regression(**settings):
    """Trains on 800 digits in batches of 8 in single precision; returns the loss on the others."""
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    digits = load_digits()
    x, y = (digits.data / 16).astype("float32"), digits.target
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    model.compile(KFAC(**settings), CategoricalNLL())
    model.fit(x[:800], y[:800], batch_size=8, epochs=3, verbose=0)
    return model.evaluate(x[800:], y[800:], batch_size=997, verbose=0)


def test_small_batches_which_ruin_whole_steps_train():
    assert softmax_regression() < 0.35 < 2 < softmax_regression(noise_memory=None)


@pytest.mark.parametrize(
    "other",
    [{"momentum": 0.9}, {"clipnorm": 0.1}, {"clipvalue": 0.1}, {"global_clipnorm": 0.1}],
    ids=str,
)
def test_steps_whose_curvature_is_unknown_are_whole(other, compiled):
    x, y = np.random.default_rng(0).normal(size=(64, 5)), np.arange(64) % 3
    weights = []
    for memory in (None, 0.9):
        model = compiled(KFAC(0.1, damping=0.1, adapt_every=None, noise_memory=memory, **other))
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
