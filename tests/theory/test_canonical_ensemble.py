"""Oracles: the two-level system, the oscillator, the rotor's sums in exact arithmetic, and identities."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.special import softmax

from curvezoo.theory import information, maxent
from curvezoo.theory.canonical_ensemble import canonical_ensemble

ROTOR = np.arange(40) * np.arange(1, 41.0), 2 * np.arange(40) + 1.0


@pytest.mark.parametrize("beta", [-30.0, -0.7, 1e-9, 0.3, 5.0, 300.0])
def test_a_spin_has_its_closed_forms_at_either_sign_of_beta(beta):
    spin = canonical_ensemble([-1.0, 1.0], beta)
    assert spin.log_partition_function == pytest.approx(np.logaddexp(beta, -beta), rel=1e-14)
    assert spin.mean_energy == pytest.approx(-np.tanh(beta), rel=1e-13, abs=1e-15)
    assert spin.free_energy == pytest.approx(-np.logaddexp(beta, -beta) / beta, rel=1e-14)
    # cosh^-2 in a form that does not overflow.
    sech2 = 4 * np.exp(-2 * abs(beta)) / (1 + np.exp(-2 * abs(beta))) ** 2
    assert spin.energy_variance == pytest.approx(sech2, rel=1e-12)
    assert spin.heat_capacity == pytest.approx(beta**2 * sech2, rel=1e-12)


def test_the_exponentially_small_entropy_of_a_cold_level_keeps_its_digits():
    # S = log(1 + e^-x) + x / (1 + e^x), which log Z + beta <E> loses at a large ground-state energy.
    x = np.array([1.0, 40.0, 300.0, 700.0])
    cold = canonical_ensemble([1e6, 1e6 + 1], x)
    np.testing.assert_allclose(cold.entropy, np.log1p(np.exp(-x)) + x / (1 + np.exp(x)), rtol=1e-13)
    np.testing.assert_allclose(cold.heat_capacity, x**2 * np.exp(-x) / (1 + np.exp(-x)) ** 2, rtol=1e-13)


def test_an_oscillator_follows_planck_and_its_heat_capacity_einstein():
    beta = np.array([[0.5, 1.0], [2.0, 8.0]])
    oscillator = canonical_ensemble(np.arange(200) + 0.5, beta)
    occupation = 1 / np.expm1(beta)
    np.testing.assert_allclose(oscillator.mean_energy, occupation + 0.5, rtol=1e-13)
    np.testing.assert_allclose(oscillator.log_partition_function, -np.log(2 * np.sinh(beta / 2)), rtol=1e-13)
    np.testing.assert_allclose(oscillator.heat_capacity, beta**2 * occupation * (occupation + 1), rtol=1e-12)
    assert oscillator.probabilities.shape == (2, 2, 200)


def test_degeneracies_count_states_and_match_exact_sums():
    energies, degeneracies = ROTOR
    rotor = canonical_ensemble(energies, np.log(2) / 2, degeneracies)
    # exp(-beta E) = 2^(-E / 2) is rational, because l (l + 1) is even.
    weights = [Fraction(int(g), 2 ** int(e / 2)) for e, g in zip(energies, degeneracies, strict=True)]
    z = sum(weights)
    mean = sum(w * int(e) for w, e in zip(weights, energies, strict=True)) / z
    variance = sum(w * (int(e) - mean) ** 2 for w, e in zip(weights, energies, strict=True)) / z
    assert rotor.log_partition_function == pytest.approx(np.log(float(z)), rel=1e-14)
    assert rotor.mean_energy == pytest.approx(float(mean), rel=1e-14)
    assert rotor.energy_variance == pytest.approx(float(variance), rel=1e-13)
    np.testing.assert_allclose(rotor.probabilities, [float(w / z) for w in weights], rtol=1e-13)
    # A level of g states is g levels of one state.
    states = canonical_ensemble(np.repeat(energies, degeneracies.astype(int)), np.log(2) / 2)
    assert rotor.entropy == pytest.approx(information.entropy(states.probabilities), rel=1e-13)
    assert rotor.heat_capacity == pytest.approx(float(states.heat_capacity), rel=1e-13)


@pytest.mark.parametrize("beta", [-0.4, 0.02, 0.3])
def test_the_functions_are_derivatives_of_log_z_and_of_the_mean_energy(beta):
    step = 1e-4 * np.array([-2, -1, 1, 2])
    near, here = canonical_ensemble(*_swapped(beta + step)), canonical_ensemble(*_swapped(beta))
    slope = np.array([1, -8, 8, -1]) / 12e-4
    assert -slope @ near.log_partition_function == pytest.approx(here.mean_energy, rel=1e-9)
    assert -slope @ near.mean_energy == pytest.approx(here.energy_variance, rel=1e-9)
    assert here.heat_capacity == pytest.approx(beta**2 * here.energy_variance, rel=1e-13)
    assert here.free_energy == pytest.approx(here.mean_energy - here.entropy / beta, rel=1e-13)
    # S = -dF/dT = beta^2 dF/dbeta.
    assert beta**2 * slope @ near.free_energy == pytest.approx(here.entropy, rel=1e-8)


def _swapped(beta):
    energies, degeneracies = ROTOR
    return energies[:8], beta, degeneracies[:8]


def test_a_shift_of_the_energies_shifts_only_energies():
    energies, beta, degeneracies = _swapped(np.array([-0.3, 0.2, 4.0]))
    plain, shifted = (canonical_ensemble(energies + e, beta, degeneracies) for e in (0.0, -4096.0))
    for name in ("probabilities", "entropy", "heat_capacity", "energy_variance"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(shifted, name))
    np.testing.assert_allclose(plain.free_energy - 4096, shifted.free_energy, rtol=1e-15)


def test_huge_energies_and_temperatures_neither_overflow_nor_lose_the_ground_state():
    for beta, ground in ((1e300, 2.0), (-1e300, 4.0)):
        extreme = canonical_ensemble([-1e300, 0.0, 1e300], beta, [2, 3, 4])
        assert extreme.entropy == np.log(ground)
        assert extreme.heat_capacity == extreme.energy_variance == 0
        assert extreme.probabilities.sum() == 1
    # Here a level of many states wins although its Boltzmann factor is e^-600.
    many = canonical_ensemble([0.0, 600.0], 1.0, [1.0, 1e300])
    assert many.log_partition_function == pytest.approx(300 * np.log(10) - 600, rel=1e-13)
    assert many.mean_energy == pytest.approx(600, rel=1e-13)


def test_weights_may_differ_by_more_than_the_largest_number():
    # log Z = log(1e-200 + e^-1000 1e200), of which the first term is e^80 times the second.
    spread = canonical_ensemble([0.0, 1000.0], [1.0, 0.9], [1e-200, 1e200])
    logs = 200 * np.log(10) * np.array([[-1, 1]]) - np.array([[0, 1000], [0, 900]])
    np.testing.assert_allclose(spread.log_partition_function, np.logaddexp(*logs.T), rtol=1e-13)
    np.testing.assert_allclose(spread.probabilities, softmax(logs, axis=-1), rtol=1e-11)


def test_infinite_temperature_has_equal_states_and_an_infinite_free_energy():
    hot = canonical_ensemble([0.0, 1.0], [0.0, 1e-12], [1, 3])
    assert hot.entropy[0] == pytest.approx(np.log(4), rel=1e-15)
    assert hot.mean_energy[0] == 0.75
    assert hot.heat_capacity[0] == 0
    assert hot.free_energy[0] == -np.inf
    assert hot.free_energy[1] == pytest.approx(-np.log(4) * 1e12, rel=1e-11)
    # For weights with sum one, F = <E> - beta Var E / 2 + ... has a finite limit.
    assert canonical_ensemble([0.0, 1.0], 0.0, [0.25, 0.75]).free_energy == 0.75


def test_the_ensemble_inverts_the_maximum_entropy_distribution():
    energies = np.array([-1.0, 0.3, 0.7, 2.0])
    result = maxent.boltzmann(energies, 0.1)
    ensemble = canonical_ensemble(energies, result.multipliers[0])
    assert ensemble.mean_energy == pytest.approx(0.1, abs=1e-9)
    assert ensemble.entropy == pytest.approx(result.entropy, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 1.0), "energies must contain at least one level, got none"),
        (([0.0, np.inf], 1.0), r"energies\[1\] must be finite"),
        (([[0.0]], 1.0), "energies must have 1 axis"),
        (([0.0], np.inf), "beta must be finite"),
        (([0.0, 1.0], 1.0, [1.0, 0.0]), r"degeneracies\[1\] must be positive, got 0"),
        (([0.0, 1.0], 1.0, [1.0]), "energies and degeneracies must have the same shape"),
        (([0.0, 1.0], 1.0, [1e308, 1e308]), "the sum of degeneracies must be finite"),
        (([-1e308, 1e308], 1.0), "the difference of the largest and the smallest energy must be finite"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(arguments, message):
    with pytest.raises(ValueError, match=message):
        canonical_ensemble(*arguments)
