"""The regret of bandit strategies, with the lower bound of Lai and Robbins (the first limit of Sec. 8).

Legend: R runs, T steps.
"""

from dataclasses import dataclass

import numpy as np

from ...agents import bandits
from ...publishing.page import style
from ..figure import Figure

MEANS = (0.7, 0.6, 0.5, 0.4, 0.3)
"""The means of the arms."""

SCALE = 0.5
"""The standard deviation of the rewards of the normal arms."""

# UCB1's factor is 2 for rewards in [0, 1] and 8 sigma^2 = 2 for the normal arms.
_STRATEGIES = {
    "ε-greedy, ε = 0.1": bandits.EpsilonGreedy(0.1),
    "ε-greedy, falling as 1/t": bandits.EpsilonGreedy(1.0, decay=100),
    "UCB1": bandits.UCB1(2.0),
    "gradient bandit": bandits.GradientBandit(0.1),
}
_COLORS = (style.VERMILION, style.ORANGE, style.BLUE, style.PURPLE, style.GREEN)


@dataclass(frozen=True)
class Regrets:
    """Regrets on one bandit.

    Args:
        title: What the rewards are.
        curves: Regret after each step by the strategy's name, each [R, T].
        slope: The lower bound on the regret per log T.
    """

    title: str
    curves: dict
    slope: float


def measure(steps=3000, runs=100, seed=0):
    """Lets all strategies play arms with Bernoulli and with normally distributed rewards.

    Args:
        steps: Number T of steps.
        runs: Number R of runs of each strategy.
        seed: Seed of rewards and strategies.

    Returns:
        A list of two `Regrets`.
    """
    panels = []
    for title, bandit, thompson in (
        ("Rewards 0 and 1", bandits.BernoulliBandit(MEANS), bandits.BernoulliThompson()),
        (
            "Normally distributed rewards",
            bandits.GaussianBandit(MEANS, SCALE),
            bandits.GaussianThompson(SCALE),
        ),
    ):
        strategies = {**_STRATEGIES, "Thompson sampling": thompson}
        curves = {
            name: bandits.play(bandit, strategy, steps, runs, seed).regret
            for name, strategy in strategies.items()
        }
        panels.append(Regrets(title, curves, bandits.lai_robbins_slope(bandit)))
    return panels


def plot(panels):
    """Draws the mean regret with a band of the middle 80 % of the runs, and the slope of the lower bound.

    Args:
        panels: `Regrets`, one for each panel.
    """
    figure, axes = style.canvas(9.6, 4.2, columns=len(panels), sharey=True)
    for axis, panel in zip(axes[0], panels, strict=True):
        for (name, regrets), color in zip(panel.curves.items(), _COLORS, strict=True):
            steps = np.arange(1, regrets.shape[1] + 1)
            low, high = np.quantile(regrets, (0.1, 0.9), axis=0)
            axis.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
            axis.plot(steps, regrets.mean(axis=0), color=color, linewidth=1.8, label=name)
        axis.plot(
            steps,
            panel.slope * np.log(steps),
            "--",
            color=style.INK,
            linewidth=1.2,
            label="slope of Lai and Robbins",
        )
        axis.set(xscale="log", xlim=(10, len(steps)), xlabel="step $T$")
        axis.set_title(panel.title, loc="left", fontsize=11)
    top = max(np.quantile(regrets[:, -1], 0.9) for panel in panels for regrets in panel.curves.values())
    axes[0, 0].set(ylim=(0, 1.05 * top), ylabel="regret $R_T$")
    style.legend_below(figure, columns=3)
    return figure


def draw():
    """Plays and draws the regrets."""
    return plot(measure())


FIGURE = Figure(
    section="8.1",
    name="bandit_regret",
    draw=draw,
    caption=(
        "Exploration and exploitation with one state: the regret of bandit strategies on five arms of means "
        "0.3 to 0.7, as mean and middle 80 % of 100 runs. No strategy that is good on all bandits has, in "
        "the long run, a smaller slope against log T than the dashed line of Lai and Robbins; its height is "
        "not part of the bound. Thompson sampling approaches it. UCB1 becomes logarithmic, too, but "
        "explores more than it must. A constant ε costs the same at every step, which is exponential on "
        "this axis. The gradient bandit, a policy gradient without states, explores less and less, and in "
        "some runs it settles on the second best arm."
    ),
)
