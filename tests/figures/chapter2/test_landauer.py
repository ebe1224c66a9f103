import numpy as np
import pytest

from curvezoo.figures.chapter2 import landauer

K_T_LOG_2 = 1.380649e-23 * 300 * np.log(2)


@pytest.mark.equation("2.7.6")
def test_the_gpu_of_the_notes_is_tens_of_millions_of_times_above_the_limit():
    gpu = landauer.MACHINES[-1]
    result = landauer.measure([gpu, landauer.Machine("ideal", K_T_LOG_2, 1)])
    np.testing.assert_allclose(result["limit"], [16 * K_T_LOG_2, K_T_LOG_2], rtol=1e-12)
    np.testing.assert_allclose(result["energy"], [2.5e-12, K_T_LOG_2], rtol=1e-12)
    np.testing.assert_allclose(result["excess"], [2.5e-12 / (16 * K_T_LOG_2), 1], rtol=1e-12)
    assert 2e7 < result["excess"][0] < 1e8


def test_figure_shows_each_machine_with_its_limit_and_their_ratio():
    figure = landauer.draw()
    axis, result = figure.axes[0], landauer.measure()
    energies, limits = axis.lines
    np.testing.assert_array_equal(energies.get_xdata(), result["energy"])
    np.testing.assert_array_equal(limits.get_xdata(), result["limit"])
    assert [t.get_text() for t in axis.get_yticklabels()] == [m.name for m in landauer.MACHINES]
    assert axis.texts[-1].get_text() == r"$\times\ 5 \cdot 10^{7}$"
    assert axis.yaxis_inverted()
