r"""Returns, rewards-to-go and advantages of sampled episodes (Eqs. 8.1.2, 8.2.8, 8.2.11 and 8.2.12).

N environments are stepped T times, and their episodes follow one another along the time axis. An episode ends
at a step that is `ended`, and nothing flows back across it. If it ended because its last state is terminal,
the step is also `terminated`, and nothing comes after; if it was truncated, by a time limit for example, the
value of the state that it reached stands for the rewards that were cut off. So does the value of the last
state of the arrays, whose episode goes on after them.

The advantages need V(s_t) and V(s_{t+1}), `values` and `next_values`. `next_values` is the value of the
observation that the step returned, which at the end of an episode is not the first observation of the next
one. Elsewhere `next_values[t]` equals `values[t + 1]`. With the temporal-difference error
\(\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t)\), Eq. 8.2.11 is
\(A_t^{(k)} = \sum_{l<k} \gamma^l \delta_{t+l}\), and Eq. 8.2.12 is

\[ A_t = \sum_{l \ge 0} (\gamma \lambda)^l \delta_{t+l} = \delta_t + \gamma \lambda A_{t+1}. \]

If the episode or the arrays end K steps after t, all \(A_t^{(k)}\) with k > K are \(A_t^{(K)}\), so that it
has the weight \(\lambda^{K-1}\) in Eq. 8.2.12.

Legend: T steps, N environments. One environment may be given without its axis.

References:
    Schulman, Moritz, Levine, Jordan and Abbeel, "High-dimensional continuous control using generalized
        advantage estimation" (2016), arXiv:1506.02438.
    Pardo, Tavakoli, Levdik and Kormushev, "Time limits in reinforcement learning" (2018), arXiv:1712.00378.
"""

from __future__ import annotations

import numpy as np

from .. import arguments


def discounted_return(rewards: np.ndarray, discount: float) -> np.ndarray:
    r"""Returns \(\sum_{t=0}^{T-1} \gamma^t r_t\), Eq. 8.1.2 for one whole episode.

    Args:
        rewards: Rewards, [T, ...], of which T may be 0.
        discount: Discount factor gamma in [0, 1].

    Returns:
        The returns, [...].

    Raises:
        ValueError: If a reward is not finite or `discount` is not in [0, 1].
    """
    rewards = arguments.finite("rewards", rewards)
    if rewards.ndim == 0:
        raise ValueError("rewards must have a time axis, got a number")
    return np.tensordot(arguments.unit_interval("discount", discount) ** np.arange(len(rewards)), rewards, 1)


def rewards_to_go(
    rewards: np.ndarray, ended: np.ndarray, discount: float, last_values: np.ndarray | None = None
) -> np.ndarray:
    r"""Returns the discounted rewards from each step to the end of its episode, Eq. 8.2.8 without baseline.

    \[ G_t = r_t + \gamma G_{t+1}, \]

    with \(G_{t+1} = 0\) where the episode has ended.

    Args:
        rewards: Rewards, [T, N].
        ended: Whether the episode ended at this step, terminated or truncated, [T, N].
        discount: Discount factor gamma in [0, 1].
        last_values: Values of the states after the last step, [N], which stand for the rewards after it where
            the episode goes on; zero by default.

    Returns:
        The rewards-to-go, [T, N].

    Raises:
        ValueError: If shapes differ, `ended` is not Boolean, or a number is not finite or out of range.
    """
    rewards = _steps("rewards", rewards)
    goes_on = ~_flags("ended", ended, rewards)
    discount = arguments.unit_interval("discount", discount)
    following = np.zeros(rewards.shape[1:])
    if last_values is not None:
        following = arguments.finite("last_values", last_values)
        arguments.has_shape("last_values", following, rewards.shape[1:])
    return _backwards(rewards, discount * goes_on, following)


