"""Oracles: closed forms, of SciPy and TFP among others."""

import numpy as np
import pytest
import scipy.stats as laws
from scipy.integrate import quad
from scipy.special import rel_entr

from curvezoo.theory import differential_entropy, information
from curvezoo.theory.differential_entropy import Density

CONTINUOUS = [
    laws.norm(3, 0.2),
    laws.norm(1000, 1e-3),
    laws.norm(0, 1e-30),
    laws.cauchy(2, 3),
    laws.laplace(-1, 5),
    laws.logistic(),
    laws.t(0.5),
    laws.t(2.5, scale=3),
    laws.expon(scale=100),
    laws.uniform(2, 0.1),
    laws.gamma(0.3),
    laws.gamma(100),
    laws.gamma(3, scale=1e-12),
    laws.beta(0.5, 2),
    laws.beta(3, 2),
    laws.gumbel_r(),
    laws.lognorm(2.0),
    laws.weibull_min(0.5),
    laws.pareto(1.5),
    laws.levy(),
    laws.rayleigh(),
    laws.triang(0.3),
    laws.truncnorm(-1, 3),
    laws.invgamma(0.5),
]


@pytest.mark.equation("2.1.5")
@pytest.mark.parametrize("law", CONTINUOUS, ids=lambda law: f"{law.dist.name}{law.args}")
def test_entropies_by_quadrature_match_scipys_closed_forms(law):
    assert differential_entropy.entropy(law) == pytest.approx(law.entropy(), rel=1e-7, abs=1e-7)


def test_a_singularity_at_one_is_resolved_to_the_spacing_of_floats():
    law = laws.beta(0.5, 0.5)
    # Floats near 1 are 1e-16 apart, and the mass between two of them is the square root of that.
    assert differential_entropy.entropy(law) == pytest.approx(law.entropy(), abs=1e-6)


@pytest.mark.equation("2.1.5")
def test_differential_entropy_can_be_negative_and_depends_on_the_unit_of_x():
    assert differential_entropy.entropy(laws.uniform(0, 0.5), base=2) == pytest.approx(-1, abs=1e-10)
    assert differential_entropy.gaussian_entropy(1e-4) < 0
    for law, scaled in ((laws.norm(0, 1), laws.norm(0, 1000)), (laws.gamma(2), laws.gamma(2, scale=1000))):
        shift = differential_entropy.entropy(scaled) - differential_entropy.entropy(law)
        assert shift == pytest.approx(np.log(1000), abs=1e-8)
    # A divergence is independent of the unit.
    metres = differential_entropy.kl_divergence(laws.norm(0, 1), laws.norm(1, 2))
    millimetres = differential_entropy.kl_divergence(laws.norm(0, 1000), laws.norm(1000, 2000))
    assert metres == pytest.approx(millimetres, rel=1e-9)


