"""Oracles: numpy.linalg.eigvalsh on Wishart matrices, and spectra known by construction."""

import numpy as np
import pytest
import scipy.sparse.linalg

from curvezoo.optimizers.curvature import lanczos
from curvezoo.optimizers.curvature.lanczos import SpectralDensity, lanczos_spectrum, spectral_density


def wishart(n, samples, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, samples))
    return x @ x.T / samples


def with_spectrum(values, seed=0):
    n = len(values)
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    return (q * values) @ q.T


@pytest.mark.parametrize("samples", [30, 200])
def test_all_steps_give_all_eigenvalues_of_a_wishart_matrix(samples):
    # With 30 samples half of the eigenvalues are zero.
    matrix = wishart(60, samples)
    spectrum = lanczos_spectrum(matrix, steps=60)
    np.testing.assert_allclose(spectrum.values, np.linalg.eigvalsh(matrix)[::-1], atol=1e-11)
    assert spectrum.bounds.max() < 1e-8


def test_extreme_eigenvalues_converge_first_and_bounds_are_the_residuals(monkeypatch):
    # The last chunk is shorter.
    monkeypatch.setattr(lanczos, "CHUNK", 64)
    matrix = wishart(200, 300)
    exact = np.linalg.eigvalsh(matrix)
    spectrum = lanczos_spectrum(matrix, steps=40)
    residuals = np.linalg.norm(matrix @ spectrum.vectors - spectrum.vectors * spectrum.values, axis=0)
    np.testing.assert_allclose(spectrum.bounds, residuals, atol=1e-12)
    distances = np.abs(exact[:, None] - spectrum.values).min(axis=0)
    assert (distances <= spectrum.bounds + 1e-12).all()
    assert abs(spectrum.values[0] / exact[-1] - 1) < 1e-8
    np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(40), atol=1e-12)


def test_ritz_values_lie_inside_the_spectrum_and_grow_with_the_steps():
    matrix = wishart(50, 60)
    exact = np.linalg.eigvalsh(matrix)
    largest = [lanczos_spectrum(matrix, steps=m).values[0] for m in (1, 2, 5, 10, 20)]
    assert largest == sorted(largest)
    assert exact[0] - 1e-12 <= largest[0] and largest[-1] <= exact[-1] + 1e-12


def test_simple_eigenvalues_do_not_appear_twice():
    # Without reorthogonalization a copy of the isolated largest eigenvalue appears within 60 steps.
    values = np.r_[np.linspace(0, 1, 299), 100.0]
    spectrum = lanczos_spectrum(with_spectrum(values), steps=100)
    assert spectrum.values[0] == pytest.approx(100, rel=1e-12)
    assert spectrum.values[1] <= 1 + 1e-9


@pytest.mark.parametrize(
    "values", [np.zeros(6), np.ones(6), np.r_[3.0, 3, 3, 1, 1, 0], np.r_[-2.0, -2, 0, 0, 5, 5], np.r_[4.0]]
)
def test_a_degenerate_spectrum_is_found_with_its_multiplicities(values):
    spectrum = lanczos_spectrum(with_spectrum(values), steps=10)
    np.testing.assert_allclose(spectrum.values, np.sort(values)[::-1], atol=1e-12)
    assert spectrum.steps == len(values)


@pytest.mark.parametrize("scale", [1.0, 2.0**20])
def test_ritz_vectors_stay_orthonormal_through_restarts_from_random_vectors(scale):
    # Of a random vector, little may be left after the projection; a second one removes its rounding errors.
    spectrum = lanczos_spectrum(scale * np.diag([*np.ones(197), 2.0, 3.0, 4.0]), steps=200)
    np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(200), atol=2e-14)


def test_the_start_may_be_an_eigenvector():
    spectrum = lanczos_spectrum(np.diag([1.0, 2.0, 3.0]), steps=1, start=[0.0, 1.0, 0.0])
    assert spectrum.values == pytest.approx([2.0], abs=1e-15) and spectrum.bounds == [0.0]


def test_functions_arrays_and_operators_give_the_same_spectrum():
    matrix = wishart(20, 30)
    expected = lanczos_spectrum(matrix, steps=8)
    operator = scipy.sparse.linalg.aslinearoperator(matrix)
    for other in (
        lanczos_spectrum(operator, steps=8),
        lanczos_spectrum(lambda v: matrix @ v, steps=8, dimension=20),
    ):
        np.testing.assert_allclose(other.values, expected.values, atol=1e-13)


