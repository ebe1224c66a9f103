"""Oracles: brute-force searches, closed forms of exponential families, and changes of units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit, softmax
from scipy.stats import norm

from curvezoo.theory import families, fisher, geometry, natural_gradient
from curvezoo.theory.likelihood import negative_log_likelihood

runs = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)

# One coin, with frequency 0.7 in the data, in three coordinates of its probability p.
COINS = {
    "probability": (lambda p: p, lambda p: p),
    "logit": (logit, lambda phi: expit(phi)),
    "angle": (lambda p: 2 * np.arcsin(np.sqrt(p)), lambda phi: np.sin(phi / 2) ** 2),
}
# A Gaussian: from (mu, sigma) and back.
GAUSSIANS = {
    "scale": (lambda t: t, lambda phi: phi),
    "log scale": (lambda t: np.array([t[0], np.log(t[1])]), lambda phi: np.array([phi[0], np.exp(phi[1])])),
    "natural": (
        lambda t: np.array([t[0], -0.5]) / t[1] ** 2,
        lambda phi: np.array([-phi[0] / (2 * phi[1]), np.sqrt(-0.5 / phi[1])]),
    ),
    "expectation": (
        lambda t: np.array([t[0], t[0] ** 2 + t[1] ** 2]),
        lambda phi: np.array([phi[0], np.sqrt(phi[1] - phi[0] ** 2)]),
    ),
}


def metric_of(rng, size):
    root = rng.normal(size=(size, size + 2))
    return root @ root.T


def coin_gradient(p, frequency=0.7):
    """Returns the derivative of -f log p - (1 - f) log(1 - p) with respect to p."""
    return (p - frequency) / (p * (1 - p))


def gaussian_gradient(theta, mean=1.0, variance=0.49):
    """Returns the gradient of <(x - mu)^2> / (2 sigma^2) + log sigma for data of this mean and variance."""
    mu, sigma = theta
    square = variance + (mu - mean) ** 2
    return np.array([(mu - mean) / sigma**2, 1 / sigma - square / sigma**3])


def order(errors, sizes):
    """Returns the power of the size with which the error falls, from the two smallest sizes."""
    return np.log(errors[-1] / errors[-2]) / np.log(sizes[-1] / sizes[-2])


@pytest.mark.equation("4.6.1")
@pytest.mark.equation("4.6.2")
def test_a_step_in_other_coordinates_follows_the_gradient_in_them():
    to_theta = GAUSSIANS["natural"][1]
    phi = GAUSSIANS["natural"][0](np.array([0.3, 1.2]))

    def loss(phi):
        mu, sigma = to_theta(phi)
        return (0.49 + (mu - 1) ** 2) / (2 * sigma**2) + np.log(sigma)

    stepped = natural_gradient.reparameterized_step(
        phi, gaussian_gradient(to_theta(phi)), fisher.jacobian(to_theta, phi), 0.01
    )
    h = 1e-5
    by_differences = [(loss(phi + h * e) - loss(phi - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(stepped, phi - 0.01 * np.array(by_differences), rtol=1e-8)


@pytest.mark.equation("4.6.3")
@pytest.mark.equation("4.6.4")
@pytest.mark.equation("4.6.5")
def test_the_induced_update_uses_the_induced_inverse_metric_to_first_order():
    rng = np.random.default_rng(0)
    mix, theta, sizes = rng.normal(size=(3, 4)), rng.normal(size=3), 2.0 ** -np.arange(4, 10)
    phi, gradient = rng.normal(size=4), rng.normal(size=3)
    linear = natural_gradient.reparameterized_step(phi, gradient, mix, 0.3)
    inverse = natural_gradient.induced_inverse_metric(mix)
    np.testing.assert_allclose(inverse, np.einsum("im,jm->ij", mix, mix), rtol=1e-14)
    expected = natural_gradient.metric_step(mix @ phi, gradient, inverse, 0.3)
    np.testing.assert_allclose(mix @ linear, expected, rtol=1e-12, atol=1e-12)

    def bent(phi):
        return np.sinh(mix @ phi)

    slopes, errors, moves = np.cosh(mix @ phi)[:, None] * mix, [], []
    for epsilon in sizes / 100:
        induced = bent(natural_gradient.reparameterized_step(phi, gradient, slopes, epsilon))
        inverse = natural_gradient.induced_inverse_metric(slopes)
        first = natural_gradient.metric_step(bent(phi), gradient, inverse, epsilon)
        errors.append(np.linalg.norm(induced - first))
        moves.append(np.linalg.norm(induced - bent(phi)))
    assert order(moves, sizes) == pytest.approx(1, abs=0.05)
    # The printed equality omits a second-order term.
    assert order(errors, sizes) == pytest.approx(2, abs=0.05)
    np.testing.assert_allclose(
        natural_gradient.metric_step(theta, gradient, np.eye(3), 0.1), theta - 0.1 * gradient
    )


def test_inverse_metrics_compose_like_coordinate_changes():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(3, 4)), rng.normal(size=(4, 5))
    through = natural_gradient.induced_inverse_metric(first, natural_gradient.induced_inverse_metric(second))
    np.testing.assert_allclose(through, natural_gradient.induced_inverse_metric(first @ second), rtol=1e-12)


@pytest.mark.equation("4.6.6")
def test_the_loss_depends_on_the_model_but_euclidean_distance_on_the_parameters():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=50)

    def log_density(data, theta):
        inputs, targets = data
        w, v = theta[:12].reshape(4, 3), theta[12:]
        return -0.5 * (targets - np.maximum(inputs @ w.T, 0) @ v) ** 2 - 0.5 * np.log(2 * np.pi)

    theta = rng.normal(size=16)
    # The loss is a function of the model's predictions alone.
    predictions = np.maximum(x @ theta[:12].reshape(4, 3).T, 0) @ theta[12:]
    model_loss = -norm.logpdf(y, predictions).mean()
    # Scale the inputs of the ReLU units up and their outputs down, or exchange two units.
    scaled = theta * np.concatenate([np.full(12, 4.0), np.full(4, 0.25)])
    swapped = theta[np.r_[3:6, 0:3, 6:12, 13, 12, 14, 15]]
    for same in (scaled, swapped):
        losses = [negative_log_likelihood(log_density, (x, y), t) for t in (theta, same)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
        assert losses[0] == pytest.approx(model_loss, rel=1e-12)
        assert natural_gradient.parameter_distance(theta, same) > 1


def random_model(rng, size=4):
    return rng.dirichlet(np.full(size, 0.5))


@pytest.mark.equation("4.6.7")
@pytest.mark.equation("4.6.8")
@given(seed=seeds)
@runs
def test_the_fisher_distance_is_a_metric_on_models(seed):
    rng = np.random.default_rng(seed)
    p, q, t = (random_model(rng) for _ in range(3))
    distance = families.categorical_distance
    assert distance(p, q) >= 0 and distance(p, p) == pytest.approx(0, abs=1e-7)
    assert distance(p, q) == pytest.approx(distance(q, p), rel=1e-12)
    assert distance(p, q) + distance(q, t) >= distance(p, t) - 1e-12
    assert (distance(p, q) > 1e-6) == (not np.allclose(p, q, atol=1e-8))
    # Their chord is a metric, too. The Fisher distance is the arc on the sphere of radius 2.
    angle = np.arccos(min(np.sqrt(p) @ np.sqrt(q), 1.0))
    assert distance(p, q) == pytest.approx(2 * angle, abs=1e-7)


@pytest.mark.equation("4.6.9")
@given(seed=seeds, size=st.integers(1, 6))
@runs
def test_the_euclidean_distance_is_a_metric_on_parameters(seed, size):
    p, q, t = np.random.default_rng(seed).normal(size=(3, size))
    distance = natural_gradient.parameter_distance
    assert distance(p, q) == pytest.approx(np.sqrt(sum((a - b) ** 2 for a, b in zip(p, q, strict=True))))
    assert distance(p, q) > 0 and distance(p, p) == 0 and distance(p, q) == distance(q, p)
    assert distance(p, q) + distance(q, t) >= distance(p, t) - 1e-12
    # The unit of one parameter decides which of two models is nearer.
    if size > 1:
        a, b = np.zeros(size), np.zeros(size)
        a[0], b[1] = 1.0, 2.0
        units = np.r_[3.0, np.ones(size - 1)]
        assert distance(a, 0 * a) < distance(b, 0 * b) and distance(a * units, 0 * a) > distance(
            b * units, 0 * b
        )


def nearest_minimum(theta, radius):
    """Minimizes the exact loss over KL(p_{theta + delta} || p_theta) = radius by a search over angles."""

    def point(angle):
        direction = np.array([np.cos(angle), np.sin(angle)])
        length = brentq(
            lambda r: families.gaussian_kl(theta + r * direction, theta) - radius, 0, 0.9, xtol=1e-15
        )
        return theta + length * direction

    def loss(angle):
        mu, sigma = point(angle)
        return (0.49 + (mu - 1) ** 2) / (2 * sigma**2) + np.log(sigma)

    rough = min(np.linspace(0, 2 * np.pi, 41), key=loss)
    best = minimize_scalar(loss, bounds=(rough - 0.2, rough + 0.2), method="bounded", options={"xatol": 1e-9})
    return point(best.x) - theta


@pytest.mark.equation("4.6.10")
def test_the_best_step_at_fixed_kl_is_steepest_with_squared_length_twice_the_kl():
    theta, errors, ratios = np.array([0.3, 1.2]), [], []
    radii = 10.0 ** -np.arange(2, 7)
    for radius in radii:
        exact = nearest_minimum(theta, radius)
        double, single = (
            natural_gradient.steepest_step(
                gaussian_gradient(theta), families.gaussian(theta), factor * radius
            ).step
            for factor in (2, 1)
        )
        errors.append(np.linalg.norm(exact - double) / np.linalg.norm(exact))
        ratios.append(np.linalg.norm(exact) / np.linalg.norm(single))
    # The relative error is of the order of the length, the square root of the radius.
    assert errors[-1] < 2e-3 and order(errors, radii) == pytest.approx(0.5, abs=0.1)
    # With the same epsilon in both equations, the step is too short by the square root of two.
    assert ratios[-1] == pytest.approx(np.sqrt(2), rel=1e-3)


@pytest.mark.equation("4.6.11")
@pytest.mark.equation("4.6.13")
@given(seed=seeds, size=st.integers(1, 5), epsilon=st.floats(1e-4, 1e4))
@runs
def test_no_step_of_the_same_length_descends_further(seed, size, epsilon):
    rng = np.random.default_rng(seed)
    gradient, metric = rng.normal(size=size), metric_of(rng, size)
    best = natural_gradient.steepest_step(gradient, metric, epsilon)
    assert best.step @ metric @ best.step == pytest.approx(epsilon, rel=1e-9)
    others = rng.normal(size=(200, size))
    others *= np.sqrt(epsilon / np.einsum("ni,ij,nj->n", others, metric, others))[:, None]
    assert best.decrease == pytest.approx(gradient @ best.step, rel=1e-9)
    assert np.all(others @ gradient >= best.decrease * (1 + 1e-9))
    # The step is parallel to M^-1 g, and the same in every unit of the loss.
    assert np.linalg.matrix_rank(np.stack([metric @ best.step, gradient]), tol=1e-6 * np.sqrt(epsilon)) == 1
    np.testing.assert_allclose(natural_gradient.steepest_step(7 * gradient, metric, epsilon).step, best.step)


@pytest.mark.equation("4.6.12")
@given(seed=seeds, size=st.integers(1, 5))
@runs
def test_the_lagrangian_is_stationary_in_the_step_and_the_multiplier(seed, size):
    rng = np.random.default_rng(seed)
    gradient, metric, epsilon = rng.normal(size=size), metric_of(rng, size), rng.uniform(0.1, 3)
    best = natural_gradient.steepest_step(gradient, metric, epsilon)

    def lagrangian(z):
        return z[0] * (z[1:] @ metric @ z[1:] - epsilon) + gradient @ z[1:]

    # The Lagrangian is quadratic in the step and linear in the multiplier: central differences are exact.
    for sign in (1, -1):
        at = sign * np.r_[best.multiplier, best.step]
        slopes = [lagrangian(at + 0.1 * e) - lagrangian(at - 0.1 * e) for e in np.eye(size + 1)]
        np.testing.assert_allclose(slopes, 0, atol=1e-10 * max(1, np.abs(metric).max()))
    assert best.multiplier > 0 > best.decrease
    # The multiplier is the sensitivity to the squared length: dL / d epsilon = -lambda.
    longer = natural_gradient.steepest_step(gradient, metric, epsilon * (1 + 1e-6))
    sensitivity = (longer.decrease - best.decrease) / (1e-6 * epsilon)
    assert sensitivity == pytest.approx(-best.multiplier, rel=1e-5)


@pytest.mark.equation("4.6.17")
@given(seed=seeds, size=st.integers(1, 5))
@runs
def test_natural_steps_are_invariant_to_linear_coordinates_not_units_of_the_loss(seed, size):
    rng = np.random.default_rng(seed)
    matrix, gradient, jacobian = (
        metric_of(rng, size),
        rng.normal(size=size),
        metric_of(rng, size) + np.eye(size),
    )
    step = natural_gradient.natural_step(gradient, matrix, 0.3)
    np.testing.assert_allclose(matrix @ step, -0.3 * gradient, rtol=1e-7, atol=1e-9)
    other = natural_gradient.natural_step(jacobian.T @ gradient, fisher.reparameterize(matrix, jacobian), 0.3)
    np.testing.assert_allclose(jacobian @ other, step, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(natural_gradient.natural_step(5 * gradient, matrix, 0.3), 5 * step, rtol=1e-12)
    # It equals the steepest step of the same length.
    same = natural_gradient.steepest_step(gradient, matrix, step @ matrix @ step).step
    np.testing.assert_allclose(same, step, rtol=1e-6, atol=1e-9)


def test_damping_has_the_units_of_the_fisher_matrix_and_breaks_the_invariance():
    matrix, gradient, unit = np.diag([2.0, 3.0]), np.array([1.0, -1.0]), np.array([10.0, 1.0])
    step = natural_gradient.natural_step(gradient, matrix, damping=0.5)
    np.testing.assert_allclose(step, [-1 / 2.5, 1 / 3.5], rtol=1e-14)
    # With theta = unit * phi, 2 becomes 200, and a damping of 0.5 matters less.
    other = natural_gradient.natural_step(unit * gradient, matrix * np.outer(unit, unit), damping=0.5)
    np.testing.assert_allclose(unit * other, [-1 / 2.005, 1 / 3.5], rtol=1e-14)
    far = natural_gradient.natural_step(gradient, matrix, damping=1e9)
    np.testing.assert_allclose(far, -gradient / 1e9, rtol=1e-8)


def test_a_singular_fisher_matrix_moves_the_model_as_fewer_parameters_do():
    p, frequency = np.array([0.2, 0.5, 0.3]), np.array([0.3, 0.6, 0.1])
    step = natural_gradient.natural_step(p - frequency, families.softmax(np.log(p)), 0.1)
    # dp = (diag p - p p^T) dtheta, and the categorical natural gradient is p - frequency.
    np.testing.assert_allclose(families.softmax(np.log(p)) @ step, -0.1 * (p - frequency), rtol=1e-12)
    with pytest.raises(ValueError, match="gradient must vanish along the null directions of fisher"):
        natural_gradient.natural_step([1.0, 1.0, 1.0], families.softmax(np.log(p)))
    # A parameter without any effect does not move.
    assert natural_gradient.natural_step([1.0, 0.0], np.diag([4.0, 0.0])).tolist() == [-0.25, 0.0]


@pytest.mark.parametrize("epsilon", [1.0, 0.3])
def test_in_expectation_parameters_a_step_of_one_is_maximum_likelihood(epsilon):
    rng = np.random.default_rng(3)
    counts, x = np.array([3.0, 5.0, 2.0, 10.0]), rng.normal(1.0, 0.7, 40)
    target = counts[:-1] / counts.sum()

    def categorical(p):
        return counts[-1] / counts.sum() / -(1 - p.sum()) * -np.ones(3) - target / p

    to_theta = GAUSSIANS["expectation"][1]
    slopes = fisher.jacobian
    moments = np.array([x.mean(), np.mean(x**2)])

    def gaussian(eta):
        g = gaussian_gradient(to_theta(eta), x.mean(), x.var())
        return slopes(to_theta, eta).T @ g

    cases = (
        (categorical, families.categorical, np.array([0.1, 0.2, 0.3]), target),
        (gaussian, geometry.pull_back(families.gaussian, to_theta), np.array([0.2, 1.5]), moments),
        (lambda p: coin_gradient(p), families.bernoulli, np.array([0.2]), np.array([0.7])),
        (lambda m: 1 - 4.2 / m, families.poisson, np.array([1.3]), np.array([4.2])),
    )
    for gradient, metric, start, landing in cases:
        path = natural_gradient.descent_path(gradient, start, epsilon, 3, metric=metric)
        progress = (1 - epsilon) ** np.arange(4)
        expected = natural_gradient.expectation_path(start, landing, progress)
        np.testing.assert_allclose(path, expected, rtol=0, atol=1e-7)


def test_a_natural_step_of_softmax_regression_is_a_newton_step():
    rng = np.random.default_rng(4)
    x, labels, theta = rng.normal(size=(40, 3)), rng.integers(0, 3, 40), rng.normal(size=9)

    def mean_loss_gradient(theta):
        p = softmax(x @ theta.reshape(3, 3), axis=1)
        return (x.T @ (p - np.eye(3)[labels]) / 40).ravel()

    p = softmax(x @ theta.reshape(3, 3), axis=1)
    matrix = np.einsum("ni,nab,nj->iajb", x, np.array([np.diag(q) - np.outer(q, q) for q in p]), x) / 40
    hessian = fisher.jacobian(mean_loss_gradient, theta)
    np.testing.assert_allclose(matrix.reshape(9, 9), hessian, atol=1e-8)
    step = natural_gradient.natural_step(mean_loss_gradient(theta), matrix.reshape(9, 9))
    np.testing.assert_allclose(hessian @ step, -mean_loss_gradient(theta), atol=1e-8)


def coin_steps(epsilon, metric):
    paths = [
        natural_gradient.descent_path(coin_gradient, [there(0.2)], epsilon, 1, back, metric)
        for there, back in COINS.values()
    ]
    return np.array(paths)[:, 1, 0]


def test_steps_differ_between_coordinates_by_epsilon_squared_or_epsilon_for_sgd():
    sizes = 2.0 ** -np.arange(3, 11)
    natural, plain = ([np.ptp(coin_steps(e, metric)) for e in sizes] for metric in (families.bernoulli, None))
    assert order(natural, sizes) == pytest.approx(2, abs=0.02)
    assert order(plain, sizes) == pytest.approx(1, abs=0.02)
    # p'' / 2 along each coordinate; for the logit, phi'' = -(1 - 2 p) / (p (1 - p))^2 times the squared step.
    curved = coin_steps(sizes[-1], families.bernoulli)
    predicted = 0.5 * (0.5 * sizes[-1]) ** 2 * (1 - 0.4) / 0.16
    assert curved[1] - curved[0] == pytest.approx(predicted, rel=1e-2)


@pytest.mark.parametrize("name", GAUSSIANS)
def test_paths_in_all_coordinates_agree_with_the_flow_to_order_epsilon(name):
    there, back = GAUSSIANS[name]
    start, sizes, errors, plain = np.array([-0.5, 1.6]), np.array([0.08, 0.04, 0.02]), [], []
    moments = np.array([1.0, 1.49])
    for epsilon in sizes:
        steps = round(0.8 / epsilon)
        arguments = (gaussian_gradient, there(start), epsilon, steps, back)
        path = natural_gradient.descent_path(*arguments, metric=families.gaussian)
        flow = natural_gradient.expectation_path(
            GAUSSIANS["expectation"][0](start), moments, np.exp(-epsilon * np.arange(steps + 1))
        )
        ends = GAUSSIANS["expectation"][1](flow[-1])
        errors.append(np.linalg.norm(path[-1] - ends))
        plain.append(np.linalg.norm(natural_gradient.descent_path(*arguments)[-1] - ends))
    assert order(errors, sizes) == pytest.approx(1, abs=0.15)
    assert errors[-1] < 0.05 < 0.1 < plain[-1]


def test_the_fisher_matrix_depends_on_the_coordinates():
    theta = np.array([0.3, 1.2])
    there, back = GAUSSIANS["natural"]
    inside = geometry.pull_back(families.gaussian, back)(there(theta))
    slopes = fisher.jacobian(back, there(theta))
    np.testing.assert_allclose(inside, slopes.T @ families.gaussian(theta) @ slopes, rtol=1e-8)
    assert np.abs(inside - families.gaussian(theta)).max() > 1


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300])
def test_the_steepest_step_does_not_depend_on_the_size_of_the_gradient(size):
    metric = np.array([[2.0, 1.0], [1.0, 3.0]])
    ours = natural_gradient.steepest_step([3 * size, -4 * size], metric, 0.2)
    unit = natural_gradient.steepest_step([3.0, -4.0], metric, 0.2)
    np.testing.assert_allclose(ours.step, unit.step, rtol=1e-13)
    assert ours.decrease / size == pytest.approx(unit.decrease, rel=1e-13)
    assert ours.multiplier / size == pytest.approx(unit.multiplier, rel=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.natural_step([1.0, -1], [[1.0, -1], [-1, 1]], damping=1e-20),
            "damping must not be rounded away in fisher",
        ),
        (
            lambda m: m.steepest_step([0.0, 0.0], np.eye(2), 1.0),
            "gradient must have an entry that is not zero: otherwise all steps are equally good",
        ),
        (lambda m: m.steepest_step([1.0, 0.0], np.diag([1.0, 0.0]), 1.0), "metric must be positive definite"),
        (lambda m: m.steepest_step([1.0, 0.0], np.eye(2), 0.0), "squared_length must be positive, got 0"),
        (
            lambda m: m.steepest_step([1.0, 0.0], np.eye(3), 1.0),
            r"metric must have shape \(2, 2\), got \(3, 3\)",
        ),
        (lambda m: m.natural_step([1.0, np.nan], np.eye(2)), r"gradient\[1\] must be finite, got nan"),
        (lambda m: m.natural_step([1.0], [[-1.0]]), r"fisher\[0\] must have a diagonal that is not negative"),
        (lambda m: m.natural_step([1.0], [[1.0]], damping=-1.0), "damping must not be negative, got -1"),
        (lambda m: m.natural_step([1.0], np.eye(2)), r"fisher must have shape \(1, 1\), got \(2, 2\)"),
        (
            lambda m: m.metric_step([1.0], [1.0, 2.0], np.eye(1), 0.1),
            "theta and gradient must have the same shape",
        ),
        (lambda m: m.metric_step([1.0], [1.0], np.eye(2), 0.1), "inverse_metric must have shape"),
        (lambda m: m.induced_inverse_metric(np.eye(2), np.eye(3)), "inverse_metric must have shape"),
        (
            lambda m: m.reparameterized_step([1.0], [1.0], np.eye(2), 0.1),
            r"jacobian must have shape \(1, 1\)",
        ),
        (lambda m: m.parameter_distance([1.0, 2.0], [1.0, 2.0, 3.0]), "shapes must broadcast to one"),
        (lambda m: m.expectation_path([1.0], [1.0, 2.0], 0.5), "start and target must have the same shape"),
        (lambda m: m.descent_path(np.cos, [1.0], 0.1, -1), "steps must be an integer of at least 0"),
        (lambda m: m.descent_path(np.cos, [1.0], -0.1, 1), "learning_rate must be positive, got -0.1"),
        (
            lambda m: m.descent_path(lambda t: t * np.inf, [1.0], 0.1, 1),
            r"gradient\(theta=\[1.0\]\)\[0\] must be finite",
        ),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(natural_gradient)
