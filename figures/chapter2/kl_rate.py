"""The KL divergence as the rate at which the probability of the data falls under a wrong model."""

import numpy as np

from ...publishing.page import style
from ...theory import information, sequences
from ..figure import Figure

FREQUENCY = 0.2
"""Fraction p of heads in the data."""

MODELS = (0.35, 0.5, 0.7)
"""Probabilities q of heads under the models."""


def measure(frequency, model, tosses):
    """Computes log P / N of a frequency of heads under a model, and its limit -D_KL (Eq. 2.3.1).

    Args:
        frequency: Fraction p of heads in the data.
        model: Probability q of heads under the model.
        tosses: Numbers N of tosses with integer pN, [M].

    Returns:
        (rates [M], limit), in nats per toss.
    """
    tosses = np.asarray(tosses)
    heads = np.rint(frequency * tosses)
    counts, q = np.stack([heads, tosses - heads], axis=-1), [model, 1 - model]
    divergence = information.kl_divergence([frequency, 1 - frequency], q)
    return sequences.log_type_probability(counts, q) / tosses, -float(divergence)


def draw():
    """Draws log P / N against N for three models with its limits, and the differences from the limits."""
    figure, axes = style.canvas(8.3, 4.0, columns=2)
    rates, gaps = axes[0]
    tosses = np.unique(np.rint(np.logspace(0, 4, 33)).astype(int)) * 5
    looks = zip(MODELS, (style.GREEN, style.BLUE, style.VERMILION), (9, 6, 3), strict=True)
    for model, color, size in looks:
        exact, limit = measure(FREQUENCY, model, tosses)
        rates.plot(tosses, exact, color=color, marker="o", markersize=3, linestyle="none")
        rates.axhline(limit, color=color, linewidth=1.2)
        rates.text(tosses[-1], limit - 0.012, f"$q$ = {model}", color=color, fontsize=9, ha="right", va="top")
        # The points coincide. Large ones below small ones show all three models.
        gaps.plot(tosses, limit - exact, color=color, marker="o", markersize=size, linestyle="none")
    p = FREQUENCY
    gaps.plot(tosses, np.log(2 * np.pi * tosses * p * (1 - p)) / (2 * tosses), color=style.INK, linewidth=1)
    gaps.text(60, 0.06, r"$\log(2\pi Np(1-p))\,/\,2N$", color=style.INK, fontsize=10)
    rates.text(tosses[-1], -0.72, f"fraction of heads $p$ = {p}", color=style.INK, fontsize=9, ha="right")
    rates.set(xscale="log", xlabel="tosses $N$", ylabel="nats per toss")
    rates.set_title(r"$\log P\,/\,N$ (points) and $-D_{KL}(p\,||\,q)$ (lines)", loc="left", fontsize=11)
    gaps.set(xscale="log", yscale="log", xlabel="tosses $N$", ylabel="nats per toss")
    gaps.set_title(r"$-D_{KL} - \log P\,/\,N$, the same for every $q$", loc="left", fontsize=11)
    return figure


FIGURE = Figure(
    section="2.3",
    name="kl_rate",
    draw=draw,
    caption=(
        "Left: the exact log probability per toss that models with q = 0.35, 0.5 and 0.7 assign to data with "
        "a fraction p = 0.2 of heads approaches minus the KL divergence (Eq. 2.3.1). Right: the difference "
        "is the same for every q. It comes from the square root in Stirling's formula, which Eq. 2.1.8 drops "
        "(line)."
    ),
    place=1,
)
