"""Oracles: numpy.linalg.solve, scipy.optimize, scipy.sparse.linalg.cg and the orthogonality relations."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from curvezoo.theory import conjugate_directions as cd

runs = settings(max_examples=80, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)
sizes = st.integers(1, 8)


def quadratic(seed, dimension, condition=100.0):
    """Returns a random Hessian with eigenvalues from 1 to the condition number, and a random gradient."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]
    eigenvalues = np.geomspace(1, condition, dimension)
    return basis * eigenvalues @ basis.T, rng.normal(size=dimension)


def loss(hessian, gradient, theta):
    """Eq. 4.7.1 without its constant."""
    return gradient @ theta + theta @ hessian @ theta / 2


@pytest.mark.equation("4.7.1")
def test_the_quadratic_model_of_a_loss_has_a_remainder_of_third_order():
    start, direction = np.array([-0.7, 1.3]), np.array([0.6, -0.8])
    hessian, gradient = scipy.optimize.rosen_hess(start), scipy.optimize.rosen_der(start)
    remainders = [
        scipy.optimize.rosen(start + size * direction)
        - scipy.optimize.rosen(start)
        - loss(hessian, gradient, size * direction)
        for size in (1e-2, 1e-3)
    ]
    assert remainders[0] / remainders[1] == pytest.approx(1000, rel=0.05)
    # Near the minimum (1, 1), the minimum of the model is closer to it by the square of the distance.
    errors = []
    for distance in (1e-4, 1e-5):
        near = 1 + distance * direction
        step = cd.quadratic_minimum(scipy.optimize.rosen_hess(near), scipy.optimize.rosen_der(near))
        errors.append(np.linalg.norm(near + step - 1))
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.1)


@pytest.mark.equation("4.7.2")
def test_the_minimum_solves_h_theta_equal_to_minus_g():
    hessian, gradient = quadratic(0, 5)
    theta = cd.quadratic_minimum(hessian, gradient)
    numerical = scipy.optimize.minimize(
        lambda x: loss(hessian, gradient, x), np.zeros(5), jac=lambda x: gradient + hessian @ x, tol=1e-12
    )
    np.testing.assert_allclose(theta, numerical.x, atol=1e-8)
    np.testing.assert_allclose(hessian @ theta, -gradient, atol=1e-12)
    # The solution of the printed H theta = g lies uphill: L(-theta) = -3 L(theta) > 0.
    assert loss(hessian, gradient, -theta) == pytest.approx(-3 * loss(hessian, gradient, theta), rel=1e-10)
    assert loss(hessian, gradient, -theta) > 0


@given(seed=seeds, dimension=sizes)
@runs
def test_conjugate_coefficients_need_the_minus_sign_to_give_the_minimum(seed, dimension):
    hessian, gradient = quadratic(seed, dimension)
    vectors = np.random.default_rng(seed + 1).normal(size=(dimension, dimension))
    directions = cd.conjugate_directions(hessian, vectors)
    metric = directions @ hessian @ directions.T
    np.testing.assert_allclose(
        metric - np.diag(np.diagonal(metric)), 0, atol=1e-8 * np.abs(metric).max() * np.linalg.cond(vectors)
    )
    alpha = cd.conjugate_coefficients(
        hessian, gradient, np.eye(dimension) if dimension == 1 else _eigenbasis(hessian)
    )
    basis = np.eye(dimension) if dimension == 1 else _eigenbasis(hessian)
    theta = alpha @ basis
    np.testing.assert_allclose(theta, np.linalg.solve(hessian, -gradient), atol=1e-10)
    np.testing.assert_allclose(hessian @ theta, -gradient, atol=1e-9)
    # The printed formula, without the sign, gives theta = +H^-1 g.
    printed = (basis @ gradient / np.einsum("kd,de,ke->k", basis, hessian, basis)) @ basis
    np.testing.assert_allclose(printed, np.linalg.solve(hessian, gradient), atol=1e-10)


@pytest.mark.equation("4.7.11")
def test_directions_from_nearly_dependent_vectors_are_conjugate_to_rounding():
    hessian = np.diag(np.geomspace(1, 1e6, 10))
    directions = cd.conjugate_directions(hessian, np.vander(np.linspace(0, 1, 10))[:8])
    metric = directions @ hessian @ directions.T
    sizes = np.sqrt(np.diagonal(metric))
    np.testing.assert_allclose(metric / sizes / sizes[:, None], np.eye(8), atol=1e-12)


def _eigenbasis(hessian):
    """Returns the eigenvectors as rows."""
    return np.linalg.eigh(hessian)[1].T


