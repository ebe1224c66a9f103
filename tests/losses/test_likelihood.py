"""Oracles: log_prob of TensorFlow Probability, and the closed forms of losses.regression."""

import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from curvezoo.losses.binary import BernoulliNLL
from curvezoo.losses.classification import CategoricalNLL
from curvezoo.losses.likelihood import NegativeLogLikelihood
from curvezoo.losses.mixture import MixtureNLL
from curvezoo.losses.regression import GaussianNLL, LaplaceNLL

tfd = tfp.distributions


@keras.saving.register_keras_serializable("curvezoo_tests")
def gaussian_rows(y_pred):
    """Returns rows of independent Gaussians from locations followed by log-scales."""
    location, log_scale = tf.split(y_pred, 2, axis=-1)
    return tfd.Independent(tfd.Normal(location, tf.exp(log_scale)), 1)


@keras.saving.register_keras_serializable("curvezoo_tests")
def poisson(y_pred):
    return tfd.Poisson(log_rate=y_pred[..., 0])


@keras.saving.register_keras_serializable("curvezoo_tests")
class StudentT:
    """A function with a setting, which is saved with it."""

    def __init__(self, df):
        self.df = df

    def __call__(self, y_pred):
        return tfd.StudentT(self.df, y_pred[..., 0], 1.0)

    def get_config(self):
        return {"df": self.df}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


# For each loss its class, its number of predictions per position, and whether targets have a last axis.
LOSSES = {
    "gaussian": (GaussianNLL, 1, True),
    "bernoulli": (BernoulliNLL, 1, True),
    "categorical": (CategoricalNLL, 2, False),
    "mixture": (functools.partial(MixtureNLL, 2), 6, True),
    "poisson": (functools.partial(NegativeLogLikelihood, poisson), 1, False),
}


def sequences(loss_name, batch, positions):
    """Returns targets, all of them 0 or 1, and predictions."""
    rng = np.random.default_rng(3)
    _, predictions, column = LOSSES[loss_name]
    targets = rng.integers(0, 2, (batch, positions)).astype(float)
    return (targets[..., None] if column else targets), rng.normal(size=(batch, positions, predictions))


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 3)), rng.normal(size=(8, 6))


def test_the_loss_sums_over_events_and_averages_over_the_batch(batch):
    targets, predictions = batch
    exact = -gaussian_rows(predictions).log_prob(targets).numpy()
    each = NegativeLogLikelihood(gaussian_rows, reduction=None, dtype="float64")(targets, predictions)
    np.testing.assert_allclose(each, exact, rtol=1e-14)
    mean = NegativeLogLikelihood(gaussian_rows, dtype="float64")(targets, predictions)
    np.testing.assert_allclose(mean, exact.mean(), rtol=1e-14)
    closed = GaussianNLL(scale=None, dtype="float64")(targets, predictions)
    np.testing.assert_allclose(mean, closed, rtol=1e-10)

    def every_number(y_pred):
        return tfd.Normal(y_pred[:, :3], tf.exp(y_pred[:, 3:]))

    apart = NegativeLogLikelihood(every_number, dtype="float64")(targets, predictions)
    np.testing.assert_allclose(apart, exact.mean() / 3, rtol=1e-14)


def test_the_gradient_in_a_compiled_function_is_that_of_the_closed_form(batch):
    targets, predictions = batch
    ours = NegativeLogLikelihood(gaussian_rows, dtype="float64")
    closed = GaussianNLL(scale=None, dtype="float64")

    @tf.function
    def gradient(loss_index, y_pred):
        loss = (ours, closed)[loss_index]
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(targets, y_pred)
        return tape.gradient(value, y_pred)

    predictions = tf.constant(predictions)
    np.testing.assert_allclose(gradient(0, predictions), gradient(1, predictions), rtol=1e-9, atol=1e-14)


def test_losses_of_counts_classes_and_correlated_vectors_are_exact():
    rng = np.random.default_rng(1)
    counts, log_rate = rng.poisson(3.0, 6), rng.normal(size=(6, 1))
    ours = NegativeLogLikelihood(poisson, dtype="float64")(counts, log_rate)
    exact = -tfd.Poisson(log_rate=log_rate[:, 0]).log_prob(counts.astype(float))
    np.testing.assert_allclose(ours, np.mean(exact), rtol=1e-13)

    labels, logits = rng.integers(0, 4, 6), rng.normal(size=(6, 4))
    ours = NegativeLogLikelihood(lambda a: tfd.Categorical(logits=a), dtype="float64")(labels, logits)
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
    np.testing.assert_allclose(ours, theirs(labels, logits), rtol=1e-12)

    lower = np.array([[2.0, 0.0], [-0.7, 0.5]])
    y, location = rng.normal(size=(6, 2)), rng.normal(size=(6, 2))
    ours = NegativeLogLikelihood(lambda m: tfd.MultivariateNormalTriL(m, lower), dtype="float64")
    z = np.linalg.solve(lower, (y - location).T)
    exact = np.mean(0.5 * np.sum(z**2, axis=0)) + np.log(2 * np.pi) + np.log(2.0 * 0.5)
    np.testing.assert_allclose(ours(y, location), exact, rtol=1e-12)


