"""Losses that a model computes itself: against the compiled loss, dense algebra and their own gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from curvezoo.losses import BernoulliNLL
from curvezoo.optimizers import (
    KFAC,
    GradientNoiseScale,
    HessianFree,
    ModelObjective,
    NaturalGradient,
    Newton,
)
from curvezoo.optimizers.curvature import products
from curvezoo.optimizers.keras_bridge.attachment import ModelOptimizer
from curvezoo.optimizers.keras_bridge.compiled_objective import CompiledObjective, objective_of
from curvezoo.optimizers.noise_scale import estimators

pytestmark = pytest.mark.usefixtures("double_precision_rates")

RNG = np.random.default_rng(0)
X, Y, WEIGHTS = RNG.normal(size=(32, 5)), RNG.integers(0, 3, 32), RNG.uniform(0.5, 2, 32)
# Three patterns of 16 pixels, one pixel in twenty of which is flipped.
PATTERNS = RNG.integers(0, 2, (3, 16))[RNG.integers(0, 3, 64)]
IMAGES = np.where(RNG.uniform(size=PATTERNS.shape) < 0.05, 1 - PATTERNS, PATTERNS).astype("float64")
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")


class RepeatedLoss(ModelObjective):
    """The loss that the model is compiled with, written out."""

    likelihood = CROSS_ENTROPY

    def data_loss(self, outputs):
        return CROSS_ENTROPY(self.y, outputs, self.sample_weight)


class OwnLoss(keras.Sequential):
    """A model whose `compute_loss` repeats Keras's."""

    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs)

    def curvature_objective(self, **batch):
        return RepeatedLoss(self, **batch)


def classifier(kind, optimizer, eager=True):
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(6, "tanh", kernel_regularizer="l2"), layers.Dropout(0.3)]
    model = kind([keras.Input((5,)), *hidden, layers.Dense(3)])
    model.compile(optimizer, CROSS_ENTROPY, run_eagerly=eager)
    return model


OPTIMIZERS = {
    "K-FAC": lambda: KFAC(curvature_examples=7, adapt_every=2),
    "empirical K-FAC": lambda: KFAC(fisher="empirical"),
    "natural gradient": lambda: NaturalGradient(fisher="sampled", steps=4),
    "Hessian-free": lambda: HessianFree(steps=5),
    "Newton": lambda: Newton(dense_limit=0, steps=4),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_objective_that_repeats_the_compiled_loss_takes_the_same_steps(name):
    models = [classifier(kind, OPTIMIZERS[name]()) for kind in (keras.Sequential, OwnLoss)]
    for model in models:
        for _ in range(3):
            model.train_on_batch(X, Y, sample_weight=WEIGHTS)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)
    assert np.abs(models[0].get_weights()[0] - classifier(OwnLoss, "sgd").get_weights()[0]).max() > 1e-3


def test_the_noise_scale_of_a_repeated_loss_is_that_of_the_compiled_one():
    measured = []
    for kind in (keras.Sequential, OwnLoss):
        noise = GradientNoiseScale(every=1, hessian_every=2)
        model = classifier(kind, keras.optimizers.SGD(0.1), eager=False)
        model.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=[noise])
        measured.append([*noise.history.values(), *noise.hessian_history.values()])
    assert len(measured[0][0]) == 4
    for a, b in zip(*measured, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10)


class NegativeELBO(ModelObjective):
    """E_q[-log p(x | z)] + KL(q(z | x) || p(z)), averaged over the batch."""

    likelihood = BernoulliNLL(dtype="float64")

    def data_loss(self, outputs):
        return self.model.compute_loss(x=self.x, y_pred=outputs)

    def select_predictions(self, outputs):
        return outputs[0]

    @property
    def targets(self):
        return self.x


