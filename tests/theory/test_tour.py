"""The equations of chapter 1, verified with Keras, TFP and the losses."""

import os
from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.special import entr

from curvezoo.layers import DenseBlock
from curvezoo.losses import CategoricalNLL, GaussianNLL
from curvezoo.theory import cumulants, information
from curvezoo.training.parts import Optimizer


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def relu(x):
    return np.where(x > 0, x, 0.0)


@pytest.mark.equation("1.1.1")
def test_a_dense_layer_is_an_affine_map_followed_by_the_activation(rng):
    layer = keras.layers.Dense(4, activation="relu", dtype="float64")
    x = rng.standard_normal((7, 3))
    layer.build(x.shape)
    layer.set_weights([rng.standard_normal((3, 4)), rng.standard_normal(4)])
    kernel, bias = layer.get_weights()
    # This is W^i_j x^j + b^i; Keras stores W as [inputs, outputs].
    expected = [[max(0.0, kernel[:, i] @ row + bias[i]) for i in range(4)] for row in x]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-14)
    assert 0 < np.mean(np.array(expected) == 0) < 1


@pytest.mark.equation("1.1.2")
def test_a_multilayer_perceptron_composes_its_dense_layers(rng):
    widths = (5, 8, 6, 3)
    layers = [DenseBlock(width, dtype="float64") for width in widths[1:]]
    model = keras.Sequential([keras.Input((widths[0],), dtype="float64"), *layers])
    x = rng.standard_normal((11, widths[0]))
    weights = [(rng.standard_normal(shape), rng.standard_normal(shape[1])) for shape in pairwise(widths)]
    model.set_weights([array for pair in weights for array in pair])
    value = x
    for kernel, bias in weights:
        value = relu(value @ kernel + bias)
    np.testing.assert_allclose(model(x), value, rtol=1e-13)


@pytest.mark.equation("1.2.1")
def test_the_gradient_of_the_squared_error_vanishes_at_the_least_squares_line(rng):
    x = np.linspace(-1, 2, 50)
    y = 0.7 * x - 0.3 + 0.1 * rng.standard_normal(50)
    slope, intercept = np.polyfit(x, y, 1)
    model = keras.Sequential([keras.Input((1,), dtype="float64"), keras.layers.Dense(1, dtype="float64")])
    model.set_weights([np.array([[slope]]), np.array([intercept])])
    # Minus the log-likelihood of Gaussian errors of unit variance is half of L, and a constant.
    likelihood = GaussianNLL(reduction="sum", dtype="float64")
    with tf.GradientTape() as tape:
        loss = 2 * likelihood(y[:, None], model(x[:, None])) - 50 * np.log(2 * np.pi)
    np.testing.assert_allclose(loss, sum((y - slope * x - intercept) ** 2), rtol=1e-11)
    # At the least-squares line, the gradient of L with respect to slope and intercept vanishes.
    gradient = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    np.testing.assert_allclose([tf.squeeze(component) for component in gradient], 0, atol=1e-12)


@pytest.mark.equation("1.3.1")
def test_sgd_subtracts_the_learning_rate_times_the_batch_gradient(rng):
    theta = keras.Variable(rng.standard_normal(4), dtype="float64")
    batches = rng.standard_normal((3, 6, 4))
    expected = theta.numpy()
    optimizer = Optimizer("sgd", 0.125, arguments={"momentum": 0.0, "nesterov": False}).make(steps=3)
    for batch in batches:
        # L(theta; X) is the mean of (x . theta)^2 / 2 over the batch.
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((tf.linalg.matvec(batch, theta.value)) ** 2) / 2
        optimizer.apply([tape.gradient(loss, theta.value)], [theta])
        expected = expected - 0.125 * batch.T @ (batch @ expected) / len(batch)
    np.testing.assert_allclose(theta, expected, rtol=1e-13)


