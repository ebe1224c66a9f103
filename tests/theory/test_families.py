"""Oracles: quadrature, sums and samples of the score, lengths of paths, and SciPy's densities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from curvezoo.theory import families, fisher, geometry

TRIALS = settings(max_examples=100, deadline=None, derandomize=True)
MEANS, SCALES = st.floats(-5, 5), st.floats(-12, 12).map(lambda exponent: 10**exponent)
GAUSSIANS = st.tuples(MEANS, SCALES)
PAIRS = [
    ((0.0, 1.0), (1.0, 2.0)),
    ((-2.0, 0.5), (2.0, 0.5)),
    ((0.0, 1.0), (0.0, 5.0)),
    ((5.0, 1e-3), (5.01, 2e-3)),
]
P, Q = np.array([0.7, 0.2, 0.1]), np.array([0.05, 0.15, 0.8])


def gaussian_log(x, theta):
    return -(((x - theta[0]) / theta[1]) ** 2) / 2 - np.log(theta[1]) - np.log(2 * np.pi) / 2


def gaussian_variance_log(x, theta):
    return -((x - theta[0]) ** 2) / (2 * theta[1]) - np.log(2 * np.pi * theta[1]) / 2


def laplace_log(x, theta):
    # The root is |x - mu|, but analytic.
    return -np.sqrt((x - theta[0]) ** 2) / theta[1] - np.log(2 * theta[1])


def cauchy_log(x, theta):
    return -np.log(np.pi * theta[1]) - np.log(1 + ((x - theta[0]) / theta[1]) ** 2)


def poisson_log(k, theta):
    return stats.poisson.logpmf(k, theta[0])


LINE, HALF = (-np.inf, np.inf), (0.0, np.inf)
DENSITIES = {
    "gaussian": (gaussian_log, (0.4, 1.7), families.gaussian, LINE),
    "narrow gaussian far from zero": (gaussian_log, (-300.0, 0.01), families.gaussian, LINE),
    "gaussian in its variance": (gaussian_variance_log, (0.4, 1.7), families.gaussian_variance, LINE),
    "laplace": (laplace_log, (0.4, 1.7), families.laplace, LINE),
    "cauchy": (cauchy_log, (0.4, 1.7), families.cauchy, LINE),
    "exponential": (lambda x, t: np.log(t[0]) - t[0] * x, (2.5,), families.exponential, HALF),
}


def line(start, end):
    """Returns the straight path between two points."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    return lambda t: start + t * (end - start)


@pytest.mark.equation("2.3.7")
@pytest.mark.parametrize("name", DENSITIES)
def test_fisher_matrices_of_densities_match_quadrature(name):
    log_density, theta, closed, support = DENSITIES[name]
    matrix = fisher.by_quadrature(log_density, theta, support, points=theta[:1], analytic=True)
    unit = np.sqrt(np.diag(closed(theta)))
    np.testing.assert_allclose(matrix / np.outer(unit, unit), np.eye(len(theta)), atol=1e-11)


@pytest.mark.equation("2.3.7")
def test_fisher_matrices_of_discrete_distributions_match_sums():
    poisson = fisher.by_sum(poisson_log, [3.0], np.arange(60))
    np.testing.assert_allclose(poisson, families.poisson([3.0]), rtol=1e-10)
    p = np.array([0.2, 0.5])

    def log_probability(k, t):
        return np.log(np.append(t, 1 - t.sum()))[np.asarray(k, int)]

    np.testing.assert_allclose(
        fisher.by_sum(log_probability, p, [0, 1, 2], True), families.categorical(p), rtol=1e-13
    )
    assert families.bernoulli([0.3]) == pytest.approx(1 / (0.3 * 0.7), rel=1e-14)
    coin = fisher.by_sum(log_probability, [0.3], [0, 1])
    np.testing.assert_allclose(coin, families.bernoulli([0.3]), rtol=1e-9)


def test_the_multivariate_gaussian_matches_one_dimension_and_samples():
    single = families.multivariate_gaussian([0.3, 1.7])
    np.testing.assert_allclose(single, families.gaussian_variance((0.3, 1.7)), rtol=1e-14)
    theta = np.array([0.2, -0.5, 2.0, 0.5, 1.0])

    def log_density(x, t):
        a, b, c = t[2:]
        u, v, det = x[:, 0] - t[0], x[:, 1] - t[1], a * c - b * b
        return -(c * u * u - 2 * b * u * v + a * v * v) / (2 * det) - np.log(det) / 2 - np.log(2 * np.pi)

    def sample(t, n, rng):
        return rng.multivariate_normal(t[:2], [[t[2], t[3]], [t[3], t[4]]], n)

    closed = families.multivariate_gaussian(theta)
    np.testing.assert_allclose(closed[:2, :2], np.linalg.inv([[2.0, 0.5], [0.5, 1.0]]), rtol=1e-14)
    estimate = fisher.monte_carlo(
        log_density, sample, theta, 100_000, np.random.default_rng(2), analytic=True
    )
    assert np.all(np.abs(estimate.matrix - closed) <= 5 * estimate.standard_error)


