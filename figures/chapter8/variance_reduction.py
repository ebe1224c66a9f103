r"""The variance of three estimators of the policy gradient, on CartPole (Sec. 8.2).

The gradient of the expected return is the mean over episodes of
\(\sum_t w_t \nabla_\theta \log \pi_\theta(a_t|s_t)\), where w_t is the total return (Eq. 8.2.3), the rewards
to go (Eqs. 8.2.4 to 8.2.6), or these minus a baseline b(s_t) (Eqs. 8.2.7 and 8.2.8). The policy pushes the
cart to the right with the probability of a logistic regression, so that the gradients of its log-probability
are exact. The baseline is a quadratic of the state, fitted to the rewards to go of other episodes: fitted to
the same ones, it would depend on the actions and bias the gradient.

Legend: E episodes, T = 500 steps, P = 5 parameters, M stages of training.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from ...publishing.page import style
from ...theory.returns import rewards_to_go
from ..figure import Figure

NAMES = ("total return", "rewards to go", "rewards to go − baseline")
"""The estimators, in the order of all arrays."""

_SCALES = np.array([1.0, 2.4, 1.5, 0.21, 1.5])
# Steps of an episode, length of a step of training, and degree of the baseline.
_STEPS, _SIZE, _DEGREE = 500, 0.3, 2
_COLORS = (style.VERMILION, style.BLUE, style.GREEN)


@dataclass(frozen=True)
class Estimates:
    """Gradients of single episodes by each estimator.

    Args:
        gradients: Gradients, [3, E, P].
        lengths: Lengths of the episodes, which are their returns, [E].
    """

    gradients: np.ndarray
    lengths: np.ndarray

    @property
    def variances(self):
        """The variance of one episode's gradient, summed over the parameters, [3]."""
        return self.gradients.var(axis=1, ddof=1).sum(axis=1)

    @property
    def variance_errors(self):
        """The standard errors of the variances, [3]."""
        deviations = self.gradients - self.gradients.mean(axis=1, keepdims=True)
        squares = np.sum(deviations**2, axis=2)
        return squares.std(axis=1, ddof=1) / np.sqrt(squares.shape[1])

    @property
    def means(self):
        """The mean gradients, [3, P]."""
        return self.gradients.mean(axis=1)

    @property
    def mean_errors(self):
        """The standard errors of the mean gradients, [3, P]."""
        return self.gradients.std(axis=1, ddof=1) / np.sqrt(self.gradients.shape[1])

    @property
    def differences(self):
        """Mean differences of the first two estimators from the third, in their standard errors, [2, P].

        The errors are those of paired differences, which are smaller than those of the means.
        """
        pairs = self.gradients[:2] - self.gradients[2]
        return pairs.mean(axis=1) / (pairs.std(axis=1, ddof=1) / np.sqrt(pairs.shape[1]))


def play(parameters, episodes, seed):
    """Plays episodes of CartPole side by side.

    Args:
        parameters: Parameters of the policy, [P].
        episodes: Number E of episodes.
        seed: Seed of the initial states and of the actions.

    Returns:
        (features of the states [T, E, P], gradients of the log-probabilities [T, E, P], flags [T, E] of the
        steps that belong to an episode).
    """
    import gymnasium

    # Gymnasium draws the initial states from `default_rng(seed)`, of which the actions must be independent.
    rng = np.random.default_rng([seed, 1])
    environments = gymnasium.make_vec("CartPole-v1", episodes, vectorization_mode="vector_entry_point")
    states, _ = environments.reset(seed=seed)
    features, scores = np.zeros((2, _STEPS, episodes, len(_SCALES)))
    playing = np.zeros((_STEPS, episodes), bool)
    goes_on = np.ones(episodes, bool)
    for step in range(_STEPS):
        playing[step] = goes_on
        features[step] = np.column_stack([np.ones(episodes), states]) / _SCALES
        right = 1 / (1 + np.exp(-features[step] @ parameters))
        actions = (rng.random(episodes) < right).astype(int)
        scores[step] = (actions - right)[:, None] * features[step]
        states, _, terminated, truncated, _ = environments.step(actions)
        goes_on &= ~(terminated | truncated)
        if not goes_on.any():
            break
    environments.close()
    used = step + 1
    return features[:used], scores[:used], playing[:used]


