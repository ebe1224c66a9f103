"""Maximum-entropy distributions under moment constraints, and Boltzmann factors (Sec. 2.4).

Legend: N states, M constraints.

Among all distributions with <f_j> = t_j for j = 1 ... M, the one of maximum entropy is

    p_i = w_i exp(-sum_j lambda_j f_ij) / Z(lambda),

with one multiplier a constraint and w the measure that entropy is taken with: 1 for states, the widths of the
cells for a density on a grid. The multipliers minimize the convex dual log Z(lambda) + lambda . t, whose
gradient is t - <f> and whose Hessian is the covariance of the features. The sign is that of Eq. 2.4.3, where
f is the energy and lambda is beta; in Eq. 2.4.8 lambda_1 and lambda_2 are minus the multipliers of x and x^2.

Targets outside the convex hull of the features' rows cannot be met and are refused. On its boundary the
multipliers run to infinity and the distribution is the limit: it lives on the states of the face that holds
the targets (`support`), and has maximum entropy there. A linear program says whether the targets are inside,
on the boundary or outside; closer to the boundary than about 1e-9 of the features' spread counts as on it.

Eqs. 2.4.6 and 2.4.7 have misprints (docs/errata.md): the constants stand outside the integral, the second
moment is sigma^2 + mu^2, and the variation of -p log p is -log p - 1.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linprog, minimize
from scipy.special import logsumexp, rel_entr, softmax

from ..arguments import distributions, finite, positive, same_shape

# Relative to the spread of the features; HiGHS decides to 1e-10.
_ON_BOUNDARY = 1e-9
_REDUNDANT = 1e-10
_CONVERGED = 1e-8
_LINEAR_PROGRAM = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


@dataclass(frozen=True)
class MaximumEntropy:
    """The distribution of maximum entropy under moment constraints.

    Args:
        probabilities: [N], they sum to one.
        density: [N], the probabilities over their weights.
        multipliers: [M], the lambda_j of p_i = w_i exp(-sum_j lambda_j f_ij) / Z. Of redundant constraints
            those of least norm in scaled features; on the boundary those that hold on `support`.
        entropy: -sum_i p_i log(p_i / w_i) in nats; differential entropy if weights are widths of cells.
        residual: Largest |<f_j> - t_j|, in the units of the features.
        support: [N], the states that the constraints leave a probability; all of them inside the hull.
    """

    probabilities: np.ndarray
    density: np.ndarray
    multipliers: np.ndarray
    entropy: float
    residual: float
    support: np.ndarray


@dataclass(frozen=True)
class Reweighting:
    """A distribution reweighted by Boltzmann factors.

    Args:
        probabilities: [..., N], q = p exp(-energies).
        energies: [..., N], beta times the energies, with the zero point of Eq. 2.4.4.
        divergence: [...], D_KL(p || q) = <energies>_p in nats.
    """

    probabilities: np.ndarray
    energies: np.ndarray
    divergence: np.ndarray


def maximum_entropy(features, targets, weights=None):
    """Returns the distribution of maximum entropy with given expectation values.

    Newton's method with a trust region on the dual, in features scaled and rotated to be uncorrelated, from
    lambda = 0. Redundant constraints that agree are harmless.

    Args:
        features: Values f_ij of each constraint's feature in each state, [N, M].
        targets: Expectation values t_j to be met, [M].
        weights: Measure w of the states, [N], positive; `None` for ones.

    Returns:
        A `MaximumEntropy`.

    Raises:
        ValueError: If an argument is not finite or of another shape, a weight is not positive, or no
            distribution meets the targets; then the message has the first target that cannot be met together
            with those before it, and the interval in which it could.

    References:
        Jaynes, "Information theory and statistical mechanics" (1957).
        Boyd and Vandenberghe, "Convex Optimization" (2004), section 7.2.

    Example:
        >>> die = maximum_entropy([[1], [2], [3], [4], [5], [6]], [4.5])
        >>> die.probabilities.round(3).tolist()
        [0.054, 0.079, 0.114, 0.165, 0.24, 0.347]
    """
    features, targets, weights = _check(features, targets, weights)
    support = np.ones(len(features), dtype=bool)
    scale = np.abs(features - targets).max(axis=0)
    scale[scale == 0] = 1.0
    # Features far from zero bring the rounding of their digits.
    rounding = 10 * np.finfo(float).eps * (np.abs(features).max(axis=0) / scale).max()
    axes, back = _whiten((features - targets) / scale, max(_REDUNDANT, rounding))
    while True:
        normal, lowest = _supporting_plane(axes)
        if lowest > _ON_BOUNDARY:
            raise ValueError(_unreachable(features, targets))
        if lowest < -_ON_BOUNDARY:
            break
        heights = axes @ normal
        face = heights <= 2 * _ON_BOUNDARY
        support[support] = face
        # The plane is flat to rounding only; what is left of its normal must not come back as an axis.
        axes, rotation = _whiten((axes - np.outer(heights, normal) / (normal @ normal))[face], _REDUNDANT)
        back = back @ rotation
    probabilities = np.zeros(len(features))
    coordinates = _minimize_dual(axes, np.log(weights[support]))
    probabilities[support] = softmax(np.log(weights[support]) - axes @ coordinates)
    return MaximumEntropy(
        probabilities=probabilities,
        density=probabilities / weights,
        multipliers=back @ coordinates / scale,
        entropy=-float(rel_entr(probabilities, weights).sum()),
        residual=float(np.abs(probabilities @ (features - targets)).max()),
        support=support,
    )


def boltzmann(energies, mean_energy):
    """Returns the Boltzmann distribution exp(-beta E) / Z of a given mean energy, Eqs. 2.4.1 to 2.4.3.

    The only multiplier is beta: negative where the mean is above that of equal probabilities, infinite where
    it is the lowest or highest energy, and zero where all energies are equal. The notes' other multiplier is
    nu = 1 - log Z = 1 - entropy + beta <E>.

    Args:
        energies: Energies E_i of the states, [N].
        mean_energy: The mean <E>, in units of the energies.

    Returns:
        A `MaximumEntropy` with `multipliers` [beta], in inverse units of the energies.

    Raises:
        ValueError: If an argument is not finite or the mean is not between the lowest and the highest energy.
    """
    energies, mean_energy = finite("energies", energies, 1), float(finite("mean_energy", mean_energy, 0))
    if not energies.size:
        raise ValueError("energies must hold at least one state, got none")
    low, high = energies.min(), energies.max()
    if not low <= mean_energy <= high:
        raise ValueError(
            f"mean_energy must lie between the lowest energy {low:.10g} and the highest {high:.10g}, "
            f"got {mean_energy:.10g}"
        )
    result = maximum_entropy(energies[:, None], [mean_energy])
    if result.support.all():
        return result
    at_bottom = mean_energy - low < high - mean_energy
    return replace(result, multipliers=np.array([np.inf if at_bottom else -np.inf]))


def gaussian(grid, mean, variance):
    """Returns the density of maximum entropy with a given mean and variance, Eqs. 2.4.6 to 2.4.8 corrected.

    The constraints are <x> = mu and <x^2> = sigma^2 + mu^2. On a grid that is wide and fine against sigma the
    result is the Gaussian, with the notes' lambda_1 = mu / sigma^2 and lambda_2 = -1 / (2 sigma^2); on a
    narrower one it is what the grid leaves of exp(lambda_1 x + lambda_2 x^2), and the moments are still met.

    Args:
        grid: Increasing points x, [N].
        mean: Mean mu.
        variance: Variance sigma^2.

    Returns:
        A `MaximumEntropy` with the multipliers of x and x^2, weighted by `cell_widths(grid)`.

    Raises:
        ValueError: If the grid does not increase, the variance is not positive, or no density on the grid has
            this mean and variance, or only one on a few of its points.
    """
    widths = cell_widths(grid)
    x, mean = np.asarray(grid, dtype=np.float64), float(finite("mean", mean, 0))
    variance = float(positive("variance", variance, 0))
    from_mean = x - mean
    try:
        # About the mean the two features stay apart however far the mean is from zero.
        result = maximum_entropy(np.stack([from_mean, from_mean**2], axis=1), [0.0, variance], widths)
    except ValueError as error:
        raise ValueError(
            f"no density on the grid has mean {mean:.10g} and variance {variance:.10g}: "
            f"of targets[0] = <x - mean> and targets[1] = <(x - mean)^2>, {error}"
        ) from None
    if not result.support.all():
        raise ValueError(
            f"the grid leaves mean {mean:.10g} and variance {variance:.10g} "
            f"to {result.support.sum()} of its {len(x)} points"
        )
    linear, quadratic = result.multipliers
    return replace(result, multipliers=np.array([linear - 2 * quadratic * mean, quadratic]))


def cell_widths(grid):
    """Returns the weights of the trapezoid rule on a grid: half the distance between each point's neighbors.

    Args:
        grid: Increasing points, [N], at least two.

    Returns:
        An array [N], whose sum is the length of the grid.

    Raises:
        ValueError: If there are fewer than two points or they do not increase.
    """
    grid = finite("grid", grid, 1)
    if len(grid) < 2:
        raise ValueError(f"grid must have at least 2 points, got {len(grid)}")
    steps = np.diff(grid)
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0)) + 1
        raise ValueError(f"grid must increase, got grid[{at}] = {grid[at]:.9g} after {grid[at - 1]:.9g}")
    return (np.append(steps, 0.0) + np.append(0.0, steps)) / 2


def reweight(p, energies, beta=1.0):
    """Reweights a distribution by Boltzmann factors: q = p exp(-E'), Eqs. 2.4.4 and 2.4.5.

    The energies' zero point is shifted so that q sums to one, E' = beta E + log <exp(-beta E)>_p, and then
    D_KL(p || q) = <E'>_p. As a divergence is not negative, <beta E>_p >= -log <exp(-beta E)>_p.

    Args:
        p: Probabilities, [..., N]; a density on a grid times the widths of its cells.
        energies: Energies E, [..., N].
        beta: Inverse temperature, in inverse units of the energies.

    Returns:
        A `Reweighting`.

    Raises:
        ValueError: If `p` holds no distributions, or an argument is not finite or of another shape.
    """
    p, beta = distributions("p", p), float(finite("beta", beta, 0))
    energies = finite("energies", energies)
    same_shape(p=p, energies=energies)
    with np.errstate(over="ignore"):
        scaled = finite("beta * energies", beta * energies)
        zero = logsumexp(-scaled, axis=-1, b=p, keepdims=True)
        shifted = finite("beta * energies from their zero point", scaled + zero)
    # Where p vanishes the factor may overflow.
    log_p = np.log(p, where=p > 0, out=np.full_like(p, -np.inf))
    return Reweighting(
        probabilities=np.exp(log_p - shifted),
        energies=shifted,
        divergence=np.maximum(np.sum(p * shifted, axis=-1), 0.0),
    )


def _check(features, targets, weights):
    features, targets = finite("features", features, 2), finite("targets", targets, 1)
    states, constraints = features.shape
    if not features.size:
        raise ValueError(
            f"features must have at least one state and one constraint, got shape {features.shape}"
        )
    if len(targets) != constraints:
        raise ValueError(
            f"targets must be one for each of {constraints} columns of features, got {len(targets)}"
        )
    weights = np.ones(states) if weights is None else positive("weights", weights, 1)
    if len(weights) != states:
        raise ValueError(f"weights must be one for each of {states} rows of features, got {len(weights)}")
    return features, targets, weights


def _whiten(deviations, tolerance):
    """Returns orthogonal axes [n, r] of mean square 1 that span deviations [n, M], and the way back."""
    left, singular, right = np.linalg.svd(deviations, full_matrices=False)
    root = np.sqrt(len(deviations))
    kept = singular > tolerance * root
    return left[:, kept] * root, right[kept].T * root / singular[kept]


def _supporting_plane(axes):
    """Returns a plane through the origin and the height of the lowest state above it.

    Their mean height is 1, and the lowest is as high as can be: above zero if the origin is outside the hull,
    zero on its boundary, below zero inside.
    """
    rank = axes.shape[1]
    center = axes.mean(axis=0)
    # Few states matter: the program starts from the extreme ones and takes in the lowest until none is new.
    chosen = [*axes.argmin(axis=0), *axes.argmax(axis=0)]
    while True:
        found = linprog(
            np.append(np.zeros(rank), -1.0),
            A_ub=np.column_stack([-axes[chosen], np.ones(len(chosen))]),
            b_ub=np.zeros(len(chosen)),
            A_eq=np.append(center, 0.0)[None],
            b_eq=[1.0],
            bounds=[(-1 / _ON_BOUNDARY, 1 / _ON_BOUNDARY)] * rank + [(None, None)],
            options=_LINEAR_PROGRAM,
        )
        if not found.success:
            # No plane in bounds: the origin is the center of the states.
            return None, -np.inf
        normal, bound = found.x[:-1], found.x[-1]
        heights = axes @ normal
        lowest = int(heights.argmin())
        if bound < -_ON_BOUNDARY or heights[lowest] >= bound - _ON_BOUNDARY / 10 or lowest in chosen:
            return normal, bound
        chosen.append(lowest)


def _unreachable(features, targets):
    """Says which target is the first that cannot be met together with those before it."""
    scale = np.maximum(np.abs(features).max(axis=0), np.finfo(float).tiny)
    scaled, wanted = features / scale, targets / scale
    for j, target in enumerate(wanted):
        conditions = np.column_stack([np.ones(len(scaled)), scaled[:, :j]]).T
        ends = [
            linprog(
                sign * scaled[:, j],
                A_eq=conditions,
                b_eq=np.append(1.0, wanted[:j]),
                method="highs-ipm",
                options=_LINEAR_PROGRAM,
            )
            for sign in (1, -1)
        ]
        # A target that passed by rounding alone leaves none for the next.
        if not all(end.success for end in ends):
            break
        low, high = ends[0].fun, -ends[1].fun
        others = " where the targets before it are met" if j else ""
        interval = f"between {low * scale[j]:.10g} and {high * scale[j]:.10g}"
        message = f"targets[{j}] must lie {interval}{others}, got {targets[j]:.10g}"
        if not low - _ON_BOUNDARY <= target <= high + _ON_BOUNDARY:
            break
    return message


def _minimize_dual(axes, log_weights):
    """Returns the minimum of log sum_i w_i exp(-axes_i . x), with the targets at the origin of the axes."""

    def value(x):
        return logsumexp(log_weights - axes @ x)

    def gradient(x):
        return -softmax(log_weights - axes @ x) @ axes

    def hessian(x):
        p = softmax(log_weights - axes @ x)
        centered = axes - p @ axes
        return centered.T @ (p[:, None] * centered)

    x = np.zeros(axes.shape[1])
    if not len(x):
        return x
    options = {"gtol": _CONVERGED, "maxiter": 1000, "max_trust_radius": 1e9}
    x = minimize(value, x, jac=gradient, hess=hessian, method="trust-exact", options=options).x
    # The value is flat to rounding within 1e-8 of the minimum; its gradient still points there.
    for _ in range(20):
        step = np.linalg.lstsq(hessian(x), gradient(x))[0]
        if np.abs(gradient(x - step)).max() >= np.abs(gradient(x)).max():
            break
        x = x - step
    error = np.abs(gradient(x)).max()
    if error > _CONVERGED:
        raise ValueError(f"targets are too close to what cannot be met: scaled moments differ by {error:.2g}")
    return x
