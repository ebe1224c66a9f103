r"""Finite Markov decision processes and their exact solution (Secs. 8.1 and 8.3).

A `FiniteMDP` is known completely: the probabilities of its transitions and its expected rewards are tables.
The values of a policy are then the solution of a linear system, and the optimal values are the fixed point of
the Bellman operator,

\[ (\mathcal{T} Q)(s, a) = R(s, a) + \gamma \sum_{s'} P(s'|s, a) \max_{a'} Q(s', a'). \]

The maximum stands inside the mean over s', because the next action is chosen when s' is known
(docs/errata.md). The operator is a contraction, Eq. 8.3.4. In the maximum norm, n sweeps of value iteration
leave an error of at most \(\gamma^n \|Q_0 - Q^*\|\), and the last two sweeps alone bound it by
\(\gamma / (1 - \gamma) \|Q_n - Q_{n-1}\|\). Policy iteration solves the linear system for a policy, makes the
policy greedy, and ends after finitely many steps, since each policy is better than the last.

Legend: S states, A actions.

References:
    Puterman, "Markov decision processes" (1994), chapters 6 and 7.
    Sutton and Barto, "Reinforcement learning: an introduction" (2018), chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .. import arguments


class PolicyValues(NamedTuple):
    """The exact values of a policy.

    Args:
        v: State values V^pi, Eq. 8.1.5, [S].
        q: State-action values Q^pi, Eq. 8.1.6, [S, A]; minus infinity for actions that are not allowed.
    """

    v: np.ndarray
    q: np.ndarray


class Solution(NamedTuple):
    """Optimal values, and the policy that is greedy with respect to them.

    Args:
        q: State-action values, [S, A]; minus infinity for actions that are not allowed.
        v: State values, the maximum of `q` over the actions, [S].
        policy: Actions of largest `q`, [S]; the first of equal ones.
        differences: Maximum norm of the change of `q` by each sweep or step.
        error_bound: Bound on the maximum norm of q - Q^*; infinite if `discount` is 1 and `q` still changed.
    """

    q: np.ndarray
    v: np.ndarray
    policy: np.ndarray
    differences: np.ndarray
    error_bound: float


@dataclass(frozen=True, eq=False)
class FiniteMDP:
    """A Markov decision process with finitely many states and actions, known completely.

    Args:
        transitions: Probabilities P(s'|s, a) that the episode goes on in state s', [S, A, S]. If their sum
            over s' is below 1, the episode ends with the remaining probability.
        rewards: Expected rewards R(s, a), [S, A].
        discount: Discount factor gamma in [0, 1].
        initial: Probabilities rho_0 of the first state, [S]; uniform by default.
        allowed: Whether an action is allowed in a state, [S, A]; all by default.

    Raises:
        ValueError: If a shape, a probability, or `discount` is not valid, or a state allows no action.
    """

    transitions: np.ndarray
    rewards: np.ndarray
    discount: float
    initial: np.ndarray | None = None
    allowed: np.ndarray | None = None

    def __post_init__(self):
        rewards = arguments.finite("rewards", self.rewards, 2)
        states, actions = rewards.shape
        if not rewards.size:
            raise ValueError(f"rewards must have at least one state and action, got shape {rewards.shape}")
        transitions = arguments.nonnegative("transitions", self.transitions, 3)
        arguments.has_shape("transitions", transitions, (states, actions, states))
        totals = transitions.sum(axis=-1)
        arguments.require("transitions", totals, totals <= 1 + arguments.ROUNDING, "sum to at most 1")
        initial = np.full(states, 1 / states) if self.initial is None else self.initial
        initial = arguments.distributions("initial", initial)
        arguments.has_shape("initial", initial, (states,))
        allowed = np.ones(rewards.shape, bool) if self.allowed is None else np.asarray(self.allowed)
        if allowed.dtype != bool:
            raise ValueError(f"allowed must hold Booleans, got dtype {allowed.dtype}")
        arguments.has_shape("allowed", allowed, rewards.shape)
        arguments.require("allowed", allowed.sum(axis=1), allowed.any(axis=1), "allow at least one action")
        object.__setattr__(self, "transitions", transitions)
        object.__setattr__(self, "rewards", rewards)
        object.__setattr__(self, "discount", arguments.unit_interval("discount", self.discount))
        object.__setattr__(self, "initial", initial)
        object.__setattr__(self, "allowed", allowed)

    @classmethod
    def from_gymnasium(cls, environment, discount):
        """Reads the tables of a Gymnasium environment that has them: FrozenLake, CliffWalking or Taxi.

        The wrappers of the environment are ignored. Its time limit is not part of the process, for which an
        episode that is truncated would have gone on.

        Args:
            environment: A Gymnasium environment whose `unwrapped.P[s][a]` is a list of (probability, next
                state, reward, terminated). Its `initial_state_distrib` gives the first state, if it has one.
            discount: Discount factor gamma in [0, 1].

        Raises:
            ValueError: If the environment has no table `P`, or `discount` is not valid.
        """
        bare = getattr(environment, "unwrapped", environment)
        table = getattr(bare, "P", None)
        if table is None:
            raise ValueError(
                f"environment must have a table P of transitions, as FrozenLake, got {type(bare).__name__}"
            )
        states, actions = len(table), len(table[0])
        transitions, rewards = np.zeros((states, actions, states)), np.zeros((states, actions))
        for state in range(states):
            for action in range(actions):
                for probability, following, reward, terminated in table[state][action]:
                    rewards[state, action] += probability * reward
                    transitions[state, action, following] += 0.0 if terminated else probability
        return cls(transitions, rewards, discount, getattr(bare, "initial_state_distrib", None))

    @property
    def states(self):
        """The number of states."""
        return self.rewards.shape[0]

    @property
    def actions(self):
        """The number of actions."""
        return self.rewards.shape[1]

    def bellman(self, q):
        """Returns T Q, Eq. 8.3.3 with the maximum inside the mean: one sweep of value iteration.

        Args:
            q: State-action values, [S, A]. Values of actions that are not allowed do not count.

        Returns:
            The new values, [S, A]; minus infinity for actions that are not allowed.
        """
        return self._backup(self._restrict(self._table("q", q)).max(axis=1))

    def policy_bellman(self, policy, q):
        """Returns the right-hand side of Eq. 8.3.1: one step with all actions, the next by a policy.

        Args:
            policy: Probabilities pi(a|s), [S, A], or one action for each state, [S].
            q: State-action values, [S, A]. Values of actions that are not allowed do not count.

        Returns:
            The new values, [S, A]; minus infinity for actions that are not allowed.
        """
        q = self._table("q", q)
        return self._backup(np.sum(self._probabilities(policy) * np.where(self.allowed, q, 0.0), axis=1))

    def policy_values(self, policy):
        r"""Returns the exact `PolicyValues` of a policy, from \(V = R_\pi + \gamma P_\pi V\).

        Args:
            policy: Probabilities pi(a|s), [S, A], or one action for each state, [S].

        Raises:
            ValueError: If `policy` is not valid, or `discount` is 1 and an episode may never end.
        """
        probabilities = self._probabilities(policy)
        rewards = np.sum(probabilities * self.rewards, axis=1)
        steps = np.einsum("sa,sat->st", probabilities, self.transitions)
        if self.discount == 1 and not _ends(steps):
            raise ValueError("discount must be below 1 where the episode may never end, got 1.0")
        v = np.linalg.solve(np.eye(self.states) - self.discount * steps, rewards)
        return PolicyValues(v, self._backup(v))

    def expected_return(self, policy):
        """Returns J, Eq. 8.1.4: the mean over the first state of the values of a policy.

        Args:
            policy: Probabilities pi(a|s), [S, A], or one action for each state, [S].

        Raises:
            ValueError: If `policy` is not valid, or `discount` is 1 and an episode may never end.
        """
        return float(self.initial @ self.policy_values(policy).v)

    def greedy(self, q):
        """Returns the allowed action of largest value in each state, [S]; the first of equal ones."""
        return self._restrict(self._table("q", q)).argmax(axis=1)

    def value_iteration(self, tolerance=1e-9, max_sweeps=100_000, initial=None):
        """Repeats Q -> T Q until Q^* is known to a tolerance.

        Args:
            tolerance: Bound on the error of `q` in the maximum norm; if `discount` is 1, on its last change.
            max_sweeps: Largest number of sweeps. The solution's `error_bound` tells whether it was enough.
            initial: State-action values Q_0 from which to start, [S, A]; zero by default.

        Returns:
            A `Solution` with one difference for each sweep.

        Raises:
            ValueError: If `tolerance` is negative, or another argument is not valid.
        """
        tolerance = arguments.nonnegative_number("tolerance", tolerance)
        max_sweeps = arguments.integer("max_sweeps", max_sweeps, 1)
        q = np.zeros(self.rewards.shape) if initial is None else self._table("initial", initial)
        q = self._restrict(q)
        factor = self.discount / (1 - self.discount) if self.discount < 1 else 1.0
        differences = []
        for _ in range(max_sweeps):
            before, q = q, self.bellman(q)
            differences.append(self._distance(q, before))
            if factor * differences[-1] <= tolerance:
                break
        bound = factor * differences[-1] if self.discount < 1 or not differences[-1] else np.inf
        return Solution(q, q.max(axis=1), q.argmax(axis=1), np.array(differences), bound)

    def policy_iteration(self, policy=None):
        """Alternates the exact values of a policy and the policy that is greedy with respect to them.

        An action is replaced only by one that is better by more than rounding errors, so the iteration ends.

        Args:
            policy: Policy from which to start, [S, A] or [S]; by default all allowed actions have the same
                probability.

        Returns:
            A `Solution` with one difference for each improvement of the policy. Its values are those of its
            policy.

        Raises:
            ValueError: If `policy` is not valid, or `discount` is 1 and an episode may never end under one of
                the policies.
        """
        if policy is None:
            policy = self.allowed / self.allowed.sum(axis=1, keepdims=True)
        probabilities, differences = self._probabilities(policy), []
        v, q = self.policy_values(probabilities)
        while True:
            single = probabilities.max(axis=1) == 1
            better = q.max(axis=1) > v + 1e-12 * max(1.0, np.abs(v).max())
            if single.all() and not better.any():
                break
            # Where actions are mixed, one has to be chosen even if all are equally good.
            chosen = np.where(better | ~single, q.argmax(axis=1), probabilities.argmax(axis=1))
            improved = self.policy_values(chosen)
            if single.all() and improved.v.sum() <= v.sum():
                # The improvement was a rounding error.
                break
            differences.append(self._distance(improved.q, q))
            (v, q), probabilities = improved, np.eye(self.actions)[chosen]
        residual = self._distance(self.bellman(q), q)
        bound = residual / (1 - self.discount) if self.discount < 1 else np.inf if residual else 0.0
        return Solution(q, v, probabilities.argmax(axis=1), np.array(differences), bound)

    def _backup(self, v):
        """Returns R(s, a) + gamma <v(s')>, and minus infinity for actions that are not allowed."""
        return self._restrict(self.rewards + self.discount * (self.transitions @ v))

    def _table(self, name, values):
        """Returns values [S, A] as float64; those of actions that are not allowed may be minus infinity."""
        values = arguments.finite_or((-np.inf,), name, values)
        arguments.has_shape(name, values, self.rewards.shape)
        return values

    def _restrict(self, q):
        return np.where(self.allowed, q, -np.inf)

    def _distance(self, first, second):
        return float(np.abs(first[self.allowed] - second[self.allowed]).max())

    def _probabilities(self, policy):
        """Returns a policy as probabilities, [S, A], after checking it."""
        policy = np.asarray(policy)
        if policy.ndim == 1:
            arguments.has_shape("policy", policy, (self.states,))
            policy = arguments.integers("policy", policy, 0).astype(int)
            arguments.require("policy", policy, policy < self.actions, f"be below {self.actions}")
            policy = np.eye(self.actions)[policy]
        policy = arguments.distributions("policy", policy)
        arguments.has_shape("policy", policy, self.rewards.shape)
        forbidden = np.where(self.allowed, 0.0, policy)
        arguments.require("policy", forbidden, forbidden == 0, "be 0 for an action that is not allowed")
        return policy


def _ends(steps):
    """Returns whether a chain [S, S] with sums below 1 in some rows ends almost surely from every state."""
    ending = steps.sum(axis=1) < 1 - 1e-9
    reaches = steps > 0
    while True:
        more = ending | (reaches @ ending)
        if np.array_equal(more, ending):
            return bool(ending.all())
        ending = more
