"""Posteriors and evidences in closed form: conjugate priors (Sec. 3.4, Eq. 3.4.6).

The posterior p(theta|X) = p(X|theta) p(theta) / p(X) belongs to the family of the prior if the prior is
conjugate to the likelihood. Its normalization, the evidence p(X) = integral p(X|theta) p(theta) d theta, is
then a ratio of normalizations; models are compared by ratios of their evidences. In Eq. 3.4.6 the
denominator is this p(X), the evidence of the model, and not the probability of the data in the world
(docs/errata.md).

| class | likelihood | unknown |
|---|---|---|
| `BetaBinomial` | successes in trials | probability of success p |
| `GammaPoisson` | counts over exposures | rate |
| `NormalNormal` | normal values of known variance | mean |
| `NormalInverseGamma` | normal values | mean and variance |

Each object is a prior and has the same methods. `posterior(data)` is an object of the same class, and thus
the prior of further data; `log_evidence(data)` is log p(X) in nats; `distribution()` is the law of the
unknown and `predictive()` that of the next observation, both as SciPy distributions. The data may be empty.
`curvezoo.theory.grid_posterior` is for other likelihoods.

Legend: N observations.

References:
    Gelman et al., "Bayesian Data Analysis" (2013), chapters 2 and 3.
    Murphy, "Conjugate Bayesian analysis of the Gaussian distribution" (2007), technical report.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import betaln, gammaln, xlogy

from .. import arguments


@dataclass(frozen=True)
class BetaBinomial:
    """The beta distribution p^(a - 1) (1 - p)^(b - 1) / B(a, b) of a probability of success p.

    Args:
        a: Prior successes plus a constant, positive: 1 for a flat prior, 1/2 for Jeffreys's.
        b: Prior failures plus the same constant, positive.

    Raises:
        ValueError: If a parameter is not positive.

    Example:
        >>> coin = BetaBinomial(1, 1)
        >>> coin.posterior(successes=7, trials=10)
        BetaBinomial(a=8.0, b=4.0)
        >>> print(round(float(np.exp(coin.log_evidence(7, 10))), 6))  # each of 0 ... 10 is equally likely
        0.090909
    """

    a: float
    b: float

    def __post_init__(self):
        _check_positive(self, "a", "b")

    def posterior(self, successes, trials):
        """Returns the `BetaBinomial` with a + sum of successes and b + sum of failures.

        Args:
            successes: Number k of successes, a number or one per experiment, [N].
            trials: Number n of trials, of the same shape.

        Raises:
            ValueError: If a number is not an integer of at least 0, the shapes differ, or k is above n.
        """
        k, n = _successes(successes, trials)
        return BetaBinomial(self.a + k.sum(), self.b + (n - k).sum())

    def log_evidence(self, successes, trials):
        """Returns log p(k) = sum log binomial(n, k) + log(B(a + sum k, b + sum (n - k)) / B(a, b)).

        Args:
            successes: As in `posterior`. The binomials count the orders in which k successes may occur: for
                the evidence of a sequence, give trials one by one.
            trials: As in `posterior`.

        Raises:
            ValueError: As in `posterior`.
        """
        k, n = _successes(successes, trials)
        # The sum over all orders is that of one experiment with all trials. For large numbers, the logarithms
        # of the beta functions would cancel.
        total = k.sum(), n.sum()
        orders = np.sum(_log_binomial(k, n)) - _log_binomial(*total)
        failures = total[1] - total[0]
        ways = _log_multichoose(self.a, total[0]) + _log_multichoose(self.b, failures)
        return orders + ways - _log_multichoose(self.a + self.b, total[1])

    def distribution(self):
        """Returns the law of p, a frozen `scipy.stats.beta`."""
        return stats.beta(self.a, self.b)

    def predictive(self, trials=1):
        """Returns the law of the successes in further trials, a frozen `scipy.stats.betabinom`."""
        return stats.betabinom(arguments.integer("trials", trials, 0), self.a, self.b)


@dataclass(frozen=True)
class GammaPoisson:
    """The gamma distribution b^a r^(a - 1) exp(-b r) / Gamma(a) of the rate r of a Poisson process.

    Args:
        shape: Shape a, prior counts, positive.
        rate: Rate parameter b, prior exposure, positive, in inverse units of r.

    Raises:
        ValueError: If a parameter is not positive.
    """

    shape: float
    rate: float

    def __post_init__(self):
        _check_positive(self, "shape", "rate")

    def posterior(self, counts, exposures=1.0):
        """Returns the `GammaPoisson` with a + sum of counts and b + sum of exposures.

        Args:
            counts: Counts x, a number or [N].
            exposures: Time (or area, ...) t in which each count was taken: x has the mean r t. It broadcasts
                to the counts.

        Raises:
            ValueError: If a count is not an integer of at least 0, an exposure is not positive, or the shapes
                do not match.
        """
        x, t = _counts(counts, exposures)
        return GammaPoisson(self.shape + x.sum(), self.rate + t.sum())

    def log_evidence(self, counts, exposures=1.0):
        """Returns log p(x) = sum (x log t - log x!) + log(b^a Gamma(a') / (b'^a' Gamma(a))) with a', b' new.

        Args:
            counts: As in `posterior`.
            exposures: As in `posterior`.

        Raises:
            ValueError: As in `posterior`.
        """
        x, t = _counts(counts, exposures)
        if not x.size:
            return 0.0
        # The total is negative binomial and its division multinomial. For large counts, the logarithms of the
        # gamma functions would cancel.
        count, exposure = x.sum(), t.sum()
        division = gammaln(count + 1) - np.sum(gammaln(x + 1)) + np.sum(xlogy(x, t / exposure))
        log_odds = np.log(self.rate) - np.log(exposure)
        inside, outside = np.logaddexp(0.0, log_odds), np.logaddexp(0.0, -log_odds)
        return division + _log_multichoose(self.shape, count) - count * inside - self.shape * outside

    def distribution(self):
        """Returns the law of the rate, a frozen `scipy.stats.gamma`."""
        return stats.gamma(self.shape, scale=1 / self.rate)

    def predictive(self, exposure=1.0):
        """Returns the law of the next count in an exposure, a frozen `scipy.stats.nbinom`."""
        exposure = arguments.positive_number("exposure", exposure)
        return stats.nbinom(self.shape, self.rate / (self.rate + exposure))


@dataclass(frozen=True)
class NormalNormal:
    """The normal distribution N(m, v) of the mean of normal values of known variance.

    Args:
        mean: Prior mean m, in units of the values.
        variance: Prior variance v of the mean, positive, in squared units.
        noise: Known variance s^2 of a value, positive, in squared units.

    Raises:
        ValueError: If a parameter is not finite, or a variance is not positive.
    """

    mean: float
    variance: float
    noise: float

    def __post_init__(self):
        _check_finite(self, "mean")
        _check_positive(self, "variance", "noise")

    def posterior(self, x):
        """Returns the `NormalNormal` whose precision is 1 / v + N / s^2 and whose mean is weighted by them.

        Args:
            x: Values, [N].

        Raises:
            ValueError: If a value is not finite, or `x` does not have one axis.
        """
        x = arguments.finite("x", x, 1)
        # The shares of data and prior, without dividing by an infinite precision.
        total = self.noise + len(x) * self.variance
        mean = self.mean + self.variance / total * np.sum(x - self.mean)
        return NormalNormal(mean, self.variance * (self.noise / total), self.noise)

    def log_evidence(self, x):
        """Returns the log density of x under N(m, s^2 I + v 1 1^T), with N equal correlations.

        Args:
            x: Values, [N].

        Raises:
            ValueError: As in `posterior`.
        """
        x = arguments.finite("x", x, 1)
        size, deviations = len(x), x - self.mean
        total = self.noise + size * self.variance
        center = deviations.mean() if size else 0.0
        squares = np.sum((deviations - center) ** 2) / self.noise + size * center**2 / total
        log_determinant = size * np.log(2 * np.pi * self.noise) + np.log(total / self.noise)
        return -(squares + log_determinant) / 2

    def distribution(self):
        """Returns the law of the mean, a frozen `scipy.stats.norm`."""
        return stats.norm(self.mean, np.sqrt(self.variance))

    def predictive(self):
        """Returns the law of the next value, N(m, v + s^2), a frozen `scipy.stats.norm`."""
        return stats.norm(self.mean, np.sqrt(self.variance + self.noise))


@dataclass(frozen=True)
class NormalInverseGamma:
    """The law of mean mu and variance v of normal values: v ~ InvGamma(a, b) and mu | v ~ N(m, v / kappa).

    Args:
        mean: Prior mean m, in units of the values.
        weight: Number kappa of prior values of the mean, positive.
        shape: Shape a, half the number of prior values of the variance, positive.
        scale: Scale b, half of their sum of squares, positive, in squared units.

    Raises:
        ValueError: If a parameter is not finite, or one other than the mean is not positive.
    """

    mean: float
    weight: float
    shape: float
    scale: float

    def __post_init__(self):
        _check_finite(self, "mean")
        _check_positive(self, "weight", "shape", "scale")

    def posterior(self, x):
        """Returns the `NormalInverseGamma` after N values with mean c and sum of squared deviations q.

            kappa' = kappa + N, m' = (kappa m + N c) / kappa', a' = a + N / 2,
            b' = b + q / 2 + kappa N (c - m)^2 / (2 kappa')

        Args:
            x: Values, [N].

        Raises:
            ValueError: If a value is not finite, or `x` does not have one axis.
        """
        x = arguments.finite("x", x, 1)
        size, deviations = len(x), x - self.mean
        center = deviations.mean() if size else 0.0
        weight = self.weight + size
        squares = np.sum((deviations - center) ** 2) + self.weight * size / weight * center**2
        return NormalInverseGamma(
            mean=self.mean + size / weight * center,
            weight=weight,
            shape=self.shape + size / 2,
            scale=self.scale + squares / 2,
        )

    def log_evidence(self, x):
        """Returns log p(x) = log[Gamma(a') b^a kappa^(1/2) / (Gamma(a) b'^a' kappa'^(1/2) (2 pi)^(N/2))].

        Args:
            x: Values, [N].

        Raises:
            ValueError: As in `posterior`.
        """
        new, size = self.posterior(x), len(x)
        return self._log_normalization() - new._log_normalization() - size / 2 * np.log(2 * np.pi)

    def distribution(self):
        """Returns the joint law of mean and variance, a frozen `scipy.stats.normal_inverse_gamma`."""
        return stats.normal_inverse_gamma(self.mean, self.weight, self.shape, self.scale)

    def predictive(self):
        """Returns the law of the next value, a frozen `scipy.stats.t` with 2a degrees of freedom."""
        spread = np.sqrt(self.scale / self.shape * (1 + 1 / self.weight))
        return stats.t(2 * self.shape, self.mean, spread)

    def _log_normalization(self):
        return self.shape * np.log(self.scale) + np.log(self.weight) / 2 - gammaln(self.shape)


def _log_binomial(k, n):
    """Returns log [n! / (k! (n - k)!)]."""
    return -betaln(k + 1, n - k + 1) - np.log1p(n)


def _log_multichoose(a, k):
    """Returns log [Gamma(a + k) / (Gamma(a) k!)]."""
    return -betaln(a, k + 1) - np.log(a + k)


def _check_finite(prior, *names):
    for name in names:
        object.__setattr__(prior, name, float(arguments.finite(name, getattr(prior, name), 0)))


def _check_positive(prior, *names):
    for name in names:
        object.__setattr__(prior, name, float(arguments.positive(name, getattr(prior, name), 0)))


def _successes(successes, trials):
    k, n = arguments.integers("successes", successes, 0), arguments.integers("trials", trials, 0)
    arguments.same_shape(successes=k, trials=n)
    arguments.require("successes", k, k <= n, "be at most the number of trials")
    return k, n


def _counts(counts, exposures):
    x, t = arguments.integers("counts", counts, 0), arguments.positive("exposures", exposures)
    if arguments.broadcastable(counts=x, exposures=t) != x.shape:
        raise ValueError(f"exposures must broadcast to the counts {x.shape}, got shape {t.shape}")
    return x, np.broadcast_to(t, x.shape)