def test_reductions_and_weights_are_explicit_sums(batch):
    targets, predictions = batch
    each = -gaussian_rows(predictions).log_prob(targets).numpy()
    weights = np.linspace(0.0, 2.0, 8)
    for reduction, expected in (
        ("sum_over_batch_size", np.mean(weights * each)),
        ("sum", np.sum(weights * each)),
        ("mean_with_sample_weight", np.sum(weights * each) / np.sum(weights)),
        (None, weights * each),
    ):
        loss = NegativeLogLikelihood(gaussian_rows, reduction, dtype="float64")
        np.testing.assert_allclose(loss(targets, predictions, sample_weight=weights), expected, rtol=1e-13)


@pytest.mark.parametrize("positions", [4, 6])
@pytest.mark.parametrize("loss_name", LOSSES)
def test_the_weight_of_an_example_applies_to_all_its_positions(loss_name, positions):
    targets, predictions = sequences(loss_name, 6, positions)
    make = functools.partial(LOSSES[loss_name][0], dtype="float64")
    each = make(reduction=None)(targets, predictions).numpy()
    assert each.shape == (6, positions)
    weights = np.arange(6.0)
    full = np.repeat(weights[:, None], positions, axis=1)
    for reduction, expected in (
        ("sum_over_batch_size", np.mean(full * each)),
        ("sum", np.sum(full * each)),
        ("mean_with_sample_weight", np.sum(full * each) / np.sum(full)),
        (None, full * each),
    ):
        for given in (weights, weights[:, None], weights[:, None, None], full, full[..., None]):
            ours = make(reduction=reduction)(targets, predictions, sample_weight=given)
            np.testing.assert_allclose(ours, expected, rtol=1e-12)


@pytest.mark.parametrize("loss_name", LOSSES)
def test_weights_of_other_shapes_are_rejected(loss_name):
    targets, predictions = sequences(loss_name, 4, 3)
    loss = LOSSES[loss_name][0]()
    for shape in ((), (1,), (3,), (1, 3), (3, 1), (3, 4), (4, 2), (4, 3, 4), (4, 1, 3)):
        message = rf"sample_weight must have shape \(4, 3\) or \(4,\).* got shape {re.escape(str(shape))}"
        with pytest.raises(ValueError, match=message):
            loss(targets, predictions, sample_weight=np.ones(shape))
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(4,\).* got shape \(4, 4\)"):
        loss(targets[:, 0], predictions[:, 0], sample_weight=np.ones((4, 4)))
    column = loss(targets[:, 0], predictions[:, 0], sample_weight=np.arange(4.0)[:, None])
    np.testing.assert_allclose(column, loss(targets[:, 0], predictions[:, 0], sample_weight=np.arange(4.0)))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 6)])
def test_fit_and_evaluate_weight_examples_or_unmasked_positions(shape, masked):
    rng = np.random.default_rng(4)
    inputs, targets = rng.normal(size=(2, 6, 6, 1)).astype("float32")
    counted = np.ones((6, 6))
    if masked:
        inputs[1, 2:] = inputs[4, 5:] = 0.0
        counted = np.any(inputs != 0, axis=-1)
    model = keras.Sequential([keras.Input((None, 1)), keras.layers.Masking()])
    model.compile("sgd", LaplaceNLL())
    each, weights = np.abs(targets - inputs)[..., 0] + np.log(2), rng.uniform(size=shape)
    expected = np.sum(counted * each * weights.reshape(6, -1)) / np.sum(counted)
    assert model.evaluate(inputs, targets, sample_weight=weights, verbose=0) == pytest.approx(expected, 1e-5)
    history = model.fit(inputs, targets, sample_weight=weights, shuffle=False, verbose=0).history
    assert history["loss"][0] == pytest.approx(expected, 1e-5)


def test_masked_positions_do_not_count():
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(3, 4, 2)).astype("float32")
    inputs[2, 1:] = 0.0
    mask = np.any(inputs != 0, axis=-1)
    counts = rng.poisson(2.0, (3, 4))
    model = keras.Sequential([keras.Input((4, 2)), keras.layers.Masking(), keras.layers.Dense(1)])
    outputs = model(inputs)
    each = -poisson(outputs).log_prob(counts.astype("float32")).numpy()
    np.testing.assert_allclose(NegativeLogLikelihood(poisson)(counts, outputs), each[mask].mean(), rtol=1e-5)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_is_cast_before_the_distribution_is_built(half, batch):
    targets, predictions = 300.0 + batch[0], keras.ops.cast(batch[1], half)
    wide = keras.ops.cast(predictions, "float64")
    exact = -gaussian_rows(wide).log_prob(targets)
    loss = NegativeLogLikelihood(gaussian_rows, reduction=None)
    for value in (loss(targets, predictions), loss.call(targets.astype("float32"), predictions)):
        assert value.dtype == tf.float32
        np.testing.assert_allclose(value, exact, rtol=3e-6)


