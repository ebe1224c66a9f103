import numpy as np
import pytest

from curvezoo.figures.chapter4 import optimizer_comparison
from curvezoo.studies.optimizer_comparison import AUTOENCODER, CLASSIFIER, METHODS, Comparison, Run


def made_comparison(problem, scale):
    steps = np.arange(6)
    runs = {
        name: Run(None, scale * (k + 1.0) ** -steps, (k + 1) * 0.01 * steps) for k, name in enumerate(METHODS)
    }
    return Comparison(problem, 1234, runs, {})


@pytest.fixture(scope="module")
def comparisons():
    return made_comparison(CLASSIFIER, 2.0), made_comparison(AUTOENCODER, 30.0)


@pytest.fixture(scope="module")
def figure(comparisons):
    return optimizer_comparison.plot(comparisons)


def test_each_method_has_a_unique_color_and_line_style():
    assert set(optimizer_comparison.LOOKS) == set(METHODS)
    assert len(set(optimizer_comparison.LOOKS.values())) == len(METHODS)


def test_the_panels_show_the_loss_after_each_step(comparisons, figure):
    for comparison, panels in zip(comparisons, (figure.axes[:2], figure.axes[2:]), strict=True):
        for lines in zip(*(panel.lines for panel in panels), strict=True):
            run = comparison.runs[lines[0].get_label()]
            np.testing.assert_array_equal(lines[0].get_xdata(), np.arange(1, 6))
            np.testing.assert_array_equal(lines[1].get_xdata(), run.seconds[1:])
            for line in lines:
                np.testing.assert_array_equal(line.get_ydata(), run.excess[1:])


def test_the_legend_names_each_method_once(figure):
    legend = figure.legends[0]
    assert sorted(text.get_text() for text in legend.get_texts()) == sorted(METHODS)
