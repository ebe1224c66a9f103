"""Oracles: closed forms of the Gaussian half-plane and the sphere of probabilities, and SciPy's densities."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from curvezoo.theory import families, geometry

PAIRS = [
    ((0.0, 1.0), (1.0, 2.0)),
    ((-2.0, 0.5), (2.0, 0.5)),
    ((0.0, 1.0), (0.0, 5.0)),
    ((5.0, 1e-3), (5.01, 2e-3)),
]
P = np.array([0.7, 0.2, 0.1])


def line(start, end):
    """Returns the straight path between two points."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    return lambda t: start + t * (end - start)


@pytest.mark.equation("2.3.10")
def test_lengths_of_straight_paths_match_closed_forms():
    scale = geometry.length(families.gaussian, line((0.0, 1.0), (0.0, 3.0)))
    assert scale == pytest.approx(np.sqrt(2) * np.log(3), rel=1e-10)
    location = geometry.length(families.gaussian, line((-1.0, 2.0), (5.0, 2.0)))
    assert location == pytest.approx(6 / 2, rel=1e-10)
    # The length does not depend on the speed along the path.
    assert geometry.length(families.gaussian, lambda t: (0.0, 1 + 2 * t**3)) == pytest.approx(scale, rel=1e-9)


@pytest.mark.equation("2.3.10")
def test_the_root_of_the_divergence_needs_a_factor_of_root_two_to_be_a_length():
    theta, direction = np.array([0.4, 1.5]), np.array([0.6, 0.8])
    speed = np.sqrt(direction @ families.gaussian(theta) @ direction)
    epsilon = 1e-5
    printed = np.sqrt(families.gaussian_kl(theta, theta + epsilon * direction)) / epsilon
    assert np.sqrt(2) * printed == pytest.approx(speed, rel=3e-5)
    assert printed / speed == pytest.approx(1 / np.sqrt(2), rel=3e-5)
    # The length of a finite step has a relative error of its own size.
    end = theta + 1e-3 * direction
    step = geometry.length(families.gaussian, line(theta, end))
    assert step == pytest.approx(np.sqrt(2 * families.gaussian_kl(theta, end)), rel=3e-3)


@pytest.mark.equation("2.3.9")
def test_the_sum_of_divergences_of_n_steps_vanishes_as_one_over_n():
    path = families.gaussian_geodesic((-1.0, 0.5), (1.5, 1.5))
    length = families.gaussian_distance((-1.0, 0.5), (1.5, 1.5))
    for n in (1000, 4000):
        steps = geometry.step_divergences(families.gaussian_kl, path, n)
        # The steps have the length L / n, which is also the relative size of the next order of D.
        assert n * steps.sum() == pytest.approx(length**2 / 2, rel=2 * length / n)
        assert np.sqrt(2 * steps).sum() == pytest.approx(length, rel=2 * length / n)


@pytest.mark.equation("2.3.9")
def test_the_sum_of_divergences_is_half_of_the_printed_sum():
    path = line((0.0, 0.5), (3.0, 2.0))
    energy, length = (f(families.gaussian, path) for f in (geometry.energy, geometry.length))
    assert energy > 1.02 * length**2
    n = 2000
    steps = geometry.step_divergences(families.gaussian_kl, path, n)
    points = [path(t) for t in np.linspace(0, 1, n + 1)]
    printed = sum((b - a) @ families.gaussian(a) @ (b - a) for a, b in pairwise(points))
    assert steps.sum() / printed == pytest.approx(1 / 2, rel=3e-3)
    assert n * steps.sum() == pytest.approx(energy / 2, rel=3e-3)


def test_gaussians_have_the_christoffel_symbols_of_the_half_plane():
    sigma = 1.7
    symbols = geometry.christoffel(families.gaussian, [0.4, sigma])
    expected = np.zeros((2, 2, 2))
    expected[0, 0, 1] = expected[0, 1, 0] = expected[1, 1, 1] = -1 / sigma
    expected[1, 0, 0] = 1 / (2 * sigma)
    np.testing.assert_allclose(symbols, expected, atol=1e-9)


