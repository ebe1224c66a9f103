"""Weighted sums of the losses of several outputs, against dense matrices from Jacobians in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from curvezoo.losses import CategoricalNLL, GaussianNLL
from curvezoo.optimizers import KFAC, HessianFree, NaturalGradient
from curvezoo.optimizers.curvature import EmpiricalFisher, Fisher, GaussNewton, Hessian
from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective
from curvezoo.optimizers.kfac.quadratic import fisher_forms

L = keras.layers
N, T, CLASSES = 6, 2, 3
WEIGHTS = {"labels": 0.5, "values": 2.0, "flags": 1.5}


@pytest.fixture(autouse=True)
def double_precision(double_precision_rates):
    keras.utils.set_random_seed(0)


def network():
    """Logits at two positions, two values, and three probabilities, of one hidden layer."""
    inputs = keras.Input((3,))
    hidden = L.Dense(4, "tanh", bias_initializer="normal")(inputs)
    labels = L.Reshape((T, CLASSES), name="labels")(L.Dense(T * CLASSES)(hidden))
    values = L.Dense(2, name="values")(hidden)
    flags = L.Dense(3, "sigmoid", name="flags")(hidden)
    return keras.Model(inputs, [labels, values, flags])


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 3))
    targets = (
        rng.integers(0, CLASSES, (N, T)),
        rng.normal(size=(N, 2)),
        rng.integers(0, 2, (N, 3)).astype(float),
    )
    return x, dict(zip(WEIGHTS, targets, strict=True))


def losses():
    return {"labels": CategoricalNLL(), "values": "mse", "flags": "binary_crossentropy"}


def compiled(form="dict", optimizer="sgd", **settings):
    """The model with losses and loss weights in one of the forms that Keras accepts, and its data."""
    model, (x, y) = network(), data()
    loss, weights = losses(), WEIGHTS
    if form == "list":
        loss, weights, y = ([part[name] for name in WEIGHTS] for part in (loss, weights, y))
    model.compile(optimizer, loss=loss, loss_weights=weights, **settings)
    return model, x, y


def jacobians(model, x):
    """The Jacobian of each output's last layer before its activation, [N, D, P], in closed form."""
    first, *heads = [layer for layer in model.layers if isinstance(layer, L.Dense)]
    # The order of trainable variables is that of the layers.
    h = np.tanh(x @ first.get_weights()[0] + first.get_weights()[1])
    rows = []
    for head in heads:
        inner = np.einsum("bh,hk->bkh", 1 - h**2, head.get_weights()[0])
        parts = [np.einsum("bi,bkh->bkih", x, inner), inner]
        for other in heads:
            size = other.units
            unit = np.eye(size) if other is head else np.zeros((head.units, size))
            parts += [np.einsum("bh,kl->bkhl", h, unit), np.broadcast_to(unit, (N, head.units, size))]
        rows.append(np.concatenate([part.reshape(N, head.units, -1) for part in parts], -1))
    labels, values, flags = rows
    return labels.reshape(N, T, CLASSES, -1), values, flags


def dense_fisher(model, x):
    """The sum over outputs of weight * <J^T F J>, with the output's own Fisher matrix and Keras's factors."""
    labels, values, flags = jacobians(model, x)
    p = softmax(model(x)[0], -1)
    covariance = np.einsum("btk,kl->btkl", p, np.eye(CLASSES)) - np.einsum("btk,btl->btkl", p, p)
    q = np.array(model(x)[2])
    return (
        0.5 * np.einsum("btki,btkl,btlj->ij", labels, covariance, labels) / (N * T)
        + 2.0 * (2 / 2) * np.einsum("bki,bkj->ij", values, values) / N
        + 1.5 / 3 * np.einsum("bki,bk,bkj->ij", flags, q * (1 - q), flags) / N
    )


@pytest.mark.parametrize("form", ["dict", "list"])
def test_fisher_and_gauss_newton_are_the_weighted_sum_over_outputs(form):
    model, x, y = compiled(form)
    expected = dense_fisher(model, x)
    assert np.abs(expected).max() > 0.1
    for operator in (Fisher, GaussNewton):
        np.testing.assert_allclose(operator(model, (x, y), batch_size=4).dense(), expected, atol=1e-12)


