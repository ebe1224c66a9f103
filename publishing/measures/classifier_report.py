"""The report of a classifier: scores, training, calibration, confusions, worst mistakes, settings.

Legend: N examples, K classes, H height, W width, C channels.
"""

import numpy as np
from scipy.special import softmax

from ...losses.calibration import expected_calibration_error, reliability_curve
from ..page.classification import (
    confusion_counts,
    confusion_matrix,
    highest_loss,
    most_confused,
    reliability_diagram,
    worst_mistakes,
)
from ..page.curves import loss_curves
from ..page.report import Section, write_report

_SHOWN = 16


def write(
    path,
    *,
    name,
    description,
    scores,
    history,
    logits,
    labels,
    images,
    label_names,
    rows,
    confidence=0.95,
):
    """Writes the report of a classifier: scores, training, calibration, confusions, worst mistakes, settings.

    Args:
        path: Where to write.
        name: Name of the model, the page's title.
        description: One sentence about the model and its data.
        scores: The dict of `losses.calibration.classification_scores`; other entries are shown as they are.
        history: Lists of one number an epoch, as `figures.curves.loss_curves` takes them.
        logits: Scores before the softmax of the examples judged, [N, K].
        labels: Integers in 0 ... K-1, [N].
        images: Function from n indices to those examples, [n, H, W] or [n, H, W, C] with C of 1 or 3;
            `None` where they are not pictures.
        label_names: Names of the classes, K of them.
        rows: Pairs (name, value) of the run's settings.
        confidence: The coverage with which the interval in `scores` was computed.

    Returns:
        The path, a `pathlib.Path`.

    Raises:
        ValueError: If a shape is another, a label out of range, or the number of names or images wrong.
    """
    probabilities = softmax(np.asarray(logits, dtype=np.float64), axis=-1)
    ece = expected_calibration_error(probabilities, labels)
    if len(label_names) != probabilities.shape[1]:
        raise ValueError(f"label_names must have {probabilities.shape[1]} names, got {len(label_names)}")
    sections = [
        Section("Training", figures=[(loss_curves(history), "Every measured quantity against the epoch.")]),
        Section(
            "Calibration",
            "When the model is 90 % sure, is it right nine times in ten?",
            [
                (
                    reliability_diagram(reliability_curve(probabilities, labels), ece),
                    "Accuracy among predictions of one confidence. Below the diagonal the model is too sure.",
                )
            ],
        ),
        _confusion_section(labels, probabilities.argmax(axis=1), label_names),
    ]
    if images is not None:
        worst = highest_loss(labels, probabilities, _SHOWN)
        mistakes = worst_mistakes(
            images(worst), np.asarray(labels)[worst], probabilities[worst], label_names, _SHOWN
        )
        caption = "True class → predicted class, and the probability that was given to the true class."
        sections.append(Section("Highest loss", figures=[(mistakes, caption)]))
    sections.append(Section("Settings", rows=rows))
    return write_report(path, name, _score_rows(scores, confidence), sections, lead=description)


def _confusion_section(labels, predictions, names):
    """Makes the section of the confusion matrix and the commonest mistakes."""
    counts = confusion_counts(labels, predictions, len(names))
    commonest = most_confused(counts)
    return Section(
        "Confusions",
        figures=[
            (
                confusion_matrix(labels, predictions, names),
                "Rows are true classes, columns predicted ones. Blue: share of the class that is right; "
                "orange: share mistaken, up to the commonest mistake. The table lists the commonest, "
                "as true class → predicted class.",
            )
        ],
        rows=[(f"{names[i]} → {names[j]}", f"{count:,} of {counts[i].sum():,}") for i, j, count in commonest],
    )


def _score_rows(scores, confidence):
    """Puts the scores into table rows: known ones in words, others under their own name."""
    words = {
        "accuracy": ("Accuracy", _percent),
        "nll": ("Negative log-likelihood", "{:.4f} nats".format),
        "ece": ("Expected calibration error", _percent),
        "brier": ("Brier score", "{:.4f}".format),
        "errors": ("Mistakes", "{:,}".format),
        "examples": ("Examples", "{:,}".format),
    }
    rows = []
    for key, value in scores.items():
        if key == "accuracy_high" and "accuracy_low" in scores:
            interval = f"{_percent(scores['accuracy_low'])} to {_percent(value)}"
            rows.append((f"Accuracy, {100 * confidence:g} % interval", interval))
        elif key in words:
            label, form = words[key]
            rows.append((label, form(value)))
        elif key != "accuracy_low" or "accuracy_high" not in scores:
            rows.append((key, value))
    return rows


def _percent(fraction):
    """Writes a fraction as a percentage."""
    return f"{100 * fraction:.2f} %"
