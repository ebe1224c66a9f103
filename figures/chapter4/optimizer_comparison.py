"""The training loss of fourteen optimizers against steps and against seconds (chapter 4).

Warm colors are first-order rules, cool colors are rules that use curvature under `fit`, greens are full-batch
methods, gray is evolution.
"""

from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ...publishing.page import style
from ...studies import optimizer_comparison as study
from ...studies.optimizer_comparison import AUTOENCODER, CLASSIFIER
from ..figure import Figure

LOOKS = {
    "evolution": (style.MUTED, "-"),
    "SGD": ("#F4B183", "-"),
    "momentum": (style.ORANGE, "-"),
    "three stages": (style.ORANGE, "--"),
    "RMSProp": (style.VERMILION, "--"),
    "Adam": (style.VERMILION, "-"),
    "Newton": (style.PURPLE, "--"),
    "Hessian-free": (style.PURPLE, "-"),
    "natural gradient": (style.SKY, "-"),
    "K-FAC": (style.BLUE, "-"),
    "K-FAC, eigenbasis": (style.BLUE, "--"),
    "conjugate gradients": ("#7BC8A4", "-"),
    "L-BFGS": (style.GREEN, "-"),
    "BFGS": (style.GREEN, "--"),
}
"""Color and line style of each method."""

_TITLES = {
    CLASSIFIER: "Classifier of digits, 64-32-10",
    AUTOENCODER: "Autoencoder of digits, 64-32-16-6-16-32-64",
}
_LABELS = {
    CLASSIFIER: "training loss (nats)",
    AUTOENCODER: "training loss above\nits bound (nats per image)",
}


def plot(comparisons):
    """Draws the loss against steps and seconds, with a row for each problem.

    Args:
        comparisons: `studies.optimizer_comparison.Comparison`s.
    """
    figure, axes = style.canvas(10.5, 8.2, rows=len(comparisons), columns=2, sharey="row")
    for (by_steps, by_seconds), comparison in zip(axes, comparisons, strict=True):
        for name, (color, line) in LOOKS.items():
            if name not in comparison.runs:
                continue
            run = comparison.runs[name]
            look = {"color": color, "linestyle": line, "linewidth": 1.8, "label": name}
            by_steps.plot(range(1, len(run.excess)), run.excess[1:], **look)
            by_seconds.plot(run.seconds[1:], run.excess[1:], **look)
        _axes(by_steps, by_seconds, comparison)
    style.legend_below(figure, columns=5)
    return figure


def draw():
    """Returns the figure and the table of one comparison."""
    comparisons = [study.measure(problem) for problem in study.PROBLEMS]
    return plot(comparisons), study.table(comparisons)


def _axes(by_steps, by_seconds, comparison):
    highest = max(run.excess[0] for run in comparison.runs.values())
    lowest = min(run.excess.min() for run in comparison.runs.values())
    by_steps.set(xscale="log", yscale="log", xlabel="steps", ylabel=_LABELS[comparison.problem])
    by_steps.set_ylim(max(study.SOLVED, 0.8 * lowest), 1.25 * highest)
    by_seconds.set(xscale="log", xlabel="seconds")
    axes = [(by_steps.xaxis, (1,)), (by_seconds.xaxis, (1,))]
    if comparison.problem == AUTOENCODER:
        axes.append((by_steps.yaxis, (1, 2, 3, 5)))
    for axis, multiples in axes:
        axis.set_major_locator(LogLocator(subs=multiples))
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_formatter(NullFormatter())
    title = f"{_TITLES[comparison.problem]}: {comparison.parameters:,} parameters"
    by_steps.set_title(title, loc="left", fontsize=11)


FIGURE = Figure(
    section="4.7",
    name="optimizer_comparison",
    draw=draw,
    caption=(
        "The training loss of fourteen optimizers, with all 1,797 digits of scikit-learn in every batch and "
        "the same initial weights (Secs. 4.1 to 4.7). First-order rules and evolution use the best of four "
        "learning rates, the others their defaults. Top: a classifier, whose loss falls to zero. Bottom: an "
        "autoencoder with a code of six numbers, and its loss above the entropy of the pixels. Left: against "
        "steps, where an iteration of a full-batch method counts as one. Right: against seconds, without "
        "compilation."
    ),
)
