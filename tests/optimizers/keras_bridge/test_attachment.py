"""Optimizers that see the model: with the gradient as direction they equal Keras's SGD to the last bit."""

import copy
import pickle
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from curvezoo.optimizers.keras_bridge.attachment import ModelOptimizer, _stays_finite

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(50, 5)).astype("float32"), RNG.integers(0, 3, 50)
WEIGHTS = RNG.uniform(0.5, 2, 50).astype("float32")
SETTINGS = {"weight_decay": 0.01, "clipnorm": 0.1}


@keras.saving.register_keras_serializable("tests")
class Descent(ModelOptimizer):
    def __init__(self, learning_rate=0.1, name="descent", **kwargs):
        super().__init__(learning_rate, name, **kwargs)

    def direction(self, objective, gradients):
        return gradients


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.dropout = layers.Dense(3), layers.Dropout(0.2)

    def call(self, x, training=False):
        return self.dropout(self.dense(x))

    def compile(self, optimizer, loss, **kwargs):
        super().compile(optimizer, loss, **kwargs)


def network():
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(6, "relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(3, bias_constraint="non_neg"),
        ]
    )


def compiled(optimizer, make=network, loss=None, **kwargs):
    keras.utils.set_random_seed(2)
    model = make()
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **kwargs)
    return model


def on_arrays(model):
    callbacks = [keras.callbacks.EarlyStopping("loss", patience=9), keras.callbacks.TerminateOnNaN()]
    return model.fit(
        X,
        Y,
        batch_size=16,
        epochs=2,
        verbose=0,
        class_weight={0: 1.0, 1: 2.0, 2: 0.5},
        validation_split=0.2,
        callbacks=callbacks,
    ).history


def on_dataset(model):
    data = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS)).shuffle(50, seed=0).batch(16)
    return model.fit(data, epochs=2, verbose=0, validation_data=(X, Y)).history


def on_batches(model):
    return [model.train_on_batch(X[:20], Y[:20], class_weight={0: 1.0, 1: 3.0, 2: 1.0}) for _ in range(3)]


def weights(model):
    return [v.numpy() for v in model.weights]


def assert_equal_weights(one, two):
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_array_equal(a, b)


MODES = {
    "arrays": (on_arrays, {}),
    "steps per execution": (on_arrays, {"steps_per_execution": 2}),
    "eager": (on_dataset, {"run_eagerly": True}),
    "batches": (on_batches, {}),
    "compiled": (on_batches, {"jit_compile": True}),
}