@pytest.mark.parametrize("start, end", PAIRS)
def test_geodesics_between_gaussians_match_closed_forms(start, end):
    geodesic = geometry.geodesic_between(families.gaussian, start, end)
    assert geodesic.length == pytest.approx(families.gaussian_distance(start, end), rel=1e-6)
    times = np.linspace(0, 1, 21)
    exact = families.gaussian_geodesic(start, end)(times)
    np.testing.assert_allclose(geodesic(times), exact, atol=1e-5 * np.ptp(exact, axis=0).max())


@pytest.mark.parametrize(
    "start, end",
    [
        ((0.0, 1e-4), (0.0, 1.0)),
        ((-100.0, 1.0), (100.0, 0.1)),
        ((3.0, 1e-9), (3.0, 1e9)),
        ((0.0, 1.0), (1e-9, 1.0)),
        ((1e8, 1.0), (1e8 + 1, 1.0)),
        ((2.0, 3.0), (2.0, 3.0)),
    ],
)
def test_distances_of_far_and_near_gaussians_match_closed_forms(start, end):
    exact = families.gaussian_distance(start, end)
    geodesic = geometry.geodesic_between(families.gaussian, start, end)
    assert geodesic.length == pytest.approx(exact, rel=1e-10)
    path = families.gaussian_geodesic(start, end)
    apart = [families.gaussian_distance(path(t), geodesic(t)) for t in (0.0, 0.1, 0.5, 0.85, 1.0)]
    assert max(apart) <= 1e-5 * exact + 1e-8


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_distances_scale_with_the_number_of_examples(scale):
    start, end = (0.0, 1e-2), (1.0, 1.0)
    distance = geometry.distance(lambda theta: scale * families.gaussian(theta), start, end)
    exact = np.sqrt(scale) * families.gaussian_distance(start, end)
    assert distance == pytest.approx(exact, rel=1e-10)


def test_distances_to_rare_events_match_closed_forms():
    assert geometry.distance(families.exponential, [1e-8], [1.0]) == pytest.approx(np.log(1e8), rel=1e-10)
    assert geometry.distance(families.poisson, [1e-4], [1e2]) == pytest.approx(20 - 0.02, rel=1e-10)
    p, q = np.array([1e-3, 0.299, 0.7]), np.array([0.7, 0.299, 1e-3])
    exact = families.categorical_distance(p, q)
    assert geometry.distance(families.categorical, p[:2], q[:2]) == pytest.approx(exact, rel=1e-8)


def test_independent_gaussians_have_the_distance_of_pythagoras():
    # The reflection of x_2 is an isometry, so that its fixed points, m_2 = C_12 = 0, are totally geodesic.
    start, end, ratio = (0.0, 0.3), (1.0, 1.0), 3.0
    exact = np.hypot(families.gaussian_distance(start, end), np.sqrt(2) * np.log(ratio))
    points = [start[0], 0, start[1] ** 2, 0, 1], [end[0], 0, end[1] ** 2, 0, ratio**2]
    assert geometry.distance(families.multivariate_gaussian, *points) == pytest.approx(exact, rel=1e-9)


def test_moving_both_means_is_shorter_with_a_correlation():
    start, end = (0.0, 1.0), (4.0, 1.0)
    exact = families.gaussian_distance(start, (4 * np.sqrt(2), 1.0))
    points = [start[0], start[0], 1, 0, 1], [end[0], end[0], 1, 0, 1]
    # Along the diagonal this is the problem in one dimension, so that only the variance there changes.
    path = geometry.geodesic_between(families.multivariate_gaussian, *points)
    assert path.length == pytest.approx(exact, rel=1e-9)
    assert exact < np.sqrt(2) * families.gaussian_distance(start, end)
    assert path(0.5)[3] > 0.1