@pytest.mark.equation("2.3.13")
def test_the_notes_eigenvalues_are_those_of_sigma_and_mu_at_sigma_one():
    np.testing.assert_array_equal(np.linalg.eigvalsh(families.gaussian((0.0, 1.0))), [1.0, 2.0])
    np.testing.assert_allclose(families.gaussian((7.0, 3.0)), np.diag([1, 2]) / 9, rtol=1e-15)
    # In the variance the eigenvalues are 1 and 1/2: unlike distances, they depend on the parameters.
    np.testing.assert_array_equal(np.diag(families.gaussian_variance((0.0, 1.0))), [1.0, 0.5])
    jacobian = np.diag([1.0, 2 * 3.0])  # d(mu, sigma^2) / d(mu, sigma)
    back = fisher.reparameterize(families.gaussian_variance((7.0, 9.0)), jacobian)
    np.testing.assert_allclose(back, families.gaussian((7.0, 3.0)), rtol=1e-15)


@pytest.mark.equation("2.3.5")
@pytest.mark.equation("2.3.13")
@pytest.mark.parametrize(
    "theta_0, theta", [((0, 1), (1, 2)), ((0.3, 1.5), (-1, 0.4)), ((0, 1), (1e-3, 1.001))]
)
def test_gaussian_divergence_matches_quadrature(theta_0, theta):
    closed = families.gaussian_kl(theta_0, theta)
    assert fisher.kl_by_quadrature(gaussian_log, theta_0, theta) == pytest.approx(closed, rel=1e-9)
    q, p = stats.norm(*theta_0), stats.norm(*theta)
    plain, _ = quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), -20, 20, epsabs=1e-13, limit=200)
    assert closed == pytest.approx(plain, abs=1e-11)


@pytest.mark.equation("2.3.13")
@TRIALS
@given(MEANS, SCALES, MEANS, SCALES)
def test_gaussian_divergence_reduces_to_the_printed_form(mean_0, sigma_0, mean, sigma):
    m, s = (mean - mean_0) / sigma_0, sigma / sigma_0
    printed = m**2 / (2 * s**2) + 1 / (2 * s**2) - 1 / 2 + np.log(s)
    general = families.gaussian_kl((mean_0, sigma_0), (mean, sigma))
    assert general == pytest.approx(printed, rel=1e-10, abs=1e-13)
    assert general == pytest.approx(families.gaussian_kl((0, 1), (m, s)), rel=1e-9, abs=1e-15)
    assert general >= 0
    if abs(m) > 1e-6 or abs(s - 1) > 1e-6:
        assert general > 0


@pytest.mark.equation("2.3.13")
def test_gaussian_divergence_is_accurate_for_any_ratio_of_widths():
    ratios = 10.0 ** -np.arange(1, 150, 4)
    narrow = families.gaussian_kl(np.stack([0 * ratios, ratios], axis=1), (0, 1))
    np.testing.assert_allclose(narrow, (ratios**2 - 1) / 2 - np.log(ratios), rtol=1e-15)
    # Both sides of the two points where the formula changes.
    for sigma in (0.7071, 0.7072, 1.2247, 1.2248):
        plain = (sigma**2 - 1) / 2 - np.log(sigma)
        assert families.gaussian_kl((0, sigma), (0, 1)) == pytest.approx(plain, rel=1e-14)


