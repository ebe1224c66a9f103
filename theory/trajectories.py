r"""All trajectories of a small Markov decision process, and exact policy gradients (Secs. 8.1 and 8.2).

A trajectory of T steps has the states s_0, ..., s_T and the actions a_0, ..., a_{T-1}, with the probability
of Eq. 8.1.3. There are S (S A)^T of them. For small S, A and T they are listed, and any mean over
trajectories is a sum without sampling errors: the expected return of Eq. 8.1.4, the policy gradient of Eqs.
8.2.1 and 8.2.3 with total returns, rewards-to-go or baselines, and the variance of these estimates.

The policy is a table of logits, \(\pi_\theta(a|s) = \mathrm{softmax}_a\, \theta_{sa}\), with the score

\[ \partial \log \pi_\theta(a|s) / \partial \theta_{s'a'} = \delta_{ss'} (\delta_{aa'} - \pi_\theta(a'|s)). \]

The rewards are r_0, ..., r_{T-1}: the notes sum to r_T, but the state s_{T+1} that it depends on is not in
Eq. 8.1.3 (docs/errata.md).

Legend: S states, A actions, T steps, N trajectories.

References:
    Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning"
        (1992), Machine Learning 8, 229-256.
    Greensmith, Bartlett and Baxter, "Variance reduction techniques for gradient estimates in reinforcement
        learning" (2004), J. Machine Learning Research 5, 1471-1530.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from .. import arguments

_LARGEST = 500_000


class Moments(NamedTuple):
    """Mean and variance of an estimate of the policy gradient from one trajectory.

    Args:
        mean: Its mean over trajectories, [S, A].
        variance: The trace of its covariance matrix, a number.
    """

    mean: np.ndarray
    variance: float


@dataclass(frozen=True, eq=False)
class Trajectories:
    """All trajectories of positive probability of a policy.

    Args:
        states: The states s_0, ..., s_T, [N, T + 1].
        actions: The actions a_0, ..., a_{T-1}, [N, T].
        rewards: The rewards r_0, ..., r_{T-1}, [N, T].
        probabilities: Their probabilities, Eq. 8.1.3, [N].
        policy: The probabilities pi(a|s), [S, A].
    """

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    probabilities: np.ndarray
    policy: np.ndarray

    def returns(self, discount=1.0):
        r"""Returns the total return \(\sum_t \gamma^t r_t\) of each trajectory, Eq. 8.1.2, [N]."""
        return self.rewards @ self._discounts(discount)

    def rewards_to_go(self, discount=1.0):
        r"""Returns \(\sum_{t' \ge t} \gamma^{t'} r_{t'}\), Eq. 8.2.8 discounted from the first step, [N, T].

        The powers of gamma count from the first step, not from t. Otherwise the policy gradient would not be
        that of the discounted return.
        """
        weighted = self.rewards * self._discounts(discount)
        return np.cumsum(weighted[:, ::-1], axis=1)[:, ::-1]

    def mean(self, quantity):
        """Returns the mean over trajectories, with the probabilities of Eq. 8.1.3, of an array [N, ...]."""
        return np.tensordot(self.probabilities, quantity, 1)

    def scores(self):
        """Returns the gradients of log pi(a_t|s_t) with respect to the logits, [N, T, S, A]."""
        states, actions = self.policy.shape
        visited = self.states[:, :-1]
        chosen = np.eye(actions)[self.actions] - self.policy[visited]
        return np.eye(states)[visited][..., :, None] * chosen[..., None, :]

    def gradient(self, weights):
        r"""Returns the `Moments` of \(\sum_t w_t \nabla_\theta \log \pi_\theta(a_t|s_t)\), Eq. 8.2.3.

        Args:
            weights: The weight w_t of each score, [N, T]: the total returns for Eq. 8.2.1, the rewards-to-go
                of Eq. 8.2.8, the advantages of Eq. 8.2.10.

        Raises:
            ValueError: If `weights` does not have one row for each trajectory, or is not finite.
        """
        weights = arguments.finite("weights", weights, 2)
        arguments.has_shape("weights", weights, self.actions.shape)
        estimates = np.einsum("nt,ntsa->nsa", weights, self.scores())
        mean = self.mean(estimates)
        return Moments(mean, float(self.mean(np.sum((estimates - mean) ** 2, axis=(1, 2)))))

    def _discounts(self, discount):
        return arguments.unit_interval("discount", discount) ** np.arange(self.rewards.shape[1])


def softmax_policy(logits: np.ndarray) -> np.ndarray:
    """Returns the probabilities pi(a|s) of a table of logits, [S, A].

    Args:
        logits: The parameters theta of the policy, [S, A].

    Raises:
        ValueError: If `logits` does not have 2 axes, or an entry is not finite.
    """
    return special.softmax(arguments.finite("logits", logits, 2), axis=1)


def enumerate_trajectories(
    transitions: np.ndarray, rewards: np.ndarray, initial: np.ndarray, policy: np.ndarray, steps: int
) -> Trajectories:
    r"""Lists all trajectories with their probabilities, Eq. 8.1.3.

    \[ P[\tau; \pi] = \rho_0(s_0) \prod_{t=0}^{T-1} P(s_{t+1}|s_t, a_t) \pi(a_t|s_t) \]

    Args:
        transitions: Probabilities P(s'|s, a), [S, A, S].
        rewards: Rewards R(s, a, s'), Eq. 8.1.1, [S, A, S].
        initial: Probabilities rho_0(s) of the first state, [S].
        policy: Probabilities pi(a|s), [S, A].
        steps: The number T of steps.

    Returns:
        The `Trajectories` whose probabilities are not zero.

    Raises:
        ValueError: If probabilities are not normalized, shapes do not fit, or there are more than 500,000
            trajectories.
    """
    transitions = arguments.distributions("transitions", transitions)
    initial, policy = arguments.distributions("initial", initial), arguments.distributions("policy", policy)
    states, actions = policy.shape if policy.ndim == 2 else (len(initial), -1)
    rewards = arguments.finite("rewards", rewards)
    arguments.has_shape("initial", initial, (states,))
    arguments.has_shape("transitions", transitions, (states, actions, states))
    arguments.has_shape("rewards", rewards, transitions.shape)
    steps = arguments.integer("steps", steps, 1)
    joint = policy[:, :, None] * transitions  # pi(a|s) P(s'|s, a)
    first = np.flatnonzero(initial)
    visited, taken, paid = first[:, None], np.zeros((len(first), 0), int), np.zeros((len(first), 0))
    weights = initial[first]
    for _ in range(steps):
        possible = joint[visited[:, -1]]  # [N, A, S]
        if np.count_nonzero(possible) > _LARGEST:
            raise ValueError(f"steps must give at most {_LARGEST} trajectories, got {steps}")
        parent, action, state = np.nonzero(possible)
        weights = weights[parent] * possible[parent, action, state]
        paid = np.column_stack([paid[parent], rewards[visited[parent, -1], action, state]])
        taken = np.column_stack([taken[parent], action])
        visited = np.column_stack([visited[parent], state])
    return Trajectories(visited, taken, paid, weights, policy)
