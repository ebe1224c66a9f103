"""Plots of language models.

Legend: N windows, T positions.
"""

import numpy as np

from . import style


def loss_by_position(nats):
    """Draws the mean loss at each position of the window, with a band of two standard errors.

    Args:
        nats: Negative log-likelihood of each token, [N, T].

    Returns:
        A `matplotlib.figure.Figure`.
    """
    nats = np.asarray(nats, np.float64)
    positions, mean = np.arange(1, nats.shape[1] + 1), nats.mean(axis=0)
    figure, axes = style.canvas(6.0, 3.4)
    axis = axes[0, 0]
    if len(nats) > 1:
        error = 2 * nats.std(axis=0, ddof=1) / np.sqrt(len(nats))
        axis.fill_between(positions, mean - error, mean + error, color=style.SKY, alpha=0.4, linewidth=0)
    axis.plot(positions, mean, color=style.BLUE)
    axis.axhline(mean.mean(), color=style.MUTED, linestyle="--", linewidth=1, label="mean")
    axis.set(xlabel="position in the window", ylabel="nats per token", xlim=(1, max(2, len(mean))))
    axis.legend(frameon=False, fontsize=9)
    return figure
