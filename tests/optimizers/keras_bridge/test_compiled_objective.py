"""The loss of a batch as a function of the weights, against Keras's loss, dropout and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective

pytestmark = pytest.mark.usefixtures("double_precision_rates")

RNG = np.random.default_rng(0)
X, Y, WEIGHTS = RNG.normal(size=(12, 5)), RNG.integers(0, 3, 12), RNG.uniform(0.5, 2, 12)
LOSS = keras.losses.SparseCategoricalCrossentropy


class WithoutFlags(keras.Model):
    """A model that does not hand `training` to its layers, and calls a penalized layer twice."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(5, "tanh", activity_regularizer="l2")
        self.dropout, self.head = layers.Dropout(0.5), layers.Dense(3)

    def call(self, x, training=False):
        return self.head(self.dropout(self.dense(self.dense(x))))


class WithoutTraining(WithoutFlags):
    def call(self, x):
        return self.head(self.dense(self.dense(x)))


def functional():
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(6, "tanh", kernel_regularizer="l2"),
            layers.BatchNormalization(gamma_regularizer="l2"),
            layers.Dropout(0.5),
            layers.Dense(3, activity_regularizer="l2"),
        ]
    )


def compiled(make, loss=None, **kwargs):
    keras.utils.set_random_seed(3)
    model = make()
    model.compile("sgd", LOSS(from_logits=True) if loss is None else loss, run_eagerly=True, **kwargs)
    model(X)
    return model