@pytest.mark.equation("1.8.1")
def test_softmax_matches_the_formula_and_does_not_overflow(rng):
    logits = rng.standard_normal((5, 10))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = shifted / shifted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, rtol=1e-13)
    # Subtracting a_max does not change the value, but avoids the overflow of the plain form at 10^4.
    np.testing.assert_allclose(
        np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), expected, rtol=1e-13
    )
    np.testing.assert_allclose(keras.ops.softmax(logits + 1e4), expected, rtol=1e-10)
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.all(np.isnan(np.exp(logits + 1e4) / np.exp(logits + 1e4).sum(axis=1, keepdims=True)))
    huge = np.array([[1e4, 0.0, -1e4]])
    np.testing.assert_array_equal(keras.ops.softmax(huge), [[1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(expected.argmax(axis=1), logits.argmax(axis=1))


@pytest.mark.equation("1.8.2")
def test_cross_entropy_is_minus_the_log_probability_of_the_label(rng):
    logits = rng.standard_normal((6, 10))
    labels = rng.integers(10, size=6)
    y = np.eye(10)[labels]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -(y * np.log(p)).sum(axis=1)
    np.testing.assert_allclose(-np.log(p[np.arange(6), labels]), expected, rtol=1e-13)
    # Keras and TFP are the oracles.
    np.testing.assert_allclose(
        keras.ops.categorical_crossentropy(y, logits, from_logits=True), expected, rtol=1e-13
    )
    ours = CategoricalNLL(reduction=None, dtype="float64")(labels, logits)
    np.testing.assert_allclose(ours, expected, rtol=1e-13)
    sparse = keras.ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    np.testing.assert_allclose(sparse, expected, rtol=1e-13)
    distribution = tfp.distributions.Categorical(logits=logits)
    np.testing.assert_allclose(-distribution.log_prob(labels), expected, rtol=1e-13)
    # The cross-entropy is the KL divergence because a one-hot distribution has zero entropy.
    divergence = tfp.distributions.kl_divergence(tfp.distributions.Categorical(probs=y), distribution)
    np.testing.assert_allclose(divergence, expected, rtol=1e-12)


@pytest.fixture
def joint(rng):
    """Returns p(x, y) of two dependent variables, [X, Y]."""
    return rng.dirichlet(np.ones(12)).reshape(3, 4)


@pytest.mark.equation("1.10.1")
def test_marginals_are_sums_of_the_joint_distribution(joint):
    sums = [sum(joint[i, j] for j in range(4)) for i in range(3)]
    table = tfp.distributions.Categorical(probs=joint.ravel())
    cells = [[table.prob(4 * i + j) for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(keras.ops.sum(joint, axis=1), sums, rtol=1e-14)
    np.testing.assert_allclose(np.sum(cells, axis=1), sums, rtol=1e-13)
    assert sum(sums) == pytest.approx(1, rel=1e-14)
    assert information.joint_entropy(joint, 0) == pytest.approx(entr(sums).sum(), rel=1e-14)


@pytest.mark.equation("1.10.2")
def test_conditionals_are_normalized_slices_and_obey_bayes_rule(joint):
    p_x, p_y = joint.sum(axis=1), joint.sum(axis=0)
    # The conditionals are normalized slices of the table, [X, Y].
    x_given_y = np.stack([joint[:, j] / np.linalg.norm(joint[:, j], 1) for j in range(4)], axis=1)
    y_given_x = np.stack([joint[i] / np.linalg.norm(joint[i], 1) for i in range(3)])
    np.testing.assert_allclose(x_given_y * p_y, joint, rtol=1e-14)
    np.testing.assert_allclose(y_given_x * p_x[:, None], joint, rtol=1e-14)
    for given, conditionals in ((1, x_given_y), (0, y_given_x)):
        weights = (p_x, p_y)[given]
        mean = weights @ entr(conditionals).sum(axis=1 - given)
        assert information.conditional_entropy(joint, 1 - given, given) == pytest.approx(mean, rel=1e-13)
    # TFP evaluates Bayes' rule, log p(x|y) = log p(y|x) + log p(x) - log p(y).
    chain = tfp.distributions.JointDistributionSequential(
        [
            tfp.distributions.Categorical(probs=p_x),
            lambda x: tfp.distributions.Categorical(probs=tf.gather(y_given_x, x)),
        ]
    )
    for i, j in np.ndindex(joint.shape):
        posterior = tf.exp(chain.log_prob([i, j])) / p_y[j]
        np.testing.assert_allclose(posterior, x_given_y[i, j], rtol=1e-12)


@pytest.mark.equation("1.10.3")
def test_averaging_conditionals_gives_the_marginal(joint):
    p_x, p_y = joint.sum(axis=1), joint.sum(axis=0)
    x_given_y, y_given_x = joint / p_y, joint / p_x[:, None]
    np.testing.assert_allclose(x_given_y @ p_y, p_x, rtol=1e-14)
    np.testing.assert_allclose((y_given_x * p_x[:, None]).sum(axis=1), p_x, rtol=1e-14)
    # p(y|x) is a distribution over y for each x, which makes the second equality trivial.
    np.testing.assert_allclose(y_given_x.sum(axis=1), 1, rtol=1e-14)
    mixture = tfp.distributions.MixtureSameFamily(
        tfp.distributions.Categorical(probs=p_y), tfp.distributions.Categorical(probs=x_given_y.T)
    )
    np.testing.assert_allclose(mixture.prob(np.arange(3)), p_x, rtol=1e-12)
    # Knowing y lowers the entropy of x from that of the averaged conditionals to the average entropy.
    gain = entr(x_given_y @ p_y).sum() - p_y @ entr(x_given_y).sum(axis=0)
    assert information.mutual_information(joint) == pytest.approx(gain, rel=1e-12)


@pytest.mark.equation("1.10.4")
def test_expectations_add_even_for_dependent_variables(joint, rng):
    x, y = rng.standard_normal(3), rng.standard_normal(4)
    mean_x, mean_y = joint.sum(axis=1) @ x, joint.sum(axis=0) @ y
    mean_sum = sum(joint[i, j] * (x[i] + y[j]) for i, j in np.ndindex(joint.shape))
    assert mean_sum == pytest.approx(mean_x + mean_y, rel=1e-13)
    # The mean of the product differs from the product of the means only for dependent variables.
    mean_product = sum(joint[i, j] * x[i] * y[j] for i, j in np.ndindex(joint.shape))
    assert abs(mean_product - mean_x * mean_y) > 1e-3
    pairs = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    ours = cumulants.moments(pairs, 1, joint.ravel())
    np.testing.assert_allclose(
        [ours[1, 0], ours[0, 1], ours[1, 1]], [mean_x, mean_y, mean_product], rtol=1e-12
    )
    assert cumulants.moments(pairs.sum(axis=1), 1, joint.ravel())[1] == pytest.approx(ours[1, 0] + ours[0, 1])
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    assert x @ independent @ y == pytest.approx(mean_x * mean_y, rel=1e-13)
    # For a continuous pair, compute <X + Y> of a correlated Gaussian by quadrature.
    gaussian = tfp.distributions.MultivariateNormalFullCovariance(
        np.array([0.5, -0.25]), np.array([[1.0, 0.6], [0.6, 0.8]])
    )
    nodes = np.linspace(-9, 9, 721)
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1)
    cell = (nodes[1] - nodes[0]) ** 2
    assert np.sum(gaussian.prob(grid).numpy() * grid.sum(axis=-1)) * cell == pytest.approx(0.25, abs=1e-12)


@pytest.mark.dataset("mnist")
def test_mnist_has_sixty_thousand_training_images():
    import tensorflow_datasets as tfds

    splits = tfds.builder("mnist", data_dir=os.environ["TFDS_DATA_DIR"]).info.splits
    # Section 1.7 says 5 x 10^4, the number that remains after 10,000 are held out for validation.
    assert splits["train"].num_examples == 60_000
    assert splits["test"].num_examples == 10_000
