r"""The convergence of value iteration and of policy iteration (Eqs. 8.3.3 to 8.3.6).

Legend: N sweeps, K steps of policy iteration.
"""

from dataclasses import dataclass

import numpy as np
from gymnasium.envs.toy_text import FrozenLakeEnv

from ...agents.tabular import FiniteMDP
from ...publishing.page import style
from ..figure import Figure

DISCOUNT = 0.95

# Errors below are rounding errors of the exact values.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Convergence:
    """Errors in the maximum norm on one process.

    Args:
        title: The process.
        values: Error of Q_n after n = 0, 1, ... sweeps of value iteration, [N + 1].
        bounds: The bound from the last two sweeps, for n = 1, 2, ..., [N].
        policies: Error of Q of the policies of policy iteration, the random one first, [K + 1].
        optimal: The number of sweeps from which on the greedy policy is optimal.
    """

    title: str
    values: np.ndarray
    bounds: np.ndarray
    policies: np.ndarray
    optimal: int


def frozen_lake():
    """Returns the process of FrozenLake with 16 states and slippery ice."""
    return FiniteMDP.from_gymnasium(FrozenLakeEnv(), DISCOUNT)


def random_process(states=50, actions=4, successors=3, seed=0):
    """Returns a random process that never ends.

    Args:
        states: Number of states.
        actions: Number of actions.
        successors: Number of states that an action leads to, with random probabilities.
        seed: Seed of transitions and rewards.

    Returns:
        A `FiniteMDP` with normally distributed rewards.
    """
    rng = np.random.default_rng(seed)
    transitions = np.zeros((states, actions, states))
    for row in transitions.reshape(-1, states):
        row[rng.choice(states, successors, replace=False)] = rng.dirichlet(np.ones(successors))
    return FiniteMDP(transitions, rng.normal(size=(states, actions)), DISCOUNT)


def measure(title, mdp, sweeps=150):
    """Runs value iteration from Q = 0, and policy iteration from the random policy.

    Args:
        title: The name of the process.
        mdp: A `FiniteMDP` in which all actions are allowed.
        sweeps: Number N of sweeps.

    Returns:
        A `Convergence`.
    """
    exact = mdp.policy_iteration()
    best = mdp.policy_values(exact.policy).v
    q, errors, bounds, losses = np.zeros(exact.q.shape), [], [], []
    for _ in range(sweeps + 1):
        errors.append(np.abs(q - exact.q).max())
        losses.append(np.abs(mdp.policy_values(mdp.greedy(q)).v - best).max())
        following = mdp.bellman(q)
        bounds.append(DISCOUNT / (1 - DISCOUNT) * np.abs(following - q).max())
        q = following
    values = mdp.policy_values(np.full(q.shape, 1 / mdp.actions))
    policies = [np.abs(values.q - exact.q).max()]
    while policies[-1] > _ROUNDING:
        values = mdp.policy_values(mdp.greedy(values.q))
        policies.append(np.abs(values.q - exact.q).max())
    worse = np.flatnonzero(np.array(losses) > 1e-10)
    return Convergence(
        title,
        np.array(errors),
        np.array(bounds[:-1]),
        np.array(policies),
        int(worse[-1]) + 1 if len(worse) else 0,
    )


def plot(panels):
    """Draws the errors on a logarithmic axis, with the bounds.

    Args:
        panels: `Convergence`s, one for each panel.
    """
    figure, axes = style.canvas(9.6, 4.2, columns=len(panels), sharey=True)
    for axis, panel in zip(axes[0], panels, strict=True):
        n = np.arange(len(panel.values))
        guarantee = panel.values[0] * DISCOUNT**n
        axis.plot(
            n, guarantee, "--", color=style.INK, linewidth=1.2, zorder=4, label=r"$\gamma^n \|Q_0 - Q^*\|$"
        )
        axis.plot(
            n[1:],
            panel.bounds,
            ":",
            color=style.ORANGE,
            linewidth=1.8,
            zorder=3,
            label="bound from the last two sweeps",
        )
        axis.plot(n, panel.values, color=style.BLUE, linewidth=2.4, label="value iteration")
        axis.axvline(
            panel.optimal, color=style.MUTED, linewidth=1, label="greedy policy optimal from here on"
        )
        shown = np.maximum(panel.policies, _ROUNDING)
        axis.plot(
            np.arange(len(shown)), shown, "o-", color=style.VERMILION, markersize=4, label="policy iteration"
        )
        axis.set(yscale="log", xlabel="sweeps or steps $n$")
        axis.set_title(panel.title, loc="left", fontsize=11)
    axes[0, 0].set(ylim=(_ROUNDING / 2, None), ylabel=r"$\max_{s,a} |Q_n - Q^*|$")
    style.legend_below(figure, columns=3)
    return figure


def draw():
    """Solves both processes and draws the errors."""
    return plot(
        [
            measure("FrozenLake, 16 states", frozen_lake()),
            measure("Random process, 50 states", random_process()),
        ]
    )


FIGURE = Figure(
    section="8.3",
    name="contraction",
    draw=draw,
    caption=(
        "Value iteration Q → 𝒯Q with γ = 0.95 on FrozenLake and on a random process: the error in the "
        "maximum norm falls at least by γ per sweep (dashed, Eq. 8.3.4) and stays below the bound that "
        "the last two sweeps give. On FrozenLake, whose episodes end, it falls faster; on the random "
        "process it attains the rate γ. It is never zero, but the greedy policy is optimal after finitely "
        "many sweeps (gray). Policy iteration, which solves a linear system per step, reaches Q* after "
        "one and five steps; rounding errors are drawn at the lower edge."
    ),
)
