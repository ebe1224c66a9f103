"""The style of all figures: canvas, palette, axes, legend, and the PNG that a page embeds.

Figures are drawn by Agg on their own canvas, so that pyplot's global state is left alone.
"""

import base64
import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# The palette of Okabe and Ito, whose colors color-blind readers can distinguish.
BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
INK, MUTED, RULE = "#222222", "#6B6B6B", "#E3E3E3"


def canvas(width, height, rows=1, columns=1, **gridspec):
    """Returns a figure with a grid of axes in the common style.

    Args:
        width: Width in inches.
        height: Height in inches.
        rows: Rows of axes.
        columns: Columns of axes.
        **gridspec: Further arguments of `Figure.subplots`, such as `sharex` or `height_ratios`.

    Returns:
        (figure, axes), the axes as an array [rows, columns].
    """
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **gridspec)
    for axis in axes.flat:
        clean(axis)
    return figure, axes


def clean(axis):
    """Applies the common style to axes: two thin spines, muted ticks, a light grid behind the data."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(MUTED)
    axis.tick_params(colors=MUTED, labelcolor=INK, labelsize=9, length=3)
    axis.xaxis.label.set_color(INK)
    axis.yaxis.label.set_color(INK)
    axis.title.set_color(INK)
    axis.grid(color=RULE, linewidth=0.8)
    axis.set_axisbelow(True)


def legend_below(figure, columns=None, title=None):
    """Adds one legend for all axes of a figure below them, with each label once.

    Args:
        figure: A `matplotlib.figure.Figure`.
        columns: Number of columns; all labels in one row by default.
        title: Title of the legend.
    """
    handles = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(),
        handles,
        loc="outside lower center",
        ncols=columns or len(handles),
        frameon=False,
        fontsize=9,
        title=title,
        title_fontsize=9,
    )


def data_uri(figure, dpi=144):
    """Renders a figure as a PNG inside a `data:` URI, so that the page needs no other file.

    Args:
        figure: A `matplotlib.figure.Figure`.
        dpi: Pixels per inch.

    Returns:
        The URI, `data:image/png;base64,...`.
    """
    buffer = io.BytesIO()
    # Without Matplotlib's version in the metadata, equal figures give equal bytes.
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
