r"""Examples that a classifier needs if it sees all rewards, or that of one label (section 8.4).

Softmax regression learns to tell K clusters apart in a single pass over fresh examples. By supervised
learning it sees the true label. Otherwise it chooses a label and sees whether it is right: at random, drawn
from the policy, or epsilon-greedily.

Legend: K labels, D inputs, B batch, S seeds, L learning rates, T measurements, M numbers of labels.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from ...publishing.page import style
from ..figure import Figure

TARGET = 0.9
"""The accuracy to reach."""

LABELS = (4, 6, 8, 12, 16, 24, 32)
"""Numbers of labels."""

SUPERVISED, RANDOM, POLICY, Q = "supervised", "random", "policy", "q"
_LOOKS = {
    SUPERVISED: ("supervised learning", style.INK),
    RANDOM: ("policy gradient, random labels", style.BLUE),
    POLICY: ("policy gradient, labels drawn from the policy", style.VERMILION),
    Q: ("Q-learning, epsilon-greedy labels", style.GREEN),
}
_EPSILON = 0.1
_INPUTS, _BATCH, _SEEDS, _TESTED = 32, 2, 8, 256
# Distance of each cluster's center from the origin, in standard deviations of the clusters.
_DISTANCE = 5.5
_RATES = {
    SUPERVISED: (0.03, 0.1, 0.3, 1.0),
    RANDOM: (0.03, 0.1, 0.3, 1.0),
    POLICY: (0.02, 0.04, 0.06, 0.1),
    Q: (0.2, 0.4, 0.6, 0.8, 1.2),
}
_LIMIT = 40_000
# Multiple of the median number of examples after which the slowest seeds are given up.
_PATIENCE = 3
# Factor between the numbers of examples at which the accuracy is measured.
_SPACING = 1.1
# The number of labels of the learning curves.
_SHOWN = 16


@dataclass(frozen=True)
class Race:
    """Trainings of several seeds up to the target accuracy, at the learning rate that is fastest.

    Args:
        rate: The learning rate at which half of the seeds are first at the target.
        examples: Numbers of examples at the measurements, [T].
        accuracy: Test accuracies, [T, S].
        reached: Numbers of examples to the target, [S]; infinite where it was not reached.
    """

    rate: float
    examples: np.ndarray
    accuracy: np.ndarray
    reached: np.ndarray


def logit_gradient(method, logits, labels, rng):
    """Returns the gradient of the loss of each example with respect to the logits, [..., K].

    Args:
        method: `supervised`, the cross-entropy (Eq. 8.4.5); `random` and `policy`, the policy gradient of Eq.
            8.4.3 with labels drawn uniformly, with the importance weight K, or from the policy; `q`, the
            Q-loss of Eq. 8.4.7 with epsilon-greedy labels.
        logits: Logits, [..., K].
        labels: True labels, integers that broadcast to [...].
        rng: A `numpy.random.Generator` that draws the labels to try.
    """
    classes = np.arange(logits.shape[-1])
    probabilities = softmax(logits, axis=-1)
    true = np.asarray(labels)[..., None] == classes
    if method == SUPERVISED:
        return probabilities - true
    shape = logits.shape[:-1]
    actions = rng.integers(len(classes), size=shape)
    if method == POLICY:
        # Rounding may leave the last cumulative sum below the uniform number.
        below = np.cumsum(probabilities, axis=-1)[..., :-1] <= rng.random((*shape, 1))
        actions = below.sum(axis=-1)
    elif method == Q:
        actions = np.where(rng.random(shape) < _EPSILON, actions, logits.argmax(axis=-1))
    chosen = actions[..., None] == classes
    reward = (chosen & true).any(axis=-1, keepdims=True)
    if method == Q:
        value = (chosen * probabilities).sum(axis=-1, keepdims=True)
        return (value - reward) * value * (chosen - probabilities)
    weight = len(classes) if method == RANDOM else 1
    return weight * reward * (probabilities - chosen)


def measure(method, labels, seeds=_SEEDS, rates=None, limit=_LIMIT):
    """Trains softmax regressions of all seeds and learning rates up to the target accuracy.

    The weights begin at zero, and each batch of plain gradient descent has new examples. Training ends when
    all seeds of the fastest learning rate have reached the target.

    Args:
        method: One of the methods of `logit_gradient`.
        labels: Number K of clusters.
        seeds: Number S of seeds of clusters and examples, which all methods share, and of draws.
        rates: Learning rates, [L]; by default those of the method.
        limit: Number of examples after which to stop.

    Returns:
        A `Race`.
    """
    rates = np.array(_RATES[method] if rates is None else rates)
    # The importance weight K of a rewarded example: the step is then as long as that of supervised learning.
    steps = rates / labels if method == RANDOM else rates
    data, draws = np.random.default_rng([0, labels]), np.random.default_rng([1, labels])
    centers = data.normal(size=(seeds, labels, _INPUTS))
    centers *= _DISTANCE / np.linalg.norm(centers, axis=-1, keepdims=True)

    def examples(count):
        y = data.integers(labels, size=(seeds, count))
        x = np.take_along_axis(centers, y[..., None], axis=1) + data.normal(size=(seeds, count, _INPUTS))
        return x, y

    test, truth = examples(_TESTED)
    weights = np.zeros((len(rates), seeds, _INPUTS, labels))
    reached = np.full((len(rates), seeds), np.inf)
    counts, accuracies, count, following = [], [], 0, float(_BATCH)
    while count < limit and np.isinf(reached).any():
        x, y = examples(_BATCH)
        slope = logit_gradient(method, x @ weights, y, draws) / _BATCH
        weights -= steps[:, None, None, None] * (np.swapaxes(x, -1, -2) @ slope)
        count += _BATCH
        if count < following:
            continue
        following = max(count * _SPACING, count + _BATCH)
        counts.append(count)
        accuracies.append(np.mean((test @ weights).argmax(axis=-1) == truth, axis=-1))
        reached[(accuracies[-1] >= TARGET) & np.isinf(reached)] = count
        # The first rate with half of its seeds at the target has the lowest median, and only it goes on.
        done = np.isfinite(reached).sum(axis=1)
        if len(rates) > 1 and 2 * done.max() >= seeds:
            limit = min(limit, _PATIENCE * count)
            best = slice(done.argmax(), done.argmax() + 1)
            rates, steps, weights, reached = rates[best], steps[best], weights[best], reached[best]
            accuracies = [each[best] for each in accuracies]
    best = np.isfinite(reached).sum(axis=1).argmax()
    return Race(float(rates[best]), np.array(counts), np.array(accuracies)[:, best], reached[best])


def exponent(races, method):
    """Returns the exponent c of a power law K^c that is fitted to the penalties; the notes expect 1.

    Args:
        races: `Race`s by method and number of labels.
        method: The method.
    """
    return float(np.polyfit(np.log(list(races[method])), np.log(penalties(races, method)), 1)[0])


def penalties(races, method):
    """Returns the median numbers of examples, divided by those of supervised learning, [M].

    Args:
        races: `Race`s by method and number of labels.
        method: The method.
    """
    medians = {key: np.array([np.median(race.reached) for race in races[key].values()]) for key in races}
    return medians[method] / medians[SUPERVISED]


def table(races):
    """Returns the header and the rows of the table: penalties, their exponents, and median examples.

    Args:
        races: `Race`s by method and number of labels.
    """
    counts = list(races[SUPERVISED])
    header = ("method", "exponent c", *(f"K = {count}" for count in counts))
    rows = [
        (
            _LOOKS[method][0],
            f"{exponent(races, method):.2f}",
            *(
                f"{np.median(race.reached):,.0f} ({ratio:.1f}×)"
                for race, ratio in zip(found.values(), penalties(races, method), strict=True)
            ),
        )
        for method, found in races.items()
    ]
    return header, rows


def plot(races, shown):
    """Draws learning curves (left), and the examples to the target against the number of labels (right).

    Args:
        races: `Race`s by method and number of labels.
        shown: The number of labels of the learning curves.
    """
    figure, axes = style.canvas(10.2, 4.8, columns=2)
    left, right = axes[0]
    for method, found in races.items():
        label, color = _LOOKS[method]
        race, counts = found[shown], np.array(list(found))
        _band(left, race.examples, race.accuracy.T, color, label)
        # Seeds that were given up count as reaching the target at their last example, a lower bound.
        reached = np.array([np.minimum(each.reached, each.examples[-1]) for each in found.values()])
        _band(right, counts, reached.T, color, label, marker="o")
    for line, method in enumerate(method for method in races if method != SUPERVISED):
        text = f"$c$ = {exponent(races, method):.2f}"
        place = {"transform": right.transAxes, "va": "top", "fontsize": 10}
        right.text(0.03, 0.97 - 0.07 * line, text, color=_LOOKS[method][1], **place)
    supervised = np.array([np.median(race.reached) for race in races[SUPERVISED].values()])
    guide = {"color": style.MUTED, "linewidth": 1.2, "linestyle": "--"}
    right.plot(counts, counts * supervised, **guide, label="$K$ times supervised learning", zorder=3)
    left.axhline(TARGET, color=style.MUTED, linewidth=1, linestyle=":")
    left.set(xscale="log", xlabel="examples", ylim=(0, 1), ylabel="test accuracy")
    left.set_title(f"Learning curves, $K$ = {shown} labels", loc="left", fontsize=11)
    right.set(xscale="log", yscale="log", xlabel="number of labels $K$")
    right.set_xticks(counts, [str(count) for count in counts])
    right.minorticks_off()
    right.set_ylabel(f"examples to {100 * TARGET:.0f} % accuracy")
    right.set_title("Examples relative to supervised learning: $\\propto K^c$", loc="left", fontsize=11)
    style.legend_below(figure, columns=3)
    return figure


def draw():
    """Trains with each method for each number of labels, draws the results, and returns the table, too."""
    races = {method: {count: measure(method, count) for count in LABELS} for method in _LOOKS}
    return plot(races, _SHOWN), table(races)


def _band(axis, x, values, color, label, **look):
    """Draws the median over seeds and the range, from values [S, T]."""
    axis.plot(x, np.median(values, axis=0), color=color, linewidth=1.8, label=label, markersize=4, **look)
    axis.fill_between(x, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)


FIGURE = Figure(
    section="8.4",
    name="data_efficiency",
    draw=draw,
    caption=(
        "The price of seeing only whether one chosen label is right. Softmax regression learns to tell K "
        "clusters in 32 dimensions apart, in one pass and at each method's best learning rate (medians and "
        "ranges over 8 seeds). Right: examples until 90 % of new ones are classified correctly. The penalty "
        "against supervised learning is fitted by a power law, whose exponent c the figure and the table "
        "state. Random labels, with importance weights K, teach as in Eq. 8.4.4: one example in K. Labels "
        "drawn from the policy (Eq. 8.4.6) and epsilon-greedy ones with the squared error of Eq. 8.4.7 need "
        "other numbers of examples."
    ),
)
