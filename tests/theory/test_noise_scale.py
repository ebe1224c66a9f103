"""Oracles: enumeration of all batches, numerical minimization, and simulation."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from curvezoo.theory import noise_scale

steady = settings(max_examples=50, deadline=None, derandomize=True)


def problem(seed, p=4, n=5, shift=0.7):
    """Returns a random positive definite Hessian [P, P] and per-example gradients [N, P]."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(p, p))
    return root @ root.T + 0.1 * np.eye(p), rng.normal(size=(n, p)) + shift


def model_of(hessian, gradients):
    mean, covariance = noise_scale.gradient_moments(gradients)
    return noise_scale.LocalModel(mean, hessian, covariance)


def all_batches(gradients, size):
    """Returns the mean gradients of all equally likely batches drawn with replacement, [N^B, P]."""
    indices = np.array(list(itertools.product(range(len(gradients)), repeat=size)))
    return gradients[indices].mean(axis=1)


@pytest.mark.equation("4.5.1")
@pytest.mark.equation("4.5.2")
@pytest.mark.equation("4.5.3")
@pytest.mark.parametrize("size", [1, 2, 4])
def test_batch_gradients_have_the_mean_and_one_bth_of_the_covariance(size):
    _, gradients = problem(0)
    mean, covariance = noise_scale.gradient_moments(gradients)
    batches = all_batches(gradients, size)
    np.testing.assert_allclose(batches.mean(axis=0), mean, rtol=1e-12)
    np.testing.assert_allclose(np.cov(batches.T, ddof=0), covariance / size, rtol=1e-12, atol=1e-15)
    second = np.mean([np.outer(g, g) for g in gradients], axis=0)
    np.testing.assert_allclose(covariance, second - np.outer(mean, mean), rtol=1e-10, atol=1e-14)
    if size > 1:
        norms = (np.mean(np.sum(each**2, axis=1)) for each in (gradients, batches))
        estimates = noise_scale.two_batch_estimates(*norms, 1, size)
        np.testing.assert_allclose(estimates, (mean @ mean, np.trace(covariance)), rtol=1e-11)