@pytest.mark.parametrize("make", [poisson, StudentT(3.0)])
def test_a_registered_function_survives_saving(make, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", NegativeLogLikelihood(make, name="mine"))
    x, y = np.ones((8, 2), "float32"), np.arange(8)
    model.fit(x, y, verbose=0)
    expected = model.evaluate(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.loss, NegativeLogLikelihood)
    assert loaded.loss.name == "mine"
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-6)
    if isinstance(make, StudentT):
        assert loaded.loss.make_distribution.df == 3.0


def test_a_function_that_is_not_registered_trains_but_cannot_be_saved(tmp_path):
    for make in (lambda p: tfd.Normal(p, 1.0), functools.partial(tfd.Normal, scale=1.0), tfd.Poisson):
        loss = NegativeLogLikelihood(make)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", loss)
        model.fit(np.ones((4, 2), "float32"), np.ones((4, 1), "float32"), verbose=0)
        with pytest.raises(ValueError, match="make_distribution must be registered with @keras"):
            model.save(tmp_path / "model.keras")


def test_a_last_axis_of_one_may_be_missing_or_added(batch):
    y, m = batch[0][:, 0], batch[1][:, :1]
    flat = NegativeLogLikelihood(lambda p: tfd.Normal(p[:, 0], 1.0), reduction=None)
    column = NegativeLogLikelihood(lambda p: tfd.Normal(p, 1.0), reduction=None)
    exact = -tfd.Normal(m[:, 0], np.float64(1)).log_prob(y)
    for loss in (flat, column):
        for targets in (y, y[:, None]):
            np.testing.assert_allclose(np.ravel(loss(targets, m)), exact, rtol=1e-6)


def test_other_objects_and_shapes_that_would_broadcast_are_rejected():
    with pytest.raises(ValueError, match=r"make_distribution must be a function .* got 'normal'"):
        NegativeLogLikelihood("normal")
    with pytest.raises(ValueError, match=r"make_distribution must return a distribution .* got EagerTensor"):
        NegativeLogLikelihood(lambda p: p)(np.zeros(4), np.zeros((4, 1)))
    joint = tfd.JointDistributionSequential([tfd.Normal(0.0, 1.0), tfd.Normal(0.0, 1.0)])
    with pytest.raises(ValueError, match="a distribution of one tensor"):
        NegativeLogLikelihood(lambda p: joint)(np.zeros(4), np.zeros((4, 1)))
    for targets, shape in (((4,), r"\(4, 4\)"), ((4, 1), r"\(4, 4\)"), ((1, 4), r"\(4, 4\)")):
        with pytest.raises(ValueError, match=rf"y_true must have shape {shape} to match y_pred"):
            NegativeLogLikelihood(lambda p: tfd.Normal(p, 1.0))(np.zeros(targets), np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"must have shape \(4,\) to match y_pred, got shape \(4, 3\)"):
        NegativeLogLikelihood(poisson)(np.zeros((4, 3)), np.zeros((4, 1)))


def traced(loss, *shapes):
    """Returns the loss as a function compiled for shapes that are unknown until it runs."""
    return tf.function(loss, input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes])


@pytest.mark.parametrize("loss_name", LOSSES)
def test_an_unknown_number_of_axes_is_rejected(loss_name):
    loss = LOSSES[loss_name][0]()
    targets, predictions = (np.float32(a) for a in sequences(loss_name, 4, 3))
    known = targets.shape, predictions.shape, (4,)
    for index, name in enumerate(("y_true", "y_pred", "sample_weight")):
        shapes = [None if i == index else shape for i, shape in enumerate(known)]
        with pytest.raises(ValueError, match=f"{name} must have a known number of axes"):
            traced(loss, *shapes)(targets, predictions, np.ones(4, "float32"))


def test_half_precision_sums_are_rejected():
    for make, *_ in LOSSES.values():
        with pytest.raises(ValueError, match="dtype must be one of float32, float64, got 'bfloat16'"):
            make(dtype="bfloat16")


@pytest.mark.parametrize("loss_name", LOSSES)
def test_the_distribution_has_minus_the_loss_as_log_density(loss_name):
    targets, predictions = sequences(loss_name, 4, 3)
    loss = LOSSES[loss_name][0](dtype="float64")
    distribution = loss.distribution(predictions)
    np.testing.assert_allclose(-distribution.log_prob(targets), loss.call(targets, predictions), rtol=1e-12)
    assert tuple(distribution.batch_shape) == (4, 3)


def test_the_distribution_is_in_float64_only_on_request():
    predictions = np.zeros((2, 1))
    assert GaussianNLL().distribution(predictions).dtype == tf.float32
    assert GaussianNLL(dtype="float64").distribution(predictions).dtype == tf.float64
