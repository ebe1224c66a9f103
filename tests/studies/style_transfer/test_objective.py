"""Oracles: the published losses, finite differences in float64, and a chain of layers by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import check_grad

from curvezoo import losses
from curvezoo.studies.style_transfer import FeatureNetwork, StyleObjective, minimization

RNG = np.random.default_rng(1)
CONTENT, STYLE = RNG.uniform(size=(6, 8, 3)), RNG.uniform(size=(7, 5, 3))


def classifier(dtype="float64", channels=3):
    """Two convolutions around max pooling, then classes; smooth, for finite differences."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, channels), dtype=dtype),
            layers.Conv2D(4, 3, padding="same", activation="tanh", dtype=dtype, name="fine"),
            layers.Dropout(0.5, dtype=dtype),
            layers.MaxPooling2D(dtype=dtype),
            layers.Conv2D(5, 3, padding="same", activation="tanh", dtype=dtype, name="coarse"),
            layers.GlobalAveragePooling2D(dtype=dtype),
            layers.Dense(2, dtype=dtype),
        ]
    )


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.fixture(scope="module")
def network(model):
    return FeatureNetwork(model)


def test_a_feature_network_is_the_chain_of_layers_with_average_pooling(model, network):
    assert network.names == ("fine", "coarse") == network.style_layers
    assert network.content_layer == "fine"
    features, content = network(CONTENT[None])
    fine = model.get_layer("fine")(CONTENT[None])
    pooled = keras.layers.AveragePooling2D(2, dtype="float64")(fine)
    for found, expected in zip(features, (fine, model.get_layer("coarse")(pooled)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(content, features[0])


def test_the_objective_is_the_weighted_sum_of_relative_losses(network):
    picture = RNG.uniform(size=CONTENT.shape)
    features, content = network(picture[None])
    grams = [losses.gram(each) for each in network(STYLE[None])[0]]
    target = network(CONTENT[None])[1]
    pairs = zip(features, grams, strict=True)
    style = np.mean([losses.style_loss(f, g) / losses.style_loss(0 * f, g) for f, g in pairs])
    relative = losses.content_loss(content, target) / losses.content_loss(0 * content, target)
    expected = 3 * style + 0.5 * relative[0] + 2 * losses.total_variation(picture[None])[0]
    objective = StyleObjective(network, CONTENT, STYLE, 0.5, 3.0, 2.0)
    assert float(objective(picture.ravel())) == pytest.approx(float(expected), rel=1e-12)


def test_the_gradient_agrees_with_finite_differences(network):
    function = StyleObjective(network, CONTENT, STYLE, 0.3, 2.0, 0.7)

    def gradient(position):
        position = tf.constant(position)
        with tf.GradientTape() as tape:
            tape.watch(position)
            value = function(position)
        return tape.gradient(value, position).numpy()

    start = RNG.uniform(size=CONTENT.size)
    error = check_grad(lambda x: float(function(x)), gradient, start, epsilon=1e-7)
    assert error < 1e-6 * np.linalg.norm(gradient(start))


@pytest.fixture(scope="module")
def runs(network):
    """The records of both optimizers after 12 evaluations."""
    objective = StyleObjective(network, CONTENT, STYLE)
    function = minimization.RecordedFunction(objective, CONTENT.ravel(), 12)
    records = {}
    # Without graphs, because tracing the line search takes longer than all evaluations.
    tf.config.run_functions_eagerly(True)
    for name in ("lbfgs", "adam"):
        function.restart()
        accepted = []
        minimizer = minimization.make(name, function, 0.03)
        minimizer.run(lambda accepted=accepted: accepted.append(function.values.min()))
        records[name] = function.values, function.best, np.array(accepted)
    tf.config.run_functions_eagerly(False)
    return objective, records


def test_lbfgs_decreases_the_loss_in_each_iteration(runs):
    values, _, accepted = runs[1]["lbfgs"]
    assert np.all(np.diff(accepted) < 0)
    assert accepted[-1] < 0.5 * values[0]


def test_adam_takes_the_steps_of_kerass_adam(runs):
    objective, records = runs
    variable, expected = keras.Variable(CONTENT.ravel(), dtype="float64"), []
    optimizer = keras.optimizers.Adam(0.03)
    for _ in range(12):
        with tf.GradientTape() as tape:
            loss = objective(variable.value)
        expected.append(float(loss))
        optimizer.apply([tape.gradient(loss, variable.value)], [variable])
    np.testing.assert_allclose(records["adam"][0], expected, rtol=1e-9)


def test_both_records_start_alike_and_keep_the_best_picture(runs):
    objective, records = runs
    assert records["lbfgs"][0][0] == records["adam"][0][0]
    for values, best, _ in records.values():
        assert len(values) == 12
        assert float(objective(best)) == pytest.approx(values.min(), rel=1e-12)


def test_every_evaluation_is_recorded_with_those_of_line_searches():
    # The first steps are far too long, so that the line search needs many evaluations.
    function = minimization.RecordedFunction(
        lambda x: tf.reduce_sum(tf.abs(x) ** 4), np.array([100.0, 1.0]), 1000
    )
    result = minimization.LBFGS(max_iterations=6).minimize_function(function, function.best)
    assert function.count == result.evaluations > 10
    assert function.values.min() == pytest.approx(result.loss)


@pytest.mark.parametrize("name", ["lbfgs", "adam"])
def test_the_content_stays_if_the_style_has_no_weight(network, name):
    objective = StyleObjective(network, CONTENT, STYLE, style_weight=0, tv_weight=0)
    function = minimization.RecordedFunction(objective, CONTENT.ravel(), 3)
    minimization.make(name, function, 0.1).run(lambda: None)
    np.testing.assert_array_equal(function.best, CONTENT.ravel())
    assert function.values.max() == 0


def test_networks_that_are_not_chains_are_errors():
    images = keras.Input((8, 8, 3))
    first = keras.layers.Conv2D(3, 3, padding="same")(images)
    residual = keras.layers.Add(name="sum")([images, first])
    with pytest.raises(ValueError, match="form a chain, but 'sum' of"):
        FeatureNetwork(keras.Model(images, residual))
    with pytest.raises(ValueError, match=r"C of 1 or 3, got inputs of shape \(None, 64\)"):
        FeatureNetwork(keras.Sequential([keras.Input((64,)), keras.layers.Dense(2)]))


def test_unknown_layers_and_bad_weights_are_errors(model, network):
    with pytest.raises(ValueError, match=r"style_layers\[0\] must be one of fine, coarse, got 'corse'"):
        FeatureNetwork(model, style_layers=("corse",))
    with pytest.raises(ValueError, match="content_layer must be one of fine, coarse, got 'dense'"):
        FeatureNetwork(model, content_layer="dense")
    with pytest.raises(ValueError, match="tv_weight must be a nonnegative finite number, got -1"):
        StyleObjective(network, CONTENT, STYLE, tv_weight=-1)
    with pytest.raises(ValueError, match=r"at least one of .* must be positive"):
        StyleObjective(network, CONTENT, STYLE, 0, 0, 0)