@pytest.mark.equation("4.5.2")
@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_without_replacement_the_covariance_scales_as_1_over_b_minus_1_over_d(size):
    _, gradients = problem(0)
    d = len(gradients)
    batches = [np.mean(batch, axis=0) for batch in itertools.combinations(gradients, size)]
    unbiased = np.cov(gradients.T)
    expected = (1 / size - 1 / d) * unbiased
    np.testing.assert_allclose(np.cov(np.transpose(batches), ddof=0), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.equation("4.5.4")
@pytest.mark.equation("4.5.5")
@pytest.mark.parametrize("size", [1, 3, 4])
def test_the_expected_change_is_the_average_over_all_batches(size):
    hessian, gradients = problem(1)
    model = model_of(hessian, gradients)

    def loss(moves):
        # The loss itself is quadratic, so that the expansion is exact.
        return moves @ model.gradient + np.einsum("np,pq,nq->n", moves, hessian, moves) / 2

    for step in (0.01, 0.3, -0.2):
        average = np.mean(loss(-step * all_batches(gradients, size)))
        assert model.expected_change(step, size) == pytest.approx(average, rel=1e-11)


@pytest.mark.equation("4.5.5")
def test_beyond_a_quadratic_loss_the_expectation_is_only_approximate():
    # L = E (theta - x)^4 / 4 over x = -1, 0, 2: the error is of third order in the step.
    x, theta = np.array([-1.0, 0.0, 2.0]), 1.5
    gradients, hessian = (theta - x)[:, None] ** 3, [[np.mean(3 * (theta - x) ** 2)]]
    model = model_of(hessian, gradients)

    def loss(at):
        return np.mean((at[:, None] - x) ** 4 / 4)

    errors = []
    for step in (1e-2, 1e-3):
        exact = loss(theta - step * all_batches(gradients, 2)[:, 0]) - loss(np.array([theta]))
        errors.append(exact - model.expected_change(step, 2))
    assert abs(errors[0]) > 5e-4
    assert errors[0] / errors[1] == pytest.approx(1000, rel=0.1)


@pytest.mark.equation("4.5.5")
@pytest.mark.parametrize("seed", [0, 1])
def test_simulated_batches_give_the_expected_change(seed):
    hessian, gradients = problem(seed, p=12, n=60, shift=0.3)
    model = model_of(hessian, gradients)
    rng = np.random.default_rng(seed)
    for size in (1, 7, 200):
        batches = rng.multinomial(size, np.full(60, 1 / 60), size=20_000) @ gradients / size
        step = model.optimal_step(size)
        changes = -step * batches @ model.gradient
        changes += step**2 / 2 * np.sum(batches @ hessian * batches, axis=1)
        error = changes.std(ddof=1) / np.sqrt(len(changes))
        assert abs(changes.mean() - model.expected_change(step, size)) < 5 * error


@pytest.mark.equation("4.5.6")
@pytest.mark.equation("4.5.7")
@pytest.mark.equation("4.5.8")
@pytest.mark.parametrize("size", [0.5, 1, 10, 1000])
def test_numerical_minimization_of_the_expected_change_gives_step_and_gain(size):
    model = model_of(*problem(2))
    # Eqs. 4.5.6 to 4.5.8, evaluated term by term.
    g, h, sigma = model.gradient, model.hessian, model.covariance
    scale = np.trace(h @ sigma) / (g @ h @ g)
    largest = g @ g / (g @ h @ g)
    assert model.noise_scale == pytest.approx(scale, rel=1e-12)
    assert model.largest_step == pytest.approx(largest, rel=1e-12)
    assert model.optimal_step(size) == pytest.approx(largest / (1 + scale / size), rel=1e-12)
    gain = (g @ g) ** 2 / (g @ h @ g) / 2 / (1 + scale / size)
    step = model.optimal_step(size)

    def change(eps):
        return model.expected_change(eps, size)

    def slope(eps):
        # A parabola's central difference is exact, while its flat minimum is resolved to 1e-8 only.
        return change(eps + step / 2) - change(eps - step / 2)

    root = brentq(slope, 0.1 * step, 3 * step, xtol=1e-15 * step, rtol=1e-14)
    assert root == pytest.approx(step, rel=1e-8)
    assert minimize_scalar(change).x == pytest.approx(step, rel=1e-6)
    assert model.optimal_gain(size) == pytest.approx(gain, rel=1e-12)
    assert -change(root) == pytest.approx(model.optimal_gain(size), rel=1e-8)


@pytest.mark.equation("4.5.6")
def test_beyond_twice_the_optimal_step_the_loss_rises_on_average():
    model = model_of(*problem(3))
    step = model.optimal_step(8)
    assert model.expected_change(2 * step, 8) == pytest.approx(0, abs=1e-12)
    assert model.expected_change(1.99 * step, 8) < 0 < model.expected_change(2.01 * step, 8)


@pytest.mark.equation("4.5.7")
def test_the_turnover_lies_at_the_noise_scale():
    model = model_of(*problem(4))
    scale, largest = model.noise_scale, model.largest_gain
    assert model.optimal_gain(scale) == pytest.approx(largest / 2, rel=1e-12)
    assert model.optimal_gain(1e-6 * scale) == pytest.approx(1e-6 * largest, rel=2e-6)
    assert model.optimal_gain(1e6 * scale) == pytest.approx(largest, rel=2e-6)

    def slope(size, h=1e-5):
        gains = np.log(model.optimal_gain(size * np.exp([-h, h])))
        return (gains[1] - gains[0]) / (2 * h)

    assert slope(scale) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.equation("4.5.9")
def test_a_hessian_proportional_to_the_identity_gives_the_simple_scale():
    _, gradients = problem(5)
    model = model_of(3.7 * np.eye(4), gradients)
    assert model.noise_scale == pytest.approx(model.simple_noise_scale, rel=1e-12)
    mean = gradients.mean(axis=0)
    variances = np.mean((gradients - mean) ** 2, axis=0)
    assert model.simple_noise_scale == pytest.approx(variances.sum() / np.sum(mean**2), rel=1e-12)


@pytest.mark.equation("4.5.9")
def test_the_noise_is_divided_by_the_squared_norm_and_not_by_the_norm():
    # |G| = 2 and tr Sigma = 12: the scale is 3. Division by |G| would give 6, and 6 c for c times the loss.
    gradients = np.array([[2.0, 0.0]]) + np.sqrt(12) * np.array([[0.0, 1.0], [0.0, -1.0]])
    for c in (1.0, 10.0, 1e-4):
        model = model_of(np.eye(2), c * gradients)
        assert model.simple_noise_scale == pytest.approx(3, rel=1e-12)
        printed = np.trace(model.covariance) / np.sqrt(model.squared_norm)
        assert printed == pytest.approx(6 * c, rel=1e-12)
        running = noise_scale.RunningNoiseScale()
        running.update(*noise_scale.two_batch_estimates(c**2 * 16, c**2 * 10, 1, 2))
        assert running.noise_scale == pytest.approx(3, rel=1e-12)


@pytest.mark.equation("4.5.10")
@pytest.mark.parametrize("size", [1, 4])
def test_the_relative_error_is_the_mean_squared_distance_and_not_the_distance(size):
    hessian, gradients = problem(6)
    model = model_of(hessian, gradients)
    squares = np.sum((all_batches(gradients, size) - model.gradient) ** 2, axis=1) / model.squared_norm
    assert model.relative_error(size) == pytest.approx(squares.mean(), rel=1e-11)
    assert np.sqrt(squares).mean() < 0.99 * np.sqrt(model.relative_error(size))
    # The mean distance falls only as the square root of B.
    assert np.sqrt(squares).mean() != pytest.approx(model.relative_error(size), rel=0.05)


@steady
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_noise_scales_do_not_depend_on_the_units_of_the_loss(seed, c):
    hessian, gradients = problem(seed)
    plain, scaled = model_of(hessian, gradients), model_of(c * hessian, c * gradients)
    assert scaled.noise_scale == pytest.approx(plain.noise_scale, rel=1e-8)
    assert scaled.simple_noise_scale == pytest.approx(plain.simple_noise_scale, rel=1e-8)
    assert scaled.optimal_step(5) == pytest.approx(plain.optimal_step(5) / c, rel=1e-8)
    assert scaled.optimal_gain(5) == pytest.approx(c * plain.optimal_gain(5), rel=1e-8)


@steady
@given(st.integers(0, 10**6))
def test_both_scales_are_invariant_to_rotations_of_the_parameters(seed):
    hessian, gradients = problem(seed)
    plain = model_of(hessian, gradients)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
    turned = model_of(rotation.T @ hessian @ rotation, gradients @ rotation)
    assert turned.noise_scale == pytest.approx(plain.noise_scale, rel=1e-8)
    assert turned.simple_noise_scale == pytest.approx(plain.simple_noise_scale, rel=1e-8)


def test_only_the_scale_of_newtons_step_is_invariant_to_scaled_parameters():
    # theta = A phi: G -> A^T G, H -> A^T H A, Sigma -> A^T Sigma A.
    hessian, gradients = problem(7)
    plain = model_of(hessian, gradients)
    stretch = np.diag([1.0, 1.0, 1.0, 30.0])
    other = model_of(stretch @ hessian @ stretch, gradients @ stretch)
    assert other.simple_noise_scale != pytest.approx(plain.simple_noise_scale, rel=0.1)
    assert other.noise_scale != pytest.approx(plain.noise_scale, rel=0.1)

    def newton(model):
        inverse = np.linalg.inv(model.hessian)
        return np.trace(inverse @ model.covariance) / (model.gradient @ inverse @ model.gradient)

    assert newton(other) == pytest.approx(newton(plain), rel=1e-8)
    # In parameters in which H = 1, both scales equal this one.
    whiten = np.linalg.inv(np.linalg.cholesky(hessian)).T
    white = model_of(whiten.T @ hessian @ whiten, gradients @ whiten)
    assert white.noise_scale == pytest.approx(newton(plain), rel=1e-8)
    assert white.simple_noise_scale == pytest.approx(newton(plain), rel=1e-8)


@pytest.mark.equation("4.5.2")
@pytest.mark.parametrize("weighted", [False, True])
def test_two_batch_estimates_are_unbiased_but_their_ratio_is_not(weighted):
    hessian, gradients = problem(8, n=3)
    model = model_of(hessian, gradients)
    matrix = hessian if weighted else np.eye(4)

    def forms(batches):
        return np.sum(batches @ matrix * batches, axis=-1)

    # The two small batches are the halves of the big one.
    pairs = gradients[np.array(list(itertools.product(range(3), repeat=4)))].reshape(-1, 2, 2, 4).mean(axis=2)
    small, big = forms(pairs).mean(axis=1), forms(pairs.mean(axis=1))
    squared_norm, trace = noise_scale.two_batch_estimates(small, big, 2, 4)
    expected_norm = model.curvature if weighted else model.squared_norm
    expected_trace = model.curvature_of_noise if weighted else np.trace(model.covariance)
    assert squared_norm.mean() == pytest.approx(expected_norm, rel=1e-11)
    assert trace.mean() == pytest.approx(expected_trace, rel=1e-11)
    ratio = expected_trace / expected_norm
    assert trace.mean() / squared_norm.mean() == pytest.approx(ratio, rel=1e-11)
    assert np.mean(trace / squared_norm) != pytest.approx(ratio, rel=0.1)


def test_per_example_norms_are_small_batches_of_one():
    hessian, gradients = problem(9, n=40)
    mean = gradients.mean(axis=0)
    trace = np.trace(np.cov(gradients.T))
    estimates = noise_scale.two_batch_estimates(np.mean(np.sum(gradients**2, axis=1)), mean @ mean, 1, 40)
    np.testing.assert_allclose(estimates, [mean @ mean - trace / 40, trace], rtol=1e-11)
    scale, _ = noise_scale.sample_noise_scale(gradients)
    assert scale == pytest.approx(trace / (mean @ mean - trace / 40), rel=1e-11)
    curved, _ = noise_scale.sample_noise_scale(gradients, hessian)
    noise = np.trace(hessian @ np.cov(gradients.T))
    assert curved == pytest.approx(noise / (mean @ hessian @ mean - noise / 40), rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_jackknife_error_is_that_of_leaving_out_each_example(weighted):
    hessian, gradients = problem(10, n=30)
    matrix = hessian if weighted else None
    rest = [noise_scale.sample_noise_scale(np.delete(gradients, i, axis=0), matrix)[0] for i in range(30)]
    expected = np.sqrt(29 / 30 * np.sum((np.array(rest) - np.mean(rest)) ** 2))
    assert noise_scale.sample_noise_scale(gradients, matrix)[1] == pytest.approx(expected, rel=1e-9)


def test_standard_errors_of_samples_match_the_spread_over_samples():
    rng = np.random.default_rng(0)
    mean, roots = np.array([1.0, 0.5, 0.0, 0.0]), np.array([1.0, 2.0, 0.5, 1.0])
    samples = mean + roots * rng.normal(size=(1500, 400, 4))
    scales, errors = np.transpose([noise_scale.sample_noise_scale(g) for g in samples])
    # The standard deviation of R = 1500 repeats has a relative error of 1 / sqrt(2 R) = 1.8 %.
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(scales.std(), rel=0.12)
    assert abs(scales.mean() - 5) < 5 * scales.std() / np.sqrt(1500) + 5 * 5 / 400


def running_of(pairs, decay):
    running = noise_scale.RunningNoiseScale(decay)
    for pair in pairs:
        running.update(*pair)
    return running


@pytest.mark.parametrize("unit", [1e-170, 1e-12, 1e170])
def test_the_noise_scale_of_a_sample_does_not_depend_on_the_unit_of_the_loss(unit):
    rng = np.random.default_rng(0)
    gradients, root = rng.normal(size=(30, 4)) + 1, rng.normal(size=(4, 4))
    expected = noise_scale.sample_noise_scale(gradients)
    assert noise_scale.sample_noise_scale(gradients * unit) == pytest.approx(expected, rel=1e-10)
    curved = noise_scale.sample_noise_scale(gradients, root @ root.T)
    scaled = noise_scale.sample_noise_scale(gradients * unit, root @ root.T * unit)
    assert scaled == pytest.approx(curved, rel=1e-10)


@pytest.mark.parametrize("decay", [0.0, 0.7, 0.95, 1.0])
def test_running_averages_are_weighted_means_divided_last(decay):
    pairs = np.random.default_rng(1).normal([2.0, 30.0], [0.5, 4.0], size=(25, 2))
    running = running_of(pairs, decay)
    weights = decay ** np.arange(25)[::-1]
    weights = weights / weights.sum()
    averages = weights @ pairs
    assert (running.squared_norm, running.trace) == pytest.approx(tuple(averages), rel=1e-12)
    assert running.noise_scale == pytest.approx(averages[1] / averages[0], rel=1e-12)
    if decay == 0:
        assert running.standard_error == np.inf
        return
    assert running.noise_scale != pytest.approx(weights @ (pairs[:, 1] / pairs[:, 0]), rel=1e-3)
    squares = np.sum(weights**2)
    residuals = pairs[:, 1] - averages[1] / averages[0] * pairs[:, 0]
    variance = np.cov(residuals, aweights=weights, ddof=1)
    # NumPy's correction for such weights is also 1 / (1 - sum of squares).
    expected = np.sqrt(variance * squares) / averages[0]
    assert running.standard_error == pytest.approx(expected, rel=1e-9)


def test_a_constant_ratio_of_fluctuating_estimates_has_no_error():
    running = running_of([(1.0, 5.0), (3.0, 15.0), (0.2, 1.0)], 0.9)
    assert running.noise_scale == pytest.approx(5, rel=1e-12)
    assert running.standard_error == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("decay", [0.98, 1.0])
def test_standard_errors_of_running_averages_match_the_spread_over_runs(decay):
    rng = np.random.default_rng(2)
    p, repeats, steps, size = 6, 200, 150, 32
    mean = np.full(p, 0.6)
    halves = mean + rng.normal(size=(repeats, steps, 2, p)) / np.sqrt(size / 2)
    small, big = np.sum(halves**2, axis=-1).mean(axis=-1), np.sum(halves.mean(axis=2) ** 2, axis=-1)
    pairs = np.stack(noise_scale.two_batch_estimates(small, big, size / 2, size), axis=-1)
    runs = [running_of(run, decay) for run in pairs]
    scales = np.array([run.noise_scale for run in runs])
    errors = np.array([run.standard_error for run in runs])
    # The standard deviation of R repeats has a relative error of 1 / sqrt(2 R) = 5 %: three standard errors.
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(scales.std(), rel=0.15)
    assert abs(scales.mean() - p / (mean @ mean)) < 5 * scales.std() / np.sqrt(repeats)
    inside = np.mean(np.abs(scales - p / (mean @ mean)) < 2 * errors)
    assert inside == pytest.approx(0.954, abs=5 * np.sqrt(0.954 * 0.046 / repeats))


def test_the_state_of_a_running_average_resumes_exactly():
    pairs = np.random.default_rng(3).normal([2.0, 30.0], 1.0, size=(20, 2))
    whole, first = running_of(pairs, 0.9), running_of(pairs[:12], 0.9)
    resumed = noise_scale.RunningNoiseScale(**dataclasses.asdict(first))
    for pair in pairs[12:]:
        resumed.update(*pair)
    assert resumed == whole


def test_negative_estimates_give_an_infinite_or_zero_noise_scale():
    fresh = noise_scale.RunningNoiseScale()
    assert (fresh.noise_scale, fresh.standard_error) == (np.inf, np.inf)
    unresolved = running_of([(-1.0, 5.0), (0.5, 5.0)], 0.9)
    assert (unresolved.noise_scale, unresolved.standard_error) == (np.inf, np.inf)
    assert running_of([(1.0, -5.0), (1.0, 2.0)], 1.0).noise_scale == 0
    assert running_of([(1.0, 5.0)], 0.9).standard_error == np.inf
    # Opposite gradients cancel.
    assert noise_scale.sample_noise_scale([[1.0], [-1.0], [1.0], [-1.0]]) == (np.inf, np.inf)


def test_a_zero_gradient_has_infinite_noise_scales_and_allows_no_step():
    model = noise_scale.LocalModel(np.zeros(2), np.eye(2), np.eye(2))
    assert model.noise_scale == model.simple_noise_scale == model.relative_error(3) == np.inf
    assert model.optimal_step(10) == model.optimal_gain(10) == 0
    with pytest.raises(ValueError, match="gradient must not be zero: without noise all steps"):
        _ = model.largest_step
    with pytest.raises(ValueError, match="gradient must not be zero: without noise all steps"):
        _ = model.largest_gain
    noiseless = noise_scale.LocalModel(np.zeros(2), np.eye(2), np.zeros((2, 2)))
    for name in ("noise_scale", "simple_noise_scale"):
        with pytest.raises(ValueError, match="gradient and its noise must not both vanish"):
            getattr(noiseless, name)
    with pytest.raises(ValueError, match="gradient and its noise must not both vanish"):
        noiseless.optimal_step(1)


@pytest.mark.parametrize(
    ("hessian", "message"),
    [
        ([[1.0, 0.0], [0.0, -1.0]], r"hessian\[1\] must have a diagonal that is not negative"),
        ([[1.0, 2.0], [2.0, 1.0]], "hessian must be positive semidefinite"),
        ([[1.0, 2.0], [0.0, 1.0]], r"hessian must be symmetric, which fails at \[0, 1\]"),
        (np.eye(3), r"hessian must have shape \(2, 2\), got \(3, 3\)"),
    ],
)
def test_a_hessian_that_allows_no_optimum_is_refused(hessian, message):
    with pytest.raises(ValueError, match=message):
        noise_scale.LocalModel(np.ones(2), hessian, np.eye(2))


def test_a_flat_direction_allows_no_step():
    model = noise_scale.LocalModel([0.0, 1.0], np.diag([1.0, 0.0]), np.eye(2))
    for name in ("noise_scale", "largest_step", "largest_gain"):
        with pytest.raises(
            ValueError, match="hessian must have positive curvature along the gradient, got 0"
        ):
            getattr(model, name)
    with pytest.raises(ValueError, match="positive curvature along the gradient"):
        model.optimal_gain(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: noise_scale.gradient_moments([1.0]), "gradients must have 2 axes"),
        (lambda: noise_scale.gradient_moments(np.ones((0, 3))), r"\[N, P\] with N >= 1, got \(0, 3\)"),
        (lambda: noise_scale.sample_noise_scale(np.ones((2, 3))), r"\[N, P\] with N >= 3, got \(2, 3\)"),
        (
            lambda: noise_scale.sample_noise_scale(np.ones((5, 3)), np.eye(2)),
            r"hessian must have shape \(3, 3\), got \(2, 2\)",
        ),
        (lambda: noise_scale.gradient_moments([[1.0, np.nan]]), r"gradients\[0, 1\] must be finite"),
        (lambda: noise_scale.two_batch_estimates(1, 1, 8, 8), "batch_big must be above batch_small = 8"),
        (lambda: noise_scale.two_batch_estimates(1, 1, 8, 4), "batch_big must be above batch_small = 8"),
        (lambda: noise_scale.two_batch_estimates(1, 1, 0, 4), "batch_small must be positive, got 0"),
        (lambda: noise_scale.two_batch_estimates(np.inf, 1, 1, 4), "small must be finite"),
        (lambda: noise_scale.RunningNoiseScale(1.1), r"decay must be in \[0, 1\], got 1.1"),
    ],
)
def test_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_invalid_estimate_leaves_the_average_unchanged():
    running = running_of([(1.0, 2.0)], 0.9)
    before = dataclasses.asdict(running)
    with pytest.raises(ValueError, match="trace must be finite, got nan"):
        running.update(1.0, np.nan)
    assert dataclasses.asdict(running) == before
