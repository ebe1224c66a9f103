"""What a classifier gets right and wrong: reliability, confusion, and its worst mistakes.

Each picture has a function that selects the data and one that draws it.

Legend: N examples, K classes, M bins, H height, W width, C channels.
"""

import math

import numpy as np
from matplotlib.ticker import PercentFormatter

from ...losses.calibration import validate_labels, validate_probabilities, wilson_interval
from . import style

_NUMBERS_UP_TO = 20
_NAMES_UP_TO = 30
_NAME_LENGTH = 20


def reliability_diagram(curve, ece):
    """Draws accuracy against confidence, with 95 % Wilson intervals, above the count of each bin.

    A calibrated model lies on the diagonal; points below it are too sure.

    Args:
        curve: A `losses.calibration.ReliabilityCurve` with M bins.
        ece: The expected calibration error, a fraction.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, axes = style.canvas(5.2, 5.6, rows=2, sharex=True, height_ratios=[3, 1])
    upper, lower = axes[:, 0]
    full = curve.count > 0
    confidence, accuracy, count = curve.confidence[full], curve.accuracy[full], curve.count[full]
    right = np.rint(accuracy * count)
    low, high = np.array([wilson_interval(k, n) for k, n in zip(right, count, strict=True)]).T
    # Rounding can put an end of the interval just inside the point.
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
    """Counts the examples of each true class that were put in each class.

    Args:
        labels: True classes, integers in 0 ... K-1, [N].
        predictions: Predicted classes, integers in 0 ... K-1, [N].
        classes: Number K of classes.

    Returns:
        Counts [K, K]: rows are true classes, columns predicted ones.

    Raises:
        ValueError: If the shapes differ, or a class is out of range; the message has its index.
    """
    labels = validate_labels(labels, np.size(labels), classes)
    predictions = validate_labels(predictions, len(labels), classes, name="predictions")
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def most_confused(counts, count=5):
    """Lists the commonest mistakes.

    Args:
        counts: The matrix of `confusion_counts`, [K, K].
        count: How many to list at most.

    Returns:
        Triples (true class, predicted class, examples), the commonest first, none without examples.
    """
    wrong = np.where(np.eye(len(counts), dtype=bool), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = np.transpose(np.unravel_index(order, wrong.shape))
    return [(int(i), int(j), int(wrong[i, j])) for i, j in pairs if wrong[i, j] > 0]


def confusion_matrix(labels, predictions, names):
    """Draws the confusion matrix: true classes down, predicted classes across.

    Blue is the share of a true class that was predicted right, on a scale up to 100 %; orange the share that
    went to each wrong class, on a scale up to the commonest mistake. Up to 20 classes the cells carry counts.

    Args:
        labels: True classes, integers in 0 ... K-1, [N].
        predictions: Predicted classes, integers in 0 ... K-1, [N].
        names: Names of the classes, K of them.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: As `confusion_counts`.
    """
    classes = len(names)
    counts = confusion_counts(labels, predictions, classes)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(classes, dtype=bool)
    worst = max(share[~diagonal].max(initial=0.0), 1e-12)
    side = np.clip(1.2 + 0.42 * classes, 4.0, 7.5)
    if classes <= _NUMBERS_UP_TO:
        figure, axes = style.canvas(side + 0.4, side)
    else:
        figure, axes = style.canvas(8.6, 6.4, columns=3, width_ratios=[30, 1, 1])
    axis = axes[0, 0]
    axis.grid(False)
    axis.spines[:].set(visible=True, color=style.RULE)
    right = axis.imshow(np.ma.array(share, mask=~diagonal), cmap="Blues", vmin=0, vmax=1)
    wrong = axis.imshow(np.ma.array(share, mask=diagonal | (share == 0)), cmap="Oranges", vmin=0, vmax=worst)
    if classes <= _NUMBERS_UP_TO:
        _write_counts(axis, counts, share / np.where(diagonal, 1.0, worst))
    else:
        for image, place, label in zip(
            (right, wrong), axes[0, 1:], ("share right", "share mistaken"), strict=True
        ):
            bar = figure.colorbar(image, cax=place, format=PercentFormatter(1.0), label=label)
            bar.outline.set_visible(False)
    if classes <= _NAMES_UP_TO:
        short = [_shorten(name) for name in names]
        turned = max(len(name) for name in short) > 2
        axis.set_xticks(range(classes), short, parse_math=False, rotation=90 if turned else 0)
        axis.set_yticks(range(classes), short, parse_math=False)
    axis.tick_params(length=0)
    axis.set(xlabel="predicted", ylabel="true")
    return figure


def _write_counts(axis, counts, darkness):
    """Writes each count that is not zero, in white where its cell is dark."""
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if darkness[row, column] > 0.6 else style.INK
            axis.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)


def highest_loss(labels, probabilities, count):
    """Selects the examples whose label got the least probability.

    Args:
        labels: Integers in 0 ... K-1, [N].
        probabilities: Predicted probabilities, [N, K].
        count: How many examples.

    Returns:
        Indices of at most `count` examples, the highest loss first.

    Raises:
        ValueError: As `losses.calibration.validate_probabilities`, or if `count` is below 1.
    """
    probabilities, labels = validate_probabilities(probabilities, labels)
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count!r}")
    return np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")[:count]


def displayable(images):
    """Scales pictures to [0, 1] for drawing.

    Bytes are divided by 255; floats within [0, 1] stay; any others, such as standardized pixels, are mapped
    linearly from their common range.

    Args:
        images: Pictures, [N, H, W], [N, H, W, 1] or [N, H, W, 3].

    Returns:
        Pictures in [0, 1], [N, H, W] or [N, H, W, 3].

    Raises:
        ValueError: If the shape is another, or a pixel is not finite.
    """
    images = np.asarray(images)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim != 3 and not (images.ndim == 4 and images.shape[-1] == 3):
        raise ValueError(
            f"images must have shape [N, H, W], [N, H, W, 1] or [N, H, W, 3], got {images.shape}"
        )
    if images.dtype == np.uint8:
        return images / 255.0
    images = images.astype(np.float64)
    if not np.isfinite(images).all():
        raise ValueError("images must be finite, got NaN or infinite pixels")
    low, high = images.min(), images.max()
    if low >= 0.0 and high <= 1.0:
        return images
    return (images - low) / max(high - low, 1e-12)


def worst_mistakes(images, labels, probabilities, names, count=16):
    """Draws the examples with the highest loss, the worst first.

    Above each picture stand "true class → predicted class" and the probability that the model gave to the
    true class. A title in gray belongs to an example that was predicted right, if only just.

    Args:
        images: Pictures, [N, H, W], [N, H, W, 1] or [N, H, W, 3].
        labels: Integers in 0 ... K-1, [N].
        probabilities: Predicted probabilities, [N, K].
        names: Names of the classes, K of them.
        count: How many examples.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: As `highest_loss` and `displayable`, or if the lengths disagree.
    """
    chosen = highest_loss(labels, probabilities, count)
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if len(images) != len(labels) or len(names) != probabilities.shape[1]:
        raise ValueError(
            f"images and names must number {len(labels)} and {probabilities.shape[1]}, "
            f"got {len(images)} and {len(names)}"
        )
    pictures = displayable(np.asarray(images)[chosen])
    columns = min(4, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    figure, axes = style.canvas(1.9 * columns, 2.3 * rows, rows, columns)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, index, picture in zip(axes.flat, chosen, pictures, strict=False):
        truth, guess = labels[index], probabilities[index].argmax()
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axis.set_title(
            f"{_verdict(names[truth], names[guess])}\nprobability {100 * probabilities[index, truth]:.2g} %",
            fontsize=9,
            color=style.MUTED if guess == truth else style.INK,
            parse_math=False,
        )
    return figure


def _verdict(truth, guess):
    """Says what was taken for what, on two lines where the names are long."""
    truth, guess = _shorten(truth), _shorten(guess)
    return f"{truth} → {guess}" if len(truth) + len(guess) <= 20 else f"{truth}\n→ {guess}"


def _shorten(name):
    """Cuts a long class name so that it fits beside its picture."""
    name = str(name)
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
