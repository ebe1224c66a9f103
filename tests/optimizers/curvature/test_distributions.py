"""Oracles: the losses, expected outer products over all labels, and known Fisher matrices."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.special import expit, softmax

from curvezoo.losses import (
    BernoulliNLL,
    CategoricalNLL,
    CauchyNLL,
    GaussianNLL,
    Huber,
    LaplaceNLL,
    MixtureNLL,
    NegativeLogLikelihood,
    StudentTNLL,
    kl_divergence,
)
from curvezoo.optimizers.curvature.distributions import output_distribution

KERAS = keras.losses


@pytest.fixture(autouse=True)
def double_precision():
    floatx = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(floatx)


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


def matrix_of(distribution, outputs, **options):
    """The Fisher matrix of outputs [B, D] at each position, [B, D, D]."""
    columns = []
    for column in np.eye(outputs.shape[-1]):
        tangents = tf.constant(np.broadcast_to(column, outputs.shape))
        columns.append(distribution.fisher_product(outputs, tangents, **options).numpy())
    return np.stack(columns, axis=-1)


# A loss, its outputs, and two sets of targets.
LABELS, OTHER = np.array([0, 2, 1, 1]), np.array([2, 1, 0, 1])
ONE_HOT = np.eye(3)
RATES = tf.exp(normal(4, 3))
PROBABILITIES = tf.nn.softmax(normal(4, 3))
LOSSES = {
    "sparse, logits": (KERAS.SparseCategoricalCrossentropy(from_logits=True), normal(4, 3), LABELS, OTHER),
    "sparse, probabilities": ("sparse_categorical_crossentropy", PROBABILITIES, LABELS, OTHER),
    "one-hot, logits": (
        KERAS.CategoricalCrossentropy(from_logits=True),
        normal(4, 3),
        ONE_HOT[LABELS],
        ONE_HOT[OTHER],
    ),
    "one-hot, probabilities": (KERAS.CategoricalCrossentropy, PROBABILITIES, ONE_HOT[LABELS], ONE_HOT[OTHER]),
    "binary, logits": (
        KERAS.BinaryCrossentropy(from_logits=True),
        normal(4, 3),
        ONE_HOT[LABELS],
        ONE_HOT[OTHER],
    ),
    "binary, probabilities": ("binary_crossentropy", PROBABILITIES, ONE_HOT[LABELS], ONE_HOT[OTHER]),
    "squared error": ("mse", normal(4, 3), normal(4, 3, seed=1), normal(4, 3, seed=2)),
    "squared error, function": (
        KERAS.mean_squared_error,
        normal(4, 3),
        normal(4, 3, seed=1),
        normal(4, 3, seed=2),
    ),
    "poisson": ("poisson", RATES, ONE_HOT[LABELS], 5 * ONE_HOT[OTHER]),
    "curvezoo categorical": (CategoricalNLL(dtype="float64"), normal(4, 3), LABELS, OTHER),
    "curvezoo gaussian": (
        GaussianNLL(scale=None, dtype="float64"),
        normal(4, 4),
        normal(4, 2, seed=1),
        normal(4, 2, seed=2),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_scaled_negative_log_likelihoods_up_to_a_constant(name):
    loss, outputs, first, others = LOSSES[name]
    distribution = output_distribution(loss)

    def value(targets, outputs):
        function = KERAS.get(loss)
        return getattr(function, "call", function)(tf.constant(targets), outputs)

    scale = distribution.scale(outputs)
    for targets in (first, others):
        exact = value(targets, outputs) - value(targets, outputs[::-1])
        ours = scale * (distribution.nll(targets, outputs) - distribution.nll(targets, outputs[::-1]))
        np.testing.assert_allclose(ours, exact, rtol=1e-9, atol=1e-12)


def test_targets_may_omit_or_add_a_last_axis_of_length_one():
    distribution = output_distribution("mse")
    np.testing.assert_allclose(
        distribution.nll([1.0, 2.0], tf.zeros((2, 1), tf.float64)), np.log(2 * np.pi) / 2 + np.array([0.5, 2])
    )
    sparse = output_distribution(CategoricalNLL())
    np.testing.assert_allclose(sparse.nll([[0], [1]], tf.zeros((2, 4), tf.float64)), np.log(4))
    with pytest.raises(ValueError, match=r"targets must have shape \(2, 1\) to match the outputs"):
        distribution.nll(np.zeros((2, 3)), tf.zeros((2, 1)))


def test_fisher_matrices_match_closed_forms():
    logits = normal(4, 3)
    p = softmax(logits.numpy(), axis=-1)
    exact = np.einsum("bi,ij->bij", p, np.eye(3)) - np.einsum("bi,bj->bij", p, p)
    for loss in (
        CategoricalNLL(),
        CategoricalNLL(label_smoothing=0.2),
        LOSSES["sparse, logits"][0],
        LOSSES["one-hot, logits"][0],
    ):
        np.testing.assert_allclose(matrix_of(output_distribution(loss), logits), exact, atol=1e-14)
    q = expit(logits.numpy())
    np.testing.assert_allclose(
        matrix_of(output_distribution(BernoulliNLL()), logits),
        np.einsum("bi,ij->bij", q * (1 - q), np.eye(3)),
        atol=1e-14,
    )
    for loss, factor in (("mse", 1.0), (GaussianNLL(scale=0.5), 4.0), (CauchyNLL(scale=0.5), 2.0)):
        exact = np.broadcast_to(factor * np.eye(3), (4, 3, 3))
        np.testing.assert_allclose(
            matrix_of(output_distribution(loss), logits), exact, rtol=1e-12, atol=1e-14
        )
    exact = np.einsum("bi,ij->bij", 1 / (RATES + keras.config.epsilon()), np.eye(3))
    np.testing.assert_allclose(matrix_of(output_distribution("poisson"), RATES), exact, rtol=1e-12)


def test_a_predicted_scale_has_fisher_information():
    outputs = normal(5, 2)
    exact = np.stack([np.diag([np.exp(-2 * a), 2.0]) for a in outputs[:, 1].numpy()])
    np.testing.assert_allclose(
        matrix_of(output_distribution(GaussianNLL(scale=None)), outputs), exact, atol=1e-12
    )


@pytest.mark.equation("4.6.14")
@pytest.mark.equation("4.6.15")
def test_the_divergence_is_a_sum_over_labels_and_half_the_fisher_form():
    logits, step = normal(1, 3), normal(1, 3, seed=3)
    distribution = output_distribution(CategoricalNLL(dtype="float64"))
    fisher = matrix_of(distribution, logits)[0]
    form = 0.5 * step.numpy()[0] @ fisher @ step.numpy()[0]
    ratios = []
    for size in (1e-2, 1e-3):
        p, q = (softmax(a.numpy()[0]) for a in (logits + size * step, logits))
        divergence = np.sum(p * np.log(p / q))
        distributions = [distribution.distribution(a) for a in (logits + size * step, logits)]
        # The divergence in the other direction differs in third order.
        np.testing.assert_allclose(kl_divergence(*distributions), divergence, rtol=1e-8)
        ratios.append(divergence / (size**2 * form))
    # The next term is of third order, so that the ratio approaches 1 linearly in the step.
    assert abs(ratios[1] - 1) < 2e-3 and abs(ratios[1] - 1) < abs(ratios[0] - 1) / 8


@pytest.mark.parametrize("loss", [LaplaceNLL(scale=None), StudentTNLL(df=3.0, scale=None), MixtureNLL(2)])
def test_a_loss_without_a_closed_form_can_be_sampled_and_the_error_says_so(loss):
    outputs = normal(3, 6)
    distribution = output_distribution(loss)
    with pytest.raises(ValueError, match="draw labels instead, by samples=n"):
        distribution.fisher_product(outputs, tf.ones_like(outputs))
    assert not distribution.has_closed_form(outputs)
    assert distribution.nll(distribution.sample(outputs, (1, 2)), outputs).shape == (3,)


def test_weights_scale_the_positions():
    logits, weights = normal(4, 3), np.array([0.0, 1.0, 2.0, 0.5])
    distribution = output_distribution(CategoricalNLL())
    exact = weights[:, None, None] * matrix_of(distribution, logits)
    np.testing.assert_allclose(matrix_of(distribution, logits, weights=weights), exact, atol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_scores_of_samples_have_mean_zero_and_the_fisher_matrix_as_variance(name):
    loss, outputs, targets, _ = LOSSES[name]
    distribution = output_distribution(loss)
    assert distribution.sample(outputs, (0, 0)).shape == np.shape(targets)
    np.testing.assert_array_equal(distribution.sample(outputs, (0, 7)), distribution.sample(outputs, (0, 7)))
    repeated = tf.repeat(outputs[:1], 20_000, axis=0)
    labels = distribution.sample(repeated, (3, 4))
    with tf.GradientTape() as tape:
        tape.watch(repeated)
        nll = distribution.nll(labels, repeated)
    scores = tape.gradient(nll, repeated).numpy()
    fisher = matrix_of(distribution, outputs[:1])[0]
    errors = np.sqrt(scores.var(axis=0) / len(scores))
    assert (np.abs(scores.mean(axis=0)) < 5 * errors + 1e-12).all()
    products = np.einsum("bi,bj->bij", scores, scores)
    spread = products.std(axis=0) / np.sqrt(len(scores))
    assert (np.abs(products.mean(axis=0) - fisher) < 5 * spread + 1e-12).all()


@pytest.mark.parametrize("loss", ["mae", Huber(), KERAS.CategoricalFocalCrossentropy(), lambda y, f: f, 3])
def test_losses_without_a_distribution_are_refused(loss):
    with pytest.raises(ValueError, match=r"valid are Keras's|Huber has no distribution"):
        output_distribution(loss).distribution(normal(2, 3))


def test_options_that_change_the_positions_are_refused():
    with pytest.raises(ValueError, match="axis of categorical_crossentropy must be -1"):
        output_distribution(KERAS.CategoricalCrossentropy(axis=1))


def test_a_custom_distribution_is_supported():
    loss = NegativeLogLikelihood(lambda a: tfp.distributions.Gamma(tf.exp(a[..., 0]), tf.exp(a[..., 1])))
    outputs = normal(3, 2)
    fisher = matrix_of(output_distribution(loss), outputs)
    from scipy.special import polygamma

    shape = np.exp(outputs[:, 0].numpy())
    exact = np.stack([[[s**2 * polygamma(1, s), -s], [-s, s]] for s in shape])
    np.testing.assert_allclose(fisher, exact, rtol=1e-8)
    assert re.search("negative_log_likelihood", output_distribution(loss).name)
