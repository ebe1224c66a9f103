"""RMSProp on quadratic losses of different curvature, compared with SGD (Sec. 4.4)."""

import numpy as np

from ...publishing.page import style
from ...theory import descent
from ...theory import rmsprop as theory
from ..figure import Figure


def measure(curvatures=(1.0, 10.0, 1000.0), beta=0.9, start=300.3, steps=420):
    """Minimizes a diagonal quadratic loss with SGD and with RMSProp, and |theta| with SGD, Eq. 4.4.6.

    Args:
        curvatures: Diagonal of the Hessian, [D]. The learning rate of SGD is 1 / max(curvatures).
        beta: Decay of RMSProp's running average.
        start: Initial value of all parameters, in units of RMSProp's learning rate.
        steps: Number N of steps.

    Returns:
        Parameters by method, [N + 1, D] each, and [N + 1, 1] for SGD on |theta|.
    """
    curvatures = np.asarray(curvatures)
    first = np.full(curvatures.size, start)
    factors = descent.sgd_factor(1 / curvatures.max(), curvatures)
    on_modulus = [start]
    for _ in range(steps):
        on_modulus.append(on_modulus[-1] - np.sign(on_modulus[-1]))
    return {
        "SGD": first * factors ** np.arange(steps + 1)[:, None],
        "RMSProp": theory.rmsprop_path(lambda theta: curvatures * theta, first, 1.0, beta, steps),
        "SGD on |theta|": np.array(on_modulus)[:, None],
    }


def draw():
    """Draws the paths of RMSProp and SGD, and the effect of RMSProp's memory."""
    figure, axes = style.canvas(10, 4.3, columns=2)
    paths, memories = axes[0]
    _paths(paths)
    _memories(memories)
    return figure


def _paths(axes):
    paths = {method: np.abs(path) for method, path in measure().items()}
    names = [rf"$\lambda_{{max}} / {k}$" if k > 1 else r"$\lambda_{max}$" for k in (1000, 100, 1)]
    places = ((230, 258), (12, 62), (5, 8))
    for values, name, place in zip(paths["SGD"].T, names, places, strict=True):
        axes.plot(values, color=style.VERMILION, linewidth=1.4)
        axes.text(*place, f"SGD, {name}", color=style.VERMILION, fontsize=10)
    axes.plot(paths["RMSProp"][:, 0], color=style.SKY, linewidth=5, label=r"RMSProp, $\lambda_{max} / 1000$")
    axes.plot(paths["RMSProp"][:, -1], color=style.BLUE, linewidth=1.5, label=r"RMSProp, $\lambda_{max}$")
    axes.plot(paths["SGD on |theta|"], "--", color=style.INK, linewidth=1.2, label=r"SGD on $|\theta|$")
    axes.set(xlabel="steps", ylabel=r"distance $|\theta| / \epsilon$", ylim=(0, 310), xlim=(0, 420))
    title = r"RMSProp ($\beta = 0.9$) on $\lambda\theta^2$ behaves like SGD on $|\theta|$"
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="upper right", bbox_to_anchor=(1, 0.62))


def _memories(axes):
    colors = (style.GREEN, style.BLUE, style.ORANGE, style.VERMILION)
    for beta, color in zip((0.5, 0.9, 0.99, 0.999), colors, strict=True):
        path = theory.rmsprop_path(lambda theta: theta, [100.3], 1.0, beta, 4000)[:, 0]
        axes.plot(np.abs(path), color=color, linewidth=1.4, label=rf"$\beta = {beta:g}$")
    on_modulus = np.abs(100.3 - np.arange(101))
    axes.plot(on_modulus, "--", color=style.INK, linewidth=1.2, label=r"SGD on $|\theta|$")
    axes.text(11, 0.6, r"$\epsilon / 2$", color=style.MUTED, fontsize=10)
    axes.plot([10, 4000], [0.5, 0.5], color=style.MUTED, linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlim=(10, 4000), ylim=(1e-4, 200))
    axes.set(xlabel="steps", ylabel=r"distance $|\theta| / \epsilon$")
    axes.set_title("A longer memory arrives later", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="lower left")


FIGURE = Figure(
    section="4.4",
    name="rmsprop",
    draw=draw,
    caption=(
        "Left: for every λ, RMSProp on λ θ² moves nearly as SGD does on |θ| (Eq. 4.4.6), unlike SGD on λ θ². "
        "Right: λ = 1, starting from |θ| = 100 ε. A memory shorter than this distance ends in an oscillation "
        "of ±ε/2. With longer ones (β = 0.99, 0.999), θ first falls exponentially, far below ε."
    ),
)
