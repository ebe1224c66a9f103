import numpy as np
import pytest

from curvezoo.figures.chapter2 import landauer

K_T_LOG_2 = 1.380649e-23 * 300 * np.log(2)


@pytest.mark.equation("2.7.6")
def test_the_notes_gpu_is_tens_of_millions_of_times_above_the_limit():
    gpu = landauer.MACHINES[-1]
    found = landauer.measure([gpu, landauer.Machine("ideal", K_T_LOG_2, 1)])
    np.testing.assert_allclose(found["limit"], [16 * K_T_LOG_2, K_T_LOG_2], rtol=1e-12)
    np.testing.assert_allclose(found["energy"], [2.5e-12, K_T_LOG_2], rtol=1e-12)
    np.testing.assert_allclose(found["excess"], [2.5e-12 / (16 * K_T_LOG_2), 1], rtol=1e-12)
    assert 2e7 < found["excess"][0] < 1e8


def test_the_figure_draws_each_machine_with_its_limit_and_their_ratio():
    figure = landauer.draw()
    axis, found = figure.axes[0], landauer.measure()
    energies, limits = axis.lines
    np.testing.assert_array_equal(energies.get_xdata(), found["energy"])
    np.testing.assert_array_equal(limits.get_xdata(), found["limit"])
    assert [t.get_text() for t in axis.get_yticklabels()] == [m.name for m in landauer.MACHINES]
    assert axis.texts[-1].get_text() == r"$\times\ 5 \cdot 10^{7}$"
    assert axis.yaxis_inverted()