def test_the_hessian_of_several_outputs_is_the_difference_of_gradients():
    model, x, y = compiled()
    objective = CompiledObjective(model, x, y)
    vector = np.random.default_rng(1).normal(size=model.count_params())
    sizes = [int(np.prod(v.shape)) for v in model.trainable_variables]

    def gradient(step):
        parts = zip(np.split(step * vector, np.cumsum(sizes)[:-1]), objective.values, strict=True)
        values = [v + np.reshape(part, v.shape) for part, v in parts]
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = objective.loss(values)
        return np.concatenate([np.ravel(g) for g in tape.gradient(loss, values)])

    expected = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
    np.testing.assert_allclose(Hessian(model, (x, y), batch_size=4) @ vector, expected, atol=1e-8)


def test_the_empirical_fisher_adds_the_outputs_of_an_example():
    model, x, y = compiled()
    labels, values, flags = jacobians(model, x)
    outputs = [np.array(output) for output in model(x)]
    scores = [
        np.sqrt(0.5 / (N * T))
        * np.einsum("btk,btki->bi", np.eye(CLASSES)[y["labels"]] - softmax(outputs[0], -1), labels),
        np.sqrt(2.0 / N) * np.einsum("bk,bki->bi", y["values"] - outputs[1], values),
        np.sqrt(1.5 / 3 / N) * np.einsum("bk,bki->bi", y["flags"] - outputs[2], flags),
    ]
    each = sum(scores)
    np.testing.assert_allclose(
        EmpiricalFisher(model, (x, y), batch_size=4).dense(), each.T @ each, atol=1e-12
    )


def test_sample_weights_and_losses_of_each_output_are_kerass():
    """One output has no loss, and each of the others has weights of its own."""
    model, (x, y) = network(), data()
    rng = np.random.default_rng(3)
    weights = [rng.uniform(0.5, 2, (N, T)), np.ones(N), rng.uniform(0.5, 2, N)]
    flags = keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight")
    model.compile(loss=[CategoricalNLL(), None, flags], loss_weights=[0.5, 1.0, 1.5])
    targets = [y[name] for name in WEIGHTS]
    labels, _, logits = jacobians(model, x)
    p, q = softmax(model(x)[0], -1), np.array(model(x)[2])
    covariance = np.einsum("btk,kl->btkl", p, np.eye(CLASSES)) - np.einsum("btk,btl->btkl", p, p)
    expected = 0.5 * np.einsum("bt,btki,btkl,btlj->ij", weights[0] / (N * T), labels, covariance, labels)
    share = 1.5 / 3 * weights[2] / weights[2].sum()
    expected += np.einsum("b,bki,bk,bkj->ij", share, logits, q * (1 - q), logits)
    for operator in (Fisher, GaussNewton):
        matrix = operator(model, (x, targets, weights), batch_size=4).dense()
        np.testing.assert_allclose(matrix, expected, atol=1e-12)
    objective = CompiledObjective(model, x, targets, weights)
    predictions = objective.predictions(objective.values)
    assert [p.shape for p in predictions] == [(N, T, CLASSES), (N, 3)]
    np.testing.assert_allclose(objective.nll_weights(predictions)[1], share, rtol=1e-12)


def two_heads():
    inputs = keras.Input((3,))
    return keras.Model(inputs, [L.Dense(2, name="a")(inputs), L.Dense(2, name="b")(inputs)])


def test_one_loss_for_several_outputs_belongs_to_each():
    """Keras's meaning of one name: the two heads have the block (x 1)^T (x 1) / N for each of their units."""
    model, x, y = two_heads(), data()[0], [np.zeros((N, 2)), np.ones((N, 2))]
    model.compile("sgd", "mse")
    rows = np.hstack([x, np.ones((N, 1))])
    block = np.kron(rows.T @ rows / N, np.eye(2))
    for operator in (Fisher, GaussNewton, Hessian):
        np.testing.assert_allclose(operator(model, (x, y)).dense(), np.kron(np.eye(2), block), atol=1e-12)
        np.testing.assert_allclose(
            operator(model, (x, y), "mse").dense(), np.kron(np.eye(2), block), atol=1e-12
        )


def flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors])


