"""The quadratic model of a step: its forms and its minimum against dense algebra."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from curvezoo.losses import LaplaceNLL
from curvezoo.optimizers.curvature import products
from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective
from curvezoo.optimizers.kfac.quadratic import best_coefficients, fisher_forms

pytestmark = pytest.mark.usefixtures("double_precision_rates")
RNG = np.random.default_rng(0)


def parts(vector):
    return [tf.constant(vector[:2]), tf.constant(vector[2:].reshape(2, 2))]


@pytest.mark.parametrize("damping", [0.0, 0.7])
def test_the_best_step_is_the_minimum_on_the_plane(damping):
    """The dense solve of the quadratic model on the plane of d and v; Eq. 4.7.1 with F for the Hessian."""
    root = RNG.normal(size=(6, 9))
    fisher, g, d, v = root @ root.T, *RNG.normal(size=(3, 6))
    plane = np.stack([d, v], 1)
    expected = -np.linalg.solve(plane.T @ (fisher + damping * np.eye(6)) @ plane, plane.T @ g)
    forms = tf.constant(plane.T @ (fisher + damping * np.eye(6)) @ plane)
    actual = best_coefficients(parts(g), parts(d), parts(v), forms)
    np.testing.assert_allclose(actual, expected, rtol=1e-10)


@pytest.mark.parametrize("velocity", [0.0, 1.0, -3.0, 1e-9])
def test_a_zero_or_parallel_last_step_is_left_out(velocity):
    """The last step is zero at first, and parallel to d at a fixed point: the best step is then along d."""
    root = RNG.normal(size=(6, 9))
    fisher, g, d = root @ root.T, *RNG.normal(size=(2, 6))
    plane = np.stack([d, velocity * d], 1)
    forms = tf.constant(plane.T @ (fisher + 0.1 * np.eye(6)) @ plane)
    actual = best_coefficients(*map(parts, (g, d, velocity * d)), forms)
    expected = -(g @ d) / (d @ fisher @ d + 0.1 * d @ d)
    np.testing.assert_allclose(actual, [expected, 0], rtol=1e-10)


def test_a_zero_gradient_gives_a_zero_step():
    zero = parts(np.zeros(6))
    actual = best_coefficients(zero, zero, zero, tf.zeros((2, 2), tf.float64))
    np.testing.assert_array_equal(actual, [0, 0])


@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy", "categorical_crossentropy"])
def test_forms_equal_those_of_the_dense_fisher_matrix(loss):
    keras.utils.set_random_seed(0)
    activation = {"mse": None, "binary_crossentropy": "sigmoid", "categorical_crossentropy": "softmax"}[loss]
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, "tanh"), keras.layers.Dense(2, activation)]
    )
    model.compile("sgd", loss)
    targets = np.eye(2)[RNG.integers(0, 2, 8)]
    objective = CompiledObjective(model, RNG.normal(size=(8, 3)), targets, RNG.uniform(0.5, 2, 8))
    values = objective.values
    sizes = [int(np.prod(v.shape)) for v in values]

    def split(vector):
        return [tf.reshape(p, v.shape) for p, v in zip(tf.split(vector, sizes), values, strict=True)]

    def flat(tensors):
        return np.concatenate([np.ravel(t) for t in tensors])

    fisher = [flat(products.fisher_product(objective, values, split(e))) for e in np.eye(sum(sizes))]
    vectors = RNG.normal(size=(3, sum(sizes)))
    actual = fisher_forms(objective, values, [split(v) for v in vectors], draw=None)
    np.testing.assert_allclose(actual, vectors @ fisher @ vectors.T, rtol=1e-10)


def test_labels_are_drawn_where_the_divergence_has_no_closed_form():
    """A score of the Laplace distribution is +-1 / b, so that any one label gives F = 1 / b^2 exactly."""
    inputs = RNG.normal(size=(8, 2))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", LaplaceNLL(scale=0.5))
    objective = CompiledObjective(model, inputs, np.zeros((8, 1)))
    vectors = RNG.normal(size=(3, 2))
    actual = fisher_forms(
        objective,
        objective.values,
        [[tf.constant(v[:, None])] for v in vectors],
        draw=lambda distribution, outputs: distribution.sample(outputs, (0, 1)),
    )
    np.testing.assert_allclose(actual, 4 * vectors @ (inputs.T @ inputs / 8) @ vectors.T, rtol=1e-12)
