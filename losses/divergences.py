r"""Differentiable distances between distributions for training (Sec. 3.6), exact or estimated by sampling.

Legend: ... is the batch shape to which p and q broadcast; N and M are numbers of samples, X and Y numbers of
values. All results are differentiable tensors in nats. p and q are distributions of TensorFlow Probability,
built inside the gradient tape or the compiled function that differentiates them.

An integer `seed` gives the same draws in every call. A tensor [2] (a seed of `tf.random.stateless_*`) gives
draws that depend on its value, and None gives new draws. The gradient goes through the samples if the
distribution is reparameterized. Otherwise (categorical, mixtures) it uses the score function:
grad E_p[v] = E_p[grad v + v grad log p]. Both are unbiased.
"""

import warnings
from typing import NamedTuple

import tensorflow as tf
import tensorflow_probability as tfp

from .. import arguments
from .f_divergences import GENERATORS

tfd = tfp.distributions


class Estimate(NamedTuple):
    """A Monte Carlo mean with its uncertainty.

    Args:
        mean: The estimate, [...].
        standard_error: Standard deviation of the mean, estimated from the spread of the draws, [...]; NaN
            where a draw is infinite.
    """

    mean: tf.Tensor
    standard_error: tf.Tensor


def kl_divergence(p, q, samples=None, seed=None):
    """Returns the relative entropy D(p || q) = E_p[log p - log q] (Eq. 2.3.3 and 3.6.1).

    Args:
        p: Distribution of the data.
        q: Model.
        samples: Number of draws for `kl_estimate`; None for the exact value, which is a sum over a finite
            support or the closed form registered with TensorFlow Probability.
        seed: Integer or tensor [2] for repeatable draws, None for new ones.

    Returns:
        The divergence, [...]; infinite where q excludes events that p allows.

    Raises:
        ValueError: If p and q are not distributions with one event shape and dtype and batch shapes that
            broadcast; if probabilities, logits, locations or scales are not valid (checked outside compiled
            functions only); if `samples` is neither None nor an integer of at least 2; or if no exact form is
            known.
    """
    if samples is not None:
        return kl_estimate(p, q, samples, seed).mean
    _check(p, q)
    tables = _log_probabilities(p), _log_probabilities(q)
    if None not in tables:
        return _sum_over_support(GENERATORS["kl"], *tables)
    try:
        return tfd.kl_divergence(p, q)
    except NotImplementedError:
        raise ValueError(_no_exact_form("Kullback-Leibler divergence", p, q)) from None


def kl_estimate(p, q, samples, seed=None):
    """Estimates D(p || q) as the mean of log p(x) - log q(x) over draws x from p (Eq. 3.6.1).

    If q can also be sampled, `f_divergence_estimate("kl", ...)` has a far smaller error for close p and q:
    the standard deviation of one draw is about sqrt(2 D) here and about D there.

    Args:
        p: Distribution of the data.
        q: Model; only its density is used.
        samples: Number of draws, at least 2.
        seed: Integer or tensor [2] for repeatable draws, None for new ones.

    Returns:
        An `Estimate`.

    Raises:
        ValueError: As `kl_divergence`.
    """
    _check(p, q)
    samples = arguments.integer("samples", samples, 2)
    return _estimate([_draws(p, lambda x: p.log_prob(x) - q.log_prob(x), samples, _seeds(seed, 1)[0])])


def jensen_shannon(p, q, samples=None, seed=None):
    """Returns the Jensen-Shannon divergence (D(p || m) + D(q || m)) / 2 with m = (p + q) / 2, Eq. 3.6.2.

    It is symmetric and at most log 2; its square root is a metric.

    Args:
        p: Distribution.
        q: Distribution.
        samples: Number of draws from each of p and q; None for the exact sum over a finite support.
        seed: Integer or tensor [2] for repeatable draws, None for new ones.

    Returns:
        The divergence, [...].

    Raises:
        ValueError: As `kl_divergence`.
    """
    return f_divergence("scaled_jensen_shannon", p, q, samples, seed) / 4


