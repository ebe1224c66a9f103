"""Momentum, acceleration and further stages: which root of the condition number is possible? (Sec. 4.3)

Legend: K stages, D directions (eigenvectors of the Hessian), N steps.

A stationary rule of K stages evaluates one gradient per step and combines the last K gradients with the last
K iterates. It is linear, and independent of the location of the minimum, if it has the form

    v^(n+1) = sum_{j<K-1} m_j v^(n-j) + sum_{j<K} eps_j g^(n-j),    theta^(n+1) = theta^(n) - v^(n+1).

SGD has K = 1, momentum has K = 2 and eps_1 = 0, and "momentum and acceleration" has K = 3. In a
direction of curvature lambda, the rate is the largest root, in modulus, of the characteristic polynomial
P_lambda(z) = p(z) + lambda q(z),

    p(z) = (z - 1)(z^(K-1) - sum_j m_j z^(K-2-j)),    q(z) = sum_j eps_j z^(K-1-j),

where p(1) = 0 means that the rule is at rest where the gradient vanishes.

The notes ask whether a third stage can take the cube root of the condition number kappa. The answer:

- Two distinct eigenvalues, the notes' own example: yes. As p(1) = 0, P_high(1) = kappa P_low(1). If all roots
  lie in a disk of radius rho, the left side is at most (1 + rho)^K and the right side at least
  kappa (1 - rho)^K, so

      rho >= (kappa^(1/K) - 1) / (kappa^(1/K) + 1),

  and `two_eigenvalues` attains this bound with P_low = (z - rho)^K and P_high = (z + rho)^K.
- Any spectrum in an interval: no, for any number of stages. After n steps, theta is the start times a
  polynomial of degree n in lambda that is one at lambda = 0. Chebyshev's is the smallest such polynomial on
  the interval and shrinks as ((sqrt(kappa) - 1) / (sqrt(kappa) + 1))^n: momentum is already optimal.
- Three distinct eigenvalues: in general no. A search (`best_rule`) finds no gain over momentum if the middle
  eigenvalue is the geometric mean. If it is the arithmetic mean, it reaches kappa^0.44 at kappa = 100.

The cube-root rule is slower between its two eigenvalues: its rate there is at worst sqrt(3) rho, so it
diverges for kappa > 52.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import differential_evolution
from scipy.special import comb

from .. import arguments
from .descent import spectrum


@dataclass(frozen=True)
class Rule:
    """A stationary rule of K stages.

    Args:
        momenta: Coefficients m_0, ..., m_{K-2} of previous velocities.
        learning_rates: Coefficients eps_0, ..., eps_{K-1} of gradients.

    Raises:
        ValueError: If a coefficient is not finite, or the number of learning rates is not that of momenta
            plus one.
    """

    momenta: tuple[float, ...]
    learning_rates: tuple[float, ...]

    def __post_init__(self):
        momenta = arguments.finite("momenta", self.momenta, 1)
        learning_rates = arguments.finite("learning_rates", self.learning_rates, 1)
        if learning_rates.size != momenta.size + 1:
            raise ValueError(
                "learning_rates must have one entry more than momenta, "
                f"got {learning_rates.size} and {momenta.size} entries"
            )


def heavy_ball(learning_rate, momentum):
    """Returns SGD with momentum (Eq. 4.3.6) as a two-stage rule; its v is epsilon times that of the notes.

    Args:
        learning_rate: The learning rate epsilon.
        momentum: The momentum m.
    """
    return Rule((momentum,), (learning_rate, 0.0))


def characteristic(rule, curvature):
    """Returns the coefficients of P_lambda(z) = p(z) + lambda q(z), in descending powers of z.

    Args:
        rule: A `Rule` of K stages.
        curvature: Second derivatives lambda, [...].

    Returns:
        Coefficients, [..., K + 1]; the first is 1.

    Raises:
        ValueError: If a curvature is not finite.
    """
    curvature = arguments.finite("curvature", curvature)
    return _characteristic(np.asarray(rule.momenta), np.asarray(rule.learning_rates), curvature)


def rate(rule, curvature):
    """Returns the asymptotic factor per step: the largest modulus of a root of `characteristic`.

    Args:
        rule: A `Rule`.
        curvature: Second derivatives lambda, [...].

    Returns:
        Rates, [...]; below one where the rule converges.

    Raises:
        ValueError: If a curvature is not finite.
    """
    return _largest_root(characteristic(rule, curvature))


def root_rate(condition, root):
    """Returns (kappa^(1/r) - 1) / (kappa^(1/r) + 1), the rate of SGD for the r-th root of kappa.

    Args:
        condition: Condition number kappa = lambda_max / lambda_min, at least 1; may be an array.
        root: The root r: 1 for SGD, 2 for momentum on any spectrum, K for K stages on two eigenvalues.

    Raises:
        ValueError: If kappa is below one or the root is not positive.
    """
    condition, root = arguments.positive("condition", condition), arguments.positive("root", root, 0)
    below = condition < 1
    if below.any():
        index = arguments.first_index(below)
        raise ValueError(f"condition{index} must be at least 1, got {condition[below][0]:.9g}")
    return np.tanh(np.log(condition) / (2 * root))


def effective_condition(rate):
    """Returns (1 + rate) / (1 - rate), the condition number at which the best SGD has this rate.

    Args:
        rate: Rates below one.

    Raises:
        ValueError: If a rate is negative or not below one.
    """
    rate = arguments.nonnegative("rate", rate)
    above = rate >= 1
    if above.any():
        raise ValueError(f"rate{arguments.first_index(above)} must be below 1, got {rate[above][0]:.9g}")
    return (1 + rate) / (1 - rate)


def two_eigenvalues(low, high, stages):
    """Returns the best rule for a Hessian with two eigenvalues, whose rate is that of the K-th root of kappa.

    For one stage it is `descent.best_sgd`, for two stages `descent.best_momentum`.

    Args:
        low: Smaller eigenvalue, positive.
        high: Larger eigenvalue.
        stages: Number K of stages, at least 1.

    Returns:
        A `Rule` with rate `root_rate(high / low, stages)` at both eigenvalues; between them it may diverge.

    Raises:
        ValueError: Unless 0 < low < high, or if K is below 1.
    """
    low, high = spectrum(low, high)
    stages = arguments.integer("stages", stages, 1)
    if low == high:
        raise ValueError(f"high must be above low = {low:.9g} for two distinct eigenvalues")
    rho = root_rate(high / low, stages)
    at_low, at_high = (np.poly(np.full(stages, root)) for root in (rho, -rho))
    gradients = (at_high - at_low) / (high - low)
    # The remainder p(1) is zero up to rounding.
    velocities, _ = np.polydiv(at_low - low * gradients, [1.0, -1.0])
    return Rule(tuple(map(float, -velocities[1:])), tuple(map(float, gradients[1:])))


def best_rule(curvature, stages, iterations=300, seed=0):
    """Finds the rule with the smallest worst-case rate over a set of curvatures, by differential evolution.

    Args:
        curvature: Eigenvalues of the Hessian, [D], positive, at least two distinct. For an interval, pass
            Chebyshev points (`interval`): 17 are enough for three stages.
        stages: Number K of stages, at least 1.
        iterations: Number of generations of 12 (2K - 1) rules each.
        seed: Seed of the search.

    Returns:
        A `Rule`. For K up to 3 its worst rate is within about 1e-3 of the optimum.

    Raises:
        ValueError: If an eigenvalue is not positive, all are equal, or K is below 1.
    """
    curvature = arguments.positive("curvature", curvature, 1)
    stages, iterations = (
        arguments.integer("stages", stages, 1),
        arguments.integer("iterations", iterations, 1),
    )
    if curvature.size == 0 or curvature.min() == curvature.max():
        raise ValueError(f"curvature must contain at least two distinct eigenvalues, got {curvature}")
    scale = curvature.max()

    def worst_rates(coefficients):
        momenta, learning_rates = np.split(coefficients.T, [stages - 1], axis=-1)
        polynomials = _characteristic(momenta[..., None, :], learning_rates[..., None, :], curvature / scale)
        return _largest_root(polynomials).max(axis=-1)

    # The binomial coefficients bound those of a polynomial with all roots in the unit disk.
    largest = np.concatenate(
        [comb(stages - 1, np.arange(1, stages)), 2 * comb(stages, np.arange(1, stages + 1))]
    )
    best = differential_evolution(
        worst_rates,
        list(zip(-largest, largest, strict=True)),
        popsize=12,
        maxiter=iterations,
        tol=0.0,
        rng=seed,
        polish=False,
        vectorized=True,
        updating="deferred",
    )
    momenta, learning_rates = np.split(best.x, [stages - 1])
    return Rule(tuple(map(float, momenta)), tuple(map(float, learning_rates / scale)))


def interval(low, high, points):
    """Returns Chebyshev points of an interval, including both ends, near which they are denser.

    Args:
        low: Smallest eigenvalue, positive.
        high: Largest eigenvalue.
        points: Number D of points, at least 2.

    Returns:
        Eigenvalues, [D].

    Raises:
        ValueError: Unless 0 < low <= high, or if there are fewer than 2 points.
    """
    low, high = spectrum(low, high)
    angles = np.linspace(0, np.pi, arguments.integer("points", points, 2))
    return low + (high - low) * np.sin(angles / 2) ** 2


def measured_rate(rule, curvature, steps=4000):
    """Returns the factor per step by which a run of the rule shrinks its state, as a check of `rate`.

    The state consists of theta and the sums of previous velocities and gradients that enter later steps: K
    numbers per parameter. As the rule is linear, the state is normalized to length one after each step.

    Args:
        rule: A `Rule`.
        curvature: Second derivatives lambda, [D].
        steps: Number N of steps. The geometric mean is over the last half, which leaves a relative error of
            about (K - 1) log(2) / (N / 2) where all K roots coincide.

    Returns:
        Factors, [D].

    Raises:
        ValueError: If a curvature is not finite or there are fewer than 2 steps.
    """
    curvature = arguments.finite("curvature", curvature, 1)
    steps = arguments.integer("steps", steps, 2)
    momenta = np.append(rule.momenta, 0.0)
    state = np.zeros((len(momenta), curvature.size))
    state[0] = 1.0
    logs = np.zeros(curvature.size)
    for n in range(steps):
        gradient = curvature * state[0]
        pending = np.vstack([state[1:], np.zeros_like(curvature)])
        velocity = pending[0] + rule.learning_rates[0] * gradient
        delayed = np.multiply.outer(momenta[:-1], velocity) + np.multiply.outer(
            rule.learning_rates[1:], gradient
        )
        state = np.vstack([state[0] - velocity, pending[1:] + delayed])
        length = np.linalg.norm(state, axis=0)
        length = np.where(length > 0, length, 1.0)
        state /= length
        logs += np.log(length) if n >= steps // 2 else 0.0
    return np.where(state.any(axis=0), np.exp(logs / (steps - steps // 2)), 0.0)


def _characteristic(momenta, learning_rates, curvature):
    """Returns [..., K + 1] for momenta [..., K - 1], learning rates [..., K] and curvatures [...]."""
    one = np.ones((*momenta.shape[:-1], 1))
    velocities = np.concatenate([one, -momenta, 0 * one], axis=-1)
    # Multiply by z - 1.
    p = velocities - np.concatenate([0 * one, velocities[..., :-1]], axis=-1)
    q = np.concatenate([0 * one, learning_rates], axis=-1)
    return p + curvature[..., None] * q


def _largest_root(coefficients):
    """Returns the largest modulus of the roots of monic polynomials [..., K + 1], from companion matrices."""
    stages = coefficients.shape[-1] - 1
    companion = np.zeros((*coefficients.shape[:-1], stages, stages))
    companion[..., 0, :] = -coefficients[..., 1:]
    companion[..., np.arange(1, stages), np.arange(stages - 1)] = 1.0
    return np.abs(np.linalg.eigvals(companion)).max(axis=-1)
