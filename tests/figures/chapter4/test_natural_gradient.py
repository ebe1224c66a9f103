import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter4 import natural_gradient as figure
from curvezoo.theory import families, natural_gradient


def excess(theta):
    return families.gaussian_kl([figure.MEAN, figure.SCALE], theta)


def test_charts_undo_themselves():
    for chart in figure.CHARTS:
        np.testing.assert_allclose(chart.to_theta(chart.to_phi((0.3, 1.7))), [0.3, 1.7], rtol=1e-14)


def test_the_gradient_is_that_of_the_divergence_from_the_data():
    theta, h = np.array([-0.4, 0.9]), 1e-6
    slopes = [(excess(theta + h * e) - excess(theta - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(figure.gaussian_gradient(theta), slopes, rtol=1e-8)


def test_ways_of_the_natural_gradient_are_one_and_ways_of_gradient_descent_are_not():
    natural, plain = (np.array(figure.coordinate_paths(kind, 0.01, 200)) for kind in (True, False))
    eta = natural_gradient.expectation_path(
        figure.CHARTS[2].to_phi(figure.START), (1.0, 1.49), np.exp(-0.01 * np.arange(201))
    )
    closed = np.array([figure.CHARTS[2].to_theta(e) for e in eta])
    assert np.abs(natural - closed).max() < 0.02
    assert np.ptp(plain, axis=0).max() > 1
    assert np.all(np.diff(excess(natural), axis=1) < 0) and np.all(np.diff(excess(plain), axis=1) < 0)


def test_one_step_is_as_far_apart_as_it_is_long_only_for_gradient_descent():
    plain, natural = figure.step_differences(np.array([0.02, 0.01, 0.005]))
    np.testing.assert_allclose(natural[1:] / natural[:-1], 0.5, atol=0.02)
    np.testing.assert_allclose(plain[1:] / plain[:-1], 1, atol=0.02)
    assert plain.min() > 1


def test_the_natural_gradient_of_least_squares_goes_straight_to_the_minimum():
    problem, start = figure.regression(), np.array([4.0, -1.0])
    path = problem.path(start, figure.NATURAL, 0.3, 10) - problem.optimum
    np.testing.assert_allclose(path, 0.7 ** np.arange(11)[:, None] * path[0], rtol=1e-9, atol=1e-12)


def test_the_gradient_is_the_losses_and_directions_are_those_of_sampled_matrices():
    problem, theta, h = figure.regression(), np.array([0.5, 3.0]), 1e-5
    slopes = [(problem.loss(theta + h * e) - problem.loss(theta - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(problem.direction(theta, figure.PLAIN), -np.array(slopes), rtol=1e-8)
    # Scores at labels of the model give the Fisher matrix, at the labels of the data the empirical one.
    noise = np.random.default_rng(1).normal(size=(20_000, len(problem.y)))
    sampled = np.einsum("ni,n,nj->ij", problem.x, np.mean(noise**2, axis=0), problem.x) / len(problem.y)
    scores = (problem.y - problem.x @ theta)[:, None] * problem.x
    empirical = scores.T @ scores / len(problem.y)
    for method, matrix, tolerance in ((figure.NATURAL, sampled, 0.02), (figure.EMPIRICAL, empirical, 1e-9)):
        expected = np.linalg.solve(matrix, -np.array(slopes))
        np.testing.assert_allclose(problem.direction(theta, method), expected, rtol=tolerance)


def test_the_empirical_fisher_is_slow_where_the_loss_is_high_and_too_fast_at_the_minimum():
    problem = figure.regression()
    far = np.array([4.5, 4.5])
    natural, empirical = (problem.direction(far, m) for m in (figure.NATURAL, figure.EMPIRICAL))
    assert np.linalg.norm(empirical) < 0.1 * np.linalg.norm(natural)
    cosine = empirical @ natural / np.linalg.norm(empirical) / np.linalg.norm(natural)
    assert cosine < 0.75
    # At the minimum the residuals' variance is 1/4 and not 1: the steps are four times too long.
    near = problem.optimum + 1e-3
    ratio = np.linalg.norm(problem.direction(near, figure.EMPIRICAL)) / np.linalg.norm(
        problem.direction(near, figure.NATURAL)
    )
    assert ratio == pytest.approx(4, rel=0.25)


def test_figures_draw_the_numbers():
    plain, natural, order = figure.draw_coordinates().axes
    for axes, kind in ((plain, False), (natural, True)):
        drawn = [line.get_xydata() for line in axes.lines]
        for path in figure.coordinate_paths(kind):
            assert any(np.array_equal(path, line) for line in drawn if line.shape == path.shape)
    assert np.ptp(order.lines[0].get_ydata()) < 0.5 < np.ptp(np.log(order.lines[1].get_ydata()))
    drawn = figure.draw_empirical_fisher()
    assert isinstance(drawn, Figure)
    problem = figure.regression()
    path = problem.path((4.5, 4.5), figure.EMPIRICAL, 0.3, 60)
    assert any(
        np.array_equal(path, line.get_xydata()) for line in drawn.axes[2].lines if len(line.get_xdata()) == 61
    )
    losses = problem.loss(path) - problem.loss(problem.optimum)
    assert any(np.array_equal(losses, line.get_ydata()) for line in drawn.axes[3].lines)
