import numpy as np
import pytest
from matplotlib.figure import Figure

from curvezoo.figures.chapter6 import marchenko_pastur


@pytest.mark.equation("6.0.15")
def test_bars_are_the_eigenvalues_and_lines_the_law():
    panels = [marchenko_pastur.measure(ratio, 120) for ratio in (0.4, 1.0, 2.0)]
    figure = marchenko_pastur.plot(panels)
    assert isinstance(figure, Figure)
    assert [panel.zeros for panel in panels] == [pytest.approx(0.6), 0.0, 0.0]
    for axis, panel in zip(figure.axes, panels, strict=True):
        bars = axis.patches
        area = sum(bar.get_height() * bar.get_width() for bar in bars)
        inside = (panel.values >= bars[0].get_x()) & (panel.values <= panel.law.support[1])
        # The bars have the fraction of all 120 eigenvalues that lies in the support.
        assert area == pytest.approx(inside.sum() / 120, rel=1e-9)
        grid, density = axis.lines[0].get_data()
        np.testing.assert_allclose(density, panel.law.density(grid))
    assert "60 %" in figure.axes[0].texts[0].get_text()
    assert not figure.axes[1].texts
