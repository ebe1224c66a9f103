r"""Multi-armed bandits: one state, K actions, random rewards (the first limit of Sec. 8).

A strategy pulls one arm a_t at each step and sees its reward. Its regret is what it loses in expectation
against the best arm, of mean mu^*,

\[ R_T = \sum_{t=1}^{T} (\mu^* - \mu_{a_t}) = \sum_a \Delta_a N_a(T), \quad \Delta_a = \mu^* - \mu_a, \]

with N_a(T) the number of pulls of an arm. Strategies that explore with a constant probability have a regret
linear in T. For every strategy with a regret below all powers of T on every bandit of a family, Lai and
Robbins proved

\[ \liminf_{T \to \infty} \langle R_T \rangle / \log T \ge \sum_{\Delta_a > 0} \Delta_a / D_{KL}(a \| *), \]

with the divergence of the arm's distribution of rewards from that of the best arm. Thompson sampling attains
it.

A strategy is a frozen setting; its `begin` gives a player, which keeps the statistics of R independent runs
at a time.

Legend: K arms, R runs, T steps.

References:
    Lai and Robbins, "Asymptotically efficient adaptive allocation rules" (1985), Adv. Applied Math. 6, 4-22.
    Auer, Cesa-Bianchi and Fischer, "Finite-time analysis of the multiarmed bandit problem" (2002), Machine
        Learning 47, 235-256.
    Kaufmann, Korda and Munos, "Thompson sampling: an asymptotically optimal finite-time analysis" (2012),
        arXiv:1205.4217.
    Sutton and Barto, "Reinforcement learning: an introduction" (2018), chapter 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from .. import arguments


class Play(NamedTuple):
    """Independent runs of a strategy.

    Args:
        regret: Sum of mu^* - mu_a over the arms pulled so far, [R, T].
        arms: The arms pulled, [R, T].
        rewards: Their rewards, [R, T].
    """

    regret: np.ndarray
    arms: np.ndarray
    rewards: np.ndarray


@dataclass(frozen=True, eq=False)
class BernoulliBandit:
    """Arms with rewards 0 and 1.

    Args:
        means: Probabilities of the reward 1, [K].

    Raises:
        ValueError: If there is no arm or a mean is not in [0, 1].
    """

    means: np.ndarray

    def __post_init__(self):
        means = _means(self.means)
        arguments.require("means", means, (means >= 0) & (means <= 1), "be in [0, 1]")
        object.__setattr__(self, "means", means)

    def draw(self, arms, rng):
        """Returns a reward for each of the arms, [R]."""
        return (rng.random(len(arms)) < self.means[arms]).astype(float)

    def divergences(self):
        """Returns the KL divergence of each arm's rewards from the best arm's, [K]."""
        best = self.means.max()
        return special.rel_entr(self.means, best) + special.rel_entr(1 - self.means, 1 - best)


@dataclass(frozen=True, eq=False)
class GaussianBandit:
    """Arms with normally distributed rewards of one standard deviation.

    Args:
        means: Means of the rewards, [K].
        scale: Standard deviation of the rewards of every arm.

    Raises:
        ValueError: If there is no arm, a mean is not finite, or `scale` is not positive.
    """

    means: np.ndarray
    scale: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "means", _means(self.means))
        object.__setattr__(self, "scale", arguments.positive_number("scale", self.scale))

    def draw(self, arms, rng):
        """Returns a reward for each of the arms, [R]."""
        return rng.normal(self.means[arms], self.scale)

    def divergences(self):
        """Returns the KL divergence of each arm's rewards from the best arm's, [K]."""
        return (self.means.max() - self.means) ** 2 / (2 * self.scale**2)


def gaps(bandit):
    """Returns the gaps Delta_a = mu^* - mu_a of a bandit's arms, [K]."""
    means = _means(bandit.means)
    return means.max() - means


def lai_robbins_slope(bandit):
    """Returns the lower bound on the regret per log T: the sum of Delta_a / D_KL(a || *) over worse arms."""
    differences = gaps(bandit)
    worse = differences > 0
    return float(np.sum(differences[worse] / bandit.divergences()[worse]))


