"""Oracles: finite differences and the closed form of the natural gradient flow."""

import numpy as np

from curvezoo.figures.chapter4 import natural_gradient as figure
from curvezoo.theory import families, natural_gradient


def excess(theta):
    return families.gaussian_kl([figure.MEAN, figure.SCALE], theta)


def test_the_maps_of_each_chart_are_inverse_to_each_other():
    for chart in figure.CHARTS:
        np.testing.assert_allclose(chart.to_theta(chart.to_phi((0.3, 1.7))), [0.3, 1.7], rtol=1e-14)


def test_the_gradient_is_that_of_the_divergence_from_the_data():
    theta, h = np.array([-0.4, 0.9]), 1e-6
    slopes = [(excess(theta + h * e) - excess(theta - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(figure.gradient(theta), slopes, rtol=1e-8)


def test_natural_gradient_paths_coincide_and_gradient_descent_paths_do_not():
    natural, plain = (np.array(figure.measure(kind, 0.01, 200)) for kind in (True, False))
    eta = natural_gradient.expectation_path(
        figure.CHARTS[2].to_phi(figure.START), (1.0, 1.49), np.exp(-0.01 * np.arange(201))
    )
    closed = np.array([figure.CHARTS[2].to_theta(e) for e in eta])
    assert np.abs(natural - closed).max() < 0.02
    assert np.ptp(plain, axis=0).max() > 1
    assert np.all(np.diff(excess(natural), axis=1) < 0) and np.all(np.diff(excess(plain), axis=1) < 0)


def test_models_after_one_step_differ_by_a_step_only_for_gradient_descent():
    plain, natural = figure.step_differences(np.array([0.02, 0.01, 0.005]))
    np.testing.assert_allclose(natural[1:] / natural[:-1], 0.5, atol=0.02)
    np.testing.assert_allclose(plain[1:] / plain[:-1], 1, atol=0.02)
    assert plain.min() > 1


def test_figure_shows_the_paths_and_both_orders():
    plain, natural, order = figure.draw().axes
    for axes, kind in ((plain, False), (natural, True)):
        drawn = [line.get_xydata() for line in axes.lines]
        for path in figure.measure(kind):
            assert any(np.array_equal(path, line) for line in drawn if line.shape == path.shape)
    assert np.ptp(order.lines[0].get_ydata()) < 0.5 < np.ptp(np.log(order.lines[1].get_ydata()))
