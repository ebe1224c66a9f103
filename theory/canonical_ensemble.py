"""The canonical ensemble: thermodynamics of energy levels at an inverse temperature beta (Sec. 2.4).

Level i with energy E_i and degeneracy g_i has the probability of Eq. 2.4.3,

    p_i = g_i exp(-beta E_i) / Z,    Z = sum_i g_i exp(-beta E_i).

`curvezoo.theory.maxent.boltzmann` solves the inverse problem, beta at a given mean energy. Temperatures are
in units of energy (k_B = 1), so that beta = 1 / T, and entropies and heat capacities are in nats; multiply
them by k_B for J/K.

A finite list of levels has a partition function at every beta, also at negative ones, at which it is
inverted. A list that truncates an infinite spectrum represents it only where the last levels are empty.

Every sum is relative to the most probable level. No Boltzmann factor overflows, and the entropy and the heat
capacity keep their relative accuracy where they vanish exponentially.

Legend: N levels; ... the axes of beta.

References:
    Landau and Lifshitz, "Statistical Physics, Part 1" (1980), sections 28 and 31.
    Ramsey, "Thermodynamics and statistical mechanics at negative absolute temperatures" (1956), Physical
    Review 103, 20-28.
"""

from dataclasses import dataclass

import numpy as np

from .. import arguments


@dataclass(frozen=True)
class CanonicalEnsemble:
    """The thermodynamics of energy levels at inverse temperatures beta, [...].

    Args:
        probabilities: Probability p_i of each level, with all its states, [..., N].
        log_partition_function: log Z, [...].
        free_energy: F = -log Z / beta = <E> - S / beta, [...], in units of the energies. At beta = 0 it is
            minus infinity, the limit from positive temperatures, for more than one state.
        mean_energy: <E> = -d log Z / d beta, [...].
        energy_variance: Var E = d^2 log Z / d beta^2, [...].
        entropy: S = log Z + beta <E> = -sum_i p_i log(p_i / g_i), [...], in nats.
        heat_capacity: C = d<E> / dT = beta^2 Var E, [...], in nats.
    """

    probabilities: np.ndarray
    log_partition_function: np.ndarray
    free_energy: np.ndarray
    mean_energy: np.ndarray
    energy_variance: np.ndarray
    entropy: np.ndarray
    heat_capacity: np.ndarray


def canonical_ensemble(energies, beta, degeneracies=None):
    """Returns the thermodynamic functions of energy levels at an inverse temperature.

    Args:
        energies: Energies E_i of the levels, [N], in any order.
        beta: Inverse temperature 1 / T, in inverse units of the energies, a number or an array [...]. It may
            be negative or zero.
        degeneracies: Number g_i of states of each level, [N], or any positive weights; `None` for ones. The
            entropy may be negative if there are weights below 1.

    Returns:
        A `CanonicalEnsemble`. The relative error is about 1e-14 for probabilities, entropy and heat capacity,
        and for the other fields relative to the largest term, such as beta times an energy in log Z. A value
        above 1.8e308 is infinite.

    Raises:
        ValueError: If an argument is not finite or has the wrong shape, a degeneracy is not positive, or the
            distance between two energies is above 1.8e308.

    Example:
        >>> spin = canonical_ensemble([-1.0, 1.0], beta=0.5)  # a spin in a field
        >>> print(round(float(spin.mean_energy), 6))  # -tanh(1 / 2)
        -0.462117
    """
    energies, beta = arguments.finite("energies", energies, 1), arguments.finite("beta", beta)
    if not energies.size:
        raise ValueError("energies must contain at least one level, got none")
    degeneracies = np.ones_like(energies) if degeneracies is None else degeneracies
    degeneracies = arguments.positive("degeneracies", degeneracies, 1)
    arguments.same_shape(energies=energies, degeneracies=degeneracies)
    total = arguments.finite("the sum of degeneracies", _sum(degeneracies))
    with np.errstate(over="ignore"):
        arguments.finite("the difference of the largest and the smallest energy", np.ptp(energies))
        return _ensemble(energies, beta, degeneracies, np.log(total))


def _ensemble(energies, beta, degeneracies, log_total):
    weights, distances, log_sum, base = _relative_to_the_likeliest(energies, beta, degeneracies)
    p = weights / weights.sum(axis=-1, keepdims=True)
    scaled = np.multiply(beta[..., None], distances, out=np.zeros_like(p), where=p > 0)
    mean_distance = (p * distances).sum(axis=-1)
    # In units of their range, the squares of the energies neither overflow nor underflow.
    unit = np.ptp(energies) or 1.0
    return CanonicalEnsemble(
        probabilities=p,
        log_partition_function=log_sum - beta * base,
        free_energy=_free_energy(log_sum, base, beta, log_total, base + mean_distance),
        mean_energy=base + mean_distance,
        energy_variance=(np.sqrt(_variance(p, distances / unit)) * unit) ** 2,
        entropy=log_sum + (p * scaled).sum(axis=-1),
        heat_capacity=_variance(p, scaled),
    )


def _sum(degeneracies):
    with np.errstate(over="ignore"):
        return degeneracies.sum()


def _relative_to_the_likeliest(energies, beta, degeneracies):
    """Returns quantities relative to the most probable level *, whose energy is the `base` [...].

    These are the weights p_i / p_*, [..., N], the energies E_i - E_*, [..., N], and the logarithm of
    sum_i g_i exp(-beta (E_i - E_*)), [...].
    """
    ground = np.where(beta >= 0, energies.min(), energies.max())[..., None]
    log_weights = np.log(degeneracies) - beta[..., None] * (energies - ground)
    likeliest = log_weights.argmax(axis=-1)[..., None]
    base = energies[likeliest[..., 0]]
    distances = energies - base[..., None]
    # The ratio of two degeneracies may overflow, but not that of their mantissas.
    mantissas, exponents = np.frexp(degeneracies)
    log_ratios = np.log(mantissas / mantissas[likeliest]) + np.log(2) * (exponents - exponents[likeliest])
    weights = np.exp(log_ratios - beta[..., None] * distances)
    others = np.where(np.arange(energies.size) == likeliest, 0.0, weights).sum(axis=-1)
    return weights, distances, np.log(degeneracies[likeliest[..., 0]]) + np.log1p(others), base


def _free_energy(log_sum, base, beta, log_total, mean_energy):
    """Returns -log Z / beta. At beta = 0 its limit is <E> for one state and infinite otherwise."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        limit = mean_energy if log_total == 0 else np.full_like(base, -np.inf * np.sign(log_total))
        return np.where(beta == 0, limit, base - log_sum / beta)[()]


def _variance(p, x):
    mean = (p * x).sum(axis=-1, keepdims=True)
    return (p * (x - mean) ** 2).sum(axis=-1)
