"""Oracles: closed forms of `theory.families`, SciPy's densities and quadrature, and standard errors."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from curvezoo.theory import families, fisher


def gaussian_log(x, theta):
    return -(((x - theta[0]) / theta[1]) ** 2) / 2 - np.log(theta[1]) - np.log(2 * np.pi) / 2


def laplace_log(x, theta):
    # The root is |x - mu|, but analytic.
    return -np.sqrt((x - theta[0]) ** 2) / theta[1] - np.log(2 * theta[1])


def poisson_log(k, theta):
    return stats.poisson.logpmf(k, theta[0])


def softmax_log(k, theta):
    return (theta - np.log(np.sum(np.exp(theta))))[np.asarray(k, int)]


@pytest.mark.equation("2.3.7")
def test_fisher_matrices_of_scipy_densities_match_closed_forms():
    theta = (0.5, 2.0)
    normal = fisher.by_quadrature(lambda x, t: stats.norm.logpdf(x, *t), theta)
    np.testing.assert_allclose(normal, families.gaussian(theta), atol=1e-9)
    student = fisher.by_quadrature(lambda x, t: stats.t.logpdf(x, 3.5, *t), theta)
    np.testing.assert_allclose(student, families.student_t(theta, 3.5), atol=1e-9)
    # The Fisher matrix of the beta density is the Hessian of its log normalizer: trigamma functions.
    beta = fisher.by_quadrature(lambda x, t: stats.beta.logpdf(x, *t), (0.5, 2.0), (0.0, 1.0))
    trigamma = [
        float(-quad(lambda u, a=a: u ** (a - 1) * np.log(u) / (1 - u), 0, 1)[0]) for a in (0.5, 2.0, 2.5)
    ]
    expected = np.diag(trigamma[:2]) - trigamma[2]
    np.testing.assert_allclose(beta, expected, atol=1e-7)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_density_may_diverge_at_either_end_of_its_support(sign):
    def log_density(x, theta):
        return np.log(theta[0]) + (theta[0] - 1) * np.log(sign * x)

    support = sorted([0.0, sign])
    np.testing.assert_allclose(fisher.by_quadrature(log_density, [0.9], support), [[1 / 0.9**2]], rtol=1e-8)


@pytest.mark.equation("2.3.7")
def test_the_fisher_matrix_of_a_redundant_parameter_is_only_semidefinite():
    logits = np.array([0.3, -1.0, 2.0])
    matrix = fisher.by_sum(softmax_log, logits, [0, 1, 2])
    np.testing.assert_allclose(matrix, families.softmax(logits), atol=1e-11)
    np.testing.assert_allclose(families.softmax(logits) @ np.ones(3), 0, atol=1e-15)
    values = np.linalg.eigvalsh(families.softmax(logits))
    assert abs(values[0]) < 1e-15 and values[1] > 0.01
    # N(theta^3, 1) at zero has F = 9 theta^4 = 0, although D = theta^6 / 2 is positive for all theta != 0.
    flat = fisher.by_quadrature(lambda x, t: gaussian_log(x, (t[0] ** 3, 1.0)), [0.0], analytic=True)
    assert flat == pytest.approx(0.0, abs=1e-30)
    assert families.gaussian_kl((0.0, 1.0), (0.1**3, 1.0)) == pytest.approx(0.1**6 / 2, rel=1e-12)


@pytest.mark.equation("2.3.6")
def test_the_score_averages_to_zero_and_the_divergence_is_stationary_at_theta_0():
    theta_0, h = np.array([0.3, 1.4]), 1e-4
    mean = quad(
        lambda x: np.exp(gaussian_log(x, theta_0)) * fisher.score(gaussian_log, [x], theta_0, True)[0, 1],
        -20,
        20,
    )
    assert mean[0] == pytest.approx(0.0, abs=1e-10)
    slopes = [
        (families.gaussian_kl(theta_0, theta_0 + h * e) - families.gaussian_kl(theta_0, theta_0 - h * e))
        / (2 * h)
        for e in np.eye(2)
    ]
    # Central differences have the error h^2 D''' / 6, with D''' = -10 / sigma^3 for sigma and 0 for mu.
    np.testing.assert_allclose(slopes, 0, atol=2 * h**2 / 1.4**3)


@pytest.mark.equation("2.3.6")
def test_a_support_that_depends_on_theta_breaks_the_identity():
    # The score of a uniform density on (0, theta) is -1 / theta everywhere.
    def uniform(x, t):
        return -np.log(t[0]) + 0 * x

    np.testing.assert_allclose(fisher.score(uniform, [0.5, 1.5], [2.0], True), -0.5, rtol=1e-15)
    with pytest.raises(ValueError, match=r"score of mean zero \(Eq. 2.3.6\).* theta\[0\]"):
        fisher.by_quadrature(uniform, [2.0], (0.0, 2.0))


@pytest.mark.equation("2.3.7")
@pytest.mark.parametrize("theta", [(0.0, 1.0), (3.0, 0.1), (-2.0, 5.0), (0.0, 1e-3), (1e6, 1.0), (1e3, 10.0)])
def test_the_hessian_of_the_divergence_is_the_covariance_of_the_score(theta):
    unit = 1 / np.array(theta)[1] ** 2
    np.testing.assert_allclose(
        fisher.kl_hessian(families.gaussian_kl, theta) / unit, np.diag([1, 2]), atol=2e-9
    )


@pytest.mark.equation("2.3.5")
@pytest.mark.equation("2.3.7")
def test_the_hessian_by_quadrature_is_the_fisher_matrix_by_quadrature():
    def gumbel(x, t):
        z = (x - t[0]) / t[1]
        return -z - np.exp(-z) - np.log(t[1])

    theta = np.array([0.3, 1.2])
    hessian = fisher.kl_hessian(lambda a, b: fisher.kl_by_quadrature(gumbel, a, b), theta)
    np.testing.assert_allclose(hessian, fisher.by_quadrature(gumbel, theta), atol=1e-6)


@pytest.mark.equation("2.3.7")
def test_the_hessian_differs_from_the_covariance_away_from_theta_0():
    # With respect to sigma, D'' = 3 / s^4 - 1 / s^2, but under q_0 = N(0, 1) the mean of the squared score is
    # 3 / s^6 - 2 / s^4 + 1 / s^2.
    s, h = 1.5, 1e-3
    values = [float(families.gaussian_kl((0, 1), (0, s + k * h))) for k in (-1, 0, 1)]
    hessian = (values[0] - 2 * values[1] + values[2]) / h**2
    assert hessian == pytest.approx(3 / s**4 - 1 / s**2, abs=1e-5)
    square = quad(
        lambda x: stats.norm.pdf(x) * fisher.score(gaussian_log, [x], (0, s), True)[0, 1] ** 2, -15, 15
    )[0]
    assert square == pytest.approx(3 / s**6 - 2 / s**4 + 1 / s**2, rel=1e-9)
    assert abs(hessian - square) > 0.1


@pytest.mark.equation("2.3.8")
def test_fisher_is_the_covariance_of_the_score_and_not_of_its_gradient():
    x = np.random.default_rng(0).normal(size=100_000)
    s = fisher.score(gaussian_log, x, (0.0, 1.0))
    np.testing.assert_allclose(s, np.stack([x, x**2 - 1], axis=1), atol=1e-8)
    # The tolerance is five standard errors: the sample variances 1 and 2 have the variances 2 / N and 56 / N.
    assert np.all(np.abs(np.diag(np.cov(s.T)) - [1, 2]) < 5 * np.sqrt(np.array([2, 56]) / x.size))
    # The printed "covariance of the gradient of the score" is F only if log q itself is called the score. The
    # gradient of the actual score is constant for the mean, -1, and its covariance vanishes.
    second = fisher.jacobian(lambda t: fisher.score(gaussian_log, x[:5], t, True)[:, 0], (0.0, 1.0))[:, 0]
    np.testing.assert_allclose(second, -1, atol=1e-9)


@pytest.mark.equation("2.3.7")
def test_monte_carlo_is_within_its_standard_errors_which_fall_as_the_root_of_n():
    rng, theta = np.random.default_rng(1), (0.5, 2.0)

    def sample(t, n, rng):
        return rng.laplace(*t, n)

    few = fisher.monte_carlo(laplace_log, sample, theta, 1_000, rng, analytic=True)
    many = fisher.monte_carlo(laplace_log, sample, theta, 100_000, rng, analytic=True)
    for estimate in (few, many):
        assert np.all(
            np.abs(estimate.matrix - families.laplace(theta)) <= 5 * estimate.standard_error + 1e-12
        )
    assert few.standard_error[1, 1] / many.standard_error[1, 1] == pytest.approx(10, rel=0.3)
    # The Laplace density has Var(s_b^2) b^4 = <(|z| - 1)^4> - 1 = 8.
    assert many.standard_error[1, 1] == pytest.approx(np.sqrt(8 / 100_000) / theta[1] ** 2, rel=0.1)


def test_in_natural_parameters_the_divergence_is_an_integral_of_the_fisher_matrix():
    counts, (start, end) = np.arange(200), (np.log(3.0), np.log(11.0))
    log_rates = lambda k, theta: stats.poisson.logpmf(k, np.exp(theta[0]))  # noqa: E731
    closed = 3 * np.log(3 / 11) - 3 + 11

    def integral(log_probability, first, last):
        """Returns the integral of (1 - t) delta F delta along the line between two parameters."""

        def integrand(t):
            theta = [first + t * (last - first)]
            return (1 - t) * (last - first) ** 2 * fisher.by_sum(log_probability, theta, counts)[0, 0]

        return quad(integrand, 0, 1)[0]

    assert integral(log_rates, start, end) == pytest.approx(closed, rel=1e-6)
    # Along the line in the rate, the expectation parameter, it is the divergence in the other direction.
    assert integral(poisson_log, 3.0, 11.0) == pytest.approx(11 * np.log(11 / 3) - 11 + 3, rel=1e-6)
    assert closed < 4.2 < 6.2 < 11 * np.log(11 / 3) - 11 + 3


@pytest.mark.parametrize("n", [2, 7])
def test_the_standard_error_is_that_of_the_mean_of_the_products_of_scores(n):
    theta, x = (0.5, 2.0), np.random.default_rng(3).laplace(0.5, 2.0, n)
    estimate = fisher.monte_carlo(laplace_log, lambda *_: x, theta, n, None, analytic=True)
    s = fisher.score(laplace_log, x, theta, analytic=True)
    products = s[:, :, None] * s[:, None, :]
    np.testing.assert_allclose(estimate.matrix, products.mean(axis=0), rtol=1e-12)
    errors = products.std(axis=0, ddof=1) / np.sqrt(n)
    np.testing.assert_allclose(estimate.standard_error, errors, atol=1e-8)


def test_differences_have_the_stated_accuracy_at_any_scale():
    for scale in (1e-3, 1.0, 1e3):
        x = scale * np.linspace(-3, 3, 13)
        exact = np.stack([x / scale**2, x**2 / scale**3 - 1 / scale], axis=1)
        ours = fisher.score(gaussian_log, x, (0.0, scale))
        np.testing.assert_allclose(ours * scale, exact * scale, atol=2e-9)


def test_the_hessian_resolves_correlations_of_parameters_of_different_size():
    # For N(a + b, 1) with a = 1e6 and b = 1 every entry is one.
    def divergence(theta_0, theta):
        return families.gaussian_kl((theta_0.sum(), 1.0), (theta.sum(), 1.0))

    sizes = np.array([1e6, 1.0])
    hessian = fisher.kl_hessian(divergence, sizes)
    np.testing.assert_allclose(
        hessian * np.outer(sizes, sizes) / 1e12, np.outer(sizes, sizes) / 1e12, atol=1e-9
    )


@pytest.mark.parametrize("constant", [1.0, 1e6, 1e12, 1e16])
def test_the_rounding_error_of_large_values_is_as_stated_or_an_error(constant):
    slope = fisher.jacobian(lambda t: constant + t**2, [1.0])[0, 0]
    assert abs(slope - 2) <= 1e-10 + 8 * 2.0**-53 * constant / (2.0**-53) ** (1 / 5)

    def shifted(x, theta):
        return gaussian_log(x, theta) + constant

    if constant < 1e7:
        ours = fisher.score(shifted, [0.5], (1.0, 1.0))
        np.testing.assert_allclose(ours, [[-0.5, -0.75]], atol=1e-9 + 2e-12 * constant)
        return
    with pytest.raises(ValueError, match="log_density must not be so large near theta"):
        fisher.score(shifted, [0.5], (1.0, 1.0))
    with pytest.raises(ValueError, match="function must not be so large near theta"):
        fisher.jacobian(lambda t: constant + t**2, [1.0], unit=1.0)


def test_a_score_of_zero_does_not_count_as_a_rounding_error():
    # At x = mu the score of the mean is zero, and that of sigma is large for small sigma.
    for sigma in (1.0, 1e-3, 1e-6):
        ours = fisher.score(gaussian_log, [0.0], (0.0, sigma))
        np.testing.assert_allclose(ours * sigma, [[0, -1]], atol=1e-8)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: fisher.reparameterize(np.eye(2), np.eye(3)), "jacobian must have 2 rows"),
        (lambda: fisher.by_quadrature(gaussian_log, (1e4, 0.1)), "support must carry all probability"),
        (
            lambda: fisher.by_quadrature(gaussian_log, (0, 1), (0.0, 9.0)),
            "support must carry all probability, got 0.5",
        ),
        (
            lambda: fisher.by_quadrature(gaussian_log, (0, 1), (1.0, -1.0)),
            "support must be an increasing pair",
        ),
        (lambda: fisher.by_quadrature(gaussian_log, (0, 1), 3), "support must be an increasing pair.*got 3"),
        (lambda: fisher.by_quadrature(gaussian_log, (0, 1), None), "support must be an increasing pair"),
        (lambda: fisher.by_quadrature(gaussian_log, []), "theta must be a list of at least one entry"),
        (lambda: fisher.kl_by_quadrature(gaussian_log, [], (0, 1)), "theta_0 must be a list of at least one"),
        (lambda: fisher.kl_hessian(families.gaussian_kl, []), "theta must be a list of at least one entry"),
        (lambda: fisher.jacobian(np.sin, []), "theta must be a list of at least one entry"),
        (
            lambda: fisher.by_sum(poisson_log, [3.0], 3),
            r"outcomes must be a list of at least one entry, got shape \(\)",
        ),
        (
            lambda: fisher.monte_carlo(gaussian_log, lambda t, n, r: np.zeros(n), ["a", 1], 5, None),
            "theta must hold real numbers",
        ),
        (
            lambda: fisher.by_quadrature(laplace_log, (0, 1), points=[0]),
            "log_density must be finite and smooth",
        ),
        (lambda: fisher.by_sum(poisson_log, [3.0], np.arange(5)), "outcomes must carry all probability"),
        (
            lambda: fisher.by_quadrature(lambda x, t: 0.0, [1.0]),
            "log_density must return one number per point",
        ),
        (lambda: fisher.score(lambda x, t: np.abs(t[0]) + x, [1.0], [1.0], True), "complex-analytic"),
        (lambda: fisher.score(poisson_log, [], [1.0]), "x must be a list of at least one entry"),
        (lambda: fisher.score(poisson_log, [-1.0], [1.0]), r"log_density at theta\[0\] must be finite"),
        (
            lambda: fisher.monte_carlo(gaussian_log, lambda t, n, r: np.zeros(3), (0, 1), 5, None),
            "sample must return n = 5 samples",
        ),
        (
            lambda: fisher.kl_by_quadrature(
                lambda x, t: np.where(x < t[0], -np.log(t[0]), -np.inf), [2.0], [1.0], (0, 2)
            ),
            "the divergence is infinite",
        ),
        (
            lambda: fisher.kl_hessian(lambda a, b: abs(b[0] - a[0]), [0.0]),
            "divergence must be finite and smooth",
        ),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
