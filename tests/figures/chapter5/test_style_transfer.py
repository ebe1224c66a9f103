import numpy as np
from matplotlib.figure import Figure

from curvezoo.figures.chapter5 import style_transfer
from curvezoo.studies.style_transfer import StyleTransfer


def test_the_figure_shows_the_pictures_and_both_losses():
    rng = np.random.default_rng(0)
    content, style, *found = rng.uniform(size=(4, 6, 8, 3))
    losses = {"lbfgs": np.array([3.0, 2.0, 1.0]), "adam": np.array([3.0, 2.5, 2.0])}
    pictures = dict(zip(losses, found, strict=True))
    figure = style_transfer.plot(StyleTransfer(content, style, pictures, losses, {}, {}, None))
    assert isinstance(figure, Figure)
    *panels, curves = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == ["content", "style", "L-BFGS", "Adam"]
    for panel, picture in zip(panels, (content, style, *found), strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), picture)
    for line, values in zip(curves.lines, losses.values(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([[1, 2, 3], values]))
