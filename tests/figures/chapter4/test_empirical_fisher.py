"""Oracles: finite differences, and Fisher matrices from scores at sampled and at given labels."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter4 import empirical_fisher
from curvezoo.figures.chapter4.empirical_fisher import EMPIRICAL, NATURAL, PLAIN, regression


def test_the_natural_gradient_of_least_squares_goes_straight_to_the_minimum():
    problem, start = regression(), np.array([4.0, -1.0])
    path = problem.path(start, NATURAL, 0.3, 10) - problem.optimum
    np.testing.assert_allclose(path, 0.7 ** np.arange(11)[:, None] * path[0], rtol=1e-9, atol=1e-12)


def test_directions_follow_from_the_gradient_and_sampled_matrices():
    problem, theta, h = regression(), np.array([0.5, 3.0]), 1e-5
    slopes = [(problem.loss(theta + h * e) - problem.loss(theta - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(problem.direction(theta, PLAIN), -np.array(slopes), rtol=1e-8)
    # Scores at labels of the model give the Fisher matrix, those at the labels of the data the empirical one.
    noise = np.random.default_rng(1).normal(size=(20_000, len(problem.y)))
    sampled = np.einsum("ni,n,nj->ij", problem.x, np.mean(noise**2, axis=0), problem.x) / len(problem.y)
    scores = (problem.y - problem.x @ theta)[:, None] * problem.x
    empirical = scores.T @ scores / len(problem.y)
    for method, matrix, tolerance in ((NATURAL, sampled, 0.02), (EMPIRICAL, empirical, 1e-9)):
        expected = np.linalg.solve(matrix, -np.array(slopes))
        np.testing.assert_allclose(problem.direction(theta, method), expected, rtol=tolerance)


def test_empirical_fisher_steps_are_short_at_high_loss_and_long_at_the_minimum():
    problem = regression()
    far = np.array([4.5, 4.5])
    natural, empirical = (problem.direction(far, m) for m in (NATURAL, EMPIRICAL))
    assert np.linalg.norm(empirical) < 0.1 * np.linalg.norm(natural)
    cosine = empirical @ natural / np.linalg.norm(empirical) / np.linalg.norm(natural)
    assert cosine < 0.75
    # At the minimum the residuals have a variance of 1/4 instead of 1, and the steps are four times too long.
    near = problem.optimum + 1e-3
    ratio = np.linalg.norm(problem.direction(near, EMPIRICAL)) / np.linalg.norm(
        problem.direction(near, NATURAL)
    )
    assert ratio == pytest.approx(4, rel=0.25)


def test_figure_shows_the_paths_and_their_losses():
    figure, problem = empirical_fisher.draw(), regression()
    assert isinstance(figure, Figure)
    path = problem.path((4.5, 4.5), EMPIRICAL, 0.3, 60)
    fields = figure.axes[2].lines
    assert any(np.array_equal(path, line.get_xydata()) for line in fields if len(line.get_xdata()) == 61)
    losses = problem.loss(path) - problem.loss(problem.optimum)
    assert any(np.array_equal(losses, line.get_ydata()) for line in figure.axes[3].lines)