@pytest.mark.parametrize("excess", [1e-3, 1e-6, 1e-9])
def test_gaussian_divergence_is_accurate_for_close_widths(excess):
    sigma = 1 + excess
    # (x - log(1 + x)) / 2 as a series, with x = sigma^2 - 1.
    x = (sigma - 1) * (sigma + 1)
    expected = (x**2 / 2 - x**3 / 3 + x**4 / 4 - x**5 / 5) / 2
    assert families.gaussian_kl((0, sigma), (0, 1)) == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize(
    "start, end",
    [((0, 1e-150), (0, 1e150)), ((-1e150, 1e-150), (1e150, 1e-150)), ((0, 1e-100), (1e100, 1e-100))],
)
def test_geodesics_and_distances_are_accurate_at_the_limits_of_the_range(start, end):
    path, distance = families.gaussian_geodesic(start, end), families.gaussian_distance(start, end)
    np.testing.assert_allclose([path(0.0), path(1.0)], [start, end], rtol=1e-12)
    if start[0] == end[0]:
        assert distance == pytest.approx(np.sqrt(2) * np.log(1e300), rel=1e-14)
        np.testing.assert_allclose(path(0.5), [0, 1], rtol=1e-12)
    else:
        # At the top of the half ellipse, sigma is half of the width divided by sqrt(2).
        assert path(0.5)[1] == pytest.approx((end[0] - start[0]) / np.sqrt(8), rel=1e-12)
        assert families.gaussian_distance(start, path(0.5)) == pytest.approx(distance / 2, rel=1e-12)


@pytest.mark.equation("2.3.7")
def test_the_divergence_is_symmetric_to_second_order_only():
    steps = np.array([0.02, 0.01, 0.005])
    end = np.stack([0 * steps, 1 + steps], axis=1)
    forward, backward = families.gaussian_kl((0, 1), end), families.gaussian_kl(end, (0, 1))
    # For sigma = 1 + e the two are e^2 - 5 e^3 / 3 and e^2 - e^3 / 3.
    np.testing.assert_allclose(forward / steps**2, 1, atol=0.04)
    np.testing.assert_allclose((backward - forward) / steps**3, 4 / 3, rtol=0.04)


@pytest.mark.equation("2.3.10")
@TRIALS
@given(GAUSSIANS, GAUSSIANS, GAUSSIANS)
def test_the_distance_is_a_metric_unlike_the_divergence(a, b, c):
    d = families.gaussian_distance
    assert d(a, b) == d(b, a) >= 0
    assert d(a, c) <= d(a, b) + d(b, c) + 1e-12
    # The distance does not depend on the scale and origin of x.
    rescaled = [(3 + 2 * mean, 2 * sigma) for mean, sigma in (a, b)]
    # The rescaled means have rounding errors of 2e-15, measured in units of sigma.
    assert d(*rescaled) == pytest.approx(d(a, b), rel=1e-9, abs=1e-12 + 4e-15 / min(a[1], b[1]))


@pytest.mark.equation("2.3.10")
def test_the_distance_is_neither_the_divergence_nor_its_root():
    a, b = (0.0, 1.0), (2.0, 3.0)
    d, kl = families.gaussian_distance(a, b), families.gaussian_kl(a, b)
    for other in (kl, np.sqrt(kl), np.sqrt(2 * kl)):
        assert abs(d / other - 1) > 0.05
    # The straight line between equal sigmas, which is not a geodesic, does have the length sqrt(2 D).
    kl = families.gaussian_kl((0.0, 1.0), (2.0, 1.0))
    assert geometry.length(families.gaussian, line((0.0, 1.0), (2.0, 1.0))) == pytest.approx(np.sqrt(2 * kl))


def test_gaussian_geodesics_are_shortest_half_ellipses_of_constant_speed():
    for start, end in PAIRS:
        path, distance = families.gaussian_geodesic(start, end), families.gaussian_distance(start, end)
        np.testing.assert_allclose([path(0.0), path(1.0)], [start, end], rtol=1e-12, atol=1e-15)
        assert geometry.length(families.gaussian, path) == pytest.approx(distance, rel=1e-9)
        assert geometry.energy(families.gaussian, path) == pytest.approx(distance**2, rel=1e-9)
        assert geometry.length(families.gaussian, line(start, end)) >= distance * (1 - 1e-10)
        mean, sigma = path(np.linspace(0, 1, 9)).T
        if start[0] != end[0]:
            center = (
                (mean[-1] ** 2 + 2 * sigma[-1] ** 2 - mean[0] ** 2 - 2 * sigma[0] ** 2)
                / (mean[-1] - mean[0])
                / 2
            )
            squares = (mean - center) ** 2 + 2 * sigma**2
            np.testing.assert_allclose(squares, squares[0], rtol=1e-9)


