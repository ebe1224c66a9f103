from curvezoo.publishing.page import style


def test_the_legend_below_has_each_label_of_all_axes_once():
    figure, axes = style.canvas(4, 2, columns=2)
    for axis, labels in zip(axes[0], (("a", "b", None), ("b", "c")), strict=True):
        for label in labels:
            axis.plot([0, 1], label=label)
    style.legend_below(figure, title="title")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    assert legend.get_title().get_text() == "title"