def test_a_geodesic_from_an_initial_velocity_has_its_speed_and_length():
    start, velocity = np.array([-2.0, 0.5]), np.array([1.0, 2.0])
    geodesic = geometry.geodesic_from(families.gaussian, start, velocity)
    assert geodesic.length == pytest.approx(np.sqrt(1 + 2 * 4) / 0.5, rel=1e-12)
    assert families.gaussian_distance(start, geodesic(1.0)) == pytest.approx(geodesic.length, rel=1e-7)
    velocities = geodesic.velocity(np.linspace(0, 1, 5))
    speeds = [
        np.sqrt(v @ families.gaussian(x) @ v)
        for x, v in zip(geodesic(np.linspace(0, 1, 5)), velocities, strict=True)
    ]
    np.testing.assert_allclose(speeds, geodesic.length, rtol=1e-7)


@pytest.mark.parametrize("sigma", [1e-100, 1e-20, 1e-8, 1e-7, 1e-5, 1e3, 1e20])
def test_geodesics_from_a_velocity_are_the_same_in_any_units(sigma):
    start, unit = np.array([-2.0, 0.5]), np.array([1.0, 2.0])
    reference = geometry.geodesic_from(families.gaussian, start, unit)(1.0)
    geodesic = geometry.geodesic_from(families.gaussian, sigma * start, sigma * unit)
    np.testing.assert_allclose(geodesic(1.0) / sigma, reference, rtol=1e-7)


def test_a_geodesic_from_a_jump_of_the_metric_is_refused():
    def jump(theta):
        return np.eye(1) * (2.0 if theta[0] > 0 else 1.0)

    with pytest.raises(ValueError, match="metric must be finite and smooth near theta"):
        geometry.geodesic_from(jump, [0.0], [1.0])


def test_a_geodesic_from_a_velocity_may_leave_the_domain_after_unit_time():
    def flat(theta):
        return np.eye(1) if theta[0] > -1.5 else np.full((1, 1), np.nan)

    geodesic = geometry.geodesic_from(flat, [0.0], [-1.0])
    assert geodesic(1.0) == pytest.approx([-1.0], rel=1e-9)


@pytest.mark.equation("2.3.10")
def test_lengths_do_not_depend_on_the_parameters():
    def natural(eta):
        # eta = (mu / v, -1 / (2 v)), the natural parameters of the exponential family.
        variance = -1 / (2 * eta[1])
        return np.array([eta[0] * variance, np.sqrt(variance)])

    def inverse(theta):
        return np.array([theta[0] / theta[1] ** 2, -1 / (2 * theta[1] ** 2)])

    path = line((0.0, 1.0), (1.0, 2.0))
    metric = geometry.pull_back(families.gaussian, natural)
    expected = geometry.length(families.gaussian, path)
    assert geometry.length(metric, lambda t: inverse(path(t))) == pytest.approx(expected, rel=1e-8)


@pytest.mark.equation("2.3.11")
def test_the_volume_element_transforms_as_a_density():
    theta = np.array([0.4, 1.7])
    assert geometry.volume_element(families.gaussian, theta) == pytest.approx(np.sqrt(2) / 1.7**2, rel=1e-14)

    def coordinates(phi):
        return np.array([phi[0] + phi[1] ** 2, np.exp(phi[1])])

    phi = np.array([theta[0] - np.log(theta[1]) ** 2, np.log(theta[1])])
    ours = geometry.volume_element(geometry.pull_back(families.gaussian, coordinates), phi)
    # |det J| = exp(phi_2) = sigma.
    assert ours == pytest.approx(theta[1] * np.sqrt(2) / theta[1] ** 2, rel=1e-9)
    assert geometry.volume_element(families.softmax, [0.0, 1.0, 2.0]) == 0


@pytest.mark.equation("2.3.12")
def test_jeffreys_prior_of_a_coin_is_a_beta_distribution_in_any_parameter():
    prior = geometry.jeffreys_prior(families.bernoulli, [(0.0, 1.0)])
    assert prior.volume == pytest.approx(np.pi, rel=1e-9)
    for p in (0.01, 0.3, 0.9):
        assert prior.density([p]) == pytest.approx(stats.beta(0.5, 0.5).pdf(p), rel=1e-9)
    # With p = sin^2(angle) the prior is uniform in the angle, with the same volume.
    by_angle = geometry.jeffreys_prior(
        geometry.pull_back(families.bernoulli, lambda a: np.sin(a) ** 2), [(0.0, np.pi / 2)]
    )
    assert by_angle.volume == pytest.approx(np.pi, rel=1e-8)
    assert by_angle.density([0.3]) == pytest.approx(2 / np.pi, rel=1e-8)