class VAE(keras.Model):
    """Two latent variables with a reparameterized sample, and a loss of its own."""

    def __init__(self, hidden=6):
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(hidden, "tanh"), layers.Dense(4)])
        self.decoder = keras.Sequential([layers.Dense(hidden, "tanh"), layers.Dense(16)])
        self.noise = keras.random.SeedGenerator(0)

    def call(self, x):
        mean, log_variance = ops.split(self.encoder(x), 2, axis=-1)
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=self.noise)
        return self.decoder(mean + ops.exp(log_variance / 2) * noise), mean, log_variance

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits, mean, log_variance = y_pred
        kl = ops.sum(ops.exp(log_variance) + mean**2 - 1 - log_variance, axis=-1) / 2
        return NegativeELBO.likelihood(x, logits) + ops.mean(kl)

    def curvature_objective(self, **batch):
        return NegativeELBO(self, **batch)


class VAEWithStep(VAE):
    """The same with a `train_step` of its own."""

    def train_step(self, data):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y_pred=self(x))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


def vae(optimizer, kind=VAE, **settings):
    keras.utils.set_random_seed(1)
    model = kind(**settings)
    model.compile(optimizer)
    model(IMAGES[:1])
    return model


def jacobians(objective):
    """The derivatives [B, D, P] of each of the outputs with respect to all weights."""
    values = objective.values
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        outputs = objective.outputs(values)
    rows = [tape.jacobian(o, values, unconnected_gradients="zero") for o in outputs]
    return outputs, [
        np.concatenate([np.reshape(r, (*o.shape, -1)) for r in row], -1)
        for o, row in zip(outputs, rows, strict=True)
    ]


def test_fisher_and_gauss_newton_matrices_of_an_elbo_are_the_dense_ones():
    """Only the likelihood has a Fisher matrix; Gauss-Newton also has the divergence's second derivatives."""
    model = vae("sgd", hidden=2)
    objective = model.curvature_objective(x=tf.constant(IMAGES[:5]))
    (logits, _, log_variance), (by_logits, by_mean, by_variance) = jacobians(objective)
    p = 1 / (1 + np.exp(-logits))
    fisher = np.einsum("bdi,bd,bdj->ij", by_logits, p * (1 - p), by_logits) / 5
    means = np.einsum("bdi,bdj->ij", by_mean, by_mean) / 5
    variances = np.einsum("bdi,bd,bdj->ij", by_variance, np.exp(log_variance) / 2, by_variance) / 5
    values = objective.values
    vectors = np.random.default_rng(0).normal(size=(6, len(fisher)))
    sizes = [int(np.prod(v.shape)) for v in values]
    for product, matrix in (
        (products.fisher_product, fisher),
        (products.gauss_newton_product, fisher + means + variances),
    ):
        for vector in vectors:
            parts = tf.split(tf.constant(vector), sizes)
            tangents = [tf.reshape(t, v.shape) for t, v in zip(parts, values, strict=True)]
            result = np.concatenate([np.ravel(t) for t in product(objective, values, tangents)])
            np.testing.assert_allclose(result, matrix @ vector, rtol=1e-9, atol=1e-11)


class Recorder(ModelOptimizer):
    """Compares Keras's gradients with those of the objective."""

    def direction(self, objective, gradients):
        values = objective.values
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = objective.loss(values)
        self.pairs = list(zip(gradients, tape.gradient(loss, values), strict=True))
        return gradients


@pytest.mark.parametrize("kind", [VAE, VAEWithStep])
def test_the_objective_draws_the_noise_of_the_train_step(kind):
    model = vae(Recorder(0.1, "recorder"), kind)
    model.run_eagerly = True
    for _ in range(2):
        model.train_on_batch(IMAGES)
        for given, own in model.optimizer.pairs:
            np.testing.assert_allclose(own, given, rtol=1e-12, atol=1e-14)


def elbo_loss(model):
    """The loss of all images, averaged over draws of the latent variables."""
    objective = objective_of(model, tf.constant(np.tile(IMAGES, (20, 1))))
    return float(objective.loss(objective.values))


