r"""Bounds of the log-likelihood of models with latent variables, and their terms (section 7.3).

A model with the prior \(p(z) = N(0, 1)\), the decoder \(p(x|z)\) and the encoder \(q(z|x)\) has

    ELBO(x)   = E_q [log p(x|z)] - KL(q(z|x) || p(z)) <= log p(x)           (Eq. 7.3.9 and 7.3.10)
    L_K(x)    = E log (1/K) sum_k w_k,   w_k = p(x|z_k) p(z_k) / q(z_k|x)   (z_1 ... z_K from q)

in nats; L_1 is the ELBO, L_K does not decrease with K, and it tends to log p(x). The likelihoods p(x|z) are
those of `losses`: `BernoulliNLL` and `GaussianNLL` return -log p(x|z).

Both losses take the terms of the bound as y_pred and ignore y_true, which may be `None`, because the terms
depend on the images already: a model that is trained with them maps images to terms.

Legend: B batch, Z latents, K draws of the latents for each image, ... further axes.
"""

import keras
from keras import ops

from .. import arguments
from .likelihood import Likelihood
from .tensors import alike, floating


def gaussian_kl(mean, log_variance):
    r"""Returns the KL divergence of Gaussians to the unit Gaussian, one number for each latent.

    \[ KL(N(\mu, \sigma^2) \| N(0, 1)) = \frac{1}{2} (\mu^2 + \sigma^2 - 1 - \log \sigma^2) \]

    The sum over the last axis is the divergence of the product of independent Gaussians.

    Args:
        mean: Mean of each latent, [..., Z].
        log_variance: Logarithm of its variance, of the same shape.

    Returns:
        Nats, [..., Z], at least 0.

    Raises:
        ValueError: If a tensor is not floating-point, or the shapes differ.

    Example:
        >>> gaussian_kl([[0.0, 2.0]], [[0.0, 0.0]]).numpy().tolist()
        [[0.0, 2.0]]
    """
    mean, log_variance = alike(mean=mean, log_variance=log_variance)
    # expm1 keeps the digits of a small divergence, where sigma^2 - 1 would cancel against log sigma^2.
    return 0.5 * (ops.square(mean) + (ops.expm1(log_variance) - log_variance))


def sampled_gaussian_kl(latents, mean, log_variance):
    r"""Returns log q(z) - log p(z) at draws z of q, whose mean over the draws is `gaussian_kl`.

    With \(z = \mu + \sigma \epsilon\) it is \((z^2 - \epsilon^2 - \log \sigma^2) / 2\). A single draw may be
    negative.

    Args:
        latents: Draws z from q, [..., Z].
        mean: Mean of q; its shape broadcasts against that of `latents`.
        log_variance: Logarithm of the variance of q; its shape broadcasts likewise.

    Returns:
        Nats, [..., Z].

    Raises:
        ValueError: If a tensor is not floating-point.
    """
    latents, mean, log_variance = floating(latents=latents, mean=mean, log_variance=log_variance)
    noise = (latents - mean) * ops.exp(-0.5 * log_variance)
    return 0.5 * (ops.square(latents) - ops.square(noise) - log_variance)


def log_weights(terms):
    """Returns log p(x|z) p(z) / q(z|x) of each draw, [B, K].

    Args:
        terms: log p(x|z), and log q(z|x) - log p(z) of each latent, [B, K, 1 + Z].
    """
    return terms[..., 0] - ops.sum(terms[..., 1:], axis=-1)


def log_mean_exp(log_weights, axis=-1):
    """Returns log (1/K) sum_k exp(log w_k) without overflow.

    With the weights w_k = p(x, z_k) / q(z_k|x), it is an estimate of log p(x) that is too low on average,
    by about Var(w) / (2 K p(x)^2) for many draws.

    Args:
        log_weights: Logarithms of the weights, [..., K].
        axis: The axis of the K draws.

    Returns:
        Nats, without that axis.

    Example:
        >>> float(log_mean_exp([1000.0, 1000.0]))
        1000.0

    References:
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (2015), arXiv:1509.00519.
    """
    log_weights = ops.convert_to_tensor(log_weights)
    total = ops.logsumexp(log_weights, axis=axis)
    return total - ops.log(ops.cast(ops.shape(log_weights)[axis], total.dtype))