@pytest.mark.parametrize("make", [functional, WithoutFlags, WithoutTraining])
def test_the_loss_at_the_current_weights_equals_kerass(make):
    """Also in training: with the seeds before the step, the objective drops the same units as Keras did."""
    model = compiled(make)
    objective = CompiledObjective(model, X, Y, WEIGHTS)
    expected = model.evaluate(X, Y, sample_weight=WEIGHTS, batch_size=12, verbose=0)
    np.testing.assert_allclose(objective.loss(objective.values), expected, rtol=1e-12)
    state = [tf.convert_to_tensor(v.value) for v in model.non_trainable_variables]
    objective = CompiledObjective(model, X, Y, WEIGHTS, training=True, state=state)
    options = {} if make is WithoutTraining else {"training": True}
    with tf.GradientTape() as tape:
        expected = model.compute_loss(y=Y, y_pred=model(X, **options), sample_weight=WEIGHTS)
    gradients = tape.gradient(expected, model.trainable_variables)
    after = [v.numpy() for v in model.non_trainable_variables]
    values = objective.values
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = objective.loss(values)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    for actual, expected in zip(tape.gradient(loss, values), gradients, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-13)
    assert objective.loss(values) == loss
    for variable, value in zip(model.non_trainable_variables, after, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_trial_points_do_not_change_the_model():
    model = compiled(functional)
    before = [v.numpy() for v in model.variables]
    objective = CompiledObjective(model, X, Y, training=True)
    values = [v + 0.1 for v in objective.values]
    actual = objective.loss(values)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    np.testing.assert_allclose(CompiledObjective(model, X, Y, training=True).loss(values), actual, rtol=1e-13)


def masked():
    return keras.Sequential([keras.Input((4, 5)), layers.Masking(), layers.Dense(3)])


def images():
    return keras.Sequential([keras.Input((4, 5)), layers.Dense(3, "tanh")])


SEQUENCES = RNG.normal(size=(6, 4, 5))
SEQUENCES[0, 2:] = SEQUENCES[3, 1:] = 0
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight"]


@pytest.mark.parametrize("make", [images, masked])
@pytest.mark.parametrize(
    "weights", [None, RNG.uniform(0, 2, 6), RNG.uniform(0, 2, (6, 4))], ids=["1", "B", "BT"]
)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_position_weights_reproduce_the_loss(make, weights, reduction):
    """Keras cannot weight [B, T] losses with [B]; then both must fail."""
    model = compiled_sequences(make, LOSS(from_logits=True, reduction=reduction))
    y = RNG.integers(0, 3, (6, 4))
    objective = CompiledObjective(model, SEQUENCES, y, weights)
    outputs = objective.outputs(objective.values)
    if weights is not None and weights.ndim == 1:
        for function in (objective.data_loss, objective.position_weights):
            with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
                function(outputs)
        return
    losses = keras.ops.sparse_categorical_crossentropy(y, tf.convert_to_tensor(outputs), from_logits=True)
    actual = objective.position_weights(outputs)
    assert actual.shape == (6, 4)
    np.testing.assert_allclose(tf.reduce_sum(actual * losses), objective.data_loss(outputs), rtol=1e-13)
    if make is masked:
        np.testing.assert_array_equal(np.array(actual) == 0, ~SEQUENCES.any(-1))


def compiled_sequences(make, loss):
    keras.utils.set_random_seed(3)
    model = make()
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_example_weights_reproduce_the_loss(weights, reduction):
    model = compiled(functional, LOSS(from_logits=True, reduction=reduction))
    objective = CompiledObjective(model, X, Y, weights)
    outputs = objective.outputs(objective.values)
    losses = keras.ops.sparse_categorical_crossentropy(Y, outputs, from_logits=True)
    actual = tf.reduce_sum(objective.position_weights(outputs) * losses)
    np.testing.assert_allclose(actual, objective.data_loss(outputs), rtol=1e-13)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
def test_sums_over_a_subsample_estimate_those_over_the_batch(reduction):
    """If each example occurs twice, weighted sums over one of each pair equal those over the whole batch."""
    model = compiled(functional, LOSS(from_logits=True, reduction=reduction))
    whole = CompiledObjective(model, np.repeat(X, 2, axis=0), np.repeat(Y, 2))
    size = len(whole.x)
    for part in (whole.subsample(size // 2), whole.subsample(size - 1).subsample(999), whole.subsample(size)):
        sums = []
        for objective in (whole, part):
            outputs = objective.outputs(objective.values)
            sums.append(tf.tensordot(objective.position_weights(outputs), outputs, 1))
        np.testing.assert_allclose(sums[1], sums[0], rtol=1e-12)


def two_heads():
    inputs = keras.Input((5,))
    return keras.Model(inputs, [layers.Dense(3, name="a")(inputs), layers.Dense(3, name="b")(inputs)])


def test_several_outputs_have_a_loss_without_side_effects():
    model = compiled(two_heads, [LOSS(from_logits=True), LOSS(from_logits=True)])
    objective = CompiledObjective(model, X, [Y, Y])
    actual = objective.loss(objective.values)
    expected = model.evaluate(X, [Y, Y], batch_size=12, verbose=0)
    np.testing.assert_allclose(actual, expected[0], rtol=1e-12)
    noted = [v.numpy() for v in model.metrics_variables]
    objective.loss([v + 1 for v in objective.values])
    for variable, value in zip(model.metrics_variables, noted, strict=True):
        np.testing.assert_array_equal(variable, value)
    for weights in objective.position_weights(objective.predictions(objective.values)):
        np.testing.assert_allclose(weights, np.full(12, 1 / 12), rtol=1e-12)


@pytest.mark.parametrize("names", [True, False])
def test_losses_match_targets_by_name_or_place(names):
    """The losses of an objective are those of Keras's `evaluate`, whatever their form."""
    model = two_heads()
    losses = {"b": LOSS(from_logits=True), "a": "mse"} if names else ["mse", LOSS(from_logits=True)]
    weights = {"b": 3.0, "a": 0.5} if names else [0.5, 3.0]
    targets = {"b": Y, "a": np.eye(3)[Y]} if names else [np.eye(3)[Y], Y]
    model.compile("sgd", losses, loss_weights=weights)
    objective = CompiledObjective(model, X, targets)
    assert [term.weight for term in objective.terms] == [0.5, 3.0]
    a, b = objective.predictions(objective.values)
    np.testing.assert_array_equal(a, model(X)[0])
    np.testing.assert_array_equal(b, model(X)[1])
    values = [np.mean((np.eye(3)[Y] - a) ** 2), float(LOSS(from_logits=True)(Y, b))]
    np.testing.assert_allclose(objective.loss(objective.values), 0.5 * values[0] + 3 * values[1], rtol=1e-12)
    weights = objective.nll_weights([a, b])
    np.testing.assert_allclose(weights[0], np.full(12, 0.5 * (2 / 3) / 12), rtol=1e-12)
    np.testing.assert_allclose(weights[1], np.full(12, 3 / 12), rtol=1e-12)


def test_two_losses_of_one_output_have_no_distribution():
    model = compiled(functional, [LOSS(from_logits=True), LOSS(from_logits=True)])
    objective = CompiledObjective(model, X, Y)
    with pytest.raises(ValueError, match="each output must have one loss for curvature"):
        objective.predictions(objective.values)


def test_unsupported_losses_are_refused():
    model = functional()
    model.compile("sgd")
    for use in (
        CompiledObjective(model, X, Y).require_distribution,
        lambda: CompiledObjective(model, X, Y).data_loss(None),
    ):
        with pytest.raises(ValueError, match="must be compiled with a loss, got loss=None"):
            use()
    model = compiled(functional, LOSS(from_logits=True, reduction=None))
    objective = CompiledObjective(model, X, Y)
    with pytest.raises(ValueError, match=r"must be a scalar, got shape \(12,\)"):
        objective.loss(objective.values)
    with pytest.raises(ValueError, match="loss_weights must be at least 0"):
        CompiledObjective(compiled(functional, loss_weights=[-2.0]), X, Y).require_distribution()


@pytest.mark.parametrize("shape", [(None, 4), (None, None), (5, 4)])
def test_the_size_of_a_batch_is_known_in_a_graph_of_any_batch(shape):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float64)])
    def size(x):
        return tf.convert_to_tensor(CompiledObjective(model, x, tf.zeros([5, 2], tf.float64)).size)

    assert int(size(tf.zeros([5, 4], tf.float64))) == 5