class Player:
    """The statistics of R runs, for strategies that need numbers of pulls and sums of rewards.

    Args:
        runs: Number R of runs.
        arms: Number K of arms.
    """

    def __init__(self, runs, arms):
        self.pulls = np.zeros((runs, arms), int)
        self.sums = np.zeros((runs, arms))
        self._each = np.arange(runs)

    def choose(self, rng):
        """Returns the arm to pull in each run, [R]."""
        raise NotImplementedError

    def update(self, arms, rewards):
        """Counts the arms that were pulled, [R], and their rewards, [R]."""
        self.pulls[self._each, arms] += 1
        self.sums[self._each, arms] += rewards

    @property
    def step(self):
        """The number of steps so far."""
        return int(self.pulls[0].sum())

    def averages(self):
        """Returns the mean reward of each arm, [R, K]; infinite for arms never pulled, to be tried first."""
        unknown = np.full(self.sums.shape, np.inf)
        return np.divide(self.sums, self.pulls, out=unknown, where=self.pulls > 0)


@dataclass(frozen=True)
class EpsilonGreedy:
    """Pulls the arm of largest average, and with probability epsilon any arm.

    Args:
        epsilon: Probability of exploration, in [0, 1].
        decay: Number of steps after which the probability falls as epsilon * decay / t; `None` for never.
    """

    epsilon: float = 0.1
    decay: int | None = None

    def __post_init__(self):
        arguments.unit_interval("epsilon", self.epsilon)
        if self.decay is not None:
            arguments.integer("decay", self.decay, 1)

    def probability(self, step):
        """Returns the probability of exploration at a step, counted from 1."""
        return self.epsilon if self.decay is None else self.epsilon * min(1.0, self.decay / step)

    def begin(self, runs, arms):
        """Returns a player of R runs on K arms."""
        return _EpsilonGreedyPlayer(self, runs, arms)


class _EpsilonGreedyPlayer(Player):
    def __init__(self, strategy, runs, arms):
        super().__init__(runs, arms)
        self._strategy = strategy

    def choose(self, rng):
        runs, arms = self.pulls.shape
        explores = rng.random(runs) < self._strategy.probability(self.step + 1)
        return np.where(explores, rng.integers(arms, size=runs), largest(self.averages(), rng))


@dataclass(frozen=True)
class UCB1:
    r"""Pulls the arm of the largest upper confidence bound, \(\bar r_a + \sqrt{c \log t / N_a}\).

    Each arm is pulled once first.

    Args:
        exploration: The factor c: 2 for rewards in [0, 1], 8 sigma^2 for normally distributed ones.
    """

    exploration: float = 2.0

    def __post_init__(self):
        arguments.nonnegative_number("exploration", self.exploration)

    def begin(self, runs, arms):
        """Returns a player of R runs on K arms."""
        return _UCB1Player(self, runs, arms)


class _UCB1Player(Player):
    def __init__(self, strategy, runs, arms):
        super().__init__(runs, arms)
        self._strategy = strategy

    def bounds(self):
        """Returns the upper confidence bounds, [R, K]; infinite for arms never pulled."""
        # The logarithm is that of the number of pulls before this one.
        logarithm = np.log(max(self.step, 1))
        return self.averages() + np.sqrt(self._strategy.exploration * logarithm / np.maximum(self.pulls, 1))

    def choose(self, rng):
        return largest(self.bounds(), rng)


@dataclass(frozen=True)
class GradientBandit:
    r"""Policy gradient on the logits H of a softmax: \(H \leftarrow H + \alpha (r - b) \nabla \log \pi(a)\).

    In expectation the change of H is alpha times the gradient of the expected reward, for any baseline b that
    does not depend on the arm (Eqs. 8.2.1 and 8.2.7).

    Args:
        learning_rate: Step size alpha.
        baseline: Whether b is the average of the earlier rewards of the run, which the first step only
            measures; otherwise 0.
    """

    learning_rate: float = 0.1
    baseline: bool = True

    def __post_init__(self):
        arguments.positive_number("learning_rate", self.learning_rate)
        arguments.boolean("baseline", self.baseline)

    def begin(self, runs, arms):
        """Returns a player of R runs on K arms."""
        return _GradientPlayer(self, runs, arms)


class _GradientPlayer(Player):
    def __init__(self, strategy, runs, arms):
        super().__init__(runs, arms)
        self._strategy = strategy
        self.logits = np.zeros((runs, arms))

    def choose(self, rng):
        # The largest of logits with Gumbel noise has the probabilities of the softmax (theory.sampling).
        return np.argmax(self.logits + rng.gumbel(size=self.logits.shape), axis=1)

    def update(self, arms, rewards):
        baseline = 0.0
        if self._strategy.baseline:
            baseline = self.sums.sum(axis=1) / self.step if self.step else rewards
        scores = -special.softmax(self.logits, axis=1)
        scores[self._each, arms] += 1.0
        self.logits += self._strategy.learning_rate * np.expand_dims(rewards - baseline, 1) * scores
        super().update(arms, rewards)


