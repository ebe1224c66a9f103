"""Errors of finite differences and of automatic differentiation against the step.

Left, the example of the notes (Eq. 1.4.2), f = 10^10 + x^2 at x = 10/9. Its third derivative vanishes, so the
central difference has no truncation error and only gains from a larger step. Right, f = e^x at x = 1, where
the errors of both quotients are V-shaped: truncation grows with the step, rounding falls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ...publishing.page import style
from ...theory import differentiation
from ..figure import Figure

# A logarithmic axis has no zero: exact derivatives are drawn at this value.
_FLOOR = 1e-17


@dataclass(frozen=True)
class Example:
    """A function with known derivatives at a point.

    Args:
        title: Title of its panel.
        function: The function in NumPy, complex-analytic.
        function_in_tensorflow: The same function for automatic differentiation.
        x: The point.
        derivatives: Values of f, f', f'' and f''' at the point.
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
"""The example of the notes."""

EXPONENTIAL = Example(r"$f = e^x$ at $x = 1$", np.exp, tf.exp, 1.0, (np.e,) * 4)
"""An example with a nonzero third derivative."""


def measure(example: Example, epsilons: np.ndarray) -> dict[str, np.ndarray]:
    """Measures the absolute error of the derivative for each step and method.

    Args:
        example: The function and its point.
        epsilons: Steps, [E].

    Returns:
        Errors by method, [E] each. Automatic differentiation has no step; its one error is repeated.
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


def draw():
    """Draws the measured errors of both examples, with the theoretical bounds dashed."""
    figure, axes = style.canvas(8.3, 4.2, columns=2)
    left, right = axes[0]
    _panel(left, NOTES)
    _panel(right, EXPONENTIAL)
    left.axvline(1e-3, color=style.MUTED, linewidth=0.8)
    left.annotate("the notes' step", (1e-3, 3e-15), rotation=90, ha="right", color=style.MUTED, fontsize=9)
    left.set_ylabel("absolute error of $f'(x)$")
    style.legend_below(figure, columns=3)
    return figure


def _panel(axes, example):
    epsilons = np.logspace(-14, 0, 141)
    points = {"linestyle": "none", "markersize": 3}
    looks = {
        "forward difference": {"color": style.VERMILION, "marker": "o", "zorder": 3, **points},
        "central difference": {"color": style.BLUE, "marker": "s", **points},
        "complex step": {"color": style.GREEN, "marker": "x", "zorder": 3, **points},
        "automatic differentiation": {"color": style.INK},
    }
    for name, errors in measure(example, epsilons).items():
        axes.plot(epsilons, np.maximum(errors, _FLOOR), label=name, **looks[name])
    for order, color in ((1, style.VERMILION), (2, style.BLUE)):
        value, derivative = example.derivatives[0], example.derivatives[order + 1]
        bound = differentiation.difference_error(epsilons, value, derivative, order=order)
        label = "truncation + rounding" if order == 1 else None
        axes.plot(epsilons, bound, "--", color=color, linewidth=1, label=label)
    axes.set(xscale="log", yscale="log", xlabel=r"step $\epsilon$")
    axes.set_title(example.title, loc="left", fontsize=11)
    axes.set_ylim(bottom=1e-19)
    axes.text(
        0.02,
        0.015,
        r"exact results are drawn at $10^{-17}$",
        transform=axes.transAxes,
        color=style.INK,
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0},
    )


FIGURE = Figure(
    section="1.4",
    name="differentiation",
    draw=draw,
    caption=(
        "Errors of the derivative against the step of the finite differences (Eqs. 1.4.1 and 1.4.2). "
        "Truncation dominates at large steps, rounding at small ones. The complex step has no rounding "
        "error, and automatic differentiation has neither error."
    ),
)