def k_step_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    ended: np.ndarray,
    discount: float,
    steps: int,
) -> np.ndarray:
    r"""Returns the advantages of k steps, Eq. 8.2.11.

    \[ A_t^{(k)} = -V(s_t) + r_t + \gamma r_{t+1} + \dots + \gamma^{k-1} r_{t+k-1} + \gamma^k V(s_{t+k}) \]

    Where the episode or the arrays end sooner, k is the number of steps until then.

    Args:
        rewards: Rewards, [T, N].
        values: Values V(s_t), [T, N].
        next_values: Values V(s_{t+1}) of the observations that the steps returned, [T, N].
        terminated: Whether the step reached a terminal state, [T, N].
        ended: Whether the episode ended at this step, terminated or truncated, [T, N].
        discount: Discount factor gamma in [0, 1].
        steps: The number k of rewards.

    Returns:
        The advantages, [T, N].

    Raises:
        ValueError: If shapes differ, a flag is not Boolean, a terminated step is not `ended`, or a number is
            not finite or out of range.
    """
    arrays = _checked(rewards, values, next_values, terminated, ended)
    rewards, values, next_values, ended = arrays
    discount = arguments.unit_interval("discount", discount)
    cut = ended.copy()
    cut[-1:] = True
    targets = values
    for _ in range(min(arguments.integer("steps", steps, 1), len(rewards))):
        following = np.where(cut, next_values, np.roll(targets, -1, axis=0))
        targets = rewards + discount * following
    return targets - values


def generalized_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    ended: np.ndarray,
    discount: float,
    lam: float,
) -> np.ndarray:
    r"""Returns the generalized advantages \(A_t^{GAE(\gamma, \lambda)}\), Eq. 8.2.12.

    Added to `values`, they are the targets TD(lambda) of a value function.

    Args:
        rewards: Rewards, [T, N].
        values: Values V(s_t), [T, N].
        next_values: Values V(s_{t+1}) of the observations that the steps returned, [T, N]; they do not enter
            where a step is `terminated`.
        terminated: Whether the step reached a terminal state, [T, N].
        ended: Whether the episode ended at this step, terminated or truncated, [T, N].
        discount: Discount factor gamma in [0, 1].
        lam: Weight lambda in [0, 1]: 0 gives one-step advantages, 1 rewards-to-go minus values.

    Returns:
        The advantages, [T, N].

    Raises:
        ValueError: If shapes differ, a flag is not Boolean, a terminated step is not `ended`, or a number is
            not finite or out of range.
    """
    rewards, values, next_values, ended = _checked(rewards, values, next_values, terminated, ended)
    discount = arguments.unit_interval("discount", discount)
    errors = rewards + discount * next_values - values
    return _backwards(
        errors, discount * arguments.unit_interval("lam", lam) * ~ended, np.zeros(errors.shape[1:])
    )


def _backwards(terms, factors, following):
    """Returns x_t = terms_t + factors_t x_{t+1} for arrays [T, ...], with x_T = following."""
    sums = np.empty_like(terms)
    for t in range(len(terms) - 1, -1, -1):
        following = terms[t] + factors[t] * following
        sums[t] = following
    return sums


def _checked(rewards, values, next_values, terminated, ended):
    """Returns rewards, values, next values that are zero at terminal states, and the flags of ends."""
    rewards = _steps("rewards", rewards)
    values, next_values = arguments.finite("values", values), arguments.finite("next_values", next_values)
    arguments.same_shape(rewards=rewards, values=values, next_values=next_values)
    terminated, ended = _flags("terminated", terminated, rewards), _flags("ended", ended, rewards)
    invalid = terminated & ~ended
    if invalid.any():
        raise ValueError(f"ended{arguments.first_index(invalid)} must be True where terminated, got False")
    return rewards, values, np.where(terminated, 0.0, next_values), ended


def _steps(name, value):
    array = arguments.finite(name, value)
    if array.ndim == 0 or array.shape[0] == 0:
        raise ValueError(f"{name} must have at least one step along its first axis, got shape {array.shape}")
    return array


def _flags(name, value, rewards):
    """Returns Booleans of the shape of the rewards; zeros and ones are accepted."""
    array = np.asarray(value)
    if array.dtype != bool:
        array = arguments.finite(name, value)
        arguments.require(name, array, (array == 0) | (array == 1), "be True or False")
    arguments.same_shape(rewards=rewards, **{name: array})
    return array.astype(bool)