@pytest.mark.equation("4.7.5")
@pytest.mark.equation("4.7.6")
@pytest.mark.equation("4.7.7")
def test_conjugate_coefficients_in_directions_that_are_not_orthogonal():
    hessian, gradient = quadratic(3, 6)
    directions = cd.conjugate_directions(hessian, np.random.default_rng(4).normal(size=(6, 6)))
    assert abs(directions[0] @ directions[1]) > 0.1
    metric = directions @ hessian @ directions.T
    np.testing.assert_allclose(metric, np.diag(np.diagonal(metric)), atol=1e-9 * np.abs(metric).max())
    alpha = cd.conjugate_coefficients(hessian, gradient, directions)
    np.testing.assert_allclose(alpha, -(directions @ gradient) / np.diagonal(metric), rtol=1e-8)
    # The projection on a direction in the Euclidean product is not its coefficient.
    solution = np.linalg.solve(hessian, -gradient)
    assert np.abs(directions @ solution / np.sum(directions**2, axis=1) - alpha).max() > 0.1
    theta = alpha @ directions
    np.testing.assert_allclose(theta, np.linalg.solve(hessian, -gradient), atol=1e-9)
    # Half of the directions give the minimum over their span, where the gradient is orthogonal to the span.
    half = cd.conjugate_coefficients(hessian, gradient, directions[:3]) @ directions[:3]
    np.testing.assert_allclose(directions[:3] @ (gradient + hessian @ half), 0, atol=1e-9)


@pytest.mark.equation("4.7.8")
@pytest.mark.equation("4.7.9")
def test_the_first_step_needs_its_factor_to_descend_in_any_units():
    hessian, gradient = quadratic(5, 4)
    run = cd.gram_schmidt_descent(hessian, gradient)
    alpha = gradient @ gradient / (gradient @ hessian @ gradient)
    np.testing.assert_allclose(run.points[1], -alpha * gradient, rtol=1e-12)
    np.testing.assert_allclose(run.directions[0], -gradient)
    np.testing.assert_allclose(run.residuals[1], alpha * hessian @ gradient - gradient, atol=1e-10)
    # The printed step -g increases this loss; the corrected step minimizes it along g.
    assert loss(hessian, gradient, -gradient) > 0 > loss(hessian, gradient, run.points[1])
    best = scipy.optimize.minimize_scalar(lambda t: loss(hessian, gradient, -t * gradient)).x
    assert alpha == pytest.approx(best, rel=1e-6)
    # The points do not depend on the unit of the loss, but the printed step -g does.
    rescaled = cd.gram_schmidt_descent(1000 * hessian, 1000 * gradient)
    np.testing.assert_allclose(rescaled.points, run.points, atol=1e-10)


@pytest.mark.equation("4.7.10")
@pytest.mark.equation("4.7.11")
@pytest.mark.equation("4.7.12")
@pytest.mark.equation("4.7.13")
@given(seed=seeds, dimension=sizes)
@runs
def test_gram_schmidt_descent_is_exact_with_conjugate_directions(seed, dimension):
    hessian, gradient = quadratic(seed, dimension)
    run = cd.gram_schmidt_descent(hessian, gradient)
    np.testing.assert_allclose(run.points[-1], np.linalg.solve(hessian, -gradient), atol=1e-9)
    np.testing.assert_allclose(run.residuals, -gradient - run.points @ hessian, atol=1e-10)
    np.testing.assert_allclose(np.diff(run.points, axis=0), run.steps[:, None] * run.directions, atol=1e-12)
    metric = run.directions @ hessian @ run.directions.T
    cosines = metric / np.sqrt(np.diagonal(metric) * np.diagonal(metric)[:, None])
    np.testing.assert_allclose(cosines, np.eye(len(cosines)), atol=1e-7)
    products = run.residuals[:-1] @ run.residuals[:-1].T
    lengths = np.sqrt(np.diagonal(products))
    np.testing.assert_allclose(products / lengths / lengths[:, None], np.eye(len(lengths)), atol=1e-6)
    # Each alpha minimizes the loss along its direction: the new residual is orthogonal to the direction.
    along = np.einsum("kd,kd->k", run.directions, run.residuals[1:])
    np.testing.assert_allclose(along, 0, atol=1e-9 * np.abs(gradient @ gradient))


