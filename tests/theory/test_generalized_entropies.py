"""Oracles: exact sums of fractions, limits, majorization, and partial traces of known states."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from curvezoo.theory import information
from curvezoo.theory.generalized_entropies import renyi, spectrum, tsallis, von_neumann

P = np.array([0.5, 0.25, 0.125, 0.125, 0.0])
ORDERS = [0, 1e-9, 0.3, 1 - 1e-9, 1, 1 + 1e-9, 2, 7, 1e6, math.inf]


@pytest.mark.parametrize("order", [2, 3, 5])
def test_integer_orders_match_exact_sums(order):
    total = sum(Fraction(p) ** order for p in P.tolist())
    assert renyi(P, order) == pytest.approx(math.log(total) / (1 - order), rel=1e-14)
    assert renyi(P, order, base=2) == pytest.approx(math.log2(total) / (1 - order), rel=1e-14)
    assert tsallis(P, order) == pytest.approx(float((1 - total) / (order - 1)), rel=1e-14)


def test_the_limits_are_exact():
    assert renyi(P, 0) == np.log(4)
    assert renyi(P, 1) == information.entropy(P)
    assert renyi(P, math.inf) == np.log(2)
    assert tsallis(P, 0) == 3
    assert tsallis(P, 1) == information.entropy(P)
    assert tsallis(P, math.inf) == 0


@pytest.mark.parametrize("gap", [1e-3, 1e-7, 1e-11, -1e-5, -1e-12])
def test_near_order_one_the_entropies_follow_their_expansion(gap):
    # R = S - gap Var(log p) / 2 + ... and T = S - gap <log^2 p> / 2 + ...
    log_p = np.log(P[:4])
    s, second = -P[:4] @ log_p, P[:4] @ log_p**2
    assert renyi(P, 1 + gap) == pytest.approx(s - gap * (second - s**2) / 2, abs=1e-15 + gap**2)
    assert tsallis(P, 1 + gap) == pytest.approx(s - gap * second / 2, abs=1e-15 + gap**2)


def test_large_and_small_orders_approach_their_limits():
    assert renyi(P, 1e6) == pytest.approx(np.log(2) * (1 + 1e-6), rel=1e-12)
    assert renyi(P, 1e-12) == pytest.approx(np.log(4), abs=1e-11)
    # An improbable outcome counts fully at order zero, and p^order neither underflows nor overflows.
    rare = [1 - 5e-324, 5e-324]
    assert renyi(rare, 1e-4) == pytest.approx(np.log1p(5e-324**1e-4), rel=1e-3)
    assert tsallis(rare, 1e-4) == pytest.approx(5e-324**1e-4, rel=1e-3)
    assert renyi(rare, 1000) == 0


def test_renyi_entropies_decrease_with_the_order_and_both_agree():
    values = [renyi(P, order) for order in ORDERS]
    assert all(a >= b - 1e-14 for a, b in pairwise(values))
    for order in (0.3, 0.999, 1.5, 4.0):
        # T = (exp((1 - q) R) - 1) / (1 - q).
        expected = np.expm1((1 - order) * renyi(P, order)) / (1 - order)
        assert tsallis(P, order) == pytest.approx(expected, rel=1e-12)
    for order in ORDERS:
        assert renyi(np.full(8, 1 / 8), order) == pytest.approx(np.log(8), rel=1e-13)
        assert renyi([0.0, 1.0], order) == tsallis([0.0, 1.0], order) == 0


@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 2.0, math.inf])
def test_entropies_of_independent_variables_add_up_by_their_rules(order):
    x, y = np.array([0.2, 0.8]), np.array([0.5, 0.3, 0.2])
    joint = np.outer(x, y)
    assert renyi(joint, order, axis=None) == pytest.approx(renyi(x, order) + renyi(y, order), rel=1e-13)
    if order < math.inf:
        a, b = tsallis(x, order), tsallis(y, order)
        assert tsallis(joint, order, axis=None) == pytest.approx(a + b + (1 - order) * a * b, rel=1e-13)


def test_axes_are_as_in_information():
    table = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 3))
    for function in (renyi, tsallis):
        values = function(table, 2.0)
        assert values.shape == (2, 3)
        assert values[1, 2] == pytest.approx(function(table[1, 2], 2.0), rel=1e-14)
        np.testing.assert_allclose(function(np.moveaxis(table, -1, 0), 2.0, axis=0), values, rtol=1e-14)


def test_a_bell_state_is_pure_and_each_half_is_fully_mixed():
    bell = np.array([1, 0, 0, 1j]) / np.sqrt(2)
    rho = np.outer(bell, bell.conj())
    half = np.trace(rho.reshape(2, 2, 2, 2), axis1=1, axis2=3)
    assert von_neumann(rho) == pytest.approx(0, abs=1e-14)
    assert von_neumann(half, base=2) == pytest.approx(1, abs=1e-14)


def test_rounding_errors_of_zero_eigenvalues_do_not_count_as_states():
    rng = np.random.default_rng(2)
    for rank in (1, 2, 3):
        states = np.linalg.qr(rng.normal(size=(8, rank)) + 1j * rng.normal(size=(8, rank)))[0]
        rho = states @ states.conj().T / rank
        assert renyi(spectrum(rho), 0) == np.log(rank)
        assert von_neumann(rho) == pytest.approx(np.log(rank), abs=1e-14)


def test_an_eigenvalue_of_at_least_the_rounding_error_is_a_state():
    bound = 2 * np.finfo(float).eps
    for eigenvalue, rank in [(bound, 2), (np.nextafter(bound, 0), 1)]:
        assert np.count_nonzero(spectrum(np.diag([eigenvalue, 1.0]))) == rank


def test_von_neumanns_entropy_is_shannons_in_any_basis():
    rng = np.random.default_rng(1)
    unitary = np.linalg.qr(rng.normal(size=(5, 5)) + 1j * rng.normal(size=(5, 5)))[0]
    rho = unitary @ np.diag(P) @ unitary.conj().T
    np.testing.assert_allclose(spectrum(rho), np.sort(P), atol=1e-15)
    assert von_neumann(rho) == pytest.approx(information.entropy(P), rel=1e-13)
    assert von_neumann(rho.astype(np.complex64)) == pytest.approx(information.entropy(P), abs=1e-5)
    assert renyi(spectrum(rho), 2) == pytest.approx(-np.log(np.trace(rho @ rho).real), rel=1e-13)
    # A qubit with Bloch vector r has the eigenvalues (1 +- r) / 2.
    qubit = np.array([[1.48, 0.36 - 0.48j], [0.36 + 0.48j, 0.52]]) / 2
    r = np.sqrt(0.48**2 + 0.36**2 + 0.48**2)
    assert von_neumann(qubit) == pytest.approx(information.entropy([(1 - r) / 2, (1 + r) / 2]), rel=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: renyi([0.5, 0.6], 2), "p must sum to 1"),
        (lambda: renyi([0.5, 0.5], -1), "order must be a number of at least 0 or infinity, got -1"),
        (lambda: renyi([0.5, 0.5], math.nan), "order must be a number of at least 0 or infinity, got nan"),
        (lambda: tsallis([0.5, 0.5], True), "order must be a number of at least 0 or infinity, got True"),
        (lambda: renyi([0.5, 0.5], 2, base=1), "base must be above 1"),
        (lambda: von_neumann([[0.5, 0.1], [0.2, 0.5]]), r"density_matrix must be Hermitian.*\[0, 1\]"),
        (lambda: von_neumann([[0.5, 0.1j], [0.1j, 0.5]]), "density_matrix must be Hermitian"),
        (lambda: von_neumann([[0.5, 0], [0, 0.6]]), "density_matrix must have trace 1, got 1.1"),
        (lambda: von_neumann([[0.5, 0.6], [0.6, 0.5]]), "density_matrix must have no negative .*, got -0.1"),
        (lambda: von_neumann([0.5, 0.5]), r"density_matrix must be a square matrix, got shape \(2,\)"),
        (lambda: von_neumann([[np.nan]]), r"density_matrix\[0, 0\] must be finite, got nan"),
        (lambda: von_neumann([[1], [0, 1]]), "density_matrix must hold real or complex numbers"),
        (lambda: von_neumann("rho"), "density_matrix must hold real or complex numbers"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
