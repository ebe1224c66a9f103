"""The plots show the numbers that they are given."""

import numpy as np
import pytest

from curvezoo.studies.noise_scale import plots
from curvezoo.studies.noise_scale.batch_size_sweep import Tuned
from curvezoo.studies.noise_scale.measurement import Estimate, NoisyRun, Point
from curvezoo.theory.trade_off import TradeOff, fit_trade_off

SIZES = (8, 32, 128)


def tuned_on(hyperbola):
    return [Tuned(size, size / (40 + size), (float(hyperbola.steps(size)),) * 2) for size in SIZES]


def test_the_trade_off_shows_the_hyperbola_its_turnover_and_the_rates():
    hyperbola = TradeOff(50.0, 2000.0)
    tuned = tuned_on(hyperbola)
    fit = fit_trade_off(SIZES, [each.mean_steps for each in tuned])
    figure = plots.draw_trade_off(tuned, fit)
    plane, rates = figure.axes
    lines = {line.get_label(): line for line in plane.lines}
    examples, steps = lines["fitted hyperbola"].get_data()
    np.testing.assert_allclose((steps / 50 - 1) * (examples / 2000 - 1), 1, rtol=1e-6)
    (turnover,) = (line for label, line in lines.items() if label.startswith("$B_{crit}$ = 40 "))
    np.testing.assert_allclose(np.ravel(turnover.get_data()), [4000, 100], rtol=1e-6)
    assert [text.get_text() for text in plane.texts] == ["8", "32", "128"]
    diagonals = [line for line in plane.lines if line.get_color() == plots.style.RULE]
    assert [line.get_xdata()[0] / line.get_ydata()[0] for line in diagonals] == pytest.approx(SIZES)
    # The rates obey Eq. 4.5.6 with the same B_crit, so that the drawn law passes through them.
    law, points = rates.lines
    drawn = np.interp(np.log(points.get_xdata()), np.log(law.get_xdata()), law.get_ydata())
    np.testing.assert_allclose(drawn, points.get_ydata(), rtol=1e-2)


def test_the_run_shows_its_noise_scales_with_errors():
    curved = Estimate(1.0, 30.0, 0.0, 9.0, 0.0)
    points = (
        Point(0, 2.0, Estimate(2.0, 20.0, 0.0, 4.0, 0.0), curved),
        Point(5, 1.0, Estimate(-1.0, 20.0, 0.0, 4.0, 0.0)),
        Point(10, 0.5, Estimate(1.0, 40.0, 0.0, 16.0, 0.0)),
    )
    figure = plots.draw_run(NoisyRun(8, 0.1, 0, points), critical=25.0)
    top, bottom = figure.axes
    simple, curved = (container.lines for container in top.containers)
    # Without a positive signal, there is no point.
    np.testing.assert_allclose(np.transpose(simple[0].get_data()), [[0, 10], [10, 40]])
    np.testing.assert_allclose(simple[2][0].get_segments(), [[[0, 9], [0, 11]], [[10, 36], [10, 44]]])
    np.testing.assert_allclose(np.ravel(curved[0].get_data()), [0, 30])
    np.testing.assert_allclose(bottom.lines[0].get_data(), [[0, 5, 10], [2, 1, 0.5]])
    levels = {line.get_label(): line.get_ydata()[0] for line in top.lines}
    assert levels["$B_{crit}$ of the sweep"] == 25.0
    assert levels["batch size of this run"] == 8.0
