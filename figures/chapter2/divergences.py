"""Figures of Sec. 2.3 and 3.6: relative entropy forwards and backwards, and the family of f-divergences."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from ...losses.divergences import f_divergence
from ...losses.f_divergences import GENERATORS
from ...publishing.page import style
from . import divergence_fits

NAMES = {
    "kl": "KL",
    "reverse_kl": "reverse KL",
    "jensen_shannon": "Jensen-Shannon",
    "squared_hellinger": "Hellinger",
    "chi_squared": r"$\chi^2$",
    "total_variation": "total variation",
}
"""Titles of the f-divergences in a figure."""

_COLOURS = dict(
    zip(
        NAMES,
        (style.BLUE, style.SKY, style.GREEN, style.ORANGE, style.PURPLE, style.VERMILION),
        strict=True,
    )
)


def draw_fits():
    """Draws the Gaussian fits of a density with two bumps, and the landscapes in which they are minima.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    return draw_gaussian_fits(divergence_fits.fits())


def draw_gaussian_fits(fits):
    """Draws given fits of the density of `divergence_fits`.

    Args:
        fits: `GaussianFit` by name, those of `divergence_fits.fits`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(9.0, 3.7, columns=3, width_ratios=[1.25, 1, 1])
    looks = {
        "forward": (style.BLUE, "forward", "o"),
        "reverse, left": (style.VERMILION, "reverse, left start", "s"),
        "reverse, right": (style.ORANGE, "reverse, right start", "^"),
    }
    left, *maps = axes[0]
    x = np.linspace(-5.0, 4.6, 400)
    left.fill_between(
        x, divergence_fits.bumps().prob(x), color=style.MUTED, alpha=0.4, linewidth=0, label="density $p$"
    )
    for name, fit in fits.items():
        colour, label, _ = looks[name]
        height = np.exp(-(((x - fit.mean) / fit.scale) ** 2) / 2) / (fit.scale * np.sqrt(2 * np.pi))
        left.plot(x, height, color=colour, label=f"{label}, {fit.divergence:.2f} nats")
    left.set(xlabel="$x$", ylabel="density", xlim=(-5.0, 4.6), ylim=(0, 1.18))
    left.legend(frameon=False, fontsize=9, loc="upper left", borderpad=0.1)
    means, scales = np.linspace(-4.0, 4.0, 49), np.geomspace(0.25, 4.0, 33)
    titles = {"forward": r"$D(p\,\|\,q)$, forward", "reverse": r"$D(q\,\|\,p)$, reverse"}
    for axis, (direction, title) in zip(maps, titles.items(), strict=True):
        values = divergence_fits.landscape(direction, means, scales)
        levels = np.geomspace(0.3, 30.0, 13)
        axis.contourf(means, scales, values, levels, cmap="Blues_r", norm="log", extend="both")
        axis.contour(means, scales, values, levels, colors="white", linewidths=0.5)
        for name, fit in fits.items():
            colour, _, marker = looks[name]
            if name.startswith(direction):
                axis.plot(fit.mean, fit.scale, marker, color=colour, markeredgecolor="white", markersize=8)
        axis.set(xlabel="mean of $q$", yscale="log")
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_yticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
        axis.minorticks_off()
        axis.grid(False)
    maps[0].set_ylabel("standard deviation of $q$")
    return figure


def generators(ratios):
    """Returns f(u) of every f-divergence.

    Args:
        ratios: Ratios u = p / q, positive, [U].

    Returns:
        Values by the names of `NAMES`, [U] each.
    """
    log_ratios = tf.constant(np.log(ratios))
    return {name: GENERATORS[name](log_ratios).numpy() * (1 + ratios) / 2 for name in NAMES}


def shifts(distances):
    """Returns every f-divergence between two Gaussians of unit variance, over half their squared distance.

    Half the squared distance is the form that the Fisher matrix of a mean, 1, gives to all of them.

    Args:
        distances: Distances of the means, positive, [E].

    Returns:
        Ratios by the names of `NAMES`, [E] each.
    """
    # Sums over a fine grid are exact for Gaussians.
    grid = np.linspace(-12.0, 12.0 + np.max(distances), 2001)
    p = tfp.distributions.Categorical(logits=-(grid**2) / 2)
    q = tfp.distributions.Categorical(logits=-((grid - distances[:, None]) ** 2) / 2)
    return {name: f_divergence(name, p, q).numpy() / (distances**2 / 2) for name in NAMES}


def draw_family():
    """Draws the generators of the f-divergences with their parabola, and their values for shifted Gaussians.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(8.3, 4.3, columns=2)
    left, right = axes[0]
    ratios, distances = np.linspace(0.002, 3.0, 600), np.geomspace(0.03, 4.0, 60)
    values, measured = generators(ratios), shifts(distances)
    left.plot(ratios, (ratios - 1) ** 2 / 2, "--", color=style.INK, linewidth=1, zorder=3)
    right.axhline(1.0, linestyle="--", color=style.INK, linewidth=1, label="Fisher metric", zorder=3)
    # Wide where another line covers it: chi^2 is the parabola, and a shift has one relative entropy.
    wide = {"linewidth": 4, "alpha": 0.5}
    for name, title in NAMES.items():
        left.plot(ratios, values[name], color=_COLOURS[name], **(wide if name == "chi_squared" else {}))
        look = wide if name == "kl" else {}
        right.plot(distances, measured[name], color=_COLOURS[name], label=title, **look)
    left.set(xlabel="ratio of densities $u = p/q$", ylabel="generator $f(u)$", xlim=(0, 3), ylim=(-0.03, 1.6))
    right.set(xscale="log", yscale="log", ylim=(0.09, 30))
    right.set(xlabel="distance of the means / standard deviation", ylabel="divergence / Fisher's form")
    right.set_xticks([0.03, 0.1, 0.3, 1, 3], ["0.03", "0.1", "0.3", "1", "3"])
    right.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
    right.minorticks_off()
    figure.legend(
        *right.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9
    )
    return figure