def test_categorical_distributions_are_an_orthant_of_a_sphere_of_radius_two():
    distance = families.categorical_distance(P, Q)
    assert distance == pytest.approx(2 * np.arccos(np.sum(np.sqrt(P * Q))), rel=1e-12)
    assert geometry.distance(families.categorical, P[:2], Q[:2]) == pytest.approx(distance, rel=1e-6)
    circle = families.categorical_geodesic(P, Q)
    np.testing.assert_allclose(circle(np.linspace(0, 1, 5)).sum(axis=1), 1, rtol=1e-14)
    assert geometry.length(families.categorical, lambda t: circle(t)[:2]) == pytest.approx(distance, rel=1e-9)
    # From one corner to another it is a quarter of a great circle.
    assert families.categorical_distance([1, 0, 0], [0, 1, 0]) == pytest.approx(np.pi, rel=1e-14)
    near = families.categorical_distance([0.5, 0.5], [0.5 + 1e-10, 0.5 - 1e-10])
    assert near == pytest.approx(2e-10, rel=1e-5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: families.gaussian((0.0, -1.0)), r"theta\[1\] must be from 1e-150 to 1e\+150, got -1"),
        (lambda: families.gaussian((0.0, 1.0, 2.0)), "theta must hold a location and a scale"),
        (
            lambda: families.gaussian_kl((0.0, 1.0), [(0, 1), (0, 0)]),
            r"theta\[1, 1\] must be from 1e-150 to 1e\+150, got 0",
        ),
        (lambda: families.poisson([np.nan]), r"theta\[0\] must be finite"),
        (lambda: families.categorical([0.7, 0.3]), "theta must hold probabilities with a sum below 1, got 2"),
        (lambda: families.bernoulli([0.2, 0.3]), "theta must hold 1 number"),
        (lambda: families.student_t((0, 1), 0.0), r"degrees must be from 1e-150 to 1e\+150, got 0"),
        (
            lambda: families.multivariate_gaussian([0, 0, 1, 2, 1]),
            "theta's covariance must be positive definite",
        ),
        (lambda: families.multivariate_gaussian([0, 0, 1]), r"D \(D \+ 3\) / 2 numbers for some D, got 3"),
        (
            lambda: families.gaussian_distance((0, 1), (0, 0)),
            r"end\[1\] must be from 1e-150 to 1e\+150, got 0",
        ),
        (lambda: families.categorical_distance([0.5, 0.6], [0.5, 0.5]), "p must sum to 1"),
        (lambda: families.categorical_distance([0.5, 0.5], [1.0]), "p and q must have the same shape"),
        (
            lambda: families.categorical_distance(np.eye(2), np.eye(2)),
            r"p must have 1 axis, got shape \(2, 2\)",
        ),
        (lambda: families.categorical_geodesic([1, 0], np.eye(2)), r"q must have 1 axis, got shape \(2, 2\)"),
        (lambda: families.categorical_geodesic([1, 0], [0, 1])([0, np.nan]), r"t\[1\] must be finite"),
        (lambda: families.gaussian_geodesic((0, 1), (1, 1))(np.inf), "t must be finite"),
        (lambda: families.gaussian((0, 1e-200)), r"theta\[1\] must be from 1e-150 to 1e\+150, got 1e-200"),
        (lambda: families.laplace((0, 1e-200)), r"theta\[1\] must be from 1e-150"),
        (lambda: families.cauchy((0, 1e200)), r"theta\[1\] must be from 1e-150"),
        (lambda: families.exponential([1e-200]), r"theta\[0\] must be from 1e-150"),
        (lambda: families.categorical([0.5, 1e-310]), r"theta\[1\] must be from 1e-150"),
        (lambda: families.multivariate_gaussian([0, 1e-200]), "theta's covariance.* must be from 1e-150"),
        (lambda: families.gaussian_distance((0, 1e-200), (0, 1e-200)), r"start\[1\] must be from 1e-150"),
        (lambda: families.gaussian_geodesic((0, 1), (1e250, 1)), r"end\[0\] must be from -1e\+150"),
        (lambda: families.gaussian_kl((0, 1e200), (0, 1)), r"theta_0\[1\] must be from 1e-150"),
        (
            lambda: families.gaussian_kl((0, 1), [(0, 1), (1e140, 1e-140)]),
            r"the divergence of theta from theta_0\[1\] must be finite",
        ),
        (
            lambda: families.gaussian_kl(np.ones((3, 2)), np.ones((4, 2))),
            r"shapes must broadcast to one, got theta_0 \(3, 2\), theta \(4, 2\)",
        ),
        (lambda: families.softmax([]), "theta must hold at least one logit"),
        (lambda: families.softmax([0, 1e308]), r"theta\[1\] must be from -1e\+150"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
