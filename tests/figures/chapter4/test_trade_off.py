"""Oracles: the recursion of the expected loss step by step, and the data of the drawn artists."""

import numpy as np
import pytest

from curvezoo.figures.chapter4 import trade_off
from curvezoo.theory.trade_off import fit_trade_off


def test_the_expected_loss_is_that_of_its_recursion_step_by_step():
    h = np.geomspace(0.01, 1.0, 12)
    rate, size, squares = 0.7, 32, 1 / h
    losses = []
    for _ in range(200):
        losses.append(np.mean(h * squares))
        squares = (1 - rate * h) ** 2 * squares + rate**2 / size
    np.testing.assert_allclose(trade_off.expected_loss(np.arange(200), rate, size), losses, rtol=1e-10)
    steps = trade_off.expected_steps(rate, size)
    below = np.argmax(np.array(losses) <= 0.05)
    assert below - 1 < steps <= below
    assert trade_off.expected_loss(steps, rate, size) == pytest.approx(0.05, rel=1e-8)
    assert trade_off.expected_steps(1.9, 1) == np.inf


@pytest.mark.equation("4.5.11")
@pytest.mark.equation("4.5.12")
def test_simulated_trainings_follow_the_expectation_and_nearly_the_hyperbola():
    result = trade_off.measure()
    assert np.all(np.abs(np.log(result.steps / result.expected_steps)) < 5 * result.errors)
    fit = fit_trade_off(result.sizes, result.steps)
    # The law averages the best step at each point; with a constant learning rate it is accurate to 10 %.
    assert np.max(np.abs(fit.residuals)) < 0.12
    # The number of steps itself varies far more.
    assert result.steps.max() / result.steps.min() > 20
    assert 1 / 4 < fit.critical_batch_size / result.mean_noise_scale < 4


def test_the_tuned_learning_rates_need_the_fewest_steps():
    result = trade_off.measure(sizes=(8, 512), repeats=50)
    for rate, size, steps in zip(result.rates, result.sizes, result.expected_steps, strict=True):
        others = trade_off.expected_steps(rate * np.array([0.5, 0.9, 0.95, 1.02, 1.04]), size)
        assert np.all(others > steps)
    # At small batch sizes the best rate grows with B, at large ones it does not.
    assert result.rates[0] < 0.5 * result.rates[1]


def test_figure_shows_the_trainings_and_the_fit():
    result = trade_off.measure(sizes=(8, 64, 1024), repeats=50)
    fit = fit_trade_off(result.sizes, result.steps)
    plane, deviations = trade_off.plot(result).axes
    lines = {line.get_label(): line.get_data() for line in plane.lines}
    examples, steps = lines["fitted hyperbola"]
    np.testing.assert_allclose(
        (steps / fit.least_steps - 1) * (examples / fit.least_examples - 1), 1, rtol=1e-9
    )
    np.testing.assert_allclose(lines["SGD"], [result.sizes * result.steps, result.steps], rtol=1e-12)
    texts = [text.get_text() for text in plane.texts]
    assert texts[:3] == ["8", "64", "1024"]
    assert f"{fit.critical_batch_size:.0f} ± {fit.critical_batch_size_error:.0f}" in texts[3]
    ratios = deviations.containers[0].lines[0].get_ydata()
    np.testing.assert_allclose(ratios, result.steps / fit.steps(result.sizes), rtol=1e-9)