def f_divergence(f, p, q, samples=None, seed=None):
    """Returns D_f(p || q) = E_q[f(p / q)]; named f are scaled so that their local form is the Fisher metric.

    Args:
        f: A name in `f_divergences.GENERATORS`, such as `"scaled_jensen_shannon"`, which is 4 times
            `jensen_shannon`; or a generator such as `f_divergences.alpha_divergence(0.3)`
            or `f_divergences.balanced(f)`.
        p: Distribution.
        q: Distribution.
        samples: Number of draws from each of p and q; None for the exact sum over a finite support
            (`Bernoulli`, `Categorical`, `OneHotCategorical`).
        seed: Integer or tensor [2] for repeatable draws, None for new ones.

    Returns:
        The divergence, [...].

    Raises:
        ValueError: As `kl_divergence`, or if `f` is an unknown name.
    """
    if samples is not None:
        return f_divergence_estimate(f, p, q, samples, seed).mean
    generator = _generator(f)
    _check(p, q)
    tables = _log_probabilities(p), _log_probabilities(q)
    if None in tables:
        raise ValueError(_no_exact_form("f-divergence", p, q))
    return _sum_over_support(generator, *tables)


def f_divergence_estimate(f, p, q, samples, seed=None):
    """Estimates D_f(p || q) from equally many draws from p and q, in the balanced form of `f_divergences`.

    The draws come from the mixture (p + q) / 2, so the variance is that of h alone. For total variation,
    Hellinger and Jensen-Shannon it is finite for any p and q.

    Args:
        f: As in `f_divergence`.
        p: Distribution.
        q: Distribution.
        samples: Number of draws from each, at least 2.
        seed: Integer or tensor [2] for repeatable draws, None for new ones.

    Returns:
        An `Estimate`.

    Raises:
        ValueError: As `f_divergence`.
    """
    generator = _generator(f)
    _check(p, q)
    samples = arguments.integer("samples", samples, 2)

    def values(x):
        return generator(p.log_prob(x) - q.log_prob(x))

    return _estimate([_draws(d, values, samples, s) for d, s in zip((p, q), _seeds(seed, 2), strict=True)])


def mutual_information(joint):
    """Returns the mutual information I(X, Y) = D(p(x, y) || p(x) p(y)) in nats (Eq. 2.5.3 and 2.5.4).

    Args:
        joint: Probabilities p(x, y), [..., X, Y], that sum to one over the last two axes. They are checked
            unless a `tf.function` is being traced.

    Returns:
        The mutual information, [...].

    Raises:
        ValueError: If the dtype is not floating, an entry is negative or not finite, or a sum is not one; the
            message has its index.
    """
    joint = _real("joint", joint)
    if joint.shape.rank is not None and joint.shape.rank < 2:
        raise ValueError(f"joint must have shape [..., X, Y], got {tuple(joint.shape)}")
    _check_known(arguments.distributions, "joint", joint, (-2, -1))
    x, y = tf.reduce_sum(joint, -1, keepdims=True), tf.reduce_sum(joint, -2, keepdims=True)

    model = x * y
    # The sum of p - q vanishes. Without it, rounding errors of q would enter to first order in p / q - 1. It
    # is subtracted from the value only, because its gradient does not vanish.
    rounding = tf.stop_gradient(tf.reduce_sum(joint - model, (-2, -1)))
    return tf.reduce_sum(joint * _log_dependence(joint, x, y, model), (-2, -1)) - rounding


def _log_dependence(joint, x, y, model):
    """Returns log(p(x, y) / (p(x) p(y))), accurate near independence; zero at empty cells."""

    def log(values):
        # At empty cells, log 1 in place of log 0 keeps the gradient finite.
        return tf.math.log(tf.where(joint > 0, values, tf.ones_like(joint)))

    near = tf.abs(joint - model) < model / 2
    excess = tf.where(near, joint - model, tf.zeros_like(joint)) / tf.where(near, model, tf.ones_like(joint))
    # Elsewhere logarithms are subtracted because the product of the marginals could underflow.
    return tf.where(near, tf.math.log1p(excess), log(joint) - log(x) - log(y))