@pytest.mark.equation("2.1.5")
@pytest.mark.parametrize("law", [laws.norm(), laws.expon(), laws.beta(3, 2)], ids=lambda law: law.dist.name)
def test_the_entropy_of_bins_diverges_as_minus_the_log_of_their_width(law):
    low, high = law.ppf(1e-15), law.isf(1e-15)
    gaps, entropies = [], []
    for bins in (2**8, 2**10, 2**12):
        p = np.diff(law.cdf(np.linspace(low, high, bins + 1)))
        entropies.append(information.entropy(p / p.sum()))
        gaps.append(abs(entropies[-1] + np.log((high - low) / bins) - law.entropy()))
    np.testing.assert_allclose(np.diff(entropies), np.log(4), atol=0.01)
    assert gaps[2] < gaps[0] / 10 and gaps[2] < 1e-4


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_gaussian_entropies_match_scipy_in_any_dimension(dimensions):
    factor = np.random.default_rng(dimensions).normal(size=(dimensions, dimensions + 1))
    covariance = factor @ factor.T
    ours = differential_entropy.gaussian_entropy(covariance)
    assert ours == pytest.approx(laws.multivariate_normal(cov=covariance).entropy(), rel=1e-12)
    assert differential_entropy.gaussian_entropy(covariance, base=2) == pytest.approx(
        ours / np.log(2), rel=1e-14
    )
    # An asymmetry below rounding is accepted.
    assert differential_entropy.gaussian_entropy([[1, 1e-17], [0, 1]]) == pytest.approx(
        np.log(2 * np.pi * np.e)
    )
    assert differential_entropy.gaussian_entropy(0.25) == pytest.approx(
        laws.norm(0, 0.5).entropy(), rel=1e-14
    )


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [
        # (mu^2 + sigma^2) / (2 s^2) - 1/2 + log(s / sigma)
        (laws.norm(), laws.norm(1, 2), 0.25 - 0.5 + np.log(2)),
        (laws.norm(1000, 1e-3), laws.norm(1000.001, 2e-3), 0.25 - 0.5 + np.log(2)),
        (laws.expon(), laws.expon(scale=3), np.log(3) + 1 / 3 - 1),
        (laws.uniform(0, 1), laws.expon(), 0.5),
        (laws.uniform(0, 1), laws.uniform(-1, 4), np.log(4)),
        (laws.laplace(), laws.laplace(2), 2 + np.exp(-2) - 1),
        # log of ((s + t)^2 + shift^2) / (4 s t)
        (laws.cauchy(), laws.cauchy(1, 2), np.log((3**2 + 1) / 8)),
        (laws.norm(), laws.norm(), 0),
    ],
    ids=lambda law: law.dist.name if hasattr(law, "dist") else None,
)
def test_divergence_and_cross_entropy_match_closed_forms(p, q, expected):
    assert differential_entropy.kl_divergence(p, q) == pytest.approx(expected, rel=1e-8, abs=1e-9)
    assert differential_entropy.kl_divergence(p, q, base=2) == pytest.approx(expected / np.log(2), abs=1e-8)
    cross = differential_entropy.cross_entropy(p, q)
    assert cross == pytest.approx(p.entropy() + expected, abs=1e-8)


def test_the_divergence_is_infinite_where_the_model_is_zero_and_the_data_is_not(recwarn):
    assert differential_entropy.kl_divergence(laws.norm(), laws.uniform(-3, 6)) == np.inf
    assert differential_entropy.cross_entropy(laws.expon(), laws.uniform(0, 9)) == np.inf
    assert not len(recwarn)
    # The same in the far tail of p, and where a log density is minus infinity.
    assert differential_entropy.kl_divergence(laws.norm(), laws.uniform(-30, 60)) == np.inf
    half = Density(lambda x: np.where(x > 0, laws.halfnorm.logpdf(x), -np.inf), points=(0,))
    assert differential_entropy.kl_divergence(laws.norm(), half) == np.inf


def log_hyperbolic_secant(x):
    """Returns the log density of the hyperbolic secant distribution, without underflow."""
    return np.log(2 / np.pi) - np.logaddexp(x, -x)


def test_an_underflow_of_the_model_is_an_error_and_not_infinity():
    for function in (differential_entropy.kl_divergence, differential_entropy.cross_entropy):
        with pytest.raises(ValueError, match=r"log density of q underflows, .* at x = .*, where p has mass"):
            function(laws.norm(0, 300), laws.hypsecant())
    with pytest.raises(ValueError, match="log density of q underflows"):
        differential_entropy.kl_divergence(laws.foldnorm(0), laws.foldnorm(0, scale=0.02))
    # The same q without underflow: log cosh x - |x| + log 2 is narrow, with the integral pi^2 / 12.
    p, q = laws.norm(0, 300), Density(log_hyperbolic_secant)
    expected = np.log(np.pi) + 300 * np.sqrt(2 / np.pi) - np.log(2) - p.entropy() + np.pi**2 / 12 * p.pdf(0)
    assert differential_entropy.kl_divergence(p, q) == pytest.approx(expected, abs=1e-6)
    # An underflow where p is below 1e-250 does not change the result.
    narrow = differential_entropy.kl_divergence(laws.foldnorm(0), laws.foldnorm(0, scale=0.9))
    assert narrow == pytest.approx((1 / 0.81 - 1) / 2 + np.log(0.9), rel=1e-9)


def test_nan_far_from_all_mass_counts_as_zero():
    # Beyond 1e77 the log density is -inf + inf = nan.
    mass = quad(lambda x: np.exp(x**2 - x**4), -6, 6, epsabs=1e-13)[0]
    action = quad(lambda x: (x**4 - x**2) * np.exp(x**2 - x**4), -6, 6, epsabs=1e-13)[0]
    two_wells = Density(lambda x: x**2 - x**4 - np.log(mass))
    assert differential_entropy.entropy(two_wells) == pytest.approx(np.log(mass) + action / mass, rel=1e-9)