def estimate(parameters, episodes, seed):
    """Returns the `Estimates` of each estimator from the same episodes.

    Args:
        parameters: Parameters of the policy, [P].
        episodes: Number E of episodes; as many others fit the baseline.
        seed: Seed of the episodes.
    """
    others = play(parameters, episodes, 2 * seed + 1)
    inputs, targets = _polynomials(others[0][others[2]]), _to_go(others[2])[others[2]]
    # The normal equations need a fraction of the time and memory; their solution of smallest norm exists.
    coefficients, *_ = np.linalg.lstsq(inputs.T @ inputs, inputs.T @ targets, rcond=None)
    features, scores, playing = play(parameters, episodes, 2 * seed)
    to_go = _to_go(playing)
    baseline = np.zeros_like(to_go)
    baseline[playing] = _polynomials(features[playing]) @ coefficients
    weights = np.broadcast_to(to_go[0], to_go.shape), to_go, to_go - baseline
    gradients = [np.einsum("te,tep->ep", playing * weight, scores) for weight in weights]
    return Estimates(np.array(gradients), playing.sum(axis=0))


def train(iterations, episodes=100, seed=0):
    """Trains the policy by steps of constant length along the gradient with a baseline.

    Args:
        iterations: Number of steps.
        episodes: Episodes for each gradient.
        seed: Seed of the episodes.

    Returns:
        The parameters before each step and after the last one, [iterations + 1, P].
    """
    path = [np.zeros(len(_SCALES))]
    for iteration in range(iterations):
        gradient = estimate(path[-1], episodes, 1000 * (seed + 1) + iteration).means[2]
        path.append(path[-1] + _SIZE * gradient / np.linalg.norm(gradient))
    return np.array(path)


def measure(stages=(0, 2, 4, 6, 8, 10), episodes=500, seed=0):
    """Measures the estimators at several stages of training.

    Args:
        stages: Numbers of training steps, [M], in increasing order.
        episodes: Number E of episodes at each stage.
        seed: Seed of the training and of the episodes.

    Returns:
        The `Estimates` of each stage, a list of M.
    """
    path = train(stages[-1], seed=seed)
    return [estimate(path[stage], episodes, seed + stage) for stage in stages]


def plot(measured):
    """Draws the variances against the mean return, and the components of the mean gradient at one stage.

    Args:
        measured: The `Estimates` of each stage, in the order of training.
    """
    figure, ((variances, means),) = style.canvas(9.6, 4.2, columns=2)
    returns = np.array([each.lengths.mean() for each in measured])
    for index, (name, color) in enumerate(zip(NAMES, _COLORS, strict=True)):
        values = np.array([each.variances[index] for each in measured])
        errors = np.array([each.variance_errors[index] for each in measured])
        variances.errorbar(
            returns, values, errors, fmt="o-", color=color, markersize=4, capsize=2, label=name
        )
    variances.set(xscale="log", yscale="log", xlabel="mean return of the policy")
    variances.set_ylabel("variance of one episode's gradient")
    ticks = [tick for tick in (20, 50, 100, 200, 500) if tick <= 1.1 * returns.max()]
    variances.set_xticks(ticks, [str(tick) for tick in ticks])
    variances.minorticks_off()
    variances.set_title("Variance during training", loc="left", fontsize=11)
    middle = measured[len(measured) // 2]
    places = np.arange(middle.means.shape[1])
    for index, color in enumerate(_COLORS):
        errors = 2 * middle.mean_errors[index]
        shifted = places + 0.2 * (index - 1)
        means.errorbar(shifted, middle.means[index], errors, fmt="o", color=color, markersize=4, capsize=2)
    means.axhline(0, color=style.RULE, linewidth=1, zorder=0)
    means.set_xticks(places, ["bias", "position", "velocity", "angle", "angular\nvelocity"])
    means.set_ylabel("mean gradient ± 2 standard errors")
    title = f"Mean at a return of {middle.lengths.mean():.0f}, {len(middle.lengths):,} episodes"
    means.set_title(title, loc="left", fontsize=11)
    style.legend_below(figure)
    return figure


def draw():
    """Trains the policy, measures the estimators and draws them."""
    return plot(measure())


def _to_go(playing):
    """Returns the rewards to go [T, E] of episodes that earn 1 in each step of theirs."""
    last = np.append(playing[:-1] & ~playing[1:], playing[-1:], axis=0)
    return rewards_to_go(playing.astype(float), last, 1.0)


def _polynomials(features):
    """Returns all products of `_DEGREE` features, of which the first is 1."""
    columns = np.array(list(itertools.combinations_with_replacement(range(features.shape[-1]), _DEGREE)))
    products = features[..., columns[:, 0]].copy()
    for column in columns.T[1:]:
        products *= features[..., column]
    return products


FIGURE = Figure(
    section="8.2",
    name="variance_reduction",
    draw=draw,
    caption=(
        "Three estimators of the policy gradient on CartPole, from the same episodes. Left: the variance of "
        "the gradient of one episode, with standard errors, as the policy improves. Rewards to go in place "
        "of the total return (Eqs. 8.2.3 to 8.2.6) reduce it severalfold, and a baseline that depends on the "
        "state (Eqs. 8.2.7 and 8.2.8) by up to another factor of two. Right: the means agree within their "
        "errors, as neither changes the expectation."
    ),
    place=1,
)