@pytest.mark.parametrize("mode", MODES)
def test_with_the_gradient_as_direction_training_equals_sgd(mode):
    train, settings = MODES[mode]
    results = []
    for kind in (Descent, keras.optimizers.SGD):
        optimizer = kind(0.1, use_ema=mode == "eager", **SETTINGS)
        model = compiled(optimizer, metrics=["accuracy"], weighted_metrics=["accuracy"], **settings)
        results.append((model, train(model)))
    if mode == "compiled":
        # XLA groups operations differently, and so rounds differently.
        np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5)
        for a, b in zip(*(weights(model) for model, _ in results), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
        return
    assert results[0][1] == results[1][1]
    assert_equal_weights(results[0][0], results[1][0])


class Deferred(keras.Model):
    """A model whose layers are built by its first call, on inputs by name."""

    def __init__(self):
        super().__init__()
        self.body = keras.Sequential([layers.Dense(6), layers.BatchNormalization(), layers.Dropout(0.3)])
        self.head = layers.Dense(3)

    def call(self, inputs):
        return self.head(self.body(inputs["x"]))


@pytest.mark.parametrize("eager", [False, True])
def test_layers_with_state_may_be_built_by_the_first_batch(eager):
    results = []
    for kind in (Descent, keras.optimizers.SGD):
        model = compiled(kind(0.1), Deferred, run_eagerly=eager)
        model.fit({"x": X}, Y, batch_size=25, epochs=2, verbose=0)
        results.append(model)
    assert len(results[0].weights) == 8
    assert_equal_weights(*results)


def test_a_step_is_traced_once():
    """Creating variables within a trace would require a second trace."""
    traces = []

    class Counting(Descent):
        def direction(self, objective, gradients):
            traces.append(len(gradients))
            return super().direction(objective, gradients)

    on_batches(compiled(Counting()))
    assert traces == [6]


def test_compiling_another_optimizer_detaches_the_first():
    plain = compiled(keras.optimizers.Adam(0.01))
    model = compiled(Descent())
    assert "train_step" in vars(model)
    model.compile(keras.optimizers.Adam(0.01), model.loss)
    assert "train_step" not in vars(model)
    for one in (plain, model):
        keras.utils.set_random_seed(0)
        one.fit(X, Y, batch_size=25, verbose=0)
    assert_equal_weights(plain, model)


@pytest.mark.parametrize("make", [network, Subclassed])
@pytest.mark.parametrize("optimizer", [Descent, keras.optimizers.Adam])
def test_models_are_saved_and_loaded_with_their_optimizer(make, optimizer, tmp_path):
    """A loaded model, a copy and a pickle continue like the original."""
    model = compiled(optimizer(0.05), make, run_eagerly=True)
    model.train_on_batch(X, Y)
    model.save(tmp_path / "model.keras")
    others = [keras.models.load_model(tmp_path / "model.keras"), copy.deepcopy(model)]
    others.append(pickle.loads(pickle.dumps(model)))
    for other in others:
        if make is Subclassed:
            # Keras does not compile models that override compile.
            other.compile(optimizer(0.05, name=model.optimizer.name), model.loss)
            other.optimizer.build(other.trainable_variables)
        assert type(other.optimizer) is optimizer
        assert other.optimizer.get_config() == model.optimizer.get_config()
        assert ("train_step" in vars(other)) == (optimizer is Descent)
        assert_equal_weights(model, other)
    if make is network:
        results = []
        for one in (model, *others):
            one.run_eagerly = True
            one.layers[2].rate = 0
            one.train_on_batch(X, Y)
            results.append(weights(one))
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a, b)


def test_clones_have_an_optimizer_of_their_own():
    model = compiled(Descent(0.05), run_eagerly=True)
    clone = keras.models.clone_model(model)
    assert clone.compiled and clone.optimizer is not model.optimizer
    assert clone.optimizer.compiled_model() is clone
    before = weights(model)
    clone.train_on_batch(X, Y)
    for a, b in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(a, b)
    copied = copy.deepcopy(Descent(0.05))
    assert copied.get_config() == Descent(0.05).get_config()


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return {}


class OwnLoss(keras.Sequential):
    def compute_loss(self, *args, **kwargs):
        return 0.0