def test_a_custom_loss_trains_with_every_curvature_optimizer():
    """The loss falls well below the entropy of independent pixels, its minimum without latent variables."""
    frequency = np.clip(IMAGES.mean(0), 1e-9, 1 - 1e-9)
    entropy = -np.sum(frequency * np.log(frequency) + (1 - frequency) * np.log(1 - frequency))
    for make in (KFAC, lambda: NaturalGradient(1.0, damping=0.1), lambda: HessianFree(steps=15)):
        model = vae(make(), hidden=16)
        model.fit(IMAGES, batch_size=64, epochs=24, verbose=0)
        assert elbo_loss(model) < entropy - 1.5, type(model.optimizer).__name__


def test_a_custom_train_step_takes_the_same_steps_as_the_compiled_one():
    weights = []
    for kind in (VAE, VAEWithStep):
        model = vae(KFAC(), kind)
        model.run_eagerly = True
        model.fit(IMAGES, batch_size=32, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)


def test_the_noise_scale_supports_a_custom_loss():
    model = vae(keras.optimizers.SGD(0.01))
    state = [v.numpy() for v in model.non_trainable_variables]
    small, big, one, size = estimators.squares("per_example", model, (tf.constant(IMAGES),), 4).numpy()
    objective = model.curvature_objective(x=tf.constant(IMAGES), training=True, state=state)
    values = objective.values
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = objective.loss(values)
    norm = sum(np.sum(np.square(g)) for g in tape.gradient(loss, values))
    assert (one, size) == (1, 64) and small > big
    np.testing.assert_allclose(big, norm, rtol=1e-10)
    noise = GradientNoiseScale(every=1)
    model.fit(IMAGES, batch_size=32, epochs=2, verbose=0, callbacks=[noise])
    assert len(noise.history["step"]) == 4 and noise.noise_scale > 0


def test_a_fisher_matrix_needs_a_likelihood():
    class Unlikely(OwnLoss):
        def curvature_objective(self, **batch):
            objective = RepeatedLoss(self, **batch)
            objective.likelihood = None
            return objective

    model = classifier(Unlikely, KFAC())
    with pytest.raises(ValueError, match="RepeatedLoss has no Fisher matrix: set its `likelihood`"):
        model.train_on_batch(X, Y)
    classifier(Unlikely, HessianFree(steps=2)).train_on_batch(X, Y)


def test_a_list_of_likelihoods_belongs_to_several_outputs():
    """The same Fisher and Gauss-Newton products as with the compiled losses and weights."""

    class TwoLosses(ModelObjective):
        likelihood = ("mse", CROSS_ENTROPY)
        likelihood_weights = (0.5, 2.0)

        def data_loss(self, outputs):
            parts = zip(self.likelihood_weights, self.likelihood, self.y, outputs, strict=True)
            return sum(w * keras.losses.get(loss)(y, out) for w, loss, y, out in parts)

    inputs = keras.Input((5,))
    hidden = layers.Dense(3, "tanh")(inputs)
    model = keras.Model(inputs, [layers.Dense(2)(hidden), layers.Dense(3)(hidden)])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 5)), [rng.normal(size=(8, 2)), rng.integers(0, 3, 8)]
    model.compile("sgd", ["mse", CROSS_ENTROPY], loss_weights=[0.5, 2.0])
    own, compiled = TwoLosses(model, x, y), CompiledObjective(model, x, y)
    vector = [tf.constant(rng.normal(size=v.shape), v.dtype) for v in model.trainable_variables]
    for product in (products.fisher_product, products.empirical_fisher_product):
        pairs = zip(*(product(o, o.values, vector) for o in (own, compiled)), strict=True)
        for actual, expected in pairs:
            np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)
    own.likelihood_weights = (1.0,)
    with pytest.raises(ValueError, match="must have one length, got 2, 1 and 2"):
        own.terms  # noqa: B018
    own.likelihood = CROSS_ENTROPY
    with pytest.raises(ValueError, match="one output for each likelihood, got 2 outputs and 1 likelihoods"):
        own.position_weights(own.predictions(own.values))
