"""Figures: entropy and divergence as rates of counted sequences (Secs. 2.1 and 2.3).

`draw_entropy` is for Eqs. 2.1.8 and 2.1.9, `draw_kl_rate` for Eq. 2.3.1. All numbers are exact.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ...publishing.page import style
from ...theory import information, sequences

TOSSES = (4, 16, 64, 512)
"""Numbers of tosses in the figure of the entropy."""

FREQUENCY = 0.2
"""Share p of heads in the data of the figure of the divergence."""

MODELS = (0.35, 0.5, 0.7)
"""Probabilities q of heads under its models."""


def coin_rates(tosses: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log number of sequences per toss, for every number of heads (left of Eq. 2.1.8).

    Args:
        tosses: Number N of tosses.

    Returns:
        (p, rates), the frequencies of heads 0, 1/N, ..., 1 and log(N! / (pN)! ((1-p)N)!) / N in nats,
        [N + 1] each.
    """
    heads = np.arange(tosses + 1)
    return heads / tosses, sequences.log_multiplicity(np.stack([heads, tosses - heads], axis=-1)) / tosses


def probability_rates(frequency: float, model: float, tosses: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns log P / N of a frequency of heads under a model, and -D_KL, its limit (Eq. 2.3.1).

    Args:
        frequency: Share p of heads in the data.
        model: Probability q of heads.
        tosses: Numbers N of tosses with integer pN, [M].

    Returns:
        (rates [M], limit), in nats per toss.
    """
    tosses = np.asarray(tosses)
    heads = np.rint(frequency * tosses)
    counts, q = np.stack([heads, tosses - heads], axis=-1), [model, 1 - model]
    divergence = information.kl_divergence([frequency, 1 - frequency], q)
    return sequences.log_type_probability(counts, q) / tosses, -float(divergence)


def draw_entropy() -> Figure:
    """Draws the entropy of a coin and the exact log number of sequences per toss that approaches it.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(6.4, 4.2)
    axis = axes[0, 0]
    p = np.linspace(0, 1, 401)
    entropy = information.entropy(np.stack([p, 1 - p], axis=-1))
    axis.plot(p, entropy, color=style.INK, linewidth=2, label=r"entropy $S_{bit}(p)$")
    colors = (style.ORANGE, style.VERMILION, style.SKY, style.BLUE)
    for tosses, color in reversed(list(zip(TOSSES, colors, strict=True))):
        marks = {"linestyle": "none", "marker": "o", "markersize": 4} if tosses < 100 else {"linewidth": 1.2}
        axis.plot(*coin_rates(tosses), color=color, label=f"$N$ = {tosses}", **marks)
    axis.axhline(np.log(2), color=style.MUTED, linewidth=0.8, linestyle="--")
    axis.text(0.0, np.log(2) + 0.01, r"$\log 2$", color=style.MUTED, fontsize=9)
    axis.set(xlabel="share $p$ of heads", ylabel="nats per toss", ylim=(-0.02, 0.76), xlim=(-0.02, 1.02))
    axis.legend(loc="lower center", frameon=False, fontsize=9)
    return figure


def draw_kl_rate() -> Figure:
    """Draws the exact log probability per toss against N, approaching minus the divergence, for three models.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(8.3, 4.0, columns=2)
    rates, gaps = axes[0]
    tosses = np.unique(np.rint(np.logspace(0, 4, 33)).astype(int)) * 5
    looks = zip(MODELS, (style.GREEN, style.BLUE, style.VERMILION), (9, 6, 3), strict=True)
    for model, color, size in looks:
        exact, limit = probability_rates(FREQUENCY, model, tosses)
        rates.plot(tosses, exact, color=color, marker="o", markersize=3, linestyle="none")
        rates.axhline(limit, color=color, linewidth=1.2)
        rates.text(tosses[-1], limit - 0.012, f"$q$ = {model}", color=color, fontsize=9, ha="right", va="top")
        # They coincide: larger points below smaller ones show all three.
        gaps.plot(tosses, limit - exact, color=color, marker="o", markersize=size, linestyle="none")
    p = FREQUENCY
    gaps.plot(tosses, np.log(2 * np.pi * tosses * p * (1 - p)) / (2 * tosses), color=style.INK, linewidth=1)
    gaps.text(60, 0.06, r"$\log(2\pi Np(1-p))\,/\,2N$", color=style.INK, fontsize=10)
    rates.text(tosses[-1], -0.72, f"share of heads $p$ = {p}", color=style.INK, fontsize=9, ha="right")
    rates.set(xscale="log", xlabel="tosses $N$", ylabel="nats per toss")
    rates.set_title(r"$\log P\,/\,N$ (points) and $-D_{KL}(p\,||\,q)$ (lines)", loc="left", fontsize=11)
    gaps.set(xscale="log", yscale="log", xlabel="tosses $N$", ylabel="nats per toss")
    gaps.set_title(r"$-D_{KL} - \log P\,/\,N$, the same for every $q$", loc="left", fontsize=11)
    return figure