def test_accuracy_far_from_zero_is_limited_by_the_rounding_of_x():
    for law, error in ((laws.norm(1e8, 1), 1e-7), (laws.norm(1e6, 1e-3), 1e-6)):
        assert differential_entropy.entropy(law) == pytest.approx(law.entropy(), abs=error)


def test_multivariate_entropies_are_their_closed_forms():
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    law = laws.multivariate_normal([0, 1], covariance)
    expected = differential_entropy.gaussian_entropy(covariance, base=2)
    assert differential_entropy.entropy(law, base=2) == pytest.approx(expected, rel=1e-14)
    flat = laws.multivariate_normal(3, 4)
    assert differential_entropy.entropy(flat) == pytest.approx(laws.norm(3, 2).entropy(), rel=1e-14)


def two_bumps(x):
    """Returns the log density of two narrow normal distributions."""
    return np.logaddexp(laws.norm.logpdf(x, -5, 0.01), laws.norm.logpdf(x, 5, 0.01)) - np.log(2)


def test_densities_are_given_by_their_logarithm_and_points():
    half_normal = Density(lambda x: np.log(2) + laws.norm.logpdf(x), support=(0, np.inf))
    assert differential_entropy.entropy(half_normal) == pytest.approx(laws.halfnorm.entropy(), rel=1e-9)
    # Two bumps that do not overlap have one bit more entropy than one of them.
    bumps = Density(two_bumps, points=(-5, 5))
    with pytest.raises(ValueError, match="p must integrate to 1"):
        differential_entropy.entropy(Density(two_bumps))
    one_bump = laws.norm(0, 0.01).entropy()
    assert differential_entropy.entropy(bumps) == pytest.approx(one_bump + np.log(2), rel=1e-8)
    assert differential_entropy.kl_divergence(laws.norm(5, 0.01), bumps) == pytest.approx(np.log(2), rel=1e-8)
    jumps = Density(lambda x: np.log(np.where(np.abs(x - 0.3) < 0.5, 1.0, 1e-300)), points=(-0.2, 0.8))
    assert differential_entropy.entropy(jumps) == pytest.approx(0, abs=1e-9)


def test_a_density_may_overflow_near_an_end_of_its_support():
    law = laws.gamma(0.5)
    rounded = Density(lambda x: law.logpdf(x.astype(np.float32)), support=(0, np.inf))
    assert law.logpdf(np.float32(1e-60)) == np.inf
    assert differential_entropy.entropy(rounded) == pytest.approx(law.entropy(), abs=1e-5)
    for c in (0.3, 0.1):
        weibull = laws.weibull_min(c)
        mirrored = Density(lambda x, law=weibull: law.logpdf(-x), support=(-np.inf, 0))
        assert differential_entropy.entropy(mirrored) == pytest.approx(weibull.entropy(), abs=1e-7)


def test_jumps_of_the_model_split_the_integral():
    heights = np.array([0.5, 0.85 / 0.7])
    steps = Density(lambda x: np.log(heights[(x > 0.3).astype(int)]), support=(0, 1), points=(0.3,))
    expected = -(0.3 * np.log(heights[0]) + 0.7 * np.log(heights[1]))
    assert differential_entropy.kl_divergence(laws.uniform(0, 1), steps) == pytest.approx(expected, abs=1e-10)


