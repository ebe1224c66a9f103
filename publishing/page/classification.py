"""Plots of labels and predicted probabilities: reliability, confusion, and the worst mistakes.

Legend: N examples, K classes, M bins, H height, W width, C channels.
"""

import math

import numpy as np
from matplotlib.ticker import PercentFormatter

from ... import arguments
from ...losses.classifier_scores import wilson_interval
from ...losses.predictions import validate_labels, validate_probabilities
from . import style
from .images import displayable

_MAX_CLASSES_WITH_COUNTS = 20
_MAX_CLASSES_WITH_NAMES = 30
_MAX_NAME_LENGTH = 20


def reliability_diagram(curve, ece):
    """Draws accuracy against confidence with 95 % Wilson intervals, and the number of examples in each bin.

    The points of a calibrated model lie on the diagonal; below it, the model is overconfident.

    Args:
        curve: A `losses.calibration.ReliabilityCurve` with M bins.
        ece: Expected calibration error, a fraction.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(5.2, 5.6, rows=2, sharex=True, height_ratios=[3, 1])
    upper, lower = axes[:, 0]
    filled = curve.count > 0
    confidence, accuracy, count = curve.confidence[filled], curve.accuracy[filled], curve.count[filled]
    correct = np.rint(accuracy * count)
    low, high = np.array([wilson_interval(k, n) for k, n in zip(correct, count, strict=True)]).T
    # Rounding can put an end of the interval slightly beyond the point.
    bars = np.maximum([accuracy - low, high - accuracy], 0.0)
    upper.plot([0, 1], [0, 1], color=style.MUTED, linestyle="--", linewidth=1, label="calibrated")
    upper.errorbar(
        confidence,
        accuracy,
        bars,
        fmt="o",
        color=style.BLUE,
        markersize=5,
        capsize=2,
        label="model",
    )
    upper.set(xlim=(0, 1.01), ylim=(-0.02, 1.02), ylabel="accuracy, 95 % interval")
    upper.set_title(f"calibration error {100 * ece:.2f} %", loc="left", fontsize=11)
    upper.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1.02, 0.98), ncols=2)
    lower.bar(
        curve.edges[:-1], curve.count, np.diff(curve.edges), align="edge", color=style.SKY, edgecolor="white"
    )
    lower.set_yscale("log")
    lower.set_ylim(bottom=0.7)
    lower.set(xlabel="confidence (probability of the predicted class)", ylabel="examples")
    for axis in (upper.xaxis, upper.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def confusion_counts(labels, predictions, classes):
    """Counts the examples of each true class by predicted class.

    Args:
        labels: True classes, integers in 0 ... K-1, [N].
        predictions: Predicted classes, integers in 0 ... K-1, [N].
        classes: Number K of classes.

    Returns:
        Counts, [K, K]; rows are true classes, columns are predicted classes.

    Raises:
        ValueError: If the shapes differ or a class is out of range; the message gives its index.
    """
    labels = validate_labels(labels, np.size(labels), classes)
    predictions = validate_labels(predictions, len(labels), classes, name="predictions")
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def most_confused(counts, count=5):
    """Lists the most frequent mistakes.

    Args:
        counts: Matrix from `confusion_counts`, [K, K].
        count: Maximum number of mistakes.

    Returns:
        Triples (true class, predicted class, examples), the most frequent first, without zero counts.
    """
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = np.transpose(np.unravel_index(order, wrong.shape))
    return [(int(i), int(j), int(wrong[i, j])) for i, j in pairs if wrong[i, j] > 0]


def confusion_matrix(labels, predictions, names):
    """Draws the confusion matrix with a row for each true class and a column for each predicted class.

    Blue shows the fraction of a true class that was predicted correctly, on a scale up to 100 %. Orange shows
    the fractions of the mistakes, on a scale up to the most frequent mistake. Matrices of up to 20 classes
    also show the counts.

    Args:
        labels: True classes, integers in 0 ... K-1, [N].
        predictions: Predicted classes, integers in 0 ... K-1, [N].
        names: Names of the K classes.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the shapes differ or a class is out of range; the message gives its index.
    """
    classes = len(names)
    counts = confusion_counts(labels, predictions, classes)
    fraction = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(classes, dtype=bool)
    worst = max(fraction[~diagonal].max(initial=0.0), 1e-12)
    side = np.clip(1.2 + 0.42 * classes, 4.0, 7.5)
    if classes <= _MAX_CLASSES_WITH_COUNTS:
        figure, axes = style.canvas(side + 0.4, side)
    else:
        figure, axes = style.canvas(8.6, 6.4, columns=3, width_ratios=[30, 1, 1])
    axis = axes[0, 0]
    axis.grid(False)
    axis.spines[:].set(visible=True, color=style.RULE)
    correct = axis.imshow(np.ma.array(fraction, mask=~diagonal), cmap="Blues", vmin=0, vmax=1)
    mistakes = np.ma.array(fraction, mask=diagonal | (fraction == 0))
    mistaken = axis.imshow(mistakes, cmap="Oranges", vmin=0, vmax=worst)
    if classes <= _MAX_CLASSES_WITH_COUNTS:
        _write_counts(axis, counts, fraction / np.where(diagonal, 1.0, worst))
    else:
        labeled = ((correct, "fraction correct"), (mistaken, "fraction mistaken"))
        for (image, label), cax in zip(labeled, axes[0, 1:], strict=True):
            bar = figure.colorbar(image, cax=cax, format=PercentFormatter(1.0), label=label)
            bar.outline.set_visible(False)
    if classes <= _MAX_CLASSES_WITH_NAMES:
        short = [_shorten(name) for name in names]
        rotation = 90 if max(len(name) for name in short) > 2 else 0
        axis.set_xticks(range(classes), short, parse_math=False, rotation=rotation)
        axis.set_yticks(range(classes), short, parse_math=False)
    axis.tick_params(length=0)
    axis.set(xlabel="predicted", ylabel="true")
    return figure


def _write_counts(axis, counts, darkness):
    """Writes the nonzero counts into their cells, in white on dark cells."""
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if darkness[row, column] > 0.6 else style.INK
            axis.text(column, row, str(count), ha="center", va="center", fontsize=8, color=color)


def highest_loss(labels, probabilities, count):
    """Selects the examples whose labels have the lowest probability.

    Args:
        labels: Integers in 0 ... K-1, [N].
        probabilities: Predicted probabilities, [N, K].
        count: Number of examples.

    Returns:
        Indices of at most `count` examples, in order of descending loss.

    Raises:
        ValueError: If the arrays are not probabilities with their labels, or `count` is below 1.
    """
    probabilities, labels = validate_probabilities(probabilities, labels)
    count = arguments.integer("count", count, 1)
    return np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")[:count]


def worst_mistakes(images, labels, probabilities, names, count=16):
    """Draws the examples with the highest loss, in order of descending loss.

    The title of each image is "true class → predicted class" with the predicted probability of the true
    class. It is gray if the example was predicted correctly.

    Args:
        images: Images, [N, H, W], [N, H, W, 1] or [N, H, W, 3].
        labels: Integers in 0 ... K-1, [N].
        probabilities: Predicted probabilities, [N, K].
        names: Names of the K classes.
        count: Number of examples.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the numbers of images, labels, probabilities and names disagree, or a value is not
            valid.
    """
    worst = highest_loss(labels, probabilities, count)
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if len(images) != len(labels) or len(names) != probabilities.shape[1]:
        raise ValueError(
            f"images and names must number {len(labels)} and {probabilities.shape[1]}, "
            f"got {len(images)} and {len(names)}"
        )
    pictures = displayable(np.asarray(images)[worst])
    columns = min(4, len(worst))
    rows = math.ceil(len(worst) / columns)
    figure, axes = style.canvas(1.9 * columns, 2.3 * rows, rows, columns)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, index, picture in zip(axes.flat, worst, pictures, strict=False):
        label, prediction = labels[index], probabilities[index].argmax()
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        percentage = 100 * probabilities[index, label]
        shown = f"{percentage:.0f}" if percentage >= 10 else f"{percentage:.2g}"
        axis.set_title(
            f"{_mistake(names[label], names[prediction])}\nprobability {shown} %",
            fontsize=9,
            color=style.MUTED if prediction == label else style.INK,
            parse_math=False,
        )
    return figure


def _mistake(label, prediction):
    """Returns "true class → predicted class", on two lines if the names are long."""
    label, prediction = _shorten(label), _shorten(prediction)
    separator = " " if len(label) + len(prediction) <= 20 else "\n"
    return f"{label}{separator}→ {prediction}"


def _shorten(name):
    """Truncates a long class name."""
    name = str(name)
    return name if len(name) <= _MAX_NAME_LENGTH else name[: _MAX_NAME_LENGTH - 1] + "…"
