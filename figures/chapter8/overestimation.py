r"""The upward bias of the maximum of noisy values, and double estimation (Sec. 8.3, "Bias and Double Q").

Let A actions have true values mu_a, independent Gaussians of standard deviation s, and estimates with
independent noise of standard deviation 1. With E_A the mean of the largest of A standard Gaussians,

    single    <max_a Q_a - max_a mu_a>            = (sqrt(1 + s^2) - s) E_A
    double    <Q'_{argmax Q} - max_a mu_a>        = (s^2 / sqrt(1 + s^2) - s) E_A

where Q' has the same true values and noise of its own: the maximum overestimates the best value, and the
double estimate is unbiased for equal values and too low otherwise.

Legend: A actions, R repetitions, M measurements.

References:
    van Hasselt, "Double Q-learning" (2010).
"""

from dataclasses import dataclass

import gymnasium
import numpy as np
import scipy.integrate
import scipy.stats

from ...publishing.page import style
from ..figure import Figure

ACTIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
SPREADS = (0.0, 1.0)
"""Standard deviations of the true values, in units of that of the noise."""

AGENTS = {False: ("DQN", style.VERMILION), True: ("double DQN", style.BLUE)}

_DISCOUNT, _CHOICES, _PLACES = 0.9, 8, 4
_HORIZON = 60


class NoisyChoices(gymnasium.Env):
    """Four places and eight actions, all with Gaussian rewards of mean 0, so that every value is zero.

    The next place is random, and no state is terminal.
    """

    action_space = gymnasium.spaces.Discrete(_CHOICES)
    observation_space = gymnasium.spaces.Box(0, 1, (_PLACES,), np.float32)

    def reset(self, *, seed=None, options=None):
        """Begins in a random place."""
        super().reset(seed=seed)
        return self._observed(), {}

    def step(self, action):
        """Returns a random reward and place."""
        return self._observed(), float(self.np_random.normal()), False, False, {}

    def _observed(self):
        return np.eye(_PLACES, dtype="float32")[self.np_random.integers(_PLACES)]


@dataclass(frozen=True)
class Learning:
    """Values of an agent while it learns.

    Args:
        steps: Steps of experience, [M].
        values: Mean over the places of the largest action value, [M].
        returns: Mean discounted return of the greedy policy, [M].
    """

    steps: np.ndarray
    values: np.ndarray
    returns: np.ndarray


def largest(count):
    """Returns the mean of the largest of A standard Gaussian numbers.

    Args:
        count: The number A.
    """
    log_density = scipy.stats.norm.logpdf
    return scipy.integrate.quad(
        lambda x: x * count * np.exp(log_density(x) + (count - 1) * scipy.stats.norm.logcdf(x)), -10, 10
    )[0]


def exact(count, spread):
    """Returns the exact biases of the maximum and of the double estimate.

    Args:
        count: Number of actions A.
        spread: Standard deviation s of the true values.
    """
    total = np.sqrt(1 + spread**2)
    return np.array([total - spread, spread**2 / total - spread]) * largest(count)


def simulate(count, spread, repeats=4000, seed=0):
    """Returns the means and standard errors of both biases, [2, 2].

    Args:
        count: Number of actions A.
        spread: Standard deviation s of the true values.
        repeats: Repetitions R.
        seed: Seed of the draws.
    """
    generator = np.random.default_rng(seed)
    true = spread * generator.normal(size=(repeats, count))
    first, second = true + generator.normal(size=(2, repeats, count))
    double = np.take_along_axis(second, first.argmax(axis=1, keepdims=True), axis=1)[:, 0]
    errors = np.stack([first.max(axis=1), double]) - true.max(axis=1)
    return np.stack([errors.mean(axis=1), errors.std(axis=1, ddof=1) / np.sqrt(repeats)])


