"""Oracle: TensorFlow Probability's MixtureSameFamily in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.special import logsumexp

from curvezoo.losses.mixture import MixtureNLL
from curvezoo.losses.regression import CauchyNLL, GaussianNLL, StudentTNLL

tfd = tfp.distributions
K, D = 3, 2
COMPONENTS = {
    "gaussian": (GaussianNLL, tfd.Normal),
    "student_t": (
        lambda **a: StudentTNLL(4.0, **a),
        lambda m, s: tfd.StudentT(tf.constant(4.0, m.dtype), m, s),
    ),
}


def mixture(kernel, y_pred, scale=None):
    """Returns the distribution with an explicit layout: logits, then the numbers of each component."""
    logits, parts = y_pred[..., :K], np.split(y_pred[..., K:], K, axis=-1)
    location = np.stack([part[..., :D] for part in parts], axis=-2)
    scale = np.float64(scale) if scale else np.exp(np.stack([part[..., D:] for part in parts], axis=-2))
    components = tfd.Independent(kernel(tf.constant(location), tf.constant(scale)), 1)
    return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), components)


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_loss_is_minus_the_log_density_of_the_mixture(name):
    make, kernel = COMPONENTS[name]
    rng = np.random.default_rng(0)
    targets, predictions = rng.normal(scale=3.0, size=(8, D)), rng.normal(size=(8, K * (1 + 2 * D)))
    ours = MixtureNLL(K, make(scale=None), reduction=None, dtype="float64")
    exact = -mixture(kernel, predictions).log_prob(targets)
    np.testing.assert_allclose(ours(targets, predictions), exact, rtol=1e-10)
    shared = MixtureNLL(K, make(scale=0.4), reduction=None, dtype="float64")
    predictions = predictions[:, : K * (1 + D)]
    exact = -mixture(kernel, predictions, 0.4).log_prob(targets)
    np.testing.assert_allclose(shared(targets, predictions), exact, rtol=1e-12)


def test_reductions_and_weights_of_sequences_are_explicit_sums():
    rng = np.random.default_rng(1)
    targets, predictions = rng.normal(size=(2, 4, D)), rng.normal(size=(2, 4, K * (1 + 2 * D)))
    each = -mixture(tfd.Normal, predictions).log_prob(targets).numpy()
    assert each.shape == (2, 4)
    weights = rng.uniform(size=(2, 4))
    for reduction, expected in (
        ("sum_over_batch_size", np.mean(weights * each)),
        ("sum", np.sum(weights * each)),
        ("mean_with_sample_weight", np.sum(weights * each) / np.sum(weights)),
    ):
        loss = MixtureNLL(K, reduction=reduction, dtype="float64")
        np.testing.assert_allclose(loss(targets, predictions, sample_weight=weights), expected, rtol=1e-10)


def test_the_gradient_is_that_of_the_log_density():
    rng = np.random.default_rng(2)
    targets, predictions = rng.normal(size=(8, 1)), tf.Variable(rng.normal(size=(8, 6)))
    with tf.GradientTape(persistent=True) as tape:
        ours = MixtureNLL(2, dtype="float64")(targets, predictions)
        parts = tf.reshape(predictions[:, 2:], (8, 2, 2))
        components = tfd.Normal(parts[..., 0], tf.exp(parts[..., 1]))
        law = tfd.MixtureSameFamily(tfd.Categorical(logits=predictions[:, :2]), components)
        theirs = -tf.reduce_mean(law.log_prob(targets[:, 0]))
    np.testing.assert_allclose(
        tape.gradient(ours, predictions), tape.gradient(theirs, predictions), rtol=1e-8, atol=1e-12
    )


def test_extremes_are_finite_in_single_precision():
    predictions = tf.constant(
        [
            [1e4, -1e4, 0.0, -18.4, 5.0, 0.0],  # The component that fits has no weight.
            [0.0, 0.0, 0.0, -18.4, 0.0, -18.4],
            [0.0, 0.0, 1e8, -18.4, -1e8, 0.0],
        ]
    )
    targets = np.array([5.0, 0.0, 1.0], "float32")
    for component in (GaussianNLL(scale=None), CauchyNLL(scale=None)):
        with tf.GradientTape() as tape:
            tape.watch(predictions)
            value = MixtureNLL(2, component, reduction=None)(targets, predictions)
        assert np.all(np.isfinite(value))
        assert np.all(np.isfinite(tape.gradient(value, predictions)))
    # In the first row the matching component has a logit difference of -2e4.
    own = float(CauchyNLL(scale=None)([5.0], [[5.0, 0.0]]))
    fits = float(CauchyNLL(scale=None)([5.0], [[0.0, -18.4]]))
    exact = -logsumexp([-fits, -2e4 - own])
    np.testing.assert_allclose(value[0], exact, rtol=1e-5)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_is_cast_to_single(half):
    rng = np.random.default_rng(3)
    targets, predictions = rng.normal(size=(8, D)), keras.ops.cast(rng.normal(size=(8, 15)), half)
    wide = np.asarray(keras.ops.cast(predictions, "float64"))
    exact = MixtureNLL(K, reduction=None, dtype="float64")(targets, wide)
    value = MixtureNLL(K, reduction=None).call(targets, predictions)
    assert value.dtype == tf.float32
    np.testing.assert_allclose(value, exact, rtol=3e-6, atol=1e-6)


def test_a_mixture_density_network_learns_two_branches_and_survives_saving(tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(4)
    x = rng.uniform(0.5, 1.0, size=(512, 1)).astype("float32")
    y = (x * rng.choice([-1.0, 1.0], size=(512, 1)) + 0.05 * rng.normal(size=(512, 1))).astype("float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(6)])
    model.compile(keras.optimizers.Adam(0.05), MixtureNLL(2))
    model.fit(x, y, batch_size=32, epochs=20, verbose=0)
    after = model.evaluate(x, y, verbose=0)
    # The true entropy is log 2 for the branch plus that of the noise. One Gaussian cannot reach 1.
    truth = np.log(2) + 0.5 * np.log(2 * np.pi * np.e * 0.05**2)
    assert truth - 0.1 < after < truth + 0.5
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == model.loss.get_config()
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(after, rel=1e-6)


@pytest.mark.parametrize(
    ("targets", "predictions", "message"),
    [
        ((4, 1), (4, 14), r"y_pred must hold logits and parameters of 3 components.* got shape \(4, 14\)"),
        ((4, 1), (4, 3), r"y_pred must hold logits and parameters of 3 components.* got shape \(4, 3\)"),
        ((4, 1), (4, 12), r"equally many locations and log-scales.* got shape \(4, 3\)"),
        ((4, 3), (4, 15), r"y_true must have shape \(4, 2\) to match y_pred, got shape \(4, 3\)"),
        ((4,), (4, 15), r"y_true must have shape \(4, 2\) to match y_pred, got shape \(4,\)"),
    ],
)
def test_shapes_that_do_not_match_are_rejected(targets, predictions, message):
    with pytest.raises(ValueError, match=message):
        MixtureNLL(3)(np.zeros(targets), np.zeros(predictions))


def test_wrong_arguments_are_rejected():
    with pytest.raises(ValueError, match="components must be an integer of at least 1, got 0"):
        MixtureNLL(0)
    with pytest.raises(ValueError, match=r"component must be one of the losses .* got 'gaussian'"):
        MixtureNLL(2, "gaussian")


@pytest.mark.parametrize("component", [GaussianNLL(scale=None), StudentTNLL(df=3.0, scale=0.5)])
def test_the_distribution_has_minus_the_loss_as_log_density(component):
    rng = np.random.default_rng(7)
    length = 4 if component.scale is None else 2
    targets, predictions = rng.normal(size=(5, 2)), rng.normal(size=(5, 3 * (1 + length)))
    loss = MixtureNLL(3, component, dtype="float64")
    np.testing.assert_allclose(
        -loss.distribution(predictions).log_prob(targets), loss.call(targets, predictions), rtol=1e-12
    )
