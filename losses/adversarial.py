r"""Losses of adversarial networks (Secs. 7.4 and 7.5), from the logits of the discriminator.

The discriminator gives a logit a(x), and D(x) = 1 / (1 + exp(-a)) is its probability that x is real. All
losses are in nats and finite for logits of any size, because log D = -softplus(-a) and
log(1 - D) = -softplus(a).

The information term of Sec. 7.5 is the log-likelihood of the codes c with which an image was generated, under
Q(c|x). Averaged over codes and images and added to the entropy S(C), it is a lower bound of their mutual
information (Eq. 7.5.1), because E_x E_{c' ~ P(c|x)} f(c', x) = E_c E_x f(c, x) (Eqs. 7.5.2 and 7.5.3).

Legend: B batch, K categories, C continuous codes, ... the axes of an image.

References:
    Goodfellow et al., "Generative Adversarial Networks" (2014), arXiv:1406.2661.
    Salimans et al., "Improved Techniques for Training GANs" (2016), arXiv:1606.03498.
    Chen et al., "InfoGAN" (2016), arXiv:1606.03657.
"""

import math

import tensorflow as tf

from .. import arguments
from . import tensors

GENERATOR_LOSSES = ("non_saturating", "saturating")
GRADIENT_PENALTIES = ("zero_centered", "unit_norm")
_TINY = 1e-12


def discriminator_loss(real_logits, fake_logits, label_smoothing=0.0):
    r"""Returns -E_x log D(x) - E_z log(1 - D(G(z))), the cross-entropy of real and fake (Eq. 7.4.2).

    Where x has the densities p of the data and q of the generator, the best discriminator is p / (p + q); its
    loss is 2 log 2 - 2 JSD(p, q).

    Args:
        real_logits: Logits of real images, [B, ...].
        fake_logits: Logits of generated images, of any number.
        label_smoothing: Probability s with which a real image counts as fake, in [0, 1). Generated images
            are never smoothed: labels of s for them would move the best discriminator to
            ((1 - s) p + s q) / (p + q), which rewards the generator for staying where q is large.

    Returns:
        A scalar, in nats.

    Raises:
        ValueError: If the logits are not floating-point, or `label_smoothing` is not in [0, 1).
    """
    real_logits, fake_logits = tensors.floating(real_logits=real_logits, fake_logits=fake_logits)
    label_smoothing = arguments.fraction("label_smoothing", label_smoothing)
    # -(1 - s) log D - s log(1 - D) = softplus(-a) + s a
    real = tf.reduce_mean(tf.nn.softplus(-real_logits) + label_smoothing * real_logits)
    return real + tf.reduce_mean(tf.nn.softplus(fake_logits))


def generator_loss(fake_logits, kind="non_saturating"):
    """Returns the generator's loss, -E_z log D(G(z)) (Eq. 7.4.1) or E_z log(1 - D(G(z))).

    Their derivatives with respect to the logit are D - 1 and -D. The second vanishes where the discriminator
    is sure that an image is generated, D near 0: it saturates.

    Args:
        fake_logits: Logits of generated images, [B, ...].
        kind: `non_saturating` (Eq. 7.4.1) or `saturating`.

    Returns:
        A scalar, in nats.

    Raises:
        ValueError: If the logits are not floating-point, or `kind` is neither.
    """
    fake_logits = tensors.floating(fake_logits=fake_logits)
    if arguments.one_of("kind", kind, GENERATOR_LOSSES) == "saturating":
        return -tf.reduce_mean(tf.nn.softplus(fake_logits))
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def zero_centered_penalty(critic, images):
    """Returns E |grad_x a(x)|^2 over real images, the R1 penalty without its factor gamma / 2.

    Args:
        critic: Function from images to logits [B, 1], in which the images of a batch are independent.
        images: Real images, [B, ...].

    Returns:
        A scalar.

    Raises:
        ValueError: If the images are not floating-point.

    References:
        Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do actually Converge?" (2018),
        arXiv:1801.04406.
    """
    images = tensors.floating(images=images)
    return tf.reduce_mean(_squared_gradients(critic, images))


def unit_norm_penalty(critic, real, fake, shares):
    """Returns E (|grad_x a(x)| - 1)^2 at points x between real and generated images.

    Args:
        critic: Function from images to logits [B, 1], in which the images of a batch are independent.
        real: Real images, [B, ...].
        fake: Generated images, of the same shape.
        shares: Share of the real image in each point, [B], uniform in [0, 1].

    Returns:
        A scalar.

    Raises:
        ValueError: If a tensor is not floating-point, or the shapes do not match.

    References:
        Gulrajani et al., "Improved Training of Wasserstein GANs" (2017), arXiv:1704.00028.
    """
    real, fake = tensors.alike(real=real, fake=fake)
    shares = tensors.floating(shares=shares)
    tensors.axes("shares", shares, "[B]")
    shares = tf.reshape(shares, [-1, *[1] * (len(real.shape) - 1)])
    squares = _squared_gradients(critic, fake + shares * (real - fake))
    # The derivative of the root is infinite at zero.
    return tf.reduce_mean((tf.sqrt(tf.maximum(squares, _TINY)) - 1) ** 2)


def categorical_log_likelihood(codes, logits):
    """Returns log Q(c|x) of categorical codes, [B], in nats.

    Args:
        codes: Codes as one-hot vectors, [B, K].
        logits: Logits of Q, [B, K].

    Raises:
        ValueError: If a tensor is not floating-point, or the shapes differ.
    """
    codes, logits = tensors.alike(codes=codes, logits=logits)
    return tf.reduce_sum(codes * tf.nn.log_softmax(logits), axis=-1)


def gaussian_log_likelihood(codes, mean, log_std):
    """Returns log Q(c|x) of independent Gaussian codes, summed over the codes: [B], in nats.

    Args:
        codes: Codes, [B, C].
        mean: Means of Q, [B, C].
        log_std: Logarithms of the standard deviations of Q, [B, C].

    Raises:
        ValueError: If a tensor is not floating-point, or the shapes differ.
    """
    codes, mean, log_std = tensors.alike(codes=codes, mean=mean, log_std=log_std)
    scaled = (codes - mean) * tf.exp(-log_std)
    return -tf.reduce_sum(0.5 * scaled**2 + log_std + 0.5 * math.log(2 * math.pi), axis=-1)


def information_bound(entropy, log_likelihood):
    """Returns the lower bound S(C) + E log Q(c|x) of the mutual information I(C; X) (Eq. 7.5.1).

    It is tight where Q is the posterior P_G(c|x), and so never above S(C) for discrete codes, which is log K
    for K equally likely ones. Minimizing the information term of the loss, -lambda E log Q(c|x) (Eq. 7.5.4),
    maximizes it.

    Args:
        entropy: Entropy S(C) of the codes in nats; the differential entropy for continuous ones.
        log_likelihood: log Q(c|x) of codes and of the images generated from them, [B].

    Returns:
        A scalar, in nats; negative where Q is worse than the prior.

    Raises:
        ValueError: If `log_likelihood` is not floating-point.
    """
    log_likelihood = tensors.floating(log_likelihood=log_likelihood)
    return entropy + tf.reduce_mean(log_likelihood)


def _squared_gradients(critic, images):
    """Returns |grad_x a(x)|^2 of each image, [B]."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = critic(images)
    gradients = tape.gradient(logits, images)
    return tf.reduce_sum(gradients**2, axis=range(1, len(gradients.shape)))
