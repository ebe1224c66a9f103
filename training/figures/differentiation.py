"""Figure: the error of a derivative against the step, for differences and for the chain rule.

Left, the notes' own example (Eq. 1.4.2), f = 10^10 + x^2 at x = 10/9. Its third derivative vanishes, so the
central difference has no truncation error and only gains from a larger step. Right, f = e^x at x = 1, where
both quotients have the V shape: truncation rises with the step, rounding falls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...theory import differentiation

_FLOOR = 1e-17  # a logarithmic axis has no zero: an exact derivative is drawn here


@dataclass(frozen=True)
class Example:
    """A function with known derivatives at a point.

    Attributes:
        title: for the plot.
        function: in NumPy, complex-analytic.
        function_in_tensorflow: the same for automatic differentiation.
        x: the point.
        derivatives: f, f', f'', f''' there.
    """

    title: str
    function: Callable
    function_in_tensorflow: Callable
    x: float
    derivatives: tuple[float, float, float, float]


NOTES = Example(
    r"$f = 10^{10} + x^2$ at $x = 10/9$ (Eq. 1.4.2)",
    lambda x: 1e10 + x * x,
    lambda x: 1e10 + x * x,
    10 / 9,
    (1e10 + 100 / 81, 20 / 9, 2.0, 0.0),
)
"""The notes' example."""

EXPONENTIAL = Example(r"$f = e^x$ at $x = 1$", np.exp, tf.exp, 1.0, (np.e,) * 4)
"""An example with a third derivative."""


def measure(example: Example, epsilons: np.ndarray) -> dict[str, np.ndarray]:
    """Measure the absolute error of the derivative for every step and method.

    Args:
        example: the function and its point.
        epsilons: steps, [E].

    Returns:
        Errors by method, [E] each; automatic differentiation has no step and repeats its one error.
    """
    exact = example.derivatives[1]
    point = np.array([example.x])
    methods = {
        "forward difference": differentiation.forward_difference,
        "central difference": differentiation.central_difference,
        "complex step": differentiation.complex_step,
    }
    errors = {
        name: np.array([abs(method(lambda x: example.function(x)[0], point, e)[0] - exact) for e in epsilons])
        for name, method in methods.items()
    }
    x = tf.constant(example.x, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = example.function_in_tensorflow(x)
    automatic = abs(float(tape.gradient(value, x)) - exact)
    return {**errors, "automatic differentiation": np.full(len(epsilons), automatic)}


def draw() -> Figure:
    """Draw the measured errors of both examples, with the theory's bounds dashed.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _panel(left, NOTES)
    _panel(right, EXPONENTIAL)
    left.axvline(1e-3, color="0.6", linewidth=0.8)
    left.annotate("the notes' step", (1e-3, 3e-15), rotation=90, ha="right", color="0.4", fontsize=8)
    left.set_ylabel("absolute error of f '(x)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def _panel(axes: Axes, example: Example) -> None:
    epsilons = np.logspace(-14, 0, 141)
    points = {"linestyle": "none", "markersize": 3}
    styles = {
        "forward difference": {"color": "tab:red", "marker": "o", "zorder": 3, **points},
        "central difference": {"color": "tab:blue", "marker": "s", **points},
        "complex step": {"color": "tab:green", "marker": "x", "zorder": 3, **points},
        "automatic differentiation": {"color": "black"},
    }
    for name, errors in measure(example, epsilons).items():
        axes.plot(epsilons, np.maximum(errors, _FLOOR), label=name, **styles[name])
    for order, color in ((1, "tab:red"), (2, "tab:blue")):
        value, derivative = example.derivatives[0], example.derivatives[order + 1]
        bound = differentiation.difference_error(epsilons, value, derivative, order=order)
        label = "truncation + rounding" if order == 1 else None
        axes.plot(epsilons, bound, "--", color=color, linewidth=1, label=label)
    axes.set(xscale="log", yscale="log", xlabel=r"step $\epsilon$", title=example.title)
    axes.set_ylim(bottom=1e-19)
    axes.text(
        0.98,
        0.015,
        r"exact results are drawn at $10^{-17}$",
        transform=axes.transAxes,
        ha="right",
        fontsize=8,
    )