@pytest.mark.equation("2.3.11")
@pytest.mark.equation("2.3.12")
def test_the_volume_of_three_categories_is_an_octant_of_the_sphere():
    def angles(a):
        return np.sin(a[0]) ** 2 * np.array([np.cos(a[1]) ** 2, np.sin(a[1]) ** 2])

    prior = geometry.jeffreys_prior(geometry.pull_back(families.categorical, angles), [(0.0, np.pi / 2)] * 2)
    assert prior.volume == pytest.approx(4 * np.pi * 2**2 / 8, rel=1e-7)
    dirichlet = stats.dirichlet([0.5] * 3).pdf([0.2, 0.5, 0.3])
    assert geometry.volume_element(families.categorical, P[[1, 2]]) == pytest.approx(
        np.prod(P) ** -0.5, rel=1e-12
    )
    assert geometry.volume_element(families.categorical, [0.2, 0.5]) / prior.volume == pytest.approx(
        dirichlet, rel=1e-7
    )


@pytest.mark.equation("2.3.12")
@pytest.mark.parametrize(
    "metric, bounds",
    [
        (lambda t: np.eye(1), [(-np.inf, np.inf)]),
        (families.exponential, [(0, np.inf)]),
        (families.poisson, [(0, np.inf)]),
        (families.gaussian, [(-np.inf, np.inf), (0, np.inf)]),
    ],
    ids=["location", "rate", "poisson", "gaussian"],
)
def test_jeffreys_prior_requires_a_finite_volume(metric, bounds):
    with pytest.raises(ValueError, match="bounds must enclose a finite integral"):
        geometry.jeffreys_prior(metric, bounds)


def test_bounds_can_make_the_volume_of_an_infinite_model_finite():
    prior = geometry.jeffreys_prior(families.gaussian, [(-1.0, 1.0), (0.5, np.inf)])
    assert prior.volume == pytest.approx(2 * np.sqrt(2) / 0.5, rel=1e-9)
    above = geometry.jeffreys_prior(families.gaussian, [(-1.0, 1.0), lambda mean: (1 + mean**2, np.inf)])
    assert above.volume == pytest.approx(np.sqrt(2) * np.pi / 2, rel=1e-9)


def test_a_prior_vanishes_outside_its_bounds():
    half = geometry.jeffreys_prior(families.bernoulli, [(0.0, 0.5)])
    assert half.density([0.3]) == pytest.approx(2 * stats.beta(0.5, 0.5).pdf(0.3), rel=1e-9)
    assert half.density([0.7]) == half.density([-3.0]) == 0
    above = geometry.jeffreys_prior(families.gaussian, [(-1.0, 1.0), lambda mean: (1 + mean**2, np.inf)])
    assert above.density([0.5, 1.3]) == pytest.approx(np.sqrt(2) / 1.3**2 / above.volume, rel=1e-12)
    assert above.density([0.5, 1.2]) == above.density([1.5, 9.0]) == 0
    simplex = geometry.jeffreys_prior(families.categorical, [(0.1, 0.8), lambda p: (0.1, 0.9 - p)])
    assert simplex.density([0.2, 0.3]) > 0 == simplex.density([0.2, 0.75])


def test_definiteness_does_not_depend_on_units():
    scales = np.array([1e14, 1.0])
    assert geometry.volume_element(lambda t: np.diag(scales), [0.0, 0.0]) == pytest.approx(1e7, rel=1e-14)
    geodesic = geometry.geodesic_from(lambda t: np.diag(scales), [0.0, 0.0], [1e-7, 1.0])
    assert geodesic.length == pytest.approx(np.sqrt(2), rel=1e-12)


