"""Oracles: TensorFlow Probability's Bernoulli in float64 and Keras's binary cross-entropy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.optimize import minimize_scalar
from scipy.special import expit

from curvezoo.losses.binary import BernoulliNLL


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, (8, 3)), rng.normal(scale=4.0, size=(8, 3))


def test_the_loss_is_minus_the_log_probability_summed_over_outputs(batch):
    labels, logits = batch
    bernoulli = tfp.distributions.Bernoulli(logits=tf.constant(logits))
    exact = -bernoulli.log_prob(labels.astype(float)).numpy().sum(axis=-1)
    loss = BernoulliNLL(reduction=None, dtype="float64")
    np.testing.assert_allclose(loss(labels, logits), exact, rtol=1e-13)
    np.testing.assert_allclose(BernoulliNLL(dtype="float64")(labels, logits), exact.mean(), rtol=1e-13)
    theirs = keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64")(labels, logits)
    np.testing.assert_allclose(BernoulliNLL(dtype="float64")(labels, logits), 3 * theirs, rtol=1e-13)


@pytest.mark.equation("3.4.20")
def test_a_soft_label_gives_a_cross_entropy_with_its_minimum_at_the_label():
    loss = BernoulliNLL(dtype="float64")
    frequency = 0.37
    for p in (0.1, 0.37, 0.99):
        exact = -frequency * np.log(p) - (1 - frequency) * np.log1p(-p)
        assert float(loss([frequency], [np.log(p) - np.log1p(-p)])) == pytest.approx(exact, rel=1e-13)
    best = minimize_scalar(lambda a: float(loss([frequency], [a])), bounds=(-5, 5), method="bounded")
    assert expit(best.x) == pytest.approx(frequency, abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_have_finite_losses_and_gradients(dtype):
    logits = tf.constant([1e4, -1e4, 1e4, -1e4, 30.0, 0.0], dtype)
    labels = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.25])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = BernoulliNLL(reduction=None, dtype=dtype)(labels, logits)
    exact = [0.0, 0.0, 1e4, 1e4, np.log1p(np.exp(-30.0)), np.log(2.0)]
    np.testing.assert_allclose(value, exact, rtol=1e-6)
    gradient = tape.gradient(value, logits)
    np.testing.assert_allclose(gradient, expit(np.float64(logits)) - labels, rtol=1e-5, atol=3e-16)


def test_reductions_and_weights_are_explicit_sums_over_all_axes(batch):
    labels, logits = batch
    each = np.asarray(BernoulliNLL(reduction=None, dtype="float64")(labels, logits))
    weights = np.linspace(0.0, 2.0, 8)
    for reduction, expected in (
        ("sum_over_batch_size", np.mean(weights * each)),
        ("sum", np.sum(weights * each)),
        ("mean_with_sample_weight", np.sum(weights * each) / np.sum(weights)),
    ):
        ours = BernoulliNLL(reduction, dtype="float64")(labels, logits, sample_weight=weights)
        np.testing.assert_allclose(ours, expected, rtol=1e-13)
    sequences = BernoulliNLL(reduction=None, dtype="float64")
    positions = sequences(labels.reshape(2, 4, 3), logits.reshape(2, 4, 3))
    np.testing.assert_allclose(positions, each.reshape(2, 4), rtol=1e-14)


def test_masked_positions_do_not_count():
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(3, 4, 2)).astype("float32")
    inputs[1, 1:] = 0.0
    mask = np.any(inputs != 0, axis=-1)
    labels = rng.integers(0, 2, (3, 4, 2))
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.Masking(), keras.layers.Dense(2)])
    outputs = model(inputs)
    each = np.asarray(BernoulliNLL(reduction=None).call(labels, outputs))
    np.testing.assert_allclose(BernoulliNLL()(labels, outputs), each[mask].mean(), rtol=1e-5)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_logits_are_summed_in_float32(half, batch):
    labels, logits = batch[0], keras.ops.cast(batch[1], half)
    wide = np.asarray(keras.ops.cast(logits, "float64"))
    exact = BernoulliNLL(reduction=None, dtype="float64")(labels, wide)
    for value in (BernoulliNLL(reduction=None)(labels, logits), BernoulliNLL(None).call(labels, logits)):
        assert value.dtype == tf.float32
        np.testing.assert_allclose(value, exact, rtol=2e-6)


def test_a_model_trains_and_survives_saving(tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(256, 2)).astype("float32")
    y = (x @ [2.0, -1.0] > 0).astype("int32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), BernoulliNLL(name="yes_or_no"))
    model.fit(x, y, epochs=20, verbose=0)
    after = model.evaluate(x, y, verbose=0)
    assert after < 0.2 < np.log(2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == {
        "name": "yes_or_no",
        "reduction": "sum_over_batch_size",
        "dtype": "float32",
    }
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(after, rel=1e-6)


def test_a_last_axis_of_one_may_be_missing(batch):
    labels, logits = batch[0][:, 0], batch[1][:, 0]
    loss = BernoulliNLL(reduction=None)
    column = loss(labels[:, None], logits[:, None])
    for y, a in ((labels, logits), (labels, logits[:, None]), (labels[:, None], logits)):
        np.testing.assert_array_equal(loss(y, a), column)


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        (np.zeros((4, 3)), np.zeros((4, 2)), r"y_true must have shape \(4, 2\) .* got shape \(4, 3\)"),
        (np.zeros(4), np.zeros((4, 2)), r"y_true must have shape \(4, 2\) .* got shape \(4,\)"),
        (np.zeros((4, 1)), np.zeros((4, 2)), r"y_true must have shape \(4, 2\) .* got shape \(4, 1\)"),
        (np.array([[0, 1], [1, -1]]), np.zeros((2, 2)), r"y_true\[1, 1\] must be in \[0, 1\], got -1"),
        ([0.0, 1.5], np.zeros(2), r"y_true\[1\] must be in \[0, 1\], got 1.5"),
        ([float("nan")], np.zeros(1), r"y_true\[0\] must be finite, got nan"),
    ],
)
def test_wrong_shapes_and_labels_are_rejected(labels, logits, message):
    with pytest.raises(ValueError, match=message):
        BernoulliNLL()(labels, logits)


def test_the_distribution_has_minus_the_loss_as_log_density_for_soft_labels():
    rng = np.random.default_rng(7)
    labels, logits = rng.uniform(size=(5, 3)), rng.normal(scale=3.0, size=(5, 3))
    loss = BernoulliNLL(dtype="float64")
    np.testing.assert_allclose(
        -loss.distribution(logits).log_prob(labels), loss.call(labels, logits), rtol=1e-12
    )
    assert loss.distribution(logits[:, 0]).event_shape == (1,)
