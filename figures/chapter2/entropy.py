"""The entropy of a coin as the growth rate of the number of sequences."""

import numpy as np

from ...publishing.page import style
from ...theory import information, sequences
from ..figure import Figure

TOSSES = (4, 16, 64, 512)
"""Numbers of tosses."""


def measure(tosses):
    """Computes the exact log number of sequences per toss for each number of heads (left side of Eq. 2.1.8).

    Args:
        tosses: Number N of tosses.

    Returns:
        (frequencies, rates), [N + 1] each: the frequencies of heads 0, 1/N, ..., 1, and
        log(N! / (pN)! ((1-p)N)!) / N in nats.
    """
    heads = np.arange(tosses + 1)
    return heads / tosses, sequences.log_multiplicity(np.stack([heads, tosses - heads], axis=-1)) / tosses


def draw():
    """Draws the entropy of a coin and the log number of sequences per toss, which approaches it."""
    figure, axes = style.canvas(6.4, 4.2)
    axis = axes[0, 0]
    p = np.linspace(0, 1, 401)
    entropy = information.entropy(np.stack([p, 1 - p], axis=-1))
    axis.plot(p, entropy, color=style.INK, linewidth=2, label=r"entropy $S_{bit}(p)$")
    colors = (style.ORANGE, style.VERMILION, style.SKY, style.BLUE)
    for tosses, color in reversed(list(zip(TOSSES, colors, strict=True))):
        marks = {"linestyle": "none", "marker": "o", "markersize": 4} if tosses < 100 else {"linewidth": 1.2}
        axis.plot(*measure(tosses), color=color, label=f"$N$ = {tosses}", **marks)
    axis.axhline(np.log(2), color=style.MUTED, linewidth=0.8, linestyle="--")
    axis.text(0.0, np.log(2) + 0.01, r"$\log 2$", color=style.MUTED, fontsize=9)
    axis.set(xlabel="fraction $p$ of heads", ylabel="nats per toss", ylim=(-0.02, 0.76), xlim=(-0.02, 1.02))
    axis.legend(loc="lower center", frameon=False, fontsize=9)
    return figure


FIGURE = Figure(
    section="2.1",
    name="entropy",
    draw=draw,
    caption=(
        "The entropy of a coin (Eq. 2.1.9, black) and the exact logarithm of the number of sequences with a "
        "fraction p of heads, per toss (left side of Eq. 2.1.8). The counts lie below the entropy and "
        "approach it as N grows."
    ),
)
