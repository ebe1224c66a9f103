"""Oracles: the closed forms of `theory.noise_scale`, a step-by-step recursion, and the drawn data."""

import numpy as np
import pytest

from curvezoo.figures.chapter4 import noise_scale
from curvezoo.theory import trade_off


@pytest.mark.equation("4.5.6")
@pytest.mark.equation("4.5.7")
@pytest.mark.parametrize("seed", [0, 1])
def test_simulated_steps_and_gains_saturate_as_the_closed_forms_do(seed):
    found = noise_scale.measure_steps(np.geomspace(0.05, 50, 7), repeats=3000, seed=seed)
    expected = 1 / (1 + 1 / found.ratios)
    assert np.all(np.abs(found.steps - expected) < 5 * found.step_errors)
    assert np.all(np.abs(found.gains - expected) < 5 * found.gain_errors)
    # The errors resolve the curve from both of its limits.
    middle = np.argmin(np.abs(np.log(found.ratios)))
    assert found.gains[middle] + 20 * found.gain_errors[middle] < min(found.ratios[middle], 1)


def test_the_expected_loss_is_that_of_its_recursion_step_by_step():
    h = np.geomspace(0.01, 1.0, 12)
    rate, size, squares = 0.7, 32, 1 / h
    losses = []
    for _ in range(200):
        losses.append(np.mean(h * squares))
        squares = (1 - rate * h) ** 2 * squares + rate**2 / size
    np.testing.assert_allclose(noise_scale.expected_loss(np.arange(200), rate, size), losses, rtol=1e-10)
    steps = noise_scale.expected_steps(rate, size)
    below = np.argmax(np.array(losses) <= 0.05)
    assert below - 1 < steps <= below
    assert noise_scale.expected_loss(steps, rate, size) == pytest.approx(0.05, rel=1e-8)
    assert noise_scale.expected_steps(1.9, 1) == np.inf


@pytest.mark.equation("4.5.11")
@pytest.mark.equation("4.5.12")
def test_simulated_trainings_follow_the_expectation_and_nearly_the_hyperbola():
    found = noise_scale.measure_trainings()
    assert np.all(np.abs(np.log(found.steps / found.expected_steps)) < 5 * found.errors)
    fit = trade_off.fit_trade_off(found.sizes, found.steps)
    # The law averages the best step at each point, a constant rate is not that: it holds to 10 %.
    assert np.max(np.abs(fit.residuals)) < 0.12
    # Either cost alone, or their product, varies far more.
    assert found.steps.max() / found.steps.min() > 20
    assert 1 / 4 < fit.critical_batch_size / found.mean_noise_scale < 4


def test_the_rates_are_the_best_of_all():
    found = noise_scale.measure_trainings(sizes=(8, 512), repeats=50)
    for rate, size, steps in zip(found.rates, found.sizes, found.expected_steps, strict=True):
        others = noise_scale.expected_steps(rate * np.array([0.5, 0.9, 0.95, 1.02, 1.04]), size)
        assert np.all(others > steps)
    # Small batches need a rate in proportion to B, large ones do not.
    assert found.rates[0] < 0.5 * found.rates[1]


def test_the_noise_scale_figure_draws_points_beside_the_closed_form():
    found = noise_scale.measure_steps((0.1, 1, 10), repeats=100)
    figure = noise_scale.draw_noise_scale(found)
    for axis, values in zip(figure.axes, (found.steps, found.gains), strict=True):
        points = axis.containers[0].lines[0]
        np.testing.assert_array_equal(points.get_xydata(), np.stack([found.ratios, values], axis=1))
        curve = next(line for line in axis.lines if line.get_label().startswith("$1"))
        x, y = curve.get_data()
        np.testing.assert_allclose(y, x / (1 + x), rtol=1e-12)


def test_the_trade_off_figure_draws_trainings_and_the_fit():
    found = noise_scale.measure_trainings(sizes=(8, 64, 1024), repeats=50)
    fit = trade_off.fit_trade_off(found.sizes, found.steps)
    figure = noise_scale.draw_trade_off(found)
    plane, deviations = figure.axes
    lines = {line.get_label(): line.get_data() for line in plane.lines}
    examples, steps = lines["hyperbola, fitted"]
    np.testing.assert_allclose(
        (steps / fit.least_steps - 1) * (examples / fit.least_examples - 1), 1, rtol=1e-9
    )
    np.testing.assert_allclose(lines["SGD"], [found.sizes * found.steps, found.steps], rtol=1e-12)
    texts = [text.get_text() for text in plane.texts]
    assert texts[:3] == ["8", "64", "1024"]
    assert f"{fit.critical_batch_size:.0f} ± {fit.critical_batch_size_error:.0f}" in texts[3]
    drawn = deviations.containers[0].lines[0].get_ydata()
    np.testing.assert_allclose(drawn, found.steps / fit.steps(found.sizes), rtol=1e-9)