@pytest.mark.parametrize(("kind", "method"), [(OwnStep, "train_step"), (OwnLoss, "compute_loss")])
def test_models_that_override_the_step_or_loss_are_refused(kind, method):
    message = (
        f"Descent needs Keras's own {method}, but {kind.__name__} overrides it: give the model a method "
        "curvature_objective(self, **batch) that returns its loss as a curvezoo.optimizers.ModelObjective"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        compiled(Descent(), lambda: kind([layers.Dense(3)]))


def test_a_train_step_set_on_an_instance_is_refused():
    model = network()
    model.train_step = lambda data: {}
    with pytest.raises(ValueError, match="needs Keras's own train_step, but Sequential overrides"):
        model.compile(Descent(), "mse")


def test_scaled_losses_are_refused():
    wrapped = keras.optimizers.LossScaleOptimizer(Descent())
    with pytest.raises(ValueError, match=r"Descent does not work with a scaled loss: .* mixed_bfloat16"):
        compiled(wrapped)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with pytest.raises(ValueError, match="does not work with a scaled loss"):
            compiled(Descent())
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("argument", ["gradient_accumulation_steps", "loss_scale_factor"])
def test_arguments_that_separate_batch_and_gradient_are_refused(argument):
    with pytest.raises(ValueError, match=f"{argument} must be None for Descent, got 2"):
        Descent(**{argument: 2})


def test_training_with_the_optimizer_of_another_model_is_refused():
    first = compiled(Descent(0.1))
    second = compiled(first.optimizer)
    with pytest.raises(ValueError, match="must train the model that it was compiled with last"):
        first.train_on_batch(X, Y)
    second.train_on_batch(X, Y)


def test_an_integer_is_a_valid_rate():
    assert float(Descent(1).learning_rate) == 1.0


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(ValueError, match=r"learning_rate must (be finite|not be negative), got"):
        Descent(rate)


def zeros():
    return keras.Sequential([keras.Input((5,)), layers.Dense(3, kernel_initializer="zeros")])


BATCHES = tf.data.Dataset.from_tensor_slices((X[:48], Y[:48])).batch(16)


def test_a_model_created_outside_the_strategy_that_trains_it_is_refused(mirrored):
    model = compiled(Descent(), zeros)
    message = (
        r"fit must run under the strategy .* Descent .* got MirroredStrategy \(replicas: 2\), but the model's"
    )
    with mirrored.scope(), pytest.raises(ValueError, match=message):
        model.fit(BATCHES, shuffle=False, verbose=0)


def test_an_optimizer_of_another_strategy_is_refused(mirrored):
    with mirrored.scope():
        optimizer = Descent()
    model = compiled(optimizer, zeros)
    with pytest.raises(ValueError, match=r"\(replicas: 1\), but the optimizer was created in .* another"):
        model.fit(BATCHES, shuffle=False, verbose=0)


def test_an_optimizer_created_outside_the_strategy_trains_the_same(mirrored):
    single = compiled(Descent(), zeros)
    with mirrored.scope():
        model = zeros()
    model = compiled(Descent(), lambda: model)
    for each in (single, model):
        each.fit(BATCHES, epochs=2, shuffle=False, verbose=0)
    for one, two in zip(weights(single), weights(model), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)


def test_gradients_without_their_batch_are_refused():
    model = compiled(Descent())
    gradients = [tf.zeros(v.shape) for v in model.trainable_variables]
    with pytest.raises(ValueError, match="Descent needs the batch beside its gradients"):
        model.optimizer.apply(gradients, model.trainable_variables)
    with pytest.raises(ValueError, match=r"Descent needs a model: pass it to compile\(optimizer=...\)"):
        Descent().apply(gradients, model.trainable_variables)


def test_changed_trainable_variables_are_refused():
    model = compiled(Descent(), run_eagerly=True)
    model.train_on_batch(X, Y)
    model.layers[0].trainable = False
    model.compile(model.optimizer, model.loss, run_eagerly=True)
    with pytest.raises(ValueError, match="the 6 that Descent was built for, got 4, not all"):
        model.train_on_batch(X, Y)
    other = compiled(model.optimizer, run_eagerly=True)
    with pytest.raises(ValueError, match="the 6 that Descent was built for, got 6, not all"):
        other.train_on_batch(X, Y)


@pytest.mark.parametrize("eager", [True, False])
def test_a_batch_with_nan_changes_neither_weights_nor_averages(eager):
    """Weight decay is skipped as well, and the next batch trains the model."""
    results = []
    for bad in (True, False):
        model = compiled(Descent(**SETTINGS), run_eagerly=eager)
        model.layers[2].rate = 0
        model.train_on_batch(X, Y)
        if bad:
            before = weights(model)
            model.train_on_batch(np.where(np.arange(50)[:, None] == 7, np.nan, X), Y)
            for a, b in zip(weights(model), before, strict=True):
                np.testing.assert_array_equal(a, b)
        model.train_on_batch(X, Y)
        results.append(model)
    assert int(results[0].optimizer.iterations.numpy()) == 3
    assert_equal_weights(*results)


def test_a_direction_that_is_not_finite_is_skipped(monkeypatch):
    model = compiled(Descent(weight_decay=0.1), run_eagerly=True)
    monkeypatch.setattr(Descent, "direction", lambda self, objective, g: [g[0] / 0, *g[1:]])
    before = [v.numpy() for v in model.trainable_variables]
    model.train_on_batch(X, Y)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize(
    ("value", "before", "stays"),
    [
        ([1, 2], [0, 0], True),
        ([1, np.nan], [0, 0], False),
        ([np.inf], [0], False),
        ([1, -np.inf], [0, -np.inf], True),
    ],
)
def test_averages_become_infinite_only_where_they_were_finite(value, before, stays):
    assert bool(_stays_finite(tf.constant(value, tf.float32), tf.constant(before, tf.float32))) == stays