def measure(double, steps=6000, seed=0):
    """Lets an agent learn `NoisyChoices` and compares its values with the returns of its policy.

    Args:
        double: Whether the agent is a double DQN.
        steps: Steps of experience.
        seed: Seed of the agent.

    Returns:
        A `Learning`.
    """
    from ...agents import DQN

    agent = DQN(
        NoisyChoices,
        copies=10,
        seed=seed,
        double=double,
        hidden=(),
        discount=_DISCOUNT,
        learning_rate=0.05,
        warmup=500,
        train_every=250,
        updates=250,
        batch_size=32,
        target_every=50,
    )
    rows, environment = [], NoisyChoices()
    environment.reset(seed=seed + 1000)

    def report(done, _):
        values = np.asarray(agent.policy(np.eye(_PLACES, dtype="float32")))
        rows.append((done, values.max(axis=1).mean(), realized(values, environment)))

    agent.learn(steps, progress=False, report=report)
    return Learning(*np.transpose(rows))


def realized(values, environment, steps=3000):
    """Plays the greedy policy and returns the mean of the discounted returns from each step on.

    Args:
        values: Values of the actions in each place, [places, actions].
        environment: A `NoisyChoices`.
        steps: Number of steps.
    """
    best, rewards = values.argmax(axis=1), []
    observation, _ = environment.reset()
    for _ in range(steps + _HORIZON):
        observation, reward, _, _, _ = environment.step(best[observation.argmax()])
        rewards.append(reward)
    returns = np.zeros(steps + _HORIZON + 1)
    for step in reversed(range(steps + _HORIZON)):
        returns[step] = rewards[step] + _DISCOUNT * returns[step + 1]
    # The last returns lack the future.
    return returns[:steps].mean()


def plot(learned):
    """Draws the biases against the number of actions, and the errors of agents against their steps.

    Args:
        learned: A `Learning` by whether it is that of a double DQN.
    """
    figure, axes = style.canvas(9.6, 4.0, columns=2)
    left, right = axes[0]
    for spread, look in zip(SPREADS, ("-", "--"), strict=True):
        curves = np.transpose([exact(count, spread) for count in ACTIONS])
        points = np.array([simulate(count, spread) for count in ACTIONS])
        rows = zip(("single", "double"), (style.VERMILION, style.BLUE), curves, points[:, 0].T, strict=True)
        for name, color, curve, means in rows:
            label = f"{name}, {'equal values' if spread == 0 else 'values as spread as the noise'}"
            left.plot(ACTIONS, curve, look, color=color, linewidth=1.8, label=label)
            left.plot(ACTIONS, means, "o", color=color, markersize=3.5)
    left.set(xscale="log", xlabel="actions", ylabel="bias / standard deviation of the noise")
    left.set_xticks([1, 2, 4, 8, 16, 32], [1, 2, 4, 8, 16, 32])
    left.minorticks_off()
    left.legend(frameon=False, fontsize=8)
    for double, learning in learned.items():
        label, color = AGENTS[double]
        right.plot(
            learning.steps, learning.values - learning.returns, color=color, linewidth=1.8, label=label
        )
    right.axhline(0, color=style.MUTED, linewidth=1)
    right.set(xlabel="steps of experience", ylabel="largest Q - realized return")
    right.legend(frameon=False, fontsize=8)
    return figure


def draw():
    """Lets both agents learn, and draws the figure."""
    return plot({double: measure(double) for double in AGENTS})


FIGURE = Figure(
    section="8.3",
    name="overestimation",
    draw=draw,
    caption=(
        "Left: the largest of several noisy estimates lies above the best true value, the more so the more "
        "actions there are (orange; lines are exact, points simulated). If one set of estimates chooses the "
        "action and an independent one values it (blue), the bias vanishes for equal true values and is "
        "negative otherwise. Right: the largest Q minus the realized return in a game whose rewards are pure "
        "noise, so that all true values are zero. DQN overestimates them, and the bootstrap multiplies the "
        "bias by up to 1/(1 - γ) = 10. In double DQN the online network chooses and the target network, an "
        "older copy, values the choice, which reduces the bias as far as their errors are independent."
    ),
)