def test_a_natural_gradient_step_solves_the_dense_system():
    optimizer = NaturalGradient(1.0, damping=0.1, steps=200, tolerance=1e-13, monotone=False)
    model, x, y = compiled("dict", optimizer)
    fisher, objective = dense_fisher(model, x), CompiledObjective(model, x, y)
    before = flat(objective.values)
    with tf.GradientTape() as tape:
        loss = objective.loss([v.value for v in model.trainable_variables])
    gradient = flat(tape.gradient(loss, [v.value for v in model.trainable_variables]))
    model.fit(x, y, batch_size=N, verbose=0)
    expected = -np.linalg.solve(fisher + 0.1 * np.eye(len(fisher)), gradient)
    np.testing.assert_allclose(flat(model.get_weights()) - before, expected, rtol=1e-7, atol=1e-10)


def test_the_quadratic_model_of_kfac_has_the_exact_fisher_matrix():
    model, x, y = compiled()
    objective, vectors = (
        CompiledObjective(model, x, y),
        np.random.default_rng(2).normal(size=(2, model.count_params())),
    )
    sizes = np.cumsum([int(np.prod(v.shape)) for v in model.trainable_variables])[:-1]
    parts = [
        [tf.reshape(part, v.shape) for part, v in zip(np.split(vector, sizes), objective.values, strict=True)]
        for vector in vectors
    ]
    forms = fisher_forms(objective, objective.values, parts, draw=None)
    np.testing.assert_allclose(forms, vectors @ dense_fisher(model, x) @ vectors.T, rtol=1e-10)


def test_factors_of_kfac_have_the_gradients_of_all_outputs():
    """With the labels of the data: the gradient of the sum over outputs of sqrt(c) nll at the first layer."""
    model, x, y = compiled("dict", KFAC(fisher="empirical", statistics_every=1), run_eagerly=True)
    hidden, *heads = [layer for layer in model.layers if isinstance(layer, L.Dense)]
    outputs = [np.array(output) for output in model(x)]
    hidden_values = np.tanh(x @ hidden.get_weights()[0] + hidden.get_weights()[1])
    labels, values, flags = (head.get_weights()[0] for head in heads)
    slopes = (
        np.sqrt(0.5 / (N * T))
        * (softmax(outputs[0], -1) - np.eye(CLASSES)[y["labels"]]).reshape(N, -1)
        @ labels.T
        + np.sqrt(2.0 / N) * (outputs[1] - y["values"]) @ values.T
        + np.sqrt(1.5 / 3 / N) * (outputs[2] - y["flags"]) @ flags.T
    )
    slopes *= 1 - hidden_values**2
    model.fit(x, y, batch_size=N, verbose=0)
    states, preconditioners = model.optimizer._statistics.states, model.optimizer._statistics.preconditioners
    [g] = [s["G"] for s, p in zip(states, preconditioners, strict=True) if p.block.layer is hidden]
    np.testing.assert_allclose(g, slopes.T @ slopes, rtol=1e-8, atol=1e-12)
    # Outputs with the same number of positions do not count as more examples.
    sums, squares = 0.5**2 + 2**2 + 0.5**2, 0.5**2 / (N * T) + 2**2 / N + 0.5**2 / N
    np.testing.assert_allclose(model.optimizer._noise.positions, sums / squares, rtol=1e-10)


def test_labels_of_different_outputs_are_drawn_independently():
    model, x = two_heads(), data()[0]
    model.get_layer("b").set_weights(model.get_layer("a").get_weights())
    model.compile("sgd", GaussianNLL(scale=1.0))
    objective = CompiledObjective(model, x, [np.zeros((N, 2))] * 2)
    a, b = objective.distribution.sample(objective.predictions(objective.values), (0, 1))
    assert np.abs(a - b).min() > 1e-3


@pytest.mark.parametrize("optimizer", [KFAC(), NaturalGradient(fisher="sampled"), HessianFree()])
def test_optimizers_train_several_outputs(optimizer):
    model, x, y = compiled("dict", optimizer)
    losses = model.fit(x, y, batch_size=N, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_losses_without_a_distribution_and_negative_weights_are_refused():
    model = network()
    with pytest.raises(ValueError, match="negative log-likelihood of a distribution"):
        model.compile(KFAC(), ["mse", "mae", "mse"])
    with pytest.raises(ValueError, match="loss_weights must be at least 0 for a Fisher matrix, got -1"):
        model.compile(KFAC(), ["mse", "mse", "mse"], loss_weights=[1.0, -1.0, 1.0])
