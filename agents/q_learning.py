r"""Q-learning with a table, for any Gymnasium environment with discrete spaces (Sec. 8.3).

After each step (s, a, r, s'), one entry moves towards the one-step Bellman target of Eq. 8.3.2,

\[ Q(s, a) \leftarrow Q(s, a) + \alpha \, (r + \gamma \max_{a'} Q(s', a') - Q(s, a)). \]

The last term of the target is left out only where s' is terminal. Where a time limit cuts the episode, the
target counts the value of s', because the rewards would have gone on.

The maximum over noisy values is biased upwards. Double Q-learning keeps two tables, of which each chooses the
action whose value the other gives, so that the errors of choice and value are independent.

Legend: S states, A actions, E episodes.

References:
    Watkins and Dayan, "Q-learning" (1992), Machine Learning 8, 279-292.
    Van Hasselt, "Double Q-learning" (2010), NeurIPS 23.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import gymnasium
import numpy as np

from .. import arguments


@dataclass(frozen=True, eq=False)
class LearnedTable:
    """The table of values that `q_learning` learned.

    Args:
        q: State-action values, [S, A], of double Q-learning the mean of both tables.
        visits: Number of steps with each state and action, [S, A].
        allowed: Whether an action was allowed in a state; true for states that were never seen, [S, A].
        returns: Undiscounted return of each finished episode, [E].
        lengths: Number of steps of each finished episode, [E].
        observations: Space of observations of the environment.
        first_action: The environment's number of the first action.
    """

    q: np.ndarray
    visits: np.ndarray
    allowed: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray
    observations: gymnasium.Space
    first_action: int = 0

    @property
    def policy(self):
        """The allowed action of largest value in each state, [S]; the first of equal ones, counted from 0."""
        return np.where(self.allowed, self.q, -np.inf).argmax(axis=1)

    def act(self, observation):
        """Returns the greedy action for an observation, as the environment numbers it."""
        _, index = indexed(self.observations)
        return int(self.policy[index(observation)]) + self.first_action


def q_learning(
    environment,
    steps,
    *,
    discount=0.99,
    learning_rate=0.1,
    learning_rate_power=0.0,
    epsilon=1.0,
    final_epsilon=0.05,
    exploration=0.5,
    initial=0.0,
    double=False,
    seed=0,
):
    """Learns a table of state-action values by epsilon-greedy steps in an environment.

    Args:
        environment: A Gymnasium environment with discrete actions and discrete observations, or observations
            that are tuples or arrays of discrete ones. If its `info` has an `action_mask`, as Taxi's, only
            the actions that the mask allows are taken and count in the maximum.
        steps: Number of steps.
        discount: Discount factor gamma in [0, 1].
        learning_rate: Step size alpha of the first update of an entry, in (0, 1]. 1 is best if rewards and
            transitions are deterministic.
        learning_rate_power: Exponent p in [0, 1] of the decay: the n-th update of an entry has the step size
            `learning_rate * n**-p`. The values converge for p in (0.5, 1].
        epsilon: Probability of a random action at the first step.
        final_epsilon: Probability of a random action after the exploration.
        exploration: Fraction of the steps in which the probability falls linearly to `final_epsilon`.
        initial: Value of all entries at the start. A value above all returns makes the agent try all actions.
        double: Whether to use two tables, which removes the upward bias of the maximum.
        seed: Seed of the actions and of the environment's first reset.

    Returns:
        A `LearnedTable`.

    Raises:
        ValueError: If a space is not discrete, or a number is out of range.
    """
    if not isinstance(environment, gymnasium.Env):
        raise ValueError(f"environment must be a gymnasium.Env, got {arguments.described(environment)}")
    states, index = indexed(environment.observation_space, "observation_space")
    if not isinstance(environment.action_space, gymnasium.spaces.Discrete):
        raise ValueError(f"action_space must be discrete, got {environment.action_space}")
    actions, first_action = int(environment.action_space.n), int(environment.action_space.start)
    steps = arguments.integer("steps", steps, 1)
    discount = arguments.unit_interval("discount", discount)
    rate = arguments.number("learning_rate", learning_rate, 0, 1, "(]")
    power = arguments.unit_interval("learning_rate_power", learning_rate_power)
    epsilon = arguments.unit_interval("epsilon", epsilon)
    final_epsilon = arguments.unit_interval("final_epsilon", final_epsilon)
    exploration = steps * arguments.unit_interval("exploration", exploration)
    initial = arguments.number("initial", initial)
    double = arguments.boolean("double", double)
    rng = random.Random(arguments.seed("seed", seed))

    # Lists are several times faster than arrays for single entries.
    tables = [[[initial] * actions for _ in range(states)] for _ in range(1 + double)]
    counts = [[[0] * actions for _ in range(states)] for _ in range(1 + double)]
    legal = [list(range(actions)) for _ in range(states)]
    returns, lengths, total, length = [], [], 0.0, 0
    observation, info = environment.reset(seed=seed)
    state = index(observation)
    _note_mask(legal, state, info)
    for step in range(steps):
        progress = min(1.0, step / exploration) if exploration else 1.0
        if rng.random() < epsilon + progress * (final_epsilon - epsilon):
            action = rng.choice(legal[state])
        else:
            rows = [table[state] for table in tables]
            action = _best(rows, legal[state], rng)
        observation, reward, terminated, truncated, info = environment.step(action + first_action)
        following = index(observation)
        _note_mask(legal, following, info)
        learner = rng.randrange(2) if double else 0
        target = reward = arguments.number("reward", reward)
        if not terminated:
            choice = _best([tables[learner][following]], legal[following], rng)
            target += discount * tables[learner - 1][following][choice]
        counts[learner][state][action] += 1
        size = rate * counts[learner][state][action] ** -power
        tables[learner][state][action] += size * (target - tables[learner][state][action])
        total, length, state = total + reward, length + 1, following
        if terminated or truncated:
            returns.append(total)
            lengths.append(length)
            total, length = 0.0, 0
            observation, info = environment.reset()
            state = index(observation)
            _note_mask(legal, state, info)
    allowed = np.zeros((states, actions), bool)
    for row, choices in zip(allowed, legal, strict=True):
        row[choices] = True
    return LearnedTable(
        q=np.mean(tables, axis=0),
        visits=np.sum(counts, axis=0),
        allowed=allowed,
        returns=np.array(returns),
        lengths=np.array(lengths, int),
        observations=environment.observation_space,
        first_action=first_action,
    )


def indexed(space, name="space"):
    """Returns the number of observations of a discrete space, and a function that numbers them from 0.

    Args:
        space: A Gymnasium space: `Discrete`, `MultiDiscrete` or `MultiBinary`, or a `Tuple` of such spaces.
        name: The name of the space, for the message.

    Returns:
        (count, function from an observation to an integer from 0 to count - 1).

    Raises:
        ValueError: If the space is not discrete.
    """
    spaces = gymnasium.spaces
    match space:
        case spaces.Discrete():
            return _numbered(space.n, space.start)
        case spaces.MultiDiscrete() | spaces.MultiBinary():
            sizes = (
                np.ravel(space.nvec)
                if isinstance(space, spaces.MultiDiscrete)
                else [2] * np.prod(space.shape)
            )
            starts = np.ravel(getattr(space, "start", np.zeros(len(sizes), int)))
            return _mixed_radix(list(map(_numbered, sizes, starts)), np.ravel)
        case spaces.Tuple():
            return _mixed_radix([indexed(part, name) for part in space.spaces], tuple)
        case _:
            raise ValueError(f"{name} must be discrete, got {space}")


def _numbered(count, start):
    """Returns the number of integers from `start` on, and a function that numbers them from 0."""
    count, start = int(count), int(start)

    def index(observation):
        number = int(observation) - start
        if not 0 <= number < count:
            raise ValueError(f"observation must be from {start} to {start + count - 1}, got {observation}")
        return number

    return count, index


def _mixed_radix(parts, split):
    count = int(np.prod([size for size, _ in parts]))

    def index(observation):
        number = 0
        for (size, function), value in zip(parts, split(observation), strict=True):
            number = number * size + function(value)
        return number

    return count, index


def _best(rows, choices, rng):
    """Returns an action of largest summed value, at random among equal ones."""
    values = [sum(row[action] for row in rows) for action in choices]
    largest = max(values)
    best = [action for action, value in zip(choices, values, strict=True) if value == largest]
    return best[0] if len(best) == 1 else rng.choice(best)


def _note_mask(legal, state, info):
    """Stores the actions that an environment allows in a state, if it tells them."""
    mask = info.get("action_mask")
    if mask is not None:
        allowed = np.flatnonzero(mask).tolist()
        # A terminal state may allow none.
        legal[state] = allowed or legal[state]