def test_entropies_of_tfp_distributions_match_their_closed_forms():
    import tensorflow_probability as tfp

    tfd = tfp.distributions
    for precision, accuracy in ((np.float64, 1e-7), (np.float32, 1e-5)):
        one, two = precision(1), precision(2)
        p = tfd.Normal(one, two)
        for q in (
            p,
            tfd.Laplace(two, one),
            tfd.Cauchy(two, one),
            tfd.Gumbel(one, two),
            tfd.Uniform(one, two),
            tfd.Exponential(two),
            tfd.Gamma(two, one),
        ):
            assert differential_entropy.entropy(q) == pytest.approx(float(q.entropy()), abs=accuracy)
        divergence = differential_entropy.kl_divergence(p, tfd.Normal(two, one))
        assert divergence == pytest.approx(float(p.kl_divergence(tfd.Normal(two, one))), abs=accuracy)
        # A mixture has no quantiles and is integrated over the real line.
        coin = tfd.Categorical(probs=np.array([0.5, 0.5], precision))
        mixture = tfd.MixtureSameFamily(coin, tfd.Normal(np.array([-9, 9], precision), one))
        expected = float(tfd.Normal(two, one).entropy()) + np.log(2)
        assert differential_entropy.entropy(mixture) == pytest.approx(expected, abs=accuracy)
    with pytest.raises(ValueError, match=r"p must be one distribution, got a batch of shape \(2,\)"):
        differential_entropy.entropy(tfd.Normal([0.0, 1.0], 1.0))
    plane = tfd.MultivariateNormalDiag(np.zeros(2), np.array([1.0, 3.0]))
    gaussian = differential_entropy.gaussian_entropy(np.diag([1.0, 9.0]))
    assert differential_entropy.entropy(plane) == pytest.approx(gaussian, rel=1e-12)
    with pytest.raises(ValueError, match=r"p must be one distribution, got a batch of shape \(4,\)"):
        differential_entropy.entropy(tfd.MultivariateNormalDiag(np.zeros((4, 2))))
    with pytest.raises(ValueError, match=r"q must be a density in one dimension, got x of shape \(2,\)"):
        differential_entropy.kl_divergence(laws.norm(), plane)
    mixed = tfd.MixtureSameFamily(coin, tfd.MultivariateNormalDiag(np.zeros((2, 2))))
    with pytest.raises(ValueError, match=r"p must have an entropy in closed form for x of shape \(2,\)"):
        differential_entropy.entropy(mixed)


def slowly_normalized(x):
    """Returns the log of 1 / (x log^2 x), whose integral converges very slowly."""
    return -np.log(x) - 2 * np.log(np.log(x))


def test_jensen_shannon_is_half_the_sum_of_the_divergences_from_the_mixture():
    p, q = laws.norm(0, 1), laws.cauchy(1, 0.3)

    def integrand(x):
        a, b = p.pdf(x), q.pdf(x)
        return (rel_entr(a, (a + b) / 2) + rel_entr(b, (a + b) / 2)) / 2

    ours = differential_entropy.jensen_shannon(p, q)
    pieces = [(-np.inf, -5), (-5, 1), (1, 5), (5, np.inf)]
    expected = sum(quad(integrand, *piece, epsabs=1e-13, epsrel=1e-12, limit=200)[0] for piece in pieces)
    assert ours == pytest.approx(expected, abs=1e-9)
    assert differential_entropy.jensen_shannon(q, p) == pytest.approx(ours, abs=1e-10)
    assert differential_entropy.jensen_shannon(p, q, base=2) == pytest.approx(ours / np.log(2), rel=1e-12)
    # It tends to that of fine bins.
    bins = np.diff([law.cdf(np.linspace(-2000, 2000, 400_001)) for law in (p, q)])
    assert information.jensen_shannon(*(bins / bins.sum(axis=1, keepdims=True))) == pytest.approx(
        ours, abs=2e-4
    )


def test_jensen_shannon_of_overlapping_uniform_densities_counts_the_masses():
    # A share s of each mass is common: 1 - s of p and of q contribute log 2 each.
    for shift in (0.0, 0.25, 0.9, 1.0, 50.0):
        ours = differential_entropy.jensen_shannon(laws.uniform(0, 1), laws.uniform(shift, 1))
        assert ours == pytest.approx(min(shift, 1.0) * np.log(2), abs=1e-10)
    # q has a share of 1 / 4 of the length of p: m is 5 / 2 within q and 1 / 2 outside, for p = 1 and q = 4.
    nested = differential_entropy.jensen_shannon(laws.uniform(0, 1), laws.uniform(0.5, 0.25))
    expected = (0.25 * np.log(1 / 2.5) + 0.75 * np.log(2) + np.log(4 / 2.5)) / 2
    assert nested == pytest.approx(expected, abs=1e-10)


