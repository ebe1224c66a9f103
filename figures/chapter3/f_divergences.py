"""The f-divergences: their generators, and their values for shifted Gaussians."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from ...losses.divergences import f_divergence
from ...losses.f_divergences import GENERATORS
from ...publishing.page import style
from ..figure import Figure

LABELS = {
    "kl": "KL",
    "reverse_kl": "reverse KL",
    "scaled_jensen_shannon": "Jensen-Shannon",
    "squared_hellinger": "Hellinger",
    "chi_squared": r"$\chi^2$",
    "total_variation": "total variation",
}
"""Labels of the divergences in the figure."""

_PALETTE = (style.BLUE, style.SKY, style.GREEN, style.ORANGE, style.PURPLE, style.VERMILION)
_COLORS = dict(zip(LABELS, _PALETTE, strict=True))


def generators(ratios):
    """Computes the generator f(u) of each f-divergence.

    Args:
        ratios: Ratios u = p / q, positive, [U].

    Returns:
        Values by the names of `LABELS`, [U] each.
    """
    log_ratios = tf.constant(np.log(ratios))
    return {name: GENERATORS[name](log_ratios).numpy() * (1 + ratios) / 2 for name in LABELS}


def shifts(distances):
    """Computes each f-divergence of two Gaussians of unit variance, divided by half their squared distance.

    Half the squared distance is the quadratic form of the Fisher matrix, which is 1 for the mean.

    Args:
        distances: Distances of the means, positive, [E].

    Returns:
        Ratios by the names of `LABELS`, [E] each.
    """
    # Sums over a fine grid are exact for Gaussians.
    grid = np.linspace(-12.0, 12.0 + np.max(distances), 2001)
    p = tfp.distributions.Categorical(logits=-(grid**2) / 2)
    q = tfp.distributions.Categorical(logits=-((grid - distances[:, None]) ** 2) / 2)
    return {name: f_divergence(name, p, q).numpy() / (distances**2 / 2) for name in LABELS}


def draw():
    """Draws the generators with their common parabola, and the divergences of shifted Gaussians."""
    figure, axes = style.canvas(8.3, 4.3, columns=2)
    left, right = axes[0]
    ratios, distances = np.linspace(0.002, 3.0, 600), np.geomspace(0.03, 4.0, 60)
    generated, shifted = generators(ratios), shifts(distances)
    left.plot(ratios, (ratios - 1) ** 2 / 2, "--", color=style.INK, linewidth=1, zorder=3)
    right.axhline(1.0, linestyle="--", color=style.INK, linewidth=1, label="Fisher metric", zorder=3)
    # Curves that another line covers are wide: chi^2 is the parabola, and both KL divergences agree.
    wide = {"linewidth": 4, "alpha": 0.5}
    for name, label in LABELS.items():
        left.plot(ratios, generated[name], color=_COLORS[name], **(wide if name == "chi_squared" else {}))
        look = wide if name == "kl" else {}
        right.plot(distances, shifted[name], color=_COLORS[name], label=label, **look)
    left.set(xlabel="ratio of densities $u = p/q$", ylabel="generator $f(u)$", xlim=(0, 3), ylim=(-0.03, 1.6))
    right.set(xscale="log", yscale="log", ylim=(0.09, 30))
    right.set(xlabel="distance of the means / standard deviation", ylabel="divergence / Fisher form")
    right.set_xticks([0.03, 0.1, 0.3, 1, 3], ["0.03", "0.1", "0.3", "1", "3"])
    right.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
    right.minorticks_off()
    style.legend_below(figure, columns=4)
    return figure


FIGURE = Figure(
    section="3.6",
    name="f_divergences",
    draw=draw,
    caption=(
        "Left: the generators f(u) of the f-divergences of Sec. 3.6, scaled to f''(1) = 1, with their common "
        "parabola, which is the generator of chi^2. Right: the divergences of two shifted Gaussians, divided "
        "by the quadratic form of the Fisher matrix of Eq. 2.3.7. At small distances all agree except total "
        "variation, whose generator has a corner."
    ),
    place=1,
)