@given(seed=seeds, dimension=sizes)
@runs
def test_the_short_recurrence_equals_full_orthogonalization_and_scipy(seed, dimension):
    hessian, gradient = quadratic(seed, dimension)
    long, short = (f(hessian, gradient) for f in (cd.gram_schmidt_descent, cd.conjugate_gradient_descent))
    assert len(long.points) == len(short.points)
    np.testing.assert_allclose(short.points, long.points, atol=1e-8)
    scipy_points = []
    scipy.sparse.linalg.cg(
        hessian, -gradient, rtol=0, maxiter=dimension, callback=lambda x: scipy_points.append(x.copy())
    )
    steps = min(len(scipy_points), len(short.points) - 1)
    np.testing.assert_allclose(short.points[1 : steps + 1], scipy_points[:steps], atol=1e-9)


def test_polak_ribiere_equals_fletcher_reeves_on_a_quadratic():
    hessian, gradient = quadratic(7, 6)
    r = cd.gram_schmidt_descent(hessian, gradient).residuals[:6]
    reeves = np.einsum("kd,kd->k", r[1:], r[1:]) / np.einsum("kd,kd->k", r[:-1], r[:-1])
    ribiere = np.einsum("kd,kd->k", r[1:], r[1:] - r[:-1]) / np.einsum("kd,kd->k", r[:-1], r[:-1])
    np.testing.assert_allclose(ribiere, reeves, rtol=1e-8)


@pytest.mark.parametrize("distinct", [1, 2, 3, 5])
def test_the_number_of_steps_is_that_of_distinct_eigenvalues_in_the_gradient(distinct):
    rng = np.random.default_rng(8)
    basis = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    eigenvalues = np.resize(np.arange(1.0, distinct + 1), 20)
    hessian, gradient = basis * eigenvalues @ basis.T, rng.normal(size=20)
    run = cd.conjugate_gradient_descent(hessian, gradient, tolerance=1e-10)
    assert len(run.steps) == distinct
    # If the gradient has components along few eigenvectors, few steps suffice for any number of eigenvalues.
    full = basis * np.arange(1.0, 21) @ basis.T
    run = cd.conjugate_gradient_descent(full, basis[:, :distinct].sum(axis=1), tolerance=1e-10)
    assert len(run.steps) == distinct


@given(seed=seeds, condition=st.floats(1, 1e4))
@runs
def test_the_error_decreases_at_least_at_the_rate_of_momentum(seed, condition):
    hessian, gradient = quadratic(seed, 12, condition)
    run = cd.conjugate_gradient_descent(hessian, gradient)
    errors = run.points - cd.quadratic_minimum(hessian, gradient)
    sizes = np.sqrt(np.einsum("kd,de,ke->k", errors, hessian, errors))
    bound = cd.error_bound(condition, np.arange(len(sizes)))
    assert np.all(sizes <= sizes[0] * bound * (1 + 1e-9) + 1e-9 * sizes[0])
    # The error never increases.
    assert np.all(np.diff(sizes) <= 1e-9 * sizes[0])


@pytest.mark.parametrize("method", [cd.conjugate_gradient_descent, cd.gram_schmidt_descent])
@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300])
def test_a_gradient_of_any_size_leads_to_the_minimum(method, size):
    descent = method(np.diag([1.0, 2.0, 4.0]), size * np.ones(3))
    np.testing.assert_allclose(descent.points[-1] / size, [-1, -1 / 2, -1 / 4], rtol=1e-12)
    np.testing.assert_allclose(descent.residuals[0] / size, -np.ones(3))
    np.testing.assert_allclose(descent.directions[0] / size, -np.ones(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: cd.quadratic_minimum(-np.eye(2), [1, 2]),
            r"hessian\[0\] must have a diagonal that is not neg",
        ),
        (lambda: cd.quadratic_minimum(np.diag([1.0, 0]), [1, 2]), "hessian must be positive definite"),
        (lambda: cd.gram_schmidt_descent(np.eye(2), [1.0, 2, 3]), "gradient must have 2 entries"),
        (lambda: cd.conjugate_gradient_descent(np.eye(2), [1.0, np.nan]), r"gradient\[1\] must be finite"),
        (lambda: cd.conjugate_gradient_descent(np.eye(2), [1.0, 2], steps=-1), "steps must be an integer"),
        (lambda: cd.conjugate_directions(np.eye(2), [[1.0, 2], [2, 4]]), r"vectors\[1\] depends on"),
        (lambda: cd.conjugate_directions(np.eye(2), [[1.0, 2, 3]]), "vectors must have 2 columns"),
        (lambda: cd.conjugate_coefficients(np.eye(2), [1, 1], [[1, 0], [1, 1]]), r"which fails at \[0, 1\]"),
        (lambda: cd.conjugate_coefficients(np.eye(2), [1, 1], [[0, 0]]), "must be positive, got 0"),
        (lambda: cd.error_bound(0.5, 3), "condition must be at least 1"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
