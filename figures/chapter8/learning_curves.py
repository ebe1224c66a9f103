"""Learning curves of a policy gradient, trust regions and Q-learning, each with several seeds (Sec. 8.5).

Legend: R reports.
"""

import numpy as np

from ...publishing.page import learning_curves, style
from ..figure import Figure

ENVIRONMENT = "CartPole-v1"
STEPS = 25_000
_COPIES = 8
_POLICY = {"discount": 0.98, "lam": 0.8, "rollout": 64}
# Chosen for short runs; the zoo's recipes differ.
AGENTS = {
    "VPG": ("VPG", {**_POLICY, "learning_rate": 1e-2, "value_learning_rate": 1e-2, "value_steps": 20}),
    "TRPO": ("TRPO", {**_POLICY, "kl_limit": 0.02, "minibatch": 128}),
    "PPO": (
        "PPO",
        {**_POLICY, "minibatch": 256, "epochs": 20, "learning_rate": 1e-3, "schedule": "constant"},
    ),
    "DQN": ("DQN", {"hidden": (64, 64), "exploration": 0.4}),
}
_COLORS = (style.GREEN, style.BLUE, style.VERMILION, style.PURPLE)


def measure(steps=STEPS, seeds=3, copies=_COPIES, agents=None):
    """Lets each algorithm learn.

    Args:
        steps: Steps of experience.
        seeds: Number of agents for each algorithm.
        copies: Copies of the environment.
        agents: The algorithms with their settings, by label; `None` for `AGENTS`.

    Returns:
        By label, a list with an array of (steps, mean return of the last 100 episodes) [R, 2] for each seed.
    """
    from ... import agents as algorithms

    curves = {}
    for label, (name, settings) in (agents or AGENTS).items():
        curves[label] = []
        for seed in range(seeds):
            agent = getattr(algorithms, name)(ENVIRONMENT, copies=copies, seed=seed, **settings)
            rows = agent.learn(steps, progress=False)
            agent.environments.close()
            curves[label].append(np.array([(row["steps"], row.get("return", np.nan)) for row in rows]))
    return curves


def plot(curves):
    """Draws the mean curve of each algorithm with its confidence band.

    Args:
        curves: What `measure` returned.
    """
    figure, grid = style.canvas(6.4, 4.0)
    axes = grid[0, 0]
    for (label, each), color in zip(curves.items(), _COLORS, strict=False):
        learning_curves.draw(axes, each, label, color)
    axes.axhline(475, linestyle="--", linewidth=1, color=style.INK)
    axes.set(xlabel="steps of experience", ylabel="mean return of the last 100 episodes", ylim=(0, 510))
    axes.legend(frameon=False)
    return figure


def draw():
    """Trains and draws the agents."""
    return plot(measure())


FIGURE = Figure(
    section="8.5",
    name="learning_curves",
    draw=draw,
    caption=(
        f"Returns on {ENVIRONMENT} while learning, exploration included: mean over three seeds with its 95 % "
        "confidence band, which is wide for three. The dashed line is the level at which the task counts as "
        "solved. All use the same small network and 8 copies of the environment. These are the first "
        f"{STEPS:,} steps only; the zoo's agents learn longer."
    ),
)
