"""Oracles: closed forms of spheres, hyperbolic spaces, flat metrics, surfaces of revolution and products."""

import numpy as np
import pytest

from curvezoo.theory import families, fisher, geometry
from curvezoo.theory.riemannian_curvature import ricci_tensor, riemann_tensor, scalar_curvature


@pytest.mark.parametrize("theta", [(0.0, 1.0), (3.0, 1e-3), (-1e4, 50.0), (0.0, 1e100)])
def test_the_gaussian_family_has_curvature_minus_one(theta):
    assert scalar_curvature(families.gaussian, theta) == pytest.approx(-1, abs=1e-7)
    # It does not depend on the parameters of the family.
    mean, sigma = theta
    if sigma < 1e50:
        variance = scalar_curvature(families.gaussian_variance, (mean, sigma**2))
        assert variance == pytest.approx(-1, abs=1e-7)


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ((0.3,), 0.0),
        ((0.2, 0.5), 0.5),
        ((0.1, 0.2, 0.3), 1.5),
        ((1e-5, 0.4), 0.5),
        ((0.1, 0.2, 0.3, 0.1), 3.0),
    ],
)
def test_categorical_families_are_spheres_of_radius_two(p, expected):
    assert scalar_curvature(families.categorical, p) == pytest.approx(expected, abs=1e-6)


def test_gaussians_of_equal_width_in_two_dimensions_are_a_hyperbolic_space():
    def metric(theta):
        return np.diag([1.0, 1.0, 4.0]) / theta[2] ** 2

    theta = np.array([0.5, -2.0, 0.7])
    assert scalar_curvature(metric, theta) == pytest.approx(-3 / 2, abs=1e-8)
    # A space of constant curvature K has R_klij = K (F_ki F_lj - F_kj F_li) and R_lj = (n - 1) K F_lj.
    f, k = metric(theta), -1 / 4
    expected = k * (np.einsum("ki,lj->klij", f, f) - np.einsum("kj,li->klij", f, f))
    np.testing.assert_allclose(riemann_tensor(metric, theta), expected, atol=1e-7)
    np.testing.assert_allclose(ricci_tensor(metric, theta), 2 * k * f, atol=1e-7)


def test_a_space_of_varying_curvature_has_its_closed_form_at_each_point():
    # A surface of revolution dr^2 + f(r)^2 dphi^2 has K = -f'' / f.
    def metric(theta):
        return np.diag([1.0, (2 + np.sin(theta[0])) ** 2])

    for r in (-1.0, 0.4, 2.0):
        expected = 2 * np.sin(r) / (2 + np.sin(r))
        assert scalar_curvature(metric, (r, 5.0)) == pytest.approx(expected, abs=1e-8)
        tensor = riemann_tensor(metric, (r, 5.0))
        assert tensor[0, 1, 0, 1] == pytest.approx(expected / 2 * (2 + np.sin(r)) ** 2, abs=1e-7)
        np.testing.assert_allclose(tensor, -np.swapaxes(tensor, 0, 1), atol=1e-10)
        np.testing.assert_allclose(tensor, np.moveaxis(tensor, (0, 1), (2, 3)), atol=1e-10)


def test_the_tensor_is_the_derivative_of_the_christoffel_symbols():
    def metric(theta):
        x, y = theta
        return np.array([[2 + np.sin(x * y), 0.3 * y], [0.3 * y, 1 + x**2]])

    theta = np.array([0.4, 0.7])
    symbols, step = geometry.christoffel(metric, theta), 1e-3
    slopes = np.stack(
        [
            (geometry.christoffel(metric, theta + e) - geometry.christoffel(metric, theta - e)) / (2 * step)
            for e in step * np.eye(2)
        ],
        axis=-1,
    )
    # R^k_lij = d_i Gamma^k_lj - d_j Gamma^k_li + Gamma^k_mi Gamma^m_lj - Gamma^k_mj Gamma^m_li.
    half = np.einsum("klji->klij", slopes) + np.einsum("kmi,mlj->klij", symbols, symbols)
    expected = np.einsum("km,mlij->klij", metric(theta), half - np.swapaxes(half, 2, 3))
    np.testing.assert_allclose(riemann_tensor(metric, theta), expected, atol=1e-5)


def test_flat_metrics_have_no_curvature_in_curved_coordinates():
    def polar(theta):
        return np.diag([1.0, theta[0] ** 2])

    assert scalar_curvature(polar, (2.0, 0.3)) == pytest.approx(0, abs=1e-8)
    constant = scalar_curvature(lambda theta: np.array([[2.0, 0.5], [0.5, 3.0]]), (1.0, 1.0))
    assert constant == pytest.approx(0, abs=1e-15)
    assert scalar_curvature(families.poisson, [3.0]) == 0

    # Rates and counts of independent processes: dr^2 / r for each.
    def independent(theta):
        return np.diag(1 / np.asarray(theta))

    assert scalar_curvature(independent, (1e-3, 2.0, 500.0)) == pytest.approx(0, abs=1e-8)


def test_products_of_families_add_their_curvatures_and_examples_divide_them():
    def both(theta):
        blocks = np.zeros((3, 3))
        blocks[:2, :2], blocks[2:, 2:] = families.gaussian(theta[:2]), families.poisson(theta[2:])
        return blocks

    assert scalar_curvature(both, (1.0, 2.0, 5.0)) == pytest.approx(-1, abs=1e-8)
    for count in (1e-6, 100.0, 1e8):
        many = scalar_curvature(lambda theta, n=count: n * families.gaussian(theta), (0.0, 1.0))
        assert many * count == pytest.approx(-1, abs=1e-6)


def test_a_fisher_matrix_by_quadrature_has_the_curvature_of_its_family():
    def log_density(x, theta):
        return -(((x - theta[0]) / theta[1]) ** 2) / 2 - np.log(theta[1]) - np.log(2 * np.pi) / 2

    def metric(theta):
        return fisher.by_quadrature(log_density, theta)

    assert scalar_curvature(metric, (0.3, 1.2)) == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "theta", "message"),
    [
        (families.gaussian, (0.0, -1.0), r"theta\[1\] must be from 1e-150"),
        (
            lambda theta: np.zeros((2, 2)),
            (0.0, 1.0),
            r"metric\(theta=\[0.0, 1.0\]\) must be positive definite",
        ),
        (lambda theta: np.eye(3), (0.0, 1.0), r"metric.* must have shape \(2, 2\), got \(3, 3\)"),
        (
            lambda theta: np.diag([1.0, 1 + abs(theta[0])]),
            (0.0, 1.0),
            "metric must be finite and smooth near",
        ),
        # So close to the boundary, 0.5 is the difference of numbers of 1e9.
        (families.categorical, (1e-9, 0.4), "metric must be finite and smooth near"),
        (families.gaussian, 1.0, "theta must have 1 axis"),
        (families.gaussian, (np.nan, 1.0), r"theta\[0\] must be finite"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(metric, theta, message):
    for function in (scalar_curvature, ricci_tensor, riemann_tensor):
        with pytest.raises(ValueError, match=message):
            function(metric, theta)