def test_divergences_of_long_steps_to_narrow_gaussians_are_finite():
    steps = geometry.step_divergences(families.gaussian_kl, line((0, 1e-9), (0, 1)), 1)
    assert steps[0] == pytest.approx(np.log(1e9) - 1 / 2, rel=1e-15)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: geometry.length(families.gaussian, line((0, 1), (0, -1))),
            r"path must stay in the domain of metric, but at t = 0.5 theta\[1\] must be from 1e-150",
        ),
        (
            lambda: geometry.length(lambda t: -np.eye(2), line((0, 1), (0, 2))),
            r"metric\(theta=\[0.0, 1.5\]\)\[0\] must have a diagonal that is not negative",
        ),
        (
            lambda: geometry.geodesic_from(families.softmax, [0, 0.0], [1, 0]),
            r"metric\(theta=\[0.0, 0.0\]\) must be positive definite",
        ),
        (
            lambda: geometry.christoffel(lambda t: np.ones((2, 3)), [0, 1]),
            r"metric\(theta=\[0.0, 1.0\]\) must be a 2 x 2 matrix, got shape \(2, 3\)",
        ),
        (
            lambda: geometry.volume_element(lambda t: np.array([[1, 2], [2.0, 1]]), [0, 1]),
            r"metric\(theta=\[0.0, 1.0\]\) must be positive semidefinite, got least eigenvalue -1",
        ),
        (lambda: geometry.volume_element(families.gaussian, []), "theta must hold a location and a scale"),
        (lambda: geometry.jeffreys_prior(families.bernoulli, []), r"bounds must be a list .*, got \[\]$"),
        (lambda: geometry.jeffreys_prior(families.bernoulli, 3), "bounds must be a list .*, got 3$"),
        (lambda: geometry.jeffreys_prior(families.bernoulli, [3]), r"bounds\[0\] must be an increasing pair"),
        (
            lambda: geometry.jeffreys_prior(families.gaussian, [(0, 1), (np.nan, 1)]),
            r"bounds\[1\] must be an increasing pair of numbers, got \(nan, 1\)",
        ),
        (
            lambda: geometry.jeffreys_prior(families.gaussian, [(0, 1), lambda mean: (np.nan, 1)]),
            r"bounds\[1\] must be an increasing pair of numbers, got \(nan, 1\)",
        ),
        (
            lambda: geometry.jeffreys_prior(families.bernoulli, [(0, 2)]),
            "bounds must stay in the domain of metric, but theta must hold probabilities",
        ),
        (
            lambda: geometry.jeffreys_prior(families.softmax, [(-1, 1), (-1, 1)]),
            "bounds must enclose a positive, finite integral of sqrt\\(det F\\), got 0",
        ),
        (
            lambda: geometry.jeffreys_prior(families.bernoulli, [(0, 1)]).density([0.1, 0.2]),
            "theta must have one entry per bound, 1, got 2",
        ),
        (
            lambda: geometry.geodesic_from(families.gaussian, (0, 1), (1, 0))(np.nan),
            "t must be finite",
        ),
        (
            lambda: geometry.geodesic_between(families.gaussian, (0, 1), (0, -1)),
            r"theta\[1\] must be from 1e-150",
        ),
        (
            lambda: geometry.distance(lambda t: families.gaussian([t[0], abs(t[1])]), (0, -1), (0, 1)),
            r"end must be reached by a geodesic in the domain of metric, got \[0.0, 1.0\]: the straight line",
        ),
        (
            lambda: geometry.geodesic_from(families.gaussian, (0, 1), (1, 0, 0)),
            "start and velocity must have the same",
        ),
        (
            lambda: geometry.geodesic_from(families.categorical, (0.3, 0.3), (2.0, 0.0)),
            "velocity must keep the geodesic in the domain of metric",
        ),
        (
            lambda: geometry.step_divergences(families.gaussian_kl, line((0, 1), (0, 2)), 0),
            "steps must be an integer",
        ),
        (lambda: geometry.volume_element(families.gaussian, [0.0, np.nan]), r"theta\[1\] must be finite"),
    ],
)
def test_invalid_arguments_raise_errors_that_name_them(call, message):
    with pytest.raises(ValueError, match=message):
        call()
