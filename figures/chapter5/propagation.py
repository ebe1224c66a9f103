"""Second moments of activations and gradients against depth at initialization (Sec. 5.1).

Random seeds are set with `keras.utils.set_random_seed`.

Legend: N layers or blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from ...layers import ResidualDense, UnitVarianceDense, residual_gain, variance_scaling
from ...publishing.page import style
from ...theory import propagation as theory
from ..figure import Figure

WIDTHS = (256, *(512, 320, 640, 256) * 6)
"""Widths L_0 (the inputs), L_1, ..., L_N of the plain networks."""

_RESIDUAL_WIDTH = 256


@dataclass(frozen=True)
class Scheme:
    """An initialization scheme of deep networks.

    Args:
        label: Label in the figure.
        layers: Function from `widths` to a list of Keras layers.
        forward: Function from `widths` to <X_n^2>, [N + 1], for inputs of unit variance.
        gradient: Function from `widths` to <(dLoss/dX_n)^2>, [N + 1], for a unit gradient at the output.
        color: Color of the curve.
        marker: Marker of the points.
    """

    label: str
    layers: Callable
    forward: Callable
    gradient: Callable
    color: str
    marker: str


@dataclass(frozen=True)
class Measurement:
    """Second moments of one scheme against depth, averaged over networks.

    Args:
        scheme: The `Scheme`.
        forward: Measured <X_n^2>, [N + 1].
        gradient: Measured <(dLoss/dX_n)^2>, [N + 1].
        forward_theory: Closed form of `forward`, [N + 1].
        gradient_theory: Closed form of `gradient`, [N + 1].
    """

    scheme: Scheme
    forward: np.ndarray
    gradient: np.ndarray
    forward_theory: np.ndarray
    gradient_theory: np.ndarray


def _plain(label, mode, gain, color, marker, unit_variance=False):
    def layers(widths):
        if unit_variance:
            return [UnitVarianceDense(n, scheme=mode, gain=gain, activation="relu") for n in widths[1:]]
        return [
            keras.layers.Dense(n, activation="relu", kernel_initializer=variance_scaling(mode, gain))
            for n in widths[1:]
        ]

    def forward(widths):
        return theory.forward_second_moment(widths, theory.weight_variance(widths, mode, gain))

    def gradient(widths):
        return theory.gradient_second_moment(widths, theory.weight_variance(widths, mode, gain))

    return Scheme(label, layers, forward, gradient, color, marker)


def _residual(label, scaled, color, marker):
    def layers(widths):
        depth = len(widths) - 1
        return [ResidualDense(depth=depth, residual_scale=scaled) for _ in range(depth)]

    def forward(widths):
        depth = len(widths) - 1
        return theory.residual_second_moment(depth, residual_gain(depth, 2) if scaled else 1.0)

    return Scheme(label, layers, forward, lambda widths: forward(widths)[::-1], color, marker)


PLAIN = {
    "fan_in": _plain("fan_in, 2/L$_{n-1}$", "fan_in", 1.0, style.BLUE, "o"),
    "unit_variance": _plain("unit variance, scale outside", "fan_in", 1.0, style.SKY, "x", True),
    "fan_out": _plain("fan_out, 2/L$_n$", "fan_out", 1.0, style.GREEN, "s"),
    "fan_avg": _plain("fan_avg, 2/(L$_n$+L$_{n-1}$)", "fan_avg", 1.0, style.ORANGE, "D"),
    "too_large": _plain("fan_in, weights × 1.25", "fan_in", 1.25, style.INK, "^"),
    "too_small": _plain("fan_in, weights × 0.8", "fan_in", 0.8, style.MUTED, "v"),
}
RESIDUAL = {
    "residual": _residual("residual, unscaled", False, style.VERMILION, "P"),
    "residual_scaled": _residual("residual, scaled by 1/$\\sqrt{L}$", True, style.PURPLE, "*"),
}


def measure(scheme, widths=WIDTHS, networks=8, batch_size=32):
    """Averages second moments of activations and gradients over random networks and random inputs.

    The inputs and the gradient at the output are standard normal and are drawn for each network.

    Args:
        scheme: A `Scheme`.
        widths: Widths L_0 (the inputs), L_1, ..., L_N; all equal for a residual scheme.
        networks: Number of networks, with seeds 0, 1, ...
        batch_size: Number of examples for each network.

    Returns:
        A `Measurement`.
    """
    forward, gradient = [], []
    for seed in range(networks):
        keras.utils.set_random_seed(seed)
        layers = scheme.layers(widths)
        x = tf.random.normal([batch_size, widths[0]])
        with tf.GradientTape() as tape:
            tape.watch(x)
            activations = [x]
            for layer in layers:
                activations.append(layer(activations[-1]))
            loss = tf.reduce_sum(activations[-1] * tf.random.normal([batch_size, widths[-1]]))
        gradients = tape.gradient(loss, activations)
        forward.append([np.mean(np.square(a)) for a in activations])
        gradient.append([np.mean(np.square(g)) for g in gradients])
    return Measurement(
        scheme,
        np.mean(forward, axis=0),
        np.mean(gradient, axis=0),
        scheme.forward(widths),
        scheme.gradient(widths),
    )


def plot(measurements):
    """Draws the second moments against depth: points are measured, lines are closed forms.

    Args:
        measurements: A `Measurement` for each curve.
    """
    figure, axes = style.canvas(8.3, 4.6, columns=2, sharex=True)
    panels = axes[0]
    for m in measurements:
        look = {"color": m.scheme.color, "marker": m.scheme.marker, "linestyle": "none", "markersize": 4}
        for panel, points, line in (
            (panels[0], m.forward, m.forward_theory),
            (panels[1], m.gradient, m.gradient_theory),
        ):
            depth = np.arange(len(points))
            panel.plot(depth, line, color=m.scheme.color, linewidth=1)
            panel.plot(depth, points, label=m.scheme.label, **look)
    panels[0].set_ylabel("second moment $\\langle X_n^2 \\rangle$")
    panels[1].set_ylabel("second moment $\\langle (\\partial\\mathrm{Loss}/\\partial X_n)^2 \\rangle$")
    for panel, title in zip(panels, ("Activations", "Gradients"), strict=True):
        panel.set(yscale="log", xlabel="layer or residual block $n$")
        panel.set_title(title, loc="left", fontsize=11)
    style.legend_below(figure, columns=3, title="points measured, lines Sec. 5.1")
    return figure


def draw():
    """Measures all schemes and draws the results.

    The residual networks have as many blocks as the plain networks have layers, all of the same width.
    """
    constant = (_RESIDUAL_WIDTH,) * len(WIDTHS)
    measurements = [measure(scheme) for scheme in PLAIN.values()]
    measurements += [measure(scheme, constant) for scheme in RESIDUAL.values()]
    return plot(measurements)


FIGURE = Figure(
    section="5.1",
    name="propagation",
    draw=draw,
    caption=(
        "Second moments of activations and gradients against depth (Eqs. 5.1.6 to 5.1.15). Points are "
        "measured on random networks, lines are the theory."
    ),
)
