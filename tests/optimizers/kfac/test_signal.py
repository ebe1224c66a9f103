"""The signal fraction: closed forms on noisy quadratics, and the steps that it multiplies."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from curvezoo.losses import CategoricalNLL, GaussianNLL
from curvezoo.optimizers.kfac.damping import PRIOR
from curvezoo.optimizers.kfac.optimizer import KFAC
from curvezoo.optimizers.kfac.signal import SignalFraction
from curvezoo.theory.noise_scale import LocalModel

pytestmark = pytest.mark.usefixtures("double_precision_rates")
SIZE = 300


def variable(name):
    return keras.Variable(0.0, dtype="float64", name=name)


@pytest.mark.equation("4.5.6")
@pytest.mark.parametrize("batch_size", [1, 4, 30])
def test_the_fraction_is_the_best_step_on_a_noisy_quadratic(batch_size):
    """At a fixed point, with steps down the batch's gradient, the fraction is eps_opt(B) / eps_max."""
    rng = np.random.default_rng(0)
    gradient, deviations = rng.normal(size=SIZE), rng.uniform(0.5, 2, SIZE)
    # All directions have the same curvature, so that both noise scales are equal.
    curvature, rate = 3.0, 0.2
    fraction = SignalFraction(0.9999, variable)
    step = np.zeros(SIZE)
    for _ in range(200):
        noisy = gradient + curvature * step + deviations * rng.normal(size=SIZE) / np.sqrt(batch_size)
        measured = fraction.measure([tf.constant(noisy)], [tf.constant(step)], tf.constant(True))
        # The batch's gradient back at the fixed point.
        at_start = gradient + deviations * rng.normal(size=SIZE) / np.sqrt(batch_size)
        step = -rate * at_start
        fraction.note(at_start @ step, curvature * step @ step, tf.constant(True), tf.constant(True))
    model = LocalModel(gradient, curvature * np.eye(SIZE), np.diag(deviations**2))
    assert float(measured) == pytest.approx(model.optimal_step(batch_size) * curvature, rel=0.02)


@pytest.mark.parametrize("taken", [True, False])
def test_only_accepted_steps_and_finite_gradients_count(taken):
    fraction = SignalFraction(0.5, variable)
    one, yes, no = [tf.constant([1.0], tf.float64)], tf.constant(True), tf.constant(False)
    fraction.note(tf.constant(-1.0), tf.constant(0.5), tf.constant(taken), yes)
    # A batch with nan is ignored; then (0.25 * -1 - 0.5) / -1.
    assert float(fraction.measure(one, [-one[0]], no)) == 1.0
    fraction.note(tf.constant(np.nan), tf.constant(np.nan), yes, no)
    actual = fraction.measure([tf.constant([0.25], tf.float64)], [-one[0]], yes)
    assert float(actual) == (0.75 if taken else 1.0)


def test_the_fraction_is_bounded():
    fraction = SignalFraction(0.0, variable)
    one = tf.constant([1.0], tf.float64)
    for slope, expected in ((5.0, 1.0), (-5.0, 0.01)):
        fraction.note(tf.constant(-1.0), tf.constant(0.0), tf.constant(True), tf.constant(True))
        assert float(fraction.measure([slope * one], [-one], tf.constant(True))) == expected


def test_an_extreme_batch_is_soon_forgotten():
    fraction, yes = SignalFraction(0.5, variable), tf.constant(True)
    for signal in (-1.0, 1e30, -1.0, -1.0, -1.0, -1.0):
        fraction.note(tf.constant(-1.0), tf.constant(0.0), yes, yes)
        actual = fraction.measure([tf.constant([signal], tf.float64)], [tf.constant([1.0], tf.float64)], yes)
    assert float(actual) > 0.5


def test_without_noise_steps_are_not_shortened(compiled):
    """In linear regression on all data the quadratic model is exact, and c = 1."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4)), rng.normal(size=(64, 1))
    weights = []
    for memory in (None, 0.9):
        keras.utils.set_random_seed(0)
        network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        optimizer = KFAC(0.7, damping=0.5, curvature_examples=64, adapt_every=None, noise_memory=memory)
        model = compiled(optimizer, network, GaussianNLL(scale=1.0))
        model.fit(x, y, batch_size=64, epochs=5, verbose=0)
        weights.append(np.concatenate([np.ravel(w) for w in model.get_weights()]))
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-10)


@pytest.fixture
def digits():
    """800 digits for training and the others for validation, in single precision."""
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    data = load_digits()
    x, y = (data.data / 16).astype("float32"), data.target
    return (x[:800], y[:800]), (x[800:], y[800:])


def softmax_regression(**settings):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    model.compile(KFAC(**settings), CategoricalNLL())
    return model


def test_small_batches_train_with_the_defaults(digits):
    (x, y), held_out = digits
    model = softmax_regression()
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    assert model.evaluate(*held_out, batch_size=997, verbose=0) < 0.35


def test_small_batches_have_a_smaller_fraction_and_more_damping(digits):
    """After 8 steps of 8 digits more than 40 % of the slope is noise, and whole steps lack damping."""
    (x, y), _ = digits
    fractions, damping = {}, {}
    for size, memory in ((8, 0.95), (8, None), (800, 0.95)):
        model = softmax_regression(noise_memory=memory)
        model.run_eagerly = True
        for step in range(8):
            examples = np.arange(step * size, (step + 1) * size) % 800
            model.train_on_batch(x[examples], y[examples])
        [state] = model.optimizer._statistics.states
        floor = np.linalg.norm(state["A"]) * np.linalg.norm(state["G"]) / (PRIOR * size)
        damping[size, memory] = float(model.optimizer.damping) / floor
        if memory is not None:
            signal = model.optimizer._noise.signal
            fractions[size] = float(signal._signals.value / signal._slopes.value)
    assert 0.2 < fractions[8] < 0.6 and fractions[800] > 0.8
    assert damping[8, None] < 0.5 and damping[8, 0.95] > 0.94


@pytest.mark.parametrize(
    "other",
    [{"momentum": 0.9}, {"clipnorm": 0.1}, {"clipvalue": 0.1}, {"global_clipnorm": 0.1}],
    ids=str,
)
def test_steps_with_momentum_or_clipping_are_not_shortened(other, compiled):
    x, y = np.random.default_rng(0).normal(size=(64, 5)), np.arange(64) % 3
    weights = []
    for memory in (None, 0.9):
        model = compiled(KFAC(0.1, damping=0.1, adapt_every=None, noise_memory=memory, **other))
        model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
