"""Calibration of a classifier on its training data and on new data: the argument of Eq. 3.4.20.

The likelihood is greatest if the predicted probabilities are the frequencies of success on the training data.
A network that fits sixty digits without a mistake is always right there, is sure of it, and is calibrated. On
new digits it is right less often but just as sure. A prior on the weights reduces its confidence. So does a
temperature that is fitted on held-out digits after training.

Legend: N examples of a split, K = 10 classes.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from matplotlib.ticker import PercentFormatter
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from ...losses import classification_scores, fit_temperature, reliability_curve, wilson_interval
from ...losses.classification import CategoricalNLL
from ...losses.priors import GaussianPrior
from ...publishing.page import style
from ..figure import Figure

_UNITS, _LEARNING_RATE, _VALIDATION = 64, 0.01, 300
_BINS = 10
# With fewer examples in a bin, the confidence interval spans most of the axis.
_MIN_COUNT = 8


@dataclass(frozen=True)
class Predictions:
    """Predictions of a trained classifier for each split.

    Args:
        logits: Logits by split (`train`, `validation`, `test`), [N, K] each.
        labels: True classes by split, [N] each.
    """

    logits: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]

    @property
    def temperature(self):
        """The temperature that maximizes the likelihood of the validation split."""
        return fit_temperature(self.logits["validation"], self.labels["validation"])

    def probabilities(self, split, temperature=1.0):
        """Returns the predicted probabilities of a split, [N, K]."""
        return softmax(self.logits[split] / temperature, axis=1)

    def scores(self, split, temperature=1.0):
        """Returns the `classification_scores` of a split and the mean `confidence`."""
        scores = classification_scores(self.logits[split] / temperature, self.labels[split])
        return {**scores, "confidence": float(self.probabilities(split, temperature).max(axis=1).mean())}


def train(scale=None, examples=60, steps=1000, seed=0):
    """Trains a network with one hidden layer on a few of scikit-learn's digits and predicts all of them.

    Args:
        scale: Standard deviation of the Gaussian prior on the kernels (Eq. 3.4.7); `None` for no prior.
        examples: Number of training digits, 10 to 1000. 300 others are for validation, the rest for testing.
        steps: Steps of Adam, each on all training digits.
        seed: Seed of the splits and of the initial weights.

    Returns:
        A `Predictions`.
    """
    images, labels = _splits(examples, seed)
    model = _network(None if scale is None else GaussianPrior(scale, examples), seed)
    _fit(model, images["train"], labels["train"], steps)
    return Predictions({split: model(x).numpy().astype(np.float64) for split, x in images.items()}, labels)


def measure():
    """Trains both classifiers of the figure.

    Returns:
        Their `Predictions`: `no prior`, and `prior` with standard deviation 3 of the weights.
    """
    return {"no prior": train(), "prior": train(scale=3.0)}


def plot(classifiers):
    """Draws accuracy against confidence, with 95 % Wilson intervals.

    Args:
        classifiers: `Predictions` by name, from `measure`.
    """
    figure, axes = style.canvas(8.3, 4.4, columns=2, sharey=True)
    free, prior = classifiers["no prior"], classifiers["prior"]
    left, right = axes[0]
    _curve(left, free, "train", 1.0, "the training digits", style.GREEN, "D")
    _curve(left, free, "test", 1.0, "new digits", style.VERMILION, "o")
    label = f"new digits, T = {free.temperature:.2f}"
    _curve(left, free, "test", free.temperature, label, style.BLUE, "s")
    _curve(right, prior, "train", 1.0, "the training digits", style.GREEN, "D")
    _curve(right, prior, "test", 1.0, "new digits", style.VERMILION, "o")
    left.set_ylabel("accuracy, 95 % interval")
    for axis, title in ((left, "Maximum likelihood"), (right, "Gaussian prior on the weights")):
        axis.plot([0, 1], [0, 1], "--", color=style.MUTED, linewidth=1, zorder=1)
        axis.set(xlim=(0.15, 1.03), ylim=(0.0, 1.03), xlabel="confidence")
        axis.set_title(title, loc="left", fontsize=11)
        axis.legend(title="calibration error", frameon=False, fontsize=9, title_fontsize=9, loc="lower right")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def draw():
    """Trains both classifiers and draws their calibration."""
    return plot(measure())


def _splits(examples, seed):
    images, labels = load_digits(return_X_y=True)
    images, labels = (images / 16).astype("float32"), labels.astype("int32")
    train, rest = train_test_split(
        np.arange(len(labels)), train_size=examples, stratify=labels, random_state=seed
    )
    validation, test = train_test_split(
        rest, train_size=_VALIDATION, stratify=labels[rest], random_state=seed
    )
    rows = {"train": train, "validation": validation, "test": test}
    return {k: images[i] for k, i in rows.items()}, {k: labels[i] for k, i in rows.items()}


def _network(prior, seed):
    def dense(units, activation, key):
        initializer = keras.initializers.GlorotUniform(seed=key)
        return keras.layers.Dense(units, activation, kernel_initializer=initializer, kernel_regularizer=prior)

    return keras.Sequential(
        [keras.Input((64,)), dense(_UNITS, "relu", 2 * seed), dense(10, None, 2 * seed + 1)]
    )


def _fit(model, images, labels, steps):
    loss, optimizer = CategoricalNLL(), keras.optimizers.Adam(_LEARNING_RATE)
    optimizer.build(model.trainable_variables)

    # One graph for all steps: on data this small, most of the time would go to Keras's training loop.
    @tf.function
    def run():
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                objective = tf.add_n([loss(labels, model(images)), *model.losses])
            optimizer.apply(tape.gradient(objective, model.trainable_variables), model.trainable_variables)

    run()


def _curve(axis, predictions, split, temperature, label, color, marker):
    curve = reliability_curve(predictions.probabilities(split, temperature), predictions.labels[split], _BINS)
    filled = curve.count >= _MIN_COUNT
    confidence, accuracy, count = curve.confidence[filled], curve.accuracy[filled], curve.count[filled]
    intervals = [wilson_interval(round(a * n), n) for a, n in zip(accuracy, count, strict=True)]
    low, high = np.transpose(intervals)
    error = predictions.scores(split, temperature)["ece"]
    axis.errorbar(
        confidence,
        accuracy,
        # Rounding can put an end of the interval slightly beyond the point.
        np.maximum([accuracy - low, high - accuracy], 0.0),
        fmt=f"{marker}-",
        color=color,
        markersize=5,
        linewidth=1,
        elinewidth=0.8,
        capsize=2,
        label=f"{label}: {100 * error:.1f} %",
    )


FIGURE = Figure(
    section="3.4",
    name="calibration",
    draw=draw,
    caption=(
        "Accuracy against confidence of a network trained on 60 digits (Eq. 3.4.20). After a fit by maximum "
        "likelihood, the network is calibrated on these digits and overconfident on new ones. A temperature "
        "T fitted on held-out digits, or a Gaussian prior on the weights (Eq. 3.4.7), brings it back to the "
        "diagonal. The percentages are expected calibration errors."
    ),
    place=3,
)
