"""Oracles: closed forms, Jaynes's published die, complex-step derivatives, and entropies of SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.stats import entropy, norm

from curvezoo.theory import maxent

FACES = np.arange(1, 7)
REPEATABLE = settings(max_examples=50, deadline=None, derandomize=True)


def lagrangian(p, beta, nu, energies, mean_energy):
    """Returns Eq. 2.4.1."""
    return -p @ np.log(p) + beta * (mean_energy - p @ energies) + nu * (p.sum() - 1)


def gradient(function, x, step=1e-30):
    """Returns the gradient by complex steps, exact up to rounding."""
    return np.array([function(x + 1j * e).imag / step for e in step * np.eye(len(x))])


@pytest.mark.equation("2.4.1")
@pytest.mark.equation("2.4.2")
def test_boltzmann_factors_make_the_lagrangian_stationary():
    energies, mean_energy = np.array([-1.0, 0.3, 0.7, 2.0]), 0.1
    result = maxent.boltzmann(energies, mean_energy)
    p, beta = result.probabilities, result.multipliers[0]
    nu = 1 - result.entropy + beta * mean_energy
    np.testing.assert_allclose(-np.log(p) - 1 - beta * energies + nu, 0, atol=1e-12)
    numbers = np.append(p, [beta, nu])
    slopes = gradient(lambda v: lagrangian(v[:-2], v[-2], v[-1], energies, mean_energy), numbers)
    np.testing.assert_allclose(slopes, 0, atol=1e-12)


@pytest.mark.equation("2.4.3")
def test_jaynes_loaded_die_has_the_published_probabilities():
    result = maxent.boltzmann(FACES, 4.5)
    published = [0.05435, 0.07877, 0.11416, 0.16545, 0.23977, 0.34749]
    np.testing.assert_allclose(result.probabilities, published, atol=5.1e-6)
    assert result.entropy == pytest.approx(1.61358, abs=5e-6)
    weights = np.exp(-result.multipliers[0] * FACES)
    np.testing.assert_allclose(result.probabilities, weights / weights.sum(), rtol=1e-12)
    assert result.residual < 1e-14


@pytest.mark.equation("2.4.3")
@pytest.mark.parametrize("mean_energy", [1e-12, 1e-6, 0.2, 0.5, 0.9, 1 - 1e-6])
def test_two_levels_have_the_closed_form_for_either_sign_of_beta(mean_energy):
    beta = maxent.boltzmann([0.0, 1.0], mean_energy).multipliers[0]
    assert beta == pytest.approx(np.log((1 - mean_energy) / mean_energy), rel=1e-13, abs=1e-15)


@pytest.mark.equation("2.4.3")
def test_the_oscillator_has_plancks_temperature():
    # Levels above 400 carry less than 1e-70.
    result = maxent.boltzmann(np.arange(400.0), 2.0)
    assert result.multipliers[0] == pytest.approx(np.log(1 + 1 / 2.0), rel=1e-12)


@pytest.mark.equation("2.4.3")
def test_beta_is_the_derivative_of_the_entropy():
    energies, step = np.array([0.0, 1.0, 1.5, 4.0]), 1e-4
    below, above = (maxent.boltzmann(energies, 2.5 + d).entropy for d in (-step, step))
    beta = maxent.boltzmann(energies, 2.5).multipliers[0]
    assert beta < 0
    assert (above - below) / (2 * step) == pytest.approx(beta, rel=1e-6)


def test_beta_is_infinite_at_the_ends_and_degenerate_states_are_equal():
    energies = [2.0, 1.0, 1.0, 3.0]
    ground, top = maxent.boltzmann(energies, 1.0), maxent.boltzmann(energies, 3.0)
    assert (ground.multipliers[0], top.multipliers[0]) == (np.inf, -np.inf)
    np.testing.assert_array_equal(ground.probabilities, [0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(top.probabilities, [0, 0, 0, 1])
    assert ground.entropy == pytest.approx(np.log(2))
    degenerate = maxent.boltzmann([5.0, 5.0], 5.0)
    assert degenerate.multipliers[0] == 0
    assert maxent.boltzmann([5.0], 5.0).probabilities == [1.0]


def test_beta_follows_the_mean_close_to_the_ends():
    for distance in (1e-4, 1e-6, 1e-8):
        # Only the two lowest faces matter, so the mean is 1 + exp(-beta).
        beta = maxent.boltzmann(FACES, 1 + distance).multipliers[0]
        assert beta == pytest.approx(-np.log(distance), rel=1e-4)


def test_a_very_high_level_does_not_count_as_the_end():
    result = maxent.boltzmann([0.0, 1.0, 1e12], 0.5)
    assert result.multipliers[0] == pytest.approx(5.2e-11, rel=1e-3, abs=0)
    assert result.support.all()
    assert result.probabilities @ [0.0, 1.0, 1e12] == pytest.approx(0.5, rel=1e-4)
    near = maxent.maximum_entropy([[0.0], [1.0]], [1e-12], [1.0, 3.0])
    np.testing.assert_allclose(near.probabilities, [1, 1e-12], rtol=1e-11)
    assert near.multipliers[0] == pytest.approx(np.log(3e12), rel=1e-12)


@given(
    st.lists(st.floats(-5, 5), min_size=5, max_size=5, unique=True),
    st.lists(st.floats(0.01, 1), min_size=5, max_size=5),
    st.lists(st.floats(0.1, 4), min_size=5, max_size=5),
)
@REPEATABLE
def test_distributions_with_the_same_moments_have_less_entropy_by_the_divergence(x, other, weights):
    x, other, weights = np.array(x), np.array(other) / np.sum(other), np.array(weights)
    features = np.stack([x, np.abs(x)], axis=1)
    result = maxent.maximum_entropy(features, other @ features, weights)
    np.testing.assert_allclose(result.probabilities @ features, other @ features, atol=1e-7)
    other_entropy = -rel_entr(other, weights).sum()
    divergence = rel_entr(other, result.probabilities).sum()
    assert divergence >= -1e-12
    assert result.entropy - other_entropy == pytest.approx(divergence, abs=1e-6)


def test_redundant_consistent_constraints_have_no_effect():
    redundant = np.stack([FACES, 3.0 * FACES - 2, np.ones(6), np.zeros(6)], axis=1)
    result = maxent.maximum_entropy(redundant, [4.5, 11.5, 1.0, 0.0])
    once = maxent.boltzmann(FACES, 4.5)
    np.testing.assert_allclose(result.probabilities, once.probabilities, rtol=1e-9)
    exponent = redundant @ result.multipliers
    np.testing.assert_allclose(np.diff(exponent), once.multipliers[0], rtol=1e-9)


def test_many_moments_on_a_fine_grid_recover_an_exponential_of_a_polynomial():
    x = np.linspace(-1, 1, 2001)
    widths = maxent.cell_widths(x)
    p = widths * np.exp(-8 * (x**2 - 0.5) ** 2 + x)
    p /= p.sum()
    powers = x[:, None] ** np.arange(1, 9)
    result = maxent.maximum_entropy(powers, p @ powers, widths)
    np.testing.assert_allclose(result.probabilities, p, rtol=1e-8)
    np.testing.assert_allclose(result.multipliers, [-1, -8, 0, 8, 0, 0, 0, 0], atol=1e-6)


def test_targets_on_the_boundary_are_supported_on_a_face():
    square = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.0]])
    edge = maxent.maximum_entropy(square, [0.25, 0.0])
    np.testing.assert_array_equal(edge.support, [True, True, False, False, True])
    # On the edge there are three points 0, 1/2, 1 with mean 1/4: the weights form a geometric sequence.
    on_edge = edge.probabilities[[0, 4, 1]]
    assert on_edge[0] * on_edge[2] == pytest.approx(on_edge[1] ** 2, rel=1e-9)
    assert edge.probabilities @ square[:, 0] == pytest.approx(0.25, abs=1e-12)
    near = maxent.maximum_entropy(square, [0.25, 1e-6])
    assert near.support.all()
    np.testing.assert_allclose(near.probabilities, edge.probabilities, atol=1e-5)
    corner = maxent.maximum_entropy(square, [1.0, 1.0])
    np.testing.assert_array_equal(corner.probabilities, [0, 0, 0, 1, 0])


def test_infeasible_targets_are_named_with_their_feasible_interval():
    features = np.stack([FACES, FACES**2], axis=1)
    with pytest.raises(ValueError, match=r"targets\[0\] must be between 1 and 6, got 7"):
        maxent.maximum_entropy(features, [7, 13])
    # With mean 3.5, the smallest second moment is that of 3 and 4, the largest that of 1 and 6.
    for second in (12.4, 18.6):
        with pytest.raises(ValueError, match=r"targets\[1\] must be between 12.5 and 18.5 given .* got"):
            maxent.maximum_entropy(features, [3.5, second])
    np.testing.assert_allclose(maxent.maximum_entropy(features, [3.5, 12.5]).probabilities[2:4], 0.5)
    with pytest.raises(ValueError, match=r"targets\[1\] must be between 9 and 9 given .* got 9.1"):
        maxent.maximum_entropy(np.stack([FACES, 2 * FACES], axis=1), [4.5, 9.1])
    with pytest.raises(ValueError, match=r"lowest energy 1 and the highest 6, got 6\.5"):
        maxent.boltzmann(FACES, 6.5)


@pytest.mark.equation("2.4.4")
def test_the_zero_point_of_the_energies_normalizes_the_weights():
    p, energies = (
        np.array([[0.1, 0.2, 0.7], [0.0, 0.5, 0.5]]),
        np.array([[1.0, -2.0, 900.0], [3.0, 1.0, -800.0]]),
    )
    result = maxent.reweight(p, energies, beta=0.5)
    np.testing.assert_allclose(np.sum(p * np.exp(-result.energies), axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(result.probabilities.sum(axis=-1), 1, rtol=1e-12)
    shift = result.energies - 0.5 * energies
    np.testing.assert_allclose(shift, shift[:, :1] * np.ones(3), atol=1e-12)


@pytest.mark.equation("2.4.5")
@given(
    st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
    st.lists(st.floats(-20, 20), min_size=4, max_size=4),
)
@REPEATABLE
def test_the_divergence_is_the_mean_energy_in_the_old_distribution(p, energies):
    p, energies = np.array(p) / np.sum(p), np.array(energies)
    result = maxent.reweight(p, energies)
    assert result.divergence == pytest.approx(entropy(p, result.probabilities), abs=1e-10)
    assert result.divergence >= -1e-12
    log_mean = np.log(p @ np.exp(-energies))
    assert p @ energies >= -log_mean - 1e-10


@pytest.mark.equation("2.4.4")
@pytest.mark.parametrize("energy", [-1e4, -800.0, 1e300])
def test_states_of_zero_probability_keep_it_at_any_energy(energy):
    result = maxent.reweight([0.0, 0.25, 0.75], [energy, 0.0, 0.0])
    np.testing.assert_allclose(result.probabilities, [0, 0.25, 0.75], rtol=1e-15)
    assert result.divergence == 0


@pytest.mark.equation("2.4.5")
def test_rounding_does_not_make_the_divergence_negative():
    generator = np.random.default_rng(0)
    p, energies = generator.dirichlet(np.ones(4), 2000), 1e-9 * generator.normal(size=(2000, 4))
    divergence = maxent.reweight(p, energies).divergence
    assert np.all(divergence >= 0)
    np.testing.assert_allclose(divergence, 0, atol=1e-15)


def gaussian_action(p, x, widths, lambdas, nu, mean, second_moment):
    """Returns Eq. 2.4.6 with the constants outside the integral."""
    first, second = widths * p @ x, widths * p @ x**2
    return (
        -widths @ (p * np.log(p))
        + lambdas[0] * (first - mean)
        + lambdas[1] * (second - second_moment)
        + nu * (widths @ p - 1)
    )


@pytest.mark.equation("2.4.6")
@pytest.mark.equation("2.4.7")
def test_the_action_is_stationary_with_the_corrected_sign_and_second_moment():
    mean, variance = 0.7, 1.3
    x = np.linspace(-4, 5, 61)
    widths = maxent.cell_widths(x)
    result = maxent.gaussian(x, mean, variance)
    p, lambdas = result.density, -result.multipliers
    nu = 1 - result.entropy - lambdas @ [mean, mean**2 + variance]
    slopes = gradient(lambda q: gaussian_action(q, x, widths, lambdas, nu, mean, mean**2 + variance), p)
    np.testing.assert_allclose(slopes, 0, atol=1e-12)
    variation = -np.log(p) - 1 + lambdas[0] * x + lambdas[1] * x**2 + nu
    np.testing.assert_allclose(variation, 0, atol=1e-10)
    # The printed log p - 1 + ... would give minus the exponent of Eq. 2.4.8, and is not constant in x.
    printed = np.log(p) - 1 + lambdas[0] * x + lambdas[1] * x**2
    assert np.ptp(printed) > 1
    # The printed constraint <x^2> = sigma^2 would give the variance sigma^2 - mu^2.
    as_printed = maxent.maximum_entropy(np.stack([x, x**2], axis=1), [mean, variance], widths)
    spread = as_printed.probabilities @ x**2 - (as_printed.probabilities @ x) ** 2
    assert spread == pytest.approx(variance - mean**2, rel=1e-9)
    assert p * widths @ (x - mean) ** 2 == pytest.approx(variance, rel=1e-9)


@pytest.mark.equation("2.4.8")
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (-1.5, 0.2), (1e5, 2.0)])
def test_a_fixed_mean_and_variance_give_the_gaussian(mean, variance):
    law = norm(mean, np.sqrt(variance))
    x = np.linspace(mean - 12 * law.std(), mean + 12 * law.std(), 801)
    result = maxent.gaussian(x, mean, variance)
    np.testing.assert_allclose(result.density, law.pdf(x), rtol=1e-6, atol=1e-13)
    # The notes' lambda_1 and lambda_2 are minus the multipliers of x and x^2.
    np.testing.assert_allclose(
        -result.multipliers, [mean / variance, -1 / (2 * variance)], rtol=1e-9, atol=1e-9
    )
    assert result.entropy == pytest.approx(law.entropy(), rel=1e-10)


def test_a_narrow_grid_still_meets_the_moments():
    x = np.linspace(-1, 1, 401)
    result = maxent.gaussian(x, 0.1, 0.5)
    p = result.probabilities
    assert (p @ x, p @ (x - 0.1) ** 2) == pytest.approx((0.1, 0.5), abs=1e-12)
    assert result.multipliers[1] < 0  # The variance is above that of a flat density.


def test_a_fixed_mean_distance_gives_the_two_sided_geometric_law():
    h, scale = 0.1, 0.8
    x = h * np.arange(-400, 401)
    result = maxent.maximum_entropy(np.abs(x)[:, None], [scale])
    # <|x|> = h / sinh(lambda h) on the whole lattice; as h vanishes, lambda is Laplace's 1 / scale.
    assert result.multipliers[0] == pytest.approx(np.arcsinh(h / scale) / h, rel=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: maxent.maximum_entropy([1, 2], [1]), r"features must have 2 axes, got shape \(2,\)"),
        (lambda: maxent.maximum_entropy([[1], [np.nan]], [1]), r"features\[1, 0\] must be finite"),
        (lambda: maxent.maximum_entropy(np.ones((0, 1)), [1]), r"at least one state .* \(0, 1\)"),
        (
            lambda: maxent.maximum_entropy([[1], [2]], [1, 2]),
            "targets must have one entry for each of 1 columns .* 2",
        ),
        (lambda: maxent.maximum_entropy([[1], [2]], [1.5], [1, 0]), r"weights\[1\] must be positive"),
        (
            lambda: maxent.maximum_entropy([[1], [2]], [1.5], [1]),
            "weights must have one entry for each of 2 rows",
        ),
        (lambda: maxent.boltzmann([], 1.0), "energies must contain at least one state"),
        (lambda: maxent.boltzmann([0, 1], np.nan), "mean_energy must be finite"),
        (lambda: maxent.gaussian([0, 1, 1], 0.5, 1), r"grid\[2\] = 1 after 1"),
        (lambda: maxent.gaussian([0], 0.5, 1), "at least 2 points, got 1"),
        (lambda: maxent.gaussian([0, 1, 2], 1, -1), "variance must be positive, got -1"),
        (lambda: maxent.gaussian([0, 1, 2], 1, 1.5), "no density on the grid has mean 1 and variance 1.5"),
        (
            lambda: maxent.gaussian([0, 1, 2], 1, 1e-12),
            r"all of its 3 points, .* variance 1e-12 leave only 1",
        ),
        (lambda: maxent.reweight([0.5, 0.6], [0, 1]), "p must sum to 1, got 1.1"),
        (lambda: maxent.reweight([0.5, 0.5], [0, np.inf]), r"energies\[1\] must be finite"),
        (
            lambda: maxent.reweight([0.5, 0.5], [0, 1e200], 1e200),
            r"beta \* energies\[1\] must be finite, got inf",
        ),
        (lambda: maxent.reweight([0.5, 0.5], [1e308, -1e308]), r"from their zero point\[0\] must be finite"),
        (lambda: maxent.reweight([0.5, 0.5], [0, 1, 2]), r"same shape, got \(2,\) and \(3,\)"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_beta_is_the_multiplier_of_a_single_constraint():
    result = maxent.boltzmann(FACES, 4.5)
    assert result.beta == result.multipliers[0] < 0
    weights = np.exp(-result.beta * FACES)
    np.testing.assert_allclose(result.probabilities, weights / weights.sum(), rtol=1e-10)
    two = maxent.maximum_entropy(np.stack([FACES, FACES**2], axis=1), [3.5, 14.0])
    with pytest.raises(ValueError, match="beta needs a single constraint, got 2"):
        _ = two.beta
