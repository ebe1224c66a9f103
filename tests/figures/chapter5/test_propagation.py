import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter5 import propagation
from curvezoo.theory.propagation import relative_variance

WIDTHS = (96, 192, 128, 256, 96, 160, 192, 128, 96)
NETWORKS = 4


@pytest.mark.equation("5.1.9")
@pytest.mark.equation("5.1.10")
@pytest.mark.equation("5.1.11")
@pytest.mark.equation("5.1.12")
@pytest.mark.parametrize("name", propagation.PLAIN)
def test_plain_networks_follow_the_theory_within_the_spread_of_finite_width(name):
    m = propagation.measure(propagation.PLAIN[name], WIDTHS, NETWORKS)
    spread = 4 * np.sqrt(relative_variance(WIDTHS) / NETWORKS)
    assert np.all(np.abs(m.forward / m.forward_theory - 1) < spread + 0.1)
    assert np.all(np.abs(m.gradient / m.gradient_theory - 1) < spread[::-1] + 0.1)


def test_the_schemes_differ():
    ends = {name: scheme.forward(WIDTHS)[-1] for name, scheme in propagation.PLAIN.items()}
    assert ends["fan_avg"] < 0.01 < 0.1 < ends["fan_in"] == ends["unit_variance"] == 1.0 < ends["too_large"]


@pytest.mark.equation("5.1.13")
@pytest.mark.equation("5.1.15")
@pytest.mark.parametrize("name", propagation.RESIDUAL)
def test_residual_networks_follow_the_theory(name):
    m = propagation.measure(propagation.RESIDUAL[name], (128,) * 9, NETWORKS)
    np.testing.assert_allclose(m.forward, m.forward_theory, rtol=0.4)
    np.testing.assert_allclose(m.gradient, m.gradient_theory, rtol=0.4)
    assert m.forward_theory[-1] == pytest.approx(256 if name == "residual" else (1 + 1 / 8) ** 8)


def test_figure_shows_measurements_as_points_and_theory_as_lines():
    m = propagation.measure(propagation.PLAIN["fan_out"], (8, 16, 8), networks=1, batch_size=4)
    figure = propagation.plot([m])
    assert isinstance(figure, Figure)
    for panel, points, line in (
        (figure.axes[0], m.forward, m.forward_theory),
        (figure.axes[1], m.gradient, m.gradient_theory),
    ):
        drawn = {curve.get_linestyle(): curve.get_ydata() for curve in panel.lines}
        np.testing.assert_array_equal(drawn["None"], points)
        np.testing.assert_array_equal(drawn["-"], line)
        assert panel.get_yscale() == "log"