def test_jensen_shannon_is_finite_where_the_divergences_are_not():
    assert differential_entropy.jensen_shannon(laws.norm(), laws.norm(1e6, 1)) == pytest.approx(np.log(2))
    assert differential_entropy.jensen_shannon(laws.norm(0, 2), laws.norm(0, 2)) == 0
    # The log density of a narrow Gaussian underflows under the tails of a Cauchy density.
    narrow = differential_entropy.jensen_shannon(laws.norm(0, 1e-6), laws.cauchy())
    assert np.log(2) - 1e-3 < narrow < np.log(2)
    # Close densities: D = (d sigma)^2 F / 8 for the Fisher matrix F.
    close = differential_entropy.jensen_shannon(laws.norm(0, 1), laws.norm(1e-3, 1))
    assert close == pytest.approx(1e-6 / 8, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: differential_entropy.entropy(laws.poisson(3)),
            "p must be a continuous frozen SciPy .* rv_discrete",
        ),
        (lambda: differential_entropy.entropy(3.0), "got float"),
        (lambda: differential_entropy.entropy(laws.norm([0, 1])), r"p must be one distribution, .* \(2,\)"),
        (
            lambda: differential_entropy.entropy(Density(lambda x: -(x**2))),
            r"p must integrate to 1 over its support \(-inf, inf\), got 1.7724538",
        ),
        (
            lambda: differential_entropy.entropy(Density(lambda x: 0 * x)),
            "the integral of p does not converge",
        ),
        (
            lambda: differential_entropy.entropy(Density(slowly_normalized, (np.e, np.inf))),
            "p must integrate to 1",
        ),
        (
            lambda: differential_entropy.entropy(laws.beta(0.1, 0.1)),
            "p must integrate to 1 over .*, got 0.98",
        ),
        (
            lambda: differential_entropy.kl_divergence(laws.t(2), laws.norm()),
            "the divergence of p from q does not converge: .* it may be infinite",
        ),
        (
            lambda: differential_entropy.cross_entropy(laws.lomax(1), laws.expon()),
            "the cross-entropy of p and q does not converge",
        ),
        (
            lambda: differential_entropy.kl_divergence(laws.norm(), Density(lambda x: -x, (0, 1))),
            r"q must integrate to 1 over its support \(0, 1\), got 0.632",
        ),
        (
            lambda: differential_entropy.kl_divergence(
                laws.norm(),
                Density(lambda x: np.where(np.abs(x) < 5, laws.norm.logpdf(x), np.nan), points=(-5, 5)),
            ),
            "q must have a log density on all of its support, got nan at x = ",
        ),
        (
            lambda: differential_entropy.entropy(Density(lambda x: np.nan * x)),
            "p must have a log density on all of its support, got nan at x = ",
        ),
        (
            lambda: differential_entropy.entropy(
                Density(lambda x: np.where(x > 4.5, np.nan, laws.norm.logpdf(x)))
            ),
            r"p must have a log density on all of its support, got nan at x = [45678]\.",
        ),
        (
            lambda: differential_entropy.kl_divergence(laws.cauchy(), laws.norm()),
            "the divergence of p from q does not converge: .* it may be infinite",
        ),
        (
            lambda: differential_entropy.kl_divergence(laws.multivariate_normal([0, 1]), laws.norm()),
            r"p must be a density in one dimension, got x of shape \(2,\)",
        ),
        (
            lambda: differential_entropy.jensen_shannon(laws.norm(), Density(lambda x: -x, (0, 1))),
            r"q must integrate to 1 over its support \(0, 1\), got 0.632",
        ),
        (
            lambda: differential_entropy.jensen_shannon(
                laws.uniform(), Density(lambda x: np.where(x < 0.7, np.log(2), np.nan), (0.5, 1), (0.7,))
            ),
            "q must",
        ),
        (lambda: Density(np.log, 3), "support must be .*, got 3"),
        (lambda: Density(np.log, None), "support must be .*, got None"),
        (lambda: Density(np.log, (1, 1)), r"support must be an increasing pair of numbers, got \(1, 1\)"),
        (lambda: Density(np.log, (0, 1), (0.5, 2)), r"points\[1\] must be inside \(0, 1\), got 2$"),
        (
            lambda: differential_entropy.gaussian_entropy([[1, 2], [2, 1]]),
            "covariance must be positive definite",
        ),
        (
            lambda: differential_entropy.gaussian_entropy([[1, 0.5], [0, 1]]),
            r"covariance must be symmetric, which fails at \[0, 1\]",
        ),
        (
            lambda: differential_entropy.gaussian_entropy([1.0, 2.0]),
            r"covariance must be a square .* \(2,\)",
        ),
        (lambda: differential_entropy.gaussian_entropy(-1.0), "covariance must be positive, got -1"),
        (lambda: differential_entropy.gaussian_entropy(0.0), "covariance must be positive, got 0"),
        (lambda: differential_entropy.gaussian_entropy(np.nan), "covariance.* must be finite"),
        (lambda: differential_entropy.entropy(laws.norm(), base=0.5), "base must be above 1, got 0.5"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