def wasserstein(x, y, order=1.0, p=None):
    """Returns the distance W_p between two one-dimensional samples, the cost of moving one onto the other.

        W_p^p = integral_0^1 |F^-1(s) - G^-1(s)|^p ds

    with the quantile functions of the samples. For N = M it is the mean of |x_(i) - y_(i)|^p over the sorted
    samples.

    Args:
        x: Samples, [..., N].
        y: Samples, [..., M], with the same batch shape and dtype.
        order: Order p, finite and at least 1.
        p: The former name of `order`, with a `DeprecationWarning`.

    Returns:
        The distance in units of x, [...]. Where it is zero, its gradient is defined as zero.

    Raises:
        ValueError: If the shapes or dtypes do not match, there is no sample, a sample is not finite, or
            `order` is out of range.
    """
    if p is not None:
        warnings.warn("p is now called order", DeprecationWarning, stacklevel=2)
        order = p
    order = arguments.number("order", order, 1)
    x, y = _real("x", x), _real("y", y)
    _check_samples(x, y)
    if x.shape[-1] is not None and x.shape[-1] == y.shape[-1]:
        return _power_mean(tf.abs(tf.sort(x) - tf.sort(y)), order)
    n, m = (tf.shape(values, out_type=tf.int64)[-1] for values in (x, y))
    # Both quantile functions are constant between these multiples of 1 / (N M).
    levels = tf.sort(tf.concat([tf.range(1, n + 1) * m, tf.range(1, m + 1) * n], 0))
    widths = tf.cast(levels - tf.concat([[0], levels[:-1]], 0), x.dtype) / tf.cast(n * m, x.dtype)
    x = tf.gather(tf.sort(x), (levels - 1) // m, axis=-1)
    y = tf.gather(tf.sort(y), (levels - 1) // n, axis=-1)
    return _power_mean(tf.abs(x - y), order, widths)


def _power_mean(distance, order, widths=None):
    """Returns (mean of distance^order over the last axis)^(1 / order), by default with equal weights."""
    powers = distance if order == 1.0 else distance**order
    cost = tf.reduce_mean(powers, -1) if widths is None else tf.reduce_sum(widths * powers, -1)
    if order == 1.0:
        return cost
    positive = cost > 0
    return tf.where(
        positive, tf.where(positive, cost, tf.ones_like(cost)) ** (1 / order), tf.zeros_like(cost)
    )


def _generator(f):
    if callable(f):
        return f
    if f == "jensen_shannon":
        warnings.warn(
            "f='jensen_shannon' gives 4 times jensen_shannon(p, q), and will give jensen_shannon(p, q) in "
            "the next version: pass f='scaled_jensen_shannon', or call jensen_shannon",
            FutureWarning,
            stacklevel=3,
        )
        f = "scaled_jensen_shannon"
    if f not in GENERATORS:
        raise ValueError(f"f must be a generator or one of {', '.join(GENERATORS)}, got {f!r}")
    return GENERATORS[f]


def _check(p, q):
    """Raises unless p and q are distributions over the same events."""
    for name, value in (("p", p), ("q", q)):
        if not isinstance(value, tfd.Distribution):
            raise ValueError(
                f"{name} must be a distribution of TensorFlow Probability, got {type(value).__name__}"
            )
    if p.dtype != q.dtype:
        kinds = " and ".join(getattr(d.dtype, "name", str(d.dtype)) for d in (p, q))
        raise ValueError(f"p and q must have one dtype, got {kinds}")
    if not p.event_shape.is_compatible_with(q.event_shape):
        raise ValueError(f"p and q must have one event shape, got {p.event_shape} and {q.event_shape}")
    try:
        tf.broadcast_static_shape(p.batch_shape, q.batch_shape)
    except ValueError:
        raise ValueError(
            f"p and q must have batch shapes that broadcast, got {p.batch_shape} and {q.batch_shape}"
        ) from None
    _check_parameters("p", p)
    _check_parameters("q", q)


def _check_parameters(name, d):
    """Raises if a parameter would make log probabilities NaN."""
    loc, scale, logits, probs = (getattr(d, x, None) for x in ("loc", "scale", "logits", "probs"))
    if tf.is_tensor(loc):
        _check_known(arguments.finite, f"{name}.loc", loc)
    # The scale of a multivariate Gaussian is an operator, which is not checked.
    if tf.is_tensor(scale):
        _check_known(arguments.positive, f"{name}.scale", scale)
    if logits is not None:
        # The logits of a categorical distribution may be -inf, but not +inf, and not all of them -inf.
        _check_known(arguments.finite, f"probability from {name}.logits", d.probs_parameter())
    elif isinstance(d, tfd.Categorical | tfd.OneHotCategorical):
        _check_known(arguments.distributions, f"{name}.probs", probs)
    elif probs is not None:
        _check_known(arguments.nonnegative, f"{name}.probs", probs)
        _check_known(arguments.nonnegative, f"1 - {name}.probs", 1 - probs)


def _check_known(check, name, values, *args):
    """Checks values unless a compiled function is being traced, in which case they are not known yet."""
    values = tf.convert_to_tensor(values)
    if hasattr(values, "numpy"):
        check(name, tf.cast(values, tf.float64).numpy(), *args)


def _real(name, values):
    values = tf.convert_to_tensor(values)
    if not values.dtype.is_floating:
        raise ValueError(f"{name} must have a floating dtype, got {values.dtype.name}")
    return values


def _no_exact_form(divergence, p, q):
    return (
        f"samples must be given for an estimate: no exact {divergence} is known between {p.name} and {q.name}"
    )


def _log_probabilities(d):
    """Returns log p over a finite support, [..., K], or None if the support is not finite."""
    if isinstance(d, tfd.Bernoulli):
        logits = d.logits_parameter()
        return tf.stack([tf.math.log_sigmoid(-logits), tf.math.log_sigmoid(logits)], -1)
    if isinstance(d, tfd.Categorical | tfd.OneHotCategorical):
        return tf.math.log_softmax(d.logits_parameter())
    return None


def _sum_over_support(generator, log_p, log_q):
    """Returns the sum of m h(log(p / q)) over the last axis, without events that both p and q exclude."""
    if log_p.shape[-1] != log_q.shape[-1]:
        raise ValueError(
            f"p and q must have equally many outcomes, got {log_p.shape[-1]} and {log_q.shape[-1]}"
        )
    excluded = tf.math.is_inf(log_p) & tf.math.is_inf(log_q)
    ratio = tf.where(excluded, tf.zeros_like(log_p), log_p - log_q)
    mixture = (tf.exp(log_p) + tf.exp(log_q)) / 2
    return tf.reduce_sum(tf.math.multiply_no_nan(generator(ratio), mixture), -1)


def _seeds(seed, n):
    if seed is not None and not tf.is_tensor(seed):
        # TensorFlow Probability combines a plain integer with the global seed.
        seed = (0, arguments.integer("seed", seed, 0))
    return tfp.random.split_seed(seed, n)


def _draws(d, function, samples, seed):
    """Returns function(x) for draws x from d, [S, ...]; the gradient of its mean is unbiased."""
    x = d.sample(samples, seed=seed)
    if d.reparameterization_type == tfd.FULLY_REPARAMETERIZED:
        return function(x)
    x = tf.stop_gradient(x)
    log_prob = d.log_prob(x)
    # This factor is one, and its gradient is the score.
    return function(x) * tf.exp(log_prob - tf.stop_gradient(log_prob))


def _estimate(groups):
    """Returns the mean over equally weighted groups of independent draws, each [S, ...]."""
    means, variances = zip(*(tf.nn.moments(values, axes=[0]) for values in groups), strict=True)
    draws = groups[0].shape[0]
    variance = tf.add_n(variances) / (draws - 1)
    return Estimate(tf.add_n(means) / len(groups), tf.sqrt(variance) / len(groups))


def _check_samples(x, y):
    for name, values in (("x", x), ("y", y)):
        if values.shape.rank == 0 or (values.shape.rank is not None and values.shape[-1] == 0):
            raise ValueError(
                f"{name} must hold at least one sample on its last axis, got {tuple(values.shape)}"
            )
        _check_known(arguments.finite, name, values)
    if x.dtype != y.dtype or not x.shape[:-1].is_compatible_with(y.shape[:-1]):
        raise ValueError(
            "x and y must have one batch shape and dtype, "
            f"got {x.dtype.name} {tuple(x.shape)} and {y.dtype.name} {tuple(y.shape)}"
        )