@dataclass(frozen=True)
class BernoulliThompson:
    """Pulls each arm with the posterior probability that it is the best, for rewards 0 and 1.

    Args:
        successes: First parameter of the Beta prior of each mean.
        failures: Second parameter.
    """

    successes: float = 1.0
    failures: float = 1.0

    def __post_init__(self):
        arguments.positive_number("successes", self.successes)
        arguments.positive_number("failures", self.failures)

    def begin(self, runs, arms):
        """Returns a player of R runs on K arms."""
        return _BernoulliThompsonPlayer(self, runs, arms)


class _BernoulliThompsonPlayer(Player):
    def __init__(self, strategy, runs, arms):
        super().__init__(runs, arms)
        self._strategy = strategy

    def posterior(self):
        """Returns the parameters of the Beta distributions of the means, each [R, K]."""
        return self._strategy.successes + self.sums, self._strategy.failures + self.pulls - self.sums

    def update(self, arms, rewards):
        arguments.require("rewards", rewards, (rewards == 0) | (rewards == 1), "be 0 or 1")
        super().update(arms, rewards)

    def choose(self, rng):
        return np.argmax(rng.beta(*self.posterior()), axis=1)


@dataclass(frozen=True)
class GaussianThompson:
    """Pulls each arm with the posterior probability that it is the best, for normally distributed rewards.

    Args:
        scale: Standard deviation of the rewards.
        prior_mean: Mean of the normal prior of each arm's mean.
        prior_scale: Its standard deviation.
    """

    scale: float = 1.0
    prior_mean: float = 0.0
    prior_scale: float = 10.0

    def __post_init__(self):
        arguments.positive_number("scale", self.scale)
        arguments.number("prior_mean", self.prior_mean)
        arguments.positive_number("prior_scale", self.prior_scale)

    def begin(self, runs, arms):
        """Returns a player of R runs on K arms."""
        return _GaussianThompsonPlayer(self, runs, arms)


class _GaussianThompsonPlayer(Player):
    def __init__(self, strategy, runs, arms):
        super().__init__(runs, arms)
        self._strategy = strategy

    def posterior(self):
        """Returns mean and standard deviation of the normal distributions of the means, each [R, K]."""
        prior, noise = self._strategy.prior_scale**-2, self._strategy.scale**-2
        precision = prior + noise * self.pulls
        return (prior * self._strategy.prior_mean + noise * self.sums) / precision, precision**-0.5

    def choose(self, rng):
        return np.argmax(rng.normal(*self.posterior()), axis=1)


def play(bandit, strategy, steps, runs=1, seed=0):
    """Lets a strategy play a bandit in independent runs.

    Args:
        bandit: A `BernoulliBandit`, a `GaussianBandit`, or another object with their `means` and `draw`.
        strategy: A strategy of this module, or another object with `begin`.
        steps: Number T of steps.
        runs: Number R of runs, which are played at the same time.
        seed: Seed of the rewards and of the strategy.

    Returns:
        A `Play`.

    Raises:
        ValueError: If a number is out of range, a reward is not finite, or the strategy does not know rewards
            of this kind.
    """
    steps, runs = arguments.integer("steps", steps, 1), arguments.integer("runs", runs, 1)
    rng = np.random.default_rng(arguments.seed("seed", seed))
    player = strategy.begin(runs, len(bandit.means))
    arms, rewards = np.empty((runs, steps), int), np.empty((runs, steps))
    for step in range(steps):
        arms[:, step] = player.choose(rng)
        rewards[:, step] = bandit.draw(arms[:, step], rng)
        player.update(arms[:, step], rewards[:, step])
    arguments.finite("rewards", rewards)
    return Play(np.cumsum(gaps(bandit)[arms], axis=1), arms, rewards)


def largest(values, rng):
    """Returns the index of the largest value in each row, at random among equal ones.

    Args:
        values: Values of the arms in each run, [R, K].
        rng: A `numpy.random.Generator`.

    Returns:
        Indices, [R].
    """
    ties = values == values.max(axis=1, keepdims=True)
    return np.argmax(ties * rng.uniform(0.5, 1.0, values.shape), axis=1)


def _means(value):
    means = arguments.finite("means", value, 1)
    if not len(means):
        raise ValueError("means must have at least one arm, got none")
    return means