@keras.saving.register_keras_serializable("curvezoo")
class NegativeELBO(Likelihood):
    r"""The negative ELBO in nats, from the terms that a variational autoencoder returns (Eq. 7.3.2, 7.3.10).

    With the log-likelihood \(\log p(x_b|z_b)\) of an image and the divergence \(D_{bj}\) of each latent,

    \[ L = \frac{1}{B} \sum_b \Big( -\log p(x_b|z_b) + \beta \sum_j D_{bj} \Big), \]

    the sum over pixels and latents, and the mean over the batch. At beta = 1 it is a bound of -log p(x). With
    free bits, \(D_{bj}\) is replaced by \(\max(\lambda, \frac{1}{B} \sum_b D_{bj})\): a latent whose mean
    divergence over the batch is below \(\lambda\) has no gradient that would reduce it further. Under a
    `tf.distribute` strategy the mean is over the batch of each replica.

    Args:
        beta: Weight of the divergence, at least 0, or a scalar `keras.Variable` that holds it, whose value
            may change in training.
        free_bits: The divergence lambda of each latent, in nats, that costs the same as any smaller one.
        reduction: As in `keras.losses.Loss`. Weights have the shape [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If `beta` or `free_bits` is negative, or `dtype` is not valid.

    Example:
        >>> terms = [[-3.0, 0.5, 1.0]]  # log p(x|z), and the divergences of two latents
        >>> float(NegativeELBO(beta=4.0)([[0.0]], terms))
        9.0

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes" (2013), arXiv:1312.6114.
        Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework"
            (2017).
        Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow" (2016),
            arXiv:1606.04934, section C.8 (free bits).
    """

    reads_targets = False

    def __init__(
        self,
        beta=1.0,
        free_bits=0.0,
        reduction="sum_over_batch_size",
        name="negative_elbo",
        dtype=None,
    ):
        super().__init__(reduction, name, dtype)
        self.beta = beta
        if not isinstance(beta, keras.Variable):
            self.beta = arguments.nonnegative_number("beta", beta)
        elif tuple(beta.shape):
            raise ValueError(f"beta must be a number or a scalar variable, got shape {tuple(beta.shape)}")
        self.free_bits = arguments.nonnegative_number("free_bits", free_bits)

    def call(self, y_true, y_pred):
        """Returns the loss of each image, [B].

        Args:
            y_true: Not used.
            y_pred: The terms, [B, 1 + Z]: log p(x|z) at one draw, and the divergence of each latent.

        Raises:
            ValueError: If the terms do not have this shape.
        """
        terms = ops.cast(y_pred, self.dtype)
        _check_terms(terms, "[B, 1 + Z]")
        divergences = terms[:, 1:]
        if self.free_bits:
            divergences = ops.maximum(ops.mean(divergences, axis=0, keepdims=True), self.free_bits)
        beta = ops.cast(self.beta, self.dtype)
        return beta * ops.sum(divergences, axis=-1) - terms[:, 0]

    def get_config(self):
        """Returns the arguments that rebuild this loss; a variable `beta` as its current value."""
        beta = self.beta
        if isinstance(beta, keras.Variable):
            beta = float(ops.convert_to_numpy(beta))
        return {**super().get_config(), "beta": beta, "free_bits": self.free_bits}


@keras.saving.register_keras_serializable("curvezoo")
class NegativeImportanceWeightedBound(Likelihood):
    r"""The negative importance-weighted bound in nats, from the terms of K draws for each image.

    \[ L = -\frac{1}{B} \sum_b \log \frac{1}{K} \sum_k w_{bk}, \qquad
       w_{bk} = \frac{p(x_b|z_{bk}) p(z_{bk})}{q(z_{bk}|x_b)} \]

    Its gradient weights the draws of an image by their \(w_{bk}\). At K = 1 it is the ELBO with the sampled
    divergence.

    Args:
        reduction: As in `keras.losses.Loss`. Weights have the shape [B].
        name: Name of the loss.
        dtype: As in `losses.likelihood.Likelihood`.

    Raises:
        ValueError: If `dtype` is not valid.

    References:
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (2015), arXiv:1509.00519.
    """

    reads_targets = False

    def __init__(
        self, reduction="sum_over_batch_size", name="negative_importance_weighted_bound", dtype=None
    ):
        super().__init__(reduction, name, dtype)

    def call(self, y_true, y_pred):
        """Returns the loss of each image, [B].

        Args:
            y_true: Not used.
            y_pred: The terms, [B, K, 1 + Z]: log p(x|z) at each draw, and log q(z|x) - log p(z) of each
                latent.

        Raises:
            ValueError: If the terms do not have this shape.
        """
        terms = ops.cast(y_pred, self.dtype)
        _check_terms(terms, "[B, K, 1 + Z]")
        return -log_mean_exp(log_weights(terms))


@keras.saving.register_keras_serializable("curvezoo")
class Divergence(keras.metrics.Mean):
    """The mean over images of the divergence from the prior in nats, summed over the latents.

    Args:
        name: Name of the metric.
        dtype: As in `keras.metrics.Metric`.
    """

    def __init__(self, name="divergence", dtype=None):
        super().__init__(name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds the images of a batch.

        Args:
            y_true: Not used.
            y_pred: The terms, [B, 1 + Z].
            sample_weight: Weights of the images, [B].
        """
        terms = ops.cast(y_pred, self.dtype)
        _check_terms(terms, "[B, 1 + Z]")
        super().update_state(ops.sum(terms[:, 1:], axis=-1), sample_weight)


def _check_terms(terms, expected):
    """Checks that terms have the number of axes of a shape, given as text, and at least one latent."""
    shape = tuple(terms.shape)
    if len(shape) != expected.count(",") + 1 or shape[-1] is None or shape[-1] < 2:
        raise ValueError(f"y_pred must have shape {expected}, log p(x|z) and Z divergences, got {shape}")