def test_quadrature_has_the_moments_of_each_probe_exactly():
    matrix, n, m = wishart(40, 50), 40, 6
    density = spectral_density(matrix, steps=m, probes=3, seed=5)
    rng = np.random.default_rng(5)
    probes = [rng.choice([-1.0, 1.0], size=n) for _ in range(3)]
    for order in range(2 * m):
        exact = np.mean([v @ np.linalg.matrix_power(matrix, order) @ v for v in probes]) / n
        assert density.moment(order) == pytest.approx(exact, rel=1e-11)


def test_the_density_of_a_diagonal_matrix_has_the_exact_moments():
    # With entries of -1 and 1, v^T f(D) v = tr f(D) for a diagonal matrix D.
    values = np.random.default_rng(2).normal(size=100)
    density = spectral_density(np.diag(values), steps=8, probes=1)
    for order in range(16):
        assert density.moment(order) == pytest.approx(np.mean(values**order), rel=1e-10, abs=1e-12)


def test_the_moments_of_many_probes_are_traces_within_their_errors():
    matrix, n, probes = wishart(50, 40), 50, 200
    density = spectral_density(matrix, steps=5, probes=probes)
    for order in (1, 2, 3):
        power = np.linalg.matrix_power(matrix, order)
        error = np.sqrt(2 * (np.sum(power**2) - np.sum(np.diag(power) ** 2)) / probes) / n
        assert abs(density.moment(order) - np.trace(power) / n) < 4 * error


def test_the_density_integrates_to_one_and_has_the_mass_of_an_interval():
    values = np.r_[np.full(30, -1.0), np.full(70, 2.0)]
    density = spectral_density(np.diag(values), steps=20, probes=4)
    grid = np.linspace(-3, 4, 7001)
    curve = density(grid, width=0.1)
    assert np.trapezoid(curve, grid) == pytest.approx(1, abs=1e-10)
    negative = grid < 0
    assert np.trapezoid(curve[negative], grid[negative]) == pytest.approx(0.3, abs=1e-10)
    wide = np.linspace(-10, 10, 20001)
    assert np.trapezoid(density(wide), wide) == pytest.approx(1, abs=1e-10)


def test_a_wishart_matrix_has_the_marchenko_pastur_density():
    # For as many samples as dimensions, 60.9 % of the eigenvalues are below 1 and 81.8 % below 2.
    density = spectral_density(wishart(400, 400), steps=60, probes=5)
    for bound in (1.0, 2.0):
        theta = np.arcsin(np.sqrt(bound) / 2)
        exact = (2 * theta + np.sin(2 * theta)) / np.pi
        fraction = np.sum(density.weights[density.nodes < bound])
        assert fraction == pytest.approx(exact, abs=0.02)


def test_a_zero_matrix_has_all_its_density_at_zero():
    density = spectral_density(np.zeros((5, 5)), steps=3, probes=2)
    assert density.moment(0) == pytest.approx(1, abs=1e-15) and density.moment(1) == 0
    grid = np.linspace(-1, 1, 2001)
    assert np.trapezoid(density(grid), grid) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lanczos_spectrum(np.ones((2, 3))), r"square, of dimension n, got shape \(2, 3\)"),
        (lambda: lanczos_spectrum(np.eye(3), dimension=4), r"of dimension 4, got shape \(3, 3\)"),
        (lambda: lanczos_spectrum(lambda v: v), "dimension must be given"),
        (lambda: lanczos_spectrum(5.0), "matrix must be a square matrix"),
        (lambda: lanczos_spectrum(np.eye(3), steps=0), "steps must be an integer of at least 1"),
        (
            lambda: lanczos_spectrum(np.eye(3), start=np.zeros(3)),
            "start must be a nonzero vector of length 3",
        ),
        (lambda: lanczos_spectrum(np.eye(3), start=np.ones(4)), "start must be a nonzero vector of length 3"),
        (lambda: lanczos_spectrum(np.eye(3) * np.nan), "finite products"),
        (lambda: lanczos_spectrum(lambda v: v[:2], dimension=3), r"products of shape \(3,\)"),
        (lambda: spectral_density(np.eye(3), probes=0), "probes must be an integer of at least 1"),
        (lambda: spectral_density(np.eye(3)).moment(-1), "order must be an integer of at least 0"),
        (lambda: SpectralDensity(np.ones((1, 1)), np.ones((1, 1)))([0.0], width=0), "width must be positive"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
