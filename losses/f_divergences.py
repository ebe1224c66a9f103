r"""Generators of the f-divergences, each with its formula, scaled to one common second derivative.

An f-divergence is D_f(p || q) = E_q[f(p / q)] with f convex and f(1) = 0. Near q all smooth ones agree,

    D_f(p_theta || p_{theta + delta}) = f''(1) / 2 sum_ij F_ij delta_i delta_j + O(delta^3),

with F the Fisher matrix of Eq. 2.3.7. Every generator here that is smooth at 1 has f(1) = f'(1) = 0 and
f''(1) = 1, so that all have the same local form; the docstrings give the factor relative to the usual
definition. Total variation has a corner at 1, and its local form is not the Fisher metric (docs/errata.md).

The functions take the log ratio l = log u, u = p / q, and return the balanced form

    h(l) = 2 f(u) / (1 + u),   so that   D_f(p || q) = E_m[h(log(p / q))],   m = (p + q) / 2.

It is finite where f(u) overflows, and correct where p or q is zero: h(-inf) = 2 f(0), and
h(inf) = 2 lim f(u) / u is the weight of the events that q excludes.

Legend: l is a float tensor of any shape; the result has the same shape.

References:
    Csiszar, "Information-type measures of difference of probability distributions" (1967).
    Amari, "Information Geometry and Its Applications" (2016), chapter 3.
"""

import functools
import math

import tensorflow as tf

from .. import arguments

_FAR = 1e30  # Replaces an infinite log ratio; its multiples are still finite in float32.
_TERMS = 19  # Length of the series: at |l| = 1 the next term is below rounding in float64.


def kl(log_ratio):
    """Kullback-Leibler divergence, D(p || q) of Eq. 2.3.3: f(u) = u log u - u + 1."""
    # Where p is zero, both the product and its gradient must have the limit 0.
    log_ratio = tf.maximum(log_ratio, -_FAR)
    weighted = tf.math.multiply_no_nan(log_ratio, tf.sigmoid(log_ratio))
    return 2 * (weighted - tf.tanh(log_ratio / 2))


def reverse_kl(log_ratio):
    """Kullback-Leibler divergence with exchanged arguments, D(q || p): f(u) = -log u + u - 1."""
    return kl(-log_ratio)


def scaled_jensen_shannon(log_ratio):
    """Four times Eq. 3.6.2: f(u) = 2 (u log u - (1 + u) log((1 + u) / 2)).

    h / 4 is log 2 minus the posterior entropy of whether x was drawn from p or from q.
    """
    near, small = _near(log_ratio, 1.0)
    far = tf.clip_by_value(log_ratio, -_FAR, _FAR)
    from_p = tf.math.multiply_no_nan(tf.nn.softplus(-far), tf.sigmoid(far))
    from_q = tf.math.multiply_no_nan(tf.nn.softplus(far), tf.sigmoid(-far))
    # Near l = 0 the entropy is close to log 2; with p / (p + q) = (1 + t) / 2 the two cancel exactly.
    t = tf.tanh(small / 2)
    return tf.where(near, 2 * (small * t + tf.math.log1p(-t * t)), 4 * (math.log(2) - from_p - from_q))


def total_variation(log_ratio):
    """Total variation, half the integral of |p - q|: f(u) = |u - 1| / 2, with a corner at u = 1."""
    return tf.abs(tf.tanh(log_ratio / 2))


def squared_hellinger(log_ratio):
    """Squared Hellinger distance, twice the integral of (sqrt p - sqrt q)^2: f(u) = 2 (sqrt u - 1)^2."""
    return 4 * tf.tanh(log_ratio / 4) * tf.tanh(log_ratio / 2)


def chi_squared(log_ratio):
    """Half of Pearson's chi^2, which is the integral of (p - q)^2 / q: f(u) = (u - 1)^2 / 2."""
    return tf.tanh(log_ratio / 2) * tf.math.expm1(log_ratio)


def alpha_divergence(alpha):
    """Returns the generator of Amari's family: f(u) = (u^a - 1 - a (u - 1)) / (a (a - 1)).

    The order a = 1 gives `kl` and 0 `reverse_kl` (both as limits), 1/2 `squared_hellinger` and 2
    `chi_squared`. Replacing a by 1 - a exchanges p and q.

    Args:
        alpha: Order a, a finite number. Within about 1e-6 of 0 or 1, the values for |l| > 1 suffer from
            rounding.

    Returns:
        A function of the log ratio.

    Raises:
        ValueError: If `alpha` is not a finite number.
    """
    alpha = arguments.number("alpha", alpha)
    if alpha in (0, 1):
        return kl if alpha else reverse_kl

    # Near l = 0, f(u) = sum_k (1 + a + ... + a^(k-2)) l^k / k!; powers of `size` keep the terms below one.
    size = max(1.0, abs(alpha))
    terms = [
        sum((alpha / size) ** j * (1 / size) ** (k - 2 - j) for j in range(k - 1)) / math.factorial(k)
        for k in range(_TERMS, 1, -1)
    ]

    def generator(log_ratio):
        near, small = _near(log_ratio, 1 / size)
        far = tf.clip_by_value(log_ratio, -_FAR, _FAR)
        power = tf.exp(alpha * far - tf.nn.softplus(far))
        beyond = 2 * (power - tf.sigmoid(-far) - alpha * tf.tanh(far / 2)) / (alpha * (alpha - 1))
        series = functools.reduce(lambda total, term: total * (size * small) + term, terms)
        return tf.where(near, 2 * small**2 * series * tf.sigmoid(-small), beyond)

    return generator


def balanced(f):
    """Returns the balanced form of any generator, for `f_divergence`.

    Args:
        f: Convex function of the ratio u = p / q with f(1) = 0, elementwise on a float tensor. It overflows
            where u does; where p or q is zero, f alone does not define the balanced form.

    Returns:
        A function of the log ratio.
    """
    return lambda log_ratio: 2 * f(tf.exp(log_ratio)) * tf.sigmoid(-log_ratio)


GENERATORS = {
    "kl": kl,
    "reverse_kl": reverse_kl,
    "scaled_jensen_shannon": scaled_jensen_shannon,
    "total_variation": total_variation,
    "squared_hellinger": squared_hellinger,
    "chi_squared": chi_squared,
}
"""The generators by name."""


def _near(log_ratio, radius):
    """Returns where |l| < radius, and l there; zeros elsewhere keep the gradients finite."""
    near = tf.abs(log_ratio) < radius
    return near, tf.where(near, log_ratio, tf.zeros_like(log_ratio))
