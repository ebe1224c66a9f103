"""The compiled model of a supervised recipe: penalties, weight decay, plain steps, precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo import data, zoo
from curvezoo.training import Resources
from curvezoo.training.supervised_learner import compiled_model
from curvezoo.training.weights import matrices, penalize


@pytest.mark.parametrize("normalization", [None, "batch", "weight"])
def test_penalties_apply_to_the_effective_weights(normalization):
    model = zoo.build("mlp_digits", widths=(6,), normalization=normalization)
    kernels = [v.numpy() for v in model.trainable_variables if v.name == "kernel"]
    penalize(model, 0.1, 0.01)
    if normalization == "weight":
        hidden = next(v for v in model.trainable_variables if v.name == "kernel")
        hidden.assign(3 * hidden)
    model(np.zeros((1, 8, 8, 1), "float32"))
    expected = sum(0.1 * np.abs(w).sum() + 0.01 * np.sum(w**2) for w in kernels)
    np.testing.assert_allclose(sum(model.losses), expected, rtol=1e-5)


@pytest.mark.parametrize("normalization", ["batch", "weight"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_weight_decay_shrinks_only_kernels(optimizer, normalization):
    settings = {
        "optimizer": optimizer,
        "weight_decay": 0.1,
        "learning_rate": 0.5,
        "schedule": "constant",
    }
    settings |= {"momentum": 0} if optimizer == "sgd" else {}
    recipe = zoo.recipe("cnn_digits").override(settings | {"normalization": normalization})
    model = compiled_model(recipe, data.spec("digits"), 10)
    before = [v.numpy() for v in model.trainable_variables]
    model.optimizer.apply([0 * v for v in model.trainable_variables])
    for variable, old in zip(model.trainable_variables, before, strict=True):
        factor = 0.95 if variable.name == "kernel" else 1
        np.testing.assert_allclose(variable.numpy(), factor * old, rtol=1e-5, err_msg=variable.path)


@pytest.mark.equation("1.3.1")
def test_a_step_of_plain_sgd_is_the_gradient_step():
    settings = {"optimizer": "sgd", "momentum": 0, "learning_rate": 0.1, "schedule": "constant"}
    model = compiled_model(zoo.recipe("softmax_digits").override(settings), data.spec("digits"), 10)
    images, labels = next(iter(data.load("digits").train))
    before = [v.numpy() for v in model.trainable_variables]
    model.train_on_batch(images, labels)
    x = np.asarray(model.get_layer("standardize")(images)).reshape(len(images), -1)
    residual = 0.1 - np.eye(10)[np.asarray(labels)]  # Softmax of zeros minus the one-hot label.
    gradient = x.T @ residual / len(x) + 2 * 1e-3 * before[0]
    np.testing.assert_allclose(model.trainable_variables[0].numpy(), before[0] - 0.1 * gradient, atol=1e-6)


def test_mixed_precision_keeps_logits_and_variables_in_float32():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = compiled_model(zoo.recipe("cnn_digits"), data.spec("digits"), 10)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.output.dtype == "float32"
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    images, labels = next(iter(data.load("digits").train))
    assert np.all(np.isfinite(model.train_on_batch(images, labels)))


def test_penalties_and_decay_reach_every_matrix_and_no_bias_or_scale():
    layers = keras.layers
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 4)(inputs)
    x = layers.GRU(3, return_sequences=True)(x)
    x = layers.LSTM(3, return_sequences=True)(x)
    x = layers.MultiHeadAttention(2, 2)(x, x)
    x = layers.LayerNormalization()(x)
    x = layers.Conv1D(2, 3)(x)
    model = keras.Model(inputs, layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")(x))
    paths = {v.path for v in matrices(model)}
    others = {v.path for v in model.trainable_variables} - paths
    # GRU's bias has two axes, and those of attention have one for the heads.
    assert all(path.endswith(("bias", "gamma", "beta")) for path in others)
    assert all(path.endswith(("kernel", "embeddings")) for path in paths)
    assert len(paths) == 1 + 2 + 2 + 4 + 1 + 1
    penalize(model, 0.1, 0.01)
    expected = sum(0.1 * np.abs(w).sum() + 0.01 * np.sum(w**2) for w in map(np.asarray, matrices(model)))
    np.testing.assert_allclose(sum(model.losses), expected, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_state_holds_all_that_the_next_epoch_depends_on(precision):
    recipe = zoo.recipe("mlp_digits").override(
        {"widths": "8", "subset": 128, "epochs": 3, "precision": precision}
    )
    resources = Resources(tf.distribute.get_strategy())

    def learner(start, state=None):
        with recipe.precision():
            made = recipe.learner(resources)
            if state:
                made.restore(state)
            losses = []
            made.train(start, After(losses, 2 if state is None else None))
        return made, losses

    with recipe.precision():
        whole = recipe.learner(resources)
        losses = []
        whole.train(0, After(losses))
    first, begun = learner(0)
    second, ended = learner(2, first.state())
    assert begun + ended == losses
    for name, value in whole.state().items():
        np.testing.assert_array_equal(value, second.state()[name], err_msg=name)


def test_a_state_of_another_optimizer_is_rejected():
    resources = Resources(tf.distribute.get_strategy())
    adam, sgd = (zoo.recipe("softmax_digits").override({"optimizer": name}) for name in ("adam", "sgd"))
    with pytest.raises(ValueError, match="the state must be that of the same model and optimizer, but model"):
        sgd.learner(resources).restore(adam.learner(resources).state())


class After:
    """Collects losses, and stops after a number of epochs."""

    def __init__(self, losses, epochs=None):
        self.losses, self.epochs = losses, epochs

    def step(self, done, steps, logs):
        pass

    def __call__(self, logs):
        self.losses.append(logs["loss"])
        return len(self.losses) == self.epochs
